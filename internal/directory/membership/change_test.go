package membership_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

func ops(kind membership.OpKind, values ...string) membership.Op {
	return membership.Op{Kind: kind, Values: values}
}

// TestApply_Delta: the delta is net, since it decides about the version, the audit row and the bindings that are due.
func TestApply_Delta(t *testing.T) {
	users := func(ids ...string) map[string]membership.Kind {
		out := map[string]membership.Kind{}
		for _, id := range ids {
			out[id] = membership.UserMember
		}
		return out
	}
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		for _, c := range []struct {
			name            string
			ops             []membership.Op
			added, removed  map[string]membership.Kind
			pending, waived int
			touched         []string
		}{
			{"nothing", nil, users(), users(), 0, 0, nil},
			{"who is there stays", []membership.Op{ops(membership.Add, "u0", "x1")}, users(), users(), 0, 0, nil},
			{"named thrice", []membership.Op{ops(membership.Add, "u2", "x2", "NAME2", "u2")}, users("u2"), users(), 0, 0, []string{"s-u2"}},
			{"removed and added again", []membership.Op{ops(membership.Remove, "u0"), ops(membership.Add, "x0")}, users(), users(), 0, 0, nil},
			{"added and removed again", []membership.Op{ops(membership.Add, "u3"), ops(membership.Remove, "u3")}, users(), users(), 0, 0, nil},
			{"a group touches nobody", []membership.Op{ops(membership.Add, "g1")}, map[string]membership.Kind{"g1": membership.GroupMember}, users(), 0, 0, nil},
			{"no group is its own member", []membership.Op{ops(membership.Add, "g0")}, users(), users(), 0, 0, nil},
			{"a user of another source is nobody", []membership.Op{ops(membership.Add, "foreign", "x9")}, users(), users(), 2, 0, nil},
			{"waiting, and not any more", []membership.Op{ops(membership.Add, "later"), ops(membership.Remove, "later")}, users(), users(), 1, 1, nil},
			{"removed by another name", []membership.Op{ops(membership.Remove, "Name1", "nobody")}, users(), users("u1"), 0, 0, []string{"s-u1"}},
			{"named twice to go", []membership.Op{ops(membership.Remove, "u0", "u0", "x0")}, users(), users("u0"), 0, 0, []string{"s-u0"}},
			{"exchanged", []membership.Op{ops(membership.ReplaceAll, "u1", "u5")}, users("u5"), users("u0"), 0, 0, []string{"s-u0", "s-u5"}},
			{"emptied", []membership.Op{ops(membership.ReplaceAll)}, users(), users("u0", "u1"), 0, 0, []string{"s-u0", "s-u1"}},
		} {
			if _, _, err := w.apply(ops(membership.ReplaceAll, "u0", "u1")); err != nil {
				t.Fatal(err)
			}
			d, touched, err := w.apply(c.ops...)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if diff := cmp.Diff(c.added, d.Added) + cmp.Diff(c.removed, d.Removed); diff != "" {
				t.Errorf("%s: added, removed (-want +got):\n%s", c.name, diff)
			}
			if d.Pending != c.pending || d.Waived != c.waived || !slices.Equal(touched, c.touched) {
				t.Errorf("%s: pending %d, waived %d, touched %v", c.name, d.Pending, d.Waived, touched)
			}
		}
	})
}

// TestApply_WhoIsMeant: an id says more than a label, and labels are the source's own and may look like anything.
func TestApply_WhoIsMeant(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			for _, u := range [][3]string{
				{"n0", "u0", "n0name"},   // its externalId is the id of another
				{"n1", "g1", "n1name"},   // ... of a group
				{"n2", "name1", "x3"},    // ... the userName of u1; and its userName is the externalId of u3
				{"n3", "Ümlaut", "übel"}, // folded text beyond ASCII
			} {
				if err := addUser(ctx, tx, source, u[0], u[1], u[2]); err != nil {
					return err
				}
			}
			return nil
		})
		for value, want := range map[string]string{
			"u0": "u0", "g1": "g1", "name1": "n2", "NAME1": "u1", "x3": "u3", "X3": "n2", "n0": "n0", "n0NAME": "n0",
			"Ümlaut": "n3", "ÜBEL": "n3", "ümlaut": "", "u": "", "%": "", "_0": "",
		} {
			if _, _, err := w.apply(ops(membership.ReplaceAll, value)); err != nil {
				t.Fatal(err)
			}
			got, err := w.members()
			waiting, pendingErr := w.pending()
			if err != nil || pendingErr != nil {
				t.Fatal(err, pendingErr)
			}
			switch ids := slices.Sorted(maps.Keys(got)); {
			case want == "" && (len(ids) != 0 || !slices.Equal(waiting, []string{value})):
				t.Errorf("%q is %v and %v waits, want nobody and that it waits", value, ids, waiting)
			case want != "" && (!slices.Equal(ids, []string{want}) || len(waiting) != 0):
				t.Errorf("%q is %v and %v waits, want %s", value, ids, waiting, want)
			}
		}
	})
}

