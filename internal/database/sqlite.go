package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite has two pools on one file: the writer's only connection, and readers that cannot write. A
// reader sees the last commit and keeps seeing it while it reads; the writer does not wait for
// readers, and a checkpoint that cannot finish because of one is finished later.
//
// The driver is pure Go, so the binary needs no C library and the file is the whole installation.

// dsn is the data source name of the file at path. Settings that every connection has:
//
//   - WAL: readers and the writer do not block each other. synchronous=FULL flushes at each commit.
//   - busy_timeout: another process (a command) may hold the file for a moment.
//   - dqs off: a misspelt column is an error and not a string.
//   - cache_size: pages are kept by each connection for itself, so the readers keep few; the rest of
//     the file is in the kernel's cache, which is not counted as ours.
func dsn(path string, readOnly bool) string {
	q := url.Values{"_dqs": {"0"}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "foreign_keys(1)", "synchronous(FULL)", "temp_store(MEMORY)",
	}}
	if readOnly {
		q.Add("_pragma", "cache_size(-2048)")
		q.Set("mode", "ro")
		q.Set("_query_only", "1")
	} else {
		q.Add("_pragma", "cache_size(-16384)")
		q.Set("_journal_mode", "WAL")
		// A checkpoint flushes twice and blocks the writer; some MB of log between two are cheap.
		q.Add("_pragma", "wal_autocheckpoint(4000)")
	}
	name := &url.URL{Path: filepath.ToSlash(path)}
	return "file:" + name.EscapedPath() + "?" + q.Encode()
}

// openSQLite opens or creates the file at path.
func (db *DB) openSQLite(ctx context.Context, path string, opt Options) error {
	if path == "" || strings.Contains(path, ":memory:") {
		return errors.New("sqlite needs the path of a file: sqlite:PATH")
	}
	db.path, db.dialect = path, sqliteDialect{}
	if opt.ReadOnly {
		return db.openReaders(ctx, opt)
	}
	// Names and addresses of people are in it: nobody else reads the file. The log and the
	// shared memory beside it take its mode.
	_, missing := os.Stat(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if missing != nil { // and its owner, when root makes them
		if err := GiveToOwner(path); err != nil {
			return err
		}
	}
	pool, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(1)
	if err := db.migrate(ctx, pool); err != nil {
		return errors.Join(err, pool.Close())
	}
	if db.w, err = newWriter(ctx, db, pool); err != nil {
		return errors.Join(err, pool.Close())
	}
	return db.openReaders(ctx, opt)
}

// raced reports whether err is what the second of two processes meets when both make the tables:
// a file that is busy, or a statement about a table that is there by now. Damage is another matter.
func raced(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_ERROR)
}

// openReaders opens the pool that only reads.
func (db *DB) openReaders(ctx context.Context, opt Options) error {
	pool, err := sql.Open("sqlite", dsn(db.path, true))
	if err != nil {
		return err
	}
	db.pool = pool
	size := opt.MaxConns
	if size == 0 {
		size = max(4, 2*runtime.GOMAXPROCS(0))
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if opt.ReadOnly {
		if _, err := os.Stat(db.path); err != nil {
			return err
		}
		if err := checkVersion(ctx, pool, db.dialect); err != nil {
			return err
		}
	}
	if err := pool.PingContext(ctx); err != nil {
		return fmt.Errorf("open %s for reading: %w", db.path, err)
	}
	return nil
}
