package directory

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/scim/schema"
)

// insertPending keeps values that nobody has, so that a membership that is told before its user is not lost. They
// grant nothing. Values that wait already go on waiting.
func (s *Store) insertPending(ctx context.Context, tx *database.Tx, g Group, values []string, d *memberDelta) error {
	now, until := database.Micros(tx.Now()), database.Micros(tx.Now().Add(s.opt.PendingFor))
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
		d.pending += int(stored)
		values = values[n:]
	}
	return nil
}

// deletePending deletes pending values where the condition holds and counts them in d.
func (s *Store) deletePending(ctx context.Context, tx *database.Tx, d *memberDelta, where string, args ...any) error {
	res, err := tx.Exec(ctx, "DELETE FROM pending_members WHERE "+where, args...)
	if err != nil {
		return fmt.Errorf("pending: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("pending: %w", err)
	}
	d.waived += int(n)
	return nil
}

// joinPending turns pending memberships that name u, by externalId or userName, into memberships, and returns the
// groups. Names that u had before (oldExternalID, oldNameKey) have been looked for then and are passed over.
func (s *Store) joinPending(ctx context.Context, tx *database.Tx, u User, oldExternalID, oldNameKey string) ([]GroupRef, error) {
	value, key := newNames(u, oldExternalID, oldNameKey)
	groups, err := queryStrings(ctx, tx, `SELECT DISTINCT group_id FROM pending_members
		WHERE source = $1 AND (value = $2 OR value_key = $3) AND expires_at > $4 ORDER BY group_id`,
		u.Source, value, key, database.Micros(tx.Now()))
	if err != nil || len(groups) == 0 {
		return nil, err
	}
	dia := s.db.Dialect()
	var joined []GroupRef
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		g := GroupRef{Source: u.Source}
		err := rows.Scan(&g.ID, &g.Name)
		joined = append(joined, g)
		return err
	}, "SELECT id, display_name FROM groups WHERE "+dia.In("id", "$1")+" ORDER BY id"+s.lock(pgLockRow), dia.Strings(groups))
	if err != nil {
		return nil, fmt.Errorf("pending groups: %w", err)
	}
	for _, step := range [...]struct {
		query string
		args  []any
	}{
		{`DELETE FROM pending_members WHERE source = $1 AND (value = $2 OR value_key = $3)`, []any{u.Source, value, key}},
		{
			`INSERT INTO members (group_id, member_id, kind, added_at)
			SELECT e.value, CAST($1 AS TEXT), 'User', CAST($2 AS BIGINT) FROM ` + dia.Each("$3") + `
			WHERE TRUE ON CONFLICT (group_id, member_id) DO NOTHING`,
			[]any{u.ID, database.Micros(tx.Now()), dia.Strings(groupIDs(joined))},
		},
		{
			`UPDATE groups SET version = version + 1, modified_at = $1 WHERE ` + dia.In("id", "$2"),
			[]any{database.Micros(tx.Now()), dia.Strings(groupIDs(joined))},
		},
	} {
		if _, err := tx.Exec(ctx, step.query, step.args...); err != nil {
			return nil, fmt.Errorf("join pending: %w", err)
		}
	}
	return joined, nil
}

// groupIDs returns the ids of groups.
func groupIDs(groups []GroupRef) []string {
	var ids []string
	for _, g := range groups {
		ids = append(ids, g.ID)
	}
	return ids
}

// Sweep forgets pending members whose time is over, and joins those whose user arrived in the very moment in which
// the group was told (on PostgreSQL two such transactions do not see each other). The app calls it now and then. It
// returns how many it forgot and how many users it joined.
func (s *Store) Sweep(ctx context.Context) (forgotten, joined int, err error) {
	err = s.inTx(ctx, "sweep pending members", func(ctx context.Context, tx *database.Tx) error {
		joined = 0
		d := memberDelta{}
		if err := s.deletePending(ctx, tx, &d, "expires_at <= $1", database.Micros(tx.Now())); err != nil {
			return err
		}
		forgotten = d.waived
		ids, err := queryStrings(ctx, tx, `SELECT u.id FROM pending_members p JOIN users u
			ON u.source = p.source AND (u.external_id = p.value OR u.user_name_key = p.value_key) ORDER BY u.id LIMIT 500`)
		if err != nil {
			return fmt.Errorf("stragglers: %w", err)
		}
		for _, id := range slices.Compact(ids) {
			u, err := s.user(ctx, tx, "u.id = $1"+s.lock(pgLockShare), false, id)
			if err != nil {
				return err
			}
			groups, err := s.joinPending(ctx, tx, u, "", "")
			if err != nil {
				return err
			}
			joined++
			err = s.record(ctx, tx, Actor{Credential: "sweep", Source: u.Source}, change{
				kind: "member.joined", event: bindings.Mover, subjects: []string{u.Subject}, subject: u.Subject,
				after: facts{"user": u.ID, "groups": strings.Join(groupIDs(groups), " ")},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return forgotten, joined, err
}
