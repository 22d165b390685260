package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/config"
)

// version is set by the build (-ldflags "-X main.version=..."); otherwise the
// build information of the module is shown.
var version string

// versionString is the version, "devel" for a build from a work tree.
func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// versionCommand prints what is running.
func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(c.stdout, "matomo-scim-bridge %s (%s, %s/%s)\n",
				versionString(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// configCommand prints the commented example.
func (c *cli) configCommand() *cobra.Command {
	return group("config", "Show how to configure the bridge", &cobra.Command{
		Use:   "example",
		Short: "Print a complete configuration with every key explained",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(c.stdout, config.Example())
			return err
		},
	})
}
