package web_test

import (
	"context"
	"errors"
	"fmt"
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

	"github.com/matomo-scim/bridge/internal/web"
)

// door is a handler behind Observe, with what it wrote to log and metrics.
type door struct {
	http.Handler

	logs *observer.ObservedLogs
	reg  *prometheus.Registry
}

func writeError(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusTeapot
	var p *web.PanicError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		status = http.StatusInternalServerError
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "no")
}

func newDoor(f web.HandlerFunc) door {
	core, logs := observer.New(zapcore.DebugLevel)
	reg := prometheus.NewPedanticRegistry()
	routes := []web.Route{{Resource: "things", Method: http.MethodGet, Statuses: []int{http.StatusOK, http.StatusNotFound}}}
	return door{
		Handler: web.Observe(web.Handler(f, writeError), web.Options{
			Logger: zap.New(core), Metrics: web.NewMetrics(reg, []string{"okta"}, routes), MaxBody: 8, WriteError: writeError,
		}),
		logs: logs, reg: reg,
	}
}

func (d door) do(t *testing.T, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
	return rec
}

// line is the only line in the log, as a map.
func (d door) line(t *testing.T) (observer.LoggedEntry, map[string]any) {
	t.Helper()
	all := d.logs.All()
	if len(all) != 1 {
		t.Fatalf("%d log lines, want 1", len(all))
	}
	return all[0], all[0].ContextMap()
}

func TestObserve_OneLinePerRequest(t *testing.T) {
	d := newDoor(func(w http.ResponseWriter, r *http.Request) error {
		in := web.InfoOf(r.Context())
		in.Route, in.Resource, in.Credential, in.Source = "/things/{id}", "things", "rotation-1", "okta"
		_, err := io.WriteString(w, "hello")
		return err
	})
	rec := d.do(t, http.MethodGet, "/things/xyz?filter=userName+eq+%22zoe%40example.org%22", "")
	if rec.Code != http.StatusOK || rec.Body.String() != "hello" {
		t.Fatalf("answer %d %q", rec.Code, rec.Body)
	}
	entry, fields := d.line(t)
	want := map[string]any{
		"method": "GET", "route": "/things/{id}", "status": int64(200), "credential": "rotation-1", "source": "okta", "bytes": int64(5),
	}
	for k, v := range want {
		if fields[k] != v {
			t.Errorf("log field %s = %v, want %v", k, fields[k], v)
		}
	}
	if entry.Level != zapcore.InfoLevel {
		t.Errorf("level %s, want info", entry.Level)
	}
	if id, _ := fields["request_id"].(string); len(id) != 16 || rec.Header().Get("X-Request-Id") != id {
		t.Errorf("request id %q in the log, %q in the answer", id, rec.Header().Get("X-Request-Id"))
	}
	for k, v := range fields {
		// Neither can be part of a request id, which is hexadecimal.
		if s, ok := v.(string); ok && (strings.Contains(s, "zoe") || strings.Contains(s, "xyz")) {
			t.Errorf("log field %s holds what the client sent: %q", k, s)
		}
	}
}

func TestObserve_RequestIDsDiffer(t *testing.T) {
	d := newDoor(func(http.ResponseWriter, *http.Request) error { return nil })
	a, b := d.do(t, http.MethodGet, "/", ""), d.do(t, http.MethodGet, "/", "")
	if x := a.Header().Get("X-Request-Id"); x == "" || x == b.Header().Get("X-Request-Id") {
		t.Errorf("request ids %q and %q", x, b.Header().Get("X-Request-Id"))
	}
}

func TestHandler_ErrorIsAnsweredAndLoggedOnce(t *testing.T) {
	d := newDoor(func(http.ResponseWriter, *http.Request) error { return errors.New("broken pipe in the cellar") })
	if rec := d.do(t, http.MethodGet, "/", ""); rec.Code != http.StatusTeapot {
		t.Fatalf("status %d, want what the ErrorWriter says", rec.Code)
	}
	if _, fields := d.line(t); fields["err"] != "broken pipe in the cellar" {
		t.Errorf("err field %v", fields["err"])
	}
}

func TestHandler_ErrorAfterTheHeadCutsTheConnection(t *testing.T) {
	d := newDoor(func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, `{"half":`)
		return errors.New("disk")
	})
	srv := httptest.NewServer(d)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Fatal("the client took half an answer for a whole one")
	}
	if _, fields := d.line(t); fields["err"] != "disk" {
		t.Errorf("err field %v", fields["err"])
	}
}

