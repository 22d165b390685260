package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/reconcile/lease"
)

// rows answers renewals.
type rows struct {
	asked atomic.Int32
	held  bool
	err   error
	takes time.Duration
}

func (r *rows) Renew(context.Context, string, time.Time) (bool, error) {
	r.asked.Add(1)
	time.Sleep(r.takes)
	return r.held, r.err
}

func TestLease_EnoughUntilAWriteCouldOutliveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lease.Lease
		if err := l.Enough(); !errors.Is(err, lease.ErrShort) {
			t.Errorf("no claim: %v", err)
		}
		l.Extend(time.Now().Add(lease.For))
		time.Sleep(10*time.Second - time.Nanosecond)
		if err := l.Enough(); err != nil {
			t.Errorf("with more than 20 s left: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := l.Enough(); !errors.Is(err, lease.ErrShort) {
			t.Errorf("with 20 s left: %v", err)
		}
	})
}

func TestLease_KeepRenewsWhileThePassRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{held: true}
		l := lease.Lease{ID: "pass"}
		l.Extend(time.Now().Add(lease.For))
		stop := l.Keep(t.Context(), r, zap.NewNop())
		time.Sleep(time.Hour + time.Second)
		if err := l.Enough(); err != nil || r.asked.Load() != 720 {
			t.Errorf("after an hour: %v, renewed %d times", err, r.asked.Load())
		}
		stop()
		time.Sleep(time.Minute)
		if err := l.Enough(); err == nil || r.asked.Load() != 720 {
			t.Errorf("after the end: %v, renewed %d times", err, r.asked.Load())
		}
	})
}

// A database that is slow to answer must not stop a pass that holds its lease.
func TestLease_WritesGoOnDuringARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lease.Lease{ID: "pass"}
		l.Extend(time.Now().Add(lease.For))
		defer l.Keep(t.Context(), &rows{held: true, takes: 4 * time.Second}, zap.NewNop())()
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if err := l.Enough(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestLease_ARenewalThatFailsLetsItRunOut(t *testing.T) {
	for name, r := range map[string]*rows{"lost": {}, "database": {err: errors.New("no answer")}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.WarnLevel)
				var l lease.Lease
				l.Extend(time.Now().Add(lease.For))
				defer l.Keep(t.Context(), r, zap.New(core))()
				time.Sleep(11 * time.Second)
				if err := l.Enough(); !errors.Is(err, lease.ErrShort) {
					t.Errorf("error %v", err)
				}
				if said := logs.Len() > 0; said != (r.err != nil) {
					t.Errorf("%d warnings", logs.Len())
				}
			})
		})
	}
}
