package directory_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/schema"
)

// together calls fn n times at once and returns the errors that are no conflicts of uniqueness, and how many were.
func together(n int, fn func(i int) error) (conflicts int, others []error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	for _, err := range errs {
		switch {
		case unique(err):
			conflicts++
		case err != nil:
			others = append(others, err)
		}
	}
	return conflicts, others
}

// TestConcurrent_Creates has many clients create the same person: exactly one user comes of it (the High finding of
// Passbolt's audit was a race here), whatever the name they clash on.
func TestConcurrent_Creates(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		const n = 20
		for name, document := range map[string]func(i int) schema.Document{
			"userName":           func(int) schema.Document { return doc("ada") },
			"userName, any case": func(i int) schema.Document { return doc([]string{"bob", "BOB", "Bob"}[i%3]) },
			"externalId":         func(i int) schema.Document { return doc(fmt.Sprintf("carol%d", i), "externalId", "00u1") },
			"both":               func(int) schema.Document { return doc("dan", "externalId", "00u2") },
		} {
			before := len(s.marks())
			conflicts, others := together(n, func(i int) error {
				_, err := s.CreateUser(t.Context(), actor("okta"), document(i))
				return err
			})
			if conflicts != n-1 || len(others) > 0 {
				t.Errorf("%s: %d conflicts of %d, and %v", name, conflicts, n, others)
			}
			if got := len(s.marks()) - before; got != 1 {
				t.Errorf("%s: %d subjects came of it", name, got)
			}
		}
	})
}

// TestConcurrent_ComeBack has the same leaver come back many times at once: one takes the subject, the rest conflict.
func TestConcurrent_ComeBack(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada", "externalId", "00u1")
		s.delete(ada)
		conflicts, others := together(10, func(i int) error {
			u, err := s.CreateUser(t.Context(), actor("okta"), doc(fmt.Sprintf("ada%d", i), "externalId", "00u1"))
			if err == nil && u.Subject != ada.Subject {
				err = errors.New("came back as somebody else")
			}
			return err
		})
		if conflicts != 9 || len(others) > 0 {
			t.Errorf("%d conflicts, and %v", conflicts, others)
		}
	})
}

// TestConcurrent_Updates has many change the same user: each change is in the end result, none is lost.
func TestConcurrent_Updates(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		const n = 20
		ada := s.user("okta", "ada")
		_, others := together(n, func(i int) error {
			_, _, err := s.UpdateUser(t.Context(), actor("okta"), ada.ID, nil, func(_ directory.User, d schema.Document) (schema.Document, error) {
				d[fmt.Sprintf("custom%d", i)] = "x"
				return d, nil
			})
			return err
		})
		if len(others) > 0 {
			t.Fatal(others)
		}
		p := s.person(ada.Subject)
		for i := range n {
			if p.Attributes[fmt.Sprintf("custom%d", i)] == nil {
				t.Errorf("change %d is lost", i)
			}
		}
		if v := p.Users[0].Version; v != n+1 {
			t.Errorf("version %d after %d changes", v, n)
		}
	})
}

// TestConcurrent_Expect has many change a user on the condition that it is at version 1: one does.
func TestConcurrent_Expect(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		ada := s.user("okta", "ada")
		_, others := together(10, func(i int) error {
			_, _, err := s.UpdateUser(t.Context(), actor("okta"), ada.ID, directory.Expect{1}, func(_ directory.User, d schema.Document) (schema.Document, error) {
				d["title"] = fmt.Sprint(i)
				return d, nil
			})
			return err
		})
		if len(others) != 9 {
			t.Errorf("%d of 10 were refused", len(others))
		}
		for _, err := range others {
			if !errors.Is(err, directory.ErrVersion) {
				t.Error(err)
			}
		}
	})
}

// TestConcurrent_PendingMembers has users arrive while groups name them: whoever comes first, after a sweep every user
// is a member of every group.
func TestConcurrent_PendingMembers(t *testing.T) {
	run(t, func(t *testing.T, s store) {
		const n = 12
		groups := []directory.Group{s.group("okta", "A"), s.group("okta", "B"), s.group("okta", "C")}
		_, others := together(2*n, func(i int) error {
			name := fmt.Sprintf("user%d", i/2)
			if i%2 == 0 {
				_, err := s.CreateUser(t.Context(), actor("okta"), doc(name))
				return err
			}
			for _, g := range groups {
				_, _, err := s.UpdateGroup(t.Context(), actor("okta"), g.ID, nil, nil, []directory.MemberOp{{Kind: directory.Add, Values: []string{name}}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if len(others) > 0 {
			t.Fatal(others)
		}
		if _, _, err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			subjects, err := s.SubjectsByUserName(t.Context(), fmt.Sprintf("user%d", i))
			if err != nil || len(subjects) != 1 {
				t.Fatalf("user%d: %v, %v", i, subjects, err)
			}
			if p := s.person(subjects[0]); len(p.Groups) != len(groups) {
				t.Errorf("user%d is in %v", i, p.Groups)
			}
		}
	})
}

// TestConcurrent_Sources has two sources claim the same new userName at once. On PostgreSQL both may win, which the
// bindings then tell apart; on SQLite there is one writer and so one winner.
func TestConcurrent_Sources(t *testing.T) {
	db := databasetest.SQLite(t)
	s := newStore(t, db)
	conflicts, others := together(2, func(i int) error {
		_, err := s.CreateUser(t.Context(), actor([]string{"okta", "ldap"}[i]), doc("ada"))
		return err
	})
	if conflicts != 1 || len(others) > 0 {
		t.Errorf("%d conflicts, and %v", conflicts, others)
	}
}

// TestReplicas has two stores on one PostgreSQL change the same group, as two replicas do.
func TestReplicas(t *testing.T) {
	for _, e := range databasetest.Engines() {
		if e.Name != "postgres" {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			first := newStore(t, databasetest.Open(t, address, database.Options{}))
			other := databasetest.Open(t, address, database.Options{})
			second := store{tb: t, db: other, Store: directory.New(other, bindings.New(other), directory.Options{
				Sources: []directory.Source{{Name: "okta", Lifecycle: true}},
			})}
			g := first.group("okta", "Analysts")
			const n = 30
			var ids [n]string
			for i := range ids {
				ids[i] = first.user("okta", fmt.Sprintf("user%d", i)).ID
			}
			_, others := together(n, func(i int) error {
				replica := []store{first, second}[i%2]
				_, _, err := replica.UpdateGroup(t.Context(), actor("okta"), g.ID, nil, nil, []directory.MemberOp{{Kind: directory.Add, Values: ids[i : i+1]}})
				return err
			})
			if len(others) > 0 {
				t.Fatal(others)
			}
			members := 0
			if err := second.Members(t.Context(), g.ID, func(directory.Member) error { members++; return nil }); err != nil || members != n {
				t.Errorf("%d members, %v", members, err)
			}
		})
	}
}
