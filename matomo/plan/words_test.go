package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/plan"
)

func TestStep_String(t *testing.T) {
	for _, tt := range []struct {
		step plan.Step
		want string
	}{
		{plan.Step{Kind: plan.Promote, Login: "alice"}, "promote alice"},
		{plan.Step{Kind: plan.SetAccess, Login: "alice", Role: access.View, Sites: []access.SiteID{1, 20}}, "set_access alice view on 1,20"},
		{
			plan.Step{Kind: plan.SetAccess, Login: "alice", Role: access.View, Capabilities: []string{"a", "b"}, Sites: []access.SiteID{3}},
			"set_access alice view+a+b on 3",
		},
		{plan.Step{Kind: plan.RemoveAccess, Login: "alice", AllSites: true}, "remove_access alice on all sites"},
		{plan.Step{Kind: plan.AddUser, Login: "alice", Email: "a@b.test"}, "add_user alice a@b.test"},
	} {
		if got := tt.step.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestPlan_JSON: the audit log keeps plans for years, so the names in it stay, and what does not apply is left out.
func TestPlan_JSON(t *testing.T) {
	p := plan.Person(want("1:view+tagmanager_write 9:view"), account("2:view"), policy())
	got, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const expected = `{"login":"alice","steps":[` +
		`{"kind":"set_access","login":"alice","role":"view","capabilities":["tagmanager_write"],"sites":[1],"why":"wanted view+tagmanager_write, has nothing"},` +
		`{"kind":"remove_access","login":"alice","sites":[2],"why":"no rule gives access there","reduces":true}],` +
		`"blocks":[{"reason":"unknown_site","detail":"site 9 does not exist"}],"loses":true}`
	if diff := cmp.Diff(expected, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	var back plan.Plan
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(p), lines(back)); diff != "" || back.Reduces() != p.Reduces() {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// TestPerson_Why: a reader of the log learns what was there before.
func TestPerson_Why(t *testing.T) {
	for _, tt := range []struct{ have, why string }{
		{"", "wanted write, has nothing"},
		{"1:view 2:view", "wanted write, has view"},
		{"1:view 2:admin", "wanted write, has other access"},
		{"2:view", "wanted write, has other access"},
	} {
		p := plan.Person(want("1:write 2:write"), account(tt.have), policy())
		if p.Steps[0].Why != tt.why {
			t.Errorf("with %q: %q, want %q", tt.have, p.Steps[0].Why, tt.why)
		}
	}
}

// TestPerson_NamesTheAccount: steps carry the spelling of getUsers, since setUserAccess stores whatever it is sent
// (trap 5); only an account that is not there goes by the wanted one.
func TestPerson_NamesTheAccount(t *testing.T) {
	spelled := func(a *plan.Account) { a.Login = "Alice" }
	for _, tt := range []struct {
		have  plan.Account
		login string
	}{{account("1:view", spelled), "Alice"}, {missing(), "alice"}, {plan.Account{}, "alice"}} {
		p := plan.Person(want("2:view 3:admin"), tt.have, policy())
		if p.Login != tt.login || len(p.Steps) == 0 {
			t.Errorf("plan of %q with %d steps, want %q", p.Login, len(p.Steps), tt.login)
		}
		for _, s := range p.Steps {
			if s.Login != tt.login {
				t.Errorf("%s, want %q", s, tt.login)
			}
		}
	}
}

func TestPolicy_Protects(t *testing.T) {
	pol := policy(func(p *plan.Policy) { p.Protected = []string{"Bridge", "müller"} })
	for login, want := range map[string]bool{
		"bridge": true, "BRIDGE": true, "Müller": true, "MULLER": true, "anonymous": true, "Anonymous": true,
		"bridge2": false, "alice": false, "": false,
	} {
		if got := pol.Protects(login); got != want {
			t.Errorf("%q is protected: %v", login, got)
		}
	}
	if zero := (plan.Policy{}); !zero.Protects("ANONYMOUS") || zero.Protects("bridge") {
		t.Error("without a list want anonymous alone")
	}
}

func TestVerifyGone_Left(t *testing.T) {
	have := account("2:view+tagmanager_write 1:admin", func(a *plan.Account) {
		a.Orphans, a.Tokens, a.TokensKnown = []access.SiteID{77, 88}, make([]plan.Token, 2), true
	})
	want := []string{"site 1: admin", "site 2: view+tagmanager_write", "rows for sites that do not exist: 77,88", "live tokens"}
	if diff := cmp.Diff(want, plan.VerifyGone(have, policy()).Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	have = account("superuser", func(a *plan.Account) { a.OrphansKnown = false })
	want = []string{"superuser", "rows for sites that do not exist were not read", "tokens were not read"}
	if diff := cmp.Diff(want, plan.VerifyGone(have, policy()).Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestVerifyPerson_AgreesWithThePlan: after a plan that nothing blocks, nothing is left to do.
func TestVerifyPerson_AgreesWithThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		p := plan.Person(d.want, d.have, d.pol)
		m := newModel(d.have, d.tokens)
		for _, s := range p.Steps {
			if err := m.run(s, d.pol.Sites); err != nil {
				t.Fatal(err)
			}
		}
		if len(p.Blocks) > 0 {
			return
		}
		if left := plan.VerifyPerson(d.want, m.account(d.pol.Sites), d.pol); len(left) > 0 {
			t.Fatalf("left %v after %v", left, p.Steps)
		}
	})
}

// TestValidateLogin_Letters: 2 to 100 bytes of the letters are a login, and one other character spoils it.
func TestValidateLogin_Letters(t *testing.T) {
	letters := rapid.StringMatching(`[a-zA-Z0-9_.@+ÄäÖöÜüß-]{0,60}`)
	other := rapid.Rune().Filter(func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-ÄäÖöÜüß", r)
	})
	rapid.Check(t, func(t *rapid.T) {
		login := letters.Draw(t, "login")
		b := plan.ValidateLogin(login)
		if fits := len(login) >= 2 && len(login) <= 100; (b == nil) != fits {
			t.Fatalf("%q of %d bytes: %v", login, len(login), b)
		}
		spoilt := login + string(other.Draw(t, "other")) + "x"
		if b := plan.ValidateLogin(spoilt); b == nil || b.Reason != plan.LoginInvalid || b.Detail == "" {
			t.Fatalf("%q: %v", spoilt, b)
		}
	})
}

// TestValidateLogin_SaysWhich: the text goes to a person, who must see what is wrong, blanks too.
func TestValidateLogin_SaysWhich(t *testing.T) {
	for login, part := range map[string]string{
		"al ice": "not a space", "al\tice": "not a control character", "o'brien": "not '''", "naïve": "not 'ï'", "x": "2 to 100 bytes",
	} {
		if b := plan.ValidateLogin(login); b == nil || !strings.HasSuffix(b.Detail, part) && !strings.Contains(b.Detail, part) {
			t.Errorf("%q: %v, want %q", login, b, part)
		}
	}
}

// TestValidateEmail_Domain: labels of 1 to 63 letters, two at least, the last beginning with a letter.
func TestValidateEmail_Domain(t *testing.T) {
	label := rapid.StringMatching(`[a-z0-9-]{0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfN(label, 1, 4).Draw(t, "labels")
		fits := len(labels) > 1
		for i, l := range labels {
			fits = fits && l != "" && !strings.HasPrefix(l, "-") && !strings.HasSuffix(l, "-")
			fits = fits && (i < len(labels)-1 || l[0] > '9')
		}
		if b := plan.ValidateEmail("a@" + strings.Join(labels, ".")); (b == nil) != fits {
			t.Fatalf("%v: %v, want valid %v", labels, b, fits)
		}
	})
}

// TestTokenWays_OnlyWhatIsThere: a strategy that does not work there would leave tokens alive and call them dead.
func TestTokenWays_OnlyWhatIsThere(t *testing.T) {
	settings := []plan.Strategy{plan.NoStrategy, plan.Auto, plan.Plugin, plan.Database, plan.Regenerate, plan.Recreate, "nonsense"}
	for _, setting := range settings {
		for _, version := range []string{"", "3.14.1", "4.16.1", "5.1.2", "30.0"} {
			for flags := range 4 {
				plugin, db := flags&1 != 0, flags&2 != 0
				got := first(plan.TokenWays(setting, version, plugin, db))
				works := got == plan.NoStrategy || got == plan.Plugin && plugin || got == plan.Database && db || got == plan.Regenerate && version == "3.14.1"
				if !works || setting != plan.Auto && setting != plan.NoStrategy && got != plan.NoStrategy && got != setting {
					t.Errorf("TokenWays(%q, %q, %v, %v) = %q", setting, version, plugin, db, got)
				}
			}
		}
	}
}
