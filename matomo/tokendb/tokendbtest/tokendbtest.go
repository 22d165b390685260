// Package tokendbtest gives tests a MariaDB with Matomo's table of tokens in it.
//
// The server is the test process's own: it is started when the first test asks for
// it, in a directory of its own, and goes with the process. A machine without
// MariaDB skips those tests, unless CI is set: then they fail.
package tokendbtest

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/matomo-scim/bridge/internal/testserver"
)

// Server is the MariaDB of this test process.
type Server struct {
	*testserver.Server
	addr  string
	admin *sql.DB
	next  atomic.Int64
}

var shared = sync.OnceValues(start)

// script installs and starts the server: $1 is its directory, $2 the server, $3 the
// installer, $4 the port.
const script = `
"$3" --no-defaults --datadir="$1/data" --auth-root-authentication-method=normal --skip-test-db >"$1/install.log" 2>&1 || exit 1
"$2" --no-defaults --datadir="$1/data" --socket="$1/sock" --port="$4" --bind-address=127.0.0.1 --pid-file="$1/pid" \
	--skip-log-bin --innodb-buffer-pool-size=16M --innodb-flush-log-at-trx-commit=0 --skip-name-resolve \
	--character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci >"$1/server.log" 2>&1`

// start installs and starts the server.
func start() (*Server, error) {
	daemon, installer := binary("mariadbd"), binary("mariadb-install-db")
	if daemon == "" || installer == "" {
		return nil, fmt.Errorf("%w: mariadbd and mariadb-install-db (apt-get install mariadb-server)", testserver.ErrMissing)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	run, err := testserver.Start(script, "KILL", []string{"mysql", "nobody"}, daemon, installer, strconv.Itoa(port))
	if err != nil {
		return nil, err
	}
	s := &Server{Server: run, addr: "127.0.0.1:" + strconv.Itoa(port)}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = "root", "unix", s.Socket()
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	s.admin = sql.OpenDB(connector)
	return s, s.Await(context.Background(), s.admin.PingContext)
}

// binary finds a program; Debian keeps the server out of the PATH of most users.
func binary(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/opt/homebrew/bin"} {
		if path := filepath.Join(dir, name); exec.Command(path, "--version").Run() == nil { //nolint:noctx,gosec // a fixed list
			return path
		}
	}
	return ""
}

// freePort finds a port that nobody listens on now.
func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(text)
	return port, errors.Join(err, l.Close())
}

// Start returns the server, or ends the test where there cannot be one.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := shared()
	testserver.Need(tb, err)
	return s
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "sock") }

// Address is where the server listens on TCP, without encryption.
func (s *Server) Address() string { return s.addr }

// Exec runs statements as the server's administrator.
func (s *Server) Exec(tb testing.TB, statements ...string) {
	tb.Helper()
	for _, q := range statements {
		if _, err := s.admin.ExecContext(context.Background(), q); err != nil {
			tb.Fatalf("%s: %v", q, err)
		}
	}
}

// Matomo is the database of one Matomo instance.
type Matomo struct {
	*Server
	Name   string // of the database
	Prefix string
	tb     testing.TB
}

// salt stands for [General] salt of config.ini.php.
const salt = "b7f3c3c0a8d5e1f2"

// secureOnly is the column that Matomo 5 added.
const secureOnly = "secure_only TINYINT(2) UNSIGNED NOT NULL DEFAULT '0',"

