package bindings

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// The end of a pass. Three ways, and each gives the lease back:
//
//   - Observe: the pass did what its generation asked for. It is one statement whose condition is
//     the claim itself, so an event that came meanwhile is never covered up.
//   - Record: the pass failed, or Observe matched nothing. What is known about Matomo is kept, and
//     the binding is due again.
//   - Release (claim.go): nothing was learned; the target did not answer.
//
// RecordFacts keeps what was done while the pass still runs.

// Outcome is what a pass found and did about a binding.
type Outcome struct {
	// Binding is the binding as claimed, with the fields changed that the pass decided: State,
	// Reason, Detail, Grants, Superuser, Adopted, CreatedByUs, Tokens, the times LeftAt to
	// HoldUntil, and the orphan fields. The others are not written.
	Binding
	// DeleteWas is DeleteAt as claimed: what somebody has asked for since is newer than the pass.
	DeleteWas *time.Time
	// Next is when the binding is to be looked at again; nil for at the next event.
	Next *time.Time
	// Urgent gives that next look the priority of leavers, as the second phase of a leaver needs.
	Urgent bool
	// Waits says that the pass did what it could and the rest comes by itself at Next: Record does
	// not count an attempt.
	Waits bool
	// Verified says that Matomo was read back and agrees (or that there was nothing to do): the
	// propagation clock stops. Held, blocked and failed bindings keep it running.
	Verified bool
	// TokensEnded says that the tokens of RevokeTokens are dead: Observe forgets the request.
	TokensEnded bool
}

// priority of the next look.
func (o Outcome) priority() Priority {
	if o.Urgent {
		return PriorityLeaver
	}
	return PriorityNormal
}

// facts are the columns that a pass decides, $1 to $15; $10 and $15 are the two times that others
// write too.
const facts = `state = $1, reason = $2, detail = $3, grants = $4, superuser = $5, adopted = $6, created_by_us = $7, tokens = $8,
	revoked_at = $9, valid_until = $11, hold_until = $12, orphan_source = $13, orphan_external_id = $14, `

func (o Outcome) facts() []any {
	grants := string(o.Grants)
	if grants == "" {
		grants = "[]"
	}
	tokens := o.Tokens
	if tokens == "" {
		tokens = TokensUnknown
	}
	return []any{
		string(o.State), o.Reason, o.Detail, grants, o.Superuser, o.Adopted, o.CreatedByUs, string(tokens),
		database.NullMicros(o.RevokedAt), database.NullMicros(o.DeleteAt), database.NullMicros(o.ValidUntil), database.NullMicros(o.HoldUntil),
		o.OrphanSource, o.OrphanExternalID, database.NullMicros(o.LeftAt),
	}
}

// Observe ends a pass: it writes what the pass found and which generation it saw, gives the lease
// back and plans the next look. It returns false, and has written nothing, when an event came since
// the claim or when the lease is lost: the binding stays due, and Record keeps the facts.
func (s *Store) Observe(ctx context.Context, tx *database.Tx, o Outcome) (bool, error) {
	args := append(o.facts(), o.ID, o.Lease, o.Generation, database.NullMicros(o.Next), int64(o.priority()), o.Verified, o.TokensEnded)
	ok, err := one(ctx, tx, `UPDATE bindings SET `+facts+`delete_at = $10, left_at = $15, observed = $18, due_at = $19, priority = $20, attempts = 0,
		lease = NULL, lease_until = NULL, claimed = NULL, unsettled_since = NULL,
		event = CASE WHEN $21 THEN '' ELSE event END, accepted_at = CASE WHEN $21 THEN NULL ELSE accepted_at END,
		revoke_tokens = CASE WHEN $22 THEN '' ELSE revoke_tokens END
		WHERE id = $16 AND lease = $17 AND generation = $18`, args...)
	if err != nil {
		return false, fmt.Errorf("observe binding %s: %w", o.ID, err)
	}
	return ok, nil
}

// Record ends a pass that did not reach its end, because it failed or because an event came
// meanwhile: it keeps the facts (what was granted stays known) and gives the lease back without
// observing. Without an event the binding is due again at Next, with one more attempt unless it
// Waits; with one it stays due now. It returns false when the lease is lost: whoever has it now writes newer facts.
func (s *Store) Record(ctx context.Context, tx *database.Tx, o Outcome) (bool, error) {
	next := database.Micros(tx.Now())
	if o.Next != nil {
		next = database.Micros(*o.Next)
	}
	// An event may have set left_at since the claim, and an admin delete_at (DeleteNow, KeepAccount);
	// that is newer than what the pass knew.
	ok, err := one(ctx, tx, `UPDATE bindings SET `+facts+`left_at = COALESCE($15, left_at),
		delete_at = CASE WHEN delete_at IS DISTINCT FROM $21 THEN delete_at ELSE $10 END, lease = NULL, lease_until = NULL, claimed = NULL,
		attempts = CASE WHEN generation = $18 AND NOT $20 THEN attempts + 1 ELSE attempts END,
		due_at = CASE WHEN generation = $18 THEN $19 ELSE due_at END
		WHERE id = $16 AND lease = $17`, append(o.facts(), o.ID, o.Lease, o.Generation, next, o.Waits, database.NullMicros(o.DeleteWas))...)
	if err != nil {
		return false, fmt.Errorf("record binding %s: %w", o.ID, err)
	}
	if ok {
		tx.AfterCommit(s.onDue)
	}
	return ok, nil
}

