package membership_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/scim/filter"
)

// world is a store with users u0 to u5, whose externalId is x0 to x5 and whose userName is Name0 to Name5, groups g0
// and g1, and a user of another source.
type world struct {
	db  *database.DB
	set *membership.Store
}

const source = "okta"

var (
	group   = membership.Group{Source: source, ID: "g0"}
	subject = func(user string) string { return "s-" + user }
)

func newWorld(tb testing.TB, db *database.DB) world {
	tb.Helper()
	w := world{db: db, set: membership.New(db.Dialect(), time.Hour)}
	w.tx(tb, func(ctx context.Context, tx *database.Tx) error {
		for _, g := range []string{"g0", "g1"} {
			_, err := tx.Exec(ctx, `INSERT INTO groups (id, source, display_name, display_name_key, document, version, created_at, modified_at)
				VALUES ($1, $2, $3, $3, '{}', 1, 1, 1)`, g, source, "group "+g)
			if err != nil {
				return err
			}
		}
		for i := range 6 {
			if err := addUser(ctx, tx, source, fmt.Sprintf("u%d", i), fmt.Sprintf("x%d", i), fmt.Sprintf("name%d", i)); err != nil {
				return err
			}
		}
		return addUser(ctx, tx, "other", "foreign", "x9", "name9")
	})
	return w
}

func addUser(ctx context.Context, tx *database.Tx, source, id, external, key string) error {
	if _, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, 1)`, subject(id)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO users (id, source, subject_id, external_id, user_name, user_name_key, active, document, version, created_at, modified_at)
		VALUES ($1, $2, $3, $4, $5, $5, TRUE, '{}', 1, 1, 1)`, id, source, subject(id), external, key)
	return err
}

// tx runs fn in a transaction.
func (w world) tx(tb testing.TB, fn database.Func) {
	tb.Helper()
	if err := w.db.InTx(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

// apply runs ops on g0 and returns the delta and the subjects it touched.
func (w world) apply(ops ...membership.Op) (d *membership.Delta, touched []string, err error) {
	err = w.db.InTx(context.Background(), func(ctx context.Context, tx *database.Tx) error {
		if d, err = w.set.Apply(ctx, tx, group, ops); err != nil {
			return err
		}
		touched, err = w.set.Touched(ctx, tx, d)
		return err
	})
	return d, touched, err
}

// members are the ids of the members of g0 with their kind.
func (w world) members() (map[string]membership.Kind, error) {
	out := map[string]membership.Kind{}
	err := membership.Each(context.Background(), w.db.Reader(), group.ID, func(m membership.Member) error {
		out[m.ID] = m.Kind
		return nil
	})
	return out, err
}

// pending are the values that wait for g0.
func (w world) pending() ([]string, error) {
	return membership.Strings(context.Background(), w.db.Reader(), `SELECT value FROM pending_members WHERE group_id = $1 ORDER BY value`, group.ID)
}

// model is what the same operations do to sets in memory.
type model struct {
	members map[string]membership.Kind
	pending map[string]bool
}

// meaning is who a value is: a user, a group, or nobody.
func meaning(value string) (id string, kind membership.Kind, ok bool) {
	fold := strings.ToLower(value)
	switch {
	case len(value) == 2 && value[0] == 'u' && value[1] <= '5':
		return value, membership.UserMember, true
	case value == "g1":
		return value, membership.GroupMember, true
	case len(value) == 2 && value[0] == 'x' && value[1] <= '5':
		return "u" + value[1:], membership.UserMember, true
	case len(fold) == 5 && strings.HasPrefix(fold, "name") && fold[4] <= '5':
		return "u" + fold[4:], membership.UserMember, true
	}
	return "", "", false
}

func (m model) apply(op membership.Op) {
	switch op.Kind {
	case membership.ReplaceAll:
		clear(m.members)
		clear(m.pending)
		fallthrough
	case membership.Add:
		for _, v := range op.Values {
			switch id, kind, ok := meaning(v); {
			case ok:
				m.members[id] = kind
			case v != group.ID: // no group is its own member
				m.pending[v] = true
			}
		}
	case membership.Remove:
		for _, v := range op.Values {
			delete(m.pending, v)
			delete(m.members, v)
			if id, kind, ok := meaning(v); ok && kind == membership.UserMember {
				delete(m.members, id)
			}
		}
	case membership.RemoveWhere: // the test removes by type User
		maps.DeleteFunc(m.members, func(_ string, kind membership.Kind) bool { return kind == membership.UserMember })
	}
}

// TestApply_LikeSets runs random operations on both engines and on sets in memory: same members, same values waiting,
// and the subjects touched are exactly those whose membership differs from before, however it came about.
func TestApply_LikeSets(t *testing.T) {
	byType := filter.Compare{Path: filter.Path{Attr: "type"}, Op: filter.Eq, Value: "User"}
	value := rapid.SampledFrom([]string{
		"u0", "u1", "u2", "u3", "u4", "u5", "x0", "x1", "x5", "NAME2", "Name3", "g1", "g0", "foreign", "x9", "X0", "nobody", "later", "U1",
	})
	operation := rapid.Custom(func(t *rapid.T) membership.Op {
		kind := rapid.SampledFrom([]membership.OpKind{membership.Add, membership.Add, membership.Remove, membership.ReplaceAll, membership.RemoveWhere}).Draw(t, "kind")
		op := membership.Op{Kind: kind}
		if kind == membership.RemoveWhere {
			op.Where = byType
			return op
		}
		op.Values = rapid.SliceOfNDistinct(value, 0, 6, rapid.ID[string]).Draw(t, "values")
		return op
	})
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		rapid.Check(t, func(rt *rapid.T) {
			if _, _, err := w.apply(membership.Op{Kind: membership.ReplaceAll}); err != nil {
				rt.Fatal(err)
			}
			m := model{members: map[string]membership.Kind{}, pending: map[string]bool{}}
			for _, ops := range rapid.SliceOfN(rapid.SliceOfN(operation, 1, 4), 1, 4).Draw(rt, "requests") {
				before := maps.Clone(m.members)
				for _, op := range ops {
					m.apply(op)
				}
				d, touched, err := w.apply(ops...)
				if err != nil {
					rt.Fatal(err)
				}
				got, err := w.members()
				if err != nil || !maps.Equal(got, m.members) {
					rt.Fatalf("members %v, want %v (%v)", got, m.members, err)
				}
				waiting, err := w.pending()
				if want := slices.Sorted(maps.Keys(m.pending)); err != nil || !slices.Equal(waiting, want) {
					rt.Fatalf("pending %v, want %v (%v)", waiting, want, err)
				}
				if want := differing(before, m.members); !slices.Equal(touched, want) {
					rt.Fatalf("touched %v, want %v", touched, want)
				}
				if d.Changed() != !maps.Equal(before, m.members) {
					rt.Fatalf("changed %v for %v to %v", d.Changed(), before, m.members)
				}
			}
		})
	})
}

