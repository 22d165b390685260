package reconcile_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// Whatever is wrong with a target: it is asked rarely, everything stays due, no
// attempt is counted, health says what to do, and it goes on by itself.
func TestTargetFailure(t *testing.T) {
	tests := map[string]struct {
		fault  matomotest.Fault
		most   int // requests in an hour
		remedy string
	}{
		"down":         {matomotest.Fault{Kind: matomotest.CutBefore}, 130, "network are up"},
		"cut after":    {matomotest.Fault{Kind: matomotest.CutAfter}, 130, "network are up"},
		"broken off":   {matomotest.Fault{Kind: matomotest.Truncated}, 130, "network are up"},
		"slow":         {matomotest.Fault{Kind: matomotest.Slow, Latency: time.Minute}, 80, "network are up"},
		"500":          {matomotest.Fault{Kind: matomotest.ServerError}, 130, "network are up"},
		"database":     {matomotest.Fault{Kind: matomotest.DatabaseDown}, 130, "network are up"},
		"rate limited": {matomotest.Fault{Kind: matomotest.TooManyRequests, RetryAfter: 2 * time.Minute}, 31, "requests_per_minute"},
		"no hint":      {matomotest.Fault{Kind: matomotest.TooManyRequests}, 130, "requests_per_minute"},
		"maintenance":  {matomotest.Fault{Kind: matomotest.Maintenance}, 130, "maintenance mode"},
		"locked":       {matomotest.Fault{Kind: matomotest.Locked}, 14, "allow list"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, databasetest.SQLite(t), withPlugin(), withEngine(func(o *reconcile.Options) { o.FullCompare = 15 * time.Minute }))
				w.join("bob@example.org", "Analysts")
				w.drain()
				stop := w.run()
				defer stop()
				time.Sleep(time.Second)
				w.matomo.ResetCalls()
				heal := w.matomo.Fault(test.fault)
				w.join(ada, "Analysts")
				w.leave("bob@example.org")
				time.Sleep(time.Hour)
				if n := w.matomo.Requests(); n > test.most || n == 0 {
					t.Errorf("%d requests in an hour, want at most %d", n, test.most)
				}
				for _, name := range []string{ada, "bob@example.org"} {
					if b := w.binding(name); b.Attempts != 0 || b.DueAt == nil || b.DueAt.After(time.Now()) {
						t.Errorf("%s: attempts %d, due %v", name, b.Attempts, b.DueAt)
					}
				}
				if health := w.health.of("matomo/main"); !strings.HasPrefix(health, "down") || !strings.Contains(health, test.remedy) {
					t.Errorf("health %q, want down and %q", health, test.remedy)
				}
				if w.metric("reconcile_consecutive_failures") == 0 {
					t.Error("no failures shown")
				}
				if n := w.logs.Len(); n > 500 {
					t.Errorf("%d log lines in an hour", n)
				}
				heal()
				time.Sleep(6 * time.Minute)
				w.wantAccess(ada, "1:write, 2:view")
				w.wantAccess("bob@example.org", "")
				w.wantState("bob@example.org", bindings.Done, "")
				if health := w.health.of("matomo/main"); !strings.HasPrefix(health, "ok") {
					t.Errorf("health %q, want ok", health)
				}
			})
		})
	}
}

// A token that Matomo refused is used once, and not again until it changes.
func TestWrongToken_IsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		var token atomic.Value // the client reads it in its own goroutine
		token.Store("00000000000000000000000000000000")
		w = newWorld(t, databasetest.SQLite(t), withClient(func(o *matomo.Options) {
			o.Token = func() (string, error) { return token.Load().(string), nil }
		}), withEngine(func(o *reconcile.Options) { o.FullCompare = 15 * time.Minute }))
		w.join(ada, "Analysts")
		stop := w.run()
		defer stop()
		time.Sleep(6 * time.Hour)
		if n := w.matomo.Requests(); n != 1 {
			t.Errorf("%d requests with a wrong token, want 1", n)
		}
		if health := w.health.of("matomo/main"); !strings.HasPrefix(health, "down") || !strings.Contains(health, "token_file") {
			t.Errorf("health %q", health)
		}
		token.Store(w.matomo.Token())
		time.Sleep(10 * time.Second)
		w.wantAccess(ada, "1:write, 2:view")
	})
}

