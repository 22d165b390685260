package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// columns are those of a row, in the order of insert and scan.
const columns = `id, source, at, request_id, credential, address, user_agent, method, path, status, took, scim_type, attribute, detail, request_body, answer_body`

// Query chooses entries. The zero value is all of them.
type Query struct {
	// Source and RequestID choose when they are not empty.
	Source, RequestID string
	// Failed leaves out what was answered with a status below 400.
	Failed bool
	// Since leaves out what came before.
	Since time.Time
	// Limit is the most that is returned; zero is 100.
	Limit int
}

// List returns the entries that the query chooses, the newest first, whichever sources
// have a journal now.
func (j *Journal) List(ctx context.Context, q Query) ([]Entry, error) {
	var since, status int64
	if !q.Since.IsZero() {
		since = database.Micros(q.Since)
	}
	if q.Failed {
		status = 400
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	// A connection that was cut has status 0 and is a failure too.
	rows, err := j.db.Reader().Query(ctx, `SELECT `+columns+` FROM journal
		WHERE (CAST($1 AS TEXT) = '' OR source = $1) AND (CAST($2 AS TEXT) = '' OR request_id = $2) AND at >= $3
		AND (status >= $4 OR status = 0) ORDER BY id DESC LIMIT $5`, q.Source, q.RequestID, since, status, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("read the request journal: %w", err)
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		var e Entry
		var at, took int64
		err := rows.Scan(&e.ID, &e.Source, &at, &e.RequestID, &e.Credential, &e.Address, &e.UserAgent, &e.Method,
			&e.Path, &e.Status, &took, &e.SCIMType, &e.Attribute, &e.Detail, &e.RequestBody, &e.AnswerBody)
		if err != nil {
			return nil, fmt.Errorf("read the request journal: %w", err)
		}
		e.At, e.Took = database.FromMicros(at), time.Duration(took)*time.Microsecond
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the request journal: %w", err)
	}
	return out, nil
}
