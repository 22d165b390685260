package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/arguments"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/papers"
	"github.com/matomo-scim/bridge/internal/app"
)

// The history of one person, for somebody who asks "who gave her that, and when did it go?".
//
// Rules of this file:
//
//   - Nothing is read but the record, and every line of the answer is in it: who, when, what, why, and
//     what Matomo said.
//   - Somebody is asked for by the name that people know, and found under every name that the record
//     has for them: subject, user, login.

// auditShow prints what happened to somebody.
func (c *cli) auditShow() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "show USER",
		Short: "Show the history of a person: who, when, what, why, and what Matomo answered",
		Long: `Show everything that the record has about a person, in its order: what identity
providers said, groups they came into or left, what was planned and by which rule (file
and line), and what Matomo answered. USER is a userName or a Matomo login, also of
somebody who is gone.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := arguments.Moment(since)
			if err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				p := c.printer()
				n, err := s.History(ctx, args[0], from, func(r app.HistoryEntry) error {
					papers.Entry(p, r)
					return p.Err()
				})
				if err == nil && n == 0 {
					err = fmt.Errorf("the record has nothing about %q", args[0])
				}
				return err
			})
		},
	}
	sinceFlag(cmd, &since)
	return cmd
}
