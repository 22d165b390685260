package bindings

import (
	"database/sql"
	"errors"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// ErrNotFound means that there is no such binding, target or rule set.
var ErrNotFound = errors.New("not found")

// columns are those of a Binding, in the order of scan.
const columns = `id, subject_id, target, login, login_key, generation, observed, state, reason, detail,
	due_at, priority, attempts, lease, lease_until, event, accepted_at, changed_at, unsettled_since,
	grants, superuser, adopted, created_by_us, tokens, left_at, revoked_at, delete_at, valid_until, hold_until,
	orphan_source, orphan_external_id, created_at, kept_at, revoke_tokens, cause`

// row is a *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// scan reads one row of columns.
func scan(r row) (Binding, error) {
	var (
		b                                                  Binding
		login, key, lease                                  sql.NullString
		due, leaseUntil, accepted, unsettled               sql.NullInt64
		leftAt, revokedAt, deleteAt, validUntil, holdUntil sql.NullInt64
		keptAt                                             sql.NullInt64
		changed, created                                   int64
		revoke, cause                                      string
	)
	err := r.Scan(&b.ID, &b.Subject, &b.Target, &login, &key, &b.Generation, &b.Observed, &b.State, &b.Reason, &b.Detail,
		&due, &b.Priority, &b.Attempts, &lease, &leaseUntil, &b.Event, &accepted, &changed, &unsettled,
		&b.Grants, &b.Superuser, &b.Adopted, &b.CreatedByUs, &b.Tokens, &leftAt, &revokedAt, &deleteAt, &validUntil, &holdUntil,
		&b.OrphanSource, &b.OrphanExternalID, &created, &keptAt, &revoke, &cause)
	if err != nil {
		return Binding{}, err
	}
	b.Login, b.LoginKey, b.Lease = login.String, key.String, lease.String
	b.DueAt, b.LeaseUntil, b.UnsettledSince = database.FromNullMicros(due), database.FromNullMicros(leaseUntil), database.FromNullMicros(unsettled)
	b.LeftAt, b.RevokedAt, b.DeleteAt = database.FromNullMicros(leftAt), database.FromNullMicros(revokedAt), database.FromNullMicros(deleteAt)
	b.ValidUntil, b.HoldUntil, b.KeptAt = database.FromNullMicros(validUntil), database.FromNullMicros(holdUntil), database.FromNullMicros(keptAt)
	if accepted.Valid {
		b.AcceptedAt = database.FromMicros(accepted.Int64)
	}
	b.ChangedAt, b.CreatedAt = database.FromMicros(changed), database.FromMicros(created)
	b.RevokeTokens, b.Cause = parseTokens(revoke), parseCause(cause)
	return b, nil
}

// scanAll reads and closes rows.
func scanAll[T any](rows *sql.Rows, err error, one func(row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := one(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// found turns the absence of a row into ErrNotFound.
func found[T any](v T, err error) (T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return v, err
}

// earliest is the sooner of two times that may be absent.
func earliest(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}
