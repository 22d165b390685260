package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// Querier runs statements: a transaction, or the readers outside one.
type Querier interface {
	// Exec runs a statement that returns no rows.
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	// Query runs a statement that returns rows; the caller closes them.
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// QueryRow runs a statement of which the first row is wanted; Scan reports its error.
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// Func is the work of one transaction. It gets only the transaction: it does no other I/O, never
// calls InTx, keeps neither ctx nor tx, and may run more than once, so what it leaves in the
// caller's variables it sets anew each time. When it returns an error nothing of it is kept.
type Func = func(ctx context.Context, tx *Tx) error

// Errors of InTx besides those of its function and of the engine.
var (
	// ErrReadOnly is the answer of a database that was opened to be read.
	ErrReadOnly = errors.New("database is open read-only")
	// ErrClosed is the answer after Close.
	ErrClosed = errors.New("database is closed")
	// ErrNested means that a transaction function called InTx.
	ErrNested = errors.New("transaction inside a transaction")
	// ErrAgain is for functions to return: it asks PostgreSQL for another run, because a row
	// appeared between two statements. It reaches the caller only when that keeps happening.
	ErrAgain = errors.New("transaction met a concurrent change")
)

// PanicError is what InTx returns when its function panicked. The transaction was rolled back.
type PanicError struct {
	Value any    // what was given to panic; nil when the function ended its goroutine
	Stack []byte // where
}

// Error names the value; the stack is for the log.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return "transaction function ended its goroutine"
	}
	return fmt.Sprintf("transaction function panicked: %v", e.Value)
}

// Tx is a running transaction. It belongs to the function that it was given to.
type Tx struct {
	db     *DB
	now    time.Time
	hooks  []func()
	topics []string // notified, once each

	pg *sql.Tx // the transaction on PostgreSQL, else
	w  *writer // the one writer on SQLite
	// savepoint says that a savepoint is to be opened before the first statement that may write;
	// wrote says that such a statement has come.
	savepoint, wrote bool
	broken           error // the savepoint could not be opened: the transaction is lost
}

// Now is the time of this attempt, in UTC and whole microseconds: the same for everything that the
// transaction writes.
func (t *Tx) Now() time.Time { return t.now }

// AfterCommit has f called once the transaction is durable, by the goroutine that called InTx, in
// the order of the calls. f is not called when the transaction fails.
func (t *Tx) AfterCommit(f func()) { t.hooks = append(t.hooks, f) }

// Notify has the functions that DB.Listen registered for topic called once the transaction is
// durable, once however often it is called.
func (t *Tx) Notify(topic string) {
	if slices.Contains(t.topics, topic) {
		return
	}
	t.topics = append(t.topics, topic)
	t.AfterCommit(func() { t.db.listeners.call(topic) })
}

// Signal calls the functions for topic at once, whatever becomes of the transaction.
func (t *Tx) Signal(topic string) { t.db.listeners.call(topic) }

// Lock keeps out every other transaction that locks the same key, until this one ends. On SQLite
// there is no other transaction.
func (t *Tx) Lock(ctx context.Context, key int64) error {
	if t.pg == nil {
		return nil
	}
	if _, err := t.pg.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", key); err != nil {
		return fmt.Errorf("take advisory lock: %w", err)
	}
	return nil
}

// LockTable lets nobody else write to a table until the transaction ends; whoever reads is not held
// up. It waits for transactions that have written. On SQLite there is no other writer.
func (t *Tx) LockTable(ctx context.Context, table string) error {
	if t.pg == nil {
		return nil
	}
	if _, err := t.pg.ExecContext(ctx, "LOCK TABLE "+table+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return fmt.Errorf("lock table %s: %w", table, err)
	}
	return nil
}

// Exec runs a statement that returns no rows. On SQLite it is not interrupted by the end of ctx:
// the transaction is shared with others.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if t.pg != nil {
		return t.pg.ExecContext(ctx, query, args...)
	}
	if err := t.beforeWrite(ctx); err != nil {
		return nil, err
	}
	return t.w.exec(ctx, query, args...)
}

// Query runs a statement that returns rows; the caller closes them before its next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if t.pg != nil {
		return t.pg.QueryContext(ctx, query, args...)
	}
	if !isSelect(query) {
		if err := t.beforeWrite(ctx); err != nil {
			return nil, err
		}
	}
	stmt, err := t.w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.WithoutCancel(ctx), args...)
}

// QueryRow runs a statement of which the first row is wanted; Scan reports its error.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if t.pg != nil {
		return t.pg.QueryRowContext(ctx, query, args...)
	}
	ctx = context.WithoutCancel(ctx)
	if !isSelect(query) {
		_ = t.beforeWrite(ctx) // on an error the transaction is lost, whatever the statement does
	}
	stmt, err := t.w.prepare(ctx, query)
	if err != nil {
		return t.w.conn.QueryRowContext(ctx, query, args...) // the same error, in a row
	}
	return stmt.QueryRowContext(ctx, args...)
}

// beforeWrite opens the savepoint that keeps this function's changes apart from its neighbours'.
// A function that only reads, such as one that finds a conflict, never pays for one.
func (t *Tx) beforeWrite(ctx context.Context) error {
	if t.wrote {
		return nil
	}
	if t.savepoint {
		if _, err := t.w.exec(ctx, savepointOpen); err != nil {
			t.broken = fmt.Errorf("open savepoint: %w", err)
			return t.broken
		}
	}
	t.wrote = true
	return nil
}

// isSelect says whether query only reads. WITH may introduce an UPDATE, so it counts as writing.
func isSelect(query string) bool {
	return len(query) >= 6 && (query[:6] == "SELECT" || query[:6] == "select")
}

// afterCommit calls the hooks.
func (t *Tx) afterCommit() {
	for _, f := range t.hooks {
		f()
	}
}

// call runs fn and turns a panic into an error.
func call(ctx context.Context, tx *Tx, fn Func) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn(ctx, tx)
}

// insideKey marks the context that a transaction function gets.
type insideKey struct{}

func inside(ctx context.Context) context.Context { return context.WithValue(ctx, insideKey{}, true) }

func isInside(ctx context.Context) bool { return ctx.Value(insideKey{}) != nil }
