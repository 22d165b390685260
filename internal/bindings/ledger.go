package bindings

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// What guards and reviews look back on: how many people lost their access in a window of time, and
// what Matomo held before it was taken away.

// RemovalKind says which budget a removal counts against.
type RemovalKind string

// The kinds of removals.
const (
	ByGroup  RemovalKind = "group"  // lost all access through groups or rules
	ByLeaver RemovalKind = "leaver" // active=false or DELETE
)

// RecordRemoval notes that a person lost all access on the binding's target.
func (s *Store) RecordRemoval(ctx context.Context, tx *database.Tx, kind RemovalKind, b Binding, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO removals (id, target, kind, binding_id, removed_at) VALUES ($1, $2, $3, $4, $5)`,
		database.NewID(), b.Target, string(kind), b.ID, database.Micros(at))
	if err != nil {
		return fmt.Errorf("record removal: %w", err)
	}
	return nil
}

// CountRemovals returns how many people lost all access on target since a time; one who lost it
// twice counts once.
func (s *Store) CountRemovals(ctx context.Context, q database.Querier, kind RemovalKind, target string, since time.Time) (int, error) {
	var n int
	err := q.QueryRow(ctx, `SELECT COUNT(DISTINCT binding_id) FROM removals WHERE target = $1 AND kind = $2 AND removed_at >= $3`,
		target, string(kind), database.Micros(since)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count removals: %w", err)
	}
	return n, nil
}

// Evidence is what Matomo would lose for good, as it was before.
type Evidence struct {
	ID       string
	Kind     string // such as "reports" or "account"
	Target   string
	Login    string
	LoginKey string
	Data     json.RawMessage
	SavedAt  time.Time
}

// SaveEvidence keeps e, under its ID or a new one; the transaction's time becomes its time.
func (s *Store) SaveEvidence(ctx context.Context, tx *database.Tx, e Evidence) error {
	if e.ID == "" {
		e.ID = database.NewID()
	}
	_, err := tx.Exec(ctx, `INSERT INTO evidence (id, target, login, login_key, kind, data, saved_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		e.ID, e.Target, e.Login, e.LoginKey, e.Kind, string(e.Data), database.Micros(tx.Now()))
	if err != nil {
		return fmt.Errorf("save evidence of %s: %w", e.Login, err)
	}
	return nil
}

// EvidenceOf returns what was saved of a login, by its folded form, oldest first.
func (s *Store) EvidenceOf(ctx context.Context, q database.Querier, target, key string) ([]Evidence, error) {
	rows, err := q.Query(ctx, `SELECT id, kind, target, login, login_key, data, saved_at FROM evidence
		WHERE target = $1 AND login_key = $2 ORDER BY saved_at, id`, target, key)
	return scanAll(rows, err, func(r row) (Evidence, error) {
		var e Evidence
		var at int64
		var data string
		err := r.Scan(&e.ID, &e.Kind, &e.Target, &e.Login, &e.LoginKey, &data, &at)
		e.Data, e.SavedAt = json.RawMessage(data), database.FromMicros(at)
		return e, err
	})
}
