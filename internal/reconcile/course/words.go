package course

import (
	"fmt"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
)

// What people are told about a case: in the log, the audit trail, explain.

// reasonText is one reason in one line: who matched which rule, and what it
// gives.
func reasonText(r mapping.Reason) string {
	who := "the person's attributes"
	if r.Group.Name != "" {
		who = fmt.Sprintf("group %q", r.Group.Name)
		if r.Group.Source != "" {
			who += " of " + r.Group.Source
		}
	}
	text := fmt.Sprintf("%s: %s (%s:%d)", who, r.Grant, r.Rule.File, r.Rule.Line)
	if !r.Effective {
		text += ", outranked"
	}
	return text
}

// ReasonTexts are the reasons of a decision, a line each: who matched which
// rule, and what it gives.
func ReasonTexts(d mapping.Decision) []string {
	out := make([]string, 0, len(d.Reasons))
	for _, r := range d.Reasons {
		if text := reasonText(r); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// Rules lists the rules that matched, as file:line.
func (c *Case) Rules() []string {
	var out []string
	for _, r := range c.Decision.Reasons {
		if at := fmt.Sprintf("%s:%d", r.Rule.File, r.Rule.Line); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}

// FirstRule is the rule that an audit entry can be found by; the entry lists
// all of them.
func (c *Case) FirstRule() string {
	if rules := c.Rules(); len(rules) > 0 {
		return rules[0]
	}
	return ""
}

// AccountFacts is what the audit trail keeps of an account.
func AccountFacts(a matomo.Account) map[string]any {
	if !a.Exists {
		return map[string]any{"exists": false}
	}
	facts := map[string]any{"exists": true, "access": a.Access.String(), "email": a.Email}
	if a.TokensKnown {
		facts["tokens"] = len(a.Tokens)
	}
	if a.Invite != "" {
		facts["invite"] = string(a.Invite)
	}
	return facts
}

// PlanText is a plan in one line, for a binding's detail and for people.
func PlanText(plan matomo.Plan, blocks []matomo.Block) string {
	var parts []string
	for _, s := range plan.Steps {
		parts = append(parts, s.String())
	}
	if plan.TokensStay {
		parts = append(parts, "not: tokens made before go on working, because nothing here ends them without harm (tokens_stay)")
	}
	for _, b := range blocks {
		parts = append(parts, fmt.Sprintf("not: %s (%s)", b.Detail, b.Reason))
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, "; ")
}

// accessText is an account's access in one line.
func accessText(account matomo.Account) string {
	if !account.Exists {
		return "no account"
	}
	return account.Access.String()
}
