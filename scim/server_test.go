package scim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim"
)

// server is the SCIM front over a store, as the app wires it.
type server struct {
	http.Handler

	db     *database.DB
	dir    *directory.Store
	tokens map[string]string // by source
	reg    *prometheus.Registry
	logs   *observer.ObservedLogs
}

// newServer has one source of each profile, and a second generic one: okta, other, entra, strict.
func newServer(tb testing.TB, db *database.DB, change ...func(*scim.Options)) *server {
	tb.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	s := &server{db: db, tokens: map[string]string{}, reg: prometheus.NewPedanticRegistry(), logs: logs}
	opt := scim.Options{
		Sources: map[string]scim.Profile{"okta": scim.Generic, "other": scim.Generic, "entra": scim.Entra, "strict": scim.Strict},
		Logger:  zap.New(core), Registerer: s.reg,
	}
	s.dir = directory.New(db, bindings.New(db), directory.Options{
		Sources: []directory.Source{
			{Name: "okta", Lifecycle: true},
			{Name: "other", Lifecycle: true},
			{Name: "entra", Lifecycle: true, SharedLabels: true},
			{Name: "strict", Lifecycle: true},
		},
	})
	opt.Directory = s.dir
	for _, f := range change {
		f(&opt)
	}
	var err error
	if s.Handler, err = scim.New(opt); err != nil {
		tb.Fatal(err)
	}
	for source := range opt.Sources {
		if s.tokens[source], err = s.dir.CreateCredential(tb.Context(), source+"-1", source); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// replica is another process on the same database, which knows the same credentials.
func (s *server) replica(tb testing.TB, change func(*scim.Options)) *server {
	tb.Helper()
	opt := scim.Options{
		Directory: s.dir, Sources: map[string]scim.Profile{"okta": scim.Generic}, Logger: zap.NewNop(), Registerer: prometheus.NewPedanticRegistry(),
	}
	change(&opt)
	handler, err := scim.New(opt)
	if err != nil {
		tb.Fatal(err)
	}
	return &server{Handler: handler, db: s.db, dir: s.dir, tokens: s.tokens}
}

// answer is an answer with its body decoded.
type answer struct {
	status int
	header http.Header
	raw    string
	json   any
}

// do makes a request for a source. Path is below the base path; body is text, or encoded as JSON, or nil.
func (s *server) do(tb testing.TB, source, method, path string, body any, headers ...string) answer {
	tb.Helper()
	var text string
	switch b := body.(type) {
	case nil:
	case string:
		text = b
	default:
		data, err := json.Marshal(b)
		if err != nil {
			tb.Fatal(err)
		}
		text = string(data)
	}
	r := httptest.NewRequestWithContext(tb.Context(), method, "http://scim.example"+scim.DefaultBasePath+path, strings.NewReader(text))
	r.Header.Set("Content-Type", scim.ContentType)
	if token := s.tokens[source]; token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.send(tb, r)
}

// send gives a request to the handler and checks what holds for every answer.
func (s *server) send(tb testing.TB, r *http.Request) answer {
	tb.Helper()
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return read(tb, rec.Result())
}

// read checks what holds for every answer: JSON of the right type, or nothing at all.
func read(tb testing.TB, resp *http.Response) answer {
	tb.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if len(raw) == 0 {
		if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
			tb.Errorf("status %d without a body", a.status)
		}
		return a
	}
	if ct := a.header.Get("Content-Type"); ct != scim.ContentType {
		tb.Errorf("Content-Type %q", ct)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&a.json); err != nil {
		tb.Fatalf("status %d, the body is not JSON: %v\n%s", a.status, err, raw)
	}
	if a.status >= http.StatusBadRequest {
		checkError(tb, a)
	}
	return a
}

// checkError checks the form of an error (RFC 7644 section 3.12).
func checkError(tb testing.TB, a answer) {
	tb.Helper()
	if got := a.get("schemas.0"); got != "urn:ietf:params:scim:api:messages:2.0:Error" {
		tb.Errorf("error schemas %v", got)
	}
	if got := a.str("status"); got != http.StatusText(a.status) && got != jsonText(a.status) {
		tb.Errorf("error status %q for %d", got, a.status)
	}
	if a.str("detail") == "" {
		tb.Error("error without detail")
	}
}

// jsonText is v as JSON.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// want fails the test when the status is another one.
func (a answer) want(tb testing.TB, status int) answer {
	tb.Helper()
	if a.status != status {
		tb.Fatalf("status %d, want %d\n%s", a.status, status, a.raw)
	}
	return a
}

// get returns what a dotted path leads to, nil when it leads nowhere. "urn:…|attr" goes into an extension.
func (a answer) get(path string) any { return lookup(a.json, path) }

// str is get for strings.
func (a answer) str(path string) string {
	s, _ := a.get(path).(string)
	return s
}

// list is get for lists.
func (a answer) list(path string) []any {
	l, _ := a.get(path).([]any)
	return l
}

// createUser creates a user of the source and returns its id.
func (s *server) createUser(tb testing.TB, source, userName string, more ...string) string {
	tb.Helper()
	doc := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": userName}
	for i := 0; i+1 < len(more); i += 2 {
		doc[more[i]] = more[i+1]
	}
	return s.do(tb, source, http.MethodPost, "/Users", doc).want(tb, http.StatusCreated).str("id")
}

// createGroup creates a group of the source with members and returns its id.
func (s *server) createGroup(tb testing.TB, source, name string, members ...string) string {
	tb.Helper()
	list := []any{}
	for _, m := range members {
		list = append(list, map[string]string{"value": m})
	}
	doc := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": name, "members": list}
	return s.do(tb, source, http.MethodPost, "/Groups", doc).want(tb, http.StatusCreated).str("id")
}

// patchOp is a PATCH body of operations.
func patchOp(ops ...map[string]any) map[string]any {
	return map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

// op is one operation; no path when it is empty.
func op(kind, path string, value any) map[string]any {
	o := map[string]any{"op": kind}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

// values makes member values of ids.
func values(ids ...string) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = map[string]string{"value": id}
	}
	return out
}

// counter is one series of a counter or gauge, found by name and pairs of label and value.
func counter(tb testing.TB, s *server, name string, labels ...string) prometheus.Collector {
	tb.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i+1 < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue series
				}
			}
			g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "found"})
			g.Set(m.GetCounter().GetValue() + m.GetGauge().GetValue())
			return g
		}
	}
	tb.Fatalf("no series of %s with %v", name, labels)
	return nil
}

// value is the value of the series that counter finds.
func value(tb testing.TB, s *server, name string, labels ...string) float64 {
	tb.Helper()
	return testutil.ToFloat64(counter(tb, s, name, labels...))
}
