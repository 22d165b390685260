package matomo_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestClient_ReadsWaitOnceForRetryAfter(t *testing.T) {
	for _, fault := range []matomotest.Fault{
		{Kind: matomotest.TooManyRequests, RetryAfter: 7 * time.Second, Count: 1},
		{Kind: matomotest.ServerError, Status: 503, RetryAfter: 7 * time.Second, Count: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, matomotest.Options{})
			b.Fault(fault)
			start := time.Now()
			b.accounts(t, matomo.Read{}, "bridge")
			if took := time.Since(start); took != 7*time.Second {
				t.Errorf("waited %s, want 7s", took)
			}
			if n := b.log.FilterMessageSnippet("once more").Len(); n != 1 {
				t.Errorf("%d log lines about the retry", n)
			}
			b.Fault(matomotest.Fault{Kind: fault.Kind, Status: fault.Status, RetryAfter: time.Second})
			before := b.Requests()
			if _, err := b.c.ReadInstance(context.Background()); err == nil || b.Requests()-before != 2 {
				t.Errorf("%d requests, error %v, want two and an error", b.Requests()-before, err)
			}
		})
	}
}

func TestClient_DoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{})
		for name, f := range map[string]matomotest.Fault{
			"no Retry-After":   {Kind: matomotest.TooManyRequests},
			"a long one":       {Kind: matomotest.TooManyRequests, RetryAfter: time.Hour},
			"maintenance page": {Kind: matomotest.Maintenance},
		} {
			undo := b.Fault(f)
			start, before := time.Now(), b.Requests()
			_, err := b.c.ReadInstance(context.Background())
			if err == nil || time.Since(start) != 0 || b.Requests() != before+1 {
				t.Errorf("%s: %v after %s and %d requests", name, err, time.Since(start), b.Requests()-before)
			}
			undo()
		}
		b.accounts(t, matomo.Read{})
		b.Fault(matomotest.Fault{Kind: matomotest.Slow, Latency: time.Minute})
		start := time.Now()
		_, err := b.c.ReadAccounts(context.Background(), []string{"alice"}, matomo.Read{})
		if wantKind(t, err, matomo.Unreachable); time.Since(start) != 20*time.Second {
			t.Errorf("gave up after %s, want 20s", time.Since(start))
		}
		start = time.Now()
		if _, err = b.c.ReadInstance(context.Background()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("a read of everything has more time: %v after %s", err, time.Since(start))
		}
	})
}

func TestClient_WritesAreNeverSentTwice(t *testing.T) {
	for _, kind := range []matomotest.FaultKind{matomotest.TooManyRequests, matomotest.CutAfter, matomotest.CutBefore, matomotest.Truncated, matomotest.ServerError, matomotest.Maintenance} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, matomotest.Options{})
			b.add(t, "alice", "bob")
			s := b.accounts(t, matomo.Read{}, "alice", "bob")
			var plans []matomo.Plan
			for _, l := range []string{"alice", "bob"} {
				a, _ := s.Account(l)
				plans = append(plans, matomo.PlanPerson(person(l, "1:view", comeBack), a, b.policy(s, func(p *matomo.Policy) { p.Tokens = matomo.Recreate })))
			}
			b.Fault(matomotest.Fault{Kind: kind, RetryAfter: time.Second, Count: 1})
			b.ResetCalls()
			results := b.c.Apply(context.Background(), plans)
			if n := b.Requests(); n != 1 {
				t.Errorf("%s: %d requests, want 1", kind, n)
			}
			uncertain := kind != matomotest.TooManyRequests && kind != matomotest.Maintenance
			for _, r := range results {
				if r.Err == nil || r.Uncertain() != uncertain || KindIn(r.Err, matomo.Skipped) {
					t.Errorf("%s: %+v", kind, r)
				}
				if last := r.Steps[len(r.Steps)-1]; last.Sent || !KindIn(last.Err, matomo.Skipped) {
					t.Errorf("%s: behind the gate %+v", kind, last)
				}
			}
		})
	}
}

// KindIn reports whether err has one of the kinds.
func KindIn(err error, kinds ...matomo.ErrorKind) bool {
	return slices.Contains(kinds, matomo.KindOf(err))
}

func TestClient_LanesKeepAFifthForLeavers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{ForgetCalls: true}, func(o *matomo.Options) { o.RequestsPerMinute = 100 })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		done := make(chan int)
		flood := func(ctx context.Context) {
			n := 0
			for {
				if _, err := b.c.ReadAccounts(ctx, nil, matomo.Read{}); err != nil {
					break // the next one would come after the minute
				}
				n++
			}
			done <- n
		}
		for range 4 {
			go flood(ctx)
		}
		time.Sleep(30 * time.Second)
		start := time.Now()
		leaver := matomo.WithLane(context.Background(), matomo.Leavers)
		for range 2 {
			if _, err := b.c.ReadAccounts(leaver, nil, matomo.Read{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("leavers waited %s behind a flood", took)
		}
		normal := 0
		for range 4 {
			normal += <-done
		}
		if normal > 80 || normal < 70 {
			t.Errorf("%d normal requests in a minute, want at most 80 of 100", normal)
		}
	})
}

func TestClient_LeaversHaveTheWholeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{ForgetCalls: true}, func(o *matomo.Options) { o.RequestsPerMinute = 100 })
		ctx, cancel := context.WithTimeout(matomo.WithLane(context.Background(), matomo.Leavers), time.Minute)
		defer cancel()
		n := 0
		for ctx.Err() == nil {
			if _, err := b.c.ReadAccounts(ctx, nil, matomo.Read{}); err != nil {
				break // the next one would come after the minute
			}
			n++
		}
		if n > 100 || n < 90 {
			t.Errorf("%d requests in a minute, want about 100 and not more", n)
		}
	})
}

// A write that waited for the request limit asks once more whether it may be sent: what allowed it, the caller's
// lease, may have run out meanwhile, and then somebody else works on the login.
func TestApply_AsksAfterWaitingForTheRequestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.RequestsPerMinute = 10 })
		b.add(t, "alice")
		a := b.account(t, "alice", matomo.Read{})
		plan := []matomo.Plan{matomo.PlanPerson(person("alice", "1:view"), a, policy())}
		start := time.Now()
		ctx := matomo.WithBefore(context.Background(), func() error {
			if time.Since(start) > time.Second {
				return context.DeadlineExceeded
			}
			return nil
		})
		b.ResetCalls()
		r := b.c.Apply(ctx, plan)[0]
		if time.Since(start) < time.Second {
			t.Fatal("nothing had to wait")
		}
		if n := b.Requests(); n != 0 || !errors.Is(r.Err, context.DeadlineExceeded) {
			t.Errorf("%d requests, error %v; want none and the caller's refusal", n, r.Err)
		}
		for _, s := range r.Steps {
			if s.Sent || s.Uncertain || matomo.KindOf(s.Err) != matomo.Skipped {
				t.Errorf("step %+v", s)
			}
		}
	})
}
