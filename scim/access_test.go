package scim_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/scim"
	"github.com/matomo-scim/bridge/scim/auth"
)

// issue makes a credential for okta under which do signs in as a source of its own name.
func (s *server) issue(tb testing.TB, name string, scopes ...string) {
	tb.Helper()
	set, err := directory.ParseScopes(scopes)
	if err != nil {
		tb.Fatal(err)
	}
	if s.tokens[name], err = s.dir.IssueCredential(tb.Context(), directory.CredentialSpec{Name: name, Source: "okta", Scopes: set}); err != nil {
		tb.Fatal(err)
	}
}

// TestScopes is what each scope may do, over every endpoint and method: what it may not is 403, and changes nothing.
func TestScopes(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	user, group := s.createUser(t, "okta", "ada"), s.createGroup(t, "okta", "Analysts")
	for _, scope := range []string{"users", "groups", "read"} {
		s.issue(t, scope, scope)
	}
	for _, c := range []struct {
		method, path string
		allowed      string // the scopes that may
	}{
		{"GET", "/Users", "users groups read"},
		{"GET", "/Users/" + user, "users groups read"},
		{"HEAD", "/Users/" + user, "users groups read"},
		{"POST", "/Users", "users"},
		{"PUT", "/Users/" + user, "users"},
		{"PATCH", "/Users/" + user, "users"},
		{"GET", "/Groups", "groups read"},
		{"GET", "/Groups/" + group, "groups read"},
		{"POST", "/Groups", "groups"},
		{"PUT", "/Groups/" + group, "groups"},
		{"PATCH", "/Groups/" + group, "groups"},
		{"GET", "/ServiceProviderConfig", "users groups read"},
		{"GET", "/Schemas", "users groups read"},
		{"GET", "/ResourceTypes/User", "users groups read"},
		{"DELETE", "/Groups/" + group, "groups"},
		{"DELETE", "/Users/" + user, "users"},
	} {
		// Those who may not come first: what is deleted is deleted for all.
		for _, scope := range []string{"read", "groups", "users"} {
			if strings.Contains(c.allowed, scope) {
				continue
			}
			if c.method == "HEAD" {
				continue // an answer without a body
			}
			a := s.do(t, scope, c.method, c.path, "{}").want(t, http.StatusForbidden)
			if !strings.Contains(a.str("detail"), scope) || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
				t.Errorf("%s %s as %s: %s", c.method, c.path, scope, a.raw)
			}
		}
		for scope := range strings.FieldsSeq(c.allowed) {
			rec := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), c.method, "http://scim.example"+scim.DefaultBasePath+c.path, strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+s.tokens[scope])
			s.ServeHTTP(rec, r)
			if rec.Code == http.StatusForbidden || rec.Code == http.StatusUnauthorized || rec.Code >= 500 {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, scope, rec.Code, rec.Body)
			}
		}
	}
	if n := value(t, s, "scim_bridge_auth_failures_total", "reason", "scope"); n != 18 {
		t.Errorf("%v scope failures counted, want 18", n)
	}
	if n := value(t, s, "scim_bridge_scim_errors_total", "idp", "okta", "status", "403"); n != 18 {
		t.Errorf("%v answers of 403 counted, want 18", n)
	}
}

// TestScopes_OddPaths: a credential that may only read changes nothing through any spelling.
func TestScopes_OddPaths(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	id := s.createUser(t, "okta", "ada")
	s.issue(t, "read", "read")
	for _, path := range oddPaths(id, "x") {
		for _, method := range oddMethods {
			rec := s.raw(t, method, scim.DefaultBasePath+path, "Bearer "+s.tokens["read"])
			reads := method == http.MethodGet || method == http.MethodHead
			if rec.Code == http.StatusUnauthorized || rec.Code >= 500 && rec.Code != http.StatusNotImplemented || !reads && rec.Code < 400 && !strings.HasSuffix(path, "/.search") {
				t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
			}
		}
	}
	s.do(t, "okta", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusOK)
}

// TestScopes_Bulk: each operation of a bulk request needs its own right, and lists over everything need both.
func TestScopes_Bulk(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	for _, scope := range []string{"users", "groups", "read"} {
		s.issue(t, scope, scope)
	}
	bulk := func(source string) answer {
		return s.do(t, source, http.MethodPost, "/Bulk", map[string]any{
			"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"},
			"Operations": []any{
				map[string]any{"method": "POST", "path": "/Users", "bulkId": "a", "data": user(source + "-ada")},
				map[string]any{"method": "POST", "path": "/Groups", "bulkId": "b", "data": map[string]any{
					"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": source + "-analysts",
				}},
			},
		})
	}
	for source, want := range map[string][2]string{"okta": {"201", "201"}, "users": {"201", "403"}, "groups": {"403", "201"}} {
		a := bulk(source).want(t, http.StatusOK)
		if got := [2]string{a.str("Operations.0.status"), a.str("Operations.1.status")}; got != want {
			t.Errorf("as %s: %v, want %v\n%s", source, got, want, a.raw)
		}
	}
	bulk("read").want(t, http.StatusForbidden)
	search := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}, "count": 1}
	for path, allowed := range map[string]string{"/.search": "groups read", "/Users/.search": "users groups read", "/Groups/.search": "groups read"} {
		for _, source := range []string{"users", "groups", "read"} {
			want := http.StatusForbidden
			if strings.Contains(allowed, source) {
				want = http.StatusOK
			}
			s.do(t, source, http.MethodPost, path, search).want(t, want)
		}
	}
	s.do(t, "users", http.MethodGet, "?count=1", nil).want(t, http.StatusForbidden)
	// A tolerated spelling of an endpoint needs the same right.
	s.do(t, "read", http.MethodPost, "/USERS", user("bob")).want(t, http.StatusForbidden)
	s.do(t, "users", http.MethodGet, "/groups", nil).want(t, http.StatusForbidden)
}

