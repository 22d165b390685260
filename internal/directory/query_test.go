package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// bound is a filter for users or groups.
func bound(tb testing.TB, rt *schema.ResourceType, text string) *filter.Bound {
	tb.Helper()
	e, err := filter.Parse(text, filter.Options{Tolerant: true})
	if err != nil {
		tb.Fatal(err)
	}
	b, err := filter.Bind(e, rt, filter.Options{Tolerant: true})
	if err != nil {
		tb.Fatal(err)
	}
	return &b
}

// names are the userNames of a page.
func names(page directory.Page[directory.User]) []string {
	var out []string
	for _, u := range page.Items {
		out = append(out, u.UserName)
	}
	return out
}

// TestUsers_EveryPagingGivesTheSame walks the same users in pages of every size, through an index and through a scan:
// always all of them, once, in the same order, with the same total.
func TestUsers_EveryPagingGivesTheSame(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		var all []string
		for i := range 11 {
			all = append(all, s.user("okta", fmt.Sprintf("user%02d", i)).UserName)
			s.user("ldap", fmt.Sprintf("foreign%02d", i))
		}
		for _, text := range []string{"", `userName sw "user"`, `userName co "r"`, `not (title pr)`, `userName sw "user" and title ne "x"`, `active eq true`} {
			for size := 1; size <= len(all)+1; size++ {
				var got []string
				for start := 1; ; start += size {
					q := directory.Query{Source: "okta", Start: start, Count: size}
					if text != "" {
						q.Filter = bound(t, schema.User(), text)
					}
					page, err := s.Users(t.Context(), q)
					if err != nil {
						t.Fatalf("%q: %v", text, err)
					}
					if page.Total != len(all) {
						t.Fatalf("%q, page of %d from %d: total %d, want %d", text, size, start, page.Total, len(all))
					}
					if len(page.Items) == 0 {
						break
					}
					got = append(got, names(page)...)
				}
				if !slices.Equal(got, all) {
					t.Fatalf("%q in pages of %d: %v, want %v", text, size, got, all)
				}
			}
		}
	})
}

// TestUsers_DeletionsWhilePaging deletes users that were shown already: nobody who stays is skipped when the client
// starts each page where the last one ended, counted without the deleted.
func TestUsers_DeletionsWhilePaging(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		users := map[string]directory.User{}
		for i := range 9 {
			u := s.user("okta", fmt.Sprintf("user%d", i))
			users[u.UserName] = u
		}
		var seen []string
		for start := 1; ; {
			page, err := s.Users(t.Context(), directory.Query{Source: "okta", Start: start, Count: 2})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Items) == 0 {
				break
			}
			seen = append(seen, names(page)...)
			s.delete(page.Items[0])
			start += len(page.Items) - 1
		}
		if len(seen) != 9 {
			t.Errorf("seen %v", seen)
		}
	})
}

func TestUsers_Groups(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada")
		g := s.group("okta", "Analysts", ada.ID)
		for _, text := range []string{"", `userName eq "ada"`, `title ne "x"`} {
			for _, groups := range []bool{false, true} {
				q := directory.Query{Source: "okta", Start: 1, Count: 10, Groups: groups}
				if text != "" {
					q.Filter = bound(t, schema.User(), text)
				}
				page, err := s.Users(t.Context(), q)
				if err != nil || len(page.Items) != 1 {
					t.Fatalf("%q: %+v, %v", text, page, err)
				}
				if got := page.Items[0].Groups; groups && (len(got) != 1 || got[0] != directory.GroupRef{Source: "okta", ID: g.ID, Name: "Analysts"}) {
					t.Errorf("%q: groups %v", text, got)
				}
			}
		}
		// A filter over groups is evaluated, although they have no column.
		for text, want := range map[string]int{`groups.value eq "` + g.ID + `"`: 1, `groups.display eq "analysts"`: 1, `groups.value eq "x"`: 0, `groups pr`: 1} {
			page, err := s.Users(t.Context(), directory.Query{Source: "okta", Start: 1, Count: 10, Filter: bound(t, schema.User(), text)})
			if err != nil || page.Total != want {
				t.Errorf("%s: %d found, want %d (%v)", text, page.Total, want, err)
			}
		}
	})
}

