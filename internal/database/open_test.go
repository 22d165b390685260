package database_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func TestOpen_MigratesAndSaysSo(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			core, logs := observer.New(zapcore.InfoLevel)
			address := e.Empty(t)
			for range 2 {
				db := databasetest.Open(t, address, database.Options{Logger: zap.New(core)})
				if err := db.Ping(t.Context()); err != nil {
					t.Error(err)
				}
				if count(t, db) != 0 {
					t.Error("a new store is not empty")
				}
			}
			if n := logs.FilterMessage("database migrated").Len(); n != 1 {
				t.Errorf("said %d times that it migrated, want once", n)
			}
		})
	}
}

func TestOpen_ManyAtOnceMigrateOnce(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Empty(t)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					db, err := database.Open(t.Context(), address, database.Options{})
					if err != nil {
						t.Error(err)
						return
					}
					if err := db.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestOpen_RefusesANewerSchema(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			setVersion(t, address, `INSERT INTO schema_version (version_id, is_applied) VALUES (99, TRUE)`)
			for _, readOnly := range []bool{false, true} {
				_, err := database.Open(t.Context(), address, database.Options{ReadOnly: readOnly})
				if !errors.Is(err, database.ErrNewerSchema) || !strings.Contains(err.Error(), "99") {
					t.Errorf("read-only %v: err = %v", readOnly, err)
				}
			}
		})
	}
}

func TestOpen_ReadOnlyNeedsAMigratedStore(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			setVersion(t, address, `DELETE FROM schema_version WHERE version_id > 0`)
			if _, err := database.Open(t.Context(), address, database.Options{ReadOnly: true}); !errors.Is(err, database.ErrOlderSchema) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// A store in which nothing was kept yet is not old, and one that does not answer is neither:
// each needs something else of whoever reads the message.
func TestOpen_ReadOnlyTellsEmptyFromAway(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			empty, away := "sqlite:"+filepath.Join(t.TempDir(), "empty.db"), "sqlite:"+filepath.Join(t.TempDir(), "noise.db")
			if e.Name == "postgres" {
				empty, away = e.Empty(t), "postgres://bridge@127.0.0.1:1/bridge"
			} else {
				for address, text := range map[string]string{empty: "", away: strings.Repeat("noise", 100)} {
					if err := os.WriteFile(strings.TrimPrefix(address, "sqlite:"), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, err := database.Open(t.Context(), empty, database.Options{ReadOnly: true})
			if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, database.ErrOlderSchema) || !strings.Contains(err.Error(), "nothing is in it yet") {
				t.Errorf("empty: err = %v", err)
			}
			_, err = database.Open(t.Context(), away, database.Options{ReadOnly: true})
			if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, database.ErrOlderSchema) {
				t.Errorf("away: err = %v", err)
			}
		})
	}
}

// setVersion changes what the store says about its schema.
func setVersion(t *testing.T, address, query string) {
	t.Helper()
	db := databasetest.Open(t, address, database.Options{})
	err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query)
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_ReadOnly(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			db := databasetest.Open(t, address, database.Options{})
			ro := databasetest.Open(t, address, database.Options{ReadOnly: true})
			if err := db.InTx(t.Context(), put("x")); err != nil {
				t.Fatal(err)
			}
			if !has(t, ro.Reader(), "x") {
				t.Error("a read-only store does not see the change of another process")
			}
			if err := ro.InTx(t.Context(), put("y")); !errors.Is(err, database.ErrReadOnly) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// Who may not read, or meets nobody, is not sent to migrate.
func TestOpen_ReadOnlyIsNotLetIn(t *testing.T) {
	folder := t.TempDir() // which no user can open as a file
	for _, address := range []string{"sqlite:" + folder, "postgres://bridge@127.0.0.1:1/bridge?connect_timeout=1"} {
		_, err := database.Open(t.Context(), address, database.Options{ReadOnly: true})
		if err == nil || errors.Is(err, database.ErrOlderSchema) || !strings.Contains(err.Error(), address) {
			t.Errorf("Open(%q) = %v", address, err)
		}
	}
}

func TestOpen_ReadOnlyDoesNotCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none.db")
	if _, err := database.Open(t.Context(), "sqlite:"+name, database.Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat = %v", err)
	}
}

func TestOpen_FileIsPrivate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dir with ? and # and %41.db")
	db := databasetest.Open(t, "sqlite:"+name, database.Options{})
	if err := db.InTx(t.Context(), put("x")); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{name, name + "-wal", name + "-shm"} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(file), info, err)
		}
	}
}