// TestPublicDiscovery (D08): what the server says of itself is for everybody when that is wanted, and nothing else is.
func TestPublicDiscovery(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) {
		o.PublicDiscovery, o.Access.Sources = true, map[string]auth.Source{"okta": {Basic: true}}
	})
	id := s.createUser(t, "okta", "ada")
	open := map[string]bool{
		"/ServiceProviderConfig": true, "/Schemas": true, "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User": true,
		"/ResourceTypes": true, "/ResourceTypes/User": true,
	}
	for _, path := range append(oddPaths(id, s.tokens["okta"]), "/Schemas/", "/ServiceProviderConfig/") {
		for _, method := range oddMethods {
			want := http.StatusUnauthorized
			if open[strings.TrimSuffix(path, "/")] && (method == http.MethodGet || method == http.MethodHead) {
				want = http.StatusOK
			}
			if rec := s.raw(t, method, scim.DefaultBasePath+path); rec.Code != want {
				t.Errorf("%s %s: %d, want %d", method, path, rec.Code, want)
			}
		}
	}
	// Whoever sends a wrong token learns of it, here too.
	for _, header := range []string{"Bearer x", "Bearer", "", "Basic eDp5", "Digest x"} {
		if rec := s.raw(t, http.MethodGet, scim.DefaultBasePath+"/Schemas", header); rec.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d", header, rec.Code)
		}
	}
	s.tokens["nobody"] = ""
	a := s.do(t, "nobody", http.MethodGet, "/ServiceProviderConfig", nil).want(t, http.StatusOK)
	if a.str("authenticationSchemes.0.type") != "oauthbearertoken" || a.str("authenticationSchemes.1.type") != "httpbasic" || len(a.list("authenticationSchemes")) != 2 {
		t.Errorf("schemes: %s", a.raw)
	}
	s.do(t, "nobody", http.MethodGet, "/Schemas?filter=id+pr", nil).want(t, http.StatusForbidden)
}

// TestAuth_OnTheWire sends request lines that no client library would, to a real server: absolute URIs, CONNECT, TRACE.
func TestAuth_OnTheWire(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	id := s.createUser(t, "okta", "ada")
	srv := httptest.NewUnstartedServer(s)
	srv.Config.DisableGeneralOptionsHandler = true // as the app has it: net/http would answer OPTIONS * itself
	srv.Start()
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	for _, line := range []string{
		"GET http://evil.example/scim/v2/Users HTTP/1.1",
		"GET http://" + addr + "/scim/v2/Users/" + id + " HTTP/1.1",
		"DELETE http://" + addr + "/scim/v2/Users/" + id + " HTTP/1.1",
		"DELETE http://x@" + addr + "//scim/v2/./Users/" + id + " HTTP/1.1",
		"GET //scim/v2/Users HTTP/1.1",
		"OPTIONS * HTTP/1.1",
		"CONNECT " + addr + " HTTP/1.1",
		"TRACE /scim/v2/Users HTTP/1.1",
		"GET /scim/v2/Users?access_token=" + s.tokens["okta"] + " HTTP/1.1",
		"GET /scim/v2/../../etc/passwd HTTP/1.1",
		"GET /healthz HTTP/1.1",
		"PRI /scim/v2/Users HTTP/1.1",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(conn, "%s\r\nHost: %s\r\nConnection: close\r\nX-HTTP-Method-Override: GET\r\n\r\n", line, addr)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		_ = conn.Close()
		if resp.StatusCode != http.StatusUnauthorized || !json.Valid(body) {
			t.Errorf("%s: %d %s", line, resp.StatusCode, body)
		}
	}
	s.do(t, "okta", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusOK)
}

// oidc serves the documents of an OpenID Connect issuer with one key, and signs.
type oidc struct {
	url string
	key *rsa.PrivateKey
}

// newOIDC starts an issuer over HTTP.
func newOIDC(t *testing.T) *oidc {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o := &oidc{key: key}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "k", Key: key.Public()}}})
			return
		}
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, o.url, o.url+"/keys")
	}))
	t.Cleanup(srv.Close)
	o.url = srv.URL
	return o
}

