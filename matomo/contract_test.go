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
	real     bool // has pages, too
	sites    []access.SiteID
}

func parties(t *testing.T) map[string]*party {
	t.Helper()
	out := map[string]*party{}
	if u := os.Getenv("MATOMO_URL"); u != "" {
		out["real"] = &party{
			url: u, login: os.Getenv("MATOMO_LOGIN"), token: os.Getenv("MATOMO_TOKEN"), password: os.Getenv("MATOMO_PASSWORD"),
			http: &http.Transport{}, real: true, addSites: os.Getenv("MATOMO_SITES") != "",
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
		{"things that are given back", contractRestore},
		{"companion plugin: what it refuses", contractPluginRefusals},
		{"companion plugin: list and end tokens", contractPluginTokens},
		{"companion plugin: tracking ends at once", contractPluginTracking},
		{"companion plugin: web sessions end", contractPluginSessions},
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
