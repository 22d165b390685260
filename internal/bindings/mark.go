package bindings

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// An event writes nothing about what should happen. It says that somebody should look, how soon,
// and when the clock of the propagation metric started; the pass reads the truth. Several events
// before one pass are therefore one piece of work, and what they leave behind does not depend on
// how many they were.

// Mark says why bindings become due.
type Mark struct {
	Event Event
	// Priority is PriorityNormal unless PriorityLow is asked for; a leaver's is always
	// PriorityLeaver.
	Priority Priority
	// Targets limits the mark; nil means every target of the configuration.
	Targets []string
	// Cause is who asked; the zero one is the bridge itself.
	Cause Cause
}

// priority is the one that counts.
func (m Mark) priority() Priority {
	if m.Event == Leaver {
		return PriorityLeaver
	}
	return max(m.Priority, PriorityNormal)
}

// upsert creates a binding or folds an event into the one that is there. Parameters: $1 now,
// $2 priority, $3 event, $4 accepted_at and unsettled_since, $5 left_at, $6 cause; then id, subject
// and target of each row.
//
//   - A leaver's mark wins over what follows until it is verified.
//   - The clock runs from the first change that is not verified.
//   - Work that is scheduled keeps its priority when the mark's is lower.
//   - The cause goes with the event: what the bridge finds by itself does not hide who asked.
const (
	upsertInto = `INSERT INTO bindings (id, subject_id, target, generation, observed, state, due_at, priority, event,
	accepted_at, changed_at, unsettled_since, left_at, created_at, cause) VALUES `
	upsertMerge = ` ON CONFLICT (subject_id, target) DO UPDATE SET
	generation = bindings.generation + 1, due_at = excluded.due_at, attempts = 0,
	priority = CASE WHEN bindings.due_at IS NOT NULL AND bindings.priority < excluded.priority
		THEN bindings.priority ELSE excluded.priority END,
	event = CASE WHEN excluded.event = '' OR (excluded.event = 'drift' AND bindings.event <> '')
		OR (bindings.event = 'leaver' AND bindings.accepted_at IS NOT NULL)
		THEN bindings.event ELSE excluded.event END,
	cause = CASE WHEN excluded.cause = '' AND bindings.accepted_at IS NOT NULL
		OR (bindings.event = 'leaver' AND bindings.accepted_at IS NOT NULL AND excluded.event <> 'leaver')
		THEN bindings.cause ELSE excluded.cause END,
	accepted_at = COALESCE(bindings.accepted_at, excluded.accepted_at),
	changed_at = CASE WHEN excluded.accepted_at IS NULL THEN bindings.changed_at ELSE excluded.changed_at END,
	unsettled_since = COALESCE(bindings.unsettled_since, excluded.unsettled_since),
	left_at = COALESCE(bindings.left_at, excluded.left_at)`
)

// pair is one binding to mark.
type pair struct{ subject, target string }

// MarkDue makes the bindings of subjects due now, in the caller's transaction, and creates those
// that are missing. subjects exist already. After the commit the OnDue listener is called.
func (s *Store) MarkDue(ctx context.Context, tx *database.Tx, subjects []string, m Mark) error {
	targets := m.Targets
	if targets == nil {
		var err error
		if targets, err = s.targets.get(ctx, tx); err != nil {
			return fmt.Errorf("mark due: %w", err)
		}
	}
	// One order for all transactions, so that two that touch the same people do not deadlock.
	subjects = slices.Compact(slices.Sorted(slices.Values(subjects)))
	pairs := make([]pair, 0, len(subjects)*len(targets))
	for _, subject := range subjects {
		for _, target := range targets {
			pairs = append(pairs, pair{subject, target})
		}
	}
	return s.mark(ctx, tx, pairs, m)
}

// mark upserts pairs in few statements.
func (s *Store) mark(ctx context.Context, tx *database.Tx, pairs []pair, m Mark) error {
	if len(pairs) == 0 {
		return nil
	}
	now := database.Micros(tx.Now())
	var accepted, left any
	if m.Event.ofPerson() {
		accepted = now
	}
	if m.Event == Leaver {
		left = now
	}
	for len(pairs) > 0 {
		n := database.Chunk(len(pairs))
		args := append(make([]any, 0, 6+3*n), now, int64(m.priority()), string(m.Event), accepted, left, m.Cause.text())
		for _, p := range pairs[:n] {
			args = append(args, database.NewID(), p.subject, p.target)
		}
		if _, err := tx.Exec(ctx, s.upserts[n], args...); err != nil {
			return fmt.Errorf("mark %d bindings due: %w", n, err)
		}
		pairs = pairs[n:]
	}
	tx.AfterCommit(s.onDue)
	return nil
}

// upsert writes the statement for n bindings.
func upsert(n int) string {
	text := []byte(upsertInto)
	for i := range n {
		if i > 0 {
			text = append(text, ',')
		}
		text = fmt.Appendf(text, "($%d,$%d,$%d,1,0,'pending',$1,$2,$3,$4,$1,$4,$5,$1,$6)", 7+3*i, 8+3*i, 9+3*i)
	}
	return string(text) + upsertMerge
}

// targetNames remembers the names of the targets for a moment, so that a change of one user does
// not read them each time. Another replica may add a target meanwhile; what that misses, FillIn
// finds.
type targetNames struct {
	mu    sync.Mutex // guards the fields below
	names []string
	until time.Time
}

const targetNamesFor = 5 * time.Second

// get returns the targets of the configuration.
func (t *targetNames) get(ctx context.Context, tx *database.Tx) ([]string, error) {
	t.mu.Lock()
	names, until := t.names, t.until
	t.mu.Unlock()
	if tx.Now().Before(until) {
		return names, nil
	}
	rows, err := tx.Query(ctx, `SELECT name FROM targets WHERE removed_at IS NULL ORDER BY name`)
	names, err = scanAll(rows, err, func(r row) (name string, err error) { return name, r.Scan(&name) })
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	if until = tx.Now().Add(targetNamesFor); len(names) > 0 {
		tx.AfterCommit(func() { t.set(names, until) })
	}
	return names, nil
}

func (t *targetNames) set(names []string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names, t.until = names, until
}

// forget makes the next get read.
func (t *targetNames) forget() { t.set(nil, time.Time{}) }