func TestGroups_Query(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada")
		a := s.group("okta", "Analysts", ada.ID)
		b := s.group("okta", "Brands")
		s.group("ldap", "Analysts")
		for text, want := range map[string][]string{
			`displayName eq "ANALYSTS"`: {a.ID}, `members.value eq "` + ada.ID + `"`: {a.ID}, `members pr`: {a.ID}, `not (members pr)`: {b.ID},
			`displayName co "an"`: {a.ID, b.ID}, `displayName ew "s" and members pr`: {a.ID}, `id ne "` + a.ID + `"`: {b.ID},
			`meta.resourceType eq "Group"`: {a.ID, b.ID}, `externalId pr`: nil, `members.display co "a"`: {a.ID},
			`members pr or displayName ew "s"`: {a.ID, b.ID}, `title pr or not (members.value sw "` + ada.ID[:8] + `")`: {b.ID},
			`members[type eq "User" and value eq "` + ada.ID + `"]`: {a.ID}, `members.value ne "x" and members pr`: {a.ID},
		} {
			page, err := s.Groups(t.Context(), directory.Query{Source: "okta", Start: 1, Count: 10, Filter: bound(t, schema.Group(), text)})
			var got []string
			for _, g := range page.Items {
				got = append(got, g.ID)
			}
			if err != nil || !slices.Equal(got, want) || page.Total != len(want) {
				t.Errorf("%s: %v of %d, want %v (%v)", text, got, page.Total, want, err)
			}
		}
	})
}

// TestUsers_ScanLimit checks the bound on filters without an index, on both sides of it.
func TestUsers_ScanLimit(t *testing.T) {
	db := databasetest.SQLite(t)
	all := newStore(t, db)
	for i := range 5 {
		all.user("okta", fmt.Sprintf("user%d", i))
	}
	for limit, ok := range map[int]bool{4: false, 5: true, 6: true} {
		s := directory.New(db, bindings.New(db), directory.Options{Sources: []directory.Source{{Name: "okta"}}, ScanLimit: limit})
		_, err := s.Users(t.Context(), directory.Query{Source: "okta", Start: 1, Count: 10, Filter: bound(t, schema.User(), `title eq "x"`)})
		e, tooMany := errors.AsType[*schema.Error](err)
		if ok && err != nil || !ok && (!tooMany || e.ScimType != schema.TooMany) {
			t.Errorf("limit %d for 5 users: %v", limit, err)
		}
		narrow := bound(t, schema.User(), `title ne "x" and userName eq "user1"`)
		if page, err := s.Users(t.Context(), directory.Query{Source: "okta", Start: 1, Count: 10, Filter: narrow}); err != nil || page.Total != 1 {
			t.Errorf("limit %d, narrowed down by a column: %d, %v", limit, page.Total, err)
		}
	}
}

