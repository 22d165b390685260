package scim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/scim"
	"github.com/matomo-scim/bridge/scim/auth"
)

func TestDiscovery(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	config := s.do(t, "okta", http.MethodGet, "/ServiceProviderConfig", nil).want(t, http.StatusOK) // D01
	for path, want := range map[string]any{
		"patch.supported": true, "filter.supported": true, "bulk.supported": true, "changePassword.supported": false,
		"sort.supported": true, "pagination.cursor": true, "pagination.defaultPaginationMethod": "index", "etag.supported": true, "authenticationSchemes.0.type": "oauthbearertoken", "meta.resourceType": "ServiceProviderConfig",
	} {
		if got := lookup(config.json, path); got != want {
			t.Errorf("ServiceProviderConfig: %s = %v, want %v", path, got, want)
		}
	}
	for _, path := range []string{"bulk.maxOperations", "filter.maxResults", "bulk.maxPayloadSize", "pagination.maxPageSize", "pagination.cursorTimeout"} {
		if n, err := strconv.Atoi(jsonText(config.get(path))); err != nil || n < 100 {
			t.Errorf("%s = %v", path, config.get(path))
		}
	}
	for _, path := range []string{"/Schemas", "/ResourceTypes"} { // D02, D04, D07
		list := s.do(t, "okta", http.MethodGet, path+"?startIndex=2&count=1&sortBy=id", nil).want(t, http.StatusOK)
		if n := len(list.list("Resources")); n < 2 || jsonText(list.get("totalResults")) != strconv.Itoa(n) {
			t.Errorf("%s: %d resources of %v", path, n, list.get("totalResults"))
		}
		for _, r := range list.list("Resources") {
			one := answer{json: r}
			location := strings.TrimPrefix(one.str("meta.location"), "http://scim.example/scim/v2")
			a := s.do(t, "okta", http.MethodGet, location, nil).want(t, http.StatusOK) // D03, D05
			if jsonText(a.json) != jsonText(r) {
				t.Errorf("%s is not what the list shows", location)
			}
			if strings.Contains(a.raw, "null") {
				t.Errorf("%s holds a null", location)
			}
		}
	}
	for _, path := range []string{"/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/Schemas/" + userURN, "/ResourceTypes/User"} {
		s.do(t, "okta", http.MethodGet, path+"?filter=id+pr", nil).want(t, http.StatusForbidden)                                          // D06
		if a := s.do(t, "okta", http.MethodPost, path, "{}").want(t, http.StatusMethodNotAllowed); a.header.Get("Allow") != "GET, HEAD" { // D09
			t.Errorf("%s: Allow %q", path, a.header.Get("Allow"))
		}
	}
	s.do(t, "okta", http.MethodGet, "/Schemas/urn:none", nil).want(t, http.StatusNotFound)
	s.do(t, "okta", http.MethodGet, "/ResourceTypes/Device", nil).want(t, http.StatusNotFound)
	if a := s.do(t, "okta", http.MethodGet, "/ResourceTypes/User", nil); a.str("endpoint") != "/Users" || a.str("schema") != userURN {
		t.Errorf("ResourceTypes/User: %s", a.raw)
	}
}

func TestMethods(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	id := s.createUser(t, "okta", "ada")
	for path, c := range map[string]struct {
		methods []string
		allow   string
	}{
		"/Users":       {[]string{"PUT", "PATCH", "DELETE", "BREW"}, "GET, HEAD, POST"},
		"/Users/" + id: {[]string{"POST", "TRACE"}, "DELETE, GET, HEAD, PATCH, PUT"},
		"/Groups":      {[]string{"DELETE"}, "GET, HEAD, POST"}, // M03
	} {
		for _, m := range c.methods {
			a := s.do(t, "okta", m, path, nil).want(t, http.StatusMethodNotAllowed)
			if got := a.header.Get("Allow"); got != c.allow {
				t.Errorf("%s %s: Allow %q, want %q", m, path, got, c.allow)
			}
		}
	}
	s.do(t, "okta", http.MethodGet, "/Nope", nil).want(t, http.StatusNotFound) // M02
	s.do(t, "okta", http.MethodGet, "/Users/"+id, nil).want(t, http.StatusOK)
}

