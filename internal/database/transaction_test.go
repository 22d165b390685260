package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func TestTx_AfterCommit(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		var calls []string
		db.Listen("topic", func() { calls = append(calls, "topic") })
		first := func() {
			if !has(t, db.Reader(), "x") {
				t.Error("called before the commit")
			}
			calls = append(calls, "first")
		}
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			tx.AfterCommit(first)
			tx.Notify("topic")
			tx.AfterCommit(func() { calls = append(calls, "second") })
			tx.Notify("topic")
			return put("x")(ctx, tx)
		})
		if got := strings.Join(calls, " "); err != nil || got != "first topic second" {
			t.Errorf("calls = %s, %v", got, err)
		}
		calls = nil
		err = db.InTx(t.Context(), func(_ context.Context, tx *database.Tx) error {
			tx.AfterCommit(func() { calls = append(calls, "never") })
			tx.Notify("topic")
			tx.Signal("topic")
			return errBoom
		})
		if got := strings.Join(calls, " "); !errors.Is(err, errBoom) || got != "topic" {
			t.Errorf("calls = %s, %v; want only the signal", got, err)
		}
	})
}

func TestTx_NowIsOneTime(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		before := time.Now().Truncate(time.Microsecond)
		err := db.InTx(t.Context(), func(_ context.Context, tx *database.Tx) error {
			now := tx.Now()
			if now.Before(before) || now.After(time.Now()) || now.Location() != time.UTC || !now.Equal(now.Truncate(time.Microsecond)) {
				t.Errorf("now = %v", now)
			}
			if !tx.Now().Equal(now) {
				t.Error("time goes on inside a transaction")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestTx_QueryThatWrites(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		returning := `INSERT INTO subjects (id, created_at) VALUES ($1, 1) RETURNING id`
		fail := func(id string) database.Func {
			return func(ctx context.Context, tx *database.Tx) error {
				var got string
				if err := tx.QueryRow(ctx, returning, id).Scan(&got); err != nil || got != id {
					t.Errorf("got %q, %v", got, err)
				}
				return errBoom
			}
		}
		with := func(ctx context.Context, tx *database.Tx) error {
			rows, err := tx.Query(ctx, `WITH new AS (SELECT 'with' AS id) INSERT INTO subjects (id, created_at) SELECT id, 1 FROM new WHERE id <> '' RETURNING id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return errors.Join(rows.Err(), errBoom)
		}
		for range 2 { // without and with savepoints
			for i, err := range together(t, db, fail("a"), with, put("kept"), fail("b")) {
				if (err == nil) != (i == 2) {
					t.Errorf("function %d: %v", i, err)
				}
			}
			if count(t, db) != 1 {
				t.Errorf("%d subjects, want only the one that was kept", count(t, db))
			}
			if err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM subjects`)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTx_StatementErrors(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		for _, fn := range []database.Func{
			func(ctx context.Context, tx *database.Tx) error { _, err := tx.Exec(ctx, `NONSENSE`); return err },
			func(ctx context.Context, tx *database.Tx) error {
				rows, err := tx.Query(ctx, `SELECT nothing FROM subjects`)
				if err != nil {
					return err
				}
				defer rows.Close()
				return rows.Err()
			},
			func(ctx context.Context, tx *database.Tx) error {
				var s string
				return tx.QueryRow(ctx, `SELECT "id" FROM nowhere`).Scan(&s)
			},
			func(ctx context.Context, tx *database.Tx) error {
				var s string
				return tx.QueryRow(ctx, `INSERT INTO subjects (id) VALUES ('no time') RETURNING id`).Scan(&s)
			},
		} {
			if err := db.InTx(t.Context(), fn); err == nil || errors.Is(err, sql.ErrNoRows) {
				t.Errorf("err = %v", err)
			}
		}
		if err := db.InTx(t.Context(), put("after")); err != nil {
			t.Error(err)
		}
	})
}

// More statement texts than are kept prepared.
func TestTx_ManyStatements(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		for i := range 600 {
			query := fmt.Sprintf(`SELECT %d + CAST($1 AS BIGINT)`, i)
			check := func(q database.Querier) {
				var got int
				if err := q.QueryRow(t.Context(), query, int64(1)).Scan(&got); err != nil || got != i+1 {
					t.Fatalf("%s = %d, %v", query, got, err)
				}
			}
			check(db.Reader())
			check(db.Reader())
			if err := db.InTx(t.Context(), func(_ context.Context, tx *database.Tx) error { check(tx); return nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTx_Lock(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		var inside, most atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
					if err := tx.Lock(ctx, 7); err != nil {
						return err
					}
					most.Store(max(most.Load(), inside.Add(1)))
					runtime.Gosched()
					inside.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 {
			t.Errorf("%d at once", most.Load())
		}
	})
}

func TestReader_RefusesChanges(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if _, err := db.Reader().Exec(t.Context(), `DELETE FROM subjects`); !errors.Is(err, database.ErrReadOnly) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestReader_ConcurrentUse(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := db.InTx(t.Context(), put("x")); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := range 40 {
					var id string
					query := fmt.Sprintf(`SELECT id FROM subjects WHERE created_at > %d`, (w*40+i)%300) // more texts than are kept
					if err := db.Reader().QueryRow(t.Context(), query).Scan(&id); err != nil || id != "x" {
						t.Errorf("%q, %v", id, err)
					}
				}
			})
		}
		wg.Wait()
	})
}
