// Package databasetest gives tests a store on both engines. SQLite is a file in a temporary
// directory; PostgreSQL is a server of the test process's own, started when the first test asks
// for it, with one database for each test. Both start from a migrated template, so that a store
// costs milliseconds.
//
// A machine without PostgreSQL skips those subtests, unless CI is set: then they fail. TEST_ENGINES
// picks one engine; tests whose subject is not the store belong to SQLite.
package databasetest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
)

// Engine is one kind of store.
type Engine struct {
	// Name is "sqlite" or "postgres".
	Name string
	// Address returns the address of a new migrated store that goes away with the test.
	Address func(tb testing.TB) string
	// Empty returns the address of a new store without any table.
	Empty func(tb testing.TB) string
}

// Engines are the engines that the product supports, or those that TEST_ENGINES names
// ("sqlite", "postgres").
func Engines() []Engine {
	all := []Engine{
		{Name: "sqlite", Address: SQLiteFile, Empty: emptyFile},
		{Name: "postgres", Address: postgresDatabase, Empty: emptyDatabase},
	}
	wanted := strings.FieldsFunc(os.Getenv("TEST_ENGINES"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(wanted) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(e Engine) bool { return !slices.Contains(wanted, e.Name) })
}

// Run runs test once for each engine, as a subtest with a store of its own.
func Run(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for _, e := range Engines() {
		t.Run(e.Name, func(t *testing.T) { test(t, Open(t, e.Address(t), database.Options{})) })
	}
}

// Bench runs bench once for each engine, as a sub-benchmark with a store of its own.
func Bench(b *testing.B, bench func(b *testing.B, db *database.DB)) {
	b.Helper()
	for _, e := range Engines() {
		b.Run(e.Name, func(b *testing.B) { bench(b, Open(b, e.Address(b), database.Options{})) })
	}
}

// SQLite opens a new migrated SQLite store, for tests whose subject is not the store. Where
// TEST_ENGINES names only others they are skipped: whoever runs one engine after the other would
// run them twice.
func SQLite(tb testing.TB) *database.DB {
	tb.Helper()
	if !slices.ContainsFunc(Engines(), func(e Engine) bool { return e.Name == "sqlite" }) {
		tb.Skip("belongs to SQLite, which TEST_ENGINES does not name")
	}
	return Open(tb, SQLiteFile(tb), database.Options{})
}

// Open opens a store and closes it at the end of the test.
func Open(tb testing.TB, address string, opt database.Options) *database.DB {
	tb.Helper()
	db, err := database.Open(tb.Context(), address, opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close database: %v", err)
		}
	})
	return db
}

// migratedFile is a SQLite file that has just been migrated.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "databasetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "template.db")
	db, err := database.Open(context.Background(), "sqlite:"+name, database.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
})

// SQLiteFile returns the address of a new migrated SQLite store.
func SQLiteFile(tb testing.TB) string {
	tb.Helper()
	data, err := migratedFile()
	if err != nil {
		tb.Fatal(err)
	}
	name := filepath.Join(tb.TempDir(), "bridge.db")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return "sqlite:" + name
}

func emptyFile(tb testing.TB) string {
	tb.Helper()
	return "sqlite:" + filepath.Join(tb.TempDir(), "bridge.db")
}
