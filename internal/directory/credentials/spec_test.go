package credentials_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/credentials"
)

// blocks are address blocks.
func blocks(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// samePrefix compares blocks, which have no exported fields.
var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// TestIssue: what a credential was given is what comes back with its secret, in the list and after a restart.
func TestIssue(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		end := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		for name, spec := range map[string]credentials.Spec{
			"all":     {Source: "okta"},
			"bounded": {Source: "okta", Scopes: credentials.ScopeUsers | credentials.ScopeRead, CIDRs: blocks("10.0.0.0/8", "2001:db8::/32"), Expires: &end},
		} {
			spec.Name = name
			s := credentials.New(db)
			secret, err := s.IssueCredential(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			want := credentials.Credential{Name: name, Source: "okta", Scopes: spec.Scopes, CIDRs: spec.CIDRs, Expires: spec.Expires}
			if want.Scopes == 0 {
				want.Scopes = credentials.AllScopes
			}
			for where, store := range map[string]*credentials.Store{"here": s, "after a restart": credentials.New(db)} {
				got, err := store.Authenticate(t.Context(), secret)
				if err != nil {
					t.Fatal(err)
				}
				got.ID, got.Created = "", time.Time{}
				if diff := cmp.Diff(want, got, samePrefix); diff != "" {
					t.Errorf("%s, %s (-want +got):\n%s", name, where, diff)
				}
			}
		}
		var entries string
		if err := db.Reader().QueryRow(t.Context(), `SELECT string_agg(entry, ' ') FROM audit`).Scan(&entries); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{`"scopes":"users groups read"`, `"scopes":"users read"`, `"cidrs":"10.0.0.0/8 2001:db8::/32"`, `"expires":"` + end.Format(time.RFC3339)} {
			if !strings.Contains(entries, part) {
				t.Errorf("the audit trail lacks %s: %s", part, entries)
			}
		}
	})
}

// TestIssue_Refuses: nothing is stored of a spec that is wrong.
func TestIssue_Refuses(t *testing.T) {
	s := credentials.New(databasetest.SQLite(t))
	past := time.Now().Add(-time.Second)
	var many []netip.Prefix
	for i := range 65 {
		many = append(many, netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)))
	}
	for name, spec := range map[string]credentials.Spec{
		"blank name":        {Name: "a b", Source: "okta"},
		"address as name":   {Name: "ada@example.org", Source: "okta"},
		"colon, for Basic":  {Name: "a:b", Source: "okta"},
		"control character": {Name: "a\x1b[2J", Source: "okta"},
		"dash in front":     {Name: "-a", Source: "okta"},
		"long name":         {Name: strings.Repeat("a", 65), Source: "okta"},
		"no source":         {Name: "a"},
		"expired":           {Name: "a", Source: "okta", Expires: &past},
		"many blocks":       {Name: "a", Source: "okta", CIDRs: many},
		"no block":          {Name: "a", Source: "okta", CIDRs: []netip.Prefix{{}}},
		"IPv4 in IPv6":      {Name: "a", Source: "okta", CIDRs: blocks("::ffff:10.0.0.0/104")},
	} {
		if _, err := s.IssueCredential(t.Context(), spec); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if list, err := s.ListCredentials(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestExpiry: a credential works until its end and not a moment longer, also from the cache.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := credentials.New(databasetest.SQLite(t))
		end := time.Now().Add(time.Hour)
		secret, err := s.IssueCredential(t.Context(), credentials.Spec{Name: "a", Source: "okta", Expires: &end})
		if err != nil {
			t.Fatal(err)
		}
		wait(time.Hour - time.Microsecond)
		wantAuth(t, s, secret, nil)
		wait(time.Microsecond)
		c, err := s.Authenticate(t.Context(), secret)
		if !errors.Is(err, credentials.ErrExpiredCredential) || c.Name != "a" || c.Source != "okta" {
			t.Errorf("%+v, %v", c, err)
		}
		if n, err := s.CountCredentials(t.Context()); err != nil || n != 0 {
			t.Errorf("%d live ones, %v", n, err)
		}
	})
}