// differing are the subjects of the users that are in one of two sets only.
func differing(a, b map[string]membership.Kind) []string {
	var out []string
	for _, pair := range [...][2]map[string]membership.Kind{{a, b}, {b, a}} {
		for id, kind := range pair[0] {
			if _, ok := pair[1][id]; !ok && kind == membership.UserMember {
				out = append(out, subject(id))
			}
		}
	}
	return slices.Sorted(slices.Values(out))
}

func TestJoin(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if _, _, err := w.apply(membership.Op{Kind: membership.Add, Values: []string{"ext", "NEW", "other"}}); err != nil {
			t.Fatal(err)
		}
		join := func(src, id, external, key string) (got []membership.GroupRef) {
			t.Helper()
			w.tx(t, func(ctx context.Context, tx *database.Tx) (err error) {
				if err = addUser(ctx, tx, src, id, external, key); err == nil {
					got, err = w.set.Join(ctx, tx, src, id, membership.Names{ExternalID: external, UserNameKey: key})
				}
				return err
			})
			return got
		}
		for _, c := range []struct {
			source, id, external, key string
			joins                     bool
		}{
			{"other", "n1", "ext", "new", false},    // another source
			{source, "n2", "EXT", "someone", false}, // the case of an externalId matters
			{source, "n3", "ext", "new2", true},
			{source, "n4", "y", "new", true}, // that of a userName does not
			{source, "n5", "ext2", "new3", false},
		} {
			if got := join(c.source, c.id, c.external, c.key); (len(got) == 1) != c.joins {
				t.Errorf("%+v joined %v", c, got)
			}
		}
		if waiting, err := w.pending(); err != nil || !slices.Equal(waiting, []string{"other"}) {
			t.Errorf("still waiting %v, %v", waiting, err)
		}
		var version int
		if err := db.Reader().QueryRow(t.Context(), `SELECT version FROM groups WHERE id = 'g0'`).Scan(&version); err != nil || version != 3 {
			t.Errorf("version %d after two have joined, want 3 (%v)", version, err)
		}
	})
}

