// Package membership changes who is in a group. A membership is a row, and a
// change is a few statements over sets, however large the group is: nothing here
// ever reads the members of a group into memory.
//
// Members that a source names before it sends the user wait as pending rows and
// join when the user arrives. A group as a member is kept and grants nothing.
//
// Everything runs in the caller's transaction, which holds the row of the group.
// Locks on PostgreSQL are taken in the order groups, users, bindings, and within
// each by id.
package membership

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Kind says what a member is.
type Kind string

// The kinds of members, spelled as in SCIM's members.type.
const (
	UserMember  Kind = "User"
	GroupMember Kind = "Group" // stored and returned, grants nothing
)

// OpKind is what an Op does.
type OpKind int

// The member operations.
const (
	// ReplaceAll makes Values the members, all of them.
	ReplaceAll OpKind = iota
	// Add adds Values; those who are members already stay.
	Add
	// Remove removes Values; those who are no members are passed over.
	Remove
	// RemoveWhere removes the members that Where is true for.
	RemoveWhere
)

// Op is one step of a change of memberships. Values are the ids of users or
// groups of the same source; an externalId or a userName is understood too. A
// value that nobody has is kept as pending.
type Op struct {
	Kind   OpKind
	Values []string
	// Labels are what the client says about members, by value, as JSON objects:
	// kept for those who become members now and are named by their id.
	Labels map[string]string
	// Where is over the sub-attributes value and type of one member, in canonical
	// names.
	Where filter.Expr
}

// Group is the group whose members change.
type Group struct {
	Source, ID string
	// Strict refuses values that nobody has (a *schema.Error that names them),
	// instead of keeping them as pending.
	Strict bool
}

// Delta is what a list of operations did to one group, net: a member removed and
// added again is not in it.
type Delta struct {
	// Added and Removed are the kinds of the members that came and went by their
	// id.
	Added, Removed map[string]Kind
	// Pending and Waived count the pending values that came and went. They are no
	// members.
	Pending, Waived int

	subjects map[string]string // subject by user id, as far as it is known already
}

// Store changes memberships. It has no state of its own.
type Store struct {
	dialect database.Dialect
	keep    time.Duration
}

// New returns a Store for a database of that dialect. A pending value is kept
// that long.
func New(dialect database.Dialect, keep time.Duration) *Store {
	return &Store{dialect: dialect, keep: keep}
}

// add notes that a member row was inserted.
func (d *Delta) add(id string, kind Kind) {
	if _, ok := d.Removed[id]; ok {
		delete(d.Removed, id)
		return
	}
	d.Added[id] = kind
}

// remove notes that a member row was deleted.
func (d *Delta) remove(id string, kind Kind) {
	if _, ok := d.Added[id]; ok {
		delete(d.Added, id)
		return
	}
	d.Removed[id] = kind
}

// Changed says whether the members differ from before.
func (d *Delta) Changed() bool { return len(d.Added)+len(d.Removed) > 0 }

// Apply runs ops on the group in order. Where of a RemoveWhere that is over more
// than value and type is a *schema.Error.
func (s *Store) Apply(ctx context.Context, tx *database.Tx, g Group, ops []Op) (*Delta, error) {
	d := &Delta{Added: map[string]Kind{}, Removed: map[string]Kind{}, subjects: map[string]string{}}
	for _, op := range ops {
		var err error
		switch op.Kind {
		case ReplaceAll:
			err = s.replaceMembers(ctx, tx, g, op, d)
		case Add:
			err = s.addMembers(ctx, tx, g, op, d)
		case Remove:
			err = s.removeMembers(ctx, tx, g, op.Values, d)
		case RemoveWhere:
			err = s.removeWhere(ctx, tx, g, op.Where, d)
		}
		if err != nil {
			return nil, fmt.Errorf("members: %w", err)
		}
	}
	return d, nil
}

// resolved is what became of a list of member values.
type resolved struct {
	users, groups []string // ids, sorted
	unknown       []string // values that nobody has
}

