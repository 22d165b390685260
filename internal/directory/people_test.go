package directory_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/schema"
)

func TestPeople(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada@example.org", "externalId", "00u1", "title", "Countess", "nickName", "",
			"name", map[string]any{"givenName": "Ada", "familyName": "King"}, "age", json.Number("36"),
			"emails", []any{
				map[string]any{"value": "home@x.org", "type": "home"},
				map[string]any{"value": "ada@x.org", "type": "Work"},
				map[string]any{"value": "main@x.org", "primary": true},
			},
			"roles", []any{map[string]any{"value": "a"}, map[string]any{"value": "b"}}, "tags", []any{"x", "y"},
			schema.EnterpriseURN, map[string]any{"department": "Engines", "title": "hidden by the core", "manager": map[string]any{"value": "m1"}})
		brands, analysts := s.group("okta", "Brands", ada.ID), s.group("okta", "Analysts", ada.ID)
		s.group("okta", "Outer", analysts.ID) // a group as a member grants nothing
		p := s.person(ada.Subject)
		p.Users[0].Groups = nil
		want := directory.Person{
			Subject: ada.Subject, Active: true, Users: []directory.User{ada}, UserName: "ada@example.org", ExternalID: "00u1", Source: "okta",
			Groups:       []directory.GroupRef{{Source: "okta", ID: analysts.ID, Name: "Analysts"}, {Source: "okta", ID: brands.ID, Name: "Brands"}},
			PrimaryEmail: "main@x.org", WorkEmail: "ada@x.org",
			Attributes: map[string][]string{
				"active": {"true"}, "username": {"ada@example.org"}, "externalid": {"00u1"}, "title": {"Countess"}, "nickname": {""}, "age": {"36"},
				"name.givenname": {"Ada"}, "name.familyname": {"King"}, "emails.value": {"home@x.org", "ada@x.org", "main@x.org"},
				"emails.type": {"home", "Work"}, "emails.primary": {"true"}, "roles.value": {"a", "b"}, "tags": {"x", "y"},
				"department": {"Engines"}, "manager.value": {"m1"},
			},
		}
		want.Users[0].Groups = nil
		if diff := cmp.Diff(want, p); diff != "" {
			t.Errorf("person (-want +got):\n%s", diff)
		}
	})
}

func TestPeople_Emails(t *testing.T) {
	s := newStore(t, databasetest.SQLite(t))
	for i, c := range []struct {
		emails        []any
		primary, work string
	}{
		{nil, "", ""},
		{[]any{map[string]any{"value": "only@x.org"}}, "only@x.org", ""}, // Keycloak sends neither type nor primary
		{[]any{map[string]any{"value": "w@x.org", "type": "work"}}, "w@x.org", "w@x.org"},
		{[]any{map[string]any{"value": "a@x.org"}, map[string]any{"value": "b@x.org"}}, "", ""},
		{[]any{map[string]any{"value": "h@x.org", "type": "home"}, map[string]any{"value": "w@x.org", "type": "work"}, map[string]any{"value": "w2@x.org", "type": "work"}}, "", "w@x.org"},
		{[]any{map[string]any{"value": "h@x.org", "type": "other", "primary": true}, map[string]any{"value": "w@x.org", "type": "work"}}, "h@x.org", "w@x.org"},
		{[]any{map[string]any{"type": "work", "primary": true}, map[string]any{"value": "x@x.org"}}, "x@x.org", ""},
	} {
		d := []any{}
		if c.emails != nil {
			d = append(d, "emails", c.emails)
		}
		p := s.person(s.user("okta", fmt.Sprintf("user%d", i), d...).Subject)
		if p.PrimaryEmail != c.primary || p.WorkEmail != c.work {
			t.Errorf("%v: primary %q, work %q; want %q and %q", c.emails, p.PrimaryEmail, p.WorkEmail, c.primary, c.work)
		}
	}
}