// Bind makes login, folded to key, the binding's own on its target. A *LoginTakenError says whose
// it is already. Nothing in Matomo is changed for a binding before this is committed.
func (s *Store) Bind(ctx context.Context, tx *database.Tx, id, login, key string) error {
	var target, owner string
	err := tx.QueryRow(ctx, `SELECT target FROM bindings WHERE id = $1`, id).Scan(&target)
	if target, err = found(target, err); err != nil {
		return fmt.Errorf("bind login: %w", err)
	}
	err = tx.QueryRow(ctx, `SELECT id FROM bindings WHERE target = $1 AND login_key = $2`, target, key).Scan(&owner)
	switch {
	case err == nil && owner != id:
		return &LoginTakenError{Target: target, Login: login, BindingID: owner}
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("bind login %s: %w", login, err)
	}
	_, err = tx.Exec(ctx, `UPDATE bindings SET login = $1, login_key = $2 WHERE id = $3`, login, key, id)
	if _, taken := s.d.IsUnique(err); taken {
		// Another replica was faster by a moment; the next run finds it above.
		return fmt.Errorf("bind login %s: %w", login, database.ErrAgain)
	}
	if err != nil {
		return fmt.Errorf("bind login %s: %w", login, err)
	}
	return nil
}

// Unbind takes the login from a binding whose account is verified to be gone, so that another
// person may have it.
func (s *Store) Unbind(ctx context.Context, tx *database.Tx, id string) error {
	if _, err := tx.Exec(ctx, `UPDATE bindings SET login = NULL, login_key = NULL WHERE id = $1`, id); err != nil {
		return fmt.Errorf("unbind binding %s: %w", id, err)
	}
	return nil
}

// Facts are what is known of a binding whatever becomes of the pass. Nil leaves a column alone.
type Facts struct {
	State                           *State
	CreatedByUs, Adopted, Superuser *bool
	Grants                          []byte
	Tokens                          *Tokens
	LeftAt, RevokedAt, DeleteAt     *time.Time
	// Unmoved asks for the facts to be written only if no event came since the claim.
	Unmoved bool
	// CameBack clears LeftAt, RevokedAt and DeleteAt: the old tokens are dead. It counts only while
	// no event came since the claim, for that may have been another leave.
	CameBack bool
}

// RecordFacts writes facts of a binding that lease holds, without ending the pass: what was done in
// Matomo stays known whatever happens next. It returns false, and has written nothing, when the lease is
// lost, or when an event came and the facts are to be Unmoved.
func (s *Store) RecordFacts(ctx context.Context, tx *database.Tx, id, lease string, f Facts) (bool, error) {
	var grants, tokens, state any
	if f.State != nil {
		state = string(*f.State)
	}
	if f.Grants != nil {
		grants = string(f.Grants)
	}
	if f.Tokens != nil {
		tokens = string(*f.Tokens)
	}
	const back = "CASE WHEN $9 AND generation = claimed THEN NULL ELSE "
	ok, err := one(ctx, tx, `UPDATE bindings SET created_by_us = COALESCE($1, created_by_us), adopted = COALESCE($2, adopted),
		superuser = COALESCE($3, superuser), grants = COALESCE($4, grants), tokens = COALESCE($5, tokens),
		left_at = `+back+`COALESCE($6, left_at) END, revoked_at = `+back+`COALESCE($7, revoked_at) END,
		delete_at = `+back+`COALESCE($8, delete_at) END, state = COALESCE($12, state)
		WHERE id = $10 AND lease = $11 AND (NOT $13 OR generation = claimed)`,
		nullBool(f.CreatedByUs), nullBool(f.Adopted), nullBool(f.Superuser), grants, tokens,
		database.NullMicros(f.LeftAt), database.NullMicros(f.RevokedAt), database.NullMicros(f.DeleteAt), f.CameBack, id, lease, state, f.Unmoved)
	if err != nil {
		return false, fmt.Errorf("record facts of binding %s: %w", id, err)
	}
	return ok, nil
}

func nullBool(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}

// one runs an UPDATE and says whether it met its row.
func one(ctx context.Context, tx *database.Tx, query string, args ...any) (bool, error) {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
