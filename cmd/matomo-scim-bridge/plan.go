package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// What would change, and doing it.
//
// Rules of this file:
//
//   - plan never writes. It reads each Matomo once, in one request, and decides
//     with the rule files as they are on disk, so that a rule can be tried before
//     the bridge takes it up.
//   - Exit codes are those of the tools that people know: 0 nothing to do, 2
//     something to do, 1 an error. A nightly plan that exits with 2 is drift.
//   - sync without --confirm is plan. With it, the rules of the files become the
//     active ones, as at a start of the bridge.
//   - One process works on an embedded database. While a bridge runs, sync marks
//     what is to be done and follows it; only without one does it work itself.

// planCommand shows what would change.
func (c *cli) planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan",
		Short: "Show what would change in Matomo, and why",
		Long: `Read every Matomo once and show what would be changed for every person the
bridge manages, with the rules as they stand in the files now. Nothing is
changed. Exit code 0 when nothing would change, 2 when something would, 1 on an
error.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				return c.plan(ctx, s)
			})
		},
	}
}

// plan prints the differences of all targets; exit code 2 when there are any.
func (c *cli) plan(ctx context.Context, s *app.Services) error {
	differ, err := s.UseFiles(ctx)
	if err != nil {
		return err
	}
	p := c.view()
	if differ {
		p.Line("%s", p.Yellow("the rule files differ from the active rules; this is the plan with the files"))
	}
	n, err := c.printDifferences(ctx, s, p)
	if err != nil {
		return err
	}
	if n > 0 {
		return exitCode(exitChanges)
	}
	return nil
}

// printDifferences prints what differs on every target and returns how many
// people that concerns. A Matomo that does not answer costs its part and not the others'.
func (c *cli) printDifferences(ctx context.Context, s *app.Services, p *view) (int, error) {
	total := 0
	var failed []error
	for _, name := range s.Engine.Targets() {
		found, err := s.Engine.Compare(ctx, name)
		if err != nil {
			failed = append(failed, fmt.Errorf("target %s: %w", name, err))
			continue
		}
		for _, d := range found.Differences {
			p.difference(d)
		}
		stuck, err := p.stuck(ctx, s, name, found.Differences)
		if err != nil {
			return total, err
		}
		p.Line("%s: %s looked at, %s%s", p.Bold(name), terminal.Plural(found.Bindings, "person"), changes(len(found.Differences)), stuck)
		if n := found.Drift["unmanaged_user"]; n > 0 {
			p.Line("%s", p.Dim(fmt.Sprintf("%s: %s in Matomo not managed here and never touched", name, terminal.Plural(n, "account"))))
		}
		total += len(found.Differences)
	}
	return total, errors.Join(append(failed, p.Err())...)
}

// changes is the last word of a plan.
func changes(n int) string {
	if n == 0 {
		return "nothing to change"
	}
	return terminal.Plural(n, "difference")
}

// stuck prints whom no plan helps before somebody does something: a guard, a login that is somebody
// else's, an address that Matomo refuses. It returns the words for the last line.
func (p *view) stuck(ctx context.Context, s *app.Services, target string, shown []app.Difference) (string, error) {
	found, err := s.Bindings.Stuck(ctx, target)
	if err != nil {
		return "", err
	}
	// What the rule files change for them was said with their plan.
	found = slices.DeleteFunc(found, func(b app.Binding) bool {
		return slices.ContainsFunc(shown, func(d app.Difference) bool { return d.Subject == b.Subject })
	})
	subjects := make([]string, len(found))
	for i, b := range found {
		subjects[i] = b.Subject
	}
	people, err := s.Directory.People(ctx, subjects)
	if err != nil || len(found) == 0 {
		return "", err
	}
	for _, b := range found {
		p.Line("%s  %s", p.Bold(cmp.Or(people[b.Subject].UserName, b.Login, b.Subject)), p.Yellow(fmt.Sprintf("%s (%s)", b.State, b.Reason)))
		p.Field("note", orNone(b.Detail))
	}
	return fmt.Sprintf(", %d held back", len(found)), nil
}

// difference prints one person's difference.
func (p *view) difference(d app.Difference) {
	who := d.Person
	if who == "" {
		who = d.Login
	}
	p.Line("%s  %s", p.Bold(who), p.Dim(string(d.State)))
	p.steps(d.Plan, d.Withheld, d.Settles)
	if len(d.Reasons) > 0 {
		p.Field("because", d.Reasons...)
	}
	if d.Detail != "" {
		p.Field("note", d.Detail)
	}
}

// syncCommand makes Matomo agree now.
func (c *cli) syncCommand() *cobra.Command {
	var confirm bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Show the plan and, with --confirm, carry it out",
		Long: `Show what plan shows, and exit with code 2. With --confirm, carry it out: a
running bridge is told and followed; without one, this command does the work.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !confirm {
				return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
					err := c.plan(ctx, s)
					if err != nil {
						_, _ = fmt.Fprintln(c.stderr, "nothing was changed; carry it out with: matomo-scim-bridge sync --confirm")
					}
					return err
				})
			}
			return c.withServices(cmd.Context(), c.sync)
		},
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, "carry the plan out")
	return cmd
}

// sync marks everything that differs and sees that it is done.
func (c *cli) sync(ctx context.Context, s *app.Services) error {
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	p := c.view()
	n, err := c.printDifferences(ctx, s, p)
	if err != nil {
		return err
	}
	if n > 0 {
		if err := s.Engine.MarkDifferences(ctx); err != nil {
			return err
		}
	}
	if err := c.work(ctx, s); err != nil {
		return err
	}
	left, err := c.countDifferences(ctx, s)
	if err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%s left; see why with: matomo-scim-bridge plan", terminal.Plural(left, "difference"))
	}
	p.Line("%s", p.Green("Matomo agrees"))
	return p.Err()
}

// countDifferences is how many people still differ.
func (c *cli) countDifferences(ctx context.Context, s *app.Services) (int, error) {
	n := 0
	for _, name := range s.Engine.Targets() {
		found, err := s.Engine.Compare(ctx, name)
		if err != nil {
			return 0, fmt.Errorf("target %s: %w", name, err)
		}
		n += len(found.Differences)
	}
	return n, nil
}

// work sees that everything due is done: by a running bridge, which is
// followed, or without one by this process.
func (c *cli) work(ctx context.Context, s *app.Services) error {
	held, release, err := s.DB.Lock()
	if err != nil {
		return err
	}
	if !held {
		_, _ = fmt.Fprintln(c.stderr, "a running bridge has been told; waiting for it")
		return c.follow(ctx, s, nil)
	}
	defer release()
	done := make(chan error, 1)
	go func() {
		_, err := s.Engine.Drain(ctx)
		done <- err
	}()
	return c.follow(ctx, s, done)
}

// follow shows how much is left until nothing is due, or until done delivers
// how the work of this process ended.
func (c *cli) follow(ctx context.Context, s *app.Services, done <-chan error) error {
	bar := terminal.NewProgress(c.stderr, "people to bring in line")
	defer bar.Finish()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		left, err := due(ctx, s)
		if err != nil {
			return err
		}
		if left == 0 && done == nil {
			return nil
		}
		bar.Left(left)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-done:
			return err
		case <-ticker.C:
		}
	}
}

// due is how many bindings are due on all targets.
func due(ctx context.Context, s *app.Services) (int, error) {
	n := 0
	for _, name := range s.Engine.Targets() {
		b, err := s.Bindings.Due(ctx, name)
		if err != nil {
			return 0, err
		}
		n += b.N
	}
	return n, nil
}
