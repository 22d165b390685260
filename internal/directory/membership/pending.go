package membership

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/scim/schema"
)

// insertPending keeps values that nobody has, so that a membership that is told
// before its user is not lost. They grant nothing. Values that wait already go on
// waiting.
func (s *Store) insertPending(ctx context.Context, tx *database.Tx, g Group, values []string, d *Delta) error {
	if g.Strict && len(values) > 0 {
		return unknown(values)
	}
	for _, v := range values {
		if len(v) > maxValue {
			return schema.Errorf(schema.InvalidValue, "members.value", "a text of %d bytes; at most %d are possible here", len(v), maxValue)
		}
	}
	now, until := database.Micros(tx.Now()), database.Micros(tx.Now().Add(s.keep))
	for len(values) > 0 {
		n := database.Chunk(len(values))
		args := []any{}
		for _, v := range values[:n] {
			args = append(args, g.ID, g.Source, v, schema.Fold(v), now, until)
		}
		res, err := tx.Exec(ctx, `INSERT INTO pending_members (group_id, source, value, value_key, added_at, expires_at)
			VALUES `+database.Values(n, 6, 1)+` ON CONFLICT (group_id, value) DO UPDATE SET expires_at = excluded.expires_at
			WHERE pending_members.expires_at <= excluded.added_at`, args...)
		if err != nil {
			return fmt.Errorf("pending: %w", err)
		}
		stored, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("pending: %w", err)
		}
		d.Pending += int(stored)
		values = values[n:]
	}
	return nil
}

// maxValue is how many bytes a member value may have: as many as the names of
// users, for which it stands.
const maxValue = 1024

// mostNamed is how many unknown values an error names, and of what length.
const (
	mostNamed   = 20
	mostOfValue = 64
)

// unknown is the error for values that nobody has. It names them, so that an
// administrator can look for them in the identity provider.
func unknown(values []string) error {
	var named []string
	for _, v := range values[:min(len(values), mostNamed)] {
		if len(v) > mostOfValue {
			v = strings.ToValidUTF8(v[:mostOfValue], "") + "..."
		}
		named = append(named, strconv.Quote(v))
	}
	text := strings.Join(named, ", ")
	if more := len(values) - len(named); more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return schema.Errorf(schema.InvalidValue, "members.value", "there is no user or group %s", text)
}

// deletePending deletes pending values where the condition holds and counts them
// in d.
func (s *Store) deletePending(ctx context.Context, tx *database.Tx, d *Delta, where string, args ...any) error {
	res, err := tx.Exec(ctx, "DELETE FROM pending_members WHERE "+where, args...)
	if err != nil {
		return fmt.Errorf("pending: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("pending: %w", err)
	}
	d.Waived += int(n)
	return nil
}

// GroupRef names a group.
type GroupRef struct{ Source, ID, Name string }

// IDs returns the ids of groups.
func IDs(groups []GroupRef) []string {
	var ids []string
	for _, g := range groups {
		ids = append(ids, g.ID)
	}
	return ids
}

// Names are what a pending value may call a user: its externalId, or its userName
// in folded form. An empty one is not looked for.
type Names struct{ ExternalID, UserNameKey string }

// Join turns the pending values of a source that name the user into memberships,
// and returns the groups by id.
func (s *Store) Join(ctx context.Context, tx *database.Tx, source, userID string, n Names) ([]GroupRef, error) {
	groups, err := Strings(ctx, tx, `SELECT DISTINCT group_id FROM pending_members
		WHERE source = $1 AND (value = $2 OR value_key = $3) AND expires_at > $4 ORDER BY group_id`,
		source, n.ExternalID, n.UserNameKey, database.Micros(tx.Now()))
	if err != nil || len(groups) == 0 {
		return nil, err
	}
	dia := s.dialect
	var joined []GroupRef
	err = EachRow(ctx, tx, func(rows *sql.Rows) error {
		g := GroupRef{Source: source}
		err := rows.Scan(&g.ID, &g.Name)
		joined = append(joined, g)
		return err
	}, "SELECT id, display_name FROM groups WHERE "+dia.In("id", "$1")+" ORDER BY id"+LockRow.On(dia), dia.Strings(groups))
	if err != nil {
		return nil, fmt.Errorf("pending groups: %w", err)
	}
	for _, step := range [...]struct {
		query string
		args  []any
	}{
		// Of the locked groups only: another group may have come to wait since then.
		{
			`DELETE FROM pending_members WHERE source = $1 AND (value = $2 OR value_key = $3) AND ` + dia.In("group_id", "$4"),
			[]any{source, n.ExternalID, n.UserNameKey, dia.Strings(IDs(joined))},
		},
		{
			`INSERT INTO members (group_id, member_id, kind, added_at)
			SELECT e.value, CAST($1 AS TEXT), 'User', CAST($2 AS BIGINT) FROM ` + dia.Each("$3") + `
			WHERE TRUE ON CONFLICT (group_id, member_id) DO NOTHING`,
			[]any{userID, database.Micros(tx.Now()), dia.Strings(IDs(joined))},
		},
		{
			`UPDATE groups SET version = version + 1, modified_at = $1 WHERE ` + dia.In("id", "$2"),
			[]any{database.Micros(tx.Now()), dia.Strings(IDs(joined))},
		},
	} {
		if _, err := tx.Exec(ctx, step.query, step.args...); err != nil {
			return nil, fmt.Errorf("join pending: %w", err)
		}
	}
	return joined, nil
}

// Forget deletes the pending values whose time is over and returns how many they
// were.
func (s *Store) Forget(ctx context.Context, tx *database.Tx) (int, error) {
	var d Delta
	err := s.deletePending(ctx, tx, &d, "expires_at <= $1", database.Micros(tx.Now()))
	return d.Waived, err
}

// Stragglers returns users that are there and yet named by pending values: on
// PostgreSQL a user and a group that arrive in the same moment do not see each
// other. There are at most 500, by id.
func (*Store) Stragglers(ctx context.Context, q database.Querier) ([]string, error) {
	// Looked up for each waiting value: a join would read every user instead.
	ids, err := Strings(ctx, q, `SELECT DISTINCT id FROM (
		SELECT (SELECT u.id FROM users u WHERE u.source = p.source AND u.external_id = p.value) AS id FROM pending_members p
		UNION ALL
		SELECT (SELECT u.id FROM users u WHERE u.source = p.source AND u.user_name_key = p.value_key) FROM pending_members p
		) AS found WHERE id IS NOT NULL ORDER BY id LIMIT 500`)
	if err != nil {
		return nil, fmt.Errorf("stragglers: %w", err)
	}
	return ids, nil
}