// resolve finds out who is meant by values: the id of a user, the id of a group,
// else the externalId or the userName of a user; all of the group's own source.
// Users found are held against deletion until the end of the transaction.
func (s *Store) resolve(ctx context.Context, tx *database.Tx, source string, values []string, d *Delta) (resolved, error) {
	dia := s.dialect
	rest := make(map[string]struct{}, len(values))
	for _, v := range values {
		rest[v] = struct{}{}
	}
	var r resolved
	find := func(query string, key func(string) string, users bool) error {
		if len(rest) == 0 {
			return nil
		}
		by := make(map[string][]string, len(rest)) // values by the key they are looked up with
		for v := range rest {
			by[key(v)] = append(by[key(v)], v)
		}
		return EachRow(ctx, tx, func(rows *sql.Rows) error {
			var id, subject, found string
			if err := rows.Scan(&id, &subject, &found); err != nil {
				return err
			}
			for _, v := range by[found] {
				delete(rest, v)
			}
			if users {
				r.users, d.subjects[id] = append(r.users, id), subject
			} else {
				r.groups = append(r.groups, id)
			}
			return nil
		}, query, source, dia.Strings(sortedKeys(by)))
	}
	// Four questions, each over the values that the ones before did not answer. In
	// nearly all requests the first answers all.
	const columns = "SELECT u.id, u.subject_id, "
	from := func(column string) string {
		return column + " FROM users u WHERE u.source = $1 AND " + dia.In("u."+column, "$2") + " ORDER BY u.id" + LockShare.On(dia)
	}
	same := func(v string) string { return v }
	if err := find(columns+"u."+from("id"), same, true); err != nil {
		return r, err
	}
	groups := "SELECT g.id, '', g.id FROM groups g WHERE g.source = $1 AND " + dia.In("g.id", "$2")
	if err := find(groups, same, false); err != nil {
		return r, err
	}
	if err := find(columns+"u."+from("external_id"), same, true); err != nil {
		return r, err
	}
	if err := find(columns+"u."+from("user_name_key"), schema.Fold, true); err != nil {
		return r, err
	}
	// A user may be named twice, by id and by name.
	slices.Sort(r.users)
	r.users = slices.Compact(r.users)
	r.unknown = sortedKeys(rest)
	return r, nil
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// addMembers inserts who is not a member yet.
func (s *Store) addMembers(ctx context.Context, tx *database.Tx, g Group, op Op, d *Delta) error {
	r, err := s.resolve(ctx, tx, g.Source, op.Values, d)
	if err != nil {
		return err
	}
	return s.insertMembers(ctx, tx, g, r, op.Labels, d)
}

// insertMembers makes members of those that resolve found, and pending values of
// the rest. The statement returns who was inserted; who was a member already is not.
func (s *Store) insertMembers(ctx context.Context, tx *database.Tx, g Group, r resolved, labels map[string]string, d *Delta) error {
	dia := s.dialect
	var named []any // id and label of those who were inserted and have one
	insert := func(ids []string, kind Kind) error {
		if len(ids) == 0 {
			return nil
		}
		return EachRow(ctx, tx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			d.add(id, kind)
			if label, ok := labels[id]; ok {
				named = append(named, id, label)
			}
			return err
		}, `INSERT INTO members (group_id, member_id, kind, added_at)
			SELECT CAST($1 AS TEXT), e.value, CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM `+dia.Each("$4")+`
			WHERE TRUE ON CONFLICT (group_id, member_id) DO NOTHING RETURNING member_id`,
			g.ID, string(kind), database.Micros(tx.Now()), dia.Strings(ids))
	}
	if err := insert(r.users, UserMember); err != nil {
		return err
	}
	groups := slices.DeleteFunc(r.groups, func(id string) bool { return id == g.ID }) // no group is its own member
	if err := insert(groups, GroupMember); err != nil {
		return err
	}
	if err := label(ctx, tx, g.ID, named); err != nil {
		return err
	}
	return s.insertPending(ctx, tx, g, r.unknown, d)
}

// label writes what a client says about members of a group: pairs of id and label.
func label(ctx context.Context, tx *database.Tx, groupID string, pairs []any) error {
	for len(pairs) > 0 {
		n := database.Chunk(len(pairs) / 2)
		_, err := tx.Exec(ctx, `UPDATE members SET label = named.column2 FROM (VALUES `+database.Values(n, 2, 2)+`) AS named
			WHERE group_id = $1 AND member_id = named.column1`, append([]any{groupID}, pairs[:2*n]...)...)
		if err != nil {
			return fmt.Errorf("labels: %w", err)
		}
		pairs = pairs[2*n:]
	}
	return nil
}

// removeMembers deletes the members that values name, and pending values that say
// the same.
func (s *Store) removeMembers(ctx context.Context, tx *database.Tx, g Group, values []string, d *Delta) error {
	if len(values) == 0 {
		return nil
	}
	dia := s.dialect
	remove := func(ids []string) error {
		return s.deleteMembers(ctx, tx, d, "group_id = $1 AND "+dia.In("member_id", "$2"), g.ID, dia.Strings(ids))
	}
	// Values are ids nearly always; only when some were not members' ids is it
	// worth asking what they mean.
	before := len(d.Removed) + len(d.Added)
	if err := remove(values); err != nil {
		return err
	}
	if len(d.Removed)+len(d.Added) == before+len(values) {
		return nil // every value was a member's id
	}
	r, err := s.resolve(ctx, tx, g.Source, values, d)
	if err != nil {
		return err
	}
	if len(r.users) > 0 {
		if err := remove(r.users); err != nil {
			return err
		}
	}
	return s.deletePending(ctx, tx, d, "group_id = $1 AND "+dia.In("value", "$2"), g.ID, dia.Strings(values))
}

