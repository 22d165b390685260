package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// The access review: who has an account, what they may see, why, and what to look at.
//
// Rules of this file:
//
//   - One read of each Matomo, and none that writes.
//   - The sheet goes to stdout and nothing else does, so that it can be sent into a file; what somebody
//     should look at first is on stderr.

// dormantDays is from how many days without a sign-in on an account counts as dormant.
const dormantDays = 90

// inventoryCommand prints the access review.
func (c *cli) inventoryCommand() *cobra.Command {
	var target, dormant, format string
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "Print the access review sheet: who has which access, and why",
		Long: `Print everybody who has an account on a Matomo as the sheet of an access review: e-mail,
name, role, sites, tokens, last login, second factor, date of the review, and notes.
The notes say which group and rule give what, and mark what to look at: accounts that
nobody manages, superusers, people who left, dormant accounts, access that no rule
gives. A sign-in counts as login; the use of a token does not.`,
		Example: "  matomo-scim-bridge inventory > review.csv\n  matomo-scim-bridge inventory --dormant 90d --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "csv" && format != "json" {
				return fmt.Errorf("no format is called %q; there are csv and json", format)
			}
			after, err := days(dormant, dormantDays)
			if err != nil {
				return err
			}
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				rows, err := s.Review(ctx, target, after)
				if err != nil {
					return err
				}
				if dormant != "" {
					rows = slices.DeleteFunc(rows, func(r app.ReviewRow) bool { return !r.Dormant })
				}
				if format == "json" {
					err = c.writeJSON(rows)
				} else {
					err = app.WriteReview(c.stdout, rows, time.Now().UTC())
				}
				c.sumUp(rows)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "only this Matomo")
	cmd.Flags().StringVar(&dormant, "dormant", "", "only accounts without a sign-in for so long, such as 90d")
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	return cmd
}

// sumUp says on stderr what to look at first.
func (c *cli) sumUp(rows []app.ReviewRow) {
	count := func(is func(app.ReviewRow) bool) (n int) {
		for _, r := range rows {
			if is(r) {
				n++
			}
		}
		return n
	}
	parts := []string{terminal.Plural(len(rows), "account")}
	for _, p := range []struct {
		is   func(app.ReviewRow) bool
		text string
	}{
		{func(r app.ReviewRow) bool { return r.Superuser && !r.Managed && !r.Protected }, "unmanaged superusers"},
		{func(r app.ReviewRow) bool { return !r.Superuser && !r.Managed && !r.Protected }, "unmanaged"},
		{func(r app.ReviewRow) bool { return r.Dormant }, "dormant"},
		{func(r app.ReviewRow) bool { return len(r.Unexplained) > 0 }, "with access that no rule gives"},
	} {
		if n := count(p.is); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.text))
		}
	}
	_, _ = fmt.Fprintln(c.stderr, strings.Join(parts, ", "))
}

// errDays refuses what is no number of days.
var errDays = errors.New("write a number of days, such as 90d")

// days reads a time such as 90d; empty is so many.
func days(text string, otherwise int) (time.Duration, error) {
	n := otherwise
	if text != "" {
		var err error
		number, ok := strings.CutSuffix(text, "d")
		if n, err = strconv.Atoi(number); !ok || err != nil || n < 0 || n > 100_000 {
			return 0, fmt.Errorf("%q: %w", text, errDays)
		}
	}
	return time.Duration(n) * 24 * time.Hour, nil
}
