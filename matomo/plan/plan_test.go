package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// caps are the capabilities of an instance with the Tag Manager, as recorded.
var caps = []plan.Capability{
	{ID: "tagmanager_write", IncludedInRoles: []access.Role{access.Write, access.Admin}},
	{ID: "tagmanager_publish_live_container", IncludedInRoles: []access.Role{access.Admin}},
}

// policy is the usual one: exclusive, plugin and password there, sites 1 to 5.
func policy(change ...func(*plan.Policy)) plan.Policy {
	p := plan.Policy{
		Manage: plan.Exclusive, SignIn: plan.SignInSSO, Tokens: plan.Plugin, HasPassword: true, RandomisePassword: true,
		CanLogout: true, Protected: []string{"bridge", "admin"}, Sites: []access.SiteID{1, 2, 3, 4, 5}, Capabilities: caps,
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func noPassword(p *plan.Policy) { p.HasPassword = false }
func noTokens(p *plan.Policy)   { p.Tokens, p.CanLogout = plan.NoStrategy, false }
func additive(p *plan.Policy)   { p.Manage = plan.Additive }
func roleChange(p *plan.Policy) { p.RevokeOnRoleChange = true }
func decrease(p *plan.Policy)   { p.RevokeOnDecrease = true }
func keepTokens(p *plan.Policy) { p.KeepAtLeaving = true }

// sites reads "1:view 2:write+tagmanager_write"; "superuser" may be one of the words.
func sites(s string) access.Access {
	a := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	for word := range strings.FieldsSeq(s) {
		if word == "superuser" {
			a.Superuser = true
			continue
		}
		id, rest, _ := strings.Cut(word, ":")
		names := strings.Split(rest, "+")
		n := 0
		for _, c := range id {
			n = n*10 + int(c-'0')
		}
		a.Sites[access.SiteID(n)] = access.SiteAccess{Role: access.Role(names[0]), Capabilities: access.Capabilities(names[1:]...)}
	}
	return a
}

// account is alice with the access given.
func account(s string, change ...func(*plan.Account)) plan.Account {
	a := plan.Account{Login: "alice", Email: "alice@example.test", Exists: true, Access: sites(s), OrphansKnown: true}
	if a.Access.Superuser {
		a.Access.Sites = nil
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func missing() plan.Account { return plan.Account{Login: "alice"} }

// want is what alice should have.
func want(s string, change ...func(*plan.Want)) plan.Want {
	w := plan.Want{Login: "alice", Email: "alice@example.test", Create: true, Access: sites(s), WithoutSuperuser: sites(s)}
	w.WithoutSuperuser.Superuser = false
	for _, c := range change {
		c(&w)
	}
	return w
}

func comeBack(w *plan.Want) { w.ComeBack = true }
func hold(w *plan.Want)     { w.HoldAdditions = true }
func drift(w *plan.Want)    { w.Drift = true }
func adopted(w *plan.Want)  { w.Adopted = true }

func granted(s string) func(*plan.Want) { return func(w *plan.Want) { w.Granted = sites(s) } }
func keep(s string) func(*plan.Want)    { return func(w *plan.Want) { w.Keep = sites(s) } }
func mail(s string) func(*plan.Want)    { return func(w *plan.Want) { w.Email = s } }

// lines shows a plan's steps and blocks, without the login everybody has here.
func lines(p plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		line := strings.Replace(s.String(), " alice", "", 1)
		if s.Gate {
			line += " | gate"
		}
		out = append(out, line)
	}
	for _, b := range p.Blocks {
		out = append(out, "blocked: "+string(b.Reason))
	}
	return out
}

func TestPlanPerson(t *testing.T) {
	all := func(s ...string) []string { return s }
	tests := []struct {
		name  string
		want  plan.Want
		have  plan.Account
		pol   plan.Policy
		steps []string
	}{
		{"nothing to do", want("1:view"), account("1:view"), policy(), nil},
		{
			"joiner", want("1:view 2:view 3:admin"), missing(), policy(),
			all("add_user alice@example.test", "set_access admin on 3", "set_access view on 1,2"),
		},
		{"joiner nobody asked for", want("1:view", func(w *plan.Want) { w.Create = false }), missing(), policy(), nil},
		{"joiner without access", want(""), missing(), policy(), all("add_user alice@example.test")},
		{"joiner as superuser", want("superuser 1:view"), missing(), policy(), all("add_user alice@example.test | gate", "promote")},
		{
			"joiner as superuser without password", want("superuser 1:view"), missing(), policy(noPassword),
			all("add_user alice@example.test", "set_access view on 1", "blocked: needs_password"),
		},
		{"joiner behind a deny that is unknown", want("1:view", hold), missing(), policy(), all("blocked: additions_held")},
		{"joiner without e-mail", want("1:view", mail("")), missing(), policy(), all("blocked: email_missing")},
		{"joiner with an impossible e-mail", want("1:view", mail("o'brien@example.test")), missing(), policy(), all("blocked: email_invalid")},
		{"joiner with an impossible login", want("1:view", func(w *plan.Want) { w.Login = "al ice" }), plan.Account{Login: "al ice"}, policy(), all("blocked: login_invalid")},
		{
			"joiner through LDAP", want("1:view"), missing(), policy(func(p *plan.Policy) { p.SignIn = plan.SignInLDAP }),
			all("add_user alice@example.test", "set_ldap_user", "set_access view on 1"),
		},
		{
			"joiner by invitation", want("2:admin 3:view"), missing(), policy(func(p *plan.Policy) { p.SignIn = plan.SignInInvite }),
			all("invite_user on 2 alice@example.test", "set_access admin on 2", "set_access view on 3"),
		},
		{
			"joiner by invitation whose site has the invited role", want("2:view"), missing(), policy(func(p *plan.Policy) { p.SignIn = plan.SignInInvite }),
			all("invite_user on 2 alice@example.test"),
		},
		{
			"superuser by invitation", want("superuser"), missing(), policy(func(p *plan.Policy) { p.SignIn = plan.SignInInvite }),
			all("invite_user on 1 alice@example.test | gate", "promote"),
		},
		{"nobody is invited to nothing", want(""), missing(), policy(func(p *plan.Policy) { p.SignIn = plan.SignInInvite }), all("blocked: invite_no_site")},

		{
			"mover keeps what is common and gains before losing", want("2:view 3:write"), account("1:admin 2:view"), policy(),
			all("set_access write on 3", "remove_access on 1"),
		},
		{
			"role and capabilities go together, implied ones are dropped", want("1:view+tagmanager_write 2:write+tagmanager_write"), account(""), policy(),
			all("set_access write on 2", "set_access view+tagmanager_write on 1"),
		},
		{"an implied capability is no difference", want("1:write+tagmanager_write"), account("1:write"), policy(), nil},
		{
			"unknown sites and capabilities are reported, the rest goes on", want("1:view+nonsense 9:view 2:view"), account("2:view"), policy(),
			all("set_access view on 1", "blocked: unknown_cap", "blocked: unknown_site"),
		},
		{
			"everything goes: all and every orphan", want(""), account("1:view 2:admin", func(a *plan.Account) { a.Orphans = []access.SiteID{77, 99} }), policy(),
			all("remove_access on all sites", "remove_access on 77,99"),
		},
		{"orphans alone", want("1:view"), account("1:view", func(a *plan.Account) { a.Orphans = []access.SiteID{77} }), policy(), all("remove_access on 77")},
		{"two roles on a site are made one", want("1:admin"), account("1:admin", func(a *plan.Account) { a.Doubled = []access.SiteID{1} }), policy(), all("set_access admin on 1")},
		{
			"a capability row without a role is removed", want(""), account("1:noaccess+tagmanager_write", func(a *plan.Account) { a.Doubled = []access.SiteID{1} }), policy(),
			all("remove_access on all sites"),
		},

		{"promotion", want("superuser 1:view"), account("1:view"), policy(), all("promote")},
		{
			"promotion without password leaves the sites", want("superuser 1:view 2:view"), account("1:view"), policy(noPassword),
			all("set_access view on 2", "blocked: needs_password"),
		},
		{"superuser stays", want("superuser"), account("superuser"), policy(), nil},
		{
			"demotion and grants, and the lost sites in so many words", want("1:view"), account("superuser"), policy(),
			all("demote", "set_access view on 1", "remove_access on 2,3,4,5"),
		},
		{"demotion to nothing", want(""), account("superuser"), policy(), all("demote", "remove_access on all sites")},
		{"demotion without password", want("1:view"), account("superuser"), policy(noPassword), all("blocked: needs_password")},

		{"e-mail", want("1:view", mail("new@example.test")), account("1:view"), policy(), all("set_email new@example.test")},
		{"e-mail in other case", want("1:view", mail("ALICE@example.test")), account("1:view"), policy(), nil},
		{
			"e-mail without password", want("2:view", mail("new@example.test")), account("1:view"), policy(noPassword),
			all("set_access view on 2", "remove_access on 1", "blocked: needs_password"),
		},
		{"impossible e-mail of somebody who exists", want("2:view", mail("ü@example.test")), account(""), policy(), all("set_access view on 2", "blocked: email_invalid")},

		{
			"come-back: tokens die before anything is granted", want("1:view", comeBack), account(""), policy(),
			all("revoke_tokens | gate", "set_access view on 1"),
		},
		{"come-back as superuser", want("superuser", comeBack), account(""), policy(), all("revoke_tokens | gate", "promote")},
		{
			"come-back without a strategy: anew", want("1:view", comeBack), account(""), policy(noTokens),
			all("delete_user", "add_user alice@example.test | gate", "set_access view on 1"),
		},
		{
			"come-back without a strategy keeps what an unresolved rule may have given", want("3:view", comeBack, keep("2:view")),
			account("1:view 2:admin"), policy(noTokens),
			all("delete_user", "add_user alice@example.test | gate", "set_access view on 2,3"),
		},
		{"come-back without a strategy to nothing", want("", comeBack), account(""), policy(noTokens), nil},
		{"come-back without a strategy of a superuser", want("superuser", comeBack), account("superuser"), policy(noTokens), all("blocked: tokens_live")},
		{"come-back of a deleted account", want("1:view", comeBack), missing(), policy(), all("add_user alice@example.test", "set_access view on 1")},
		{"come-back that is held", want("1:view", comeBack, hold), account(""), policy(noTokens), all("blocked: additions_held")},

		{"role change ends tokens", want("2:view"), account("1:view"), policy(roleChange), all("set_access view on 2", "remove_access on 1", "revoke_tokens")},
		{"role change never recreates", want("2:view"), account("1:view"), policy(roleChange, noTokens), all("set_access view on 2", "remove_access on 1")},
		{"not on first enforcement", want("2:view", adopted), account("1:view"), policy(roleChange), all("set_access view on 2", "remove_access on 1")},
		{"not on repair that only adds", want("1:view 2:view", drift), account("1:view"), policy(roleChange), all("set_access view on 2")},
		{"on repair that removes", want("1:view", drift), account("1:admin"), policy(roleChange), all("set_access view on 1", "revoke_tokens")},
		{"a gain ends them too", want("1:admin"), account("1:view"), policy(roleChange), all("set_access admin on 1", "revoke_tokens")},
		{"privilege_decrease: not at a gain", want("1:admin"), account("1:view"), policy(decrease), all("set_access admin on 1")},
		{"privilege_decrease: at a loss", want("1:view"), account("1:admin"), policy(decrease), all("set_access view on 1", "revoke_tokens")},
		{"privilege_decrease: at a lost site", want("1:view"), account("1:view 2:view"), policy(decrease), all("remove_access on 2", "revoke_tokens")},
		{"privilege_decrease: at a demotion", want("1:view"), account("superuser"), policy(decrease), all("demote", "set_access view on 1", "remove_access on 2,3,4,5", "revoke_tokens")},
		{"privilege_decrease: not at a promotion", want("superuser"), account("1:view"), policy(decrease), all("promote")},
		{"not for a new account", want("1:view"), missing(), policy(roleChange), all("add_user alice@example.test", "set_access view on 1")},
		{
			"not when it is seen that there is none", want("2:view"), account("1:view", func(a *plan.Account) { a.TokensKnown = true }), policy(roleChange),
			all("set_access view on 2", "remove_access on 1"),
		},

		{
			"hold: nothing is added, what goes still goes", want("1:admin 2:view", hold), account("1:view 3:view"), policy(),
			all("remove_access on 3", "blocked: additions_held"),
		},
		{"hold: no superuser", want("superuser 1:view", hold), account("1:view"), policy(), nil},
		{
			"keep: nothing of an unresolved rule is taken away", want("2:view", keep("1:write 3:view")), account("1:admin 2:view"), policy(),
			all("set_access write on 1"),
		},
		{"keep never adds", want("", keep("1:write")), account("1:view"), policy(), nil},
		{"keep superuser", want("", keep("superuser")), account("superuser"), policy(), nil},

		{"additive leaves what others gave", want("1:view"), account("1:view 2:admin"), policy(additive), nil},
		{"additive removes what we gave", want("", granted("1:view")), account("1:view 2:admin"), policy(additive), all("remove_access on 1")},
		{"additive lowers what we gave", want("1:view", granted("1:admin")), account("1:admin"), policy(additive), all("set_access view on 1")},
		{"additive keeps a role somebody raised", want("", granted("1:view")), account("1:admin"), policy(additive), nil},
		{"additive keeps a capability somebody added", want("", granted("1:view")), account("1:view+tagmanager_write"), policy(additive), nil},
		{"additive never names all", want("", granted("1:view")), account("1:view"), policy(additive), all("remove_access on 1")},
		{"additive leaves orphans of others", want("", granted("88:view")), account("", func(a *plan.Account) { a.Orphans = []access.SiteID{77, 88} }), policy(additive), all("remove_access on 88")},
		{"additive leaves a superuser of others", want("1:view"), account("superuser"), policy(additive), all("blocked: superuser_other")},
		{
			"additive demotes a superuser of ours", want("1:view", granted("superuser")), account("superuser"), policy(additive),
			all("demote", "set_access view on 1", "remove_access on 2,3,4,5"),
		},

		{"protected", want("1:view"), account("", func(a *plan.Account) { a.Login = "ADMIN" }), policy(), all("blocked: protected")},
		{"anonymous", want("1:view"), account("", func(a *plan.Account) { a.Login = "anonymous" }), plan.Policy{}, all("blocked: protected")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := plan.Person(tt.want, tt.have, tt.pol)
			if diff := cmp.Diff(tt.steps, lines(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			for _, s := range p.Steps {
				if s.Why == "" || s.Login == "" {
					t.Errorf("step without why or login: %+v", s)
				}
			}
		})
	}
}

func TestPlanLeaver(t *testing.T) {
	orInert := policy(noTokens)
	recreate := policy(noTokens, func(p *plan.Policy) { p.LeaverTokens = plan.RevokeOrRecreate })
	del := policy(noTokens, func(p *plan.Policy) { p.LeaverTokens = plan.RevokeOrDelete })
	tests := []struct {
		name  string
		have  plan.Account
		pol   plan.Policy
		phase plan.Phase
		steps []string
	}{
		{"access and tokens", account("1:view"), policy(), plan.PhaseRevoke, []string{"remove_access on all sites", "revoke_tokens"}},
		{"no row left: still in so many words", account(""), policy(), plan.PhaseRevoke, []string{"remove_access on all sites", "revoke_tokens"}},
		{
			"orphans", account("", func(a *plan.Account) { a.Orphans = []access.SiteID{9} }), policy(), plan.PhaseRevoke,
			[]string{"remove_access on all sites", "remove_access on 9", "revoke_tokens"},
		},
		{"superuser", account("superuser"), policy(), plan.PhaseRevoke, []string{"demote", "remove_access on all sites", "revoke_tokens"}},
		{"tokens stay, as configured", account("1:view"), policy(keepTokens), plan.PhaseRevoke, []string{"remove_access on all sites"}},
		{"sealed with them", account(""), policy(keepTokens), plan.PhaseSeal, []string{"random_password", "logout"}},
		{"superuser without password", account("superuser"), policy(noPassword), plan.PhaseRevoke, []string{"revoke_tokens", "blocked: needs_password"}},
		{"superuser without password or strategy", account("superuser"), policy(noPassword, noTokens), plan.PhaseRevoke, []string{"blocked: needs_password"}},
		{
			"superuser without password, deleting allowed", account("superuser"),
			policy(noPassword, func(p *plan.Policy) { p.DeleteSuperusersWithoutPassword = true }), plan.PhaseRevoke,
			[]string{"delete_user"},
		},
		{"tokens stay inert", account("1:view"), orInert, plan.PhaseRevoke, []string{"remove_access on all sites"}},
		{
			"or the account is recreated", account("1:view"), recreate, plan.PhaseRevoke,
			[]string{"remove_access on all sites", "delete_user", "add_user alice@example.test | gate"},
		},
		{"or deleted", account("1:view"), del, plan.PhaseRevoke, []string{"remove_access on all sites", "delete_user"}},
		{"pending invitation", account("1:view", func(a *plan.Account) { a.Invite = plan.InvitePending }), policy(), plan.PhaseRevoke, []string{"delete_user"}},
		{"seal", account(""), policy(), plan.PhaseSeal, []string{"random_password", "revoke_tokens", "logout"}},
		{"seal without password", account(""), policy(noPassword), plan.PhaseSeal, []string{"revoke_tokens", "logout", "blocked: needs_password"}},
		{"seal without mail", account(""), policy(func(p *plan.Policy) { p.RandomisePassword = false }), plan.PhaseSeal, []string{"revoke_tokens", "logout"}},
		{"seal with nothing", account(""), policy(noTokens), plan.PhaseSeal, []string{"random_password"}},
		{"delete", account(""), policy(), plan.PhaseDelete, []string{"delete_user"}},
		{"gone", missing(), policy(), plan.PhaseRevoke, nil},
		{"protected", account("1:view", func(a *plan.Account) { a.Login = "Bridge" }), policy(), plan.PhaseRevoke, []string{"blocked: protected"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.steps, lines(plan.Leaver(tt.have, tt.pol, tt.phase))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlan_Flags(t *testing.T) {
	tests := []struct {
		name                              string
		p                                 plan.Plan
		reduces, loses, losesAll, destroy bool
	}{
		{"addition", plan.Person(want("1:view 2:view"), account("1:view"), policy()), false, false, false, false},
		{"move", plan.Person(want("2:view"), account("1:view"), policy()), true, true, false, false},
		{"lower role", plan.Person(want("1:view"), account("1:admin"), policy()), true, false, false, false},
		{"all", plan.Person(want(""), account("1:view"), policy()), true, true, true, false},
		{"demotion", plan.Person(want("1:view"), account("superuser"), policy()), true, true, false, false},
		{"demotion to nothing", plan.Person(want(""), account("superuser"), policy()), true, true, true, false},
		{"leaver", plan.Leaver(account("1:view"), policy(), plan.PhaseRevoke), true, true, true, false},
		{"leaver without access", plan.Leaver(account(""), policy(), plan.PhaseRevoke), true, true, false, false},
		{"delete", plan.Leaver(account(""), policy(), plan.PhaseDelete), true, true, false, true},
		{"recreation that loses a site", plan.Person(want("2:view", comeBack), account("1:view 2:view"), policy(noTokens)), true, true, false, true},
		{"recreation of somebody without access", plan.Person(want("1:view", comeBack), account(""), policy(noTokens)), false, false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.p
			got := []bool{p.Reduces(), p.Loses, p.LosesAll, p.Destructive()}
			if diff := cmp.Diff([]bool{tt.reduces, tt.loses, tt.losesAll, tt.destroy}, got); diff != "" {
				t.Errorf("reduces, loses, loses all, destructive (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlan_Additions(t *testing.T) {
	tests := []struct {
		name  string
		want  plan.Want
		have  plan.Account
		steps []string
	}{
		{"nothing is taken away, so it is the plan", want("1:view 2:view"), account("1:view"), []string{"set_access view on 2"}},
		{"a move adds at once", want("2:view"), account("1:view"), []string{"set_access view on 2"}},
		{"a lower role waits", want("1:view"), account("1:admin"), nil},
		{
			"a site that gains and loses gains at once", want("1:write+tagmanager_publish_live_container"), account("1:view+tagmanager_use_custom_templates"),
			[]string{"set_access write+tagmanager_publish_live_container+tagmanager_use_custom_templates on 1"},
		},
		{"a demotion waits with everything", want("1:view"), account("superuser"), nil},
		{"the address does not wait", want("", mail("new@example.test")), account("1:view"), []string{"set_email new@example.test"}},
	}
	pol := policy()
	pol.Capabilities = append(slices.Clone(caps), plan.Capability{ID: "tagmanager_use_custom_templates"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			add := plan.Person(tt.want, tt.have, pol).Additions()
			if diff := cmp.Diff(tt.steps, lines(add)); diff != "" {
				t.Errorf("additions (-want +got):\n%s", diff)
			}
			if add.Reduces() {
				t.Error("additions reduce")
			}
		})
	}
}

func TestVerifyGone(t *testing.T) {
	seen := func(n int) func(*plan.Account) {
		return func(a *plan.Account) { a.TokensKnown, a.Tokens = true, make([]plan.Token, n) }
	}
	tests := []struct {
		name    string
		have    plan.Account
		pol     plan.Policy
		revoked bool
		tokens  plan.TokenState
	}{
		{"gone", missing(), policy(), true, plan.TokensDead},
		{"nothing left", account("", seen(0)), policy(), true, plan.TokensDead},
		{"inert", account(""), policy(noTokens), true, plan.TokensInert},
		{"a live token", account("", seen(1)), policy(), false, plan.TokensAlive},
		{"tokens were not read", account(""), policy(), false, plan.TokensUnknown},
		{"superuser", account("superuser", seen(0)), policy(), false, plan.TokensDead},
		{"a site", account("3:view", seen(0)), policy(), false, plan.TokensDead},
		{"an orphan", account("", seen(0), func(a *plan.Account) { a.Orphans = []access.SiteID{9} }), policy(), false, plan.TokensDead},
		{"orphans were not read", account("", seen(0), func(a *plan.Account) { a.OrphansKnown = false }), policy(), false, plan.TokensDead},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := plan.VerifyGone(tt.have, tt.pol)
			if g.Revoked != tt.revoked || g.Tokens != tt.tokens || g.Revoked != (len(g.Left) == 0) {
				t.Errorf("VerifyGone = %+v, want revoked %v and tokens %s", g, tt.revoked, tt.tokens)
			}
		})
	}
}

func TestVerifyPerson(t *testing.T) {
	pol := policy(roleChange)
	if left := plan.VerifyPerson(want("1:view", comeBack), account("1:view"), pol); len(left) != 0 {
		t.Errorf("agrees, and yet left = %v", left)
	}
	if left := plan.VerifyPerson(want("1:view 2:view"), account("1:view"), pol); len(left) != 1 {
		t.Errorf("left = %v, want one line", left)
	}
}

func TestValidateLogin(t *testing.T) {
	for _, ok := range []string{"ab", "alice", "müller", "Größe", "ÄÖÜ", "plus+user", "at@user.test", "under_score", "dash-user", "1234", strings.Repeat("a", 100)} {
		if b := plan.ValidateLogin(ok); b != nil {
			t.Errorf("%q: %v, want none", ok, b)
		}
	}
	for _, bad := range []string{
		"", "x", strings.Repeat("a", 101), strings.Repeat("ü", 51), "bad login", "naïve", "a/b", `a"b`, "a'b", "a,b", "a:b", "a;b", "a&b", "a%b", "日本語", "user😀",
		"exclam!", "tab\tx", "a\xffb", "nul\x00l",
	} {
		if b := plan.ValidateLogin(bad); b == nil || b.Reason != plan.LoginInvalid {
			t.Errorf("%q: %v, want login_invalid", bad, b)
		}
	}
}

func TestValidateEmail(t *testing.T) {
	for _, ok := range []string{"a@b.test", "plus+tag@example.test", "first.last@sub.example.test", "x_y-z@example.co", strings.Repeat("a", 64) + "@example.test", "1@2.test"} {
		if b := plan.ValidateEmail(ok); b != nil {
			t.Errorf("%q: %v, want none", ok, b)
		}
	}
	for _, bad := range []string{
		"not-an-email", "bob", "o'brien@example.test", "a&b@example.test", "ü@example.test", "a@ü.test", "a@localhost", "@example.test", "a@", "a..b@example.test", ".a@example.test", "a b@example.test",
		strings.Repeat("a", 65) + "@example.test", "a@" + strings.Repeat("b", 64) + ".test", "a@-b.test", "a@b.1", "a<b@example.test", "a@b..test",
		"a@" + strings.Repeat("b.", 60) + "test",
	} {
		if b := plan.ValidateEmail(bad); b == nil || b.Reason != plan.EmailInvalid {
			t.Errorf("%q: %v, want email_invalid", bad, b)
		}
	}
	if b := plan.ValidateEmail(""); b == nil || b.Reason != plan.EmailMissing {
		t.Errorf("empty: %v, want email_missing", b)
	}
}
