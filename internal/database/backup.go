package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A copy of a SQLite file that is being written to is not a database: pages of two commits
// stand side by side, and the newest are in the log beside it. VACUUM INTO reads one commit
// as any reader does, so the writer goes on meanwhile, and writes a whole database without
// a log.

// ErrNoFile is the answer for a store that is no SQLite file.
var ErrNoFile = errors.New("the database is PostgreSQL: use pg_dump and pg_restore, or your provider's backups")

// stampName is the file beside the database whose time is that of the last backup. A command
// makes backups and the service shows when, and the row of a database could not say it: it
// would be in the copy.
const stampName = ".backup"

// Path is the SQLite file, or empty.
func (db *DB) Path() string { return db.path }

// Backup writes what is committed now to a new file, which only the owner can read. The file
// is there when it is whole and durable, or not at all; one that exists is an error.
func (db *DB) Backup(ctx context.Context, to string) (err error) {
	if db.path == "" {
		return ErrNoFile
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup to %s: %w", to, errors.Join(err, fs.ErrExist))
	}
	// Written beside its place and renamed when it is whole: a job that copies backups away
	// must never meet half of one. SQLite takes an existing empty file, and with it the mode that it has.
	part := to + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	defer func() {
		if err != nil {
			err = fmt.Errorf("backup to %s: %w", to, errors.Join(err, os.Remove(part)))
		}
	}()
	if err := vacuumInto(ctx, db.path, part); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	syncFolder(filepath.Dir(to))
	// Only the monitoring misses it.
	_ = os.WriteFile(db.path+stampName, []byte(to+"\n"), 0o600)
	return nil
}

// vacuumInto copies the database at path. It has a connection of its own, because those of
// the readers refuse every statement that writes, this one included; it still cannot write
// to path.
func vacuumInto(ctx context.Context, path, to string) error {
	name := &url.URL{Path: filepath.ToSlash(path)}
	pool, err := sql.Open("sqlite", "file:"+name.EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	_, err = pool.ExecContext(ctx, "VACUUM INTO $1", to)
	return errors.Join(err, pool.Close())
}

// LastBackup is when Backup last succeeded for this file; zero when never.
func (db *DB) LastBackup() time.Time {
	if db.path == "" {
		return time.Time{}
	}
	info, err := os.Stat(db.path + stampName)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// CheckFile says what is wrong with a SQLite file as such: pages that do not fit together, or
// rows that point at rows which are not there. Open says whether its schema fits.
func (db *DB) CheckFile(ctx context.Context) error {
	if db.path == "" {
		return ErrNoFile
	}
	for _, pragma := range []string{"PRAGMA integrity_check(10)", "PRAGMA foreign_key_check"} {
		found, err := db.pragma(ctx, pragma)
		if err != nil {
			return fmt.Errorf("check %s: %w", db.path, err)
		}
		if len(found) > 0 {
			return fmt.Errorf("%s is damaged: %s", db.path, strings.Join(found, "; "))
		}
	}
	return nil
}

// pragma returns the complaints of a checking pragma.
func (db *DB) pragma(ctx context.Context, query string) ([]string, error) {
	rows, err := db.pool.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		if text := fmt.Sprint(values...); text != "ok" {
			out = append(out, text)
		}
	}
	return out, rows.Err()
}

// Replacing is two renames and no copy, so that a power cut leaves either database under a
// name that tells which it is, and never half of one under the name that the service opens.

// Replace puts the file at from in the place of the database at path, which must not be open:
// hold its lock. What was there is kept under the returned name, with its log; empty when
// nothing was there.
func Replace(path, from string, now time.Time) (kept string, err error) {
	aside := path + ".before-restore-" + now.UTC().Format("20060102T150405")
	// The log first: a database without its log has lost commits, a log without its database
	// is nothing. A crash in between leaves a name that says what it is.
	for _, suffix := range []string{"-wal", "-shm", ""} {
		err := os.Rename(path+suffix, aside+suffix)
		switch {
		case err == nil && suffix == "":
			kept = aside
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("keep the database that is there: %w", err)
		}
	}
	if err := os.Rename(from, path); err != nil {
		return kept, fmt.Errorf("put the backup in its place: %w", err)
	}
	syncFolder(filepath.Dir(path))
	return kept, nil
}

// syncFolder makes names in a folder durable, where the system can.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
