package papers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/internal/app"
)

// An entry of a form that this release does not know is shown as it is, never left out: the record
// outlives the programs that wrote it, and an auditor must see all of it.

// Entry prints one entry of somebody's history: when and what, who asked, what it was before and
// after or what was planned and why, and what Matomo answered.
func Entry(p *terminal.Printer, r app.HistoryEntry) {
	// A credential is often called as its source is; then one word says both.
	who := clean(orNone(r.Actor))
	if r.Source != "" && r.Source != r.Actor {
		who += " through " + clean(r.Source)
	}
	if r.RequestID != "" {
		who += ", request " + clean(r.RequestID)
	}
	p.Line("%s  %s  %s", p.Bold(r.At.UTC().Format(time.DateTime)), p.Cyan(r.Kind), p.Dim(fmt.Sprintf("#%d", r.Seq)))
	p.Field("by", who)
	if r.Login != "" {
		p.Field("account", clean(r.Login)+" on "+r.Target)
	}
	// An intent holds the plan. Its steps stand in the detail, one line for people; what is wanted from
	// the rest is why.
	if r.Group != "" {
		// The ids of a group's members say nothing to people; what became of this person's membership does.
		p.Field("what", map[bool]string{true: "came into group ", false: "left group "}[r.Joined]+clean(r.Group))
		return
	}
	var plan struct {
		Reasons  []string
		Steps    []struct{ Kind, Why string }
		Event    string
		Evidence struct{ ID, SHA256 string }
		Withheld []struct{ Detail, Reason string }
	}
	after, _ := r.After.(json.RawMessage)
	planned := strings.HasPrefix(r.Kind, "intent.") && json.Unmarshal(after, &plan) == nil
	value(p, "before", r.Before)
	if !planned {
		value(p, "after", r.After)
	}
	if r.Detail != "" {
		p.Field("what", clean(r.Detail))
	}
	if planned {
		// A rule explains what is given. Steps that only take away say themselves why.
		if !slices.ContainsFunc(plan.Steps, func(s struct{ Kind, Why string }) bool { return slices.Contains(giving, s.Kind) }) {
			plan.Reasons = nil
			for _, s := range plan.Steps {
				if s.Why != "" && !slices.Contains(plan.Reasons, s.Why) {
					plan.Reasons = append(plan.Reasons, s.Why)
				}
			}
		}
		if len(plan.Reasons) == 0 {
			plan.Reasons = []string{whyOf(r.Kind, plan.Event)}
		}
		for i, reason := range plan.Reasons {
			plan.Reasons[i] = clean(reason)
		}
		p.Field("why", plan.Reasons...)
		for _, b := range plan.Withheld {
			p.Field("not done", clean(fmt.Sprintf("%s (%s)", b.Detail, b.Reason)))
		}
		if plan.Evidence.ID != "" {
			p.Field("evidence", plan.Evidence.ID+" sha256 "+plan.Evidence.SHA256)
		}
	} else if r.Rule != "" {
		p.Field("rule", r.Rule)
	}
	answer(p, r.Answer)
}

// A rule explains what is given. What is taken away has reasons of another kind: somebody left, a clock ran
// out, a group was left and no other gives the same.

// giving are the kinds of steps that a rule explains.
var giving = []string{"add_user", "invite_user", "set_access", "promote"}

// whyOf is why something is done that no rule gives.
func whyOf(kind, event string) string {
	switch {
	case kind == "intent.seal":
		return "the person left: the password goes, and with it sessions and new tokens"
	case kind == "intent.delete":
		return "the time of the account is over, or somebody asked for it"
	case event == "leaver":
		return "the person left"
	case event == "drift":
		return "Matomo was changed by somebody else"
	case event == "":
		return "its time had come, or somebody asked for it"
	default:
		return "no rule gives this person anything"
	}
}

// value prints what an entry holds as it was written; nothing when it holds nothing.
func value(p *terminal.Printer, name string, v any) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		return
	}
	p.Field(name, clean(string(raw)))
}

// Matomo answers each step by itself, and goes on after one that failed. So each has its line: a plan of
// which one step failed is neither done nor undone.

// answer prints what Matomo said, a line for each step.
func answer(p *terminal.Printer, v any) {
	raw, ok := v.(json.RawMessage)
	if !ok {
		return
	}
	var steps []struct{ Step, Answer string }
	if json.Unmarshal(raw, &steps) != nil || len(steps) == 0 || steps[0].Step == "" {
		p.Field("answer", clean(string(raw)))
		return
	}
	lines := make([]string, len(steps))
	for i, s := range steps {
		mark := p.Green("ok")
		if s.Answer != "ok" {
			mark = p.Red(clean(s.Answer))
		}
		lines[i] = clean(s.Step) + ": " + mark
	}
	p.Field("matomo", lines...)
}
