package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/door"
	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// Why somebody has the access they have: the question of every access review. The
// answer comes from the same code as the loop of the bridge, stopped before it
// writes, so it cannot tell another story than what would be done.
//
// Read from top to bottom it is the way of a decision:
//
// 	what the identity provider says   person, groups, address
// 	what the rules make of it         access, with group and file:line for each part
// 	what Matomo holds now             read in this moment
// 	what would be done                the plan, what is withheld, what still waits
//
// A Matomo that does not answer costs only its part: rules and groups are shown
// all the same.

// explainCommand tells why somebody has the access they have.
func (c *cli) explainCommand() *cobra.Command {
	var groups []string
	var source string
	cmd := &cobra.Command{
		Use:   "explain USER | --group NAME...",
		Short: "Show which rule gives a person, or a set of groups, which access",
		Long: `Show the whole way from a person to their access in Matomo: what the identity
provider says, which groups match which rules (file and line), what that gives,
what Matomo holds now, and what would be done. USER is a userName.

With --group (may be repeated) it shows what somebody in exactly these groups
would get, without such a person existing. Nothing is changed.`,
		Example: "  matomo-scim-bridge explain ada@example.com\n  matomo-scim-bridge explain --group Analysts --group Editors",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && len(groups) == 0:
				return c.withReadOnly(cmd.Context(), func(ctx context.Context, s *app.Services) error {
					return c.explainUser(ctx, s, args[0])
				})
			case len(args) == 0 && len(groups) > 0:
				return c.explainGroups(cmd.Context(), groups, source)
			default:
				return errors.New("name one userName, or groups with --group")
			}
		},
	}
	cmd.Flags().StringArrayVarP(&groups, "group", "g", nil, "a group's name; may be repeated")
	cmd.Flags().StringVar(&source, "source", "", "the source the groups come from (default: the only one)")
	return cmd
}

// explainUser prints the explanation of every target for one person.
func (c *cli) explainUser(ctx context.Context, s *app.Services, userName string) error {
	subjects, err := s.Directory.SubjectsByUserName(ctx, userName)
	if err != nil {
		return err
	}
	if len(subjects) == 0 {
		return fmt.Errorf("no source has a user %q", userName)
	}
	p := c.view()
	for _, subject := range subjects {
		all, err := s.Engine.Explain(ctx, subject)
		if err != nil {
			return err
		}
		for i, x := range all {
			if i == 0 {
				p.person(x)
			}
			p.target(x)
		}
	}
	return p.Err()
}

// person prints what the sources say.
func (p *view) person(x app.Explanation) {
	state := p.Green("active")
	switch {
	case x.Person.Orphan:
		state = p.Red("deleted")
	case !x.Person.Active:
		state = p.Red("inactive")
	}
	p.Line("%s  %s  source %s", p.Bold(x.Person.UserName), state, x.Person.Source)
	names := make([]string, 0, len(x.Person.Groups))
	for _, g := range x.Person.Groups {
		names = append(names, g.Name)
	}
	p.Field("groups", orNone(strings.Join(names, ", ")))
	p.Field("e-mail", orNone(x.Person.PrimaryEmail))
}

// target prints one target's part.
func (p *view) target(x app.Explanation) {
	p.Line("%s (%s)", p.Bold(x.Target), x.Mode)
	p.Field("login", orNone(x.Login))
	p.decision(x.Decision, x.Reasons, x.ReadError != nil && x.Person.Active)
	switch {
	case x.ReadError != nil:
		p.Field("matomo", p.Yellow("not read: "+x.ReadError.Error()))
	case x.Account == nil:
		p.Field("matomo", "not asked: nothing of this person is there")
	case !x.Account.Exists:
		p.Field("matomo", "no account")
	default:
		p.Field("matomo", "has "+orNone(x.Account.Access.String()))
	}
	state := string(x.Binding.State)
	if x.Binding.Reason != "" {
		state += " (" + x.Binding.Reason + ")"
	}
	if x.Binding.Detail != "" {
		state += ": " + x.Binding.Detail
	}
	p.Field("state", state)
	p.waiting(x.Binding)
	if x.ReadError != nil && len(x.Plan.Steps) == 0 {
		p.Field("plan", p.Yellow("not known: it needs what Matomo holds now"))
	} else {
		p.steps(x.Plan, x.Withheld, x.Settles)
	}
	if x.Detail != "" && x.Detail != x.Binding.Detail {
		p.Field("now", x.Detail)
	}
}

// waiting prints what was accepted and is not done: the state above is of the last pass that
// ended.
func (p *view) waiting(b app.Binding) {
	if b.DueAt == nil || b.Event == "" {
		return
	}
	text := fmt.Sprintf("%s since %s", b.Event, b.AcceptedAt.UTC().Format(time.RFC3339))
	if b.Attempts > 0 {
		text += fmt.Sprintf(", tried %s", terminal.Plural(b.Attempts, "time"))
	}
	p.Field("waiting", p.Yellow(text))
}

// decision prints what the rules give, and why. Without Matomo's list of sites a rule about sites gives
// nothing that could be shown, which is not the same as giving nothing.
func (p *view) decision(d app.Decision, reasons []string, unread bool) {
	if unread && d.Access.Empty() {
		p.Field("rules give", p.Yellow("not known: it needs Matomo's list of sites"))
	} else {
		p.Field("rules give", orNone(d.Access.String()))
	}
	if len(reasons) > 0 {
		p.Field("because", reasons...)
	}
	for _, problem := range d.Problems {
		p.Field("problem", p.Yellow(problem.String()))
	}
	if !d.ValidUntil.IsZero() {
		p.Field("until", d.ValidUntil.UTC().Format(time.RFC3339)+", then it is decided anew")
	}
}

// steps prints a plan.
func (p *view) steps(plan app.Plan, withheld []app.Block, settles time.Time) {
	var lines []string
	for _, s := range plan.Steps {
		mark := p.Green("+")
		if s.Reduces {
			mark = p.Red("-")
		}
		why := s.Why
		if s.Strategy != "" {
			why += "; by " + string(s.Strategy)
		}
		lines = append(lines, fmt.Sprintf("%s %s  %s", mark, s, p.Dim("("+why+")")))
	}
	if plan.TokensStay {
		lines = append(lines, p.Yellow("! tokens made before go on working: nothing here ends them without harm")+"  "+p.Dim("(tokens_stay)"))
	}
	for _, b := range withheld {
		lines = append(lines, p.Yellow("! "+b.Detail)+"  "+p.Dim("("+string(b.Reason)+")"))
	}
	if !settles.IsZero() {
		lines = append(lines, p.Yellow("~ what is taken away waits until "+settles.UTC().Format(time.RFC3339)))
	}
	if len(lines) == 0 {
		lines = []string{"nothing to change"}
	}
	p.Field("plan", lines...)
}

// orNone shows the absence of a value as a word.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// explainGroups prints what a set of groups would give on every target.
func (c *cli) explainGroups(ctx context.Context, groups []string, source string) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	name, err := door.SourceName(cfg, source)
	if err != nil {
		return err
	}
	decisions, unmatched, err := app.DecideGroups(ctx, cfg, name, groups, c.options())
	if err != nil {
		return err
	}
	p := c.view()
	for _, d := range decisions {
		p.Line("%s", p.Bold(d.Target))
		p.decision(d.Decision, d.Reasons, false)
	}
	for _, g := range unmatched {
		p.Field("note", p.Yellow(fmt.Sprintf("no rule matches group %q", g)))
	}
	return p.Err()
}
