package arguments

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// What is said when a command is called in a way that it cannot be: which word is wrong or
// missing, and how it is called. The library counts arguments and says neither.

// ExplainUsage has cmd and everything below it say so.
func ExplainUsage(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see: %s --help", err, cmd.CommandPath())
	})
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			return wrongArguments(cmd, check, args)
		}
	}
	for _, sub := range cmd.Commands() {
		ExplainUsage(sub)
	}
}

// wrongArguments says which of args is one too many, or that one is missing.
func wrongArguments(cmd *cobra.Command, check cobra.PositionalArgs, args []string) error {
	say := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	for n, word := range slices.Backward(args) {
		if check(cmd, args[:n]) == nil {
			return fmt.Errorf("%q is one word too many; say: %s", word, say)
		}
	}
	return fmt.Errorf("something is missing; say: %s", say)
}
