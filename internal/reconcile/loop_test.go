package reconcile_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// running returns a world whose loop runs until the test ends.
func running(t *testing.T, settings ...setting) *world {
	t.Helper()
	w := newWorld(t, databasetest.SQLite(t), settings...)
	t.Cleanup(w.run())
	time.Sleep(time.Second)
	return w
}

// second returns another engine on the same database and the same Matomo.
func (w *world) second() *reconcile.Engine {
	w.tb.Helper()
	o := w.options
	o.Registerer = prometheus.NewRegistry()
	e, err := reconcile.New(o)
	if err != nil {
		w.tb.Fatal(err)
	}
	return e
}

// slow makes every request take d, so that fake time passes while a pass runs.
func (w *world) slow(d time.Duration) {
	w.matomo.Fault(matomotest.Fault{Kind: matomotest.Slow, Latency: d})
}

// TestRun_AWakeUpIsServedAtOnce: changes gather for a moment, so that a burst is
// one pass; leavers wait for nothing.
func TestRun_AWakeUpIsServedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t)
		w.join(ada, "Analysts")
		time.Sleep(50 * time.Millisecond)
		w.wantAccess(ada, "1:write, 2:view")
		w.leave(ada)
		synctest.Wait() // no time passes
		w.wantAccess(ada, "")
	})
}

func TestRun_ALostWakeUpIsFoundByPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t)
		w.deaf.Store(true)
		w.join(ada, "Analysts")
		synctest.Wait()
		w.wantAccess(ada, "no account")
		time.Sleep(2 * time.Second)
		w.wantAccess(ada, "1:write, 2:view")
	})
}

func TestRun_LeasesAreRenewedDuringALongPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		for i := range 60 { // some requests of 15 s each
			w.join(fmt.Sprintf("p%02d@example.org", i), "Analysts")
		}
		w.slow(15 * time.Second)
		defer w.run()()
		second := w.second()
		time.Sleep(time.Second)
		for range 10 {
			time.Sleep(9 * time.Second)
			for i := range 60 {
				if b := w.binding(fmt.Sprintf("p%02d@example.org", i)); b.Lease != "" && time.Until(*b.LeaseUntil) < 15*time.Second {
					t.Fatalf("lease until %v, it is %v", b.LeaseUntil, time.Now())
				}
			}
			if n, err := second.Drain(w.ctx); n != 0 || err != nil {
				t.Fatalf("another replica took %d bindings, %v", n, err)
			}
		}
		time.Sleep(time.Minute)
		w.wantAccess("p59@example.org", "1:write, 2:view")
		if n := w.matomo.Count("UsersManager.addUser"); n != 60 {
			t.Errorf("%d accounts added for 60 people", n)
		}
	})
}

// A lease that was lost, however that came, stops every further write.
func TestRun_LeaseLossStopsWrites(t *testing.T) {
	t.Run("between two chunks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t))
			for i := range 60 {
				w.join(fmt.Sprintf("p%02d@example.org", i), "Analysts")
			}
			w.onRequest("addUser", func() {
				w.exec("UPDATE bindings SET lease = 'thief', lease_until = $1", time.Now().Add(time.Hour).UnixMicro())
			})
			w.drain()
			if n := w.matomo.Count("UsersManager.addUser"); n > 50 {
				t.Errorf("%d accounts added; the second chunk was sent without a lease", n)
			}
			b := w.binding("p00@example.org")
			if b.Lease != "thief" || b.State != bindings.Pending {
				t.Errorf("binding %+v: the thief's row was written", b)
			}
		})
	})
	t.Run("it could not be renewed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t))
			w.join(ada, "Analysts")
			var stolen atomic.Bool
			w.onRequest("getUsers", func() {
				w.exec("UPDATE bindings SET lease_until = $1", time.Now().Add(-time.Second).UnixMicro())
				stolen.Store(true)
			})
			w.slow(12 * time.Second)
			_, err := w.engine.Drain(w.ctx)
			if !stolen.Load() || err == nil || !strings.Contains(err.Error(), "lease") {
				t.Errorf("error %v, want one about the lease", err)
			}
			if n := w.matomo.Count("UsersManager.addUser"); n != 0 {
				t.Errorf("%d writes without a lease", n)
			}
			w.matomo.ClearFaults()
			w.drain()
			w.wantAccess(ada, "1:write, 2:view")
		})
	})
}

func TestRun_StopGivesLeasesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		for i := range 60 {
			w.join(fmt.Sprintf("p%02d@example.org", i), "Analysts")
		}
		w.slow(15 * time.Second)
		stop := w.run()
		time.Sleep(40 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stopping took %v", took)
		}
		for i := range 60 {
			b := w.binding(fmt.Sprintf("p%02d@example.org", i))
			if b.Lease != "" || b.Attempts != 0 || b.State != bindings.Converged && b.DueAt == nil {
				t.Errorf("binding %+v, want no lease and due", b)
			}
		}
		w.matomo.ClearFaults()
		w.restart()
		w.drain()
		for i := range 60 {
			w.wantAccess(fmt.Sprintf("p%02d@example.org", i), "1:write, 2:view")
		}
	})
}

// batch lets n people join in one group change.
func (w *world) batch(n int) {
	w.tb.Helper()
	ids := make([]string, n)
	for i := range ids {
		name := fmt.Sprintf("p%04d@example.org", i)
		w.create(name, "ext-"+name)
		ids[i] = w.users[name]
	}
	w.members("Analysts", directory.MemberOp{Kind: directory.Add, Values: ids})
}

