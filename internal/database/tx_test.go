package database_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

var errBoom = errors.New("boom")

// put writes one subject.
func put(id string) database.Func {
	return func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, $2)`, id, database.Micros(tx.Now()))
		return err
	}
}

// has says whether a subject is there.
func has(t testing.TB, q database.Querier, id string) bool {
	t.Helper()
	var n int
	if err := q.QueryRow(t.Context(), `SELECT COUNT(*) FROM subjects WHERE id = $1`, id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func count(t testing.TB, db *database.DB) int {
	t.Helper()
	var n int
	if err := db.Reader().QueryRow(t.Context(), `SELECT COUNT(*) FROM subjects`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// together runs functions so that on SQLite they share one group: the first one holds the writer
// until all others are queued.
func together(t *testing.T, db *database.DB, fns ...database.Func) []error {
	t.Helper()
	started, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := make(chan error, 1)
	go func() {
		first <- db.InTx(t.Context(), func(context.Context, *database.Tx) error {
			once.Do(func() { close(started) })
			<-release
			return nil
		})
	}()
	<-started
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	var queued atomic.Int32
	for i, fn := range fns {
		wg.Go(func() {
			queued.Add(1)
			errs[i] = db.InTx(t.Context(), fn)
		})
	}
	for int(queued.Load()) < len(fns) {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if err := <-first; err != nil {
		t.Error(err)
	}
	return errs
}

// I8: once InTx has returned nil, everybody sees the change, and a store that is opened anew has it.
func TestI8_InTxReturnsAfterTheChangeIsDurable(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			db := databasetest.Open(t, address, database.Options{})
			other := databasetest.Open(t, address, database.Options{})
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range 20 {
						id := fmt.Sprint("subject-", w, "-", i)
						if err := db.InTx(t.Context(), put(id)); err != nil {
							t.Error(err)
							return
						}
						if !has(t, other.Reader(), id) {
							t.Errorf("%s is not there for another process", id)
						}
					}
				})
			}
			wg.Wait()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			again := databasetest.Open(t, address, database.Options{})
			if n := count(t, again); n != 160 {
				t.Errorf("%d subjects after opening again, want 160", n)
			}
		})
	}
}

// The settings that I8 rests on.
func TestI8_EngineSettings(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		settings := map[string]string{"SHOW synchronous_commit": "on", "SHOW transaction_isolation": "read committed"}
		if db.Dialect().Name() == "sqlite" {
			settings = map[string]string{"PRAGMA synchronous": "2", "PRAGMA journal_mode": "wal", "PRAGMA foreign_keys": "1"}
		}
		for query, want := range settings {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				var got string
				if err := tx.QueryRow(ctx, query).Scan(&got); err != nil || got != want {
					t.Errorf("%s = %q, %v; want %q", query, got, err, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestInTx_AFailureTakesNothingOfItsGroup(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		// Twice: a group without savepoints, and one with, as a group has after a failure.
		for round := range 2 {
			var fns []database.Func
			for i := range 40 {
				fn := put(fmt.Sprint("round", round, "-", i))
				if i%4 == 1 {
					inner := fn
					fn = func(ctx context.Context, tx *database.Tx) error {
						if err := inner(ctx, tx); err != nil {
							return err
						}
						return errBoom
					}
				}
				fns = append(fns, fn)
			}
			for i, err := range together(t, db, fns...) {
				failed := i%4 == 1
				if errors.Is(err, errBoom) != failed || (err != nil) != failed {
					t.Errorf("function %d: %v", i, err)
				}
				if has(t, db.Reader(), fmt.Sprint("round", round, "-", i)) == failed {
					t.Errorf("function %d: kept = %v", i, failed)
				}
			}
		}
	})
}

func TestInTx_AViolatedConstraintTakesNothingOfItsGroup(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := db.InTx(t.Context(), put("taken")); err != nil {
			t.Fatal(err)
		}
		errs := together(t, db, put("a"), func(ctx context.Context, tx *database.Tx) error {
			if err := put("before")(ctx, tx); err != nil {
				return err
			}
			return put("taken")(ctx, tx)
		}, put("b"))
		if name, ok := db.Dialect().IsUnique(errs[1]); !ok || name != "subjects_id" {
			t.Errorf("err = %v, constraint %q", errs[1], name)
		}
		if errs[0] != nil || errs[2] != nil || count(t, db) != 3 || has(t, db.Reader(), "before") {
			t.Errorf("errs = %v, %d subjects", errs, count(t, db))
		}
	})
}

func TestInTx_PanicIsAnError(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		errs := together(t, db, put("a"), func(ctx context.Context, tx *database.Tx) error {
			if err := put("panics")(ctx, tx); err != nil {
				return err
			}
			panic("out of " + "luck")
		}, put("b"))
		var p *database.PanicError
		if !errors.As(errs[1], &p) || p.Value != "out of luck" || !strings.Contains(string(p.Stack), "tx_test.go") ||
			!strings.Contains(p.Error(), "out of luck") {
			t.Errorf("err = %v", errs[1])
		}
		if errs[0] != nil || errs[2] != nil || count(t, db) != 2 {
			t.Errorf("errs = %v, %d subjects", errs, count(t, db))
		}
	})
}

// t.Fatal inside a function ends its goroutine; on SQLite that is the writer's.
func TestInTx_SurvivesTheEndOfItsGoroutine(t *testing.T) {
	db := databasetest.SQLite(t)
	errs := together(t, db, put("a"), func(ctx context.Context, tx *database.Tx) error {
		_ = put("exits")(ctx, tx)
		runtime.Goexit()
		return nil
	}, put("b"))
	var p *database.PanicError
	if !errors.As(errs[1], &p) || !strings.Contains(p.Error(), "ended its goroutine") {
		t.Errorf("err = %v", errs[1])
	}
	if errs[0] != nil || errs[2] != nil || count(t, db) != 2 {
		t.Errorf("errs = %v, %d subjects", errs, count(t, db))
	}
	if err := db.InTx(t.Context(), put("c")); err != nil {
		t.Error(err)
	}
}

func TestInTx_ContextThatEndsInTheQueue(t *testing.T) {
	db := databasetest.SQLite(t)
	started, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- db.InTx(t.Context(), func(context.Context, *database.Tx) error {
			close(started)
			<-release
			return nil
		})
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.InTx(ctx, put("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := db.InTx(t.Context(), put("next")); err != nil || count(t, db) != 1 {
		t.Errorf("err = %v, %d subjects: the cancelled function ran", err, count(t, db))
	}
}

// A function that has begun is finished: its answer says what happened.
func TestInTx_ContextThatEndsWhileItRuns(t *testing.T) {
	db := databasetest.SQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		cancel()
		if ctx.Err() != nil {
			t.Error("the function's context has ended")
		}
		return put("kept")(ctx, tx)
	})
	if err != nil || !has(t, db.Reader(), "kept") {
		t.Errorf("err = %v", err)
	}
}

// However the end of a context and the writer meet, the caller gets an answer, and a true one.
func TestInTx_ContextsThatEndAtAnyMoment(t *testing.T) {
	db := databasetest.SQLite(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				id := fmt.Sprint(w, "-", i)
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					for range i % 50 {
						runtime.Gosched()
					}
					cancel()
				}()
				err := db.InTx(ctx, put(id))
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if kept := has(t, db.Reader(), id); kept != (err == nil) {
					t.Errorf("%s: kept %v, answer %v", id, kept, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

func TestInTx_ContextThatHasEnded(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.InTx(ctx, put("never")); !errors.Is(err, context.Canceled) || count(t, db) != 0 {
			t.Errorf("err = %v, %d subjects", err, count(t, db))
		}
	})
}

func TestInTx_Nested(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		err := db.InTx(t.Context(), func(ctx context.Context, _ *database.Tx) error { return db.InTx(ctx, put("x")) })
		if !errors.Is(err, database.ErrNested) || count(t, db) != 0 {
			t.Errorf("err = %v", err)
		}
	})
}

func TestInTx_AfterClose(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.InTx(t.Context(), put("x")); err == nil {
			t.Error("a closed store takes changes")
		}
	})
}

func TestClose_FinishesWhatIsQueued(t *testing.T) {
	for range 20 {
		address := databasetest.SQLiteFile(t)
		db := databasetest.Open(t, address, database.Options{})
		var wg sync.WaitGroup
		var kept atomic.Int32
		for i := range 30 {
			wg.Go(func() {
				err := db.InTx(context.Background(), put(fmt.Sprint(i)))
				switch {
				case err == nil:
					kept.Add(1)
				case !errors.Is(err, database.ErrClosed):
					t.Error(err)
				}
			})
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if n := count(t, databasetest.Open(t, address, database.Options{})); n != int(kept.Load()) {
			t.Fatalf("%d were answered, %d are there", kept.Load(), n)
		}
	}
}

func TestInTx_RetriesDeadlocks(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := errors.Join(db.InTx(t.Context(), put("a")), db.InTx(t.Context(), put("b"))); err != nil {
			t.Fatal(err)
		}
		var runs atomic.Int32
		var met sync.WaitGroup // each has its first row before the other asks for it
		met.Add(2)
		touch := func(first, second string) database.Func {
			meet := sync.OnceFunc(func() { met.Done(); met.Wait() }) // the first time only
			return func(ctx context.Context, tx *database.Tx) error {
				runs.Add(1)
				for _, id := range []string{first, second} {
					if _, err := tx.Exec(ctx, `UPDATE subjects SET created_at = created_at + 1 WHERE id = $1`, id); err != nil {
						return err
					}
					if db.Dialect().Name() == "postgres" { // SQLite runs one after the other
						meet()
					}
				}
				return nil
			}
		}
		errs := make(chan error, 2)
		go func() { errs <- db.InTx(t.Context(), touch("a", "b")) }()
		go func() { errs <- db.InTx(t.Context(), touch("b", "a")) }()
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Fatal(err)
		}
		if n := runs.Load(); db.Dialect().Name() == "postgres" && n < 3 {
			t.Errorf("%d runs: there was no deadlock to repeat", n)
		}
	})
}

func TestInTx_RunsAgainWhenAsked(t *testing.T) {
	for _, e := range databasetest.Engines() {
		if e.Name != "postgres" {
			continue // SQLite has no concurrent change to meet
		}
		t.Run(e.Name, func(t *testing.T) {
			db := databasetest.Open(t, e.Address(t), database.Options{})
			runs := 0
			err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				if runs++; runs < 3 {
					return fmt.Errorf("bind: %w", database.ErrAgain)
				}
				return put("x")(ctx, tx)
			})
			if err != nil || runs != 3 || count(t, db) != 1 {
				t.Errorf("%d runs, %v", runs, err)
			}
			runs = 0
			err = db.InTx(t.Context(), func(context.Context, *database.Tx) error { runs++; return database.ErrAgain })
			if !errors.Is(err, database.ErrAgain) || runs != 10 {
				t.Errorf("%d runs, %v", runs, err)
			}
		})
	}
}