// TestApply_AllOrNothing: an operation that is refused takes those before it along (RFC 7644 section 3.5.2).
func TestApply_AllOrNothing(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if _, _, err := w.apply(ops(membership.Add, "u0", "later")); err != nil {
			t.Fatal(err)
		}
		where := filter.Compare{Path: filter.Path{Attr: "display"}, Op: filter.Eq, Value: "x"}
		_, _, err := w.apply(ops(membership.ReplaceAll, "u1", "nobody"), membership.Op{Kind: membership.RemoveWhere, Where: where})
		var refused *schema.Error
		if !errors.As(err, &refused) || refused.ScimType != schema.InvalidPath {
			t.Errorf("error %v, want invalidPath", err)
		}
		got, err := w.members()
		waiting, pendingErr := w.pending()
		if _, ok := got["u0"]; err != nil || pendingErr != nil || !ok || len(got) != 1 || !slices.Equal(waiting, []string{"later"}) {
			t.Errorf("members %v, waiting %v, %v, %v", got, waiting, err, pendingErr)
		}
	})
}

// TestApply_OfOneGroup: nothing that is done to a group reaches the members or the waiting values of another.
func TestApply_OfOneGroup(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		other := membership.Group{Source: source, ID: "g1"}
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			_, err := w.set.Apply(ctx, tx, other, []membership.Op{ops(membership.Add, "u0", "u1", "later")})
			return err
		})
		for _, op := range []membership.Op{
			ops(membership.Add, "u0", "u1", "u2", "later"), ops(membership.Remove, "u0", "later"), ops(membership.ReplaceAll, "u5"),
			{Kind: membership.RemoveWhere, Where: filter.Compare{Path: filter.Path{Attr: "type"}, Op: filter.Eq, Value: "User"}},
			ops(membership.ReplaceAll),
		} {
			if _, _, err := w.apply(op); err != nil {
				t.Fatal(err)
			}
		}
		members, err := membership.Strings(t.Context(), db.Reader(), `SELECT member_id FROM members ORDER BY member_id`)
		waiting, pendingErr := membership.Strings(t.Context(), db.Reader(), `SELECT group_id || ' ' || value FROM pending_members`)
		if err != nil || pendingErr != nil || !slices.Equal(members, []string{"u0", "u1"}) || !slices.Equal(waiting, []string{"g1 later"}) {
			t.Errorf("g1 has %v and waits for %v; %v, %v", members, waiting, err, pendingErr)
		}
	})
}

// TestApply_ManyUnknown: more values than a statement has parameters for.
func TestApply_ManyUnknown(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		const many = 12_000
		values := make([]string, many)
		for i := range values {
			values[i] = fmt.Sprintf("unknown-%05d", i)
		}
		if d, _, err := w.apply(ops(membership.Add, values...)); err != nil || d.Pending != many || d.Changed() {
			t.Fatalf("%d wait, changed %v, %v", d.Pending, d.Changed(), err)
		}
		if d, _, err := w.apply(ops(membership.Remove, values[:many/2]...)); err != nil || d.Waived != many/2 {
			t.Fatalf("%d waived, %v", d.Waived, err)
		}
		if d, _, err := w.apply(ops(membership.ReplaceAll, values[many-1])); err != nil || d.Waived != many/2-1 || d.Pending != 0 {
			t.Errorf("%d waived and %d new, %v", d.Waived, d.Pending, err)
		}
	})
}

