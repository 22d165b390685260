package tokendb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/tokendb"
	"github.com/matomo-scim/bridge/matomo/tokendb/tokendbtest"
)

var _ matomo.Invalidator = (*tokendb.Store)(nil)

const password = "pass-Word_1"

// grants are those of docs/matomo.md, with %[1]s for the table and %%s for the user.
var grants = map[tokendb.Action]string{
	tokendb.Delete: "GRANT SELECT (idusertokenauth, login, description, date_created, last_used, date_expired), DELETE ON %[1]s TO %%s",
	tokendb.Expire: "GRANT SELECT (idusertokenauth, login, description, date_created, last_used, date_expired), UPDATE (date_expired) ON %[1]s TO %%s",
}

// open returns a store on m as a user that has the rights of the documentation and
// no others, unless change says otherwise.
func open(t testing.TB, m *tokendbtest.Matomo, action tokendb.Action, change ...func(*tokendb.Options)) *tokendb.Store {
	t.Helper()
	opt := tokendb.Options{
		Socket: m.Socket(), Database: m.Name, Action: action,
		Password: func() (string, error) { return password, nil },
	}
	for _, f := range change {
		f(&opt)
	}
	if opt.User == "" {
		opt.User = m.User(password, fmt.Sprintf(grants[action], m.Tokens()))
	}
	s, err := tokendb.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func as(user string) func(*tokendb.Options) { return func(o *tokendb.Options) { o.User = user } }

// each runs test on the tables of both measured versions, with both actions.
func each(t *testing.T, test func(t *testing.T, m *tokendbtest.Matomo, action tokendb.Action)) {
	t.Helper()
	server := tokendbtest.Start(t)
	for _, version := range []string{"4.16.1", "5.1.2"} {
		for _, action := range []tokendb.Action{tokendb.Delete, tokendb.Expire} {
			t.Run(version+" "+string(action), func(t *testing.T) { test(t, server.Database(t, version, "matomo_", ""), action) })
		}
	}
}

// wantKind wants a *matomo.Error of a kind that says text.
func wantKind(t *testing.T, err error, kind matomo.ErrorKind, text string) {
	t.Helper()
	e, ok := errors.AsType[*matomo.Error](err)
	if !ok || e.Kind != kind || !strings.Contains(e.Error(), text) {
		t.Errorf("%v, want %s with %q", err, kind, text)
		return
	}
	if e.Target() {
		t.Error("a token database that fails is no failure of Matomo")
	}
	if strings.Contains(e.Error(), password) {
		t.Error("the password is in the error")
	}
}

func wantTokens(t *testing.T, s *tokendb.Store, login string, descriptions ...string) {
	t.Helper()
	found, err := s.Tokens(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, token := range found {
		got = append(got, token.Description)
	}
	if diff := cmp.Diff(descriptions, got); diff != "" {
		t.Errorf("tokens of %s (-want +got):\n%s", login, diff)
	}
}

func TestStore_RevokesAndLists(t *testing.T) {
	each(t, func(t *testing.T, m *tokendbtest.Matomo, action tokendb.Action) {
		s := open(t, m, action)
		first := m.Mint("alice", "export", "")
		second := m.Mint("alice", "dashboard", "2099-12-31 00:00:00")
		m.Mint("alice", "old", "2001-01-01 00:00:00")
		other := m.Mint("bob", "bob's", "")
		found, err := s.Tokens(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 2 || found[0].Description != "export" || found[0].Expires != "" || found[0].LastUsed != "" ||
			found[1].Expires != "2099-12-31 00:00:00" || found[0].ID == 0 || len(found[0].Created) != len(time.DateTime) {
			t.Errorf("tokens %+v", found)
		}
		for _, token := range found {
			if text := fmt.Sprintf("%+v", token); strings.Contains(text, first) || len(text) > 200 {
				t.Errorf("a secret or a hash is listed: %s", text)
			}
		}
		n, err := s.Revoke(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		want, rows := map[tokendb.Action]int{tokendb.Delete: 3, tokendb.Expire: 2}[action], map[tokendb.Action]int{tokendb.Delete: 1, tokendb.Expire: 4}[action]
		if n != want || m.Rows() != rows {
			t.Errorf("%d ended, %d rows left; want %d, %d", n, m.Rows(), want, rows)
		}
		if m.Alive(first) || m.Alive(second) {
			t.Error("a token of alice works")
		}
		if !m.Alive(other) {
			t.Error("bob's token ended")
		}
		wantTokens(t, s, "alice")
		wantTokens(t, s, "bob", "bob's")
		for _, login := range []string{"alice", "nobody", ""} {
			if n, err := s.Revoke(t.Context(), login); n != 0 || err != nil {
				t.Errorf("again, of %q: %d, %v", login, n, err)
			}
		}
		if !m.Alive(other) {
			t.Error("bob's token ended")
		}
	})
}

// A login is compared as Matomo compares it: by the collation of the column, so
// that a token under an odd spelling of the login ends too.
func TestStore_ComparesLoginsAsMatomoDoes(t *testing.T) {
	server := tokendbtest.Start(t)
	for collation, same := range map[string]bool{
		"utf8mb4_general_ci": true, "utf8mb4_unicode_ci": true, "utf8mb4_unicode_520_ci": true, "utf8mb4_bin": false,
	} {
		t.Run(collation, func(t *testing.T) {
			m := server.Database(t, "5.1.2", "matomo_", collation)
			s := open(t, m, tokendb.Delete)
			exact := m.Mint("müller", "exact", "")
			odd := []string{m.Mint("MÜLLER", "upper case", ""), m.Mint("muller", "no accent", "")}
			if _, err := s.Revoke(t.Context(), "müller"); err != nil {
				t.Fatal(err)
			}
			if m.Alive(exact) {
				t.Error("the token under the very spelling works")
			}
			for _, secret := range odd {
				if m.Alive(secret) == same {
					t.Errorf("a token under another spelling is alive: %t", m.Alive(secret))
				}
			}
		})
	}
}

// What a login holds is a value and never a part of the statement.
func TestStore_LoginsAreValues(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	s := open(t, m, tokendb.Delete)
	kept := m.Mint("alice", "kept", "")
	rapid.Check(t, func(r *rapid.T) {
		login := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`' OR 1=1 -- `, `\' OR '1'='1`, "%", "_____", `"`, "`", "x'; DROP TABLE y; --"})).Draw(r, "login")
		if strings.EqualFold(strings.TrimSpace(login), "alice") {
			return
		}
		if _, err := s.Revoke(context.Background(), login); err != nil {
			r.Fatal(err)
		}
		if !m.Alive(kept) {
			r.Fatalf("revoking %q ended alice's token", login)
		}
	})
}

func TestStore_FindsTheTable(t *testing.T) {
	server := tokendbtest.Start(t)
	for name, prefix := range map[string]string{"default": "matomo_", "old": "piwik_", "none": "", "odd": "x`y_"} {
		t.Run(name, func(t *testing.T) {
			m := server.Database(t, "5.1.2", strings.ReplaceAll(prefix, "`", "``"), "")
			user := m.User(password, fmt.Sprintf(grants[tokendb.Delete], m.Tokens()))
			s := open(t, m, tokendb.Delete, as(user))
			secret := m.Mint("alice", "export", "")
			if _, err := s.Revoke(t.Context(), "alice"); err != nil || m.Alive(secret) {
				t.Errorf("alive %t, %v", m.Alive(secret), err)
			}
		})
	}
	t.Run("wrong prefix", func(t *testing.T) {
		m := server.Database(t, "5.1.2", "matomo_", "")
		s := open(t, m, tokendb.Delete, func(o *tokendb.Options) { o.Prefix = "piwik_" })
		_, err := s.Revoke(t.Context(), "alice")
		wantKind(t, err, matomo.StoreRefused, "no table piwik_user_token_auth")
		wantKind(t, err, matomo.StoreRefused, "it has matomo_user_token_auth")
	})
	t.Run("before Matomo 4", func(t *testing.T) {
		m := server.Database(t, "5.1.2", "matomo_", "")
		user := m.User(password, "GRANT SELECT ON `"+m.Name+"`.* TO %s")
		m.Exec(t, "DROP TABLE "+m.Tokens())
		_, err := open(t, m, tokendb.Delete, as(user)).Tokens(t.Context(), "alice")
		wantKind(t, err, matomo.StoreRefused, "no table that ends in user_token_auth")
	})
	t.Run("several", func(t *testing.T) {
		m := server.Database(t, "5.1.2", "matomo_", "")
		m.Exec(t, "CREATE TABLE `"+m.Name+"`.old_user_token_auth LIKE "+m.Tokens())
		user := m.User(password, "GRANT SELECT, DELETE ON `"+m.Name+"`.* TO %s")
		_, err := open(t, m, tokendb.Delete, as(user)).Revoke(t.Context(), "alice")
		wantKind(t, err, matomo.StoreRefused, "set table_prefix")
		s := open(t, m, tokendb.Delete, as(user), func(o *tokendb.Options) { o.Prefix = "MATOMO_" })
		if _, err := s.Revoke(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
	})
	t.Run("not Matomo's", func(t *testing.T) {
		m := server.Database(t, "5.1.2", "matomo_", "")
		m.Exec(t, "ALTER TABLE "+m.Tokens()+" DROP COLUMN date_expired")
		user := m.User(password, "GRANT SELECT, DELETE ON "+m.Tokens()+" TO %s")
		_, err := open(t, m, tokendb.Delete, as(user)).Revoke(t.Context(), "alice")
		wantKind(t, err, matomo.StoreRefused, "no column date_expired")
	})
}

// Matomo may move its table while the bridge runs.
func TestStore_FindsARenamedTable(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	user := m.User(password, "GRANT SELECT, DELETE ON `"+m.Name+"`.* TO %s")
	s := open(t, m, tokendb.Delete, as(user))
	secret := m.Mint("alice", "export", "")
	wantTokens(t, s, "alice", "export")
	old := m.Tokens()
	m.Prefix = "analytics_"
	m.Exec(t, "RENAME TABLE "+old+" TO "+m.Tokens())
	_, err := s.Revoke(t.Context(), "alice")
	wantKind(t, err, matomo.StoreRefused, "matomo_user_token_auth")
	if _, err := s.Revoke(t.Context(), "alice"); err != nil || m.Alive(secret) {
		t.Errorf("alive %t, %v", m.Alive(secret), err)
	}
}

func TestStore_Concurrently(t *testing.T) {
	m := tokendbtest.Start(t).Database(t, "5.1.2", "matomo_", "")
	s := open(t, m, tokendb.Delete)
	var secrets []string
	for i := range 40 {
		secrets = append(secrets, m.Mint(fmt.Sprintf("user%d", i%20), "export", ""))
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			login := fmt.Sprintf("user%d", i)
			if n, err := s.Revoke(t.Context(), login); n != 2 || err != nil {
				t.Errorf("%s: %d, %v", login, n, err)
			}
			if left, err := s.Tokens(t.Context(), login); len(left) > 0 || err != nil {
				t.Errorf("%s: %v, %v", login, left, err)
			}
		})
	}
	wg.Wait()
	for _, secret := range secrets {
		if m.Alive(secret) {
			t.Error("a token works")
		}
	}
}
