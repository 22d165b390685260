package care

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// Saving the database and putting it back. What Matomo holds is not in it, and need not be:
// it is read again.
//
// Rules of this file:
//
//   - A backup is made while the bridge runs. It is whole, or it is not there.
//   - A restore never deletes anything: what was there is kept under another name.
//   - What is restored is old, so it is looked at before it counts. See app.Restore.

// backupCommand saves the database.
func (c *Care) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Save the SQLite database while the bridge runs",
		Long: `Save what is committed now to a new file: a whole SQLite database that only its
owner can read. The bridge goes on meanwhile. FILE must not exist yet.

A PostgreSQL database is saved with pg_dump.`,
		Example: "  matomo-scim-bridge backup /var/backups/bridge-$(date +%F).db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.backup(cmd.Context(), args[0])
		},
	}
}

// backup saves the database of the configuration, which it opens to be read.
func (c *Care) backup(ctx context.Context, to string) error {
	cfg, err := c.Load()
	if err != nil {
		return err
	}
	opt := c.Options()
	opt.ReadOnly = true
	s, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.DB.Backup(ctx, to); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stderr, "saved to %s; try it now and then with: matomo-scim-bridge restore --check %s\n", to, to)
	return err
}

// restoreCommand puts a backup in the place of the database.
func (c *Care) restoreCommand() *cobra.Command {
	var confirm, check, force bool
	cmd := &cobra.Command{
		Use:   "restore FILE | --check FILE | --confirm",
		Short: "Put a backup in the place of the SQLite database",
		Long: `Put a backup in the place of the database, which must not be in use. The backup is
checked first, the record included; what was there is kept under another name.

What is restored is old: people who left since then are active in it. Until you
confirm, every target is in mode observe and nothing is written to Matomo. Start the
bridge, have the identity providers send everything again, look at plan, then say
restore --confirm and restart.

Exit code 3 means that the record in the backup is broken; --force accepts it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case confirm && len(args) == 0 && !check && !force:
				return c.confirmRestore()
			case confirm || len(args) != 1 || check && force:
				return errors.New("say restore FILE, restore --check FILE, or restore --confirm")
			case check:
				return c.checkBackup(cmd.Context(), args[0])
			}
			return c.restore(cmd.Context(), args[0], force)
		},
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "the plan was looked at: from the next start on the configured modes count again")
	cmd.Flags().BoolVar(&check, "check", false, "only check the backup")
	cmd.Flags().BoolVar(&force, "force", false, "accept a backup whose record is broken")
	return cmd
}

// confirmRestore ends the time in which nothing is written.
func (c *Care) confirmRestore() error {
	cfg, err := c.Load()
	if err != nil {
		return err
	}
	if err := app.ConfirmRestore(cfg); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.Stderr, "confirmed; restart the bridge, and the configured modes count again")
	return err
}

// checkBackup tells what a restore would find.
func (c *Care) checkBackup(ctx context.Context, file string) error {
	out, err := app.CheckBackup(ctx, file, c.Options())
	if err != nil {
		return err
	}
	return c.printRecord(out)
}

// restore puts the file in place and says what comes next.
func (c *Care) restore(ctx context.Context, file string, force bool) error {
	cfg, err := c.Load()
	if err != nil {
		return err
	}
	out, err := app.Restore(ctx, cfg, file, force, c.Options())
	if errors.Is(err, app.ErrBroken) {
		return c.printRecord(out)
	}
	if err != nil {
		return err
	}
	p := c.Printer()
	p.Line("%s %s, head %d %s", p.Green("restored"), terminal.Plural(int(out.Entries), "entry"), out.Entries, out.Head)
	if out.Kept != "" {
		p.Field("kept", out.Kept)
	}
	p.Field("next", "start the bridge; nothing is written to Matomo until: matomo-scim-bridge restore --confirm")
	return p.Err()
}

// The head that is printed is worth keeping where nobody who can write to the database can:
// two heads with the same number must be equal, in a backup as in the original.

// printRecord prints the verdict on the record of a backup.
func (c *Care) printRecord(out *app.Restoration) error {
	p := c.Printer()
	for _, problem := range out.Problems {
		p.Line("%s %s", p.Red("broken"), problem)
	}
	if len(out.Problems) == 0 {
		p.Line("%s %s, head %d %s", p.Green("ok"), terminal.Plural(int(out.Entries), "entry"), out.Entries, out.Head)
		return p.Err()
	}
	return errors.Join(p.Err(), c.Exit(Tampered))
}