// With 100 requests a minute a thousand joiners take most of a minute; a leaver does
// not wait for them.
func TestRun_ALeaverIsNeverBehindALongBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t, withPlugin(), withClient(func(o *matomo.Options) { o.RequestsPerMinute = 100 }))
		w.join(ada, "Analysts")
		time.Sleep(time.Minute)
		w.batch(1000)
		time.Sleep(5 * time.Second)
		if due, err := w.bindings.Due(w.ctx, "main"); err != nil || due.N < 500 {
			t.Fatalf("%d due, %v: the batch is not long enough for this test", due.N, err)
		}
		w.leave(ada)
		time.Sleep(5 * time.Second)
		w.wantAccess(ada, "")
		if b := w.binding(ada); b.RevokedAt == nil {
			t.Errorf("after 5 s the leaver is %s", b.State)
		}
		time.Sleep(2 * time.Minute)
		w.wantAccess("p0999@example.org", "1:write, 2:view")
	})
}

// Somebody whose binding the long batch has leased leaves: the batch lets go of it
// with its next chunk.
func TestRun_ALeaverWhoseBindingIsLeasedIsServedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t, withPlugin(), withClient(func(o *matomo.Options) { o.RequestsPerMinute = 100 }))
		w.join(ada, "Analysts")
		time.Sleep(time.Minute)
		w.batch(1000)
		time.Sleep(time.Second)
		w.inTxMover("p0900@example.org", ada)
		time.Sleep(4 * time.Second)
		if b := w.binding("p0999@example.org"); b.Lease == "" {
			t.Fatal("the batch has not leased them")
		}
		w.leave("p0999@example.org")
		w.leave(ada)
		time.Sleep(10 * time.Second)
		w.wantAccess("p0999@example.org", "no account")
		w.wantState("p0999@example.org", bindings.Gone, "")
		w.wantAccess(ada, "")
	})
}

// inTxMover changes people in no way that matters: an event is an event.
func (w *world) inTxMover(names ...string) {
	w.tb.Helper()
	for _, name := range names {
		w.update(name, func(doc map[string]any) { doc["title"] = "Countess" })
	}
}

// Workers that idle cost Matomo nothing.
func TestRun_IdleCostsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t)
		w.join(ada, "Analysts")
		time.Sleep(time.Minute)
		if n := w.requests(func() { time.Sleep(time.Hour) }); n != 0 {
			t.Errorf("%d requests in an idle hour", n)
		}
		for _, part := range []string{"reconcile/main/leavers", "reconcile/main/changes"} {
			if !strings.HasPrefix(w.health.of(part), "ok") {
				t.Errorf("%s: %q", part, w.health.of(part))
			}
		}
	})
}

func TestRun_FullCompareRunsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t, withEngine(func(o *reconcile.Options) { o.FullCompare = 15 * time.Minute }))
		w.join(ada, "Analysts")
		time.Sleep(time.Minute)
		w.matomo.Grant(ada, "admin", 5)
		time.Sleep(15 * time.Minute)
		w.wantAccess(ada, "1:write, 2:view")
		if n := w.requests(func() { time.Sleep(15*time.Minute + time.Second) }); n != 1 {
			t.Errorf("%d requests for a full compare that finds nothing, want 1", n)
		}
	})
}

// A database that fails is no reason to hammer anything.
func TestRun_AFailureOfOurOwnIsTriedEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		w.exec("DELETE FROM rule_sets")
		w.join(ada, "Analysts")
		w.restart()
		defer w.run()()
		time.Sleep(time.Minute)
		if n := w.metric("reconcile_runs_total", "trigger=event", "result=error"); n < 30 || n > 62 {
			t.Errorf("%v passes in a minute, want one a second", n)
		}
		if health := w.health.of("reconcile/main/changes"); !strings.HasPrefix(health, "degraded") {
			t.Errorf("health %q", health)
		}
		w.activate(defaultRules)
		time.Sleep(2 * time.Second)
		w.wantAccess(ada, "1:write, 2:view")
	})
}

// Two replicas that run side by side do each thing once.
func TestRun_TwoReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin())
		second := w.second()
		w.wakes(second)
		defer w.run()()
		defer w.runEngine(second)()
		w.slow(100 * time.Millisecond)
		w.batch2("Analysts", 120)
		time.Sleep(time.Minute)
		for i := range 120 {
			w.wantAccess(fmt.Sprintf("q%03d@example.org", i), "1:write, 2:view")
			w.leave(fmt.Sprintf("q%03d@example.org", i))
		}
		time.Sleep(time.Minute)
		for i := range 120 {
			w.wantAccess(fmt.Sprintf("q%03d@example.org", i), "")
			w.wantState(fmt.Sprintf("q%03d@example.org", i), bindings.Done, "")
		}
		if n := w.matomo.Count("UsersManager.addUser"); n != 120 {
			t.Errorf("%d accounts added for 120 people", n)
		}
	})
}

// A full compare that failed because the database was away is not shown as failing until the next is due.
func TestRun_TheCompareIsWellAgainWithTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin(), withEngine(func(o *reconcile.Options) { o.FullCompare = 15 * time.Minute }))
		defer w.run()()
		time.Sleep(time.Minute)
		w.exec(`ALTER TABLE targets RENAME TO away`)
		time.Sleep(10 * time.Second)
		if got := w.health.of("compare/main"); !strings.HasPrefix(got, "degraded") {
			t.Errorf("health %q", got)
		}
		w.exec(`ALTER TABLE away RENAME TO targets`)
		time.Sleep(10 * time.Second)
		if got := w.health.of("compare/main"); !strings.HasPrefix(got, "ok") {
			t.Errorf("health %q, with the database back", got)
		}
	})
}

// batch2 lets people join one by one.
func (w *world) batch2(group string, n int) {
	w.tb.Helper()
	for i := range n {
		w.join(fmt.Sprintf("q%03d@example.org", i), group)
	}
}
