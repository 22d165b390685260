package bindings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// What an admin asks for, at the command line or through a policy, is a note on the row like an
// event: it says what is wanted and makes the binding due, and the pass does it with all guards.
// Nobody but the pass ever talks to Matomo about an account.

// Errors of what an admin asks for.
var (
	// ErrNotLeft means that the person has not left: nothing of a leaver's way applies.
	ErrNotLeft = errors.New("the person has not left")
	// ErrDeleting means that a pass is deleting the account at this moment.
	ErrDeleting = errors.New("the account is being deleted at this moment")
)

// TokenRequest is which of a person's app tokens somebody asked to end. The zero value is none.
type TokenRequest struct {
	All bool
	IDs []int // Matomo's ids; ascending
}

// IsZero reports whether nothing is asked for.
func (r TokenRequest) IsZero() bool { return !r.All && len(r.IDs) == 0 }

// with adds another request.
func (r TokenRequest) with(other TokenRequest) TokenRequest {
	if r.All || other.All {
		return TokenRequest{All: true}
	}
	ids := append(slices.Clone(r.IDs), other.IDs...)
	slices.Sort(ids)
	return TokenRequest{IDs: slices.Compact(ids)}
}

// allTokens is how the column writes every token, whatever the ids will be.
const allTokens = "all"

// text is the request as the column holds it.
func (r TokenRequest) text() string {
	switch {
	case r.All:
		return allTokens
	case len(r.IDs) == 0:
		return ""
	}
	return encode(r.IDs)
}

// parseTokens reads the column. What cannot be read asks for everything: a request that somebody
// wrote is not to be lost, and ending a token too many locks nobody out.
func parseTokens(text string) TokenRequest {
	var r TokenRequest
	switch {
	case text == "":
	case text == allTokens, json.Unmarshal([]byte(text), &r.IDs) != nil:
		return TokenRequest{All: true}
	}
	return r
}

// text is the cause as the column holds it; empty for the zero one.
func (c Cause) text() string {
	if c.IsZero() {
		return ""
	}
	return encode(c)
}

// encode writes a note of ours, which always has a text: it holds strings and whole numbers alone.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// parseCause reads the column; what cannot be read is nobody.
func parseCause(text string) (c Cause) {
	if text != "" && json.Unmarshal([]byte(text), &c) != nil {
		return Cause{}
	}
	return c
}

// A person has left from the event on, long before their access is seen to be gone: the list is of people, and
// the state says how far each has come.

// Leavers returns the bindings of a target whose person has left, longest ago first. Those whose
// account is gone are among them only with gone.
func (s *Store) Leavers(ctx context.Context, target string, gone bool) ([]Binding, error) {
	rows, err := s.db.Reader().Query(ctx, `SELECT `+columns+` FROM bindings WHERE target = $1 AND left_at IS NOT NULL
		AND (login IS NOT NULL OR $2) ORDER BY left_at, id`, target, gone)
	return scanAll(rows, err, scan)
}

// locked reads a binding that the transaction is going to change.
func (s *Store) locked(ctx context.Context, tx *database.Tx, id string) (Binding, error) {
	return found(scan(tx.QueryRow(ctx, `SELECT `+columns+` FROM bindings WHERE id = $1`+s.d.ForUpdate(), id)))
}

// A deletion is stopped by a time and not by a flag: it counts for the leave before it. Whoever comes
// back and leaves again is a new leaver, whose time runs as configured, and nobody has to remember to
// take the flag away.

// KeepAccount stops the deletion of a leaver's account, for this leave: it stays suspended until the
// person comes back or somebody asks for the deletion. ErrNotLeft, or ErrDeleting when it is too
// late.
func (s *Store) KeepAccount(ctx context.Context, tx *database.Tx, id string) error {
	b, err := s.locked(ctx, tx, id)
	switch {
	case err != nil:
		return fmt.Errorf("keep account: %w", err)
	case b.LeftAt == nil:
		return fmt.Errorf("keep account %s: %w", b.Login, ErrNotLeft)
	case b.leasedAt(tx) && b.DeleteAt != nil && !b.DeleteAt.After(tx.Now()):
		return fmt.Errorf("keep account %s: %w", b.Login, ErrDeleting)
	}
	// A pass that is under way does not know of this, and its outcome would plan the deletion again:
	// the generation makes the outcome count for nothing, and the binding is looked at once more.
	const busy = "lease IS NOT NULL AND lease_until > $1"
	_, err = tx.Exec(ctx, `UPDATE bindings SET kept_at = $1, delete_at = NULL,
		generation = CASE WHEN `+busy+` THEN generation + 1 ELSE generation END,
		due_at = CASE WHEN `+busy+` THEN $1 WHEN state = 'done' AND due_at = delete_at THEN NULL ELSE due_at END
		WHERE id = $2`, database.Micros(tx.Now()), id)
	if err != nil {
		return fmt.Errorf("keep account %s: %w", b.Login, err)
	}
	tx.AfterCommit(s.onDue)
	return nil
}

