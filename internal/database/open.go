package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options of Open. The zero value is good.
type Options struct {
	// ReadOnly opens for commands that only look: nothing is migrated and InTx refuses.
	ReadOnly bool
	// Password is read for each new connection to PostgreSQL; nil when the address says all.
	Password func() (string, error)
	// MaxConns limits the connections: on SQLite the readers (default: twice the processors, at
	// least 4), on PostgreSQL all of them (default: 16).
	MaxConns int
	// Logger says what was migrated; nil for silence.
	Logger *zap.Logger
	// Registerer exports scim_bridge_store_errors_total; nil for nothing.
	Registerer prometheus.Registerer
}

// DB is an open store. Its methods may be called by several goroutines.
type DB struct {
	dialect Dialect
	path    string  // of the SQLite file, else ""
	pool    *sql.DB // the readers of SQLite, every connection of PostgreSQL
	w       *writer // nil on PostgreSQL and when read-only
	reads   *reader
	ro      bool
	log     *zap.Logger
	m       *metrics
	last    atomic.Pointer[fault]

	listeners listeners
}

// fault is trouble of the engine in a transaction, and when it was.
type fault struct {
	at  time.Time
	err error
}

// listeners are functions that want to know that something was committed.
type listeners struct {
	mu     sync.RWMutex // guards topics
	topics map[string][]func()
}

func (l *listeners) call(topic string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, f := range l.topics[topic] {
		f()
	}
}

// Listen has f called for each transaction that notified topic and is durable. f runs in the
// goroutine of the transaction's caller and must not block.
func (db *DB) Listen(topic string, f func()) {
	l := &db.listeners
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topics[topic] = append(l.topics[topic], f)
}

// Open opens the store that address names, "sqlite:PATH" (created when missing) or "postgres://…",
// and brings its schema up to date. Errors name the address without its password; ErrNewerSchema
// and ErrOlderSchema say that program and store do not fit.
func Open(ctx context.Context, address string, opt Options) (*DB, error) {
	db := &DB{listeners: listeners{topics: make(map[string][]func())}, ro: opt.ReadOnly, log: opt.Logger, m: newMetrics(opt.Registerer)}
	if db.log == nil {
		db.log = zap.NewNop()
	}
	var err error
	shown := address
	switch scheme, rest, _ := strings.Cut(address, ":"); scheme {
	case "sqlite":
		err = db.openSQLite(ctx, rest, opt)
	case "postgres", "postgresql":
		shown = redact(address)
		err = db.openPostgres(ctx, address, opt)
	default:
		shown = redact(address)
		err = errors.New("an address starts with sqlite: or postgres://")
	}
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", shown, errors.Join(err, db.Close()))
	}
	db.reads = &reader{pool: db.pool, m: db.m, dialect: db.dialect}
	if db.path != "" {
		db.reads.cache = &statements{texts: make(map[string]*statement)}
	}
	return db, nil
}

// migratePatience is how long a store that several processes open for the first time at once may
// take to come to rest.
const migratePatience = 10 * time.Second

// migrate brings the schema up to date and says so. On PostgreSQL one session does and the others
// wait. SQLite has no such lock: whoever is second fails somewhere, at a table that is there by now or
// at a file that is being switched to WAL, which waits for nobody; nothing of it stays, so it looks again.
func (db *DB) migrate(ctx context.Context, pool *sql.DB) error {
	from, to, err := migrate(ctx, pool, db.dialect)
	for until := time.Now().Add(migratePatience); raced(err) && time.Now().Before(until); {
		pause := time.NewTimer(50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
		from, to, err = migrate(ctx, pool, db.dialect)
	}
	if err == nil && from != to {
		db.log.Info("database migrated", zap.Int64("from", from), zap.Int64("to", to))
	}
	return err
}

// Close lets running transactions finish and closes every connection.
func (db *DB) Close() error {
	var err error
	if db.w != nil {
		err = db.w.close()
	}
	if db.pool != nil {
		err = errors.Join(err, db.pool.Close())
	}
	return err
}

// InTx runs fn in a transaction and returns nil after everything it wrote is durable. Any error,
// of fn or of the engine, means that nothing was kept; only an error of the commit itself on a
// lost connection leaves that open. See Func for what fn may do.
//
// On SQLite fn is queued and shares its transaction with others that wait; when ctx ends before
// fn has started, fn does not run. On PostgreSQL fn runs at READ COMMITTED, and again after a
// deadlock or a serialization failure: rows that it reads and writes again are read with
// Dialect.ForUpdate.
func (db *DB) InTx(ctx context.Context, fn Func) error {
	switch {
	case db.ro:
		return ErrReadOnly
	case isInside(ctx):
		return ErrNested
	}
	var err error
	if db.w != nil {
		err = db.w.inTx(ctx, fn)
	} else {
		err = db.inTxPostgres(ctx, fn)
	}
	if err != nil {
		db.count(err)
	}
	return err
}

// count adds an error to the metric when it is the engine's.
func (db *DB) count(err error) {
	var c *commitError
	switch {
	case errors.As(err, &c):
		db.m.errors.WithLabelValues(opCommit).Inc()
	case db.dialect.fault(err):
		db.m.errors.WithLabelValues(opTransaction).Inc()
	default:
		return
	}
	db.last.Store(&fault{time.Now(), err})
}

// LastFault is when the engine last failed in a transaction, and how; zero when it never did. A
// store that answers may still refuse every change: its disk is full, or somebody holds it.
func (db *DB) LastFault() (at time.Time, err error) {
	if f := db.last.Load(); f != nil {
		return f.at, f.err
	}
	return time.Time{}, nil
}

// Reader runs statements outside a transaction. It sees every change whose InTx has returned.
func (db *DB) Reader() Querier { return db.reads }

// Dialect is what differs between the engines.
func (db *DB) Dialect() Dialect { return db.dialect }

// Ping says whether the store answers, for the readiness check.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.reads.QueryRow(ctx, "SELECT 1").Scan(&one)
}
