package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/papers"
	"github.com/matomo-scim/bridge/internal/app"
)

// The app tokens of the people that the bridge manages.
//
// Rules of this file:
//
//   - A token's secret is never here: Matomo keeps a hash of it, and nothing else can be read.
//   - Where the strategy of a target cannot see tokens, the list says so and does not count zero.

// tokensCommand looks at app tokens and ends them.
func (c *cli) tokensCommand() *cobra.Command {
	return group("tokens", "See and end the API tokens of the people managed here", c.tokensList(), c.tokensRevoke())
}

// tokensList asks Matomo for the tokens of everybody who is managed here, in pages, and prints them as
// they come.
func (c *cli) tokensList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who has how many tokens, how old they are and when they were last used",
		Long: `List the API tokens of everybody who is managed here: number, age of the oldest, last
use, and when the next one ends (its own expiry, or tokens.max_age). With --json each
token is listed. Tokens can be seen with the companion plugin or through Matomo's
database; elsewhere the list says so.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				return c.listTokens(ctx, s, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "each token, as JSON")
	return cmd
}

// held is a token holder with the target, for programs.
type held struct {
	Target string `json:"target"`
	app.TokenHolder
}

// listTokens prints everybody's tokens as they are read.
func (c *cli) listTokens(ctx context.Context, s *app.Services, asJSON bool) error {
	all := []held{}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	if !asJSON {
		_, _ = fmt.Fprintln(w, papers.TokenHead) // the first error comes back from Flush
	}
	// Said once for each Matomo and at the end, where it is not scrolled away by the list.
	unseen := map[string]bool{}
	for _, name := range s.Engine.Targets() {
		err := s.TokenAges.Look(ctx, name, func(h app.TokenHolder) error {
			unseen[name] = unseen[name] || !h.Visible
			if asJSON {
				all = append(all, held{name, h})
				return nil
			}
			_, err := fmt.Fprintln(w, strings.Join(papers.TokenRow(name, h), "\t"))
			return err
		})
		if err != nil {
			return err
		}
	}
	if asJSON {
		return c.writeJSON(all)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for name, is := range unseen {
		if is {
			_, _ = fmt.Fprintf(c.stderr, "%s: tokens cannot be seen there; install the companion plugin, or give the bridge Matomo's database (see docs/matomo.md)\n", name)
		}
	}
	return nil
}

// tokensRevoke is for a token that got out: at once, and without taking the person's access away. Which one
// it was is often not known, so all end.
func (c *cli) tokensRevoke() *cobra.Command {
	var target string
	var confirm bool
	cmd := &cobra.Command{
		Use:   "revoke LOGIN",
		Short: "End all tokens of somebody, whose access stays",
		Long: `End all API tokens of somebody who is managed here. Their access and password stay;
whatever uses the tokens stops. Without --confirm nothing is done.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !confirm {
				return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
					b, err := s.Leavers.Find(ctx, args[0], target)
					if err != nil {
						return err
					}
					return c.wantsConfirm("all tokens of %s on %s would end; access and password stay", b.Login, b.Target)
				})
			}
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				b, err := s.Leavers.RevokeTokens(ctx, c.operator(), args[0], target)
				if err != nil {
					return err
				}
				return c.seeThrough(ctx, s, b.ID, b.Login+" on "+b.Target, func(now app.Binding) (bool, string) {
					return now.RevokeTokens.IsZero(), "has no token any more"
				})
			})
		},
	}
	targetFlag(cmd, &target)
	cmd.Flags().BoolVar(&confirm, "confirm", false, "do it")
	return cmd
}
