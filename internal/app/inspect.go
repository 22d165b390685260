package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// What commands ask without a running service: the state of every connection, what
// groups would give, and the rules as the files have them. Everything here reads;
// only Prepare and the engine change anything.

// Finding is one line of a check: what was looked at, how bad it is, and what
// to do about it.
type Finding struct {
	Level              Level
	Name, Text, Advice string
}

// CheckTargets looks at every Matomo of cfg and at the rules against their
// sites, and changes nothing.
func CheckTargets(ctx context.Context, cfg *config.Config, rules *mapping.Rules, opt Options) ([]Finding, error) {
	var closers cleanup
	defer closers.run(opt.Logger)
	targets, err := newTargets(cfg, opt, nil, &closers)
	if err != nil {
		return nil, err
	}
	var out []Finding
	if isRestored(cfg) {
		out = append(out, Finding{
			LevelWarn, "restore", "the database was restored from a backup: nothing is written to Matomo",
			"look at plan, then: matomo-scim-bridge restore --confirm, and restart",
		})
	}
	sites := map[string][]access.Site{}
	for _, t := range targets {
		for _, f := range t.Client.Check(ctx, t.Policy) {
			out = append(out, Finding{Level: f.Level, Name: t.Name + " " + f.Name, Text: f.Text, Advice: f.Advice})
		}
		if t.Mode == reconcile.Observe {
			out = append(out, Finding{
				LevelHint, t.Name + " mode", "observe: everything is computed and shown, nothing is written",
				"set mode: enforce when plan shows what you want",
			})
		}
		if snap, err := t.Client.ReadAccounts(ctx, nil, matomo.Read{}); err == nil {
			sites[t.Name] = snap.Sites
		}
	}
	for _, p := range rules.Lint(sites, time.Now()) {
		out = append(out, Finding{Level: LevelWarn, Name: "rule " + place(p.Rule), Text: p.Detail})
	}
	return out, nil
}

// place is where a rule stands.
func place(r mapping.RuleRef) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }

// GroupDecision is what a set of groups gives on one target.
type GroupDecision struct {
	Target   string
	Decision Decision
	// Reasons are the decision's reasons in words.
	Reasons []string
}

// DecideGroups tells what somebody in exactly the named groups of source would
// get on every target, and which of the groups no rule matches.
func DecideGroups(ctx context.Context, cfg *config.Config, source string, names []string, opt Options) (out []GroupDecision, unmatched []string, err error) {
	rules, _, err := LoadRules(cfg)
	if err != nil {
		return nil, nil, err
	}
	var closers cleanup
	defer closers.run(opt.Logger)
	targets, err := newTargets(cfg, opt, nil, &closers)
	if err != nil {
		return nil, nil, err
	}
	var subject mapping.Subject
	for _, name := range names {
		g := mapping.GroupRef{Source: source, Name: name}
		subject.Groups = append(subject.Groups, g)
		if len(rules.Matches(g)) == 0 {
			unmatched = append(unmatched, name)
		}
	}
	for _, t := range targets {
		snap, err := t.Client.ReadAccounts(ctx, nil, matomo.Read{})
		if err != nil {
			return nil, nil, fmt.Errorf("target %s: the rules need its sites: %w", t.Name, err)
		}
		d := mapping.Decide(rules, subject, t.Name, snap.Sites, time.Now())
		out = append(out, GroupDecision{Target: t.Name, Decision: d, Reasons: reconcile.ReasonTexts(d)})
	}
	return out, unmatched, nil
}

// UseFiles makes the engine decide with the rule files instead of the active
// rules, and reports whether the two differ.
func (s *Services) UseFiles(ctx context.Context) (differ bool, err error) {
	rules, _, err := LoadRules(s.Config)
	if err != nil {
		return false, err
	}
	active, err := s.Bindings.ActiveRules(ctx)
	if err != nil && !errors.Is(err, bindings.ErrNotFound) {
		return false, err
	}
	s.Engine.UseRules(rules)
	return active.Hash != rules.Hash(), nil
}