// TestGroups_MembershipLimit checks the bound on filters that have to look at members one by one, on both sides of it.
func TestGroups_MembershipLimit(t *testing.T) {
	db := databasetest.SQLite(t)
	all := newStore(t, db)
	var ids []string
	for i := range 12 {
		ids = append(ids, all.user("okta", fmt.Sprintf("user%d", i)).ID)
	}
	all.group("okta", "Analysts", ids...)
	all.group("ldap", "Analysts", ids[0], "who is this")
	for limit, ok := range map[int]bool{1: false, 3: true} { // ten memberships for each resource, for each part of the filter
		s := directory.New(db, bindings.New(db), directory.Options{Sources: []directory.Source{{Name: "okta"}}, ScanLimit: limit})
		for _, text := range []string{`members.display co "user"`, `members.value ne "x"`, `members[type eq "user"]`} {
			_, err := s.Groups(t.Context(), directory.Query{Source: "okta", Start: 1, Count: 10, Filter: bound(t, schema.Group(), text)})
			e, tooMany := errors.AsType[*schema.Error](err)
			if ok && err != nil || !ok && (!tooMany || e.ScimType != schema.TooMany || !strings.Contains(e.Error(), fmt.Sprint(10*limit, " memberships"))) {
				t.Errorf("limit %d, %s: %v", limit, text, err)
			}
		}
		for _, text := range []string{`members.value eq "` + ids[3] + `"`, `members pr`, `members[value eq "` + ids[3] + `" and display co "3"]`} {
			page, err := s.Groups(t.Context(), directory.Query{Source: "okta", Start: 1, Count: 10, Filter: bound(t, schema.Group(), text)})
			if err != nil || page.Total != 1 {
				t.Errorf("limit %d, answered by an index: %s: %d, %v", limit, text, page.Total, err)
			}
		}
	}
}

// TestListings_CursorGoesOnBeyondTheScanLimit reads few resources a page: with a cursor nothing is refused, pages come
// out short, and all are found once. By number, and in an order without a column, it is tooMany.
func TestListings_CursorGoesOnBeyondTheScanLimit(t *testing.T) {
	run(t, func(t *testing.T, all store) {
		var want []string
		for i := range 11 {
			if u := all.user("okta", fmt.Sprintf("user%02d", i), "title", fmt.Sprint(i%3)); i%3 == 0 {
				want = append(want, u.UserName)
			}
		}
		s := directory.New(all.db, bindings.New(all.db), directory.Options{Sources: []directory.Source{{Name: "okta"}}, ScanLimit: 2})
		q := directory.Query{Source: "okta", Start: 1, Count: 10, Filter: bound(t, schema.User(), `title eq "0"`)}
		refused := func(q directory.Query) {
			t.Helper()
			_, err := s.Users(t.Context(), q)
			if e, ok := errors.AsType[*schema.Error](err); !ok || e.ScimType != schema.TooMany || !strings.Contains(e.Error(), "2 resources") {
				t.Errorf("%v", err)
			}
		}
		refused(q)
		for _, by := range []string{"", "userName", "meta.created"} {
			for _, count := range []int{1, 2, 10} {
				var err error
				if q.Order, err = filter.BindOrder(schema.User(), by, false, filter.Options{}); err != nil {
					t.Fatal(err)
				}
				q.Cursor, q.Count, q.After = true, count, nil
				var got []string
				for pages := 0; ; pages++ {
					page, err := s.Users(t.Context(), q)
					if err != nil || page.Total != -1 || pages > 11 {
						t.Fatalf("%d a page, page %d: total %d, %v", count, pages, page.Total, err)
					}
					got = append(got, names(page)...)
					if q.After = page.Next; page.Next == nil {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("by %q, %d a page: %v, want %v", by, count, got, want)
				}
			}
		}
		var err error
		if q.Order, err = filter.BindOrder(schema.User(), "title", false, filter.Options{}); err != nil {
			t.Fatal(err)
		}
		refused(q)
	})
}

// TestCursorKey checks that there is one key however many ask for it first, and that it stays.
func TestCursorKey(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		keys := make([]string, 8)
		if conflicts, errs := together(len(keys), func(i int) error {
			key, err := directory.New(s.db, bindings.New(s.db), directory.Options{}).CursorKey(t.Context())
			keys[i] = string(key)
			return err
		}); conflicts != 0 || len(errs) != 0 {
			t.Fatal(conflicts, errs)
		}
		for _, key := range keys {
			if len(key) != 32 || key != keys[0] {
				t.Fatalf("keys differ: %x, %x", keys[0], key)
			}
		}
	})
}
