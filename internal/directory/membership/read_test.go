package membership_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// exec runs one statement that sets the stage.
func (w world) exec(tb testing.TB, query string, args ...any) {
	tb.Helper()
	w.tx(tb, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// TestEach_Pages: whatever the number, and above all around the end of a page, every member comes once, in order.
func TestEach_Pages(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		stored := 0
		for _, n := range []int{0, 1, 1999, 2000, 2001, 4000, 4001} {
			w.exec(t, `WITH RECURSIVE n (i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2)
				INSERT INTO members (group_id, member_id, kind, added_at)
				SELECT 'g0', 'm' || CAST(100000 + i AS TEXT), 'User', 1 FROM n WHERE i <= $2`, stored+1, n)
			stored = n
			var got []string
			err := membership.Each(t.Context(), db.Reader(), group.ID, func(m membership.Member) error {
				got = append(got, m.ID)
				return nil
			})
			if err != nil || len(got) != n || !slices.IsSorted(got) || len(slices.Compact(got)) != n {
				t.Errorf("%d members: got %d, sorted %v, %v", n, len(got), slices.IsSorted(got), err)
			}
		}
	})
}

func TestEach_Display(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if _, _, err := w.apply(membership.Op{Kind: membership.Add, Values: []string{"u0", "u1", "g1"}}); err != nil {
			t.Fatal(err)
		}
		w.exec(t, `UPDATE users SET display_name = 'Zoe Q.' WHERE id = 'u1'`)
		w.exec(t, `INSERT INTO members (group_id, member_id, kind, added_at) VALUES ('g0', 'nobody', 'User', 1)`)
		var got []membership.Member
		err := membership.Each(t.Context(), db.Reader(), group.ID, func(m membership.Member) error {
			got = append(got, m)
			return nil
		})
		want := []membership.Member{
			{ID: "g1", Kind: membership.GroupMember, Display: "group g1"},
			{ID: "nobody", Kind: membership.UserMember},
			{ID: "u0", Kind: membership.UserMember, Display: "name0"}, // has no displayName
			{ID: "u1", Kind: membership.UserMember, Display: "Zoe Q."},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("members (-want +got):\n%s%v", diff, err)
		}
	})
}

// TestEach_LeavesTheDatabaseFree: what fn does takes as long as a client reads, and no statement is open meanwhile.
func TestEach_LeavesTheDatabaseFree(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if _, _, err := w.apply(membership.Op{Kind: membership.Add, Values: []string{"u0", "u1", "u2"}}); err != nil {
			t.Fatal(err)
		}
		seen := 0
		err := membership.Each(t.Context(), db.Reader(), group.ID, func(m membership.Member) error {
			seen++
			_, _, err := w.apply(membership.Op{Kind: membership.Remove, Values: []string{m.ID}})
			return err
		})
		left, memberErr := w.members()
		if err != nil || memberErr != nil || seen != 3 || len(left) != 0 {
			t.Errorf("saw %d, left %v, %v, %v", seen, left, err, memberErr)
		}
	})
}

func TestGroupsOf(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.exec(t, `INSERT INTO groups (id, source, display_name, display_name_key, document, version, created_at, modified_at)
			VALUES ('f0', 'other', 'theirs', 'theirs', '{}', 1, 1, 1)`)
		for _, g := range []string{"g1", "g0", "f0"} {
			w.exec(t, `INSERT INTO members (group_id, member_id, kind, added_at) VALUES ($1, 'u0', 'User', 1)`, g)
		}
		w.exec(t, `INSERT INTO members (group_id, member_id, kind, added_at) VALUES ('g1', 'g0', 'Group', 1)`)
		for id, want := range map[string][]membership.GroupRef{
			"u0": {{Source: source, ID: "g0", Name: "group g0"}, {Source: source, ID: "g1", Name: "group g1"}},
			"u1": nil,
			"g0": {{Source: source, ID: "g1", Name: "group g1"}},
		} {
			got, err := membership.GroupsOf(t.Context(), db.Reader(), source, id)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("groups of %s (-want +got):\n%s%v", id, diff, err)
			}
		}
		// A group within a group gives its users nothing: direct groups only.
		if _, _, err := w.apply(membership.Op{Kind: membership.Add, Values: []string{"u2"}}); err != nil {
			t.Fatal(err)
		}
		got, err := membership.GroupsOf(t.Context(), db.Reader(), source, "u2")
		if err != nil || !slices.Equal(membership.IDs(got), []string{"g0"}) {
			t.Errorf("groups of u2 %v, %v", got, err)
		}
	})
}

func TestEachRow_Errors(t *testing.T) {
	db := databasetest.SQLite(t)
	ctx, boom := t.Context(), errors.New("boom")
	if err := membership.EachRow(ctx, db.Reader(), nil, "SELEKT"); err == nil {
		t.Error("nonsense was run")
	}
	calls := 0
	err := membership.EachRow(ctx, db.Reader(), func(*sql.Rows) error {
		calls++
		return boom
	}, "SELECT 1 UNION SELECT 2")
	if !errors.Is(err, boom) || calls != 1 {
		t.Errorf("%d rows were read, %v", calls, err)
	}
	if got, err := membership.Strings(ctx, db.Reader(), "SELECT 'a', 'b'"); err == nil {
		t.Errorf("two columns are %v", got)
	}
	if got, err := membership.Strings(ctx, db.Reader(), "SELECT 'a' WHERE 1 = 0"); err != nil || got != nil {
		t.Errorf("no row is %v, %v", got, err)
	}
}

func TestLock_On(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		for lock, want := range map[membership.Lock]string{
			membership.LockRow: " FOR UPDATE", membership.LockUser: " FOR NO KEY UPDATE", membership.LockShare: " FOR KEY SHARE",
		} {
			if db.Dialect().Name() == "sqlite" {
				want = "" // one writer, and no such words in its grammar
			}
			if got := lock.On(db.Dialect()); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

// TestIDs: the audit log gets the ids in the order in which the groups joined.
func TestIDs(t *testing.T) {
	var groups []membership.GroupRef
	var want []string
	for i := range 3 {
		groups = append(groups, membership.GroupRef{Source: source, ID: fmt.Sprint(i), Name: "n"})
		want = append(want, fmt.Sprint(i))
	}
	if got := membership.IDs(groups); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := membership.IDs(nil); got != nil {
		t.Errorf("of none: %v", got)
	}
}
