package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// place is where a step of Person stands in its plan, as the comment of Person tells.
func place(s plan.Step, comeBack bool) int {
	switch s.Kind {
	case plan.DeleteUser: // only to add the account anew
		return 1
	case plan.AddUser, plan.InviteUser:
		return 2
	case plan.SetLdapUser:
		return 3
	case plan.RevokeTokens:
		if comeBack {
			return 4
		}
		return 10
	case plan.Demote:
		return 5
	case plan.SetAccess:
		return 6
	case plan.RemoveAccess:
		return 7
	case plan.SetEmail:
		return 8
	case plan.Promote:
		return 9
	case plan.RandomPassword, plan.Logout: // for leavers
	}
	return 0
}

// TestPerson_Order: the order is what keeps a mover's access and a stranger's hands off it, so it holds for every plan.
func TestPerson_Order(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		last, rank := 0, access.Admin.Rank()
		for _, s := range plan.Person(d.want, d.have, d.pol).Steps {
			at := place(s, d.want.ComeBack)
			if at < last || at == 0 {
				t.Fatalf("%s stands behind place %d", s, last)
			}
			last = at
			if s.Kind != plan.SetAccess {
				continue
			}
			if s.Role.Rank() > rank {
				t.Fatalf("%s: higher roles come first", s)
			}
			rank = s.Role.Rank()
		}
	})
}

// TestPerson_WellFormed: what Apply relies on without looking.
func TestPerson_WellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		plans := []plan.Plan{plan.Person(d.want, d.have, d.pol)}
		for _, phase := range []plan.Phase{plan.PhaseRevoke, plan.PhaseSeal, plan.PhaseDelete} {
			plans = append(plans, plan.Leaver(d.have, d.pol, phase))
		}
		for i, p := range plans {
			given := map[access.SiteID]bool{}
			for _, s := range p.Steps {
				if !slices.IsSorted(s.Sites) || len(slices.Compact(slices.Clone(s.Sites))) != len(s.Sites) {
					t.Fatalf("plan %d: %s: sites are not ascending", i, s)
				}
				if s.AllSites && (len(s.Sites) > 0 || s.Kind != plan.RemoveAccess) {
					t.Fatalf("plan %d: %s: all sites, and named ones", i, s)
				}
				// A password that is not there would stop the step, and a gate all that follow.
				if s.NeedsPassword && !d.pol.HasPassword {
					t.Fatalf("plan %d: %s needs a password", i, s)
				}
				if s.Kind == plan.RevokeTokens && s.Strategy != d.pol.Tokens {
					t.Fatalf("plan %d: %s by %q", i, s, s.Strategy)
				}
				if (s.Kind == plan.DeleteUser) != s.Destructive {
					t.Fatalf("plan %d: %s: destructive %v", i, s, s.Destructive)
				}
				for _, id := range s.Sites {
					if s.Kind == plan.RemoveAccess && given[id] {
						t.Fatalf("plan %d: %s takes away what was given", i, s)
					}
					given[id] = given[id] || s.Kind == plan.SetAccess
				}
			}
		}
	})
}

// TestPerson_ReducesIsTrue: a step that is not marked as reducing takes no right away. The settle time and the removal
// budget rest on the mark.
func TestPerson_ReducesIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		m := newModel(d.have, d.tokens)
		p := plan.Person(d.want, d.have, d.pol)
		for _, s := range p.Steps {
			before := rights(m.account(d.pol.Sites).Access, d.pol)
			if err := m.run(s, d.pol.Sites); err != nil {
				t.Fatal(err)
			}
			if lost := missingFrom(before, rights(m.account(d.pol.Sites).Access, d.pol)); len(lost) > 0 && !s.Reduces {
				t.Fatalf("%s is not marked, and takes %v", s, lost)
			}
		}
		// What counts for the budget: somebody who had access and ends without any.
		had := len(rights(d.have.Access, d.pol)) > 0
		if none := len(rights(m.account(d.pol.Sites).Access, d.pol)) == 0; had && none && p.Reduces() && !p.LosesAll {
			t.Fatalf("%v takes everything, and does not say so", p.Steps)
		}
	})
}

