package membership

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/matomo-scim/bridge/internal/database"
)

// EachRow runs query and calls scan for every row. Scan must not use q.
func EachRow(ctx context.Context, q database.Querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
	return rows.Err()
}

// Strings runs query and returns its only column.
func Strings(ctx context.Context, q database.Querier, query string, args ...any) ([]string, error) {
	var out []string
	err := EachRow(ctx, q, func(rows *sql.Rows) error {
		var v string
		if err := rows.Scan(&v); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, query, args...)
	return out, err
}

// Lock is a row lock that PostgreSQL is to take with a SELECT. SQLite has one
// writer and needs none.
//
// A user is changed under LockUser. A group holds the users it adds with
// LockShare, so that they cannot be deleted in between: two such changes get
// along, and neither waits for a change of the user's own attributes.
type Lock string

// The locks.
const (
	LockRow   Lock = " FOR UPDATE"
	LockUser  Lock = " FOR NO KEY UPDATE"
	LockShare Lock = " FOR KEY SHARE"
)

// On returns the end of a SELECT that takes the lock on this engine.
func (l Lock) On(d database.Dialect) string {
	if d.ForUpdate() == "" {
		return ""
	}
	return string(l)
}