// Database makes a database with the tables of people and tokens as Matomo of a
// version ("4.16.1", "5.1.2") has them, in Matomo's default collation or another
// one. It is dropped at the end of the test.
func (s *Server) Database(tb testing.TB, version, prefix, collation string) *Matomo {
	tb.Helper()
	if collation == "" {
		collation = "utf8mb4_general_ci"
	}
	m := &Matomo{Server: s, Name: "matomo" + strconv.FormatInt(s.next.Add(1), 10), Prefix: prefix, tb: tb}
	s.Exec(tb, "CREATE DATABASE "+m.Name)
	tb.Cleanup(func() { s.Exec(tb, "DROP DATABASE "+m.Name) })
	column := ""
	if version[0] >= '5' {
		column = secureOnly
	}
	options := " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=" + collation
	s.Exec(tb,
		"CREATE TABLE "+m.table("user")+" (login VARCHAR(100) NOT NULL, email VARCHAR(100) NOT NULL, PRIMARY KEY (login))"+options,
		"CREATE TABLE "+m.table("user_token_auth")+` (
			idusertokenauth BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, login VARCHAR(100) NOT NULL,
			description VARCHAR(100) NOT NULL, password VARCHAR(191) NOT NULL, hash_algo VARCHAR(30) NOT NULL,
			system_token TINYINT(1) NOT NULL DEFAULT 0, last_used DATETIME NULL, date_created DATETIME NOT NULL,
			date_expired DATETIME NULL, `+column+`
			PRIMARY KEY (idusertokenauth), UNIQUE KEY uniq_password (password))`+options)
	return m
}

// table is the full name of one of Matomo's tables.
func (m *Matomo) table(name string) string { return "`" + m.Name + "`.`" + m.Prefix + name + "`" }

// Tokens is the full, quoted name of the table of tokens.
func (m *Matomo) Tokens() string { return m.table("user_token_auth") }

// User makes a database user with a password and the statements' rights, where
// %s stands for the user. It is dropped at the end of the test.
func (m *Matomo) User(password string, grants ...string) string {
	m.tb.Helper()
	name := "bridge" + strconv.FormatInt(m.next.Add(1), 10)
	m.Exec(m.tb, "CREATE USER "+name+" IDENTIFIED BY '"+password+"'")
	m.tb.Cleanup(func() { m.Exec(m.tb, "DROP USER IF EXISTS "+name) })
	for _, g := range grants {
		m.Exec(m.tb, fmt.Sprintf(g, name))
	}
	return name
}

// Mint adds a token as Matomo does and returns its secret. until is when it
// expires; empty for never.
func (m *Matomo) Mint(login, description, until string) string {
	m.tb.Helper()
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	secret := hex.EncodeToString(b[:])
	m.Keep(login, description, secret, until)
	return secret
}

// Keep adds a token whose secret is known.
func (m *Matomo) Keep(login, description, secret, until string) {
	m.tb.Helper()
	_, err := m.admin.ExecContext(context.Background(), "INSERT INTO "+m.Tokens()+ //nolint:gosec // the table's own quoted name
		" (login, description, password, hash_algo, date_created, date_expired) VALUES (?, ?, ?, 'sha512', UTC_TIMESTAMP(), NULLIF(?, ''))",
		login, description, hash(secret), until)
	if err != nil {
		m.tb.Fatal(err)
	}
}

// Alive reports whether Matomo would accept a token: the same look-up.
func (m *Matomo) Alive(secret string) bool {
	m.tb.Helper()
	var n int
	err := m.admin.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM "+m.Tokens()+
		" WHERE password = ? AND (date_expired IS NULL OR date_expired > UTC_TIMESTAMP())", hash(secret)).Scan(&n)
	if err != nil {
		m.tb.Fatal(err)
	}
	return n > 0
}

// Rows is how many tokens there are, expired ones too.
func (m *Matomo) Rows() int {
	m.tb.Helper()
	var n int
	if err := m.admin.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM "+m.Tokens()).Scan(&n); err != nil {
		m.tb.Fatal(err)
	}
	return n
}

// Disconnect ends the connections of a user, as a restart of the server does.
func (s *Server) Disconnect(tb testing.TB, user string) { s.Exec(tb, "KILL CONNECTION USER "+user) }

// Hold locks the rows of all tokens until the returned function is called.
func (m *Matomo) Hold(tb testing.TB) (release func()) {
	tb.Helper()
	tx, err := m.admin.BeginTx(context.Background(), nil)
	if err == nil {
		_, err = tx.ExecContext(context.Background(), "SELECT COUNT(*) FROM "+m.Tokens()+" FOR UPDATE") //nolint:gosec // the table's own quoted name
	}
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			tb.Error(err)
		}
	}
}

// hash is what Matomo stores of a token.
func hash(secret string) string {
	sum := sha512.Sum512([]byte(secret + salt))
	return hex.EncodeToString(sum[:])
}