// A password that Matomo refused is used once; what needs it waits, the rest goes on.
func TestWrongPassword_IsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var password atomic.Value // the client reads it in its own goroutine
		password.Store("wrong")
		w := newWorld(t, databasetest.SQLite(t), withPlugin(), withGuards(10, 0), withClient(func(o *matomo.Options) {
			o.Password = func() (string, error) { return password.Load().(string), nil }
		}), withEngine(func(o *reconcile.Options) { o.FullCompare = 15 * time.Minute }))
		w.join("bob@example.org", "Analysts")
		stop := w.run()
		defer stop()
		time.Sleep(time.Second)
		for i := range 5 {
			w.join(fmt.Sprintf("admin%d@example.org", i), "Admins", "Analysts")
		}
		w.leave("bob@example.org")
		time.Sleep(6 * time.Hour)
		if n := w.matomo.FailedLogins("127.0.0.1"); n > 1 {
			t.Errorf("%d failed logins, want at most 1", n)
		}
		for i := range 5 {
			name := fmt.Sprintf("admin%d@example.org", i)
			w.wantState(name, bindings.Blocked, "needs_password")
			w.wantAccess(name, "1:write, 2:view") // what needs no password is given
			if b := w.binding(name); b.Superuser {
				t.Error("superuser is recorded and was not given")
			}
		}
		w.wantAccess("bob@example.org", "")
		w.wantState("bob@example.org", bindings.Revoked, "needs_password")
		if health := w.health.of("matomo/main"); !strings.HasPrefix(health, "degraded") || !strings.Contains(health, "password_file") {
			t.Errorf("health %q", health)
		}
		password.Store(w.matomo.Password())
		time.Sleep(10 * time.Second)
		for i := range 5 {
			w.wantAccess(fmt.Sprintf("admin%d@example.org", i), "superuser")
		}
		w.wantState("bob@example.org", bindings.Done, "")
		if health := w.health.of("matomo/main"); !strings.HasPrefix(health, "ok") {
			t.Errorf("health %q", health)
		}
	})
}

// A failure in the middle of a batch stops it; what was done is on record.
func TestTargetFailure_InTheMiddleOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		for i := range 120 {
			w.join(fmt.Sprintf("p%03d@example.org", i), "Analysts")
		}
		w.matomo.Fault(matomotest.Fault{Kind: matomotest.CutAfter, Method: "UsersManager.addUser", Skip: 70, Count: 1})
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Fatal("no error")
		}
		w.restart()
		w.drain()
		for i := range 120 {
			name := fmt.Sprintf("p%03d@example.org", i)
			w.wantAccess(name, "1:write, 2:view")
			if b := w.binding(name); b.Attempts != 0 || b.State != bindings.Converged || !b.CreatedByUs {
				t.Errorf("%s: %+v", name, b)
			}
		}
	})
}

// One person's failure backs off and concerns nobody else.
func TestPersonFailure_BacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		w.join(ada, "Analysts")
		stop := w.run()
		defer stop()
		time.Sleep(time.Second)
		w.matomo.Fault(refusal("UsersManager.setUserAccess"))
		w.matomo.ResetCalls()
		w.add("Editors", ada)
		time.Sleep(3 * time.Hour)
		if n := w.matomo.Count("UsersManager.setUserAccess"); n < 10 || n > 80 {
			t.Errorf("%d tries in three hours", n)
		}
		w.wantState(ada, bindings.Failed, "refused")
		w.matomo.ClearFaults()
		w.add("Everywhere", ada) // an event makes it due at once
		time.Sleep(2 * time.Second)
		w.wantAccess(ada, "1:write, 2:admin, 3:view, 4:view, 5:view")
	})
}
