package grant_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/matomo/access"
)

// sites have names and groups that are hard to tell apart.
var sites = []access.Site{
	{ID: 1, Name: "Shop", Group: "Brands"},
	{ID: 2, Name: "Blog", Group: " brands "},
	{ID: 3, Name: "Shop: EU"},
	{ID: 9, Name: "Straße", Group: "Internal"},
	{ID: 30, Name: "Twin"},
	{ID: 31, Name: " TWIN "},
}

// find resolves the sites of a grant and writes them as "1 2", or what is missing
// as "kind: detail".
func find(t testing.TB, x *grant.Sites, text string) string {
	t.Helper()
	found, miss := x.Find(parse(t, "site:"+text+":view").Site)
	if miss != nil {
		if found.Len() > 0 {
			t.Errorf("%s: sites are found and missed", text)
		}
		return string(miss.Kind) + ": " + miss.Detail
	}
	return ids(x, found)
}

// ids writes what was found.
func ids(x *grant.Sites, found grant.Found) string {
	var out []string
	for i := range found.Len() {
		out = append(out, fmt.Sprint(x.ID(found.At(i))))
	}
	return strings.Join(out, " ")
}

func TestSites_Find(t *testing.T) {
	for selector, want := range map[string]string{
		"*":               "1 2 3 9 30 31",
		"1":               "1",
		"31":              "31",
		"4":               "unknown_site: there is no site 4",
		"404":             "unknown_site: there is no site 404",
		"name=Shop":       "1",
		"name=shop":       "1",
		"name= SHOP ":     "1",
		"name='shop: eu'": "3",
		"name=STRAẞE":     "9",
		"name=STRASSE":    `unknown_site: no site is named "STRASSE"`,
		"name=Sho":        `unknown_site: no site is named "Sho"`,
		"name=1":          `unknown_site: no site is named "1"`,
		"name=twin":       `ambiguous_site: 2 sites are named "twin": 30, 31; use an ID`,
		"name=Twin":       `ambiguous_site: 2 sites are named "Twin": 30, 31; use an ID`, // the exact spelling is not preferred
		"group=Brands":    "1 2",
		"group=INTERNAL":  "9",
		"group=Nobody":    `empty_site_group: no site is in the group "Nobody"`,
	} {
		for name, x := range map[string]*grant.Sites{"for one": grant.NewSites(sites), "shared": grant.NewSites(sites).Share()} {
			if got := find(t, x, selector); got != want {
				t.Errorf("%s, %s: %q, want %q", selector, name, got, want)
			}
		}
	}
}

func TestSites_SuperuserHasNone(t *testing.T) {
	found, miss := grant.NewSites(sites).Find(parse(t, "superuser").Site)
	if found.Len() != 0 || miss != nil {
		t.Errorf("found %d, %v", found.Len(), miss)
	}
}

func TestSites_UnreadIsNotEmpty(t *testing.T) {
	for _, selector := range []string{"*", "1", "name=Shop", "group=Brands"} {
		if got, want := find(t, grant.NewSites(nil), selector), "unread_sites: the list of sites could not be read"; got != want {
			t.Errorf("%s: %q", selector, got)
		}
	}
	if got := find(t, grant.NewSites([]access.Site{}), "*"); got != "" {
		t.Errorf("all sites of an empty Matomo are %q", got)
	}
}

func TestSites_OrderAndRepetitionDoNotCount(t *testing.T) {
	mixed := append(slices.Clone(sites), sites[2], sites[0])
	rand.New(rand.NewPCG(7, 7)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	given := slices.Clone(mixed)
	x := grant.NewSites(mixed)
	if x.Len() != len(sites) {
		t.Errorf("%d sites, want %d", x.Len(), len(sites))
	}
	for _, selector := range []string{"*", "name=Shop", "group=Brands"} {
		if got, want := find(t, x, selector), find(t, grant.NewSites(sites), selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if diff := cmp.Diff(given, mixed); diff != "" {
		t.Error("the caller's list was changed:", diff)
	}
}

// The maps are only a faster way to the same answer.
func TestSites_SharedFindsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[ aAäÄ]{0,2}`)
		var list []access.Site
		for i := range rapid.IntRange(0, 6).Draw(t, "sites") {
			list = append(list, access.Site{ID: access.SiteID(i + 1), Name: name.Draw(t, "name"), Group: name.Draw(t, "group")})
		}
		one, shared := grant.NewSites(list), grant.NewSites(list).Share()
		s := grant.Selector{
			Kind: rapid.SampledFrom([]grant.SelectorKind{grant.SelectAll, grant.SelectID, grant.SelectName, grant.SelectGroup}).Draw(t, "kind"),
			ID:   access.SiteID(rapid.IntRange(1, 7).Draw(t, "id")), Text: name.Draw(t, "text"),
		}
		a, missA := one.Find(s)
		b, missB := shared.Find(s)
		if ids(one, a) != ids(shared, b) || !cmp.Equal(missA, missB) {
			t.Fatalf("%v: %q %v, shared %q %v", s, ids(one, a), missA, ids(shared, b), missB)
		}
	})
}

func TestSites_ServeGoroutines(t *testing.T) {
	x := grant.NewSites(sites).Share()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := find(t, x, "group=brands"); got != "1 2" {
				t.Errorf("found %q", got)
			}
		})
	}
	wg.Wait()
}

// What a selector finds, said in the plainest way: every site whose name is the
// text, without regard to case and to blanks around it.
func TestSites_FindIsLookingAtEverySite(t *testing.T) {
	text := rapid.StringMatching(`[ aAbäÄ]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		var list []access.Site
		for i := range rapid.IntRange(1, 8).Draw(t, "sites") {
			list = append(list, access.Site{ID: access.SiteID(2*i + 1), Name: text.Draw(t, "name"), Group: text.Draw(t, "group")})
		}
		want := text.Draw(t, "wanted")
		for _, kind := range []grant.SelectorKind{grant.SelectName, grant.SelectGroup} {
			var matching []string
			for _, s := range list {
				have := s.Name
				if kind == grant.SelectGroup {
					have = s.Group
				}
				if strings.EqualFold(strings.TrimSpace(have), strings.TrimSpace(want)) {
					matching = append(matching, fmt.Sprint(s.ID))
				}
			}
			x := grant.NewSites(list)
			found, miss := x.Find(grant.Selector{Kind: kind, Text: want})
			switch {
			case len(matching) == 0, len(matching) > 1 && kind == grant.SelectName:
				if miss == nil || found.Len() > 0 {
					t.Fatalf("%q finds %q, want nothing; sites %v", want, ids(x, found), list)
				}
			case miss != nil || ids(x, found) != strings.Join(matching, " "):
				t.Fatalf("%q finds %q (%v), want %q", want, ids(x, found), miss, matching)
			}
		}
	})
}

// The most common grants are looked up for nothing.
func TestSites_FindDoesNotAllocate(t *testing.T) {
	x := grant.NewSites(sites).Share()
	for _, text := range []string{"site:*:view", "site:9:view", "site:name=shop:view", "site:group=brands:view"} {
		s := parse(t, text).Site
		if _, miss := x.Find(s); miss != nil { // which also makes the maps
			t.Fatal(miss)
		}
		n := testing.AllocsPerRun(10, func() {
			if found, _ := x.Find(s); found.Len() == 0 {
				t.Errorf("%s finds nothing", text)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
