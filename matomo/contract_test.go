package matomo_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// The contract suite says what the client needs of a Matomo, in the client's words. It runs against the stand-in in both
// measured versions, and unchanged against a real instance:
//
//	MATOMO_URL=https://... MATOMO_LOGIN=... MATOMO_TOKEN=... MATOMO_PASSWORD=... go test -run TestContract ./matomo
//
// It needs three sites, works on logins with a random prefix only, and deletes them. With MATOMO_SITES=1 it also adds a
// hundred sites and deletes them again.

// party is one Matomo with a client, and the means to act as the people on it.
type party struct {
	c        *matomo.Client
	http     http.RoundTripper
	url      string
	token    string
	login    string
	password string
	prefix   string
	addSites bool
	sites    []access.SiteID
}

func parties(t *testing.T) map[string]*party {
	t.Helper()
	out := map[string]*party{}
	if u := os.Getenv("MATOMO_URL"); u != "" {
		out["real"] = &party{
			url: u, login: os.Getenv("MATOMO_LOGIN"), token: os.Getenv("MATOMO_TOKEN"), password: os.Getenv("MATOMO_PASSWORD"),
			http: &http.Transport{}, addSites: os.Getenv("MATOMO_SITES") != "",
		}
	}
	for _, v := range versions {
		for _, plugin := range []bool{true, false} {
			s := matomotest.New(matomotest.Options{Version: v, Plugin: plugin})
			out[fmt.Sprintf("%s plugin=%v", v, plugin)] = &party{
				url: "https://matomo.example.test/", login: s.Login(), token: s.Token(), password: s.Password(), http: s.RoundTripper(), addSites: true,
			}
		}
	}
	for _, p := range out {
		p.start(t)
	}
	return out
}

func (p *party) start(t *testing.T) {
	t.Helper()
	p.prefix = "ct" + strings.ToLower(rand.Text()[:8])
	p.c = p.client(t, p.token, p.password)
	t.Cleanup(func() { p.clean(t) })
	s, err := p.c.ReadAccounts(context.Background(), nil, matomo.Read{})
	if err != nil {
		t.Fatal(err)
	}
	if p.sites = s.SiteIDs(); len(p.sites) < 3 {
		t.Fatalf("%d sites, the suite needs 3", len(p.sites))
	}
}

