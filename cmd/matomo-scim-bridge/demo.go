package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/demo"
)

// demoCommand plays joiners, movers and leavers of two identity providers.
func (c *cli) demoCommand() *cobra.Command {
	opt := demo.Options{Out: c.printer(), Logger: c.quietLogger(), Version: versionString()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a joiner, a mover and a leaver, from request to proof, in one process",
		Long: `Run everything in one process: the bridge as serve runs it, on a database in a
temporary folder; a Matomo that answers like a real one, companion plugin
included; and a script that sends what Entra and Okta send. Each step shows the
request, the rules that matched, the plan, the calls to Matomo and what was read
back. Afterwards it stays up to be looked at, unless --once is given.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := demo.Run(cmd.Context(), opt); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&opt.Once, "once", false, "end after the script instead of staying up")
	return cmd
}