// A name leads to whoever has it, and to whoever had it when their last user was deleted.
func TestSubjectsEver(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		gone := s.user("okta", "Ada@example.org")
		s.delete(gone)
		now := s.user("okta", "ada@example.org")
		s.user("okta", "bob@example.org")
		got, err := s.SubjectsEver(t.Context(), "ADA@example.org")
		want := []string{gone.Subject, now.Subject}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("subjects: %v\n%s", err, diff)
		}
	})
}

// TestPeople_SeveralSources makes one subject of users of several sources, as linking will.
func TestPeople_SeveralSources(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		door := s.user("door", "ada.door", "title", "from the door", "nickName", "A")
		ldap := s.user("ldap", "ada.ldap", "title", "from ldap", "emails", []any{map[string]any{"value": "ldap@x.org"}})
		okta := s.user("okta", "ada", "title", "from okta")
		for _, u := range []directory.User{ldap, door} {
			s.exec(`UPDATE users SET subject_id = $1 WHERE id = $2`, okta.Subject, u.ID)
		}
		s.group("door", "Analysts", door.ID)
		s.group("okta", "Brands", okta.ID)
		subject := okta.Subject
		p := s.person(subject)
		if p.UserName != "ada" || p.Attributes["title"][0] != "from okta" || p.Attributes["nickname"][0] != "A" || p.PrimaryEmail != "ldap@x.org" {
			t.Errorf("put together: %q %v %q", p.UserName, p.Attributes, p.PrimaryEmail)
		}
		if len(p.Groups) != 2 || p.Groups[0].Source != "door" || p.Groups[1].Source != "okta" {
			t.Errorf("groups %v", p.Groups)
		}
		active := func(name string, want bool) {
			t.Helper()
			if got := s.person(subject).Active; got != want {
				t.Errorf("%s: active %v, want %v", name, got, want)
			}
		}
		active("all active", true)
		s.set(door, "active", false)
		active("the door says inactive", true)
		s.set(ldap, "active", false)
		active("one lifecycle says inactive", false)
		s.set(ldap, "active", true)
		active("back", true)
		s.delete(ldap)
		active("one lifecycle gone, the other there", true)
		s.delete(okta)
		active("a door alone does not bring back a leaver", false)
		if p := s.person(subject); p.Orphan {
			t.Error("not an orphan while the door has a user")
		}
		s.delete(door)
		if p := s.person(subject); !p.Orphan || p.Active {
			t.Errorf("nobody left: %+v", p)
		}
	})
}

func TestPeople_Many(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		var subjects, ids []string
		for i := range 40 {
			u := s.user("okta", fmt.Sprintf("user%d", i))
			subjects, ids = append(subjects, u.Subject), append(ids, u.ID)
		}
		s.group("okta", "Everybody", ids...)
		people, err := s.People(t.Context(), append(subjects, "nobody"))
		if err != nil {
			t.Fatal(err)
		}
		if len(people) != len(subjects) {
			t.Errorf("%d people for %d subjects", len(people), len(subjects))
		}
		for id, p := range people {
			if p.Subject != id || len(p.Groups) != 1 || len(p.Users) != 1 || p.Users[0].Subject != id {
				t.Errorf("%s: %+v", id, p)
			}
		}
		if people, err := s.People(t.Context(), nil); err != nil || len(people) != 0 {
			t.Errorf("nobody asked for: %v, %v", people, err)
		}
	})
}

func BenchmarkPeople(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		s := newStore(b, db)
		var subjects, ids []string
		for i := range 100 {
			u := s.user("okta", fmt.Sprintf("user%d", i), "name", map[string]any{"givenName": "Ada", "familyName": "King"})
			subjects, ids = append(subjects, u.Subject), append(ids, u.ID)
		}
		for i := range 5 {
			s.group("okta", fmt.Sprintf("group%d", i), ids...)
		}
		for b.Loop() {
			if _, err := s.People(b.Context(), subjects); err != nil {
				b.Fatal(err)
			}
		}
	})
}
