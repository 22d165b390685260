package database_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// putTwins writes two rows in one transaction.
func putTwins(t *testing.T, db *database.DB, id string) {
	t.Helper()
	err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, 1), ($1 || '-twin', 1)`, id)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// countTwins returns rows and those of them without their twin.
func countTwins(t *testing.T, db *database.DB) (n, odd int) {
	t.Helper()
	err := db.Reader().QueryRow(t.Context(), `SELECT COUNT(*), SUM(CASE WHEN id NOT LIKE '%-twin'
		AND NOT EXISTS (SELECT 1 FROM subjects s WHERE s.id = subjects.id || '-twin') THEN 1 ELSE 0 END) FROM subjects`).Scan(&n, &odd)
	if err != nil {
		t.Fatal(err)
	}
	return n, odd
}

// A backup is one commit, whole, while others write; it is a database that opens, and only
// its owner can read it.
func TestBackup_WhileWriting(t *testing.T) {
	db := databasetest.SQLite(t)
	putTwins(t, db, "first")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				putTwins(t, db, database.NewID()) //nolint:contextcheck // ctx only ends the loop
			}
		})
	}
	dir := t.TempDir()
	for _, name := range []string{"a.db", "b.db", "c.db"} {
		path := filepath.Join(dir, name)
		if err := db.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", name, info.Mode(), err)
		}
		saved := databasetest.Open(t, "sqlite:"+path, database.Options{ReadOnly: true})
		if err := saved.CheckFile(t.Context()); err != nil {
			t.Error(err)
		}
		if n, odd := countTwins(t, saved); n < 2 || odd != 0 {
			t.Errorf("%s has %d rows, %d of them half a transaction", name, n, odd)
		}
	}
	cancel()
	wg.Wait()
	if since := time.Since(db.LastBackup()); since > time.Minute {
		t.Errorf("the last backup is said to be %s old", since)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.part")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestBackup_Refuses(t *testing.T) {
	db := databasetest.SQLite(t)
	path := filepath.Join(t.TempDir(), "b.db")
	if err := os.WriteFile(path, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "keep me" {
		t.Errorf("the file there is now %q, %v", data, err)
	}
	if err := db.Backup(t.Context(), filepath.Join(t.TempDir(), "no", "folder.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no folder: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := filepath.Join(t.TempDir(), "c.db")
	if err := db.Backup(ctx, gone); err == nil {
		t.Error("a backup that was called off succeeds")
	}
	if left, err := filepath.Glob(gone + "*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if !db.LastBackup().IsZero() {
		t.Error("a backup that failed counts")
	}
}

func TestBackup_PostgreSQLHasItsOwn(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if db.Dialect().Name() == "sqlite" {
			return
		}
		err := errors.Join(db.Backup(t.Context(), filepath.Join(t.TempDir(), "x")), db.CheckFile(t.Context()))
		if !errors.Is(err, database.ErrNoFile) || !strings.Contains(err.Error(), "pg_dump") || !db.LastBackup().IsZero() || db.Path() != "" {
			t.Errorf("error = %v", err)
		}
	})
}

// A page that was overwritten is found.
func TestCheckFile_Damage(t *testing.T) {
	db := databasetest.SQLite(t)
	for range 200 {
		putTwins(t, db, database.NewID())
	}
	path := filepath.Join(t.TempDir(), "b.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Index(string(data), "-twin")
	copy(data[id-600:], strings.Repeat("\xff", 400))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged, err := database.Open(t.Context(), "sqlite:"+path, database.Options{ReadOnly: true})
	if err != nil {
		return // not even opened
	}
	defer damaged.Close()
	if err := damaged.CheckFile(t.Context()); err == nil {
		t.Error("a damaged file is found whole")
	}
}

// What was there is kept, with its log; the backup is in its place.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("bridge.db")
	write("bridge.db-wal")
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	kept, err := database.Replace(path, write("copy"), now)
	if err != nil || kept != path+".before-restore-20261129T120000" {
		t.Fatalf("kept %q, %v", kept, err)
	}
	for name, want := range map[string]string{path: "copy", kept: "bridge.db", kept + "-wal": "bridge.db-wal"} {
		if data, err := os.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s holds %q, %v; want %q", name, data, err, want)
		}
	}
	if kept, err := database.Replace(filepath.Join(dir, "new.db"), write("again"), now); err != nil || kept != "" {
		t.Errorf("where nothing was: kept %q, %v", kept, err)
	}
	if _, err := database.Replace(path, filepath.Join(dir, "no such file"), now); err == nil {
		t.Error("a backup that is not there was put in place")
	}
}