// TestInternalError checks that the client learns nothing but the request's id, and the log everything.
func TestInternalError(t *testing.T) {
	db := databasetest.SQLite(t)
	s := newServer(t, db)
	s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusOK)
	err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `ALTER TABLE users RENAME TO hidden`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method string
		body   any
	}{{http.MethodGet, nil}, {http.MethodPost, user("ada")}} {
		s.logs.TakeAll()
		a := s.do(t, "okta", c.method, "/Users", c.body).want(t, http.StatusInternalServerError)
		id := a.header.Get("X-Request-Id")
		if a.str("detail") != "internal error, request "+id || id == "" {
			t.Errorf("detail %q, request %q", a.str("detail"), id)
		}
		lines := s.logs.All()
		if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel || !strings.Contains(jsonText(lines[0].ContextMap()["err"]), "users") {
			t.Errorf("log %v", lines)
		}
		if lines[0].ContextMap()["request_id"] != id {
			t.Errorf("request id %v in the log", lines[0].ContextMap()["request_id"])
		}
	}
}

// TestUnreadBody: a body that ends too early, comes too slowly or is framed wrongly is the client's doing. It is no fault
// here that an alert on 5xx would wake somebody for, and the cause is in the log.
func TestUnreadBody(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	body := io.MultiReader(strings.NewReader(`{"userName":`), iotest.ErrReader(io.ErrUnexpectedEOF))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://scim.example"+scim.DefaultBasePath+"/Users", body)
	r.Header.Set("Authorization", "Bearer "+s.tokens["okta"])
	a := s.send(t, r)
	if a.status != http.StatusBadRequest || a.str("scimType") != "invalidSyntax" || a.str("detail") != "the body cannot be read to its end" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if n := s.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 0 {
		t.Errorf("%d errors in the log", n)
	}
	if last := s.logs.All()[s.logs.Len()-1]; fmt.Sprint(last.ContextMap()["err"]) != "the body cannot be read to its end: unexpected EOF" {
		t.Errorf("log: %v", last.ContextMap())
	}
}

func TestRateLimit(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) { o.Access.Sources = map[string]auth.Source{"okta": {RequestsPerSecond: 0.01}} })
	s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusOK)
	a := s.do(t, "okta", http.MethodGet, "/Users", nil).want(t, http.StatusTooManyRequests)
	if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 90 || n > 100 {
		t.Errorf("Retry-After %q, want about 100 seconds as an integer", a.header.Get("Retry-After"))
	}
	s.do(t, "other", http.MethodGet, "/Users", nil).want(t, http.StatusOK) // each credential has its own
}

func TestLimits(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t), func(o *scim.Options) {
		o.Limits = scim.Limits{Body: 400, Operations: 2, Page: 3, Filter: 30}
	})
	var id string
	for _, name := range []string{"a", "b", "c", "d"} {
		id = s.createUser(t, "okta", name)
	}
	if a := s.do(t, "okta", http.MethodGet, "/Users?count=10", nil).want(t, http.StatusOK); len(a.list("Resources")) != 3 || jsonText(a.get("totalResults")) != "4" {
		t.Errorf("page: %s", a.raw)
	}
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+%221234567890123456%22", nil).want(t, http.StatusOK)
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+%2212345678901234567%22", nil).want(t, http.StatusBadRequest)
	x := op("replace", "title", "x")
	s.do(t, "okta", http.MethodPatch, "/Users/"+id, patchOp(x, x)).want(t, http.StatusOK)
	s.do(t, "okta", http.MethodPatch, "/Users/"+id, patchOp(x, x, x)).want(t, http.StatusRequestEntityTooLarge)
	s.do(t, "okta", http.MethodPost, "/Users", user("e", "title", strings.Repeat("x", 400))).want(t, http.StatusRequestEntityTooLarge)
	s.do(t, "okta", http.MethodPut, "/Users/"+id, user("e", "title", strings.Repeat("x", 400))).want(t, http.StatusRequestEntityTooLarge)
}