// TestPerson_BlocksAreReasons: what is wanted and not planned has a block, so that nobody waits for it in vain.
func TestPerson_BlocksAreReasons(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		p := plan.Person(d.want, d.have, d.pol)
		m := newModel(d.have, d.tokens)
		for _, s := range p.Steps {
			if err := m.run(s, d.pol.Sites); err != nil {
				t.Fatal(err)
			}
		}
		wanted := rights(d.want.Access, d.pol)
		if !d.want.Access.Superuser {
			for r := range wanted {
				if strings.HasPrefix(r, "9:") {
					delete(wanted, r)
				}
			}
		}
		lacks := missingFrom(wanted, rights(m.account(d.pol.Sites).Access, d.pol))
		if len(lacks) > 0 && len(p.Blocks) == 0 && !d.want.HoldAdditions {
			t.Fatalf("lacks %v after %v, and nothing says why", lacks, p.Steps)
		}
		for i, b := range p.Blocks {
			if b.Reason == "" || b.Detail == "" || slices.Contains(p.Blocks[:i], b) {
				t.Fatalf("block %d of %v says nothing new", i, p.Blocks)
			}
		}
	})
}

// TestPerson_LeavesArguments: plans of many people share policies and snapshots.
func TestPerson_LeavesArguments(t *testing.T) {
	shot := func(t *rapid.T, d drawn) string {
		text, err := json.Marshal([]any{d.want, d.have, d.pol})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.have.Doubled = []access.SiteID{2, 4}
		before := shot(t, d)
		p := plan.Person(d.want, d.have, d.pol)
		plan.VerifyPerson(d.want, d.have, d.pol)
		plan.Leaver(d.have, d.pol, plan.PhaseRevoke)
		for _, s := range p.Steps { // nor does a step's list lead back into them
			_ = append(s.Sites, 99)
			_ = append(s.Capabilities, "more")
		}
		if diff := cmp.Diff(before, shot(t, d)); diff != "" {
			t.Fatalf("arguments changed (-before +after):\n%s", diff)
		}
	})
}

func TestPerson_Database(t *testing.T) {
	// Strategy database goes behind Matomo's back: the step carries a setUserAccess that changes nothing, because only
	// such a call empties the tracker's cache.
	byDatabase := func(p *plan.Policy) { p.Tokens = plan.Database }
	noSites := func(p *plan.Policy) { p.Sites = nil }
	for _, tt := range []struct {
		name string
		p    plan.Plan
		step string
	}{
		{"come-back without access", plan.Person(want("1:view", comeBack), account(""), policy(byDatabase)), "revoke_tokens alice noaccess on 1"},
		{"come-back with access", plan.Person(want("1:view", comeBack), account("1:write"), policy(byDatabase)), "revoke_tokens alice write on 1"},
		{"role change", plan.Person(want("1:view+tagmanager_write"), account("1:admin"), policy(byDatabase, roleChange)), "revoke_tokens alice view+tagmanager_write on 1"},
		{"role change that removes the first site", plan.Person(want("2:view"), account("1:view"), policy(byDatabase, roleChange)), "revoke_tokens alice noaccess on 1"},
		{"after a promotion Matomo refuses site access", plan.Person(want("superuser"), account("1:view"), policy(byDatabase, roleChange)), "revoke_tokens alice"},
		{"no site to say it about", plan.Person(want("", comeBack), account(""), policy(byDatabase, noSites)), "revoke_tokens alice"},
		{"leaver", plan.Leaver(account("1:admin"), policy(byDatabase), plan.PhaseRevoke), "revoke_tokens alice noaccess on 1"},
		{"plugin needs none of it", plan.Leaver(account("1:admin"), policy(), plan.PhaseRevoke), "revoke_tokens alice"},
	} {
		i := slices.IndexFunc(tt.p.Steps, func(s plan.Step) bool { return s.Kind == plan.RevokeTokens })
		if i < 0 || tt.p.Steps[i].String() != tt.step {
			t.Errorf("%s: %v, want %s", tt.name, tt.p.Steps, tt.step)
		}
	}
}

func TestPerson_ComeBackGate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Account)
		gate   bool
	}{
		"tokens were not read": {func(*plan.Account) {}, true},
		"a token was seen":     {func(a *plan.Account) { a.TokensKnown, a.Tokens = true, make([]plan.Token, 1) }, true},
		"none was seen":        {func(a *plan.Account) { a.TokensKnown = true }, false},
	} {
		s := plan.Person(want("1:view", comeBack), account("", c.change), policy()).Steps[0]
		if s.Kind != plan.RevokeTokens || s.Gate != c.gate {
			t.Errorf("%s: first %s, gate %v", name, s, s.Gate)
		}
	}
}

