package bindings

import (
	"context"
	"fmt"
)

// Life is what becomes of an account that is ours.
type Life string

// The lives of an account.
const (
	Active        Life = "active"         // of somebody who has not left
	Suspended     Life = "suspended"      // of somebody who left, and kept for good
	PendingDelete Life = "pending_delete" // of somebody who left, until the day of its deletion
)

// These counts read whole tables and are meant for monitoring, which asks every half minute at
// most and shows the same answer in between. Decisions never use them.

// Lives returns how many accounts of each target lead which life; those at zero are missing. It
// reads the whole table, as Counts.
func (s *Store) Lives(ctx context.Context) (map[string]map[Life]int, error) {
	type count struct {
		target string
		life   Life
		n      int
	}
	rows, err := s.db.Reader().Query(ctx, `SELECT target, CASE WHEN left_at IS NULL THEN 'active'
		WHEN delete_at IS NULL THEN 'suspended' ELSE 'pending_delete' END AS life, COUNT(*)
		FROM bindings WHERE login IS NOT NULL AND state <> 'gone' GROUP BY target, life`)
	all, err := scanAll(rows, err, func(r row) (c count, err error) { return c, r.Scan(&c.target, &c.life, &c.n) })
	if err != nil {
		return nil, fmt.Errorf("count accounts: %w", err)
	}
	out := map[string]map[Life]int{}
	for _, c := range all {
		if out[c.target] == nil {
			out[c.target] = map[Life]int{}
		}
		out[c.target][c.life] = c.n
	}
	return out, nil
}

// EachGrants calls fn with what was recorded of the grants of people on a target (Binding.Grants),
// once for each different record, and with how many people have that record: people in the same
// groups share one. fn must not use the store.
func (s *Store) EachGrants(ctx context.Context, fn func(target string, grants []byte, people int) error) error {
	rows, err := s.db.Reader().Query(ctx, `SELECT target, grants, COUNT(*) FROM bindings
		WHERE left_at IS NULL AND grants <> '[]' GROUP BY target, grants`)
	if err != nil {
		return fmt.Errorf("read grants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var target string
		var grants []byte
		var people int
		if err := rows.Scan(&target, &grants, &people); err != nil {
			return fmt.Errorf("read grants: %w", err)
		}
		if err := fn(target, grants, people); err != nil {
			return err
		}
	}
	return rows.Err()
}
