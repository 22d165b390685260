package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// agreed is somebody who has what they should, with tokens 1 and 2.
func agreed() (plan.Want, plan.Account, plan.Policy) {
	on := access.Access{Sites: map[access.SiteID]access.SiteAccess{1: {Role: access.View}}}
	want := plan.Want{Login: "ada", Email: "ada@x.org", Access: on, WithoutSuperuser: on}
	have := plan.Account{Login: "ada", Email: "ada@x.org", Exists: true, Access: on, Tokens: []plan.Token{{ID: 1}, {ID: 2}}, TokensKnown: true}
	return want, have, plan.Policy{Tokens: plan.Plugin, Sites: []access.SiteID{1, 2}}
}

func TestPerson_RequestedTokens(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*plan.Want, *plan.Account, *plan.Policy)
		steps  []string
		block  plan.Reason
	}{
		"nothing asked":      {func(*plan.Want, *plan.Account, *plan.Policy) {}, nil, ""},
		"all":                {func(w *plan.Want, _ *plan.Account, _ *plan.Policy) { w.EndTokens = true }, []string{"revoke_tokens ada"}, ""},
		"some":               {func(w *plan.Want, _ *plan.Account, _ *plan.Policy) { w.EndTokenIDs = []int{2, 9} }, []string{"revoke_tokens ada token 2"}, ""},
		"some that are gone": {func(w *plan.Want, _ *plan.Account, _ *plan.Policy) { w.EndTokenIDs = []int{8, 9} }, nil, ""},
		"all of nobody's":    {func(w *plan.Want, a *plan.Account, _ *plan.Policy) { w.EndTokens, a.Tokens = true, nil }, nil, ""},
		"some, unseen": {func(w *plan.Want, a *plan.Account, _ *plan.Policy) {
			w.EndTokenIDs, a.Tokens, a.TokensKnown = []int{7}, nil, false
		}, []string{"revoke_tokens ada token 7"}, ""},
		"some, through a database": {func(w *plan.Want, _ *plan.Account, p *plan.Policy) { w.EndTokenIDs, p.Tokens = []int{2}, plan.Database }, []string{"revoke_tokens ada view on 1"}, ""},
		"no way": {
			func(w *plan.Want, a *plan.Account, p *plan.Policy) {
				w.EndTokens, a.TokensKnown, p.Tokens = true, false, plan.NoStrategy
			}, nil, plan.TokensLive,
		},
		"with a role change": {
			func(w *plan.Want, _ *plan.Account, p *plan.Policy) {
				w.EndTokens, p.RevokeOnRoleChange = true, true
				w.Access = access.Access{Sites: map[access.SiteID]access.SiteAccess{1: {Role: access.Write}}}
			},
			[]string{"set_access ada write on 1", "revoke_tokens ada"},
			"",
		},
	} {
		want, have, pol := agreed()
		tc.change(&want, &have, &pol)
		p := plan.Person(want, have, pol)
		var steps []string
		for _, s := range p.Steps {
			steps = append(steps, s.String())
		}
		if diff := cmp.Diff(tc.steps, steps); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if (len(p.Blocks) > 0) != (tc.block != "") || tc.block != "" && p.Blocks[0].Reason != tc.block {
			t.Errorf("%s: blocks %v", name, p.Blocks)
		}
	}
}

// A request changes nothing but tokens: access, order and everything else of a plan stay as they are without it.
func TestPerson_ARequestChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		without := plan.Person(d.want, d.have, d.pol)
		asked := d.want
		if asked.EndTokens = rapid.Bool().Draw(t, "all"); !asked.EndTokens {
			asked.EndTokenIDs = rapid.SliceOfN(rapid.IntRange(1, 5), 1, 3).Draw(t, "ids")
		}
		with := plan.Person(asked, d.have, d.pol)
		if len(with.Steps) < len(without.Steps) {
			t.Fatalf("steps are gone: %v", with.Steps)
		}
		if diff := cmp.Diff(fmt.Sprint(without.Steps), fmt.Sprint(with.Steps[:len(without.Steps)])); diff != "" {
			t.Fatalf("other steps:\n%s", diff)
		}
		for _, s := range with.Steps[len(without.Steps):] {
			if s.Kind != plan.RevokeTokens || !s.Reduces {
				t.Fatalf("step %s is no end of tokens", s)
			}
		}
	})
}