// TestPerson_RecreatedAddress: the account is added anew under an address that Matomo takes, or not deleted at all.
func TestPerson_RecreatedAddress(t *testing.T) {
	at := func(s string) func(*plan.Account) { return func(a *plan.Account) { a.Email = s } }
	for _, tt := range []struct {
		name  string
		want  plan.Want
		have  plan.Account
		steps []string
	}{
		{
			"the wanted one", want("1:view", comeBack, mail("new@example.test")), account("", at("old@example.test")),
			[]string{"delete_user", "add_user new@example.test | gate", "set_access view on 1"},
		},
		{
			"the old one", want("1:view", comeBack, mail("ü@example.test")), account("", at("old@example.test")),
			[]string{"delete_user", "add_user old@example.test | gate", "set_access view on 1", "blocked: email_invalid"},
		},
		{"neither", want("1:view", comeBack, mail("")), account("", at("o'brien@example.test")), []string{"blocked: email_invalid"}},
		{"none at all", want("1:view", comeBack, mail("")), account("", at("")), []string{"blocked: email_missing"}},
	} {
		if diff := cmp.Diff(tt.steps, lines(plan.Person(tt.want, tt.have, policy(noTokens)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	recreate := policy(noTokens, func(p *plan.Policy) { p.LeaverTokens = plan.RevokeOrRecreate })
	p := plan.Leaver(account("1:view", at("o'brien@example.test")), recreate, plan.PhaseRevoke)
	if diff := cmp.Diff([]string{"remove_access on all sites", "blocked: email_invalid"}, lines(p)); diff != "" {
		t.Errorf("leaver (-want +got):\n%s", diff)
	}
}

// TestLeaver_AdditiveSparesNothing: what somebody else gave a leaver goes too. Additive is about people who stay.
func TestLeaver_AdditiveSparesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		one, two := d.pol, d.pol
		one.Manage, two.Manage = plan.Exclusive, plan.Additive
		for _, phase := range []plan.Phase{plan.PhaseRevoke, plan.PhaseSeal, plan.PhaseDelete} {
			if diff := cmp.Diff(lines(plan.Leaver(d.have, one, phase)), lines(plan.Leaver(d.have, two, phase))); diff != "" {
				t.Fatalf("%s (-exclusive +additive):\n%s", phase, diff)
			}
		}
	})
}

// TestLeaver_AgainAtAnyTime: a phase that was interrupted, or planned twice, ends the same.
func TestLeaver_AgainAtAnyTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		phase := rapid.SampledFrom([]plan.Phase{plan.PhaseRevoke, plan.PhaseSeal, plan.PhaseDelete}).Draw(t, "phase")
		steps := plan.Leaver(d.have, d.pol, phase).Steps
		whole, broken := newModel(d.have, d.tokens), newModel(d.have, d.tokens)
		cut := rapid.IntRange(0, len(steps)).Draw(t, "broken off after")
		for i, s := range steps {
			if err := whole.run(s, d.pol.Sites); err != nil {
				t.Fatal(err)
			}
			if i < cut {
				if err := broken.run(s, d.pol.Sites); err != nil {
					t.Fatal(err)
				}
			}
		}
		have := broken.account(d.pol.Sites)
		for _, s := range plan.Leaver(have, d.pol, phase).Steps {
			if err := broken.run(s, d.pol.Sites); err != nil {
				t.Fatal(err)
			}
		}
		// An account that was deleted to be added anew may stay away; it sees nothing either.
		if diff := cmp.Diff(rights(whole.account(d.pol.Sites).Access, d.pol), rights(broken.account(d.pol.Sites).Access, d.pol)); diff != "" {
			t.Fatalf("rights (-at once +in two goes):\n%s", diff)
		}
		if broken.exists && !whole.exists || broken.tokens && !whole.tokens {
			t.Fatalf("exists %v and %v, tokens %v and %v", whole.exists, broken.exists, whole.tokens, broken.tokens)
		}
	})
}
