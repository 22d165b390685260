package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/papers"
	"github.com/matomo-scim/bridge/internal/app"
)

// People who left.
//
// Rules of this file:
//
//   - What changes something in Matomo writes a note and follows the bridge that works on it; without
//     one, this process does the work (see sync). Giving things back is done here.
//   - What cannot be undone wants --confirm. Without it the command says what it would do, and exits
//     with 2, as sync does.
//   - Lists are plain columns, the same on a terminal and in a pipe. --json is for programs.

// leaverCommand looks after people who left.
func (c *cli) leaverCommand() *cobra.Command {
	return group("leaver", "See who left, and keep, delete or restore what they had",
		c.leaverList(), c.leaverShow(), c.leaverKeep(), c.leaverDelete(), c.leaverRestore())
}

// Who typed is what the record says of a command. It is the name that the operating system has for them,
// before sudo if they used it: root is who may, not who did. The record does not claim to have proven
// more than that.

// operator is who types: what the record says of commands.
func (c *cli) operator() app.Cause {
	name := c.getenv("SUDO_USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	if name == "" {
		name = "unknown"
	}
	return app.Cause{Actor: "cli:" + name, Source: "cli"}
}

// targetFlag adds --target.
func targetFlag(cmd *cobra.Command, target *string) {
	cmd.Flags().StringVar(target, "target", "", "the Matomo it is about (needed when the login is on several)")
}

// leaverList is the page to begin with: whoever is not on it has not left as far as anybody told us.
func (c *cli) leaverList() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the people who left, and what becomes of their accounts and tokens",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				found, err := s.Leavers.List(ctx, all)
				if err != nil {
					return err
				}
				if asJSON {
					return c.writeJSON(found)
				}
				return papers.Leavers(c.stdout, c.stderr, found)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "those whose account is gone as well")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// writeJSON prints a value for programs.
func (c *cli) writeJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// leaverShow reads what was saved and asks Matomo nothing: the account may be gone for a year.
func (c *cli) leaverShow() *cobra.Command {
	var target string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show LOGIN",
		Short: "Show what somebody who left had: the evidence that was saved",
		Long: `Show where somebody who left stands, and what was saved of them before anything was
taken away for good: access, tokens (where they can be seen), scheduled reports,
dashboards, segments, preferences. With --json everything is printed, as evidence for
an audit. The hash of each piece is in the audit trail.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				file, err := s.Leavers.Show(ctx, args[0], target)
				if err != nil {
					return err
				}
				if asJSON {
					return c.writeJSON(file)
				}
				return papers.Dossier(c.printer(), file)
			})
		},
	}
	targetFlag(cmd, &target)
	cmd.Flags().BoolVar(&asJSON, "json", false, "everything, as JSON")
	return cmd
}

// leaverKeep needs no --confirm and no running bridge: it takes nothing away, and a note is all there is
// to it. Whoever is in doubt should be able to stop a deletion with few words.
func (c *cli) leaverKeep() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "keep LOGIN",
		Short: "Stop the deletion of a leaver's account",
		Long: `Stop the deletion of a leaver's account: it stays suspended, without access, until the
person comes back or "leaver delete" is asked for. A later leave counts anew.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				l, err := s.Leavers.Keep(ctx, c.operator(), args[0], target)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stdout, "%s on %s is kept: it is %s and is not deleted\n", l.Login, l.Target, l.State)
				return err
			})
		},
	}
	targetFlag(cmd, &target)
	return cmd
}

// leaverDelete cannot be undone, so it says first what it would do. A login that nobody knows is refused
// then already, and not only when somebody means it.
func (c *cli) leaverDelete() *cobra.Command {
	var target string
	var confirm bool
	cmd := &cobra.Command{
		Use:   "delete LOGIN",
		Short: "Delete a leaver's account now",
		Long: `Delete the account of somebody who left, now and not when its time is over. What
would be lost is saved first, and all guards hold. Matomo deletes dashboards,
scheduled reports and tokens with it; its segments, private ones too, move to the
first other superuser that it lists. Without --confirm nothing is done.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !confirm {
				return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
					b, err := s.Leavers.Find(ctx, args[0], target)
					if err != nil {
						return err
					}
					return c.wantsConfirm("%s on %s would be deleted, with its dashboards and reports; what it has is saved first", b.Login, b.Target)
				})
			}
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				l, err := s.Leavers.Delete(ctx, c.operator(), args[0], target)
				if err != nil {
					return err
				}
				return c.seeThrough(ctx, s, l.Binding, l.Login+" on "+l.Target, func(b app.Binding) (bool, string) {
					return b.Login == "" || b.State == app.Gone, "is deleted"
				})
			})
		},
	}
	targetFlag(cmd, &target)
	cmd.Flags().BoolVar(&confirm, "confirm", false, "do it")
	return cmd
}

// wantsConfirm says what a command would do, and that it has not.
func (c *cli) wantsConfirm(format string, args ...any) error {
	if _, err := fmt.Fprintf(c.stdout, format+"\n", args...); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(c.stderr, "nothing was changed; do it with --confirm")
	return exitCode(exitChanges)
}

// A command that only wrote its note and said "done" would lie: what matters is what Matomo holds. So it
// waits until nothing is due, and then tells from the row what became of it. Something that is not done by
// then is not lost; the bridge tries again, and the command says so and fails.

// seeThrough sees that what was asked about a binding is done, by a running bridge or by this process,
// and says so; who is how people call it, and done tells from the binding whether it is done, and how
// to say that.
func (c *cli) seeThrough(ctx context.Context, s *app.Services, id, who string, done func(app.Binding) (bool, string)) error {
	if err := c.work(ctx, s); err != nil {
		return err
	}
	b, err := s.Bindings.Get(ctx, s.DB.Reader(), id)
	if err != nil {
		return err
	}
	ok, text := done(b)
	if !ok {
		why := b.Reason
		if b.Detail != "" {
			why += ": " + b.Detail
		}
		return fmt.Errorf("%s: not done yet, and tried again by itself (%s %s)", who, b.State, why)
	}
	_, err = fmt.Fprintf(c.stdout, "%s %s\n", who, text)
	return err
}

// leaverRestore talks to Matomo by itself: reports and dashboards are no pass's business. What it could
// do until an error is shown as well, because it is done.
func (c *cli) leaverRestore() *cobra.Command {
	var opt app.RestoreOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore LOGIN [--to LOGIN]",
		Short: "Give back the reports, segments and dashboards of somebody who left",
		Long: `Give back what was saved of LOGIN, to the same login when the person is back, or to
somebody else with --to. Matomo's API does not allow everything: new scheduled
reports belong to the bridge's login and are mailed to the person, segments keep the
owner they were moved to, dashboards come without their layout. What became of each
thing is said. Running it again makes nothing twice. It gives no access.`,
		Example: "  matomo-scim-bridge leaver restore ada@example.com --to grace@example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.Login = args[0]
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				done, err := s.Leavers.Restore(ctx, c.operator(), opt)
				if asJSON {
					return errors.Join(err, c.writeJSON(done))
				}
				return errors.Join(err, papers.Restored(c.printer(), c.stderr, done))
			})
		},
	}
	targetFlag(cmd, &opt.Target)
	cmd.Flags().StringVar(&opt.To, "to", "", "the login that gets the things (default: LOGIN)")
	cmd.Flags().BoolVar(&opt.ShareSegments, "share-segments", false, "let everybody who sees a segment's site use those that were private")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}
