package directory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/schema"
)

// store is a directory with its database: okta and ldap have lifecycle, door has not.
type store struct {
	*directory.Store

	tb testing.TB
	db *database.DB
}

func newStore(tb testing.TB, db *database.DB) store {
	tb.Helper()
	s := store{tb: tb, db: db, Store: directory.New(db, bindings.New(db), directory.Options{
		Sources: []directory.Source{{Name: "okta", Lifecycle: true}, {Name: "ldap", Lifecycle: true}, {Name: "door"}},
	})}
	s.exec(`INSERT INTO targets (name, url, mode, created_at) VALUES ('main', 'https://matomo.example/', 'enforce', 1)`)
	return s
}

// run runs test on both engines.
func run(t *testing.T, test func(t *testing.T, s store)) {
	t.Helper()
	databasetest.Run(t, func(t *testing.T, db *database.DB) { test(t, newStore(t, db)) })
}

func (s store) exec(query string, args ...any) {
	s.tb.Helper()
	err := s.db.InTx(s.tb.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

// actor is who changes things in a source.
func actor(source string) directory.Actor {
	return directory.Actor{Credential: source + "-1", Source: source, RequestID: "r1"}
}

// doc is a canonical user document: name, value, name, value.
func doc(userName string, more ...any) schema.Document {
	d := schema.Document{"schemas": []any{schema.UserURN}, "userName": userName}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		d[name] = more[i+1]
	}
	return d
}

func (s store) user(source, userName string, more ...any) directory.User {
	s.tb.Helper()
	u, err := s.CreateUser(s.tb.Context(), actor(source), doc(userName, more...))
	if err != nil {
		s.tb.Fatal(err)
	}
	return u
}

func (s store) group(source, name string, members ...string) directory.Group {
	s.tb.Helper()
	g, err := s.CreateGroup(s.tb.Context(), actor(source), schema.Document{"schemas": []any{schema.GroupURN}, "displayName": name}, members)
	if err != nil {
		s.tb.Fatal(err)
	}
	return g
}

// set changes attributes of a user.
func (s store) set(u directory.User, more ...any) directory.User {
	s.tb.Helper()
	u, _, err := s.UpdateUser(s.tb.Context(), actor(u.Source), u.ID, nil, func(_ directory.User, d schema.Document) (schema.Document, error) {
		for i := 0; i+1 < len(more); i += 2 {
			name, _ := more[i].(string)
			if d[name] = more[i+1]; more[i+1] == nil {
				delete(d, name)
			}
		}
		return d, nil
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	return u
}

// members applies member operations to a group.
func (s store) members(g directory.Group, ops ...directory.MemberOp) (changed bool) {
	s.tb.Helper()
	_, changed, err := s.UpdateGroup(s.tb.Context(), actor(g.Source), g.ID, nil, nil, ops)
	if err != nil {
		s.tb.Fatal(err)
	}
	return changed
}

// mark is what the bindings know of a subject.
type mark struct {
	Generation int64
	Event      bindings.Event
	Leaver     bool // has the leavers' priority
}

// marks returns the marks of all subjects.
func (s store) marks() map[string]mark {
	s.tb.Helper()
	rows, err := s.db.Reader().Query(s.tb.Context(), `SELECT subject_id, generation, event, priority FROM bindings`)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer rows.Close()
	out := map[string]mark{}
	for rows.Next() {
		var subject string
		var m mark
		var priority int
		if err := rows.Scan(&subject, &m.Generation, &m.Event, &priority); err != nil {
			s.tb.Fatal(err)
		}
		m.Leaver = priority == 0
		out[subject] = m
	}
	if err := rows.Err(); err != nil {
		s.tb.Fatal(err)
	}
	return out
}

// entry is an audit row.
type entry struct {
	Kind, Actor, Source, Subject, RequestID string
	Before, After                           map[string]any
}

// audit returns all audit rows in order.
func (s store) audit() []entry {
	s.tb.Helper()
	rows, err := s.db.Reader().Query(s.tb.Context(), `SELECT entry FROM audit ORDER BY id`)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer rows.Close()
	var out []entry
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			s.tb.Fatal(err)
		}
		var r struct {
			Kind, Actor, Source, Subject string
			RequestID                    string `json:"request_id"`
			Before, After                map[string]any
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			s.tb.Fatal(err)
		}
		out = append(out, entry(r))
	}
	if err := rows.Err(); err != nil {
		s.tb.Fatal(err)
	}
	return out
}

// person returns one person.
func (s store) person(subject string) directory.Person {
	s.tb.Helper()
	people, err := s.People(s.tb.Context(), []string{subject})
	if err != nil {
		s.tb.Fatal(err)
	}
	return people[subject]
}

// effect runs change and returns which subjects were marked and which audit rows were written by it.
func (s store) effect(change func()) (marked []string, rows []entry) {
	s.tb.Helper()
	before, written := s.marks(), len(s.audit())
	change()
	for subject, m := range s.marks() {
		if m.Generation != before[subject].Generation {
			marked = append(marked, subject)
		}
	}
	slices.Sort(marked)
	return marked, s.audit()[written:]
}

func (s store) delete(u directory.User) {
	s.tb.Helper()
	if err := s.DeleteUser(s.tb.Context(), actor(u.Source), u.ID, nil); err != nil {
		s.tb.Fatal(err)
	}
}

// TestComeBack follows a person through deletion and return.
func TestComeBack(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada", "externalId", "00u1")
		s.delete(ada)
		p := s.person(ada.Subject)
		want := directory.Person{Subject: ada.Subject, Orphan: true, Source: "okta", ExternalID: "00u1", Attributes: map[string][]string{}}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Fatalf("loose subject (-want +got):\n%s", diff)
		}
		again := s.user("okta", "ada.new", "externalId", "00u1")
		if again.Subject != ada.Subject || again.ID == ada.ID {
			t.Errorf("came back as subject %s with id %s", again.Subject, again.ID)
		}
		if rows := s.audit(); rows[len(rows)-1].Kind != "user.returned" {
			t.Errorf("audit kind %s", rows[len(rows)-1].Kind)
		}
		if p := s.person(ada.Subject); p.Orphan || !p.Active || p.UserName != "ada.new" {
			t.Errorf("after the return %+v", p)
		}
		s.delete(again)
		for name, u := range map[string]directory.User{
			"same name, no externalId":      s.user("okta", "ada.new"),
			"another externalId":            s.user("okta", "bob", "externalId", "00U1"),
			"same externalId, other source": s.user("ldap", "carol", "externalId", "00u1"),
		} {
			if u.Subject == ada.Subject {
				t.Errorf("%s: taken for the same person", name)
			}
		}
		third := s.user("okta", "ada.third", "externalId", "00u1")
		if third.Subject != ada.Subject {
			t.Error("the second return is another person")
		}
		if _, err := s.CreateUser(t.Context(), actor("okta"), doc("dan", "externalId", "00u1")); !unique(err) {
			t.Errorf("a second user with the externalId: %v", err)
		}
	})
}

