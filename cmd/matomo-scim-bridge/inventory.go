package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/arguments"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/papers"
	"github.com/matomo-scim/bridge/internal/app"
)

// The access review: who has an account, what they may see, why, and what to look at.
//
// Rules of this file:
//
//   - One read of each Matomo, and none that writes; --tokens costs one more for each hundred accounts.
//   - The sheet goes to stdout and nothing else does, so that it can be sent into a file; what somebody
//     should look at first is on stderr.

//   - A review is of today: the date in the sheet is that of the read.

// dormantDays is from how many days without a sign-in on an account counts as dormant.
const dormantDays = 90

// inventoryCommand prints the access review.
func (c *cli) inventoryCommand() *cobra.Command {
	var target, dormant, format string
	var tokens bool
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "Print the access review sheet: who has which access, and why",
		Long: `Print everybody who has an account on a Matomo as the sheet of an access review: e-mail,
name, role, sites, tokens, last login, second factor, date of the review, and notes.
The notes say which group and rule give what, and mark what to look at: accounts that
nobody manages, superusers, people who left, dormant accounts, access that no rule
gives. A sign-in counts as login; the use of a token does not. The column Tokens says
what is known of them (live, dead, inert, unknown); with --tokens it is their number,
where Matomo can show it.`,
		Example: "  matomo-scim-bridge inventory > review.csv\n  matomo-scim-bridge inventory --dormant 90d --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "csv" && format != "json" {
				return fmt.Errorf("no format is called %q; there are csv and json", format)
			}
			after, err := arguments.Days(dormant, dormantDays)
			if err != nil {
				return err
			}
			return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				rows, err := s.Review(ctx, target, after, tokens)
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
				papers.SumUp(c.stderr, rows)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "only this Matomo")
	cmd.Flags().StringVar(&dormant, "dormant", "", "only accounts without a sign-in for so long, such as 90d")
	cmd.Flags().BoolVar(&tokens, "tokens", false, "count the API tokens of every account")
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	return cmd
}
