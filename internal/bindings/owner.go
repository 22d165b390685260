package bindings

import (
	"context"
	"fmt"

	"github.com/matomo-scim/bridge/internal/database"
)

// Held returns the bindings that lease still has, and of each whether an event met it since the
// claim. A worker asks before it writes: what it has planned for those is old, and somebody may
// have left.
func (s *Store) Held(ctx context.Context, lease string) (moved map[string]bool, err error) {
	type state struct {
		id    string
		moved bool
	}
	rows, err := s.db.Reader().Query(ctx, `SELECT id, generation <> claimed FROM bindings WHERE lease = $1`, lease)
	all, err := scanAll(rows, err, func(r row) (h state, err error) { return h, r.Scan(&h.id, &h.moved) })
	if err != nil {
		return nil, fmt.Errorf("look for events since the claim: %w", err)
	}
	moved = make(map[string]bool, len(all))
	for _, h := range all {
		moved[h.id] = h.moved
	}
	return moved, nil
}

// DueFor makes the bindings of target due now that wait for a reason which no longer holds: a
// login, a place or the password has become free.
func (s *Store) DueFor(ctx context.Context, tx *database.Tx, target, reason string) error {
	_, err := tx.Exec(ctx, `UPDATE bindings SET generation = generation + 1, due_at = $1, attempts = 0 WHERE target = $2 AND reason = $3`,
		database.Micros(tx.Now()), target, reason)
	if err != nil {
		return fmt.Errorf("make bindings due that wait for %s: %w", reason, err)
	}
	tx.AfterCommit(s.onDue)
	return nil
}

// ReserveSuperuser lets a binding have superuser if fewer than limit bindings of the target have
// it, or it has it already; that is noted at once, so that two passes cannot both take the last
// place. The outcome of the pass writes whether the place is still needed.
func (s *Store) ReserveSuperuser(ctx context.Context, tx *database.Tx, target, id string, limit int) (bool, error) {
	var name string
	err := tx.QueryRow(ctx, `SELECT name FROM targets WHERE name = $1`+s.d.ForUpdate(), target).Scan(&name)
	if name, err = found(name, err); err != nil {
		return false, fmt.Errorf("reserve superuser on %s: %w", target, err)
	}
	ok, err := one(ctx, tx, `UPDATE bindings SET superuser = TRUE WHERE id = $1 AND target = $2 AND (superuser
		OR (SELECT COUNT(*) FROM bindings AS others WHERE others.target = $2 AND others.superuser) < $3)`, id, name, limit)
	if err != nil {
		return false, fmt.Errorf("reserve superuser on %s: %w", name, err)
	}
	return ok, nil
}

// GrantedSuperusers returns how many people on target have superuser from us, or are about to get it.
func (s *Store) GrantedSuperusers(ctx context.Context, target string) (int, error) {
	var n int
	err := s.db.Reader().QueryRow(ctx, `SELECT COUNT(*) FROM bindings WHERE target = $1 AND superuser`, target).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count superusers of %s: %w", target, err)
	}
	return n, nil
}

// IsLoose reports whether a subject has no user left: nobody stands behind its accounts any more.
func (s *Store) IsLoose(ctx context.Context, q database.Querier, subject string) (bool, error) {
	var loose bool
	err := q.QueryRow(ctx, `SELECT orphaned_at IS NOT NULL FROM subjects WHERE id = $1`, subject).Scan(&loose)
	if _, err = found(loose, err); err != nil {
		return false, fmt.Errorf("owner of binding: %w", err)
	}
	return loose, nil
}
