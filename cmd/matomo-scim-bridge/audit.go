package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/arguments"
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
//     noticed only by comparing the head, or signed notes of it, with what was kept
//     elsewhere, so the head is always printed.

// auditCommand looks at the audit trail.
func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "Look at the record of every change", c.auditVerify(), c.auditExport(), c.auditShow(), c.auditKey())
}

// auditVerify proves that nobody changed the record.
func (c *cli) auditVerify() *cobra.Command {
	var notes, key string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that no entry of the record was changed, removed or moved",
		Long: `Follow the chain of hashes over the whole record. Exit code 0 when it holds, 3
when it does not; each entry that does not fit is named. What the command
prints as head can be kept elsewhere: a record whose head at that number differs
was rewritten.

With --checkpoints, a file of signed notes that was kept elsewhere (see audit in the
configuration), and --public-key, the record is proven against them: no other record
of that length has those hashes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (notes == "") != (key == "") {
				return errors.New("--checkpoints and --public-key go together: the notes prove nothing without the key that signed them")
			}
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				return c.verifyAudit(ctx, s, notes, key)
			})
		},
	}
	cmd.Flags().StringVar(&notes, "checkpoints", "", "a file of signed checkpoints")
	cmd.Flags().StringVar(&key, "public-key", "", "the public key (PEM) that belongs to the key they were signed with; several in one file, oldest first, when it was replaced")
	return cmd
}

// verifyAudit prints the verdict on the chain, and on the notes about it.
func (c *cli) verifyAudit(ctx context.Context, s *app.Services, notes, key string) error {
	report, err := s.Audit.Verify(ctx)
	if err != nil {
		return err
	}
	p := c.printer()
	// Both checks are made whatever the first finds: the notes tell how far back the record can be trusted.
	broken := len(report.Problems) > 0
	for _, f := range report.Problems {
		p.Line("%s %s", p.Red("broken"), f)
	}
	if !broken {
		p.Line("%s %s sealed, head %d %s", p.Green("ok"), terminal.Plural(int(report.Sealed), "entry"), report.Sealed, report.Head)
	}
	if notes != "" {
		found, err := c.verifyNotes(ctx, s, notes, key)
		if err != nil {
			return err
		}
		for _, f := range found.Problems {
			p.Line("%s %s", p.Red("broken"), f)
		}
		if broken = broken || len(found.Problems) > 0; len(found.Problems) == 0 {
			p.Line("%s %s, the last of %s, prove the first %s", p.Green("ok"), terminal.Plural(found.Notes, "checkpoint"), terminal.Day(&found.At),
				terminal.Plural(int(found.Entries), "entry"))
		}
	}
	if p.Err() != nil || !broken {
		return p.Err()
	}
	_, _ = fmt.Fprintln(c.stderr, "somebody with write access to the database has been at the record; compare it with a backup")
	return exitCode(exitTampered)
}

// verifyNotes proves the record against a file of signed notes.
func (c *cli) verifyNotes(ctx context.Context, s *app.Services, notes, key string) (app.CheckpointReport, error) {
	pem, err := os.ReadFile(key)
	if err != nil {
		return app.CheckpointReport{}, fmt.Errorf("public key: %w", err)
	}
	f, err := os.Open(notes)
	if err != nil {
		return app.CheckpointReport{}, fmt.Errorf("checkpoints: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	return s.VerifyCheckpoints(ctx, f, pem)
}

// auditExport writes entries to stdout.
func (c *cli) auditExport() *cobra.Command {
	var format, since, until string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the record to stdout, as JSON lines or as CSV",
		Long: `Write the entries of the record to stdout, in the order of the chain. jsonl has one
object a line: seq, hash, and the entry byte for byte as it was hashed, so that any
program can follow the chain: each hash is SHA-256 over the 32 bytes of the hash before
and the bytes of the entry. csv is for a spreadsheet, which changes what it opens.`,
		Example: "  matomo-scim-bridge audit export --since 30d > audit.jsonl\n  matomo-scim-bridge audit export --format csv --since 2026-10-01 > audit.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var f app.AuditFilter
			var err error
			if f.Since, err = arguments.Moment(since); err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			if f.Until, err = arguments.Moment(until); err != nil {
				return fmt.Errorf("--until: %w", err)
			}
			// Open for writing, because what waits is sealed first: an export without its end proves less.
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				n, err := s.Audit.Export(ctx, c.stdout, app.AuditFormat(format), f)
				if err == nil {
					_, err = fmt.Fprintln(c.stderr, terminal.Plural(n, "entry"))
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", string(app.AuditJSONL), "jsonl or csv")
	sinceFlag(cmd, &since)
	cmd.Flags().StringVar(&until, "until", "", "only before this day or time")
	return cmd
}

// sinceFlag adds --since.
func sinceFlag(cmd *cobra.Command, since *string) {
	cmd.Flags().StringVar(since, "since", "", "only from this day (2026-10-01), time (RFC 3339) or age (30d) on")
}

// A key of our own making saves an auditor a tool and nothing else: it is the same as openssl's. The public one
// is made beside it, because a private key whose public half is nowhere proves nothing to anybody.

// auditKey makes a key for checkpoints.
func (c *cli) auditKey() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make the key that signs checkpoints",
		Long: `Make an ed25519 key: the private one in FILE, readable for its owner alone, and the
public one in FILE.pub. Name FILE as audit.signing_key_file, and keep FILE.pub where
the checkpoints are kept. openssl makes the same:

  openssl genpkey -algorithm ed25519 -out FILE && openssl pkey -in FILE -pubout -out FILE.pub`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			private, public, err := app.NewAuditKey()
			if err != nil {
				return err
			}
			for _, f := range []struct {
				name string
				text []byte
				mode os.FileMode
			}{{args[0], private, 0o600}, {args[0] + ".pub", public, 0o644}} {
				if err := arguments.NewFile(f.name, f.text, f.mode); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(c.stderr, "the private key is in %s, the public one in %s\n", args[0], args[0]+".pub")
			return err
		},
	}
}
