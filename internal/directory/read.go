package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// A user's groups come with the user, in one column, so that a look-up is one
// statement. The separators cannot be in an id, and are blanked in a name.
const (
	unitSep   = "\x1f"
	recordSep = "\x1e"

	userColumns = `r.id, r.source, r.subject_id, r.external_id, r.user_name, r.active, r.version, r.created_at, r.modified_at, r.document`
	userGroups  = `(SELECT string_agg(g.id || '` + unitSep + `' || replace(g.display_name, '` + recordSep + `', ' '), '` + recordSep + `' ORDER BY g.id)
		FROM members m JOIN groups g ON g.id = m.group_id WHERE m.member_id = r.id)`
	groupColumns = `r.id, r.source, r.external_id, r.display_name, r.version, r.created_at, r.modified_at, r.document`
)

// selectUsers begins a statement over users r, with or without their groups.
func selectUsers(groups bool) string {
	if groups {
		return "SELECT " + userColumns + ", " + userGroups + " FROM users r WHERE "
	}
	return "SELECT " + userColumns + ", NULL FROM users r WHERE "
}

// selectGroups begins a statement over groups r.
const selectGroups = "SELECT " + groupColumns + " FROM groups r WHERE "

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// scanUser reads a row of selectUsers.
func scanUser(row scanner) (User, error) {
	var u User
	var external, groups sql.NullString
	var created, modified int64
	err := row.Scan(&u.ID, &u.Source, &u.Subject, &external, &u.UserName, &u.Active, &u.Version, &created, &modified, &u.Document, &groups)
	if err != nil {
		return User{}, err
	}
	u.ExternalID = external.String
	u.Created, u.Modified = database.FromMicros(created), database.FromMicros(modified)
	if groups.Valid {
		for rec := range strings.SplitSeq(groups.String, recordSep) {
			id, name, _ := strings.Cut(rec, unitSep)
			u.Groups = append(u.Groups, GroupRef{Source: u.Source, ID: id, Name: name})
		}
	}
	return u, nil
}

// scanGroup reads a row of selectGroups.
func scanGroup(row scanner) (Group, error) {
	var g Group
	var external sql.NullString
	var created, modified int64
	err := row.Scan(&g.ID, &g.Source, &external, &g.DisplayName, &g.Version, &created, &modified, &g.Document)
	if err != nil {
		return Group{}, err
	}
	g.ExternalID = external.String
	g.Created, g.Modified = database.FromMicros(created), database.FromMicros(modified)
	return g, nil
}

// found turns "no rows" into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// user returns the one user of a condition over r, or ErrNotFound.
func (s *Store) user(ctx context.Context, q database.Querier, where string, groups bool, args ...any) (User, error) {
	u, err := scanUser(q.QueryRow(ctx, selectUsers(groups)+where, args...))
	return u, found(err)
}

// User returns a user of the source, with its groups when they are wanted, or
// ErrNotFound.
func (s *Store) User(ctx context.Context, source, id string, groups bool) (User, error) {
	u, err := s.user(ctx, s.db.Reader(), "r.id = $1 AND r.source = $2", groups, id, source)
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// lockUser returns the user for changing, locked, or ErrNotFound or ErrVersion.
func (s *Store) lockUser(ctx context.Context, tx *database.Tx, source, id string, expect Expect, lock membership.Lock) (User, error) {
	u, err := s.user(ctx, tx, "r.id = $1 AND r.source = $2"+lock.On(s.db.Dialect()), false, id, source)
	if err == nil && !expect.Allows(u.Version) {
		err = ErrVersion
	}
	return u, err
}

// Group returns the head of a group of the source, or ErrNotFound.
func (s *Store) Group(ctx context.Context, source, id string) (Group, error) {
	g, err := scanGroup(s.db.Reader().QueryRow(ctx, selectGroups+"r.id = $1 AND r.source = $2", id, source))
	if err != nil {
		return Group{}, fmt.Errorf("read group: %w", found(err))
	}
	return g, nil
}

// lockGroup returns the group for changing, locked, or ErrNotFound or ErrVersion.
func (s *Store) lockGroup(ctx context.Context, tx *database.Tx, source, id string, expect Expect) (Group, error) {
	g, err := scanGroup(tx.QueryRow(ctx, selectGroups+"r.id = $1 AND r.source = $2"+membership.LockRow.On(s.db.Dialect()), id, source))
	if err == nil && !expect.Allows(g.Version) {
		err = ErrVersion
	}
	return g, found(err)
}

// Members calls fn for each member of a group, ordered by id, as membership.Each
// does.
func (s *Store) Members(ctx context.Context, groupID string, fn func(Member) error) error {
	return membership.Each(ctx, s.db.Reader(), groupID, fn)
}

// GroupsOf returns the direct groups of a user of the source, ordered by id.
func (s *Store) GroupsOf(ctx context.Context, source, id string) ([]GroupRef, error) {
	return membership.GroupsOf(ctx, s.db.Reader(), source, id)
}