func TestPending_Expiry(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		add := membership.Op{Kind: membership.Add, Values: []string{"later"}}
		if d, _, err := w.apply(add); err != nil || d.Pending != 1 {
			t.Fatalf("%+v, %v", d, err)
		}
		if d, _, err := w.apply(add); err != nil || d.Pending != 0 {
			t.Errorf("told again: %+v, %v", d, err)
		}
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE pending_members SET expires_at = 1`)
			return err
		})
		if d, _, err := w.apply(add); err != nil || d.Pending != 1 {
			t.Errorf("told again after its time: %+v, %v", d, err)
		}
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			if n, err := w.set.Forget(ctx, tx); n != 0 || err != nil {
				t.Errorf("forgot %d, %v", n, err)
			}
			if _, err := tx.Exec(ctx, `UPDATE pending_members SET expires_at = 1`); err != nil {
				return err
			}
			if got, err := w.set.Join(ctx, tx, source, "u0", membership.Names{ExternalID: "later"}); len(got) != 0 || err != nil {
				t.Errorf("joined after its time: %v, %v", got, err)
			}
			if n, err := w.set.Forget(ctx, tx); n != 1 || err != nil {
				t.Errorf("forgot %d, %v", n, err)
			}
			return nil
		})
	})
}

func TestDropAndSubjects(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if _, _, err := w.apply(membership.Op{Kind: membership.Add, Values: []string{"u0", "u1", "g1"}}); err != nil {
			t.Fatal(err)
		}
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			if got, err := w.set.Subjects(ctx, tx, "g0"); err != nil || !slices.Equal(got, []string{"s-u0", "s-u1"}) {
				t.Errorf("subjects %v, %v", got, err)
			}
			if err := w.set.LockGroups(ctx, tx, "u0"); err != nil {
				return err
			}
			if got, err := w.set.Drop(ctx, tx, "u0"); err != nil || !slices.Equal(got, []string{"g0"}) {
				t.Errorf("dropped out of %v, %v", got, err)
			}
			if got, err := w.set.Drop(ctx, tx, "u0"); err != nil || len(got) != 0 {
				t.Errorf("dropped again out of %v, %v", got, err)
			}
			return nil
		})
		if got, err := w.members(); err != nil || len(got) != 2 || got["g1"] != membership.GroupMember {
			t.Errorf("members %v, %v", got, err)
		}
	})
}

func TestApply_RemoveWhere(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		cmp := func(attr, value string) filter.Expr {
			return filter.Compare{Path: filter.Path{Attr: attr}, Op: filter.Eq, Value: value}
		}
		for _, c := range []struct {
			where filter.Expr
			left  []string // nil: refused
		}{
			{cmp("type", "user"), []string{"g1"}},
			{filter.And{L: cmp("type", "User"), R: cmp("value", "u0")}, []string{"g1", "u1"}},
			{filter.Not{X: cmp("type", "Group")}, []string{"g1"}},
			{filter.Or{L: cmp("value", "u0"), R: cmp("type", "Group")}, []string{"u1"}},
			{filter.Present{Path: filter.Path{Attr: "value"}}, []string{}},
			{cmp("display", "x"), nil},
			{filter.And{L: cmp("type", "User"), R: cmp("display", "x")}, nil},
		} {
			if _, _, err := w.apply(membership.Op{Kind: membership.ReplaceAll, Values: []string{"u0", "u1", "g1"}}); err != nil {
				t.Fatal(err)
			}
			_, _, err := w.apply(membership.Op{Kind: membership.RemoveWhere, Where: c.where})
			got, memberErr := w.members()
			if memberErr != nil {
				t.Fatal(memberErr)
			}
			if (err != nil) != (c.left == nil) || err == nil && !slices.Equal(slices.Sorted(maps.Keys(got)), c.left) {
				t.Errorf("%s: %v left, %v; want %v", c.where, got, err, c.left)
			}
			if err != nil && len(got) != 3 {
				t.Errorf("%s: refused, and %v left", c.where, got)
			}
		}
	})
}

func TestEach_EndsAtAnError(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	if _, _, err := w.apply(membership.Op{Kind: membership.Add, Values: []string{"u0", "u1"}}); err != nil {
		t.Fatal(err)
	}
	calls := 0
	err := membership.Each(t.Context(), w.db.Reader(), group.ID, func(membership.Member) error {
		calls++
		return context.Canceled
	})
	if calls != 1 || err == nil {
		t.Errorf("%d calls, error %v", calls, err)
	}
}