func (p *party) client(t *testing.T, token, password string) *matomo.Client {
	t.Helper()
	c, err := matomo.New(matomo.Options{
		Name: "contract", URL: p.url, Login: p.login, Transport: p.http,
		Token: func() (string, error) { return token, nil }, Password: func() (string, error) { return password, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clean deletes every login of this run.
func (p *party) clean(t *testing.T) {
	s, err := p.c.ReadInstance(context.Background())
	if err != nil {
		t.Errorf("clean up: %v", err)
		return
	}
	var plans []matomo.Plan
	for a := range s.Each() {
		if strings.HasPrefix(strings.ToLower(a.Login), p.prefix) {
			plans = append(plans, matomo.Plan{Login: a.Login, Steps: []matomo.Step{{Kind: matomo.DeleteUser, Login: a.Login}}})
		}
	}
	for _, r := range p.c.Apply(context.Background(), plans) {
		if r.Err != nil {
			t.Errorf("clean up: %v", r.Err)
		}
	}
}

// call asks the API as whoever has the token, and returns the answer; empty token: as nobody.
func (p *party) call(t *testing.T, token, method string, params ...string) string {
	t.Helper()
	form := url.Values{}
	if token != "" {
		form.Set("token_auth", token)
	}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	u := strings.TrimSuffix(p.url, "/") + "/index.php?module=API&format=JSON&filter_limit=-1&method=" + method
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, u, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.http.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const knownPassword = "Known-pass-1234"

// setPassword gives somebody the known password, as an administrator would.
func (p *party) setPassword(t *testing.T, login string) {
	t.Helper()
	got := p.call(t, p.token, "UsersManager.updateUser", "userLogin", login, "password", knownPassword, "passwordConfirmation", p.password)
	if !strings.Contains(got, "success") {
		t.Fatalf("set password of %s: %s", login, got)
	}
}

// mint makes an app token the way the person does: with the password.
func (p *party) mint(t *testing.T, login string) (token string, ok bool) {
	t.Helper()
	got := p.call(t, "", "UsersManager.createAppSpecificTokenAuth", "userLogin", login, "passwordConfirmation", knownPassword, "description", "contract")
	var answer struct{ Value string }
	err := json.Unmarshal([]byte(got), &answer)
	return answer.Value, err == nil && answer.Value != ""
}

func (p *party) mustMint(t *testing.T, login string) string {
	t.Helper()
	token, ok := p.mint(t, login)
	if !ok {
		t.Fatalf("%s cannot make a token", login)
	}
	return token
}

// sees tells on which sites a token opens anything.
func (p *party) sees(t *testing.T, token string) []access.SiteID {
	t.Helper()
	var ids []access.SiteID
	if json.Unmarshal([]byte(p.call(t, token, "SitesManager.getSitesIdWithAtLeastViewAccess")), &ids) != nil {
		return nil
	}
	return ids
}

// on writes an access over the first sites of the instance: "view admin" is view on the first and admin on the second.
func (p *party) on(words ...string) access.Access {
	a := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	for i, w := range words {
		names := strings.Split(w, "+")
		if names[0] != "" {
			a.Sites[p.sites[i]] = access.SiteAccess{Role: access.Role(names[0]), Capabilities: access.Capabilities(names[1:]...)}
		}
	}
	return a
}

func (p *party) wants(login string, a access.Access, change ...func(*matomo.Want)) matomo.Want {
	without := a.Clone()
	without.Superuser = false
	w := matomo.Want{Login: p.prefix + login, Email: p.prefix + strings.NewReplacer("@", "_", "ü", "ue").Replace(login) + "@example.org", Create: true, Access: a, WithoutSuperuser: without}
	for _, f := range change {
		f(&w)
	}
	return w
}

func (p *party) read(t *testing.T, opt matomo.Read, logins ...string) (*matomo.Snapshot, matomo.Policy) {
	t.Helper()
	full := make([]string, len(logins))
	for i, l := range logins {
		full[i] = p.prefix + l
	}
	s, err := p.c.ReadAccounts(context.Background(), full, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s, p.c.Complete(matomo.Policy{Manage: matomo.Exclusive, Tokens: matomo.Auto, RandomisePassword: true}, s)
}

// bring reads, plans, applies, reads back, and insists on agreement.
func (p *party) bring(t *testing.T, login string, a access.Access, change ...func(*matomo.Want)) matomo.Account {
	t.Helper()
	w := p.wants(login, a, change...)
	s, pol := p.read(t, matomo.Read{}, login)
	have, _ := s.Account(w.Login)
	plan := matomo.PlanPerson(w, have, pol)
	if r := p.c.Apply(context.Background(), []matomo.Plan{plan})[0]; r.Err != nil {
		t.Fatalf("%s: %v\n%+v", login, r.Err, r.Steps)
	}
	s, _ = p.read(t, matomo.Read{}, login)
	back, _ := s.Account(w.Login)
	if left := matomo.VerifyPerson(w, back, pol); len(left) > 0 || !back.Exists {
		t.Fatalf("%s has %s after %v; left: %v", login, back.Access, plan.Steps, left)
	}
	return back
}

// leave runs one phase and reads back.
func (p *party) leave(t *testing.T, login string, phase matomo.Phase, change ...func(*matomo.Policy)) matomo.Gone {
	t.Helper()
	s, pol := p.read(t, matomo.Read{Orphans: true, Tokens: true}, login)
	for _, f := range change {
		f(&pol)
	}
	have, _ := s.Account(p.prefix + login)
	if r := p.c.Apply(context.Background(), []matomo.Plan{matomo.PlanLeaver(have, pol, phase)})[0]; r.Err != nil {
		t.Fatalf("%s %s: %v", login, phase, r.Err)
	}
	s, _ = p.read(t, matomo.Read{Orphans: true, Tokens: true}, login)
	back, _ := s.Account(p.prefix + login)
	return matomo.VerifyGone(back, pol)
}

func TestContract(t *testing.T) {
	suite := []struct {
		name string
		run  func(*testing.T, *party)
	}{
		{"check finds nothing that fails", contractCheck},
		{"joiner, mover, superuser and back", contractLife},
		{"capabilities", contractCapabilities},
		{"e-mail", contractEmail},
		{"leaver, token minted before, come-back", contractLeaver},
		{"come-back without a way to revoke", contractRecreate},
		{"odd spellings", contractSpelling},
		{"orphan rows", contractOrphans},
		{"numeric and accented logins", contractLogins},
		{"refusals have their kind", contractRefusals},
		{"validation agrees", contractValidation},
		{"wrong token, wrong password", contractWrongSecrets},
		{"more than a hundred people in one Apply", contractMany},
		{"more than a hundred sites", contractManySites},
		{"evidence", contractEvidence},
	}
	for name, p := range parties(t) {
		t.Run(name, func(t *testing.T) {
			for _, c := range suite {
				t.Run(c.name, func(t *testing.T) { c.run(t, p) })
			}
		})
	}
}

func contractCheck(t *testing.T, p *party) {
	for _, f := range p.c.Check(context.Background(), matomo.Policy{Tokens: matomo.Auto}) {
		if f.Level == matomo.LevelFail {
			t.Errorf("%s: %s", f.Name, f.Text)
		}
		t.Logf("%s %s: %s", f.Level, f.Name, f.Text)
	}
}

func contractLife(t *testing.T, p *party) {
	p.bring(t, "life", p.on("view"))
	p.setPassword(t, p.prefix+"life")
	token := p.mustMint(t, p.prefix+"life")
	p.bring(t, "life", p.on("", "write", "admin"))
	if got := p.sees(t, token); len(got) != 2 {
		t.Errorf("the person sees %v after the move", got)
	}
	super := p.on("view")
	super.Superuser = true
	if a := p.bring(t, "life", super); !a.Access.Superuser {
		t.Errorf("access %s", a.Access)
	}
	if s, _ := p.read(t, matomo.Read{}, "life"); len(s.Superusers()) < 2 {
		t.Errorf("superusers %v", s.Superusers())
	}
	p.bring(t, "life", p.on("view", "view"))
	if a := p.bring(t, "life", p.on()); !a.Access.Empty() {
		t.Errorf("access %s", a.Access)
	}
	if got := p.sees(t, token); len(got) != 0 {
		t.Errorf("the person sees %v without access", got)
	}
}

func contractCapabilities(t *testing.T, p *party) {
	s, _ := p.read(t, matomo.Read{})
	if len(s.Capabilities) == 0 {
		t.Skip("this instance has no capabilities")
	}
	name := s.Capabilities[0].ID
	p.bring(t, "cap", p.on("view+"+name, "view", "admin+"+name))
	a := p.bring(t, "cap", p.on("view", "view+"+name))
	if want := p.on("view", "view+"+name); !a.Access.Equal(want) {
		t.Errorf("access %s, want %s", a.Access, want)
	}
}

func contractEmail(t *testing.T, p *party) {
	p.bring(t, "mail", p.on())
	a := p.bring(t, "mail", p.on(), func(w *matomo.Want) { w.Email = p.prefix + "other@example.org" })
	if a.Email != p.prefix+"other@example.org" {
		t.Errorf("e-mail %s", a.Email)
	}
}

func contractLeaver(t *testing.T, p *party) {
	p.bring(t, "leaver", p.on("view", "admin"))
	login := p.prefix + "leaver"
	p.setPassword(t, login)
	token := p.mustMint(t, login)
	if len(p.sees(t, token)) != 2 {
		t.Fatal("the token does not work to begin with")
	}
	if g := p.leave(t, "leaver", matomo.PhaseRevoke); !g.Revoked {
		t.Errorf("after phase 1: %+v", g)
	}
	if got := p.sees(t, token); len(got) != 0 {
		t.Errorf("the leaver sees %v", got)
	}
	if _, ok := p.mint(t, login); !ok {
		t.Error("a suspended person can make tokens until the password changes, says the design; not here")
	}
	g := p.leave(t, "leaver", matomo.PhaseSeal)
	if !g.Revoked {
		t.Errorf("after phase 2: %+v", g)
	}
	if _, ok := p.mint(t, login); ok {
		t.Error("the password still makes tokens after phase 2")
	}
	p.bring(t, "leaver", p.on("view"), func(w *matomo.Want) { w.ComeBack = true })
	if got := p.sees(t, token); len(got) != 0 {
		t.Errorf("the old token sees %v after the come-back", got)
	}
	p.leave(t, "leaver", matomo.PhaseRevoke)
	if g := p.leave(t, "leaver", matomo.PhaseDelete); !g.Revoked || g.Tokens != matomo.TokensDead {
		t.Errorf("deleted: %+v", g)
	}
}

func contractRecreate(t *testing.T, p *party) {
	p.bring(t, "again", p.on("view"))
	login := p.prefix + "again"
	p.setPassword(t, login)
	token := p.mustMint(t, login)
	none := func(pol *matomo.Policy) { pol.Tokens, pol.CanLogout = matomo.NoStrategy, false }
	if g := p.leave(t, "again", matomo.PhaseRevoke, none); len(g.Left) > 1 {
		t.Errorf("left %v", g.Left)
	}
	s, pol := p.read(t, matomo.Read{}, "again")
	none(&pol)
	have, _ := s.Account(login)
	w := p.wants("again", p.on("view"), func(w *matomo.Want) { w.ComeBack = true })
	if r := p.c.Apply(context.Background(), []matomo.Plan{matomo.PlanPerson(w, have, pol)})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := p.sees(t, token); len(got) != 0 {
		t.Errorf("the old token sees %v", got)
	}
	s, _ = p.read(t, matomo.Read{}, "again")
	if a, _ := s.Account(login); !a.Access.Equal(p.on("view")) {
		t.Errorf("access %s", a.Access)
	}
}

func contractSpelling(t *testing.T, p *party) {
	p.bring(t, "odd", p.on("view"))
	upper := strings.ToUpper(p.prefix + "odd")
	step := matomo.Step{Kind: matomo.SetAccess, Login: upper, Role: access.Admin, Sites: p.sites[1:2]}
	if r := p.c.Apply(context.Background(), []matomo.Plan{{Login: upper, Steps: []matomo.Step{step}}})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, opt := range []matomo.Read{{}, {Orphans: true}} {
		s, _ := p.read(t, opt, "odd")
		if a, _ := s.Account(upper); a.Login != p.prefix+"odd" || !a.Access.Equal(p.on("view", "admin")) {
			t.Errorf("%+v: %s has %s", opt, a.Login, a.Access)
		}
	}
	if a := p.bring(t, "odd", p.on("", "view")); !a.Access.Equal(p.on("", "view")) {
		t.Errorf("access %s", a.Access)
	}
}

func contractOrphans(t *testing.T, p *party) {
	p.bring(t, "orphan", p.on("view"))
	login := p.prefix + "orphan"
	far := p.sites[len(p.sites)-1] + 100000
	step := matomo.Step{Kind: matomo.SetAccess, Login: login, Role: access.View, Sites: []access.SiteID{far}}
	if r := p.c.Apply(context.Background(), []matomo.Plan{{Login: login, Steps: []matomo.Step{step}}})[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	s, _ := p.read(t, matomo.Read{Orphans: true}, "orphan")
	if a, _ := s.Account(login); len(a.Orphans) != 1 || a.Orphans[0] != far || !a.Access.Equal(p.on("view")) {
		t.Errorf("orphans %v, access %s", a.Orphans, a.Access)
	}
	if g := p.leave(t, "orphan", matomo.PhaseRevoke); !g.Revoked {
		t.Errorf("left %v", g.Left)
	}
}

func contractLogins(t *testing.T, p *party) {
	numeric := strings.Map(func(r rune) rune { return '0' + r%10 }, p.prefix)
	for _, login := range []string{"plus+sign", "at@sign.org", "dash-dot._", "müller", "GROSS"} {
		if a := p.bring(t, login, p.on("view", "write")); a.Login != p.prefix+login {
			t.Errorf("%q came back as %q", login, a.Login)
		}
	}
	prefix := p.prefix
	p.prefix = numeric
	defer func() { p.prefix = prefix }()
	p.bring(t, "", p.on("view"), func(w *matomo.Want) { w.Email = prefix + "number@example.org" })
	defer p.clean(t)
	whole, err := p.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := whole.Account(numeric); a.Login != numeric || !a.Access.Equal(p.on("view")) {
		t.Errorf("%q has %s", a.Login, a.Access)
	}
}

func contractRefusals(t *testing.T, p *party) {
	p.bring(t, "first", p.on())
	taken, mail := p.prefix+"first", p.prefix+"first@example.org"
	super := matomo.Step{Kind: matomo.SetAccess, Login: p.prefix + "super", Role: access.View, Sites: p.sites[:1]}
	p.bring(t, "super", access.Access{Superuser: true})
	tests := []struct {
		kind matomo.ErrorKind
		step matomo.Step
	}{
		{matomo.DuplicateLogin, matomo.Step{Kind: matomo.AddUser, Login: taken, Email: p.prefix + "x@example.org"}},
		{matomo.DuplicateLogin, matomo.Step{Kind: matomo.AddUser, Login: strings.ToUpper(taken), Email: p.prefix + "x@example.org"}},
		{matomo.DuplicateEmail, matomo.Step{Kind: matomo.AddUser, Login: p.prefix + "x", Email: mail}},
		{matomo.DuplicateLogin, matomo.Step{Kind: matomo.AddUser, Login: mail, Email: p.prefix + "x@example.org"}},
		{matomo.UserMissing, matomo.Step{Kind: matomo.SetAccess, Login: p.prefix + "nobody", Role: access.View, Sites: p.sites[:1]}},
		{matomo.UserMissing, matomo.Step{Kind: matomo.SetEmail, Login: p.prefix + "nobody", Email: p.prefix + "y@example.org"}},
		{matomo.UserMissing, matomo.Step{Kind: matomo.Demote, Login: p.prefix + "nobody"}},
		{matomo.DuplicateEmail, matomo.Step{Kind: matomo.SetEmail, Login: p.prefix + "super", Email: mail}},
		{matomo.IsSuperuser, super},
		{matomo.Validation, matomo.Step{Kind: matomo.SetAccess, Login: taken, Role: "owner", Sites: p.sites[:1]}},
		{matomo.Validation, matomo.Step{Kind: matomo.InviteUser, Login: p.prefix + "inv", Email: p.prefix + "inv@example.org"}},
	}
	for _, tt := range tests {
		r := p.c.Apply(context.Background(), []matomo.Plan{{Login: tt.step.Login, Steps: []matomo.Step{tt.step}}})[0]
		if matomo.KindOf(r.Err) != tt.kind {
			t.Errorf("%s: %v, want %s", tt.step, r.Err, tt.kind)
		}
	}
	p.bring(t, "super", p.on())
}

func contractValidation(t *testing.T, p *party) {
	for i, login := range []string{"good", "with space", "quo'te", "co,mma", "am&p", "per%cent", "naïve", "ümlaut", "a/b", "tab\tx", "semi;colon", strings.Repeat("l", 100-len(p.prefix)), strings.Repeat("l", 101-len(p.prefix))} {
		full := p.prefix + login
		got := p.call(t, p.token, "UsersManager.addUser", "userLogin", full, "password", knownPassword, "email", fmt.Sprintf("%sv%d@example.org", p.prefix, i))
		if ours, theirs := matomo.ValidateLogin(full) == nil, strings.Contains(got, "success"); ours != theirs {
			t.Errorf("login %q: we say %v, Matomo %s", full, ours, got)
		}
	}
	for i, mail := range []string{
		"a@b.org", "a+b@c.org", "a'b@c.org", "a&b@c.org", "ü@c.org", "a@c", "a@ü.org", "a.@c.org", ".a@c.org", "a..b@c.org", "a_b-c@d-e.org", "a@-b.org", "a@b.1", "a%b@c.org", "a=b@c.org", "a#b@c.org", "a/b@c.org",
		"a!b$c@d.org", "a*b?c^d`e{f|g}h~i@j.org", "a<b@c.org", `a"b@c.org`, "a b@c.org", "a,b@c.org", "a:b@c.org",
		strings.Repeat("m", 64-len(p.prefix)) + "@c.org", strings.Repeat("m", 65-len(p.prefix)) + "@c.org",
	} {
		login, full := fmt.Sprintf("%sm%d", p.prefix, i), p.prefix+mail
		got := p.call(t, p.token, "UsersManager.addUser", "userLogin", login, "password", knownPassword, "email", full)
		if ours, theirs := matomo.ValidateEmail(full) == nil, strings.Contains(got, "success"); ours != theirs {
			t.Errorf("e-mail %q: we say %v, Matomo %s", full, ours, got)
		}
	}
}

func contractWrongSecrets(t *testing.T, p *party) {
	wrong := p.client(t, strings.Repeat("0", 32), p.password)
	for range 2 { // the second time it is not sent
		_, err := wrong.ReadInstance(context.Background())
		wantKind(t, err, matomo.BadToken)
	}
	wrong = p.client(t, p.token, "wrong-password")
	for range 2 {
		wantKind(t, wrong.ProvePassword(context.Background()), matomo.WrongPassword)
	}
	if err := p.c.ProvePassword(context.Background()); err != nil {
		t.Error(err)
	}
	p.bring(t, "plain", p.on("view"))
	p.setPassword(t, p.prefix+"plain")
	other := p.client(t, p.mustMint(t, p.prefix+"plain"), p.password)
	if _, err := other.ReadInstance(context.Background()); !KindIn(err, matomo.NoPermission, matomo.BadToken) {
		t.Errorf("token of somebody else: %v", err)
	}
}

func contractMany(t *testing.T, p *party) {
	var wants []matomo.Want
	var logins []string
	for i := range 105 {
		w := p.wants(fmt.Sprintf("many%03d", i), p.on("view", "", "write"))
		wants, logins = append(wants, w), append(logins, w.Login[len(p.prefix):])
	}
	s, pol := p.read(t, matomo.Read{}, logins...)
	var plans []matomo.Plan
	for _, w := range wants {
		a, _ := s.Account(w.Login)
		plans = append(plans, matomo.PlanPerson(w, a, pol))
	}
	for _, r := range p.c.Apply(context.Background(), plans) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	whole, err := p.c.ReadInstance(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	few, _ := p.read(t, matomo.Read{}, logins...)
	for _, w := range wants {
		for _, s := range []*matomo.Snapshot{whole, few} {
			if a, _ := s.Account(w.Login); !a.Exists || len(matomo.VerifyPerson(w, a, pol)) > 0 {
				t.Errorf("%s: exists %v, %s", w.Login, a.Exists, a.Access)
			}
		}
	}
}

func contractManySites(t *testing.T, p *party) {
	if !p.addSites {
		t.Skip("set MATOMO_SITES=1 to add a hundred sites and delete them again")
	}
	for i := range 101 {
		got := p.call(t, p.token, "SitesManager.addSite", "siteName", fmt.Sprintf("%s & <%d>", p.prefix, i), "urls", "https://example.org")
		var answer struct{ Value json.Number }
		if err := json.Unmarshal([]byte(got), &answer); err != nil {
			t.Fatalf("add site: %s", got)
		}
		id := answer.Value.String()
		t.Cleanup(func() {
			p.call(t, p.token, "SitesManager.deleteSite", "idSite", id, "passwordConfirmation", p.password)
		})
	}
	s, pol := p.read(t, matomo.Read{}, "everywhere")
	a := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	for _, id := range s.SiteIDs() {
		a.Sites[id] = access.SiteAccess{Role: access.View}
	}
	if len(a.Sites) < 104 {
		t.Fatalf("%d sites are seen", len(a.Sites))
	}
	named := false
	for _, site := range s.Sites {
		named = named || site.Name == p.prefix+" & <7>"
	}
	if !named {
		t.Errorf("site names come back in another form: %q", s.Sites[len(s.Sites)-1].Name)
	}
	if back := p.bring(t, "everywhere", a); len(back.Access.Sites) != len(pol.Sites) {
		t.Errorf("%d of %d sites", len(back.Access.Sites), len(pol.Sites))
	}
	if g := p.leave(t, "everywhere", matomo.PhaseRevoke); !g.Revoked {
		t.Errorf("left %v", g.Left)
	}
}

func contractEvidence(t *testing.T, p *party) {
	p.bring(t, "reporter", p.on("view"))
	login := p.prefix + "reporter"
	p.setPassword(t, login)
	got := p.call(t, p.mustMint(t, login), "ScheduledReports.addReport", "idSite", fmt.Sprint(p.sites[0]), "description", "contract", "period", "day", "hour", "1",
		"reportType", "email", "reportFormat", "html", "reports[0]", "VisitsSummary_get", "parameters[emailMe]", "1", "parameters[displayFormat]", "1")
	if !strings.Contains(got, "value") {
		t.Fatalf("add report: %s", got)
	}
	s, _ := p.read(t, matomo.Read{Evidence: matomo.EvidenceAll}, "reporter")
	a, _ := s.Account(login)
	if len(a.Evidence.Reports) != 1 || len(a.Evidence.Missing) != 0 || len(a.Evidence.Dashboards) == 0 {
		t.Errorf("evidence %+v", a.Evidence)
	}
	p.leave(t, "reporter", matomo.PhaseRevoke)
	s, _ = p.read(t, matomo.Read{Evidence: matomo.EvidenceReports}, "reporter")
	if a, _ = s.Account(login); len(a.Evidence.Reports) != 0 {
		t.Errorf("reports outlive the access: %s", a.Evidence.Reports)
	}
}