// TestRotate: both secrets work during the overlap, and only the new one after it.
func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := credentials.New(databasetest.SQLite(t))
		spec := credentials.Spec{Name: "okta-1", Source: "okta", Scopes: credentials.ScopeGroups, CIDRs: blocks("10.0.0.0/8")}
		old, err := s.IssueCredential(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(48 * time.Hour)
		next, made, err := s.RotateCredential(t.Context(), "okta-1", "okta-2", time.Hour, &end)
		if err != nil {
			t.Fatal(err)
		}
		spec.Name, spec.Expires = "okta-2", &end
		if diff := cmp.Diff(spec, made, samePrefix); diff != "" {
			t.Errorf("made (-want +got):\n%s", diff)
		}
		wantAuth(t, s, old, nil)
		wantAuth(t, s, next, nil)
		wait(time.Hour)
		wantAuth(t, s, old, credentials.ErrExpiredCredential)
		c, err := s.Authenticate(t.Context(), next)
		if err != nil || c.Scopes != credentials.ScopeGroups || c.Source != "okta" || len(c.CIDRs) != 1 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

func TestRotate_Refuses(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := credentials.New(db)
		soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		if _, err := s.IssueCredential(t.Context(), credentials.Spec{Name: "okta-1", Source: "okta", Expires: &soon}); err != nil {
			t.Fatal(err)
		}
		create(t, s, "okta-2", "okta")
		past := time.Now().Add(-time.Hour)
		for name, c := range map[string]struct {
			name, next string
			overlap    time.Duration
			expires    *time.Time
			want       error
		}{
			"unknown":           {"nobody", "okta-3", 0, nil, credentials.ErrUnknownCredential},
			"taken":             {"okta-1", "okta-2", 0, nil, credentials.ErrNameTaken},
			"itself":            {"okta-1", "okta-1", 0, nil, credentials.ErrNameTaken},
			"negative overlap":  {"okta-1", "okta-3", -1, nil, nil},
			"already ended":     {"okta-1", "okta-3", 0, &past, nil},
			"name that is none": {"okta-1", "okta 3", 0, nil, nil},
		} {
			if _, _, err := s.RotateCredential(t.Context(), c.name, c.next, c.overlap, c.expires); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		list, err := s.ListCredentials(t.Context())
		if err != nil || len(list) != 2 || !list[0].Expires.Equal(soon) || list[1].Expires != nil {
			t.Errorf("a rotation that was refused left something behind: %+v, %v", list, err)
		}
		// An end that comes sooner than the overlap stays.
		if _, _, err := s.RotateCredential(t.Context(), "okta-1", "okta-3", 24*time.Hour, nil); err != nil {
			t.Fatal(err)
		}
		if list, err = s.ListCredentials(t.Context()); err != nil || !list[0].Expires.Equal(soon) {
			t.Errorf("the overlap made the old one live longer: %+v, %v", list, err)
		}
	})
}

// TestStored reads what other releases, or a hand, may have written: what is not understood allows nothing.
func TestStored(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := credentials.New(db)
		secret := create(t, s, "a", "okta")
		for stored, want := range map[string]credentials.Scopes{
			"scim": credentials.AllScopes, "": 0, "admin": 0, "users admin": credentials.ScopeUsers, "Users": 0, "groups read": credentials.ScopeGroups | credentials.ScopeRead,
		} {
			exec(t, db, `UPDATE credentials SET scope = $1`, stored)
			c, err := credentials.New(db).Authenticate(t.Context(), secret)
			if err != nil || c.Scopes != want {
				t.Errorf("%q: %q, %v", stored, c.Scopes, err)
			}
		}
		exec(t, db, `UPDATE credentials SET cidrs = 'everywhere'`)
		if _, err := credentials.New(db).Authenticate(t.Context(), secret); err == nil || errors.Is(err, credentials.ErrUnknownCredential) {
			t.Errorf("blocks that cannot be read let somebody in, or look like a wrong secret: %v", err)
		}
	})
}

func TestParseScopes(t *testing.T) {
	for text, want := range map[string]credentials.Scopes{
		"users": credentials.ScopeUsers, "read groups": credentials.ScopeGroups | credentials.ScopeRead, "users users": credentials.ScopeUsers,
		"": 0, "Users": 0, "users,groups": 0, "users admin": 0,
	} {
		got, err := credentials.ParseScopes(strings.Fields(text))
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestScopes_RoundTrip: a set is read back as it was written, and a larger set never allows less.
func TestScopes_RoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := credentials.Scopes(rapid.IntRange(1, int(credentials.AllScopes)).Draw(rt, "scopes"))
		got, err := credentials.ParseScopes(s.Words())
		if err != nil || got != s || strings.Join(s.Words(), " ") != s.String() {
			rt.Fatalf("%d: %q, %v", s, got, err)
		}
		more := s | credentials.Scopes(rapid.IntRange(0, int(credentials.AllScopes)).Draw(rt, "more"))
		resource := rapid.SampledFrom([]string{"users", "groups", "bulk", "discovery", "other"}).Draw(rt, "resource")
		write := rapid.Bool().Draw(rt, "write")
		if s.Allows(resource, write) && !more.Allows(resource, write) {
			rt.Fatalf("%q allows what %q does not", s, more)
		}
	})
}

func TestWithin(t *testing.T) {
	list := blocks("10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32")
	for text, want := range map[string]bool{
		"10.255.255.255": true, "11.0.0.0": false, "2001:db8:ffff::1": true, "2001:db9::": false, "192.0.2.7": true, "192.0.2.8": false,
	} {
		if got := credentials.Within(list, netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if credentials.Within(list, netip.Addr{}) || !credentials.Within(nil, netip.Addr{}) {
		t.Error("an address that is not known is in no block; no block is everywhere")
	}
}
