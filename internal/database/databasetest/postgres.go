package databasetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/testserver"
)

// server is a PostgreSQL of this test process. It lives in a directory of its own, listens on a
// socket there, and does not flush: the machine may lose it, the tests do not care.
type server struct {
	*testserver.Server
	admin *sql.DB
	next  atomic.Int64
}

// shared starts the server once. It ends with the process.
var shared = sync.OnceValues(func() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	return start(context.Background(), bin)
})

// binaries finds the newest directory that has initdb.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	best, version := "", 0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, path := range found {
		bin := filepath.Dir(path)
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(bin))); err == nil && v > version {
			best, version = bin, v
		}
	}
	if best == "" {
		return "", fmt.Errorf("%w: initdb is neither in PATH nor under /usr/lib/postgresql", testserver.ErrMissing)
	}
	return best, nil
}

// script installs and starts a server: $1 is its directory, $2 that of the binaries. The locale is
// one whose order is not that of the bytes, to show where COLLATE "C" is missing. A role called
// guarded needs a password.
const script = `
"$2/initdb" -D "$1/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US >"$1/initdb.log" 2>&1 ||
{ rm -rf "$1/data"; "$2/initdb" -D "$1/data" -U postgres -A trust --no-sync -E UTF8 --locale=C >"$1/initdb.log" 2>&1; } || exit 1
printf 'local all guarded scram-sha-256\nlocal all all trust\n' >"$1/data/pg_hba.conf"
"$2/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync="${3:-off}" -c full_page_writes=off \
	-c max_connections=200 -c shared_buffers=64MB -c autovacuum=off >"$1/server.log" 2>&1`

// start starts a server and migrates its template. DATABASETEST_FSYNC=on makes it flush, for
// measurements.
func start(ctx context.Context, bin string) (*server, error) {
	run, err := testserver.Start(script, "QUIT", []string{"postgres", "nobody"}, bin, os.Getenv("DATABASETEST_FSYNC"))
	if err != nil {
		return nil, err
	}
	s := &server{Server: run}
	if s.admin, err = sql.Open("pgx", s.address("postgres")); err != nil {
		return nil, err
	}
	if err := s.Await(ctx, s.admin.PingContext); err != nil {
		return nil, err
	}
	return s, s.template(ctx)
}

// template makes the database that tests get copies of.
func (s *server) template(ctx context.Context) error {
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE migrated"); err != nil {
		return err
	}
	db, err := database.Open(ctx, s.address("migrated"), database.Options{})
	if err != nil {
		return err
	}
	return db.Close()
}

func (s *server) address(name string) string {
	return "postgres:///" + name + "?user=postgres&host=" + url.QueryEscape(s.Dir)
}

// create makes a database from template and drops it at the end of the test.
func (s *server) create(tb testing.TB, template string) string {
	tb.Helper()
	name := "test" + strconv.FormatInt(s.next.Add(1), 10)
	if _, err := s.admin.ExecContext(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// The test's context has ended by now.
		if _, err := s.admin.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop test database: %v", err)
		}
	})
	return s.address(name)
}

// postgres returns the server, or ends the test where there cannot be one.
func postgres(tb testing.TB) *server {
	tb.Helper()
	s, err := shared()
	testserver.Need(tb, err)
	return s
}

func postgresDatabase(tb testing.TB) string {
	tb.Helper()
	return postgres(tb).create(tb, "migrated")
}

func emptyDatabase(tb testing.TB) string {
	tb.Helper()
	return postgres(tb).create(tb, "template1")
}