func unique(err error) bool {
	var e *schema.Error
	return errors.As(err, &e) && e.ScimType == schema.Uniqueness
}

func TestCreateUser_NameOfAnotherSource(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		s.user("okta", "Ada")
		_, err := s.CreateUser(t.Context(), actor("ldap"), doc("ADA"))
		if !unique(err) {
			t.Fatalf("got %v, want uniqueness", err)
		}
		bob := s.user("ldap", "bob")
		_, _, err = s.UpdateUser(t.Context(), actor("ldap"), bob.ID, nil, func(_ directory.User, d schema.Document) (schema.Document, error) {
			d["userName"] = "ada"
			return d, nil
		})
		if !unique(err) {
			t.Errorf("renamed onto the other's name: %v", err)
		}
		s.set(bob, "userName", "BOB") // his own
	})
}

func TestUpdate_ErrorsUndoEverything(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada")
		g := s.group("okta", "Analysts")
		boom := errors.New("boom")
		marked, rows := s.effect(func() {
			_, _, err := s.UpdateUser(t.Context(), actor("okta"), ada.ID, nil, func(_ directory.User, d schema.Document) (schema.Document, error) {
				d["title"] = "x"
				return d, boom
			})
			if !errors.Is(err, boom) {
				t.Errorf("got %v", err)
			}
			_, _, err = s.UpdateGroup(t.Context(), actor("okta"), g.ID, nil, nil, []directory.MemberOp{
				{Kind: directory.Add, Values: []string{ada.ID, "later"}}, {Kind: directory.RemoveWhere, Where: nil},
			})
			if err == nil {
				t.Error("a removal without a filter was accepted")
			}
			if _, err := s.CreateUser(t.Context(), actor("okta"), doc("ADA")); !unique(err) {
				t.Errorf("got %v", err)
			}
		})
		if len(marked)+len(rows) > 0 {
			t.Errorf("failed changes left marks %v and audit rows %v", marked, rows)
		}
		if p := s.person(ada.Subject); len(p.Groups) > 0 || p.Attributes["title"] != nil {
			t.Errorf("failed changes left %+v", p)
		}
	})
}