// replaceMembers makes values the members: whoever is not in the list goes,
// whoever is missing comes, and the rest is not touched.
func (s *Store) replaceMembers(ctx context.Context, tx *database.Tx, g Group, op Op, d *Delta) error {
	r, err := s.resolve(ctx, tx, g.Source, op.Values, d)
	if err != nil {
		return err
	}
	dia := s.dialect
	notIn := "group_id = $1 AND %s NOT IN (SELECT e.value FROM " + dia.Each("$2") + ")"
	// NOT IN over a list without NULLs: both engines hash it.
	stay := slices.Concat(r.users, r.groups)
	if err := s.deleteMembers(ctx, tx, d, fmt.Sprintf(notIn, "member_id"), g.ID, dia.Strings(stay)); err != nil {
		return err
	}
	if err := s.deletePending(ctx, tx, d, fmt.Sprintf(notIn, "value"), g.ID, dia.Strings(r.unknown)); err != nil {
		return err
	}
	return s.insertMembers(ctx, tx, g, r, op.Labels, d)
}

// removeWhere deletes the members that the filter is true for. It knows ids only:
// a filter that names members by value alone comes as Remove.
func (s *Store) removeWhere(ctx context.Context, tx *database.Tx, g Group, where filter.Expr, d *Delta) error {
	cond, args := sqlfilter.CompileMember(s.dialect, where, []any{g.ID})
	if !cond.Exact {
		return schema.Errorf(schema.InvalidPath, "members", "members can be chosen by value and type only")
	}
	return s.deleteMembers(ctx, tx, d, "group_id = $1 AND "+cond.SQL, args...)
}

// deleteMembers deletes the rows of members where the condition holds and notes
// them in d.
func (s *Store) deleteMembers(ctx context.Context, tx *database.Tx, d *Delta, where string, args ...any) error {
	return EachRow(ctx, tx, func(rows *sql.Rows) error {
		var id string
		var kind Kind
		err := rows.Scan(&id, &kind)
		d.remove(id, kind)
		return err
	}, "DELETE FROM members WHERE "+where+" RETURNING member_id, kind", args...)
}

// Touched returns the subjects whose memberships d changed, sorted.
func (s *Store) Touched(ctx context.Context, tx *database.Tx, d *Delta) ([]string, error) {
	touched := map[string]struct{}{}
	var unknown []string
	for _, set := range []map[string]Kind{d.Added, d.Removed} {
		for id, kind := range set {
			if kind != UserMember {
				continue
			}
			if subject, ok := d.subjects[id]; ok {
				touched[subject] = struct{}{}
			} else {
				unknown = append(unknown, id)
			}
		}
	}
	// Removed members were not resolved, so their subjects are asked for now.
	if len(unknown) > 0 {
		dia := s.dialect
		found, err := Strings(ctx, tx, "SELECT subject_id FROM users WHERE "+dia.In("id", "$1"), dia.Strings(unknown))
		if err != nil {
			return nil, fmt.Errorf("subjects of members: %w", err)
		}
		for _, subject := range found {
			touched[subject] = struct{}{}
		}
	}
	return sortedKeys(touched), nil
}

// Subjects returns the subjects of all users in a group, sorted.
func (*Store) Subjects(ctx context.Context, tx *database.Tx, groupID string) ([]string, error) {
	ids, err := Strings(ctx, tx, `SELECT DISTINCT u.subject_id FROM members m JOIN users u ON u.id = m.member_id
		WHERE m.group_id = $1 ORDER BY u.subject_id`, groupID)
	if err != nil {
		return nil, fmt.Errorf("members' subjects: %w", err)
	}
	return ids, nil
}

// LockGroups locks the groups that a member is in, in the order of their ids:
// they change when it is deleted. A group is locked with them.
func (s *Store) LockGroups(ctx context.Context, tx *database.Tx, memberID string) error {
	if LockRow.On(s.dialect) == "" {
		return nil
	}
	_, err := Strings(ctx, tx, `SELECT id FROM groups WHERE id IN (SELECT group_id FROM members WHERE member_id = $1)
		OR id = $1 ORDER BY id`+string(LockRow), memberID)
	if err != nil {
		return fmt.Errorf("lock groups: %w", err)
	}
	return nil
}

// Drop takes a member out of all its groups and returns them.
func (*Store) Drop(ctx context.Context, tx *database.Tx, memberID string) ([]string, error) {
	groups, err := Strings(ctx, tx, `DELETE FROM members WHERE member_id = $1 RETURNING group_id`, memberID)
	if err != nil {
		return nil, fmt.Errorf("memberships: %w", err)
	}
	for _, g := range groups {
		_, err := tx.Exec(ctx, `UPDATE groups SET version = version + 1, modified_at = $2 WHERE id = $1`, g, database.Micros(tx.Now()))
		if err != nil {
			return nil, fmt.Errorf("memberships: %w", err)
		}
	}
	return groups, nil
}
