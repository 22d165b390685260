package matomo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// The part of the contract suite about people: how they come, move, leave and come back.

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