// leasedAt reports whether a worker has the binding at the time of tx.
func (b Binding) leasedAt(tx *database.Tx) bool {
	return b.Lease != "" && b.LeaseUntil != nil && b.LeaseUntil.After(tx.Now())
}

// A deletion that is asked for goes the way of one whose time has come: the same pass, the same evidence, the
// same guards. Only its time is now. That it was kept before does not hold it up, because whoever asks for
// it has changed their mind.

// DeleteNow makes the deletion of a leaver's account due now, kept or not: because somebody asked
// (cause), or because another person needs the login. ErrNotLeft when the person has not left.
func (s *Store) DeleteNow(ctx context.Context, tx *database.Tx, id string, cause Cause) error {
	ok, err := one(ctx, tx, `UPDATE bindings SET generation = generation + 1, kept_at = NULL, delete_at = $1, due_at = $1, attempts = 0,
		priority = $2, cause = CASE WHEN $4 = '' THEN cause ELSE $4 END WHERE id = $3
		AND (left_at IS NOT NULL OR EXISTS (SELECT 1 FROM subjects WHERE id = bindings.subject_id AND orphaned_at IS NOT NULL))`,
		database.Micros(tx.Now()), int64(PriorityLeaver), id, cause.text())
	if err == nil && !ok {
		if _, err = s.Get(ctx, tx, id); err == nil {
			err = ErrNotLeft
		}
	}
	if err != nil {
		return fmt.Errorf("delete account now: %w", err)
	}
	tx.AfterCommit(s.onDue)
	return nil
}

// Which tokens are asked for is kept on the row until a pass has read back that they are dead, so a crash
// between asking and ending loses nothing, and a target that is down only delays it.

// RequestTokens asks for tokens of a binding to be ended, besides those that were asked for
// before, and makes it due. The binding must have a login.
func (s *Store) RequestTokens(ctx context.Context, tx *database.Tx, id string, r TokenRequest, cause Cause) error {
	b, err := s.locked(ctx, tx, id)
	if err == nil && b.Login == "" {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("request the end of tokens: %w", err)
	}
	// A policy that asks does not hide who asked for a change that is not verified yet; and an old change,
	// verified long ago, is not the cause of what a policy asks for.
	_, err = tx.Exec(ctx, `UPDATE bindings SET revoke_tokens = $1, cause = CASE WHEN $2 = '' AND accepted_at IS NOT NULL THEN cause ELSE $2 END,
		generation = generation + 1, due_at = $3, attempts = 0,
		priority = CASE WHEN due_at IS NOT NULL AND priority < $4 THEN priority ELSE $4 END WHERE id = $5`,
		b.RevokeTokens.with(r).text(), cause.text(), database.Micros(tx.Now()), int64(PriorityNormal), id)
	if err != nil {
		return fmt.Errorf("request the end of tokens of %s: %w", b.Login, err)
	}
	tx.AfterCommit(s.onDue)
	return nil
}

// ClaimTokens takes the turn to look at the ages of a target's tokens, when it has come: one replica
// at a time, and none again before next. False when it is somebody else's, or too early.
func (s *Store) ClaimTokens(ctx context.Context, tx *database.Tx, target string, next time.Time) (bool, error) {
	ok, err := one(ctx, tx, `UPDATE targets SET tokens_due_at = $1 WHERE name = $2 AND removed_at IS NULL
		AND (tokens_due_at IS NULL OR tokens_due_at <= $3)`, database.Micros(next), target, database.Micros(tx.Now()))
	if err != nil {
		return false, fmt.Errorf("claim tokens of %s: %w", target, err)
	}
	return ok, nil
}

// PlanTokens says when the ages of a target's tokens are to be looked at next.
func (s *Store) PlanTokens(ctx context.Context, tx *database.Tx, target string, next time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE targets SET tokens_due_at = $1 WHERE name = $2`, database.Micros(next), target); err != nil {
		return fmt.Errorf("plan tokens of %s: %w", target, err)
	}
	return nil
}
