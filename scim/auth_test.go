package scim_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim"
)

// raw makes a request whose path reaches the server as it is written, with the given Authorization headers.
func (s *server) raw(t *testing.T, method, path string, authorization ...string) *httptest.ResponseRecorder {
	t.Helper()
	u, err := url.ParseRequestURI(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "http://scim.example/", nil)
	r.URL, r.RequestURI, r.Host = u, path, "scim.example"
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return rec
}

// oddPaths are the endpoints, and every spelling that has fooled a server before (CVE-2026-32130).
func oddPaths(id, token string) []string {
	return []string{
		"/Users", "/Users/" + id, "/Users/", "/Users/" + id + "/", "/Groups", "/Groups/" + id, "/ServiceProviderConfig",
		"/Schemas", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "/ResourceTypes", "/ResourceTypes/User",
		"/Me", "/Bulk", "/.search", "/Users/.search", "/Groups/.search", "/nope", "", "/",
		"/users", "/USERS/" + id, "//Users", "/./Users", "/../v2/Users", "/Users//" + id, "/Users/./" + id, "/Users/../Users",
		"/Users%2F" + id, "/%55sers", "/Users/..%2f" + id, "/Users%2f..%2fGroups", "/Users/%2e%2e/Groups", "/Users;x=1", "/Users%00",
		"/Users?access_token=x", "/Users?authorization=Bearer%20" + token, "/Users/" + id + "?token=" + token,
		"/ServiceProviderConfig/..%2fUsers", "/Schemas/../Users", "/Schemas/%2e%2e/Users", "/serviceproviderconfig",
	}
}

// oddMethods are all there are, and two that are not.
var oddMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW"}

