package database_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// How a function of a random group ends.
const (
	succeeds = iota
	failsUnwritten
	failsAfterWrites
	violates
	panics
	endings
)

// ending is a function that writes two rows and ends in its way.
func ending(kind int, id string) database.Func {
	return func(ctx context.Context, tx *database.Tx) error {
		if kind == failsUnwritten {
			return errBoom
		}
		for _, row := range []string{id + "/1", id + "/2"} {
			if err := put(row)(ctx, tx); err != nil {
				return err
			}
		}
		switch kind {
		case failsAfterWrites:
			return errBoom
		case violates:
			return put(id+"/1")(ctx, tx)
		case panics:
			panic(errBoom)
		}
		return nil
	}
}

// Whatever a group is made of, exactly the rows of the functions that were answered with nil are
// kept, and every other function gets an error of its own making.
func TestInTx_AnyGroupKeepsWhatSucceeded(t *testing.T) {
	db := databasetest.SQLite(t)
	var want []string
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, endings-1), 1, 40).Draw(rt, "kinds")
		round++
		errs := make([]error, len(kinds))
		var wg sync.WaitGroup
		for i, kind := range kinds {
			wg.Go(func() { errs[i] = db.InTx(t.Context(), ending(kind, fmt.Sprint(round, "-", i))) })
		}
		wg.Wait()
		for i, kind := range kinds {
			_, unique := db.Dialect().IsUnique(errs[i])
			var p *database.PanicError
			ok := map[int]bool{
				succeeds: errs[i] == nil, failsUnwritten: errors.Is(errs[i], errBoom), failsAfterWrites: errors.Is(errs[i], errBoom),
				violates: unique, panics: errors.As(errs[i], &p),
			}[kind]
			if !ok {
				rt.Errorf("function %d of kind %d: %v", i, kind, errs[i])
			}
			if kind == succeeds {
				want = append(want, fmt.Sprint(round, "-", i, "/1"), fmt.Sprint(round, "-", i, "/2"))
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, strs(t, db.Reader(), `SELECT id FROM subjects ORDER BY id`)); diff != "" {
			rt.Fatalf("rows (-want +got):\n%s", diff)
		}
	})
}

// More waiting functions than fit into one group.
func TestInTx_ManyWaiters(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		const n = 1000
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := db.InTx(t.Context(), put(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := count(t, db); got != n {
			t.Errorf("%d rows, want %d", got, n)
		}
	})
}

// A caller that adds to a counter in a transaction loses no update, on either engine, as long as it
// locks the row that it reads and writes again.
func TestInTx_NoLostUpdates(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ('counter', 0)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		add := func(ctx context.Context, tx *database.Tx) error {
			var n int64
			err := tx.QueryRow(ctx, `SELECT created_at FROM subjects WHERE id = 'counter'`+db.Dialect().ForUpdate()).Scan(&n)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `UPDATE subjects SET created_at = $1 WHERE id = 'counter'`, n+1)
			return err
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 25 {
					if err := db.InTx(t.Context(), add); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := strs(t, db.Reader(), `SELECT CAST(created_at AS TEXT) FROM subjects`); got[0] != "200" {
			t.Errorf("counter = %s, want 200", got[0])
		}
	})
}

// Two processes on one SQLite file wait for each other instead of failing.
func TestInTx_TwoProcessesOnOneFile(t *testing.T) {
	address := databasetest.SQLiteFile(t)
	one := databasetest.Open(t, address, database.Options{})
	two := databasetest.Open(t, address, database.Options{})
	var wg sync.WaitGroup
	for i, db := range []*database.DB{one, two} {
		for w := range 4 {
			wg.Go(func() {
				for n := range 25 {
					if err := db.InTx(t.Context(), put(fmt.Sprint(i, w, "-", n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if got := count(t, one); got != 200 {
		t.Errorf("%d rows, want 200", got)
	}
}

// A row that another transaction holds is passed over, not waited for.
func TestDialect_SkipLocked(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := errors.Join(db.InTx(t.Context(), put("a")), db.InTx(t.Context(), put("b"))); err != nil {
			t.Fatal(err)
		}
		first := func(ctx context.Context, tx *database.Tx) (id string, err error) {
			query := `SELECT id FROM subjects ORDER BY id LIMIT 1` + db.Dialect().SkipLocked()
			return id, tx.QueryRow(ctx, query).Scan(&id)
		}
		if db.Dialect().Name() == "sqlite" {
			return // one writer: nobody else can hold a row
		}
		another := func(fn database.Func) error { return db.InTx(t.Context(), fn) }
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if id, err := first(ctx, tx); err != nil || id != "a" {
				t.Errorf("first = %s, %v", id, err)
			}
			return another(func(ctx context.Context, tx *database.Tx) error {
				id, err := first(ctx, tx)
				if err != nil || id != "b" {
					t.Errorf("second = %s, %v", id, err)
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A member's user cannot be deleted while the membership is written, and a change of the user does
// not wait for that.
func TestDialect_KeyShare(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := db.InTx(t.Context(), put("a")); err != nil {
			t.Fatal(err)
		}
		lock := func(suffix string) database.Func {
			return func(ctx context.Context, tx *database.Tx) error {
				var id string
				return tx.QueryRow(ctx, `SELECT id FROM subjects WHERE id = 'a'`+suffix).Scan(&id)
			}
		}
		d := db.Dialect()
		another := func(fn database.Func) error { return db.InTx(t.Context(), fn) }
		for _, suffix := range []string{d.ForKeyShare(), d.ForNoKeyUpdate(), d.ForUpdate()} {
			if err := db.InTx(t.Context(), lock(suffix)); err != nil {
				t.Errorf("%q: %v", suffix, err)
			}
		}
		if d.Name() == "sqlite" {
			return
		}
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := lock(d.ForKeyShare())(ctx, tx); err != nil {
				return err
			}
			return another(lock(d.ForNoKeyUpdate() + " NOWAIT"))
		})
		if err != nil {
			t.Errorf("a change of the user waits for the membership: %v", err)
		}
		err = db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := lock(d.ForKeyShare())(ctx, tx); err != nil {
				return err
			}
			return another(lock(d.ForUpdate() + " NOWAIT"))
		})
		if err == nil {
			t.Error("the user could be locked for deletion")
		}
	})
}
