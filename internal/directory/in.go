package directory

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/matomo-scim/bridge/internal/database"
)

// eachRow runs query and calls scan for every row.
func eachRow(ctx context.Context, q database.Querier, scan func(*sql.Rows) error, query string, args ...any) error {
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

// queryStrings runs query and returns its only column.
func queryStrings(ctx context.Context, q database.Querier, query string, args ...any) ([]string, error) {
	var out []string
	err := eachRow(ctx, q, func(rows *sql.Rows) error {
		var v string
		if err := rows.Scan(&v); err != nil {
			return err
		}
		out = append(out, v)
		return nil
	}, query, args...)
	return out, err
}

// The three row locks that the directory takes on PostgreSQL; SQLite has one writer and needs none.
//
// A user is changed under lockRow. A group PATCH holds the users it adds with lockShare, so that they cannot be
// deleted in between: two such PATCHes get along, and neither waits for a change of the user's own attributes.
const (
	pgLockRow   = " FOR UPDATE"
	pgLockUser  = " FOR NO KEY UPDATE"
	pgLockShare = " FOR KEY SHARE"
)

// lock returns clause on an engine that locks rows.
func (s *Store) lock(clause string) string {
	if s.db.Dialect().ForUpdate() == "" {
		return ""
	}
	return clause
}
