package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// What an auditor runs. The record is the chain of internal/audit: every entry
// holds the hash of the one before it, so an entry that was changed, taken out or
// put elsewhere breaks the chain at its place.
//
// Rules of this file:
//
//   - A broken chain is not an error of the command. It has an exit code of its
//     own (3), so that a nightly job can tell tampering from a database that did
//     not answer (1).
//   - Whoever can write to the database can also write a whole new chain. That is
//     noticed only by comparing the head with one that was kept elsewhere, so the
//     head is always printed.

// auditCommand looks at the audit trail.
func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "Look at the record of every change", &cobra.Command{
		Use:   "verify",
		Short: "Prove that no entry of the record was changed, removed or moved",
		Long: `Follow the chain of hashes over the whole record. Exit code 0 when it holds, 3
when it does not; the first entry that does not fit is named. What the command
prints as head can be kept elsewhere: a record whose head at that number differs
was rewritten.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withServices(cmd.Context(), c.verifyAudit)
		},
	})
}

// verifyAudit prints the verdict on the chain.
func (c *cli) verifyAudit(ctx context.Context, s *app.Services) error {
	report, err := s.Audit.Verify(ctx)
	if err != nil {
		return err
	}
	p := c.printer()
	if len(report.Problems) == 0 {
		p.Line("%s %s sealed, head %d %s", p.Green("ok"), terminal.Plural(int(report.Sealed), "entry"), report.Sealed, report.Head)
		return p.Err()
	}
	for _, f := range report.Problems {
		p.Line("%s %s", p.Red("broken"), f)
	}
	if p.Err() != nil {
		return p.Err()
	}
	_, _ = fmt.Fprintln(c.stderr, "somebody with write access to the database has been at the record; compare it with a backup")
	return exitCode(exitTampered)
}
