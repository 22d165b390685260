package databasetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/matomo-scim/bridge/internal/database"
)

// server is a PostgreSQL of this test process. It lives in a directory of its own, listens on a
// socket there, and does not flush: the machine may lose it, the tests do not care.
type server struct {
	dir   string
	admin *sql.DB
	next  atomic.Int64
}

// errNoPostgres means that this machine has no PostgreSQL to start.
var errNoPostgres = errors.New("initdb not found in PATH or under /usr/lib/postgresql")

// shared starts the server once. It ends with the process: see script.
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
		return "", errNoPostgres
	}
	return best, nil
}

// script runs the server for as long as its standard input is open. The test process holds the
// other end, so the server goes and takes its directory with it however the process ends.
// $1 is the directory of the binaries, $2 ours. The locale is one whose order is not that of the
// bytes, to show where COLLATE "C" is missing.
const script = `
"$1/initdb" -D "$2/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US >"$2/initdb.log" 2>&1 ||
{ rm -rf "$2/data"; "$1/initdb" -D "$2/data" -U postgres -A trust --no-sync -E UTF8 --locale=C >"$2/initdb.log" 2>&1; } || exit 1
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync="${3:-off}" -c full_page_writes=off \
	-c max_connections=200 -c shared_buffers=64MB -c autovacuum=off >"$2/server.log" 2>&1 &
cat >/dev/null
kill -QUIT $!
wait $!
rm -rf "$2"
`

// start starts a server and migrates its template. DATABASETEST_FSYNC=on makes it flush, for
// measurements.
func start(ctx context.Context, bin string) (*server, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	// Not CommandContext: the server outlives the test that started it.
	cmd := exec.Command("/bin/sh", "-c", script, "sh", bin, dir, os.Getenv("DATABASETEST_FSYNC")) //nolint:noctx,gosec // see above; the script is ours
	cmd.Dir = dir
	if err := asOwner(cmd, dir); err != nil {
		return nil, err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s := &server{dir: dir}
	if s.admin, err = sql.Open("pgx", s.address("postgres")); err != nil {
		return nil, err
	}
	if err := s.await(ctx, exited); err != nil {
		return nil, err
	}
	return s, s.template(ctx)
}

// asOwner makes cmd run as a user that PostgreSQL accepts, who owns dir: initdb refuses root.
func asOwner(cmd *exec.Cmd, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return os.Chown(dir, int(uid), int(gid))
}

// await returns when the server answers.
func (s *server) await(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.admin.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			return fmt.Errorf("start PostgreSQL: %s", s.logs())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.logs())
		}
	}
}

// logs is what initdb and the server wrote.
func (s *server) logs() []byte {
	first, _ := os.ReadFile(filepath.Join(s.dir, "initdb.log"))
	second, _ := os.ReadFile(filepath.Join(s.dir, "server.log"))
	return bytes.Join([][]byte{first, second}, []byte("\n"))
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
	return "postgres:///" + name + "?user=postgres&host=" + url.QueryEscape(s.dir)
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
	switch {
	case errors.Is(err, errNoPostgres) && os.Getenv("CI") == "":
		tb.Skipf("SKIP: %v (set CI to make this a failure)", err)
	case err != nil:
		tb.Fatal(err)
	}
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