// TestAuth_DenyByDefault tries every method on every endpoint and spelling: without a live credential nothing but 401
// comes back, not even a hint that an endpoint is not there.
func TestAuth_DenyByDefault(t *testing.T) {
	db := databasetest.SQLite(t)
	s := newServer(t, db)
	id := s.createUser(t, "okta", "ada@example.org")
	tokens := map[string]string{"expired": "", "revoked": "", "elsewhere": "", "no source": ""}
	for name := range tokens {
		spec := directory.CredentialSpec{Name: strings.ReplaceAll(name, " ", "-"), Source: "okta"}
		switch name {
		case "elsewhere":
			spec.CIDRs = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		case "no source":
			spec.Source = "gone"
		}
		var err error
		if tokens[name], err = s.dir.IssueCredential(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.dir.RevokeCredential(t.Context(), "revoked"); err != nil {
		t.Fatal(err)
	}
	expire(t, s, "expired")
	headers := map[string][]string{
		"none": nil, "empty": {""}, "bearer": {"Bearer"}, "bearer blank": {"Bearer "}, "unknown": {"Bearer scimb_" + strings.Repeat("A", 43)},
		"short": {"Bearer x"}, "basic": {"Basic " + s.tokens["okta"]}, "bare": {s.tokens["okta"]},
		"two": {"Bearer " + s.tokens["okta"], "Bearer " + s.tokens["okta"]}, "prefix": {"Bearer " + s.tokens["okta"][:20]},
		"longer": {"Bearer " + s.tokens["okta"] + "x"}, "list": {"Bearer " + s.tokens["okta"] + ", Bearer x"}, "JWT": {"Bearer a.b.c"},
	}
	for name, token := range tokens {
		headers[name] = []string{"Bearer " + token}
	}
	for _, path := range oddPaths(id, s.tokens["okta"]) {
		for _, method := range oddMethods {
			for name, auth := range headers {
				rec := s.raw(t, method, scim.DefaultBasePath+path, auth...)
				if rec.Code != http.StatusUnauthorized {
					t.Errorf("%s %s with %s: status %d, want 401", method, path, name, rec.Code)
				}
				if !strings.HasPrefix(rec.Header().Get("WWW-Authenticate"), "Bearer ") {
					t.Errorf("%s %s with %s: no WWW-Authenticate", method, path, name)
				}
				if ct := rec.Header().Get("Content-Type"); ct != scim.ContentType {
					t.Errorf("%s %s with %s: Content-Type %q", method, path, name, ct)
				}
				if !json.Valid(rec.Body.Bytes()) {
					t.Errorf("%s %s with %s: body %q", method, path, name, rec.Body)
				}
			}
		}
	}
	if got := s.do(t, "okta", http.MethodGet, "/Users/"+id, nil); got.status != http.StatusOK {
		t.Errorf("the user is gone: %d", got.status)
	}
}

// expire moves the end of a credential into the past.
func expire(t *testing.T, s *server, name string) {
	t.Helper()
	err := s.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE credentials SET expires_at = 1 WHERE name = $1`, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRouting_OddPathsWithCredential says what the same spellings get with a credential: no redirect, no surprise.
func TestRouting_OddPathsWithCredential(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	id := s.createUser(t, "okta", "ada@example.org")
	for path, status := range map[string]int{
		"/Users/": 200, "/Users/" + id + "/": 200, "/%55sers": 200, "/users": 200,
		"//Users": 404, "/./Users": 404, "/Users//" + id: 404, "/Users%2F" + id: 404, "/Users/..%2f" + id: 404,
		"/Users/%2e%2e/Groups": 404, "/Users%00": 404, "": 200, "/": 200, "/Users/" + id + "/x": 404, "/Users/%00": 404,
		"/Me":        501, // M01
		"/Users/%ff": 404, "/Users/" + strings.Repeat("a", 5000): 404, "/Users/" + strings.ToUpper(id): 404,
	} {
		rec := s.raw(t, http.MethodGet, scim.DefaultBasePath+path, "Bearer "+s.tokens["okta"])
		if rec.Code != status {
			t.Errorf("%s: status %d, want %d", path, rec.Code, status)
		}
		if ct := rec.Header().Get("Content-Type"); ct != scim.ContentType {
			t.Errorf("%s: Content-Type %q", path, ct)
		}
	}
}

func TestAuth_SchemeInAnyCase(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} {
		if rec := s.raw(t, http.MethodGet, scim.DefaultBasePath+"/Users", scheme+" "+s.tokens["okta"]); rec.Code != http.StatusOK {
			t.Errorf("%s: status %d", scheme, rec.Code)
		}
	}
}

func TestAuth_RotationAndRevocation(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		second, err := s.dir.CreateCredential(t.Context(), "okta-2", "okta")
		if err != nil {
			t.Fatal(err)
		}
		first := s.tokens["okta"]
		if a := s.do(t, "okta", http.MethodGet, "/Users", nil); a.status != http.StatusOK {
			t.Fatalf("first credential: %d", a.status)
		}
		s.tokens["okta"] = second
		if a := s.do(t, "okta", http.MethodGet, "/Users", nil); a.status != http.StatusOK {
			t.Fatalf("second credential, both live: %d", a.status)
		}
		if err := s.dir.RevokeCredential(t.Context(), "okta-1"); err != nil {
			t.Fatal(err)
		}
		s.tokens["okta"] = first
		s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusUnauthorized)
		s.tokens["okta"] = second
		s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusOK)
	})
}

func TestAuth_Expired(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	expire(t, s, "okta-1")
	s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusUnauthorized)
	if n := value(t, s, "scim_bridge_auth_failures_total", "reason", "expired"); n != 1 {
		t.Errorf("%v expired failures counted, want 1", n)
	}
}

func TestAuth_SourceThatIsNotConfigured(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	secret, err := s.dir.CreateCredential(t.Context(), "old", "gone")
	if err != nil {
		t.Fatal(err)
	}
	s.tokens["gone"] = secret
	s.do(t, "gone", http.MethodGet, "/Users", nil).want(t, http.StatusUnauthorized)
	if n := value(t, s, "scim_bridge_auth_failures_total", "reason", "source"); n != 1 {
		t.Errorf("%v source failures counted, want 1", n)
	}
}

func TestAuth_FailuresAreCounted(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	for _, c := range []struct{ header, reason string }{
		{"", "missing"},
		{"Basic eDp5", "missing"},
		{"Bearer ", "empty"},
		{"Bearer nonsense", "unknown"},
		{"Bearer scimb_" + strings.Repeat("A", 43), "unknown"},
	} {
		before := value(t, s, "scim_bridge_auth_failures_total", "reason", c.reason)
		var auth []string
		if c.header != "" {
			auth = []string{c.header}
		}
		s.raw(t, http.MethodGet, scim.DefaultBasePath+"/Users", auth...)
		if after := value(t, s, "scim_bridge_auth_failures_total", "reason", c.reason); after != before+1 {
			t.Errorf("%q: reason %s went from %v to %v", c.header, c.reason, before, after)
		}
	}
}

// TestAuth_SourcesAreApart checks that a credential sees and touches the users of its own source only.
func TestAuth_SourcesAreApart(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		s := newServer(t, db)
		ada := s.createUser(t, "okta", "ada@example.org", "externalId", "1")
		group := s.createGroup(t, "okta", "Analysts", ada)
		s.createUser(t, "other", "bob@example.org", "externalId", "1") // the same label in another namespace
		for _, c := range []struct{ method, path string }{
			{http.MethodGet, "/Users/" + ada},
			{http.MethodPut, "/Users/" + ada},
			{http.MethodPatch, "/Users/" + ada},
			{http.MethodDelete, "/Users/" + ada},
			{http.MethodGet, "/Groups/" + group},
			{http.MethodPut, "/Groups/" + group},
			{http.MethodPatch, "/Groups/" + group},
			{http.MethodDelete, "/Groups/" + group},
		} {
			var body any
			switch c.method {
			case http.MethodPatch:
				body = patchOp(op("replace", "displayName", "Eve"))
			case http.MethodPut:
				body = map[string]any{
					"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"},
					"userName": "eve", "displayName": "Eve",
				}
			}
			s.do(t, "other", c.method, c.path, body).want(t, http.StatusNotFound)
		}
		list := s.do(t, "other", http.MethodGet, "/Users", nil).want(t, http.StatusOK)
		if n := jsonText(list.get("totalResults")); n != "1" {
			t.Errorf("the other source sees %s users", n)
		}
		for _, filter := range []string{`id+eq+%22` + ada + `%22`, `userName+eq+%22ada%40example.org%22`} {
			if n := jsonText(s.do(t, "other", http.MethodGet, "/Users?filter="+filter, nil).get("totalResults")); n != "0" {
				t.Errorf("%s finds %s users of the other source", filter, n)
			}
		}
		// A member of another source is nobody here.
		mine := s.createGroup(t, "other", "Analysts", ada)
		if m := s.do(t, "other", http.MethodGet, "/Groups/"+mine, nil).list("members"); len(m) != 0 {
			t.Errorf("a user of another source became a member: %v", m)
		}
	})
}

// TestAuth_SecretsAreNotLogged sends secrets in all the places where they could slip into a log line.
func TestAuth_SecretsAreNotLogged(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	s.do(t, "okta", http.MethodPost, "/Users", map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": "ada@example.org", "password": "hunter2-hunter2",
	}).want(t, http.StatusCreated)
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+%22ada%40example.org%22", nil).want(t, http.StatusOK)
	s.do(t, "okta", http.MethodPost, "/Users", `{"schemas":[],"userName":17,"password":"hunter2-hunter2"`).want(t, http.StatusBadRequest)
	s.raw(t, http.MethodGet, scim.DefaultBasePath+"/Users?token="+s.tokens["okta"], "Bearer wrong-"+s.tokens["okta"])
	// A password of the wrong type is not quoted in the complaint about it, in any profile.
	odd := 0
	for _, source := range []string{"okta", "strict"} {
		id := s.createUser(t, source, "bob-"+source)
		for _, password := range []string{`12345678`, `["hunter2-hunter2"]`, `{"value":"hunter2-hunter2"}`, `true`} {
			body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bob-` + source + `","password":` + password + `}`
			patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"password","value":` + password + `}]}`
			for method, body := range map[string]string{http.MethodPut: body, http.MethodPatch: patch} {
				if a := s.do(t, source, method, "/Users/"+id, body); strings.Contains(a.raw, "hunter2") || strings.Contains(a.raw, "12345678") {
					t.Errorf("%s of password %s by %s: %s", method, password, source, a.raw)
				}
				odd++
			}
		}
		odd++
	}
	for _, entry := range s.logs.All() {
		line := entry.Message + jsonText(entry.ContextMap())
		for _, secret := range []string{s.tokens["okta"], "hunter2", "12345678", "ada@example.org", "scimb_"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q is in the log: %s", secret, line)
			}
		}
	}
	if s.logs.Len() != 4+odd {
		t.Errorf("%d log lines, want one for each of %d requests", s.logs.Len(), 4+odd)
	}
}
