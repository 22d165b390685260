package tokendb_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/tokendb"
	"github.com/matomo-scim/bridge/matomo/tokendb/tokendbtest"
)

func TestOpen_RefusesWhatCannotWork(t *testing.T) {
	good := tokendb.Options{Socket: "/run/mysqld/mysqld.sock", Database: "matomo", User: "bridge"}
	for name, change := range map[string]func(*tokendb.Options){
		"no address":     func(o *tokendb.Options) { o.Socket = "" },
		"two":            func(o *tokendb.Options) { o.Address = "db:3306" },
		"no database":    func(o *tokendb.Options) { o.Database = "" },
		"no user":        func(o *tokendb.Options) { o.User = "" },
		"unknown action": func(o *tokendb.Options) { o.Action = "truncate" },
	} {
		opt := good
		change(&opt)
		if s, err := tokendb.Open(opt); err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	s, err := tokendb.Open(good) // nothing listens there, which is no error yet
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStore_MissingGrants(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	secret := m.Mint("alice", "export", "")
	columns := "(idusertokenauth, login, description, date_created, last_used, date_expired)"
	for name, c := range map[string]struct {
		action tokendb.Action
		grants []string
		text   string
	}{
		"none at all":           {tokendb.Delete, nil, "denied"},
		"another table":         {tokendb.Delete, []string{"GRANT SELECT, DELETE ON `" + m.Name + "`.matomo_user TO %s"}, "no table"},
		"reading alone":         {tokendb.Delete, []string{"GRANT SELECT " + columns + " ON " + m.Tokens() + " TO %s"}, "denied"},
		"a column is missing":   {tokendb.Expire, []string{"GRANT SELECT (idusertokenauth, login), UPDATE (date_expired) ON " + m.Tokens() + " TO %s"}, "no column"},
		"expire may not delete": {tokendb.Delete, []string{fmt.Sprintf(grants[tokendb.Expire], m.Tokens())}, "denied"},
		"delete may not expire": {tokendb.Expire, []string{fmt.Sprintf(grants[tokendb.Delete], m.Tokens())}, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, m, c.action, as(m.User(password, c.grants...)))
			_, err := s.Revoke(t.Context(), "alice")
			wantKind(t, err, matomo.StoreRefused, c.text)
			if _, err := s.Check(t.Context()); err == nil {
				t.Error("check sees nothing wrong")
			}
			if !m.Alive(secret) {
				t.Fatal("ended all the same")
			}
		})
	}
}

// A refused password is not sent again at once: some servers lock the user out.
// When it changes it is, after a minute at most.
func TestStore_WrongPassword(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	read := 0
	s := open(t, m, tokendb.Delete, func(o *tokendb.Options) {
		o.Password = func() (string, error) { read++; return "wrong", nil }
	})
	for range 3 {
		_, err := s.Revoke(t.Context(), "alice")
		wantKind(t, err, matomo.StoreRefused, "")
	}
	if read != 1 {
		t.Errorf("a wrong password was read, and sent, %d times", read)
	}
	s = open(t, m, tokendb.Delete, func(o *tokendb.Options) {
		o.Password = func() (string, error) { return "", errors.New("file /secrets/x: there is no such file") }
	})
	_, err := s.Tokens(t.Context(), "alice")
	wantKind(t, err, matomo.StoreRefused, "there is no such file")
	s = open(t, m, tokendb.Delete, as("nobody_here"))
	_, err = s.Tokens(t.Context(), "alice")
	wantKind(t, err, matomo.StoreRefused, "Access denied")
}

// A password that was rotated is used for the next connection.
func TestStore_RotatedPassword(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	user := m.User(password, fmt.Sprintf(grants[tokendb.Delete], m.Tokens()))
	now := password
	s := open(t, m, tokendb.Delete, as(user), func(o *tokendb.Options) { o.Password = func() (string, error) { return now, nil } })
	wantTokens(t, s, "alice")
	now = "another-one"
	m.Exec(t, "SET PASSWORD FOR "+user+" = PASSWORD('another-one')")
	m.Disconnect(t, user)
	wantTokens(t, s, "alice")
}