// TestHandler_ClientThatHangsUp: what fails because nobody waits for the answer any more is no fault of the service.
func TestHandler_ClientThatHangsUp(t *testing.T) {
	begun := make(chan struct{})
	d := newDoor(func(_ http.ResponseWriter, r *http.Request) error {
		close(begun)
		<-r.Context().Done()
		return fmt.Errorf("list: %w", r.Context().Err())
	})
	srv := httptest.NewServer(d)
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		hangUp()
	}()
	if resp, err := srv.Client().Do(req); err == nil {
		resp.Body.Close()
		t.Error("there is an answer")
	}
	srv.Close() // waits for the handler
	entry, fields := d.line(t)
	if entry.Level != zapcore.InfoLevel || fields["status"] != int64(0) || fields["err"] != "list: context canceled" {
		t.Errorf("%s %v", entry.Level, fields)
	}
}

// TestObserve_501IsNoFault: who asks for what there is not has an answer, and nobody has to be woken.
func TestObserve_501IsNoFault(t *testing.T) {
	d := newDoor(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusNotImplemented)
		return nil
	})
	d.do(t, http.MethodGet, "/", "")
	if entry, fields := d.line(t); entry.Level != zapcore.InfoLevel || fields["status"] != int64(http.StatusNotImplemented) {
		t.Errorf("%s %v", entry.Level, fields)
	}
}

func TestObserve_PanicBecomes500(t *testing.T) {
	d := newDoor(func(http.ResponseWriter, *http.Request) error { panic("boom") })
	if rec := d.do(t, http.MethodGet, "/", ""); rec.Code != http.StatusInternalServerError {
		t.Fatalf("status %d, want 500", rec.Code)
	}
	entry, fields := d.line(t)
	if entry.Level != zapcore.ErrorLevel || fields["err"] != "panic: boom" {
		t.Errorf("level %s, err %v", entry.Level, fields["err"])
	}
	if stack, _ := fields["stack"].(string); !strings.Contains(stack, "web_test.go") {
		t.Error("the stack does not show where")
	}
	if n := value(t, d, "scim_bridge_http_requests_in_flight"); n != 0 {
		t.Errorf("%v requests in flight after the panic", n)
	}
}

func TestObserve_BodyLimit(t *testing.T) {
	d := newDoor(func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	})
	if rec := d.do(t, http.MethodPost, "/", "12345678"); rec.Code != http.StatusOK {
		t.Errorf("a body of the limit: status %d, want 200", rec.Code)
	}
	if rec := d.do(t, http.MethodPost, "/", "123456789"); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte more: status %d, want 413", rec.Code)
	}
}

func TestMetrics(t *testing.T) {
	d := newDoor(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
		}
		in := web.InfoOf(r.Context())
		in.Source, in.Resource = "okta", "things"
		return nil
	})
	const before = `
		# HELP scim_bridge_http_requests_total Requests answered, by identity provider, resource, method and status code.
		# TYPE scim_bridge_http_requests_total counter
		scim_bridge_http_requests_total{code="200",idp="okta",method="GET",resource="things"} 0
		scim_bridge_http_requests_total{code="401",idp="",method="GET",resource="other"} 0
		scim_bridge_http_requests_total{code="404",idp="okta",method="GET",resource="things"} 0
	`
	if err := testutil.GatherAndCompare(d.reg, strings.NewReader(before), "scim_bridge_http_requests_total"); err != nil {
		t.Error(err)
	}
	d.do(t, http.MethodGet, "/", "")
	d.do(t, http.MethodGet, "/gone", "")
	d.do(t, "BREW", "/", "")
	const after = `
		# HELP scim_bridge_http_requests_total Requests answered, by identity provider, resource, method and status code.
		# TYPE scim_bridge_http_requests_total counter
		scim_bridge_http_requests_total{code="200",idp="okta",method="GET",resource="things"} 1
		scim_bridge_http_requests_total{code="200",idp="okta",method="other",resource="things"} 1
		scim_bridge_http_requests_total{code="401",idp="",method="GET",resource="other"} 0
		scim_bridge_http_requests_total{code="404",idp="okta",method="GET",resource="things"} 1
	`
	if err := testutil.GatherAndCompare(d.reg, strings.NewReader(after), "scim_bridge_http_requests_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(d.reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

func TestInfoOf_OutsideOfARequest(t *testing.T) {
	if in := web.InfoOf(context.Background()); in == nil || in.RequestID != "" {
		t.Errorf("got %+v", in)
	}
}

func TestStarted(t *testing.T) {
	d := newDoor(func(w http.ResponseWriter, _ *http.Request) error {
		if web.Started(w) {
			t.Error("started before anything was written")
		}
		w.WriteHeader(http.StatusEarlyHints)
		if web.Started(w) {
			t.Error("an informational status is not the answer")
		}
		w.WriteHeader(http.StatusNoContent)
		if !web.Started(w) {
			t.Error("not started after the head was written")
		}
		return nil
	})
	d.do(t, http.MethodGet, "/", "")
	if web.Started(httptest.NewRecorder()) {
		t.Error("a writer that Observe does not know counts as started")
	}
}

// value is the sum of a metric's series.
func value(t *testing.T, d door, name string) float64 {
	t.Helper()
	families, err := d.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
