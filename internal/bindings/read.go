package bindings

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// Get returns one binding, or ErrNotFound. q is a transaction or the readers.
func (s *Store) Get(ctx context.Context, q database.Querier, id string) (Binding, error) {
	return found(scan(q.QueryRow(ctx, `SELECT `+columns+` FROM bindings WHERE id = $1`, id)))
}

// ByLogin returns the binding that owns a login on a target, by its folded form, or ErrNotFound:
// then the login is not ours and is never touched.
func (s *Store) ByLogin(ctx context.Context, target, key string) (Binding, error) {
	return found(scan(s.db.Reader().QueryRow(ctx, `SELECT `+columns+` FROM bindings WHERE target = $1 AND login_key = $2`, target, key)))
}

// BySubject returns the bindings of people, by subject and target.
func (s *Store) BySubject(ctx context.Context, subjects ...string) ([]Binding, error) {
	rows, err := s.db.Reader().Query(ctx, `SELECT `+columns+` FROM bindings WHERE `+s.d.In("subject_id", "$1")+
		` ORDER BY subject_id, target`, s.d.Strings(subjects))
	return scanAll(rows, err, scan)
}

// AllBindings returns up to limit bindings of a target in the order of their ids, from the one
// after the id after ("" for the first): for the full compare, which goes through all of them.
func (s *Store) AllBindings(ctx context.Context, target, after string, limit int) ([]Binding, error) {
	rows, err := s.db.Reader().Query(ctx, `SELECT `+columns+` FROM bindings WHERE target = $1 AND id > $2 ORDER BY id LIMIT $3`,
		target, after, limit)
	return scanAll(rows, err, scan)
}

// Stuck returns the bindings of a target that a pass ended for without giving what is wanted, in the
// order of their ids. Until somebody changes something there is nothing to do for them, so no plan
// names them.
func (s *Store) Stuck(ctx context.Context, target string) ([]Binding, error) {
	rows, err := s.db.Reader().Query(ctx, `SELECT `+columns+` FROM bindings WHERE target = $1 AND state IN ($2, $3, $4, $5) ORDER BY id`,
		target, string(Held), string(Blocked), string(Conflict), string(Failed))
	return scanAll(rows, err, scan)
}

// Count is how many bindings of a target are in a state.
type Count struct {
	Target string
	State  State
	N      int
}

// Counts returns the number of bindings by target and state; those at zero are missing. It reads
// the whole table: keep the answer for some seconds.
func (s *Store) Counts(ctx context.Context) ([]Count, error) {
	rows, err := s.db.Reader().Query(ctx, `SELECT target, state, COUNT(*) FROM bindings GROUP BY target, state ORDER BY target, state`)
	return scanAll(rows, err, func(r row) (c Count, err error) { return c, r.Scan(&c.Target, &c.State, &c.N) })
}

// WaitReason is a reason for which bindings of a target are not as they should be.
type WaitReason struct{ Target, Reason string }

// Reasons returns how many bindings wait for each reason. It reads the whole table, as Counts.
func (s *Store) Reasons(ctx context.Context) (map[WaitReason]int, error) {
	type count struct {
		WaitReason
		n int
	}
	rows, err := s.db.Reader().Query(ctx, `SELECT target, reason, COUNT(*) FROM bindings WHERE reason <> '' GROUP BY target, reason`)
	all, err := scanAll(rows, err, func(r row) (c count, err error) { return c, r.Scan(&c.Target, &c.Reason, &c.n) })
	out := make(map[WaitReason]int, len(all))
	for _, c := range all {
		out[c.WaitReason] = c.n
	}
	return out, err
}

// Backlog is how much waits, and since when; Oldest is nil when nothing does.
type Backlog struct {
	N      int
	Oldest *time.Time
}

// Due returns the bindings of a target that are due, leased ones included.
func (s *Store) Due(ctx context.Context, target string) (Backlog, error) {
	now := database.Micros(time.Now())
	var all Backlog
	for p := PriorityLeaver; p <= PriorityLow; p++ {
		b, err := s.backlog(ctx, `SELECT COUNT(*), MIN(due_at) FROM bindings WHERE target = $1 AND priority = $2 AND due_at <= $3`,
			target, int64(p), now)
		if err != nil {
			return Backlog{}, fmt.Errorf("count due bindings: %w", err)
		}
		all = Backlog{N: all.N + b.N, Oldest: earliest(all.Oldest, b.Oldest)}
	}
	return all, nil
}

// LeaverWaits reports whether somebody who left waits for the first step of the way
// out, and nobody works on it.
func (s *Store) LeaverWaits(ctx context.Context, target string) (bool, error) {
	var n int
	err := s.db.Reader().QueryRow(ctx, `SELECT COUNT(*) FROM bindings WHERE target = $1 AND priority = $2 AND due_at <= $3
		AND state NOT IN ('revoked', 'done') AND (lease IS NULL OR lease_until <= $3)`,
		target, int64(PriorityLeaver), database.Micros(time.Now())).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for leavers who wait: %w", err)
	}
	return n > 0, nil
}

// UnverifiedLeavers returns the leavers of a target whose access is not read back as gone, and
// when the first of them left.
func (s *Store) UnverifiedLeavers(ctx context.Context, target string) (Backlog, error) {
	b, err := s.backlog(ctx, `SELECT COUNT(*), MIN(accepted_at) FROM bindings WHERE target = $1 AND event = 'leaver'
		AND accepted_at IS NOT NULL`, target)
	if err != nil {
		return Backlog{}, fmt.Errorf("count unverified leavers: %w", err)
	}
	return b, nil
}

func (s *Store) backlog(ctx context.Context, query string, args ...any) (Backlog, error) {
	var b Backlog
	var oldest sql.NullInt64
	err := s.db.Reader().QueryRow(ctx, query, args...).Scan(&b.N, &oldest)
	b.Oldest = database.FromNullMicros(oldest)
	return b, err
}
