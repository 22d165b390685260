// Package tokendb ends app tokens in Matomo's own database, where the companion
// plugin cannot be installed: no core method of Matomo 4 or later ends another
// person's tokens.
//
// It touches one table, user_token_auth, and of that never the column with the
// hashes: a database user that may read some columns and delete rows (or set the
// date of expiry) is all it takes, and Check says when the user may do more. What
// Matomo remembers besides, the cache of its tracker, is not in the database; the
// client empties it with a call to the API.
//
// Logins are compared by the database, with the collation of the column, because
// that is how Matomo itself finds whose a token is: without regard to case and
// accents on an ordinary installation.
package tokendb

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/matomo-scim/bridge/matomo"
)

// Action is how a token ends.
type Action string

// The actions.
const (
	// Delete removes the rows, as Matomo does when a person deletes a token.
	Delete Action = "delete"
	// Expire sets their date of expiry to yesterday. The rows stay to be looked at
	// until Matomo's daily task cleans up expired tokens.
	Expire Action = "expire"
)

// Options say where the table is. Database, User and one of Address and Socket
// are required.
type Options struct {
	Address  string // host:port
	Socket   string // path of a unix socket, instead of Address
	Database string
	User     string
	Password func() (string, error) // read anew for each connection; nil: none
	Prefix   string                 // of Matomo's tables; empty: found out
	TLS      *tls.Config            // nil: not encrypted
	Action   Action                 // empty: Delete
	Timeout  time.Duration          // of one statement and of connecting; 5 s when 0
}

// Store is one Matomo's table of tokens. It is safe for concurrent use and
// implements matomo.Invalidator.
type Store struct {
	opt Options
	db  *sql.DB

	mu      sync.Mutex // guards what follows
	table   Table      // zero until it was found
	refused time.Time  // when the server last refused user and password
}

// refusedFor is how long a refused password is not sent again: some servers lock
// a user out after a few.
const refusedFor = time.Minute

// errRefused stands for an attempt to connect that was not made.
var errRefused = errors.New("user or password were refused less than a minute ago")

// Open checks the options. It connects to nothing: a database that is down must
// not keep the bridge from starting.
func Open(opt Options) (*Store, error) {
	if (opt.Address == "") == (opt.Socket == "") {
		return nil, errors.New("tokendb: one of address and socket is required")
	}
	if opt.Database == "" || opt.User == "" {
		return nil, errors.New("tokendb: database and user are required")
	}
	switch opt.Action {
	case "":
		opt.Action = Delete
	case Delete, Expire:
	default:
		return nil, fmt.Errorf("tokendb: unknown action %q", opt.Action)
	}
	if opt.Timeout == 0 {
		opt.Timeout = 5 * time.Second
	}
	s := &Store{opt: opt}
	cfg := mysql.NewConfig()
	cfg.User, cfg.DBName, cfg.Net, cfg.Addr = opt.User, opt.Database, "tcp", opt.Address
	if opt.Socket != "" {
		cfg.Net, cfg.Addr = "unix", opt.Socket
	}
	cfg.TLS = opt.TLS
	// A hung server holds up a leaver's pass no longer than this.
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = opt.Timeout, opt.Timeout, opt.Timeout
	// Parameters in the text save a round trip each; the driver escapes them for
	// utf8mb4, its default.
	cfg.InterpolateParams = true
	cfg.Logger = &mysql.NopLogger{} // errors come back as such, and are logged once
	if err := cfg.Apply(mysql.BeforeConnect(s.beforeConnect)); err != nil {
		return nil, fmt.Errorf("tokendb: %w", err)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("tokendb: %w", err)
	}
	s.db = sql.OpenDB(connector)
	s.db.SetMaxOpenConns(4) // a helper beside Matomo's own load
	s.db.SetConnMaxIdleTime(time.Minute)
	s.db.SetConnMaxLifetime(5 * time.Minute) // follows a server that moved
	return s, nil
}

// Close ends the connections.
func (s *Store) Close() error { return s.db.Close() }

// beforeConnect gives each new connection the password as it is now.
func (s *Store) beforeConnect(_ context.Context, cfg *mysql.Config) error {
	s.mu.Lock()
	wait := time.Since(s.refused) < refusedFor && !s.refused.IsZero()
	s.mu.Unlock()
	if wait {
		return errRefused
	}
	if s.opt.Password == nil {
		return nil
	}
	password, err := s.opt.Password()
	if err != nil {
		return &secretError{err}
	}
	cfg.Passwd = password
	return nil
}

// grace is by how much the clocks of database and web server may differ: a token
// counts as alive until it has been expired for so long.
const grace = "INTERVAL 1 HOUR"

// alive is the condition that Matomo accepts a token under. Matomo keeps its dates
// in UTC whatever the zone of the server is.
const alive = "(date_expired IS NULL OR date_expired > UTC_TIMESTAMP() - " + grace + ")"

// Revoke ends every app token of login, in any spelling that the database takes
// for the same, and returns how many there were. It succeeds when there was none.
// It is one statement, so either all are ended or none. Errors are *matomo.Error
// of kind StoreDown or StoreRefused.
func (s *Store) Revoke(ctx context.Context, login string) (ended int, err error) {
	err = s.with(ctx, "revoke", func(ctx context.Context, t Table) error {
		result, err := s.db.ExecContext(ctx, s.opt.Action.statement(t)+" WHERE login = ?", login)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		ended = int(n)
		return err
	})
	return ended, err
}

// statement is how the action ends tokens of t, without the condition.
func (a Action) statement(t Table) string {
	if a == Expire {
		// Those that ended earlier keep their date.
		return "UPDATE " + t.quoted() + " SET date_expired = IF(" + alive + ", UTC_TIMESTAMP() - INTERVAL 1 DAY, date_expired)"
	}
	return "DELETE FROM " + t.quoted()
}

// Tokens lists the tokens of login that still work, oldest first: never the hash.
// Dates are as Matomo writes them, in UTC.
func (s *Store) Tokens(ctx context.Context, login string) ([]matomo.Token, error) {
	var out []matomo.Token
	err := s.with(ctx, "list", func(ctx context.Context, t Table) error {
		out = nil
		rows, err := s.db.QueryContext(ctx, "SELECT idusertokenauth, description, date_created, last_used, date_expired FROM "+ //nolint:gosec // a name from the information schema, quoted
			t.quoted()+" WHERE login = ? AND "+alive+" ORDER BY idusertokenauth", login)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var token matomo.Token
			var used, expires sql.NullString
			if err := rows.Scan(&token.ID, &token.Description, &token.Created, &used, &expires); err != nil {
				return err
			}
			token.LastUsed, token.Expires = used.String, expires.String
			out = append(out, token)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// with runs fn on the table, finding it first when need be, within the timeout,
// and turns errors into matomo's.
func (s *Store) with(ctx context.Context, what string, fn func(context.Context, Table) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	defer cancel()
	t, err := s.find(ctx)
	if err == nil {
		err = fn(ctx, t)
	}
	if err == nil {
		return nil
	}
	e := classify(what, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if isRefusedLogin(err) {
		s.refused = time.Now()
	}
	if e.Kind == matomo.StoreRefused {
		s.table = Table{} // renamed, or another one is meant: looked for anew
	}
	return e
}

// find returns the table, looking for it the first time.
func (s *Store) find(ctx context.Context) (Table, error) {
	s.mu.Lock()
	t := s.table
	s.mu.Unlock()
	if t.Name != "" {
		return t, nil
	}
	t, err := detect(ctx, s.db, s.opt.Prefix)
	if err != nil {
		return Table{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = t
	return t, nil
}
