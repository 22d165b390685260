package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/internal/web"
)

// front is a door with a journal: what a request says of itself is in its headers.
type front struct {
	http.Handler

	journal *journal.Journal
	db      *database.DB
	reg     *prometheus.Registry
	logs    *observer.ObservedLogs
}

// newFront returns a door whose sources have journals.
func newFront(tb testing.TB, db *database.DB, sources map[string]journal.Source) *front {
	tb.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	f := &front{db: db, reg: prometheus.NewPedanticRegistry(), logs: logs}
	f.journal = journal.New(journal.Options{DB: db, Sources: sources, Logger: zap.New(core), Registerer: f.reg})
	writeError := func(w http.ResponseWriter, _ *http.Request, err error) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"detail":"`+err.Error()+`"}`)
	}
	explain := func(_ *http.Request, err error) journal.Reason {
		why := journal.Reason{Address: netip.MustParseAddr("192.0.2.1")}
		if err != nil {
			why.SCIMType, why.Attribute, why.Detail = "invalidValue", "userName", "more than was said: "+err.Error()
		}
		return why
	}
	handler := web.Handler(func(w http.ResponseWriter, r *http.Request) error {
		in := web.InfoOf(r.Context())
		in.Source, in.Credential = r.Header.Get("Source"), "cred-1"
		if r.Header.Get("Unread") == "" {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return err
			}
		}
		switch r.Header.Get("Do") {
		case "fail":
			return errors.New("no such thing")
		case "panic":
			panic("boom")
		case "cut":
			_, _ = io.WriteString(w, "half")
			return errors.New("disk")
		case "nothing":
			return nil
		}
		_, err := io.WriteString(w, `{"id":"1"}`)
		return err
	}, writeError)
	f.Handler = web.Observe(f.journal.Record(handler, explain), web.Options{
		Logger: zap.NewNop(), Metrics: web.NewMetrics(prometheus.NewPedanticRegistry(), nil, nil), WriteError: writeError,
	})
	return f
}

// send makes a request of a source; what it is to do and what it sends may be empty.
func (f *front) send(tb testing.TB, source, path, do, body string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "http://scim.example"+path, strings.NewReader(body))
	r.Header.Set("Source", source)
	r.Header.Set("Do", do)
	r.Header.Set("User-Agent", "Okta SCIM Client 1.0.0")
	rec := httptest.NewRecorder()
	func() {
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
				panic(v)
			}
		}()
		f.ServeHTTP(rec, r)
	}()
	return rec
}

// write has everything written that waits.
func (f *front) write(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	cancel() // Run writes what waits when it is told to end
	f.journal.Run(ctx)
}

// run starts the writer; what is returned ends it and waits for it.
func (f *front) run(tb testing.TB) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	var work sync.WaitGroup
	work.Go(func() { f.journal.Run(ctx) })
	return func() { cancel(); work.Wait() }
}

// list is what the query finds.
func (f *front) list(tb testing.TB, q journal.Query) []journal.Entry {
	tb.Helper()
	out, err := f.journal.List(tb.Context(), q)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// bodies keeps everything of one source, okta.
func bodies(requests int) map[string]journal.Source {
	return map[string]journal.Source{"okta": {Requests: requests, Bodies: true}}
}

func TestJournal(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		f := newFront(t, db, bodies(10))
		ids := map[string]string{}
		for _, do := range []string{"", "fail", "nothing", "panic", "cut"} {
			rec := f.send(t, "okta", "/scim/v2/Users?x="+do, do, `{"userName":"ada"}`)
			ids[do] = rec.Header().Get("X-Request-Id")
		}
		f.send(t, "other", "/scim/v2/Users", "fail", "") // has no journal
		f.send(t, "", "/scim/v2/Users", "fail", "")      // nobody's
		f.write(t)
		entry := func(do string, status int) journal.Entry {
			return journal.Entry{
				RequestID: ids[do], Source: "okta", Credential: "cred-1", Address: "192.0.2.1", UserAgent: "Okta SCIM Client 1.0.0",
				Method: "POST", Path: "/scim/v2/Users?x=" + do, Status: status, RequestBody: `{"userName":"ada"}`,
			}
		}
		whole, failed, nothing, panicked, cut := entry("", 200), entry("fail", 400), entry("nothing", 200), entry("panic", 500), entry("cut", 0)
		whole.AnswerBody = `{"id":"1"}`
		failed.SCIMType, failed.Attribute, failed.Detail = "invalidValue", "userName", "more than was said: no such thing"
		failed.AnswerBody = `{"detail":"no such thing"}`
		panicked.Detail = "internal error: see the log under the request id"
		cut.SCIMType, cut.Attribute, cut.Detail, cut.AnswerBody = "invalidValue", "userName", "more than was said: disk", "half"
		ignore := cmpopts.IgnoreFields(journal.Entry{}, "ID", "At", "Took")
		unexported := cmpopts.IgnoreUnexported(journal.Entry{})
		if diff := cmp.Diff([]journal.Entry{cut, panicked, nothing, failed, whole}, f.list(t, journal.Query{}), ignore, unexported); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		for name, c := range map[string]struct {
			q    journal.Query
			want []journal.Entry
		}{
			"failed":      {journal.Query{Failed: true}, []journal.Entry{cut, panicked, failed}},
			"one":         {journal.Query{RequestID: ids["fail"]}, []journal.Entry{failed}},
			"limit":       {journal.Query{Limit: 1}, []journal.Entry{cut}},
			"source":      {journal.Query{Source: "okta", Failed: true, Limit: 2}, []journal.Entry{cut, panicked}},
			"another":     {journal.Query{Source: "other"}, nil},
			"in future":   {journal.Query{Since: time.Now().Add(time.Minute)}, nil},
			"not a match": {journal.Query{RequestID: "' OR 1=1 --"}, nil},
		} {
			if diff := cmp.Diff(c.want, f.list(t, c.q), ignore, unexported); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// TestBounds: no more rows than allowed are kept, the newest ones, and each source has its own.
func TestBounds(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		f := newFront(t, db, map[string]journal.Source{"okta": {Requests: 3}, "entra": {Requests: 200}})
		for i := range 150 {
			f.send(t, "okta", fmt.Sprintf("/o?n=%d", i), "", "secret")
			if i%2 == 0 {
				f.send(t, "entra", fmt.Sprintf("/e?n=%d", i), "", "secret")
			}
			if i%50 == 0 {
				f.write(t)
			}
		}
		f.write(t)
		var paths []string
		for _, e := range f.list(t, journal.Query{Source: "okta"}) {
			paths = append(paths, e.Path)
			if e.RequestBody != "" || e.AnswerBody != "" {
				t.Errorf("bodies are kept unasked: %+v", e)
			}
		}
		if diff := cmp.Diff([]string{"/o?n=149", "/o?n=148", "/o?n=147"}, paths); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		if n := len(f.list(t, journal.Query{Source: "entra", Limit: 1000})); n != 75 {
			t.Errorf("%d of entra are left, want 75", n)
		}
	})
}

// TestBodies_Bounded: long bodies are told of and not kept; what was not read is not guessed at.
func TestBodies_Bounded(t *testing.T) {
	f := newFront(t, databasetest.SQLite(t), bodies(10))
	long := `{"a":"` + strings.Repeat("x", 16<<10) + `"}`
	f.send(t, "okta", "/long", "", long)
	f.send(t, "okta", "/"+strings.Repeat("p", 5000), strings.Repeat("d", 1), "")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/unread", strings.NewReader(`{"password":"x"}`))
	r.Header.Set("Source", "okta")
	r.Header.Set("Unread", "1")
	r.Header.Set("User-Agent", "a\x00b\xff\x1b[2J"+strings.Repeat("u", 2000))
	f.ServeHTTP(httptest.NewRecorder(), r)
	f.write(t)
	got := f.list(t, journal.Query{})
	if len(got) != 3 {
		t.Fatalf("%d entries", len(got))
	}
	unread, path, body := got[0], got[1], got[2]
	if body.RequestBody != fmt.Sprintf("(%d bytes, more than the 16384 that are kept)", len(long)) {
		t.Errorf("long body: %.100q", body.RequestBody)
	}
	if len(path.Path) > 2100 {
		t.Errorf("a path of %d bytes is kept", len(path.Path))
	}
	if unread.RequestBody != "(refused after 0 bytes were read)" || len(unread.UserAgent) > 1100 || !strings.HasPrefix(unread.UserAgent, "a?b??[2J") {
		t.Errorf("unread: %q %q", unread.RequestBody, unread.UserAgent)
	}
}

// TestRun_GathersAndSurvives: entries of a burst share a transaction, the request waits for nothing, and a database that
// fails costs the entries and no more.
func TestRun_GathersAndSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFront(t, databasetest.SQLite(t), bodies(1000))
		stop := f.run(t)
		for range 50 {
			f.send(t, "okta", "/", "", "")
		}
		if n := len(f.list(t, journal.Query{})); n != 0 {
			t.Errorf("%d entries were written while their requests ran", n)
		}
		pass(200 * time.Millisecond)
		if n := len(f.list(t, journal.Query{})); n != 50 {
			t.Errorf("%d entries after a moment, want 50", n)
		}
		exec(t, f.db, `ALTER TABLE journal RENAME TO hidden`)
		if rec := f.send(t, "okta", "/", "", ""); rec.Code != http.StatusOK {
			t.Errorf("a journal that cannot be written failed a request: %d", rec.Code)
		}
		pass(time.Second)
		if n := testutil.ToFloat64(dropped(t, f)); n != 1 || f.logs.FilterMessageSnippet("journal").Len() != 1 {
			t.Errorf("%v dropped, logged %v", n, f.logs.All())
		}
		exec(t, f.db, `ALTER TABLE hidden RENAME TO journal`)
		f.send(t, "okta", "/last", "", "")
		stop() // the end of the service: what waits is written
		if got := f.list(t, journal.Query{Limit: 1}); len(got) != 1 || got[0].Path != "/last" {
			t.Errorf("the last request is lost: %v", got)
		}
	})
}

// TestRecord_NeverWaits: when nothing is written, requests go on and what is too much is counted.
func TestRecord_NeverWaits(t *testing.T) {
	f := newFront(t, databasetest.SQLite(t), bodies(1000))
	for range 300 {
		f.send(t, "okta", "/", "", "")
	}
	if n := testutil.ToFloat64(dropped(t, f)); n != 300-256 {
		t.Errorf("%v dropped, want 44", n)
	}
	f.write(t)
	if n := len(f.list(t, journal.Query{Limit: 1000})); n != 256 {
		t.Errorf("%d entries, want those of the queue", n)
	}
}

// TestSweep: what is too old goes, and what a source left behind whose journal is off.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := databasetest.SQLite(t)
		f := newFront(t, db, map[string]journal.Source{"okta": {Requests: 10, Keep: 2 * time.Hour}, "entra": {Requests: 10, Keep: 100 * time.Hour}})
		f.send(t, "okta", "/old", "", "")
		f.send(t, "entra", "/old", "", "")
		f.write(t)
		stop := f.run(t)
		pass(90 * time.Minute)
		f.send(t, "okta", "/young", "", "")
		pass(90*time.Minute + time.Second)
		if diff := cmp.Diff([]string{"okta/young", "entra/old"}, names(f.list(t, journal.Query{}))); diff != "" {
			t.Errorf("after three hours (-want +got):\n%s", diff)
		}
		stop()
		stop = newFront(t, db, map[string]journal.Source{"okta": {Requests: 10}, "entra": {Requests: 0}}).run(t)
		pass(time.Second)
		stop()
		if diff := cmp.Diff([]string{"okta/young"}, names(f.list(t, journal.Query{}))); diff != "" {
			t.Errorf("with the journal of entra off (-want +got):\n%s", diff)
		}
	})
}

// TestRecord_Off: without a journal the handler is the handler.
func TestRecord_Off(t *testing.T) {
	next := http.NotFoundHandler()
	var none *journal.Journal
	off := journal.New(journal.Options{DB: databasetest.SQLite(t), Logger: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	for name, j := range map[string]*journal.Journal{"nil": none, "no source": off} {
		rec := httptest.NewRecorder()
		j.Record(next, nil).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}

// TestRecord_Concurrently has many requests and a writer at once.
func TestRecord_Concurrently(t *testing.T) {
	f := newFront(t, databasetest.SQLite(t), bodies(10))
	stop := f.run(t)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 20 {
				f.send(t, "okta", "/", "fail", `{"a":1}`)
			}
		})
	}
	clients.Wait()
	stop()
	if n := len(f.list(t, journal.Query{})); n != 10 {
		t.Errorf("%d entries, want 10", n)
	}
}

// names are source and path of entries.
func names(entries []journal.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Source+e.Path)
	}
	return out
}

// pass lets fake time pass inside a bubble.
func pass(d time.Duration) { <-time.After(d) }

// exec runs a statement.
func exec(tb testing.TB, db *database.DB, query string) {
	tb.Helper()
	err := db.InTx(tb.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// dropped is the metric as a collector of one value.
func dropped(tb testing.TB, f *front) prometheus.Collector {
	tb.Helper()
	families, err := f.reg.Gather()
	if err != nil || len(families) != 1 {
		tb.Fatalf("%v, %v", families, err)
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "found"})
	c.Add(families[0].GetMetric()[0].GetCounter().GetValue())
	if !bytes.HasSuffix([]byte(families[0].GetName()), []byte("journal_dropped_total")) {
		tb.Errorf("metric %s", families[0].GetName())
	}
	return c
}
