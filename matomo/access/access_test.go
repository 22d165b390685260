package access_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/access"
)

func TestRole_Rank(t *testing.T) {
	order := []access.Role{"owner", access.NoAccess, access.View, access.Write, access.Admin}
	for i, r := range order {
		if got := r.Rank(); got != i-1 {
			t.Errorf("Rank(%q) = %d, want %d", r, got, i-1)
		}
		_, ok := access.ParseRole(string(r))
		if want := r != "owner"; ok != want {
			t.Errorf("ParseRole(%q) ok = %v, want %v", r, ok, want)
		}
		for j, o := range order {
			if got, want := access.Higher(r, o), order[max(i, j)]; got != want {
				t.Errorf("Higher(%q, %q) = %q, want %q", r, o, got, want)
			}
		}
	}
	if _, ok := access.ParseRole("Admin"); ok {
		t.Error("ParseRole accepts another spelling; Matomo's names are lower case")
	}
}

func TestCapabilities(t *testing.T) {
	in := []string{"b", "a", "b"}
	if diff := cmp.Diff([]string{"a", "b"}, access.Capabilities(in...)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b", "a", "b"}, in); diff != "" {
		t.Error("the argument was changed:", diff)
	}
	if access.Capabilities() != nil {
		t.Error("no capabilities are not nil")
	}
}

func TestAccess_String(t *testing.T) {
	for want, a := range map[string]access.Access{
		"no access":                        {},
		"superuser":                        {Superuser: true},
		"superuser, 1:view":                {Superuser: true, Sites: sites{1: {Role: access.View}}},
		"1:admin, 2:view+tagmanager_write": {Sites: sites{2: {Role: access.View, Capabilities: []string{"tagmanager_write"}}, 1: {Role: access.Admin}, 7: {Role: access.NoAccess}}},
	} {
		if got := a.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func TestAccess_Empty(t *testing.T) {
	for name, tc := range map[string]struct {
		a    access.Access
		want bool
	}{
		"zero value":    {access.Access{}, true},
		"superuser":     {access.Access{Superuser: true}, false},
		"only noaccess": {access.Access{Sites: sites{1: {Role: access.NoAccess}}}, true},
		"one site":      {access.Access{Sites: sites{1: {Role: access.View}}}, false},
	} {
		if got := tc.a.Empty(); got != tc.want {
			t.Errorf("%s: Empty() = %v", name, got)
		}
	}
}

func TestAccess_Equal(t *testing.T) {
	base := access.Access{Sites: sites{1: {Role: access.View, Capabilities: []string{"x"}}}}
	for name, tc := range map[string]struct {
		o    access.Access
		want bool
	}{
		"itself":                    {base, true},
		"clone":                     {base.Clone(), true},
		"a noaccess site more":      {access.Access{Sites: sites{1: base.Sites[1], 2: {Role: access.NoAccess}}}, true},
		"another site more":         {access.Access{Sites: sites{1: base.Sites[1], 2: {Role: access.View}}}, false},
		"another role":              {access.Access{Sites: sites{1: {Role: access.Write, Capabilities: []string{"x"}}}}, false},
		"without the capability":    {access.Access{Sites: sites{1: {Role: access.View}}}, false},
		"superuser":                 {access.Access{Superuser: true, Sites: base.Sites}, false},
		"nothing":                   {access.Access{}, false},
		"same number of other site": {access.Access{Sites: sites{2: base.Sites[1]}}, false},
	} {
		if got := base.Equal(tc.o); got != tc.want {
			t.Errorf("%s: Equal = %v", name, got)
		}
		if got := tc.o.Equal(base); got != tc.want {
			t.Errorf("%s: Equal is not symmetric", name)
		}
	}
	if !(access.Access{}).Equal(access.Access{Sites: sites{}}) {
		t.Error("a nil map and an empty one differ")
	}
}

func TestAccess_Clone(t *testing.T) {
	a := access.Access{Sites: sites{1: {Role: access.View, Capabilities: []string{"x"}}}}
	c := a.Clone()
	c.Sites[2] = access.SiteAccess{Role: access.Admin}
	c.Sites[1].Capabilities[0] = "changed"
	if len(a.Sites) != 1 || a.Sites[1].Capabilities[0] != "x" {
		t.Errorf("a clone shares memory: %v", a)
	}
}

func TestMerge(t *testing.T) {
	a := access.Access{Sites: sites{1: {Role: access.View, Capabilities: []string{"b"}}, 2: {Role: access.Admin}}}
	b := access.Access{Superuser: true, Sites: sites{1: {Role: access.Write, Capabilities: []string{"a"}}, 3: {Role: access.View}}}
	want := access.Access{Superuser: true, Sites: sites{
		1: {Role: access.Write, Capabilities: []string{"a", "b"}},
		2: {Role: access.Admin},
		3: {Role: access.View},
	}}
	if diff := cmp.Diff(want, access.Merge(a, b)); diff != "" {
		t.Error(diff)
	}
}

func TestMerge_Properties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawAccess(t), drawAccess(t), drawAccess(t)
		before := a.Clone()
		ab := access.Merge(a, b)
		if !ab.Equal(access.Merge(b, a)) {
			t.Fatalf("not commutative: %v and %v", a, b)
		}
		if !access.Merge(ab, c).Equal(access.Merge(a, access.Merge(b, c))) {
			t.Fatalf("not associative: %v, %v and %v", a, b, c)
		}
		if !access.Merge(a, a).Equal(a) || !a.Equal(before) {
			t.Fatalf("not idempotent, or changes its argument: %v", a)
		}
		for id, s := range a.Sites {
			if ab.Sites[id].Role.Rank() < s.Role.Rank() {
				t.Fatalf("site %d lost a role", id)
			}
		}
	})
}

