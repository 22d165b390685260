package database

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// pool is an empty SQLite file.
func pool(t *testing.T) *sql.DB {
	t.Helper()
	p, err := sql.Open("sqlite", dsn(filepath.Join(t.TempDir(), "x.db"), false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestStatements_AreForgottenButNotWhileInUse(t *testing.T) {
	p, s := pool(t), &statements{texts: make(map[string]*statement)}
	held := s.acquire(t.Context(), p, "SELECT 'held'")
	if again := s.acquire(t.Context(), p, "SELECT 'held'"); again != held {
		t.Error("prepared twice")
	}
	s.release(held)
	for i := range 3 * maxStatements {
		st := s.acquire(t.Context(), p, fmt.Sprint("SELECT ", i))
		if st == nil {
			t.Fatal("not prepared")
		}
		s.release(st)
		if len(s.texts) > maxStatements {
			t.Fatalf("%d are kept", len(s.texts))
		}
	}
	if !held.forgotten {
		t.Error("the first one is still known after many others")
	}
	var got string
	if err := held.QueryRowContext(t.Context()).Scan(&got); err != nil || got != "held" {
		t.Errorf("a statement in use: %q, %v", got, err)
	}
	s.release(held)
	if err := held.QueryRowContext(t.Context()).Scan(&got); err == nil {
		t.Error("it is still open after its last user")
	}
}

func TestStatements_TwoWhoPrepareTheSame(t *testing.T) {
	p, s := pool(t), &statements{texts: make(map[string]*statement)}
	first, err := p.PrepareContext(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.PrepareContext(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	a, b := s.add("SELECT 1", first), s.add("SELECT 1", second)
	if a != b || a.uses != 2 {
		t.Errorf("%d uses of the first, and another one: %v", a.uses, a != b)
	}
	var n int
	if err := second.QueryRowContext(t.Context()).Scan(&n); err == nil {
		t.Error("the second one was not closed")
	}
	if err := b.QueryRowContext(t.Context()).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestStatements_BrokenTextIsNotKept(t *testing.T) {
	p, s := pool(t), &statements{texts: make(map[string]*statement)}
	if st := s.acquire(t.Context(), p, "NONSENSE"); st != nil || len(s.texts) != 0 {
		t.Errorf("kept %v", st)
	}
	var none *statements
	if st := none.acquire(t.Context(), p, "SELECT 1"); st != nil {
		t.Error("PostgreSQL needs no cache of ours")
	}
}

func TestDSN(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		got := dsn("/var/lib/a b?c#d%e.db", readOnly)
		if !strings.HasPrefix(got, "file:/var/lib/a%20b%3Fc%23d%25e.db?") {
			t.Errorf("dsn = %s", got)
		}
		_, query, _ := strings.Cut(got, "?")
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if ro := q.Get("mode") == "ro" && q.Get("_query_only") == "1"; ro != readOnly {
			t.Errorf("read-only %v: %s", readOnly, got)
		}
		if wal := q.Get("_journal_mode") == "WAL"; wal == readOnly {
			t.Errorf("read-only %v: %s", readOnly, got)
		}
		if !strings.Contains(got, url.QueryEscape("synchronous(FULL)")) || q.Get("_txlock") != "immediate" {
			t.Errorf("dsn = %s", got)
		}
	}
}

func TestRedact(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://bridge:hunter2@db.example.com/bridge":               "postgres://bridge:xxxxx@db.example.com/bridge",
		"postgres://bridge@db.example.com/bridge":                       "postgres://bridge@db.example.com/bridge",
		"postgres://db/bridge?password=hunter2&user=a":                  "postgres://db/bridge?password=xxxxx&user=a",
		"postgres://db/bridge?sslpassword=hunter2":                      "postgres://db/bridge?sslpassword=xxxxx",
		"postgres://bridge:hun@ter2@db/bridge":                          "postgres://bridge:xxxxx@db/bridge",
		"postgres:host=db password=hunter2":                             "postgres:…",
		"postgres://bridge:%hunter2@db/bridge":                          "postgres:…",
		"postgres://bridge:hunter2@db:port/bridge":                      "postgres:…",
		"mysql://root:hunter2@db/bridge":                                "mysql://root:xxxxx@db/bridge",
		"postgres:///bridge?user=postgres&host=%2Fvar%2Frun%2Fpostgres": "postgres:///bridge?user=postgres&host=%2Fvar%2Frun%2Fpostgres",
	} {
		if got := redact(address); got != want {
			t.Errorf("redact(%s) = %s, want %s", address, got, want)
		}
	}
}

func TestConstraintName(t *testing.T) {
	for list, want := range map[string]string{
		"users.id":                                 "users_id",
		"users.source, users.user_name_key":        "users_source_user_name_key",
		"bindings.target, bindings.login_key":      "bindings_target_login_key",
		"user_values.user_id, user_values.attr":    "user_values_user_id_attr",
		"holds.id, holds.binding_id, holds.target": "holds_id_binding_id_target",
	} {
		if got := constraintName(list); got != want {
			t.Errorf("constraintName(%s) = %s, want %s", list, got, want)
		}
	}
}
