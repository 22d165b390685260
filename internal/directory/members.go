package directory

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/matomo-scim/bridge/internal/database"
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

// MemberOpKind is what a MemberOp does.
type MemberOpKind int

// The member operations.
const (
	// ReplaceAll makes Values the members, all of them.
	ReplaceAll MemberOpKind = iota
	// Add adds Values; those who are members already stay.
	Add
	// Remove removes Values; those who are no members are passed over.
	Remove
	// RemoveWhere removes the members that Where is true for.
	RemoveWhere
)

// MemberOp is one step of a change of memberships. Values are the ids of users or groups of the same source; an
// externalId or a userName is understood too. A value that nobody has is kept as pending.
type MemberOp struct {
	Kind   MemberOpKind
	Values []string
	// Where is over the sub-attributes value and type of one member, in canonical names.
	Where filter.Expr
}

// memberDelta collects what a list of operations did to one group, net: a member removed and added again is not in it.
type memberDelta struct {
	added, removed  map[string]Kind   // by member id
	subjects        map[string]string // subject by user id, as far as it is known already
	pending, waived int               // pending values that came and went
}

// add notes that a member row was inserted.
func (d *memberDelta) add(id string, kind Kind) {
	if _, ok := d.removed[id]; ok {
		delete(d.removed, id)
		return
	}
	d.added[id] = kind
}

// remove notes that a member row was deleted.
func (d *memberDelta) remove(id string, kind Kind) {
	if _, ok := d.added[id]; ok {
		delete(d.added, id)
		return
	}
	d.removed[id] = kind
}

// changed says whether the members differ from before.
func (d *memberDelta) changed() bool { return len(d.added)+len(d.removed) > 0 }

// applyMembers runs ops on the group, whose row the transaction has locked, as statements over sets.
func (s *Store) applyMembers(ctx context.Context, tx *database.Tx, g Group, ops []MemberOp) (*memberDelta, error) {
	d := &memberDelta{added: map[string]Kind{}, removed: map[string]Kind{}, subjects: map[string]string{}}
	for _, op := range ops {
		var err error
		switch op.Kind {
		case ReplaceAll:
			err = s.replaceMembers(ctx, tx, g, op.Values, d)
		case Add:
			err = s.addMembers(ctx, tx, g, op.Values, d)
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

// resolve finds out who is meant by values: the id of a user, the id of a group, else the externalId or the
// userName of a user; all of the group's own source. Users found are held against deletion until the end of the
// transaction.
func (s *Store) resolve(ctx context.Context, tx *database.Tx, source string, values []string, d *memberDelta) (resolved, error) {
	dia := s.db.Dialect()
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
		return eachRow(ctx, tx, func(rows *sql.Rows) error {
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
	const columns = "SELECT u.id, u.subject_id, "
	from := func(column string) string {
		return column + " FROM users u WHERE u.source = $1 AND " + dia.In("u."+column, "$2") + " ORDER BY u.id" + s.lock(pgLockShare)
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
func (s *Store) addMembers(ctx context.Context, tx *database.Tx, g Group, values []string, d *memberDelta) error {
	r, err := s.resolve(ctx, tx, g.Source, values, d)
	if err != nil {
		return err
	}
	return s.insertMembers(ctx, tx, g, r, d)
}

func (s *Store) insertMembers(ctx context.Context, tx *database.Tx, g Group, r resolved, d *memberDelta) error {
	dia := s.db.Dialect()
	insert := func(ids []string, kind Kind) error {
		if len(ids) == 0 {
			return nil
		}
		return eachRow(ctx, tx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			d.add(id, kind)
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
	return s.insertPending(ctx, tx, g, r.unknown, d)
}

// removeMembers deletes the members that values name, and pending values that say the same.
func (s *Store) removeMembers(ctx context.Context, tx *database.Tx, g Group, values []string, d *memberDelta) error {
	if len(values) == 0 {
		return nil
	}
	dia := s.db.Dialect()
	remove := func(ids []string) error {
		return s.deleteMembers(ctx, tx, d, "group_id = $1 AND "+dia.In("member_id", "$2"), g.ID, dia.Strings(ids))
	}
	before := len(d.removed) + len(d.added)
	if err := remove(values); err != nil {
		return err
	}
	if len(d.removed)+len(d.added) == before+len(values) {
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

// replaceMembers makes values the members: whoever is not in the list goes, whoever is missing comes, and the rest
// is not touched.
func (s *Store) replaceMembers(ctx context.Context, tx *database.Tx, g Group, values []string, d *memberDelta) error {
	r, err := s.resolve(ctx, tx, g.Source, values, d)
	if err != nil {
		return err
	}
	dia := s.db.Dialect()
	notIn := "group_id = $1 AND %s NOT IN (SELECT e.value FROM " + dia.Each("$2") + ")"
	stay := slices.Concat(r.users, r.groups)
	if err := s.deleteMembers(ctx, tx, d, fmt.Sprintf(notIn, "member_id"), g.ID, dia.Strings(stay)); err != nil {
		return err
	}
	if err := s.deletePending(ctx, tx, d, fmt.Sprintf(notIn, "value"), g.ID, dia.Strings(r.unknown)); err != nil {
		return err
	}
	return s.insertMembers(ctx, tx, g, r, d)
}

// removeWhere deletes the members that the filter is true for. It knows ids only: a filter that names members by
// value alone comes as Remove.
func (s *Store) removeWhere(ctx context.Context, tx *database.Tx, g Group, where filter.Expr, d *memberDelta) error {
	c := compiler{dialect: s.db.Dialect(), args: []any{g.ID}}
	cond := c.member(where)
	if !cond.exact {
		return &schema.Error{
			ScimType: "invalidPath", Path: "members",
			Detail: "members can be chosen by value and type only",
		}
	}
	return s.deleteMembers(ctx, tx, d, "group_id = $1 AND "+cond.sql, c.args...)
}

// deleteMembers deletes the rows of members where the condition holds and notes them in d.
func (s *Store) deleteMembers(ctx context.Context, tx *database.Tx, d *memberDelta, where string, args ...any) error {
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		var id string
		var kind Kind
		err := rows.Scan(&id, &kind)
		d.remove(id, kind)
		return err
	}, "DELETE FROM members WHERE "+where+" RETURNING member_id, kind", args...)
}

// subjectsOf returns the subjects whose memberships d changed, sorted.
func (s *Store) subjectsOf(ctx context.Context, tx *database.Tx, d *memberDelta) ([]string, error) {
	touched := map[string]struct{}{}
	var unknown []string
	for _, set := range []map[string]Kind{d.added, d.removed} {
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
	if len(unknown) > 0 {
		dia := s.db.Dialect()
		found, err := queryStrings(ctx, tx, "SELECT subject_id FROM users WHERE "+dia.In("id", "$1"), dia.Strings(unknown))
		if err != nil {
			return nil, fmt.Errorf("subjects of members: %w", err)
		}
		for _, subject := range found {
			touched[subject] = struct{}{}
		}
	}
	return sortedKeys(touched), nil
}