// Connections that the server ended are opened anew, without a word.
func TestStore_LostConnection(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	user := m.User(password, fmt.Sprintf(grants[tokendb.Delete], m.Tokens()))
	s := open(t, m, tokendb.Delete, as(user))
	secret := m.Mint("alice", "export", "")
	wantTokens(t, s, "alice", "export")
	m.Disconnect(t, user)
	if n, err := s.Revoke(t.Context(), "alice"); n != 1 || err != nil || m.Alive(secret) {
		t.Errorf("%d ended, %v", n, err)
	}
}

// A server that does not answer, or not in time, is a failure that passes.
func TestStore_Down(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	s := open(t, m, tokendb.Delete, func(o *tokendb.Options) { o.Socket += ".gone" })
	_, err := s.Revoke(t.Context(), "alice")
	wantKind(t, err, matomo.StoreDown, "")
	// Somebody accepts and says nothing.
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s = open(t, m, tokendb.Delete, func(o *tokendb.Options) {
		o.Socket, o.Address, o.Timeout = "", l.Addr().String(), 50*time.Millisecond
	})
	_, err = s.Tokens(t.Context(), "alice")
	wantKind(t, err, matomo.StoreDown, "")
	// The row is held by somebody else for longer than we wait.
	secret := m.Mint("alice", "export", "")
	s = open(t, m, tokendb.Delete, func(o *tokendb.Options) { o.Timeout = 300 * time.Millisecond })
	release := m.Hold(t)
	_, err = s.Revoke(t.Context(), "alice")
	wantKind(t, err, matomo.StoreDown, "")
	release()
	if _, err := s.Revoke(t.Context(), "alice"); err != nil || m.Alive(secret) {
		t.Errorf("alive %t, %v", m.Alive(secret), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Revoke(ctx, "alice")
	wantKind(t, err, matomo.StoreDown, "canceled")
}

func TestStore_ReadOnlyServer(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	s := open(t, m, tokendb.Delete)
	secret := m.Mint("alice", "export", "")
	m.Exec(t, "SET GLOBAL read_only = 1")
	defer m.Exec(t, "SET GLOBAL read_only = 0")
	_, err := s.Revoke(t.Context(), "alice")
	wantKind(t, err, matomo.StoreRefused, "takes no writes")
	if _, err := s.Check(t.Context()); matomo.KindOf(err) != matomo.StoreRefused {
		t.Errorf("check: %v", err)
	}
	wantTokens(t, s, "alice", "export")
	m.Exec(t, "SET GLOBAL read_only = 0")
	if _, err := s.Revoke(t.Context(), "alice"); err != nil || m.Alive(secret) {
		t.Errorf("alive %t, %v", m.Alive(secret), err)
	}
}

// Over TCP the connection is encrypted when asked for; this server has no
// certificate, and then nothing is sent in the clear.
func TestStore_OverTCP(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	tcp := func(o *tokendb.Options) { o.Socket, o.Address = "", m.Address() }
	s := open(t, m, tokendb.Delete, tcp)
	secret := m.Mint("alice", "export", "")
	if _, err := s.Revoke(t.Context(), "alice"); err != nil || m.Alive(secret) {
		t.Errorf("alive %t, %v", m.Alive(secret), err)
	}
	s = open(t, m, tokendb.Delete, tcp, func(o *tokendb.Options) {
		o.TLS = &tls.Config{ServerName: "db.example.org", MinVersion: tls.VersionTLS12}
	})
	_, err := s.Revoke(t.Context(), "alice")
	wantKind(t, err, matomo.StoreRefused, "TLS")
}

func TestStore_Check(t *testing.T) {
	each(t, func(t *testing.T, m *tokendbtest.Matomo, action tokendb.Action) {
		secret := m.Mint("alice", "export", "")
		s := open(t, m, action)
		r, err := s.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Table != m.Name+".matomo_user_token_auth" || r.Action != string(action) || len(r.Excess) > 0 {
			t.Errorf("report %+v", r)
		}
		if !m.Alive(secret) || m.Rows() != 1 {
			t.Error("check ended a token")
		}
		// The statement that check suggests gives what is needed and no more.
		user := m.User(password)
		grant, _, _ := strings.Cut(r.Grant, " TO ")
		m.Exec(t, grant+" TO "+user)
		again, err := open(t, m, action, as(user)).Check(t.Context())
		if err != nil || len(again.Excess) > 0 || !strings.HasPrefix(again.Grant, grant) {
			t.Errorf("with the suggested grants: %+v, %v", again, err)
		}
		if !strings.Contains(again.Grant, "`"+user+"`@`%`") {
			t.Errorf("the statement does not name the user: %s", again.Grant)
		}
	})
}

func TestStore_CheckTellsTheGeneration(t *testing.T) {
	server := tokendbtest.Start(t)
	for version, want := range map[string]string{"4.16.1": "Matomo 4", "5.1.2": "Matomo 5"} {
		m := server.Database(t, version, "matomo_", "")
		s := open(t, m, tokendb.Delete, as(m.User(password, "GRANT SELECT, DELETE ON "+m.Tokens()+" TO %s")))
		if r, err := s.Check(t.Context()); err != nil || r.Generation != want {
			t.Errorf("%s: %q, %v", version, r.Generation, err)
		}
		m.Exec(t, "ALTER TABLE "+m.Tokens()+" ADD COLUMN ts_rotation_notified TIMESTAMP NULL")
		s = open(t, m, tokendb.Delete, as(m.User(password, "GRANT SELECT, DELETE ON "+m.Tokens()+" TO %s")))
		if r, err := s.Check(t.Context()); err != nil || r.Generation != "Matomo 5.3 or later" {
			t.Errorf("%s with later columns: %q, %v", version, r.Generation, err)
		}
	}
}

// Whatever the user may do beyond what is needed is told.
func TestStore_CheckTellsExcess(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	base := fmt.Sprintf(grants[tokendb.Delete], m.Tokens())
	role := "role" + m.Name
	m.Exec(t, "CREATE ROLE "+role)
	t.Cleanup(func() { m.Exec(t, "DROP ROLE "+role) })
	for name, c := range map[string]struct{ grant, tells string }{
		"everything":       {"GRANT ALL PRIVILEGES ON *.* TO %s", "ALL PRIVILEGES on *.*"},
		"the database":     {"GRANT SELECT ON `" + m.Name + "`.* TO %s", "SELECT on `" + m.Name + "`.*"},
		"another table":    {"GRANT SELECT ON `" + m.Name + "`.matomo_user TO %s", "matomo_user"},
		"the hashes":       {"GRANT SELECT (password) ON " + m.Tokens() + " TO %s", "password"},
		"making tokens":    {"GRANT INSERT ON " + m.Tokens() + " TO %s", "INSERT"},
		"changing tokens":  {"GRANT UPDATE ON " + m.Tokens() + " TO %s", "UPDATE"},
		"expiring as well": {"GRANT UPDATE (date_expired) ON " + m.Tokens() + " TO %s", "UPDATE (`date_expired`)"},
		"passing it on":    {"GRANT DELETE ON " + m.Tokens() + " TO %s WITH GRANT OPTION", "GRANT OPTION"},
		"a role":           {"GRANT " + role + " TO %s", "role"},
		"all processes":    {"GRANT PROCESS ON *.* TO %s", "PROCESS on *.*"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := open(t, m, tokendb.Delete, as(m.User(password, base, c.grant))).Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(r.Excess, "; "); !strings.Contains(all, c.tells) {
				t.Errorf("excess %q, want %q in it", all, c.tells)
			}
		})
	}
}
