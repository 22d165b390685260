package credentials_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/credentials"
)

// create makes a credential.
func create(t *testing.T, s *credentials.Store, name, source string) string {
	t.Helper()
	secret, err := s.CreateCredential(t.Context(), name, source)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// wantAuth fails the test unless the secret authenticates with that error, nil for success.
func wantAuth(t *testing.T, s *credentials.Store, secret string, want error) {
	t.Helper()
	if _, err := s.Authenticate(t.Context(), secret); !errors.Is(err, want) {
		t.Errorf("authenticate: %v, want %v", err, want)
	}
}

func exec(t *testing.T, db *database.DB, query string, args ...any) {
	t.Helper()
	err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecret(t *testing.T) {
	db := databasetest.SQLite(t)
	s := credentials.New(db)
	a, b := create(t, s, "a", "okta"), create(t, s, "b", "okta")
	if a == b {
		t.Fatal("two secrets are alike")
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(a, credentials.SecretPrefix))
	if err != nil || !strings.HasPrefix(a, credentials.SecretPrefix) || len(raw) != 32 {
		t.Errorf("secret %q: %d random bytes, %v", a, len(raw), err)
	}
	var name string
	var hash []byte
	if err := db.Reader().QueryRow(t.Context(), `SELECT name, hash FROM credentials WHERE name = 'a'`).Scan(&name, &hash); err != nil {
		t.Fatal(err)
	}
	if len(hash) != 32 || bytes.Contains(hash, []byte(a[len(a)-8:])) || bytes.Equal(hash, raw) {
		t.Errorf("stored as %x", hash)
	}
	var entries string
	if err := db.Reader().QueryRow(t.Context(), `SELECT string_agg(entry, ' ') FROM audit`).Scan(&entries); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(entries, a) || strings.Count(entries, "credential.created") != 2 {
		t.Errorf("audit: %s", entries)
	}
}

func TestAuthenticate(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := credentials.New(db)
		first, second := create(t, s, "first", "okta"), create(t, s, "second", "okta")
		for name, secret := range map[string]string{"first": first, "second": second} { // several are live at once
			c, err := s.Authenticate(t.Context(), secret)
			if err != nil || c.Name != name || c.Source != "okta" {
				t.Errorf("%s: %+v, %v", name, c, err)
			}
		}
		for name, secret := range map[string]string{
			"empty": "", "prefix": credentials.SecretPrefix, "short": first[:len(first)-1], "long": first + "A", "case": strings.ToUpper(first),
			"without prefix": strings.TrimPrefix(first, credentials.SecretPrefix), "another": credentials.SecretPrefix + strings.Repeat("A", 43),
			"blank": " " + first[1:], "NUL": first[:len(first)-1] + "\x00",
		} {
			t.Run(name, func(t *testing.T) { wantAuth(t, s, secret, credentials.ErrUnknownCredential) })
		}
		if err := s.RevokeCredential(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		wantAuth(t, s, first, credentials.ErrUnknownCredential)
		wantAuth(t, s, second, nil)
		if err := s.RevokeCredential(t.Context(), "first"); !errors.Is(err, credentials.ErrUnknownCredential) {
			t.Errorf("revoked twice: %v", err)
		}
		exec(t, db, `UPDATE credentials SET expires_at = 1 WHERE name = 'second'`)
		wantAuth(t, credentials.New(db), second, credentials.ErrExpiredCredential)
	})
}

func TestCreateCredential_Names(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := credentials.New(db)
		create(t, s, "okta-1", "okta")
		if _, err := s.CreateCredential(t.Context(), "okta-1", "other"); !errors.Is(err, credentials.ErrNameTaken) {
			t.Errorf("name of a live one: %v", err)
		}
		for _, c := range [][2]string{{"", "okta"}, {" ", "okta"}, {"x", ""}} {
			if _, err := s.CreateCredential(t.Context(), c[0], c[1]); err == nil {
				t.Errorf("%q of %q was accepted", c[0], c[1])
			}
		}
		if err := s.RevokeCredential(t.Context(), "okta-1"); err != nil {
			t.Fatal(err)
		}
		create(t, s, "okta-1", "okta") // free again
		list, err := s.ListCredentials(t.Context())
		if err != nil || len(list) != 2 || (list[0].Revoked == nil) == (list[1].Revoked == nil) {
			t.Errorf("list %+v, %v", list, err)
		}
		if n, err := s.CountCredentials(t.Context()); err != nil || n != 1 {
			t.Errorf("%d live ones, %v", n, err)
		}
		exec(t, db, `UPDATE credentials SET expires_at = 1`)
		if n, err := s.CountCredentials(t.Context()); err != nil || n != 0 {
			t.Errorf("%d live ones after all have expired, %v", n, err)
		}
	})
}

