package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// What an administrator runs before serve, and after each change of the
// configuration.
//
// Rules of this file:
//
//   - Nothing is changed anywhere: not in Matomo, where even the password is
//     proven by a call that is refused for another reason, and not in the database,
//     which is opened to be read.
//   - A wrong token or password is sent once. Matomo locks an address out after
//     twenty failures an hour.
//   - Each finding stands on one line with a word in front (ok, hint, warn, FAIL),
//     and what to do below it. Only FAIL makes the exit code 1: a warning is a
//     consequence somebody may have chosen.
//   - What cannot be checked because something before it failed is left out, not
//     guessed.

// checkCommand proves that everything the bridge needs is there.
func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, the rules and every connection",
		Long: `Check the configuration, the rules, the database and every Matomo, as a list.
Nothing is changed: the password is proven with a call that Matomo refuses for
another reason. Exit code 1 when something must be mended before serve works.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.check(cmd.Context())
		},
	}
}

// checklist prints findings and counts the failures.
type checklist struct {
	*terminal.Printer
	failed int
}

// add prints one line of the list, with advice below it. Texts of drivers may have several
// lines.
func (l *checklist) add(level app.Level, name, text, advice string) {
	text = strings.Join(strings.Fields(text), " ")
	mark := map[app.Level]string{
		app.LevelOK: l.Green("ok  "), app.LevelHint: l.Cyan("hint"), app.LevelWarn: l.Yellow("warn"), app.LevelFail: l.Red("FAIL"),
	}[level]
	l.Line("%s  %-22s %s", mark, name, text)
	if advice != "" {
		l.Line("      %-22s %s", "", l.Dim("-> "+advice))
	}
	if level == app.LevelFail {
		l.failed++
	}
}

// check runs the list: configuration, rules, database, targets, rules against
// the sites of each target.
func (c *cli) check(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	l := &checklist{Printer: c.printer()}
	l.add(app.LevelOK, "configuration", cfg.Path, "")
	rules, _, err := app.LoadRules(cfg)
	if err != nil {
		return err
	}
	l.add(app.LevelOK, "rules", terminal.Plural(len(rules.All()), "rule"), "")
	c.checkDatabase(ctx, l)
	found, err := app.CheckTargets(ctx, cfg, rules, c.options())
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Level == app.LevelFail && f.Advice == "" {
			f.Advice = "see from this host whether Matomo answers at the target's url; a proxy on the way is named in HTTPS_PROXY"
		}
		l.add(f.Level, f.Name, f.Text, f.Advice)
	}
	if l.Err() != nil {
		return l.Err()
	}
	if l.failed > 0 {
		return fmt.Errorf("%s to mend before the bridge can do its work", terminal.Plural(l.failed, "thing"))
	}
	return nil
}

// checkDatabase looks whether the database can be opened and every source could
// sign in. A database that does not exist yet is no fault: serve makes it.
func (c *cli) checkDatabase(ctx context.Context, l *checklist) {
	err := c.withReadOnly(ctx, func(ctx context.Context, s *app.Services) error {
		l.add(app.LevelOK, "database", s.DB.Dialect().Name(), "")
		found, err := s.CheckSignIn(ctx, nil)
		for _, f := range found {
			l.add(f.Level, f.Name, f.Text, f.Advice)
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.add(app.LevelHint, "database", "there is none yet; the first credential, or serve, makes it", "matomo-scim-bridge credential create NAME")
	case err != nil:
		l.add(app.LevelFail, "database", err.Error(), "")
	}
}
