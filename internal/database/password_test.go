package database_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// A password that changes under a running bridge, in the server first and then in the file: a new
// connection waits for the second half, and nothing fails.
func TestPostgres_PasswordChanges(t *testing.T) {
	for _, e := range databasetest.Engines() {
		if e.Name != "postgres" {
			continue
		}
		address := e.Address(t)
		admin := databasetest.Open(t, address, database.Options{})
		exec := func(text string) {
			t.Helper()
			if err := admin.InTx(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *database.Tx) error {
				_, err := tx.Exec(ctx, text)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		exec(`CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'one'`)
		t.Cleanup(func() { exec(`DROP ROLE guarded`) }) // roles belong to the server
		address = strings.Replace(address, "user=postgres", "user=guarded", 1)
		var old atomic.Int64 // how often the file still has the old password
		old.Store(1000)
		db := databasetest.Open(t, address, database.Options{Password: func() (string, error) {
			if old.Add(-1) >= 0 {
				return "one", nil
			}
			return "two", nil
		}})
		var n int
		count := func() error { return db.Reader().QueryRow(t.Context(), `SELECT COUNT(*) FROM subjects`).Scan(&n) }
		// The one connection that is open is in use meanwhile.
		if err := db.InTx(t.Context(), func(context.Context, *database.Tx) error {
			exec(`ALTER ROLE guarded PASSWORD 'two'`)
			old.Store(3)
			return count()
		}); err != nil {
			t.Errorf("a new connection after the change: %v", err)
		}
		if left := old.Load(); left != -1 {
			t.Errorf("the password was read %d times after the change, want 3 times in vain and once", 3-left)
		}

		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		if _, err := database.Open(ctx, address, database.Options{Password: func() (string, error) {
			if tries++; tries == 3 {
				cancel()
			}
			return "wrong", nil
		}}); err == nil || tries != 3 {
			t.Errorf("with a wrong password: %v after %d tries; want an error when nobody waits for it any more", err, tries)
		}
		gone := errors.New("the file is gone")
		if _, err := database.Open(t.Context(), address, database.Options{Password: func() (string, error) { return "", gone }}); !errors.Is(err, gone) {
			t.Errorf("without one: %v", err)
		}
	}
}
