package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/internal/app"
)

// The history of one person, for somebody who asks "who gave her that, and when did it go?".
//
// Rules of this file:
//
//   - Nothing is read but the record, and every line of the answer is in it: who, when, what, why, and
//     what Matomo said.
//   - An entry of a form that this release does not know is shown as it is, never left out.

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
			from, err := moment(since)
			if err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			return c.withServices(cmd.Context(), func(ctx context.Context, s *app.Services) error {
				p := c.view()
				n, err := s.History(ctx, args[0], from, func(r app.AuditRow) error {
					p.entry(r)
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

// entry prints one entry of a history.
func (p *view) entry(r app.AuditRow) {
	who := orNone(r.Actor)
	if r.Source != "" && r.Source != r.Actor {
		who += " through " + r.Source
	}
	if r.RequestID != "" {
		who += ", request " + r.RequestID
	}
	p.Line("%s  %s  %s", p.Bold(r.At.UTC().Format(time.DateTime)), p.Cyan(r.Kind), p.Dim(fmt.Sprintf("#%d", r.Seq)))
	p.Field("by", who)
	if r.Login != "" {
		p.Field("account", r.Login+" on "+r.Target)
	}
	var plan struct {
		Reasons  []string
		Event    string
		Evidence struct{ ID, SHA256 string }
		Withheld []struct{ Detail, Reason string }
	}
	after, _ := r.After.(json.RawMessage)
	planned := strings.HasPrefix(r.Kind, "intent.") && json.Unmarshal(after, &plan) == nil
	p.value("before", r.Before)
	if !planned {
		p.value("after", r.After)
	}
	if r.Detail != "" {
		p.Field("what", r.Detail)
	}
	if planned {
		if len(plan.Reasons) == 0 {
			plan.Reasons = []string{whyOf(plan.Event)}
		}
		p.Field("why", plan.Reasons...)
		for _, b := range plan.Withheld {
			p.Field("not done", fmt.Sprintf("%s (%s)", b.Detail, b.Reason))
		}
		if plan.Evidence.ID != "" {
			p.Field("evidence", plan.Evidence.ID+" sha256 "+plan.Evidence.SHA256)
		}
	} else if r.Rule != "" {
		p.Field("rule", r.Rule)
	}
	p.answer(r.Answer)
}

// whyOf is why something is done that no rule gives.
func whyOf(event string) string {
	switch event {
	case "leaver":
		return "the person left"
	case "drift":
		return "Matomo was changed by somebody else"
	case "":
		return "its time had come, or somebody asked for it"
	default:
		return "no rule gives this person anything"
	}
}

// value prints a JSON object as name=value, one line.
func (p *view) value(name string, v any) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		return
	}
	p.Field(name, string(raw))
}

// answer prints what Matomo said, a line for each step.
func (p *view) answer(v any) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		return
	}
	var steps []struct{ Step, Answer string }
	if json.Unmarshal(raw, &steps) != nil || len(steps) == 0 || steps[0].Step == "" {
		p.Field("answer", string(raw))
		return
	}
	lines := make([]string, len(steps))
	for i, s := range steps {
		mark := p.Green("ok")
		if s.Answer != "ok" {
			mark = p.Red(s.Answer)
		}
		lines[i] = s.Step + ": " + mark
	}
	p.Field("matomo", lines...)
}
