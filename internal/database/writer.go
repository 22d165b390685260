package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The one writer of SQLite. A commit costs a flush of the disk, and flushes are what limits the
// number of changes a second. So everything that waits while one transaction is flushed shares the
// next: a goroutine takes up to maxGroup waiting functions, runs each, commits once and answers
// all. It never waits for a group to fill.

const (
	maxGroup      = 256
	maxStatements = 256 // prepared statements kept between groups
	carefulGroups = 64  // that get savepoints after a failure

	savepointOpen    = "SAVEPOINT one"
	savepointRelease = "RELEASE one"
	savepointUndo    = "ROLLBACK TO one"
)

// A job's way: waiting until the writer takes it or its caller gives up.
const (
	jobWaiting int32 = iota
	jobTaken
	jobAbandoned
)

// job is one call of InTx on its way through the writer.
type job struct {
	ctx   context.Context //nolint:containedctx // the caller's, for the time of the call
	fn    Func
	state atomic.Int32
	err   error
	tx    *Tx // of the attempt that counts
	done  chan struct{}
}

// writer owns the connection that writes. All fields but jobs, quit and stopped belong to its
// goroutine.
type writer struct {
	db    *DB
	conn  *sql.Conn
	stmts map[string]prepared

	careful int    // how many groups still get savepoints
	taken   []*job // of the running group, without an answer yet
	running *job   // whose function runs

	jobs    chan *job
	quit    chan struct{} // closed by close
	close   func() error  // lets what is queued finish and gives the connection back
	stopped chan struct{} // closed when the goroutine has answered everything
}

// newWriter takes the only connection of pool.
func newWriter(ctx context.Context, db *DB, pool *sql.DB) (*writer, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		db: db, conn: conn, stmts: make(map[string]prepared),
		jobs: make(chan *job, maxGroup), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	w.close = sync.OnceValue(func() error {
		close(w.quit)
		<-w.stopped
		return errors.Join(conn.Close(), pool.Close())
	})
	go w.loop(nil) //nolint:contextcheck // the writer outlives the call that opens the store
	return w, nil
}

// inTx queues fn and waits for its answer. A context that ends while fn is still queued takes it
// out; once it runs, the answer says what really happened.
func (w *writer) inTx(ctx context.Context, fn Func) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case w.jobs <- j:
	case <-w.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if j.state.CompareAndSwap(jobWaiting, jobAbandoned) {
			return ctx.Err()
		}
		<-j.done
	case <-w.stopped:
		// The job may have come too late for the last group.
		if j.state.CompareAndSwap(jobWaiting, jobAbandoned) {
			return ErrClosed
		}
		<-j.done
	}
	if j.err != nil {
		return j.err
	}
	j.tx.afterCommit()
	return nil
}

// loop runs left, then groups until quit, and then what is still queued.
func (w *writer) loop(left []*job) {
	regular := false
	defer func() {
		if regular {
			close(w.stopped)
			return
		}
		// A function ended this goroutine (runtime.Goexit, as t.Fatal does). It gets an error; its
		// neighbours run again in a new goroutine.
		w.rollback()
		w.running.err = &PanicError{}
		rest := slices.DeleteFunc(w.taken, func(j *job) bool { return j == w.running })
		answer(w.running)
		go w.loop(rest)
	}()
	w.run(left)
	group := make([]*job, 0, maxGroup)
	for {
		group = group[:0]
		select {
		case j := <-w.jobs:
			group = w.drain(append(group, j))
		case <-w.quit:
			group = w.drain(group)
			if len(group) == 0 {
				regular = true
				return
			}
		}
		w.run(take(group))
	}
}