func TestExpect(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada")
		g := s.group("okta", "Analysts")
		keep := func(_ directory.User, d schema.Document) (schema.Document, error) { return d, nil }
		for _, c := range []struct {
			expect directory.Expect
			ok     bool
		}{{nil, true}, {directory.Expect{1}, true}, {directory.Expect{7, 1}, true}, {directory.Expect{2}, false}, {directory.Expect{}, false}} {
			_, _, err := s.UpdateUser(t.Context(), actor("okta"), ada.ID, c.expect, keep)
			if ok := err == nil; ok != c.ok || !ok && !errors.Is(err, directory.ErrVersion) {
				t.Errorf("user %v: %v", c.expect, err)
			}
			_, _, err = s.UpdateGroup(t.Context(), actor("okta"), g.ID, c.expect, nil, nil)
			if ok := err == nil; ok != c.ok || !ok && !errors.Is(err, directory.ErrVersion) {
				t.Errorf("group %v: %v", c.expect, err)
			}
		}
		if err := s.DeleteUser(t.Context(), actor("okta"), ada.ID, directory.Expect{9}); !errors.Is(err, directory.ErrVersion) {
			t.Errorf("delete: %v", err)
		}
		if err := s.DeleteGroup(t.Context(), actor("okta"), g.ID, directory.Expect{9}); !errors.Is(err, directory.ErrVersion) {
			t.Errorf("delete: %v", err)
		}
	})
}

func TestNotFound(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada")
		g := s.group("okta", "Analysts")
		for _, c := range []struct{ source, user, group string }{{"okta", g.ID, ada.ID}, {"ldap", ada.ID, g.ID}} {
			_, _, err1 := s.UpdateUser(t.Context(), actor(c.source), c.user, nil, nil)
			_, _, err2 := s.UpdateGroup(t.Context(), actor(c.source), c.group, nil, nil, nil)
			_, err3 := s.User(t.Context(), c.source, c.user, true)
			_, err4 := s.Group(t.Context(), c.source, c.group)
			err5 := s.DeleteUser(t.Context(), actor(c.source), c.user, nil)
			err6 := s.DeleteGroup(t.Context(), actor(c.source), c.group, nil)
			for i, err := range []error{err1, err2, err3, err4, err5, err6} {
				if !errors.Is(err, directory.ErrNotFound) {
					t.Errorf("%+v, case %d: %v", c, i+1, err)
				}
			}
		}
	})
}

// TestSweep checks both duties: values whose time is over go, users that slipped past a pending value join.
func TestSweep(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada", "externalId", "00u1")
		g := s.group("okta", "Analysts", "later", "never")
		s.exec(`UPDATE pending_members SET expires_at = 1 WHERE value = 'never'`)
		s.exec(`INSERT INTO pending_members (group_id, source, value, value_key, added_at, expires_at) VALUES ($1, 'okta', '00u1', '00u1', 1, 9000000000000000)`, g.ID)
		var forgotten, joined int
		marked, rows := s.effect(func() {
			var err error
			if forgotten, joined, err = s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if forgotten != 1 || joined != 1 || !slices.Equal(marked, []string{ada.Subject}) {
			t.Errorf("forgot %d, joined %d, marked %v", forgotten, joined, marked)
		}
		if len(rows) != 1 || rows[0].Kind != "user.joined" || rows[0].Actor != "sweep" {
			t.Errorf("audit %v", rows)
		}
		if p := s.person(ada.Subject); len(p.Groups) != 1 || p.Groups[0].ID != g.ID {
			t.Errorf("groups %v", p.Groups)
		}
		s.user("okta", "never") // too late
		if forgotten, joined, err := s.Sweep(t.Context()); err != nil || forgotten+joined != 0 {
			t.Errorf("second sweep: %d, %d, %v", forgotten, joined, err)
		}
		if u := s.user("okta", "x", "externalId", "later"); len(u.Groups) != 1 {
			t.Error("what waits still joins after a sweep")
		}
	})
}

func TestListsForTheAdministrator(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		var want []string
		for i := range 3 {
			want = append(want, s.user("okta", fmt.Sprintf("user%d", i), "active", i > 0).Subject)
		}
		eve := s.user("door", "eve")
		want = append(want, eve.Subject)
		s.group("door", "Analysts", eve.ID)
		var got []string
		for page, err := range s.EachSubject(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
		}
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("subjects %v, want %v", got, want)
		}
		counts, err := s.Counts(t.Context())
		if diff := cmp.Diff(map[string]directory.Count{"okta": {Users: 3, Inactive: 1}, "door": {Users: 1, Groups: 1}}, counts); diff != "" || err != nil {
			t.Errorf("counts (-want +got): %v\n%s", err, diff)
		}
		if ids, err := s.SubjectsByUserName(t.Context(), "EVE"); err != nil || !slices.Equal(ids, []string{eve.Subject}) {
			t.Errorf("by userName: %v, %v", ids, err)
		}
		if ids, err := s.SubjectsOfGroup(t.Context(), "analysts"); err != nil || !slices.Equal(ids, []string{eve.Subject}) {
			t.Errorf("of group: %v, %v", ids, err)
		}
	})
}
