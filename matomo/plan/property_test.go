package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// model is one account as Matomo's tables hold it, and the interpreter of plans: the recorded rules in forty lines.
type model struct {
	exists, super, tokens bool
	email                 string
	rows                  map[access.SiteID]map[string]bool
}

func newModel(a plan.Account, tokens bool) *model {
	m := &model{exists: a.Exists, super: a.Access.Superuser, tokens: tokens, email: a.Email, rows: map[access.SiteID]map[string]bool{}}
	for id, s := range a.Access.Sites {
		m.rows[id] = map[string]bool{string(s.Role): true}
		for _, c := range s.Capabilities {
			m.rows[id][c] = true
		}
	}
	for _, id := range a.Orphans {
		m.rows[id] = map[string]bool{"view": true}
	}
	return m
}

// run does one step the way Matomo does it.
func (m *model) run(s plan.Step, existing []access.SiteID) error {
	if s.Kind == plan.AddUser || s.Kind == plan.InviteUser {
		if m.exists {
			return fmt.Errorf("%s: exists", s)
		}
		*m = model{exists: true, email: s.Email, rows: map[access.SiteID]map[string]bool{}}
		for _, id := range s.Sites {
			m.rows[id] = map[string]bool{"view": true}
		}
		return nil
	}
	if !m.exists {
		return fmt.Errorf("%s: no such user", s)
	}
	switch s.Kind {
	case plan.DeleteUser:
		*m = model{}
	case plan.Demote, plan.Promote:
		m.super, m.rows = s.Kind == plan.Promote, map[access.SiteID]map[string]bool{}
	case plan.SetAccess, plan.RemoveAccess:
		if m.super {
			return fmt.Errorf("%s: is superuser", s)
		}
		ids := s.Sites
		if s.AllSites {
			ids = existing
		}
		for _, id := range ids {
			delete(m.rows, id)
			if s.Kind == plan.SetAccess {
				m.rows[id] = map[string]bool{string(s.Role): true}
				for _, c := range s.Capabilities {
					m.rows[id][c] = true
				}
			}
		}
	case plan.SetEmail:
		m.email = s.Email
	case plan.RevokeTokens:
		m.tokens = false
	case plan.SetLdapUser, plan.RandomPassword, plan.Logout:
	default:
		return fmt.Errorf("%s: unknown step", s)
	}
	return nil
}

// account reads the model the way a complete read does.
func (m *model) account(existing []access.SiteID) plan.Account {
	a := plan.Account{Login: "alice", Email: m.email, Exists: m.exists, OrphansKnown: true}
	a.Access.Superuser = m.super
	a.Access.Sites = map[access.SiteID]access.SiteAccess{}
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		if !slices.Contains(existing, id) {
			a.Orphans = append(a.Orphans, id)
			continue
		}
		var s access.SiteAccess
		for name := range m.rows[id] {
			if role, ok := access.ParseRole(name); ok {
				s.Role = access.Higher(s.Role, role)
			} else {
				s.Capabilities = access.Capabilities(append(s.Capabilities, name)...)
			}
		}
		a.Access.Sites[id] = s
	}
	return a
}

// rights lists what an access allows, one right a word, implied capabilities too.
func rights(a access.Access, pol plan.Policy) map[string]bool {
	out := map[string]bool{}
	if a.Superuser {
		out["superuser"] = true
	}
	for _, id := range pol.Sites {
		s := a.Sites[id]
		role := s.Role
		names := slices.Clone(s.Capabilities)
		if a.Superuser {
			role = access.Admin
		}
		for _, c := range pol.Capabilities {
			if a.Superuser || slices.Contains(c.IncludedInRoles, role) {
				names = append(names, c.ID)
			}
		}
		if role.Rank() <= 0 {
			continue
		}
		for _, r := range []access.Role{access.View, access.Write, access.Admin} {
			if role.Rank() >= r.Rank() {
				names = append(names, string(r))
			}
		}
		for _, n := range names {
			if known := access.Role(n).Rank() > 0 || slices.ContainsFunc(pol.Capabilities, func(c plan.Capability) bool { return c.ID == n }); known {
				out[fmt.Sprintf("%d:%s", id, n)] = true
			}
		}
	}
	return out
}

