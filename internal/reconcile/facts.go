package reconcile

import (
	"fmt"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
)

// What people are told about a decision: in the log, the audit trail, explain.

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

// reasonTexts are all reasons of an item's decision.
func reasonTexts(it *item) []string {
	out := make([]string, 0, len(it.decision.Reasons))
	for _, r := range it.decision.Reasons {
		if text := reasonText(r); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// rulesOf lists the rules that matched, as file:line.
func rulesOf(it *item) []string {
	var out []string
	for _, r := range it.decision.Reasons {
		if at := fmt.Sprintf("%s:%d", r.Rule.File, r.Rule.Line); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}

// firstRule is the rule that an audit entry can be found by; the entry lists
// all of them.
func firstRule(it *item) string {
	if rules := rulesOf(it); len(rules) > 0 {
		return rules[0]
	}
	return ""
}

// accountFacts is what the audit trail keeps of an account.
func accountFacts(a matomo.Account) map[string]any {
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

// sinceAccepted is how long ago the identity provider's request was accepted.
func (p *pass) sinceAccepted(it *item) time.Duration { return time.Since(it.b.AcceptedAt) }