func TestDiffSites(t *testing.T) {
	have := access.Access{Sites: sites{4: {Role: access.View}, 3: {Role: access.View}, 2: {Role: access.Write}, 6: {Role: access.NoAccess}}}
	want := access.Access{Sites: sites{4: {Role: access.NoAccess}, 3: {Role: access.View, Capabilities: []string{"x"}}, 2: {Role: access.Write}, 1: {Role: access.View}, 9: {Role: access.NoAccess}}}
	grants, changes, removals := access.DiffSites(have, want)
	if diff := cmp.Diff([]access.SiteChange{{Site: 1, Want: want.Sites[1]}}, grants); diff != "" {
		t.Error("grants:", diff)
	}
	if diff := cmp.Diff([]access.SiteChange{{Site: 3, Have: have.Sites[3], Want: want.Sites[3]}}, changes); diff != "" {
		t.Error("changes:", diff)
	}
	if diff := cmp.Diff([]access.SiteChange{{Site: 4, Have: have.Sites[4]}}, removals); diff != "" {
		t.Error("removals:", diff)
	}
}

// Applying the difference to what somebody has gives what they should have.
func TestDiffSites_LeadsToWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawAccess(t), drawAccess(t)
		have.Superuser, want.Superuser = false, false
		grants, changes, removals := access.DiffSites(have, want)
		got := have.Clone()
		for _, c := range append(grants, changes...) {
			got = set(got, c.Site, c.Want)
		}
		for _, c := range removals {
			delete(got.Sites, c.Site)
		}
		if !got.Equal(want) {
			t.Fatalf("from %v came %v, want %v", have, got, want)
		}
		if have.Equal(want) != (len(grants)+len(changes)+len(removals) == 0) {
			t.Fatalf("equal accesses differ, or different ones do not: %v and %v", have, want)
		}
	})
}

