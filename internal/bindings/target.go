package bindings

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// Targets come from the configuration and are rows as well: bindings refer to them, a full compare
// is a due time and a lease on the row, and a replica that does not know a target yet learns of it
// here.

// TargetSpec is a target as the configuration has it.
type TargetSpec struct {
	Name string
	URL  string // for people; without credentials
	Mode string // "enforce" or "observe"
}

// Target is a target as the store knows it.
type Target struct {
	TargetSpec
	CompareDueAt *time.Time // when the next full compare is due; nil when none is planned
}

// Targets returns the targets of the configuration by name.
func (s *Store) Targets(ctx context.Context, q database.Querier) ([]Target, error) {
	rows, err := q.Query(ctx, `SELECT name, url, mode, compare_due_at FROM targets WHERE removed_at IS NULL ORDER BY name`)
	return scanAll(rows, err, func(r row) (Target, error) {
		var t Target
		var due sql.NullInt64
		err := r.Scan(&t.Name, &t.URL, &t.Mode, &due)
		t.CompareDueAt = database.FromNullMicros(due)
		return t, err
	})
}

// Ensure makes the targets of the configuration known. Targets that are new, that came back, or
// whose mode changed have all their bindings made due at low priority and a full compare planned
// now; those that the configuration lacks get no new bindings, and keep the ones they have.
func (s *Store) Ensure(ctx context.Context, tx *database.Tx, specs []TargetSpec) error {
	now := database.Micros(tx.Now())
	names := make([]string, len(specs))
	for i, spec := range specs {
		names[i] = spec.Name
		if err := s.ensure(ctx, tx, spec, now); err != nil {
			return fmt.Errorf("ensure target %s: %w", spec.Name, err)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE targets SET removed_at = $1, compare_due_at = NULL WHERE removed_at IS NULL AND NOT (`+
		s.d.In("name", "$2")+`)`, now, s.d.Strings(names))
	if err != nil {
		return fmt.Errorf("retire targets: %w", err)
	}
	tx.AfterCommit(s.targets.forget)
	return nil
}

// ensure writes one target.
func (s *Store) ensure(ctx context.Context, tx *database.Tx, spec TargetSpec, now int64) error {
	res, err := tx.Exec(ctx, `UPDATE targets SET url = $1 WHERE name = $2 AND mode = $3 AND removed_at IS NULL`, spec.URL, spec.Name, spec.Mode)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO targets (name, url, mode, compare_due_at, created_at) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (name) DO UPDATE SET url = excluded.url, mode = excluded.mode, compare_due_at = excluded.compare_due_at, removed_at = NULL`,
		spec.Name, spec.URL, spec.Mode, now)
	if err != nil {
		return err
	}
	if err := s.dueAll(ctx, tx, "target = $2", spec.Name); err != nil {
		return err
	}
	_, err = s.fillIn(ctx, tx, spec.Name)
	return err
}

// dueAll makes every binding that meets condition due at low priority. $1 is now. Bindings of
// people who have left for good (Done, Gone) wait for an event, unless a pass works on them: then
// that event has come, and the pass knows nothing of what all are made due for.
func (s *Store) dueAll(ctx context.Context, tx *database.Tx, condition string, args ...any) error {
	_, err := tx.Exec(ctx, `UPDATE bindings SET generation = generation + 1, due_at = $1, attempts = 0,
		priority = CASE WHEN due_at IS NOT NULL AND priority < 2 THEN priority ELSE 2 END
		WHERE (state NOT IN ('done', 'gone') OR lease IS NOT NULL) AND `+condition, append([]any{database.Micros(tx.Now())}, args...)...)
	if err == nil {
		tx.AfterCommit(s.onDue)
	}
	return err
}

// FillIn creates the bindings that a target lacks for people who have a user, at low priority, and
// returns how many. A replica that did not know of a new target yet may have missed some; every
// full compare calls this.
func (s *Store) FillIn(ctx context.Context, target string) (int, error) {
	missing, err := s.missing(ctx, s.db.Reader(), target)
	if err != nil || len(missing) == 0 {
		return 0, err
	}
	n := 0
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		n, err = s.fillIn(ctx, tx, target)
		return err
	})
	return n, err
}

func (s *Store) fillIn(ctx context.Context, tx *database.Tx, target string) (int, error) {
	subjects, err := s.missing(ctx, tx, target)
	if err != nil {
		return 0, err
	}
	return len(subjects), s.MarkDue(ctx, tx, subjects, Mark{Priority: PriorityLow, Targets: []string{target}})
}

// missing returns the people without a binding on target.
func (s *Store) missing(ctx context.Context, q database.Querier, target string) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT id FROM subjects WHERE orphaned_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM bindings WHERE subject_id = subjects.id AND target = $1) ORDER BY id`, target)
	ids, err := scanAll(rows, err, func(r row) (id string, err error) { return id, r.Scan(&id) })
	if err != nil {
		return nil, fmt.Errorf("find people without a binding: %w", err)
	}
	return ids, nil
}

// ClaimCompare leases the full compare of a target when it is due and nobody does it. The lease
// holds until the given time; CompareDone ends it.
func (s *Store) ClaimCompare(ctx context.Context, target, lease string, until time.Time) (bool, error) {
	var ok bool
	// Looking costs the writer nothing, and most looks come too early.
	err := s.db.Reader().QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM targets WHERE name = $1 AND compare_due_at <= $2)`,
		target, database.Micros(time.Now())).Scan(&ok)
	if err != nil || !ok {
		return false, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		ok, err = one(ctx, tx, `UPDATE targets SET lease = $1, lease_until = $2
			WHERE name = $3 AND compare_due_at <= $4 AND (lease IS NULL OR lease = $1 OR lease_until <= $4)`,
			lease, database.Micros(until), target, database.Micros(tx.Now()))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("claim compare of %s: %w", target, err)
	}
	return ok, nil
}

// CompareDone ends a claimed compare and plans the next. A compare that was asked for meanwhile
// (CompareNow ends the lease) stays due.
func (s *Store) CompareDone(ctx context.Context, target, lease string, next time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE targets SET lease = NULL, lease_until = NULL, compare_due_at = $1
			WHERE name = $2 AND lease = $3`, database.Micros(next), target, lease)
		return err
	})
	if err != nil {
		return fmt.Errorf("end compare of %s: %w", target, err)
	}
	return nil
}

// CompareNow makes the full compare of a target due.
func (s *Store) CompareNow(ctx context.Context, tx *database.Tx, target string) error {
	ok, err := one(ctx, tx, `UPDATE targets SET compare_due_at = $1, lease = NULL, lease_until = NULL WHERE name = $2 AND removed_at IS NULL`,
		database.Micros(tx.Now()), target)
	switch {
	case err != nil:
		return fmt.Errorf("plan compare of %s: %w", target, err)
	case !ok:
		return fmt.Errorf("plan compare of %s: %w", target, ErrNotFound)
	}
	tx.AfterCommit(s.onDue)
	return nil
}
