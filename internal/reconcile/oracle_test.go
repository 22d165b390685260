package reconcile_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/matomo/access"
)

// The oracle says what rules give without the code under test: a table of what
// each group of defaultRules gives, put together by hand.

// ruleBook is one set of rules, in words and as a table.
type ruleBook struct {
	text  string
	table map[string]map[int]access.Role // group -> site -> role; allSites for every site
}

const allSites = 0

var rulebooks = []ruleBook{
	{defaultRules, map[string]map[int]access.Role{
		"Analysts": {1: access.Write, 2: access.View}, "Editors": {2: access.Admin, 3: access.View}, "Everywhere": {allSites: access.View},
	}},
	{`
[RoleMapping]
group[Analysts] = "site:1:view, site:4:admin"
group[Everywhere] = "site:5:write"
group[Admins] = "superuser"
group[Blocked] = "site:2:noaccess"
`, map[string]map[int]access.Role{
		"Analysts": {1: access.View, 4: access.Admin}, "Everywhere": {5: access.Write},
	}},
}

// groupNames are the groups that the rules know, and one that they do not.
var groupNames = []string{"Analysts", "Editors", "Everywhere", "Admins", "Blocked", "Unknown"}

// expected is the access that the groups give on sites.
func (b ruleBook) expected(groups []string, sites []int) access.Access {
	out := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	denied := slices.Contains(groups, "Blocked")
	if slices.Contains(groups, "Admins") && !denied {
		return access.Access{Superuser: true}
	}
	for _, g := range groups {
		for site, role := range b.table[g] {
			for _, id := range sites {
				if site != id && site != allSites || denied && id == 2 {
					continue
				}
				have := out.Sites[access.SiteID(id)]
				out.Sites[access.SiteID(id)] = access.SiteAccess{Role: access.Higher(have.Role, role)}
			}
		}
	}
	return out
}

// siteIDs are the sites that the stand-in has now.
func (w *world) siteIDs() []int {
	var out []int
	for _, s := range w.matomo.Sites() {
		out = append(out, s.ID)
	}
	return out
}

// wantGroups compares what Matomo holds for a login with what groups give.
func (w *world) wantGroups(b ruleBook, login string, groups []string) {
	w.tb.Helper()
	want := b.expected(groups, w.siteIDs())
	if _, ok := w.matomo.User(login); !ok {
		if !want.Empty() {
			w.tb.Errorf("%s has no account, want %s for %v", login, want, groups)
		}
		return
	}
	if got := w.matomo.Access(login); !got.Equal(want) {
		w.tb.Errorf("%s has %s, want %s for %v", login, got, want, groups)
	}
}

// rapidTB lets a world report to rapid, which shrinks what fails, and cleans up
// after each case.
type rapidTB struct {
	testing.TB
	r        *rapid.T
	cleanups []func()
}

func (t *rapidTB) Helper()                      {}
func (t *rapidTB) Error(args ...any)            { t.r.Error(args...) }
func (t *rapidTB) Errorf(f string, args ...any) { t.r.Errorf(f, args...) }
func (t *rapidTB) Fatal(args ...any)            { t.r.Fatal(args...) }
func (t *rapidTB) Fatalf(f string, args ...any) { t.r.Fatalf(f, args...) }
func (t *rapidTB) Logf(f string, args ...any)   { t.r.Logf(f, args...) }
func (t *rapidTB) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *rapidTB) Context() context.Context     { return context.WithoutCancel(t.TB.Context()) }
func (t *rapidTB) Failed() bool                 { return t.r.Failed() }

// property runs check on many worlds.
func property(t *testing.T, check func(r *rapid.T, w *world), settings ...setting) {
	t.Helper()
	bare := struct{ testing.TB }{t} // without Deadline, which a bubble does not have
	rapid.Check(bare, func(r *rapid.T) {
		tb := &rapidTB{TB: t, r: r}
		defer func() {
			for _, f := range slices.Backward(tb.cleanups) {
				f()
			}
		}()
		check(r, newWorld(tb, databasetest.SQLite(tb), settings...))
	})
}

// someGroups draws a set of groups.
func someGroups(r *rapid.T, label string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(groupNames), 0, 4, rapid.ID[string]).Draw(r, label)
}

// regroup changes a user's groups to the given ones, in any order of steps.
func (w *world) regroup(r *rapid.T, userName string, from, to []string) {
	var steps []func()
	for _, g := range groupNames {
		has, wants := slices.Contains(from, g), slices.Contains(to, g)
		switch {
		case !has && wants:
			steps = append(steps, func() { w.add(g, userName) })
		case has && !wants:
			steps = append(steps, func() { w.remove(g, userName) })
		}
	}
	if len(steps) == 0 {
		return
	}
	for _, i := range rapid.Permutation(indexes(len(steps))).Draw(r, "order") {
		steps[i]()
	}
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// clip is a without anything above what most holds.
func clip(a, most access.Access) access.Access {
	if most.Superuser {
		return a
	}
	out := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	for id, s := range a.Sites {
		role := s.Role
		if top := most.Sites[id].Role; top.Rank() < role.Rank() {
			role = top
		}
		if role.Rank() > 0 {
			out.Sites[id] = access.SiteAccess{Role: role}
		}
	}
	return out
}