// TestCache_OtherProcess has a second store on the same database, as a command beside the server: what it creates works
// at the next request or the one after, what it revokes stops within two seconds.
func TestCache_OtherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		server, command := credentials.New(db), credentials.New(db)
		first := create(t, server, "first", "okta")
		wantAuth(t, server, first, nil)
		second := create(t, command, "second", "okta")
		wait(250 * time.Millisecond)
		wantAuth(t, server, second, nil)
		if err := command.RevokeCredential(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		wantAuth(t, server, first, credentials.ErrUnknownCredential)
		wantAuth(t, server, second, nil)
	})
}

// TestCache_FewQueries counts what requests cost the database: nothing while the cache is fresh, and unknown secrets
// no more than four looks a second.
func TestCache_FewQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		s := credentials.New(db)
		secret := create(t, s, "first", "okta")
		wantAuth(t, s, secret, nil)
		exec(t, db, `ALTER TABLE credentials RENAME TO hidden`) // from here on every look fails
		for range 100 {
			wantAuth(t, s, secret, nil)
			wantAuth(t, s, credentials.SecretPrefix+strings.Repeat("A", 43), credentials.ErrUnknownCredential)
		}
		wait(250 * time.Millisecond)
		if _, err := s.Authenticate(t.Context(), credentials.SecretPrefix+strings.Repeat("A", 43)); err == nil || errors.Is(err, credentials.ErrUnknownCredential) {
			t.Errorf("an unknown secret did not look again: %v", err)
		}
		wantAuth(t, s, secret, nil)
		wait(2 * time.Second)
		if _, err := s.Authenticate(t.Context(), secret); err == nil {
			t.Error("a credential that cannot be looked up is let in for ever")
		}
		exec(t, db, `ALTER TABLE hidden RENAME TO credentials`)
		wantAuth(t, s, secret, nil)
	})
}

// wait lets fake time pass inside a bubble.
func wait(d time.Duration) { <-time.After(d) }

func TestLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		s := credentials.New(db)
		secret := create(t, s, "first", "okta")
		used := func() *time.Time {
			t.Helper()
			list, err := s.ListCredentials(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return list[0].LastUsed
		}
		if used() != nil {
			t.Error("used before anybody has")
		}
		use := func() {
			t.Helper()
			c, err := s.Authenticate(t.Context(), secret)
			if err != nil {
				t.Fatal(err)
			}
			s.UseCredential(t.Context(), c.ID)
		}
		wantAuth(t, s, secret, nil)
		if used() != nil {
			t.Error("known, but not let in: that is no use")
		}
		use()
		first := used()
		if first == nil {
			t.Fatal("not noted")
		}
		wait(59 * time.Second)
		use()
		if !used().Equal(*first) {
			t.Error("written again within the minute")
		}
		wait(time.Second)
		use()
		if !used().After(*first) {
			t.Error("not written after a minute")
		}
	})
}

func TestAuthenticate_Concurrently(t *testing.T) {
	db := databasetest.SQLite(t)
	s := credentials.New(db)
	secret := create(t, s, "first", "okta")
	errs := make(chan error, 64)
	for i := range cap(errs) {
		go func() {
			if i == 32 {
				errs <- s.RevokeCredential(context.Background(), "none")
				return
			}
			_, err := s.Authenticate(context.Background(), secret)
			errs <- err
		}()
	}
	var failed []error
	for range cap(errs) {
		if err := <-errs; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) != 1 || !slices.ContainsFunc(failed, func(err error) bool { return errors.Is(err, credentials.ErrUnknownCredential) }) {
		t.Errorf("errors %v, want the one of the revocation", failed)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	s := credentials.New(databasetest.SQLite(b))
	secret, err := s.CreateCredential(b.Context(), "first", "okta")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}
