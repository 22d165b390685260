package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/matomo-scim/bridge/internal/database"
)

// A user's groups come with the user, in one column, so that a look-up is one statement. The separators cannot be
// in an id, and are blanked in a name.
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

// User returns a user of the source, with its groups when they are wanted, or ErrNotFound.
func (s *Store) User(ctx context.Context, source, id string, groups bool) (User, error) {
	u, err := s.user(ctx, s.db.Reader(), "r.id = $1 AND r.source = $2", groups, id, source)
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return u, nil
}

// lockUser returns the user for changing, locked, or ErrNotFound or ErrVersion.
func (s *Store) lockUser(ctx context.Context, tx *database.Tx, source, id string, expect Expect, lock string) (User, error) {
	u, err := s.user(ctx, tx, "r.id = $1 AND r.source = $2"+s.lock(lock), false, id, source)
	if err == nil && !expect.allows(u.Version) {
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
	g, err := scanGroup(tx.QueryRow(ctx, selectGroups+"r.id = $1 AND r.source = $2"+s.lock(pgLockRow), id, source))
	if err == nil && !expect.allows(g.Version) {
		err = ErrVersion
	}
	return g, found(err)
}

// Member is one member of a group.
type Member struct {
	// ID is the id of the user or group.
	ID   string
	Kind Kind
	// Display is the member's displayName, else its userName.
	Display string
}

// memberPage is how many members are read at a time, so that no statement stays open while an answer is written.
const memberPage = 2000

// Members calls fn for each member of a group, ordered by id. It reads in pages, and fn is called between
// statements, so it may take its time. An error of fn ends it and is returned.
func (s *Store) Members(ctx context.Context, groupID string, fn func(Member) error) error {
	last := ""
	page := make([]Member, 0, 64)
	for {
		page = page[:0]
		err := eachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
			var m Member
			var display sql.NullString
			err := rows.Scan(&m.ID, &m.Kind, &display)
			m.Display = display.String
			page = append(page, m)
			return err
		}, `SELECT m.member_id, m.kind, COALESCE(u.display_name, u.user_name, g.display_name) FROM members m
			LEFT JOIN users u ON u.id = m.member_id LEFT JOIN groups g ON g.id = m.member_id AND m.kind = 'Group'
			WHERE m.group_id = $1 AND m.member_id > $2 ORDER BY m.member_id LIMIT $3`, groupID, last, memberPage)
		if err != nil {
			return fmt.Errorf("read members: %w", err)
		}
		for _, m := range page {
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(page) < memberPage {
			return nil
		}
		last = page[len(page)-1].ID
	}
}

// GroupsOf returns the direct groups of a user of the source, ordered by id.
func (s *Store) GroupsOf(ctx context.Context, source, id string) ([]GroupRef, error) {
	var out []GroupRef
	err := eachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
		g := GroupRef{Source: source}
		err := rows.Scan(&g.ID, &g.Name)
		out = append(out, g)
		return err
	}, `SELECT g.id, g.display_name FROM members m JOIN groups g ON g.id = m.group_id
		WHERE m.member_id = $1 AND g.source = $2 ORDER BY g.id`, id, source)
	if err != nil {
		return nil, fmt.Errorf("groups of user: %w", err)
	}
	return out, nil
}