func missingFrom(sub, super map[string]bool) []string {
	var out []string
	for r := range sub {
		if !super[r] {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return out
}

func union(a, b map[string]bool) map[string]bool {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func common(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for r := range a {
		if b[r] {
			out[r] = true
		}
	}
	return out
}

// Generators.

func drawAccess(t *rapid.T, label string, ids []access.SiteID) access.Access {
	a := access.Access{Superuser: rapid.IntRange(0, 4).Draw(t, label+" superuser") == 0, Sites: map[access.SiteID]access.SiteAccess{}}
	for _, id := range ids {
		role := rapid.SampledFrom([]access.Role{access.NoAccess, access.NoAccess, access.View, access.Write, access.Admin}).Draw(t, fmt.Sprintf("%s role of %d", label, id))
		if role == access.NoAccess {
			continue
		}
		var names []string
		for _, c := range caps {
			if rapid.IntRange(0, 3).Draw(t, label+" has "+c.ID) == 0 {
				names = append(names, c.ID)
			}
		}
		a.Sites[id] = access.SiteAccess{Role: role, Capabilities: access.Capabilities(names...)}
	}
	return a
}

// stored drops what Matomo stores no row for.
func stored(a access.Access, pol plan.Policy) access.Access {
	if a.Superuser {
		return access.Access{Superuser: true}
	}
	for id, s := range a.Sites {
		s.Capabilities = access.Capabilities(slices.DeleteFunc(slices.Clone(s.Capabilities), func(n string) bool {
			return slices.ContainsFunc(pol.Capabilities, func(c plan.Capability) bool {
				return c.ID == n && slices.Contains(c.IncludedInRoles, s.Role)
			})
		})...)
		a.Sites[id] = s
	}
	return a
}

type drawn struct {
	want   plan.Want
	have   plan.Account
	pol    plan.Policy
	tokens bool
}

func draw(t *rapid.T) drawn {
	flip := func(label string) bool { return rapid.Bool().Draw(t, label) }
	d := drawn{tokens: flip("tokens alive")}
	d.pol = policy(func(p *plan.Policy) {
		p.HasPassword = flip("has password")
		p.RevokeOnRoleChange = flip("role change")
		p.Tokens = rapid.SampledFrom([]plan.Strategy{plan.Plugin, plan.NoStrategy}).Draw(t, "strategy")
		p.Manage = rapid.SampledFrom([]plan.Manage{plan.Exclusive, plan.Additive}).Draw(t, "manage")
		p.SignIn = rapid.SampledFrom([]plan.SignIn{plan.SignInSSO, plan.SignInLDAP, plan.SignInInvite}).Draw(t, "sign in")
		p.LeaverTokens = rapid.SampledFrom([]plan.LeaverTokens{plan.RevokeOrInert, plan.RevokeOrRecreate, plan.RevokeOrDelete}).Draw(t, "leaver tokens")
	})
	d.have = missing()
	if flip("exists") {
		d.have = account("")
		d.have.Access = stored(drawAccess(t, "have", d.pol.Sites), d.pol)
		if !d.have.Access.Superuser && rapid.IntRange(0, 3).Draw(t, "orphans") == 0 {
			d.have.Orphans = []access.SiteID{77}
		}
	}
	d.want = want("")
	d.want.Access = drawAccess(t, "want", append(slices.Clone(d.pol.Sites), 9))
	d.want.WithoutSuperuser = d.want.Access.Clone()
	d.want.WithoutSuperuser.Superuser = false
	d.want.Email = rapid.SampledFrom([]string{"alice@example.test", "new@example.test"}).Draw(t, "email")
	d.want.ComeBack = flip("come-back")
	d.want.HoldAdditions = rapid.IntRange(0, 4).Draw(t, "hold") == 0
	if flip("keeps") {
		d.want.Keep = drawAccess(t, "keep", d.pol.Sites)
	}
	d.want.Granted = drawAccess(t, "granted", d.pol.Sites)
	return d
}

// prefixes runs a plan step by step and calls check after each; done is true after the last step of a request.
func prefixes(t *rapid.T, d drawn, steps []plan.Step, check func(m *model, after string, done bool)) *model {
	m := newModel(d.have, d.tokens)
	for i, s := range steps {
		if err := m.run(s, d.pol.Sites); err != nil {
			t.Fatalf("step %d of %v: %v", i, steps, err)
		}
		check(m, s.String(), s.Gate || i == len(steps)-1)
	}
	return m
}

func TestI3_NoPrefixGivesMoreThanOldOrNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		allowed := union(rights(d.have.Access, d.pol), rights(d.want.Access, d.pol))
		check := func(m *model, after string, _ bool) {
			if more := missingFrom(rights(m.account(d.pol.Sites).Access, d.pol), allowed); len(more) > 0 {
				t.Fatalf("after %q: more than old or new: %v", after, more)
			}
		}
		p := plan.Person(d.want, d.have, d.pol)
		prefixes(t, d, p.Steps, check)
		prefixes(t, d, p.Additions().Steps, check)
		allowed = rights(d.have.Access, d.pol)
		for _, phase := range []plan.Phase{plan.PhaseRevoke, plan.PhaseSeal, plan.PhaseDelete} {
			prefixes(t, d, plan.Leaver(d.have, d.pol, phase).Steps, check)
		}
	})
}

func TestI3_ProtectedLoginsAreInNoPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.have.Login = rapid.SampledFrom([]string{"admin", "Admin", "ádmin", "BRIDGE", "anonymous", "Anonymous"}).Draw(t, "login")
		d.want.Login = d.have.Login
		plans := []plan.Plan{plan.Person(d.want, d.have, d.pol), plan.Leaver(d.have, d.pol, plan.PhaseRevoke)}
		for _, p := range plans {
			if !p.Empty() || !p.Additions().Empty() {
				t.Fatalf("plan for %s: %v", d.have.Login, p.Steps)
			}
		}
	})
}

func TestI4_SecondTimeChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		p := plan.Person(d.want, d.have, d.pol)
		if slices.ContainsFunc(p.Blocks, func(b plan.Block) bool { return b.Reason == plan.TokensLive }) {
			return // nothing more may be planned for this account
		}
		after := prefixes(t, d, p.Steps, func(*model, string, bool) {}).account(d.pol.Sites)
		if left := plan.VerifyPerson(d.want, after, d.pol); len(left) > 0 {
			t.Fatalf("after the plan %v is left of %s", left, after.Access)
		}
		d.want.ComeBack = false
		if again := plan.Person(d.want, after, d.pol); !again.Empty() {
			t.Fatalf("second plan: %v", again.Steps)
		}
	})
}

func TestI5_MoverKeepsWhatOldAndNewShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.want.ComeBack = false
		p := plan.Person(d.want, d.have, d.pol)
		end := prefixes(t, d, p.Steps, func(*model, string, bool) {}).account(d.pol.Sites).Access
		shared := common(rights(d.have.Access, d.pol), rights(end, d.pol))
		prefixes(t, d, p.Steps, func(m *model, after string, done bool) {
			if p.Has(plan.Demote) && !done {
				return // demotion wipes access in Matomo: the grants follow in the same request
			}
			if lost := missingFrom(shared, rights(m.account(d.pol.Sites).Access, d.pol)); len(lost) > 0 {
				t.Fatalf("after %q of %v: without %v", after, p.Steps, lost)
			}
		})
		for i, s := range p.Steps {
			if s.Gate && slices.ContainsFunc(p.Steps[:i], func(s plan.Step) bool { return s.Kind == plan.Demote }) {
				t.Fatalf("a gate behind the demotion tears the request: %v", p.Steps)
			}
		}
	})
}

func TestI6_PlanIsAFunction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		first := plan.Person(d.want, d.have, d.pol)
		d.want.Access, d.have.Access = d.want.Access.Clone(), d.have.Access.Clone()
		second := plan.Person(d.want, d.have, d.pol)
		if diff := cmp.Diff(first.Steps, second.Steps); diff != "" {
			t.Fatalf("same arguments, other plan:\n%s", diff)
		}
		if diff := cmp.Diff(first.Additions().Steps, second.Additions().Steps); diff != "" {
			t.Fatalf("same arguments, other additions:\n%s", diff)
		}
	})
}

// Whatever the account looked like, and whether the additions were applied before the rest: it ends as wanted.
func TestI6_SameEndFromAnyBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.pol.Manage, d.pol.HasPassword = plan.Exclusive, true
		d.want.HoldAdditions, d.want.Keep, d.want.ComeBack = false, access.Access{}, false
		p := plan.Person(d.want, d.have, d.pol)
		if len(p.Steps) == 0 && len(p.Blocks) > 0 {
			return
		}
		expected := rights(stored(d.want.Access.Clone(), d.pol), d.pol)
		direct := prefixes(t, d, p.Steps, func(*model, string, bool) {}).account(d.pol.Sites)
		if !maps.Equal(expected, rights(direct.Access, d.pol)) || len(direct.Orphans) > 0 {
			t.Fatalf("ends with %s and orphans %v, wanted %s", direct.Access, direct.Orphans, d.want.Access)
		}
		half := prefixes(t, d, p.Additions().Steps, func(*model, string, bool) {})
		rest := drawn{want: d.want, have: half.account(d.pol.Sites), pol: d.pol}
		two := prefixes(t, rest, plan.Person(d.want, rest.have, d.pol).Steps, func(*model, string, bool) {}).account(d.pol.Sites)
		if !maps.Equal(expected, rights(two.Access, d.pol)) {
			t.Fatalf("in two halves it ends with %s, wanted %s", two.Access, d.want.Access)
		}
	})
}

