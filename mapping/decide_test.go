package mapping_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/matomo/access"
)

func TestDecider_IsDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, sites := mustParse(t, drawFiles(t)), drawSites(t)
		d := r.For("main", sites)
		for range 3 {
			s := drawSubject(t)
			if diff := cmp.Diff(mapping.Decide(r, s, "main", sites, now), d.Decide(s, now)); diff != "" {
				t.Fatal("prepared sites lead to another decision:", diff)
			}
		}
	})
}

func TestDecider_ServesGoroutines(t *testing.T) {
	r, sites, people := company(t)
	d := r.For("main", sites)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for _, s := range people[i*50 : i*50+50] {
				if d.Decide(s, now).Access.Empty() {
					t.Errorf("no access for %v", s.Groups)
				}
			}
		})
	}
	wg.Wait()
}

// The two maps and the list of reasons are what a decision cannot do without; with
// what groups give worked out once, there is little else.
func TestDecider_MakesLittleGarbage(t *testing.T) {
	r, sites, people := company(t)
	d := r.For("main", sites)
	for _, s := range people[:60] {
		d.Decide(s, now) // the groups are seen for the first time
	}
	i := 0
	n := testing.AllocsPerRun(50, func() {
		d.Decide(people[i%60], now)
		i++
	})
	if n > 14 {
		t.Errorf("%v allocations a decision", n)
	}
}

func TestDecide_ACaptureOfBlanksIsNoName(t *testing.T) {
	// Not even of the sites that are in no group: 3 and 11.
	d := decide(t, in("G   "), `group[G {g}] = "site:group={g}:admin, site:name={g}:view"`)
	wantAccess(t, d, "no access")
	wantKinds(t, d.Problems, mapping.CaptureUnfit, mapping.CaptureUnfit)
}

// What a decision returns is the caller's own.
func TestDecide_SharesNothingThatTheNextDecisionNeeds(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:1:view, site:2:write"`))
	d := mapping.Decide(r, in("a"), "main", five, now)
	delete(d.Access.Sites, 1)
	d.Access.Sites[9] = access.SiteAccess{Role: access.Admin}
	if got := d.WithoutSuperuser.String(); got != "1:view, 2:write" {
		t.Errorf("changing Access changed WithoutSuperuser to %s", got)
	}
	wantAccess(t, mapping.Decide(r, in("a"), "main", five, now), "1:view, 2:write")
}

func TestDecide_SitesNeedNoOrder(t *testing.T) {
	sites := []access.Site{{ID: 9}, {ID: 1, Name: "A"}, {ID: 9}, {ID: 3}}
	r := parse(t, one, lines(`group[a] = "site:*:view, site:name=A:admin, site:9:write"`))
	d := mapping.Decide(r, in("a"), "main", sites, now)
	wantAccess(t, d, "1:admin, 3:view, 9:write")
	if sites[0].ID != 9 || sites[1].ID != 1 {
		t.Errorf("the caller's list was changed: %v", sites)
	}
}

func TestDecide_ReasonsNameGroupAndRule(t *testing.T) {
	r := parse(t, many, lines(`group@okta[A] = "site:1:view"`, `user[(x=y)] = "site:2:view"`))
	s := from("okta", "a")
	s.Attributes = mapping.SubjectAttributes(map[string][]string{"X": {"Y"}})
	got := mapping.Decide(r, s, "main", five, now).Reasons
	if len(got) != 2 {
		t.Fatalf("reasons = %+v", got)
	}
	if g := got[0]; g.Rule.String() != "m.ini:2 group@okta[A]" || g.Group.String() != "okta:a" || g.User || g.Site != 1 || !g.Effective {
		t.Errorf("first = %+v", g)
	}
	if g := got[1]; g.Rule.String() != "m.ini:3 user[(x=y)]" || g.Group.String() != "" || !g.User || g.Site != 2 || !g.Effective {
		t.Errorf("second = %+v", g)
	}
}

func TestDecide_OneGroupOfTwoSourcesCountsForBoth(t *testing.T) {
	r := parse(t, many, lines(`group[a] = "site:1:view"`))
	s := from("okta", "a", "a")
	s.Groups = append(s.Groups, from("ldap", "A").Groups...)
	d := mapping.Decide(r, s, "main", five, now)
	if len(d.Reasons) != 2 || d.Reasons[0].Group.Source != "ldap" || d.Reasons[1].Group.Source != "okta" {
		t.Errorf("reasons = %+v", d.Reasons)
	}
	if got := d.Origins(); len(got) != 1 {
		t.Errorf("one rule on one site is recorded %d times", len(got))
	}
}

func TestDecide_ExtraGrantsOfOtherTargetsAndWithVariablesAreLeftOut(t *testing.T) {
	r := parse(t, many, lines(`group[a] = "site:1:view"`))
	eu, err := mapping.ParseGrant("eu/site:*:admin", many)
	if err != nil {
		t.Fatal(err)
	}
	s := mapping.Subject{Extra: []mapping.Grant{eu, {Target: "main", Site: mapping.Selector{Kind: grant.SelectID, Var: "x"}, Role: access.View}}}
	wantAccess(t, mapping.Decide(r, s, "main", five, now), "no access")
	wantAccess(t, mapping.Decide(r, s, "eu", five[:1], now), "1:admin")
}

func TestDecide_HostileNamesAreOnlyNames(t *testing.T) {
	r := parse(t, one, lines(`group[cn=a,dc=x] = "site:1:view"`, `group[t-{v}] = "site:name={v}:view"`, `group[cn={v},dc=y] = "site:name={v}:view"`))
	for _, name := range []string{
		"", "=", ",", `\`, "cn=", "cn=#", "cn=#3080", "cn=#0484ffffffff", strings.Repeat("cn=a,", 10_000), strings.Repeat(`\`, 9_999), "t-" + strings.Repeat("x", 100_000),
		"cn=" + strings.Repeat("(", 5_000) + ",dc=y", "\xff\xfe", "t-\x00", "cn=a\x00,dc=x", "=cn=a,dc=x", "cn=a,dc=x,", ",cn=a,dc=x",
	} {
		wantAccess(t, mapping.Decide(r, in(name), "main", five, now), "no access")
	}
}

func TestGrant_ForAndOver(t *testing.T) {
	g, err := mapping.ParseGrant("*/site:1:noaccess until 2026-11-24T12:00Z", many)
	if err != nil {
		t.Fatal(err)
	}
	if !g.For("main") || !g.For("eu") || !g.Deny() {
		t.Errorf("grant = %+v", g)
	}
	if !g.Over(now) || g.Over(now.Add(-1)) {
		t.Error("a grant ends at its time, not before and not after")
	}
}