func TestOpen_Refuses(t *testing.T) {
	for address, want := range map[string]string{
		"":                       "an address starts with",
		"mysql://root@localhost": "an address starts with",
		"sqlite:":                "sqlite needs the path of a file",
		"sqlite::memory:":        "sqlite needs the path of a file",
		"sqlite:" + filepath.Join(t.TempDir(), "no", "dir.db"):                            "no such file",
		"postgres://bridge:hunter2@127.0.0.1:1/bridge?connect_timeout=1":                  "127.0.0.1",
		"postgres://bridge@127.0.0.1:1/bridge?password=hunter2&connect_timeout=1":         "127.0.0.1",
		"postgres://bridge:hunter2@127.0.0.1:port/bridge":                                 "not a valid PostgreSQL URL",
		"postgres://bridge:hunter2@[::1/bridge?sslmode=nonsense":                          "not a valid PostgreSQL URL",
		"postgresql://bridge:hunter2@127.0.0.1:1/bridge?sslmode=nonsense":                 "not a valid PostgreSQL URL",
		"postgres://bridge:%hunter2@127.0.0.1/bridge":                                     "not a valid PostgreSQL URL",
		"postgres:host=127.0.0.1 port=1 user=bridge password=hunter2 connect_timeout=one": "not a valid PostgreSQL URL",
	} {
		db, err := database.Open(t.Context(), address, database.Options{})
		if err == nil {
			t.Errorf("Open(%q) opened %v", address, db)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want %q in it", address, err, want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) tells the password: %v", address, err)
		}
	}
}

func TestLock_OneHolderOnSQLite(t *testing.T) {
	address := databasetest.SQLiteFile(t)
	one := databasetest.Open(t, address, database.Options{})
	two := databasetest.Open(t, address, database.Options{})
	held, release, err := one.Lock()
	if !held || err != nil {
		t.Fatalf("first: %v, %v", held, err)
	}
	again, releaseAgain, err := two.Lock()
	if again || err != nil {
		t.Errorf("second: %v, %v", again, err)
	}
	releaseAgain()
	if err := two.InTx(t.Context(), put("x")); err != nil {
		t.Errorf("without the lock rows can be written: %v", err)
	}
	release()
	held, release, err = two.Lock()
	if !held || err != nil {
		t.Errorf("after release: %v, %v", held, err)
	}
	release()
}

func TestLock_EveryoneHoldsOnPostgres(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if db.Dialect().Name() != "postgres" {
			return
		}
		for range 2 {
			held, release, err := db.Lock()
			if !held || err != nil {
				t.Errorf("%v, %v", held, err)
			}
			release()
		}
	})
}

func TestMetrics(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			reg := prometheus.NewPedanticRegistry()
			db := databasetest.Open(t, e.Address(t), database.Options{Registerer: reg})
			_ = db.InTx(t.Context(), put("x"))
			_ = db.InTx(t.Context(), put("x")) // a violated constraint is not an error of the engine
			_ = db.InTx(t.Context(), func(context.Context, *database.Tx) error { return errBoom })
			if got := storeErrors(t, reg); len(got) != 3 || got["read"]+got["transaction"]+got["commit"] != 0 {
				t.Errorf("errors = %v, want every op at 0", got)
			}
			if at, err := db.LastFault(); !at.IsZero() || err != nil {
				t.Errorf("before any fault: %v, %v", at, err)
			}
			_ = db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error { _, err := tx.Exec(ctx, `NONSENSE`); return err })
			if at, err := db.LastFault(); time.Since(at) > time.Minute || err == nil {
				t.Errorf("after one: %v, %v", at, err)
			}
			if rows, err := db.Reader().Query(t.Context(), `NONSENSE`); err == nil {
				defer rows.Close()
				t.Error(rows.Err())
			}
			var n int
			_ = db.Reader().QueryRow(t.Context(), `NONSENSE`).Scan(&n)
			if got := storeErrors(t, reg); got["transaction"] != 1 || got["read"] != 2 {
				t.Errorf("errors = %v", got)
			}
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) != 0 {
				t.Errorf("lint: %v, %v", problems, err)
			}
		})
	}
}

func storeErrors(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "scim_bridge_store_errors_total" {
		t.Fatalf("families = %v, %v", families, err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	return got
}

func TestClose_Twice(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if err := errors.Join(db.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Root makes the first credential, and the service, which is not root, can use what was made.
func TestOpen_BelongsToTheOwnerOfTheFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const service = 65532
	dir := t.TempDir()
	if err := os.Chown(dir, service, service); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bridge.db")
	db := databasetest.Open(t, "sqlite:"+path, database.Options{})
	_, release, err := db.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != service {
			t.Errorf("%s belongs to %+v, not to the owner of its folder", name, info.Sys())
		}
	}
}
