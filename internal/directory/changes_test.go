package directory_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/schema"
)

// TestChanges_MarkAndRecord goes through the life of a user and its groups: each change marks exactly the subjects it
// touches and writes exactly one audit row; what changes nothing does neither.
func TestChanges_MarkAndRecord(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada, bob := s.user("okta", "ada"), s.user("okta", "bob")
		g := s.group("okta", "Analysts", ada.ID)
		other := s.group("okta", "Others")
		rename := func(name string) func() {
			return func() {
				_, _, err := s.UpdateGroup(t.Context(), actor("okta"), g.ID, nil, func(_ directory.Group, d schema.Document) (schema.Document, error) {
					d["displayName"] = name
					return d, nil
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		op := func(kind directory.MemberOpKind, values ...string) func() {
			return func() { s.members(g, directory.MemberOp{Kind: kind, Values: values}) }
		}
		both := []string{ada.Subject, bob.Subject}
		slices.Sort(both)
		for _, c := range []struct {
			name   string
			change func()
			marked []string
			kind   string // of the audit row, "" for none
		}{
			{"title", func() { s.set(ada, "title", "Countess") }, []string{ada.Subject}, "user.updated"},
			{"the same title", func() { s.set(ada, "title", "Countess") }, nil, ""},
			{"add a member", op(directory.Add, bob.ID), []string{bob.Subject}, "group.updated"},
			{"add it again", op(directory.Add, bob.ID, ada.ID), nil, ""},
			{"replace by the same", op(directory.ReplaceAll, ada.ID, bob.ID), nil, ""},
			{"remove and add in one", func() {
				s.members(g, directory.MemberOp{Kind: directory.Remove, Values: []string{ada.ID}}, directory.MemberOp{Kind: directory.Add, Values: []string{ada.ID}})
			}, nil, ""},
			{"replace by one", op(directory.ReplaceAll, ada.ID), []string{bob.Subject}, "group.updated"},
			{"remove who is none", op(directory.Remove, bob.ID), nil, ""},
			{"a value nobody has", op(directory.Add, "later"), nil, "group.pending"},
			{"the same value", op(directory.Add, "later"), nil, ""},
			{"take it back", op(directory.Remove, "later"), nil, "group.pending"},
			{"all", op(directory.ReplaceAll, ada.ID, bob.ID), []string{bob.Subject}, "group.updated"},
			{"rename", rename("New"), both, "group.updated"},
			{"rename to the same", rename("New"), nil, ""},
			{"a group as a member", op(directory.Add, other.ID), nil, "group.updated"},
			{"deactivate", func() { s.set(ada, "active", false) }, []string{ada.Subject}, "user.updated"},
			{"delete a user", func() {
				if err := s.DeleteUser(t.Context(), actor("okta"), ada.ID, nil); err != nil {
					t.Fatal(err)
				}
			}, []string{ada.Subject}, "user.deleted"},
			{"delete the group", func() {
				if err := s.DeleteGroup(t.Context(), actor("okta"), g.ID, nil); err != nil {
					t.Fatal(err)
				}
			}, []string{bob.Subject}, "group.deleted"},
		} {
			marked, rows := s.effect(c.change)
			if !slices.Equal(marked, c.marked) {
				t.Errorf("%s: marked %v, want %v", c.name, marked, c.marked)
			}
			switch {
			case c.kind == "" && len(rows) > 0, c.kind != "" && (len(rows) != 1 || rows[0].Kind != c.kind):
				t.Errorf("%s: audit rows %v, want one %q", c.name, rows, c.kind)
			case len(rows) == 1 && (rows[0].Actor != "okta-1" || rows[0].Source != "okta" || rows[0].RequestID != "r1"):
				t.Errorf("%s: audit row %+v does not say who", c.name, rows[0])
			}
		}
	})
}

func TestChanges_AuditSaysWhat(t *testing.T) {
	s := newStore(t, databasetest.SQLite(t))
	ada := s.user("okta", "ada", "externalId", "00u1", "emails", []any{map[string]any{"value": "ada@example.org"}})
	s.set(ada, "title", "Countess", "userName", "ada.king", "phoneNumbers", []any{map[string]any{"value": "555"}})
	g := s.group("okta", "Analysts", ada.ID)
	s.members(g, directory.MemberOp{Kind: directory.Remove, Values: []string{ada.ID}})
	rows := s.audit()
	want := []entry{
		{Kind: "user.created", Subject: ada.Subject, After: map[string]any{
			"user": ada.ID, "userName": "ada", "externalId": "00u1", "active": true, "version": 1.0, "emails": []any{"ada@example.org"},
		}},
		{
			Kind: "user.updated", Subject: ada.Subject,
			Before: map[string]any{"user": ada.ID, "userName": "ada", "externalId": "00u1", "active": true, "version": 1.0, "emails": []any{"ada@example.org"}},
			After: map[string]any{
				"user": ada.ID, "userName": "ada.king", "externalId": "00u1", "active": true, "version": 2.0, "emails": []any{"ada@example.org"},
				"changed": []any{"phoneNumbers", "title", "userName"},
			},
		},
		{Kind: "group.created", After: map[string]any{"group": g.ID, "displayName": "Analysts", "version": 1.0, "added": []any{ada.ID}}},
		{
			Kind: "group.updated", Before: map[string]any{"group": g.ID, "displayName": "Analysts", "version": 1.0},
			After: map[string]any{"group": g.ID, "displayName": "Analysts", "version": 2.0, "removed": []any{ada.ID}},
		},
	}
	for i := range want {
		want[i].Actor, want[i].Source, want[i].RequestID = "okta-1", "okta", "r1"
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("audit rows (-want +got):\n%s", diff)
	}
}

// TestChanges_Events checks what a change is called, and that only sources with lifecycle make leavers.
func TestChanges_Events(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada, eve := s.user("okta", "ada"), s.user("door", "eve")
		for _, c := range []struct {
			name   string
			change func()
			who    directory.User
			want   bindings.Event
			leaver bool
		}{
			{"created", func() {}, ada, bindings.Joiner, false},
			{"changed", func() { s.set(ada, "title", "x") }, ada, bindings.Mover, false},
			{"deactivated", func() { s.set(ada, "active", false) }, ada, bindings.Leaver, true},
			{"door: created", func() {}, eve, bindings.Joiner, false},
			{"door: deactivated", func() { s.set(eve, "active", false) }, eve, bindings.Mover, false},
			{"door: back", func() { s.set(eve, "active", true) }, eve, bindings.Joiner, false},
			{"door: deleted", func() { s.delete(eve) }, eve, bindings.Mover, false},
		} {
			c.change()
			if got := s.marks()[c.who.Subject]; got.Event != c.want || got.Leaver != c.leaver {
				t.Errorf("%s: %+v, want %s", c.name, got, c.want)
			}
		}
		bob := s.user("okta", "bob")
		s.exec(`UPDATE bindings SET observed = generation, due_at = NULL, accepted_at = NULL, event = ''`)
		if s.delete(bob); s.marks()[bob.Subject].Event != bindings.Leaver {
			t.Errorf("deleted: %+v", s.marks()[bob.Subject])
		}
		quiet := s.user("okta", "quiet", "active", false)
		if got := s.marks()[quiet.Subject].Event; got == bindings.Joiner {
			t.Error("a user created inactive is no joiner")
		}
	})
}