func TestNew_Options(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	good := func() scim.Options {
		return scim.Options{
			Directory: s.dir, Sources: map[string]scim.Profile{"okta": scim.Generic}, Logger: zap.NewNop(), Registerer: prometheus.NewRegistry(),
		}
	}
	for name, change := range map[string]func(*scim.Options){
		"no directory":    func(o *scim.Options) { o.Directory = nil },
		"no logger":       func(o *scim.Options) { o.Logger = nil },
		"no registerer":   func(o *scim.Options) { o.Registerer = nil },
		"no source":       func(o *scim.Options) { o.Sources = nil },
		"unknown profile": func(o *scim.Options) { o.Sources["okta"] = "lenient" },
		"public URL":      func(o *scim.Options) { o.PublicURL = "scim.example.com" },
	} {
		opt := good()
		change(&opt)
		if _, err := scim.New(opt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	opt := good()
	opt.BasePath = "/v2/"
	h, err := scim.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://scim.example/v2/ServiceProviderConfig", nil)
	r.Header.Set("Authorization", "Bearer "+s.tokens["okta"])
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, r); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), `"http://scim.example/v2/ServiceProviderConfig"`) {
		t.Errorf("another base path: %d %s", rec.Code, rec.Body)
	}
}

func TestMetrics(t *testing.T) {
	s := newServer(t, databasetest.SQLite(t))
	for name, labels := range map[string][]string{
		"scim_bridge_http_requests_total":                {"idp", "okta", "resource", "users", "method", "POST", "code", "201"},
		"scim_bridge_http_request_duration_seconds":      {"idp", "okta", "resource", "groups", "method", "PATCH"},
		"scim_bridge_http_requests_in_flight":            nil,
		"scim_bridge_auth_failures_total":                {"reason", "expired"},
		"scim_bridge_scim_errors_total":                  {"idp", "okta", "scim_type", "uniqueness", "status", "409"},
		"scim_bridge_compat_fixups_total":                {"idp", "entra", "kind", "string_bool"},
		"scim_bridge_idp_last_request_timestamp_seconds": {"idp", "strict"},
	} {
		if n := value(t, s, name, labels...); n != 0 {
			t.Errorf("%s%v starts at %v", name, labels, n)
		}
	}
	s.createUser(t, "okta", "ada@example.org")
	s.do(t, "okta", http.MethodPost, "/Users", user("ada@example.org", "active", "True")).want(t, http.StatusConflict)
	s.do(t, "okta", http.MethodGet, "/Users?filter=userName+eq+ada&attributes=id", nil).want(t, http.StatusOK)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"scim_bridge_http_requests_total", []string{"idp", "okta", "resource", "users", "method", "POST", "code", "201"}, 1},
		{"scim_bridge_http_requests_total", []string{"idp", "okta", "resource", "users", "method", "POST", "code", "409"}, 1},
		{"scim_bridge_scim_errors_total", []string{"idp", "okta", "scim_type", "uniqueness", "status", "409"}, 1},
		{"scim_bridge_compat_fixups_total", []string{"idp", "okta", "kind", "string_bool"}, 1},
		{"scim_bridge_compat_fixups_total", []string{"idp", "okta", "kind", "unquoted_value"}, 1},
	} {
		if n := value(t, s, c.name, c.labels...); n != c.want {
			t.Errorf("%s%v = %v, want %v", c.name, c.labels, n, c.want)
		}
	}
	if value(t, s, "scim_bridge_idp_last_request_timestamp_seconds", "idp", "okta") == 0 {
		t.Error("the last request left no timestamp")
	}
	if problems, err := testutil.GatherAndLint(s.reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if strings.Contains(l.GetValue(), "@") {
					t.Errorf("%s has a person in a label: %s", f.GetName(), l.GetValue())
				}
			}
		}
	}
}
