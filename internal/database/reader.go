package database

import (
	"context"
	"database/sql"
	"sync"
)

// reader runs statements outside transactions. On SQLite it has connections of its own that see
// the last commit and never wait for the writer, and keeps prepared statements; on PostgreSQL the
// driver keeps them for each connection.
type reader struct {
	pool    *sql.DB
	m       *metrics
	dialect Dialect
	cache   *statements // nil on PostgreSQL
}

// Exec refuses: changes go through InTx.
func (r *reader) Exec(context.Context, string, ...any) (sql.Result, error) { return nil, ErrReadOnly }

// Query runs a statement; the caller closes the rows.
func (r *reader) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt := r.cache.acquire(ctx, r.pool, query); stmt != nil {
		defer r.cache.release(stmt)
		rows, err := stmt.QueryContext(ctx, args...) //nolint:sqlclosecheck // the caller closes them
		r.count(err)
		return rows, err
	}
	rows, err := r.pool.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes them
	r.count(err)
	return rows, err
}

// QueryRow runs a statement of which the first row is wanted.
func (r *reader) QueryRow(ctx context.Context, query string, args ...any) (row *sql.Row) {
	defer func() { r.count(row.Err()) }()
	if stmt := r.cache.acquire(ctx, r.pool, query); stmt != nil {
		defer r.cache.release(stmt)
		return stmt.QueryRowContext(ctx, args...)
	}
	return r.pool.QueryRowContext(ctx, query, args...)
}

// count adds an error to the metric when it is the engine's.
func (r *reader) count(err error) {
	if err != nil && r.dialect.fault(err) {
		r.m.errors.WithLabelValues(opRead).Inc()
	}
}

// statements keeps prepared statements of a pool by their text. When there are too many (filters
// come in any number of shapes) all are forgotten; one that is in use is closed by its last user.
type statements struct {
	mu    sync.Mutex // guards the fields below
	texts map[string]*statement
}

// statement is one prepared statement and how many calls use it now.
type statement struct {
	*sql.Stmt
	uses      int
	forgotten bool
}

// acquire returns the statement for query, to be released after use, or nil: then the query runs
// unprepared and reports its own error.
func (s *statements) acquire(ctx context.Context, pool *sql.DB, query string) *statement {
	if s == nil {
		return nil
	}
	if st := s.find(query); st != nil {
		return st
	}
	stmt, err := pool.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	return s.add(query, stmt)
}

func (s *statements) find(query string) *statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.texts[query]
	if st != nil {
		st.uses++
	}
	return st
}

func (s *statements) add(query string, stmt *sql.Stmt) *statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.texts[query]; st != nil { // another call was faster
		_ = stmt.Close()
		st.uses++
		return st
	}
	if len(s.texts) >= maxStatements {
		for text, st := range s.texts {
			s.forgetLocked(text, st)
		}
	}
	st := &statement{Stmt: stmt, uses: 1}
	s.texts[query] = st
	return st
}

func (s *statements) forgetLocked(text string, st *statement) {
	delete(s.texts, text)
	st.forgotten = true
	if st.uses == 0 {
		_ = st.Close()
	}
}

func (s *statements) release(st *statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.uses--
	if st.forgotten && st.uses == 0 {
		_ = st.Close()
	}
}
