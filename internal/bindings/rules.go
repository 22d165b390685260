package bindings

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// RuleSet is the rules as they were activated. Every replica decides with the active one.
type RuleSet struct {
	ID          string
	Hash        string
	Text        string // the rule files
	Origin      string // which files, for people
	ActivatedAt time.Time
}

// ActiveRules returns the rule set that decides; before the first activation its Hash is empty.
func (s *Store) ActiveRules(ctx context.Context) (RuleSet, error) {
	var r RuleSet
	var at int64
	err := s.db.Reader().QueryRow(ctx, `SELECT id, hash, text, origin, activated_at FROM rule_sets WHERE active`).
		Scan(&r.ID, &r.Hash, &r.Text, &r.Origin, &at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return RuleSet{}, nil
	case err != nil:
		return RuleSet{}, fmt.Errorf("read active rules: %w", err)
	}
	r.ActivatedAt = database.FromMicros(at)
	return r, nil
}

// ActivateRules makes r the active rules and every binding due at low priority, in the caller's
// transaction. Rules with the hash of the active ones change nothing.
func (s *Store) ActivateRules(ctx context.Context, tx *database.Tx, r RuleSet) error {
	hash, err := s.activeHash(ctx, tx)
	if errors.Is(err, ErrNotFound) {
		// Perhaps the row was retired while we waited for its lock: look once more.
		hash, err = s.activeHash(ctx, tx)
	}
	switch {
	case err == nil && hash == r.Hash:
		return nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return fmt.Errorf("read active rules: %w", err)
	}
	// Only the row that was seen and locked: where none was, another replica's first rules may have
	// come since. Retiring those as well would activate the same rules twice; this way the insert
	// fails, and all of it is tried again.
	if _, err := tx.Exec(ctx, `UPDATE rule_sets SET active = FALSE WHERE active AND hash = $1`, hash); err != nil {
		return fmt.Errorf("retire rules: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO rule_sets (id, hash, text, origin, activated_at, active) VALUES ($1, $2, $3, $4, $5, TRUE)`,
		database.NewID(), r.Hash, r.Text, r.Origin, database.Micros(tx.Now()))
	if _, other := s.d.IsUnique(err); other {
		return fmt.Errorf("activate rules: %w", database.ErrAgain) // another replica was faster
	}
	if err != nil {
		return fmt.Errorf("activate rules: %w", err)
	}
	// A pass that began before this commit decides with the rules of before, so it must not end without
	// being told; and what it works on may be a row that came only after the statement below had looked.
	// On PostgreSQL both wait until the new rules are there for everybody.
	if err := tx.LockTable(ctx, "bindings"); err != nil {
		return fmt.Errorf("activate rules: %w", err)
	}
	if err := s.dueAll(ctx, tx, "TRUE"); err != nil {
		return fmt.Errorf("make bindings due for new rules: %w", err)
	}
	return nil
}

// activeHash locks the active rules.
func (s *Store) activeHash(ctx context.Context, tx *database.Tx) (string, error) {
	var hash string
	err := tx.QueryRow(ctx, `SELECT hash FROM rule_sets WHERE active`+s.d.ForUpdate()).Scan(&hash)
	return found(hash, err)
}