// drain adds what waits already, and does not wait for more.
func (w *writer) drain(group []*job) []*job {
	for len(group) < maxGroup {
		select {
		case j := <-w.jobs:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

// take keeps the jobs whose callers still wait; from here on they wait for the answer. A caller
// whose context has ended may not have noticed yet: it gets its answer here.
func take(group []*job) []*job {
	return slices.DeleteFunc(group, func(j *job) bool {
		if !j.state.CompareAndSwap(jobWaiting, jobTaken) {
			return true
		}
		if j.err = j.ctx.Err(); j.err != nil {
			answer(j)
		}
		return j.err != nil
	})
}

// run attempts the jobs until each has its answer.
func (w *writer) run(jobs []*job) {
	w.trim()
	for w.taken = jobs; len(w.taken) > 0; {
		w.taken = w.attempt(w.taken)
	}
}

// attempt runs the jobs in one transaction and answers those that are decided. It returns the jobs
// to run again: those that shared the transaction with one that broke it.
//
// Functions rarely fail after they have written, and a savepoint for each copies every page that it
// touches. So a group runs without, and when one does fail everything is undone and the others run
// again; that group and some after it get savepoints, which keep the failures of one client from
// doubling the work of all.
func (w *writer) attempt(group []*job) (again []*job) {
	if _, err := w.exec(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		fail(group, fmt.Errorf("begin: %w", err))
		return nil
	}
	w.careful = max(0, w.careful-1)
	now := time.UnixMicro(time.Now().UnixMicro()).UTC()
	for i, j := range group {
		j.tx = &Tx{db: w.db, now: now, w: w, savepoint: w.careful > 0 && len(group) > 1}
		w.running = j
		j.err = call(inside(context.WithoutCancel(j.ctx)), j.tx, j.fn)
		if err := w.settle(j); err != nil {
			w.rollback()
			j.err = cmp.Or(j.err, err)
			answer(j)
			w.careful = carefulGroups
			return slices.Delete(group, i, i+1)
		}
	}
	if _, err := w.exec(context.Background(), "COMMIT"); err != nil {
		w.rollback()
		fail(group, &commitError{err})
		return nil
	}
	for _, j := range group {
		answer(j)
	}
	return nil
}

// settle keeps or undoes what one job wrote. An error means that the transaction is lost as a
// whole.
func (w *writer) settle(j *job) error {
	switch {
	case j.tx.broken != nil:
		return j.tx.broken
	case !j.tx.wrote:
		return nil
	case !j.tx.savepoint:
		return j.err // nothing marks where it began: all is undone
	case j.err != nil:
		if _, err := w.exec(context.Background(), savepointUndo); err != nil {
			return err
		}
	}
	_, err := w.exec(context.Background(), savepointRelease)
	return err
}

// answer lets the caller of j go on.
func answer(j *job) { close(j.done) }

// fail answers all jobs with err, those that had failed by themselves with their own error.
func fail(group []*job, err error) {
	for _, j := range group {
		j.err = cmp.Or(j.err, err)
		answer(j)
	}
}

// rollback ends a transaction, whether or not SQLite has ended it already.
func (w *writer) rollback() {
	_, _ = w.exec(context.Background(), "ROLLBACK")
}

// exec runs a prepared statement. The context is not passed on: a statement of a shared
// transaction is never interrupted.
func (w *writer) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = context.WithoutCancel(ctx)
	stmt, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// prepared is a statement that trim closes.
type prepared struct{ *sql.Stmt }

// prepare returns the statement for query, from earlier when there is one.
func (w *writer) prepare(ctx context.Context, query string) (prepared, error) {
	if stmt, ok := w.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return prepared{}, err
	}
	w.stmts[query] = prepared{stmt}
	return prepared{stmt}, nil
}

// trim forgets the statements when there are too many, between transactions.
func (w *writer) trim() {
	if len(w.stmts) <= maxStatements {
		return
	}
	for _, stmt := range w.stmts {
		_ = stmt.Close()
	}
	clear(w.stmts)
}

// commitError marks an error of COMMIT for the metric.
type commitError struct{ err error }

// Error says that it was the commit.
func (e *commitError) Error() string { return "commit: " + e.err.Error() }

// Unwrap is the engine's error.
func (e *commitError) Unwrap() error { return e.err }
