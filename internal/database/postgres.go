package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// On PostgreSQL every transaction has a connection of its own, and nothing is grouped: the server
// groups flushes by itself. The driver keeps prepared statements for each connection. Behind a
// pooler in transaction mode the migration lock and those statements do not work; connect directly
// or in session mode.

const (
	defaultConns = 16
	maxAttempts  = 10 // of a transaction that PostgreSQL asks to repeat

	// How long a new connection whose password was refused waits for another one, and how often
	// it looks.
	passwordPatience = 5 * time.Second
	passwordPause    = 100 * time.Millisecond
)

// wrongPassword is the code (SQLSTATE invalid_password) of a refused password.
const wrongPassword = "28P01"

// openPostgres connects to a server.
func (db *DB) openPostgres(ctx context.Context, dsn string, opt Options) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return errors.New("not a valid PostgreSQL URL")
	}
	db.dialect = postgresDialect{}
	pool := sql.OpenDB(newConnector(*config, opt.Password))
	db.pool = pool
	size := opt.MaxConns
	if size == 0 {
		size = defaultConns
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if opt.ReadOnly {
		return checkVersion(ctx, pool, db.dialect)
	}
	return db.migrate(ctx, pool)
}

// A role has one password, and it changes in two places, one after the other: in the server and in
// our file. Open connections go on, and new ones need the one that holds now. So it is read for each
// connection; and one that is refused waits a moment, because the other half of the change may be on
// its way: a request is late then, and not lost.

// connector opens connections with the password of the moment.
type connector struct {
	driver.Connector
	patient bool // whether the password may become another one
}

// newConnector returns the connector of config; password is nil when the URL says all.
func newConnector(config pgx.ConnConfig, password func() (string, error)) *connector {
	options := []stdlib.OptionOpenDB{stdlib.OptionAfterConnect(durable)}
	if password != nil {
		options = append(options, stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) (err error) {
			if c.Password, err = password(); err != nil {
				return fmt.Errorf("database password: %w", err)
			}
			return nil
		}))
	}
	return &connector{stdlib.GetConnector(config, options...), password != nil}
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	for until := time.Now().Add(passwordPatience); ; {
		conn, err := c.Connector.Connect(ctx)
		refused, ok := errors.AsType[*pgconn.PgError](err)
		if !c.patient || !ok || refused.Code != wrongPassword || time.Now().After(until) {
			return conn, err
		}
		pause := time.NewTimer(passwordPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		}
	}
}

// durable makes sure of what InTx promises, whatever the server's defaults are: a commit is
// flushed before it is answered, and a transaction sees what others committed meanwhile. Stronger
// settings of synchronous_commit (remote_apply) stay.
func durable(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('default_transaction_isolation', 'read committed', false),
		CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END`)
	return err
}

// inTxPostgres runs fn and repeats it when PostgreSQL found a deadlock or a conflict.
func (db *DB) inTxPostgres(ctx context.Context, fn Func) error {
	for attempt := 1; ; attempt++ {
		tx, err := db.attemptPostgres(ctx, fn)
		if err == nil {
			tx.afterCommit()
			return nil
		}
		if !db.dialect.retryable(err) || attempt == maxAttempts {
			return err
		}
		// Full jitter: those who collided do not meet again.
		wait := time.NewTimer(rand.N(time.Millisecond << attempt)) //nolint:gosec // jitter, not a secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return errors.Join(ctx.Err(), err)
		}
	}
}

// attemptPostgres runs fn once.
func (db *DB) attemptPostgres(ctx context.Context, fn Func) (*Tx, error) {
	pg, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer pg.Rollback()
	tx := &Tx{db: db, now: time.UnixMicro(time.Now().UnixMicro()).UTC(), pg: pg}
	if err := call(inside(ctx), tx, fn); err != nil {
		return nil, err
	}
	if err := pg.Commit(); err != nil {
		return nil, &commitError{err}
	}
	return tx, nil
}

// redact is a PostgreSQL URL for error messages, without its passwords. What is no URL is not shown
// at all: there is no telling where in it a password is.
func redact(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Opaque != "" {
		return "postgres:…"
	}
	q := u.Query()
	for _, key := range []string{"password", "sslpassword"} {
		if q.Has(key) {
			q.Set(key, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}
