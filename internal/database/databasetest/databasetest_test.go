package databasetest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func names() []string {
	var all []string
	for _, e := range databasetest.Engines() {
		all = append(all, e.Name)
	}
	return all
}

func TestEngines_AreChosenByTheEnvironment(t *testing.T) {
	for value, want := range map[string][]string{
		"":                 {"sqlite", "postgres"},
		"sqlite":           {"sqlite"},
		"postgres":         {"postgres"},
		"postgres, sqlite": {"sqlite", "postgres"},
		"mysql":            nil,
	} {
		t.Setenv("TEST_ENGINES", value)
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("TEST_ENGINES=%q: %v, want %v", value, got, want)
		}
	}
}

func TestRun_GivesEachTestAStoreOfItsOwn(t *testing.T) {
	for range 2 {
		databasetest.Run(t, func(t *testing.T, db *database.DB) {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				var n int
				if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM subjects`).Scan(&n); err != nil || n != 0 {
					t.Errorf("%d subjects, %v", n, err)
				}
				_, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ('one', 1)`)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
