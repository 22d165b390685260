package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo/plan"
)

// first is the strategy that is used of those that are there.
func first(ways []plan.Strategy) plan.Strategy {
	if len(ways) == 0 {
		return plan.NoStrategy
	}
	return ways[0]
}

func TestTokenWays(t *testing.T) {
	tests := []struct {
		setting   plan.Strategy
		version   string
		plugin    bool
		db        bool
		want      plan.Strategy
		wantInert bool
	}{
		{plan.Auto, "5.1.2", true, true, plan.Plugin, false},
		{plan.Auto, "5.1.2", false, true, plan.Database, false},
		{plan.Auto, "5.1.2", false, false, plan.NoStrategy, true},
		{plan.Auto, "3.14.1", false, false, plan.Regenerate, false},
		{plan.Database, "5.1.2", true, false, plan.NoStrategy, true},
		{plan.Database, "5.1.2", true, true, plan.Database, false},
		{plan.Recreate, "5.1.2", true, true, plan.NoStrategy, true},
	}
	costs := map[string]bool{}
	for _, tt := range tests {
		got := first(plan.TokenWays(tt.setting, tt.version, tt.plugin, tt.db))
		if got != tt.want {
			t.Errorf("TokenWays(%s, %s, plugin %v, db %v) = %q, want %q", tt.setting, tt.version, tt.plugin, tt.db, got, tt.want)
		}
		costs[plan.TokenCost(got)] = true
		if inert := strings.Contains(plan.TokenCost(got), "cannot be ended"); inert != tt.wantInert {
			t.Errorf("cost of %q says inert: %v", got, inert)
		}
	}
	if len(costs) != 4 {
		t.Errorf("%d different costs, want 4", len(slices.Collect(maps.Keys(costs))))
	}
}

// What should end tokens and cannot is in the plan, for the audit trail and the
// metric, and nothing else is.
func TestPerson_SaysWhenTokensStay(t *testing.T) {
	none := func(a *plan.Account) { a.TokensKnown = true }
	for name, tt := range map[string]struct {
		want plan.Want
		have plan.Account
		pol  plan.Policy
		stay bool
	}{
		"nothing ends them":      {want("2:view"), account("1:view"), policy(roleChange, noTokens), true},
		"a decrease":             {want("1:view"), account("1:admin"), policy(decrease, noTokens), true},
		"a gain, by decrease":    {want("1:admin"), account("1:view"), policy(decrease, noTokens), false},
		"they end":               {want("2:view"), account("1:view"), policy(roleChange), false},
		"nothing changes":        {want("1:view"), account("1:view"), policy(roleChange, noTokens), false},
		"there is none":          {want("2:view"), account("1:view", none), policy(roleChange, noTokens), false},
		"first enforcement":      {want("2:view", adopted), account("1:view"), policy(roleChange, noTokens), false},
		"a new account":          {want("1:view"), missing(), policy(roleChange, noTokens), false},
		"a repair that adds":     {want("1:view 2:view", drift), account("1:view"), policy(roleChange, noTokens), false},
		"not asked for":          {want("2:view"), account("1:view"), policy(noTokens), false},
		"an address, not access": {want("1:view", mail("n@example.test")), account("1:view"), policy(roleChange, noTokens), false},
	} {
		if got := plan.Person(tt.want, tt.have, tt.pol).TokensStay; got != tt.stay {
			t.Errorf("%s: tokens stay %t, want %t", name, got, tt.stay)
		}
	}
}

// Every token step carries what is to be tried next, and the call that empties the
// tracker's cache when one of them is the database.
func TestTokenSteps_CarryTheFallback(t *testing.T) {
	pol := policy(roleChange, func(p *plan.Policy) { p.TokenFallback = []plan.Strategy{plan.Database} })
	for name, p := range map[string]plan.Plan{
		"leaver":      plan.Leaver(account("1:view"), pol, plan.PhaseRevoke),
		"seal":        plan.Leaver(account(""), pol, plan.PhaseSeal),
		"role change": plan.Person(want("2:view"), account("1:view"), pol),
		"come-back":   plan.Person(want("1:view", comeBack), account(""), pol),
	} {
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.RevokeTokens })
		if i < 0 {
			t.Fatalf("%s: no token step in %v", name, p.Steps)
		}
		s := p.Steps[i]
		if s.Strategy != plan.Plugin || !slices.Equal(s.Fallback, []plan.Strategy{plan.Database}) || len(s.Sites) != 1 {
			t.Errorf("%s: %+v", name, s)
		}
		if strings.Contains(s.String(), " on ") {
			t.Errorf("%s: %q reads as if it were about a site", name, s)
		}
	}
}

// What can be seen and must not, or cannot, be ended is inert and never "live":
// otherwise such a leaver would be retried for ever.
func TestVerifyGone_TokensThatStay(t *testing.T) {
	alive := account("", func(a *plan.Account) { a.TokensKnown, a.OrphansKnown, a.Tokens = true, true, []plan.Token{{ID: 1}} })
	blind := account("", func(a *plan.Account) { a.OrphansKnown = true })
	for name, tt := range map[string]struct {
		have plan.Account
		pol  plan.Policy
		want plan.TokenState
	}{
		"seen, to be ended":           {alive, policy(), plan.TokensAlive},
		"seen, and nothing ends them": {alive, policy(noTokens), plan.TokensInert},
		"seen, and kept":              {alive, policy(keepTokens), plan.TokensInert},
		"not seen, to be ended":       {blind, policy(), plan.TokensUnknown},
		"not seen, and kept":          {blind, policy(keepTokens), plan.TokensInert},
	} {
		g := plan.VerifyGone(tt.have, tt.pol)
		if g.Tokens != tt.want || g.Revoked != (tt.want == plan.TokensInert) {
			t.Errorf("%s: %+v, want %s", name, g, tt.want)
		}
	}
}