// token is a JWT of a client.
func (o *oidc) token(t *testing.T, client string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: o.key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"iss":%q,"aud":["bridge"],"azp":%q,"exp":%d}`, o.url, client, time.Now().Add(time.Hour).Unix())
	signed, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestJWT_IsTheActor: a token of the configured issuer does what a credential does, and its client is who did it.
func TestJWT_IsTheActor(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		is := newOIDC(t)
		s := newServer(t, db, func(o *scim.Options) {
			o.Access.Sources = map[string]auth.Source{"entra": {JWT: &auth.JWT{
				Issuer: is.url, Audience: "bridge", Clients: []string{"client-1"}, ClientClaim: "azp", Scopes: directory.AllScopes,
			}}}
		})
		s.tokens["entra"] = is.token(t, "client-1")
		id := s.createUser(t, "entra", "ada@example.org")
		s.tokens["stranger"] = is.token(t, "client-2")
		s.do(t, "stranger", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusUnauthorized)
		s.do(t, "okta", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusNotFound) // of another source
		s.raw(t, http.MethodGet, scim.DefaultBasePath+"/Users?access_token="+s.tokens["entra"], "Bearer x"+s.tokens["entra"])
		var actor string
		if err := db.Reader().QueryRow(t.Context(), `SELECT entry FROM audit WHERE kind = 'user.created'`).Scan(&actor); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(actor, `"actor":"jwt:client-1"`) || !strings.Contains(actor, `"source":"entra"`) {
			t.Errorf("audit: %s", actor)
		}
		for _, entry := range s.logs.All() {
			if line := jsonText(entry.ContextMap()); strings.Contains(line, s.tokens["entra"][:40]) || strings.Contains(line, strings.Split(s.tokens["entra"], ".")[2][:20]) {
				t.Errorf("the token is in the log: %s", line)
			}
		}
		config := s.do(t, "entra", http.MethodGet, "/ServiceProviderConfig", nil)
		if config.str("authenticationSchemes.1.type") != "oauth2" {
			t.Errorf("schemes: %s", config.raw)
		}
	})
}

// TestGuesses_Answer is the answer to somebody who tries too many tokens; the right one is let in all the same.
func TestGuesses_Answer(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) { o.Access.GuessesPerMinute = 3 })
	s.tokens["guess"] = "scimb_" + strings.Repeat("A", 43)
	for range 3 {
		s.do(t, "guess", http.MethodGet, "/Users", nil).want(t, http.StatusUnauthorized)
	}
	a := s.do(t, "guess", http.MethodGet, "/Users", nil).want(t, http.StatusTooManyRequests)
	if got := a.header.Get("Retry-After"); got != "20" {
		t.Errorf("Retry-After %q, want 20", got)
	}
	s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusOK)
}

// TestJournal_SaysWhy: the journal has what was sent without its secrets, and why it was refused, of refusals for want of
// a right too.
func TestJournal_SaysWhy(t *testing.T) {
	db := databasetest.SQLite(t)
	j := journal.New(journal.Options{
		DB: db, Sources: map[string]journal.Source{"okta": {Requests: 10, Bodies: true}}, Logger: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	s := newServer(t, db, func(o *scim.Options) { o.Journal = j })
	s.issue(t, "reader", "read")
	s.do(t, "okta", http.MethodPost, "/Users", `{"userName":"ada","active":"perhaps","password":"hunter2hunter2"}`).want(t, http.StatusBadRequest)
	s.do(t, "reader", http.MethodPost, "/Users", `{"userName":"ada"}`).want(t, http.StatusForbidden)
	s.do(t, "okta", http.MethodDelete, "/Users/none", nil).want(t, http.StatusNotFound)
	s.do(t, "entra", http.MethodPost, "/Users", `{"userName":17}`).want(t, http.StatusBadRequest) // has no journal
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	j.Run(ended) // writes what waits
	list, err := j.List(t.Context(), journal.Query{Failed: true})
	if err != nil || len(list) != 3 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	gone, refused, bad := list[0], list[1], list[2]
	if gone.Status != 404 || gone.Method != "DELETE" || gone.Path != "/scim/v2/Users/none" || gone.Detail == "" {
		t.Errorf("gone: %+v", gone)
	}
	if refused.Status != 403 || refused.Credential != "reader" || refused.Address != "192.0.2.1" || !strings.Contains(refused.Detail, "may not write users") {
		t.Errorf("refused: %+v", refused)
	}
	if bad.Status != 400 || bad.SCIMType != "invalidValue" || bad.Attribute != "active" || !strings.Contains(bad.Detail, "perhaps") {
		t.Errorf("bad: %+v", bad)
	}
	if bad.RequestBody != `{"userName":"ada","active":"perhaps","password":"[redacted]"}` || !strings.Contains(bad.AnswerBody, `"scimType":"invalidValue"`) {
		t.Errorf("bodies: %s %s", bad.RequestBody, bad.AnswerBody)
	}
}