func TestI10_TokensDieBeforeAnythingIsGranted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.want.ComeBack, d.tokens = true, d.have.Exists
		if d.have.Exists && rapid.Bool().Draw(t, "tokens seen to be none") {
			d.have.TokensKnown, d.tokens = true, false
		}
		before := rights(d.have.Access, d.pol)
		p := plan.Person(d.want, d.have, d.pol)
		for _, steps := range [][]plan.Step{p.Steps, p.Additions().Steps} {
			dead := false
			prefixes(t, d, steps, func(m *model, after string, done bool) {
				gained := missingFrom(rights(m.account(d.pol.Sites).Access, d.pol), before)
				if len(gained) > 0 && m.tokens {
					t.Fatalf("after %q: gained %v while old tokens live", after, gained)
				}
				if len(gained) > 0 && d.have.Exists && !d.have.TokensKnown && !dead {
					t.Fatalf("after %q: gained %v in the request that ends the tokens: %v", after, gained, steps)
				}
				dead = dead || done && !m.tokens
			})
		}
	})
}

// anew reports whether somebody who comes back gets a new account for the old one: between the two they have nothing.
func anew(want plan.Want, steps []plan.Step) bool {
	return want.ComeBack && slices.ContainsFunc(steps, func(s plan.Step) bool { return s.Kind == plan.DeleteUser })
}

func TestPlan_AdditionsOnlyAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		had := rights(d.have.Access, d.pol)
		check := func(m *model, after string) {
			if lost := missingFrom(had, rights(m.account(d.pol.Sites).Access, d.pol)); len(lost) > 0 {
				t.Fatalf("after %q: lost %v", after, lost)
			}
		}
		steps := plan.Person(d.want, d.have, d.pol).Additions().Steps
		end := prefixes(t, d, steps, func(m *model, after string, _ bool) {
			if !anew(d.want, steps) {
				check(m, after)
			}
		})
		check(end, "the last step")
	})
}

func TestPlan_AdditiveKeepsWhatOthersGave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.pol.Manage = plan.Additive
		if d.have.Access.Superuser && d.want.Granted.Superuser {
			return // demotion wipes everything
		}
		foreign := map[string]bool{}
		for r := range rights(d.have.Access, d.pol) {
			if ours := rights(d.want.Granted, d.pol); !ours[r] {
				foreign[r] = true
			}
		}
		check := func(m *model, after string) {
			if lost := missingFrom(foreign, rights(m.account(d.pol.Sites).Access, d.pol)); len(lost) > 0 {
				t.Fatalf("after %q: took %v, which others gave", after, lost)
			}
		}
		steps := plan.Person(d.want, d.have, d.pol).Steps
		end := prefixes(t, d, steps, func(m *model, after string, _ bool) {
			if !anew(d.want, steps) {
				check(m, after)
			}
		})
		check(end, "the last step")
	})
}

func TestPlan_HoldAndKeep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.want.Keep.Superuser = d.want.Keep.Superuser && d.have.Access.Superuser
		had := rights(d.have.Access, d.pol)
		end := rights(prefixes(t, d, plan.Person(d.want, d.have, d.pol).Steps, func(*model, string, bool) {}).account(d.pol.Sites).Access, d.pol)
		if more := missingFrom(end, had); d.want.HoldAdditions && len(more) > 0 {
			t.Fatalf("held, and yet gained %v", more)
		}
		if d.have.Access.Superuser && !d.want.Keep.Superuser {
			return // superuser is not made of what is kept
		}
		if lost := missingFrom(common(had, rights(d.want.Keep, d.pol)), end); len(lost) > 0 {
			t.Fatalf("lost %v, which an unresolved rule keeps", lost)
		}
	})
}

func TestPlan_LeaverEndsWithoutAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		d.pol.HasPassword = true
		p := plan.Leaver(d.have, d.pol, plan.PhaseRevoke)
		m := prefixes(t, d, p.Steps, func(*model, string, bool) {})
		a := m.account(d.pol.Sites)
		if !a.Access.Empty() || len(a.Orphans) > 0 {
			t.Fatalf("left with %s and orphans %v", a.Access, a.Orphans)
		}
		if m.tokens && d.have.Exists && (d.pol.Tokens != plan.NoStrategy || d.pol.LeaverTokens != plan.RevokeOrInert) {
			t.Fatalf("tokens live after %v", p.Steps)
		}
	})
}
