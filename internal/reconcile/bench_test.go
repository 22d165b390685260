package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// benchRules are a hundred groups over fifty sites, as a company has them.
func benchRules() string {
	var b strings.Builder
	b.WriteString("[RoleMapping]\n")
	for i := range 100 {
		fmt.Fprintf(&b, "group[Team %d] = \"site:%d:view, site:%d:write\"\n", i, i%50+1, (i*7+3)%50+1)
	}
	return b.String()
}

// BenchmarkDecideAndPlan decides and plans 10,000 people over 50 sites: what a full
// compare of them costs besides reading.
func BenchmarkDecideAndPlan(b *testing.B) {
	const people = 10_000
	server := matomotest.New(matomotest.Options{Sites: 50, ForgetCalls: true})
	for i := range people {
		login := fmt.Sprintf("p%05d", i)
		if err := server.AddUser(login, login+"@example.org", "some-password"); err != nil {
			b.Fatal(err)
		}
		server.Grant(login, "view", i%50+1, i%49+1, i%47+1)
	}
	client, err := matomo.New(matomo.Options{
		Name: "main", URL: "http://matomo.test/", Login: "bridge", Transport: server.RoundTripper(),
		Token: func() (string, error) { return server.Token(), nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	snap, err := client.ReadInstance(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	rules, err := mapping.Parse([]mapping.File{{Name: "mapping.ini", Data: []byte(benchRules())}}, mapping.Options{Targets: []string{"main"}})
	if err != nil {
		b.Fatal(err)
	}
	cases := make([]course.Case, people)
	for i := range cases {
		login := fmt.Sprintf("p%05d", i)
		p := directory.Person{Subject: login, Active: true, UserName: login, PrimaryEmail: login + "@example.org"}
		for g := range 5 {
			p.Groups = append(p.Groups, directory.GroupRef{Source: "scim", Name: fmt.Sprintf("Team %d", (i+g*13)%100)})
		}
		cases[i] = course.Case{Person: p, Binding: bindings.Binding{Subject: login, Login: login, CreatedByUs: true, State: bindings.Converged}}
	}
	settings := course.Settings{Target: "main", Client: client, Policy: matomo.Policy{Manage: matomo.Exclusive}}
	b.ReportAllocs()
	began := cpuTime(b)
	for b.Loop() {
		round := course.NewRound(settings, rules, time.Now())
		round.SetSnapshot(snap)
		planned := 0
		for i := range cases {
			c := cases[i]
			if round.Triage(&c); !c.Concluded {
				round.Prepare(&c)
			}
			if !c.Plan.Empty() {
				planned++
			}
		}
		if planned < people/2 {
			b.Fatalf("%d of %d planned", planned, people)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-began).Milliseconds())/float64(b.N), "CPU-ms/op")
}

// cpuTime is what the process has used: on a busy machine that says more than the
// clock on the wall.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill puts people into the directory and into Matomo as they should be, past both
// front doors.
func fill(tb testing.TB, w *world, people int) {
	tb.Helper()
	const group = 100
	now := time.Now().UnixMicro()
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		for g := range group {
			_, err := tx.Exec(ctx, `INSERT INTO groups (id, source, display_name, display_name_key, document, version, created_at, modified_at)
				VALUES ($1, 'scim', $2, $3, '{}', 1, $4, $4)`, fmt.Sprintf("g%d", g), fmt.Sprintf("Team %d", g), fmt.Sprintf("team %d", g), now)
			if err != nil {
				return err
			}
		}
		for i := range people {
			id := fmt.Sprintf("p%06d", i)
			for _, q := range []struct {
				text string
				args []any
			}{
				{`INSERT INTO subjects (id, created_at) VALUES ($1, $2)`, []any{"s" + id, now}},
				{`INSERT INTO users (id, source, subject_id, user_name, user_name_key, active, document, version, created_at, modified_at)
					VALUES ($1, 'scim', $2, $3, $3, TRUE, $4, 1, $5, $5)`, []any{
					"u" + id, "s" + id, id, fmt.Sprintf(`{"userName":%q,"active":true,"emails":[{"value":"%s@example.org","primary":true}]}`, id, id), now,
				}},
				{`INSERT INTO members (group_id, member_id, kind, added_at) VALUES ($1, $2, 'User', $3)`, []any{fmt.Sprintf("g%d", i%group), "u" + id, now}},
				{`INSERT INTO bindings (id, subject_id, target, login, login_key, generation, observed, state, priority, event, changed_at, created_at, created_by_us)
					VALUES ($1, $2, 'main', $3, $3, 1, 1, 'converged', 1, '', $4, $4, TRUE)`, []any{"b" + id, "s" + id, id, now}},
			} {
				if _, err := tx.Exec(ctx, q.text, q.args...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for i := range people {
		login := fmt.Sprintf("p%06d", i)
		if err := w.matomo.AddUser(login, login+"@example.org", "x"); err != nil {
			tb.Fatal(err)
		}
		w.matomo.Grant(login, "view", i%group%50+1)
		w.matomo.Grant(login, "write", (i%group*7+3)%50+1)
	}
}

// replay answers from now on with what Matomo answers to the last request, from a
// file.
func (w *world) replay(tb testing.TB) {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "answer.json")
	next := w.matomo.RoundTripper()
	w.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		file, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if _, err := io.Copy(file, resp.Body); err != nil {
			return nil, err
		}
		answer, err := os.Open(name)
		resp.Body = answer
		return resp, err
	})
	if _, err := w.engine.Compare(w.ctx, "main"); err != nil {
		tb.Fatal(err)
	}
	w.matomo = nil // so that what it holds can be collected
	next = nil
	w.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		answer, err := os.Open(name)
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: answer, Request: r}, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// BenchmarkFullCompare compares many people who are as they should be, and reports
// how much memory that takes at most beyond what the stand-in and the test hold.
func BenchmarkFullCompare(b *testing.B) {
	for _, people := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			w := newWorld(b, databasetest.SQLite(b), withRules(benchRules()), withServer(func(o *matomotest.Options) { o.Sites, o.ForgetCalls = 50, true }))
			fill(b, w, people)
			if _, err := w.engine.Compare(w.ctx, "main"); err != nil {
				b.Fatal(err)
			}
			w.replay(b) // the stand-in builds its answer in memory; Matomo does that elsewhere
			var before, peak runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			most := uint64(0)
			stop := make(chan struct{})
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						runtime.ReadMemStats(&peak)
						most = max(most, peak.HeapAlloc)
					}
				}
			}()
			var found *reconcile.Comparison
			for b.Loop() {
				var err error
				if found, err = w.engine.Compare(w.ctx, "main"); err != nil {
					b.Fatal(err)
				}
			}
			close(stop)
			<-watched
			if found.Bindings != people || found.Differing > 0 {
				b.Fatalf("%d looked at, %d differ: %+v", found.Bindings, found.Differing, found.Differences[:min(1, len(found.Differences))])
			}
			b.ReportMetric(float64(most-min(most, before.HeapAlloc))/(1<<20), "MB-peak")
		})
	}
}