// Each site is in one list at most, the lists are in order, and nothing that was
// given is changed.
func TestDiffSites_ListsAreApartAndSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawAccess(t), drawAccess(t)
		before := []access.Access{have.Clone(), want.Clone()}
		grants, changes, removals := access.DiffSites(have, want)
		seen := map[access.SiteID]bool{}
		for _, list := range [][]access.SiteChange{grants, changes, removals} {
			last := access.SiteID(0)
			for _, c := range list {
				if c.Site <= last || seen[c.Site] {
					t.Fatalf("site %d stands behind %d, or twice: %v %v %v", c.Site, last, grants, changes, removals)
				}
				last, seen[c.Site] = c.Site, true
			}
		}
		if diff := cmp.Diff(before, []access.Access{have, want}); diff != "" {
			t.Fatal("the arguments were changed:", diff)
		}
	})
}

func TestMergeSite(t *testing.T) {
	site := func(role access.Role, caps ...string) access.SiteAccess {
		return access.SiteAccess{Role: role, Capabilities: caps}
	}
	for _, tc := range []struct{ a, b, want access.SiteAccess }{
		{site(access.View), site(access.Write), site(access.Write)},
		{site(access.View, "x"), site(access.Admin), site(access.Admin, "x")},
		{site(access.View), site(access.View, "x"), site(access.View, "x")},
		{site(access.Write, "b", "c"), site(access.View, "a", "b"), site(access.Write, "a", "b", "c")},
		{site(access.NoAccess), site(access.View), site(access.View)}, // who denies does so before
		{access.SiteAccess{}, site(access.View), site(access.View)},
	} {
		for _, pair := range [][2]access.SiteAccess{{tc.a, tc.b}, {tc.b, tc.a}} {
			if got := access.MergeSite(pair[0], pair[1]); !got.Equal(tc.want) {
				t.Errorf("%v and %v are %v, want %v", pair[0], pair[1], got, tc.want)
			}
		}
	}
	caps := []string{"x"}
	merged := access.MergeSite(site(access.View, caps...), site(access.View))
	merged.Capabilities[0] = "changed"
	if caps[0] != "x" {
		t.Error("the result shares its capabilities with an argument")
	}
}

func TestAccess_SiteIDs(t *testing.T) {
	a := access.Access{Sites: sites{11: {Role: access.View}, 2: {Role: access.Admin}, 7: {Role: access.NoAccess}, 8: {}}}
	if diff := cmp.Diff([]access.SiteID{2, 11}, a.SiteIDs()); diff != "" {
		t.Error(diff)
	}
	if got := (access.Access{Superuser: true}).SiteIDs(); len(got) != 0 {
		t.Errorf("a superuser has the sites %v", got)
	}
}

// Bindings store accesses as JSON and compare them with those of a later pass.
func TestAccess_SurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAccess(t)
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back access.Access
		if err := json.Unmarshal(data, &back); err != nil || !back.Equal(a) {
			t.Fatalf("%v is %s, and that %v (%v)", a, data, back, err)
		}
	})
	if data, err := json.Marshal(access.Access{}); err != nil || string(data) != "{}" {
		t.Errorf("no access is stored as %s (%v)", data, err)
	}
}

type sites = map[access.SiteID]access.SiteAccess

func set(a access.Access, id access.SiteID, s access.SiteAccess) access.Access {
	if a.Sites == nil {
		a.Sites = sites{}
	}
	a.Sites[id] = s
	return a
}

func drawAccess(t *rapid.T) access.Access {
	role := rapid.SampledFrom([]access.Role{access.NoAccess, access.View, access.Write, access.Admin})
	a := access.Access{Superuser: rapid.Bool().Draw(t, "superuser")}
	for _, id := range rapid.SliceOfDistinct(rapid.IntRange(1, 6), rapid.ID[int]).Draw(t, "sites") {
		caps := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "caps")
		a = set(a, access.SiteID(id), access.SiteAccess{Role: role.Draw(t, "role"), Capabilities: access.Capabilities(caps...)})
	}
	return a
}