// TestJoin_EveryGroupOnce: one arrival ends the waiting in all groups, under either name, and also where the user is a
// member already.
func TestJoin_EveryGroupOnce(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			for _, g := range []string{"g1", "g0"} {
				values := ops(membership.Add, "ext", "Somebody", "SOMEBODY", "other")
				if _, err := w.set.Apply(ctx, tx, membership.Group{Source: source, ID: g}, []membership.Op{values}); err != nil {
					return err
				}
			}
			if err := addUser(ctx, tx, source, "n0", "ext", "somebody"); err != nil {
				return err
			}
			if _, err := w.set.Apply(ctx, tx, group, []membership.Op{ops(membership.Add, "n0")}); err != nil {
				return err
			}
			stragglers, err := w.set.Stragglers(ctx, tx)
			if err != nil || !slices.Equal(stragglers, []string{"n0"}) {
				t.Errorf("stragglers %v, %v", stragglers, err)
			}
			names := membership.Names{ExternalID: "ext", UserNameKey: "somebody"}
			got, err := w.set.Join(ctx, tx, source, "n0", names)
			want := []membership.GroupRef{{Source: source, ID: "g0", Name: "group g0"}, {Source: source, ID: "g1", Name: "group g1"}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("joined (-want +got):\n%s%v", diff, err)
			}
			if again, err := w.set.Join(ctx, tx, source, "n0", names); err != nil || len(again) != 0 {
				t.Errorf("joined again %v, %v", again, err)
			}
			if stragglers, err = w.set.Stragglers(ctx, tx); err != nil || len(stragglers) != 0 {
				t.Errorf("stragglers afterwards %v, %v", stragglers, err)
			}
			return nil
		})
		rows, err := membership.Strings(t.Context(), db.Reader(), `SELECT group_id || ' ' || member_id FROM members ORDER BY group_id`)
		if err != nil || !slices.Equal(rows, []string{"g0 n0", "g1 n0"}) {
			t.Errorf("rows %v, %v", rows, err)
		}
		waiting, err := membership.Strings(t.Context(), db.Reader(), `SELECT group_id || ' ' || value FROM pending_members ORDER BY group_id`)
		if err != nil || !slices.Equal(waiting, []string{"g0 other", "g1 other"}) {
			t.Errorf("still waiting %v, %v", waiting, err)
		}
	})
}

// TestStragglers_OfTheSource: a user is named by its own source alone, with the case rules of Join.
func TestStragglers_OfTheSource(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if _, _, err := w.apply(ops(membership.Add, "e1", "E2", "NAME-3", "e4", "e5")); err != nil {
			t.Fatal(err)
		}
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			for _, u := range [][4]string{
				{source, "n1", "e1", "a"}, {source, "n2", "e2", "b"}, {source, "n3", "c", "name-3"}, {"other", "n4", "e4", "e4"},
			} {
				if err := addUser(ctx, tx, u[0], u[1], u[2], u[3]); err != nil {
					return err
				}
			}
			got, err := w.set.Stragglers(ctx, tx)
			if err != nil || !slices.Equal(got, []string{"n1", "n3"}) {
				t.Errorf("stragglers %v, %v", got, err)
			}
			return nil
		})
	})
}

// TestDrop_EveryGroupChanges: a group's version covers its members, so each group the member was in gets a new one.
func TestDrop_EveryGroupChanges(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.tx(t, func(ctx context.Context, tx *database.Tx) error {
			if _, err := w.set.Apply(ctx, tx, group, []membership.Op{ops(membership.Add, "u0", "u1")}); err != nil {
				return err
			}
			_, err := w.set.Apply(ctx, tx, membership.Group{Source: source, ID: "g1"}, []membership.Op{ops(membership.Add, "u1", "g0")})
			return err
		})
		versions := func() string {
			got, err := membership.Strings(t.Context(), db.Reader(), `SELECT id || ':' || CAST(version AS TEXT) FROM groups ORDER BY id`)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(got)
		}
		for _, c := range []struct{ member, left, versions string }{
			{"u0", "[g0]", "[g0:2 g1:1]"}, {"u1", "[g0 g1]", "[g0:3 g1:2]"}, {"g0", "[g1]", "[g0:3 g1:3]"}, {"u5", "[]", "[g0:3 g1:3]"},
		} {
			w.tx(t, func(ctx context.Context, tx *database.Tx) error {
				if err := w.set.LockGroups(ctx, tx, c.member); err != nil {
					return err
				}
				got, err := w.set.Drop(ctx, tx, c.member)
				if slices.Sort(got); fmt.Sprint(got) != c.left {
					t.Errorf("%s left %v, want %s", c.member, got, c.left)
				}
				return err
			})
			if got := versions(); got != c.versions {
				t.Errorf("after %s: %s, want %s", c.member, got, c.versions)
			}
		}
	})
}

// TestTouched_OnePersonOnce: two users of one subject are one person, whose access is decided once.
func TestTouched_OnePersonOnce(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.exec(t, `UPDATE users SET subject_id = 's-u0' WHERE id = 'u1'`)
		for _, op := range []membership.Op{ops(membership.Add, "u0", "u1"), ops(membership.Remove, "u0", "u1")} {
			if _, touched, err := w.apply(op); err != nil || !slices.Equal(touched, []string{"s-u0"}) {
				t.Errorf("touched %v, %v", touched, err)
			}
		}
	})
}
