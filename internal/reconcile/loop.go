package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/ruleset"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/matomo"
)

// Waking up is a hint and never a message: a worker that wakes looks at the rows,
// and one that nobody wakes looks every second. What ends a turn early is a target
// that is paused, or a failure of our own; then even a wake-up waits, because
// giving back what was claimed is one itself.

// lane is one of the two workers of a target. Leavers have their own, so that
// a thousand joiners never stand before them.
type lane int

const (
	leaverLane lane = iota
	normalLane
	lanes
)

// String names the lane for logs and health.
func (l lane) String() string {
	if l == leaverLane {
		return "leavers"
	}
	return "changes"
}

// priorities is the range of binding priorities that the lane claims.
func (l lane) priorities() (lowest, highest bindings.Priority) {
	if l == leaverLane {
		return bindings.PriorityLeaver, bindings.PriorityLeaver
	}
	return bindings.PriorityNormal, bindings.PriorityLow
}

// context marks ctx so that the client gives leavers the full request rate.
func (l lane) context(ctx context.Context) context.Context {
	if l == leaverLane {
		return matomo.WithLane(ctx, matomo.Leavers)
	}
	return ctx
}

const (
	// pollEvery bounds how long a due row waits when nobody called Wake:
	// another process wrote it, or a due time came.
	pollEvery = time.Second
	// gatherFor is how long a worker lets changes gather before it looks at them:
	// providers send them one by one, and each pass is two transactions that the
	// next request would wait for, and at least one request to Matomo. Leavers are
	// looked at at once.
	gatherFor = 25 * time.Millisecond
	// heartbeatValid is how long a worker's report counts; longer than the
	// longest pass.
	heartbeatValid = 3 * time.Minute
)

// Run works all targets until ctx is done: two workers each, one for leavers
// and one for everything else, and one that compares. It returns when all have
// stopped; leases of unfinished work are given back.
func (e *Engine) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, t := range e.targets {
		for l := range lanes {
			wg.Go(func() { e.work(ctx, t, l) })
		}
		if e.opt.FullCompare > 0 {
			wg.Go(func() { e.compareLoop(ctx, t) })
		}
	}
	wg.Wait()
}

// work is one worker: pass after pass, waiting in between for a wake-up, the
// next poll, or the end of a pause.
func (e *Engine) work(ctx context.Context, t *target, l lane) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	wake := t.wake[l]
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			l.gather(ctx)
		case <-timer.C:
		}
		wait, calm := e.turn(ctx, t, l)
		timer.Reset(wait)
		if wake = t.wake[l]; !calm {
			// Whatever wakes the worker cannot be done before the wait is over; and
			// giving back what was claimed is a wake-up itself.
			wake = nil
		}
	}
}

// turn runs passes until nothing is due and returns how long to wait; calm is
// false when nothing can be done before.
func (e *Engine) turn(ctx context.Context, t *target, l lane) (wait time.Duration, calm bool) {
	component := "reconcile/" + t.Name + "/" + l.String()
	e.noticePassword(ctx, t)
	for ctx.Err() == nil {
		done, wait, err := t.breaker.Allow(time.Now())
		if err != nil {
			e.opt.Report(component, "ok", "waiting for "+t.Name+" to answer again", "", heartbeatValid)
			return min(wait, time.Minute), false
		}
		went, err := e.pass(ctx, t, l, "event")
		switch {
		case ctx.Err() != nil, err == nil && !went.asked:
			done(vitals.ErrNotAsked) // stopping says nothing about the target
		default:
			done(err)
		}
		if ctx.Err() != nil {
			break
		}
		e.account(t, went, err)
		if err != nil {
			e.reportFailure(t, l, component, err)
			return pollEvery, false
		}
		e.opt.Report(component, "ok", "", "", heartbeatValid)
		if went.claimed == 0 {
			break
		}
		l.gather(ctx)
	}
	return pollEvery, true
}

// gather lets more changes come before they are looked at, except in the lane of
// leavers.
func (l lane) gather(ctx context.Context) {
	if l == leaverLane {
		return
	}
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// noticePassword makes those due who waited for the bridge's password, when there
// is one that Matomo has not refused: a new one needs no restart.
func (e *Engine) noticePassword(ctx context.Context, t *target) {
	has := t.Client.HasPassword()
	t.mu.Lock()
	news := has && !t.hadPassword
	t.hadPassword = has
	t.mu.Unlock()
	if !news {
		return
	}
	err := e.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return e.opt.Bindings.DueFor(ctx, tx, t.Name, course.ReasonPassword)
	})
	if err != nil && ctx.Err() == nil {
		e.log.Warn("look for people who wait for the password", zap.String("target", t.Name), zap.Error(err))
		t.mu.Lock()
		t.hadPassword = false // tried again at the next turn
		t.mu.Unlock()
	}
}

// account keeps the target's failure count and its two timestamps: attempt and
// success are two metrics.
func (e *Engine) account(t *target, went passed, err error) {
	failed := vitals.TargetFailure(err) != nil
	if !went.asked && !failed {
		return
	}
	now := float64(time.Now().Unix())
	e.m.LastRun.WithLabelValues(t.Name).Set(now)
	// A failure of our own, such as the database, is not the target's.
	t.mu.Lock()
	if t.failures++; !failed {
		t.failures = 0
	}
	e.m.Failures.WithLabelValues(t.Name).Set(float64(t.failures))
	t.mu.Unlock()
	if err != nil {
		return
	}
	e.m.LastSuccess.WithLabelValues(t.Name).Set(now)
	if err := t.Client.PasswordError(); err != nil {
		e.opt.Report("matomo/"+t.Name, "degraded", "what needs the bridge's password waits: "+err.Error(), vitals.Remedy(matomo.KindOf(err)), 0)
		return
	}
	e.opt.Report("matomo/"+t.Name, "ok", "", "", 0)
}

// reportFailure tells people once what is wrong with a target and what to do.
func (e *Engine) reportFailure(t *target, l lane, component string, err error) {
	if f := vitals.TargetFailure(err); f != nil {
		e.opt.Report("matomo/"+t.Name, "down", f.Error(), vitals.Remedy(f.Kind), 0)
		e.opt.Report(component, "ok", "everything stays due until "+t.Name+" answers", "", heartbeatValid)
		e.log.Warn("target does not do as asked; everything stays due",
			zap.String("target", t.Name), zap.String("kind", string(f.Kind)), zap.String("remedy", vitals.Remedy(f.Kind)), zap.Error(err))
		return
	}
	if errors.Is(err, ruleset.ErrNone) {
		e.opt.Report(component, "degraded", err.Error(), "activate rules: nothing is decided without", heartbeatValid)
		return
	}
	e.opt.Report(component, "degraded", err.Error(), "look at the log", heartbeatValid)
	e.log.Error("pass", zap.String("target", t.Name), zap.Stringer("lane", l), zap.Error(err))
}

// Drain runs passes over every target until nothing is due that could be done
// now, and returns the number of bindings that were worked. It is what the
// commands use that run without a service, and what tests step with.
func (e *Engine) Drain(ctx context.Context) (int, error) {
	total := 0
	var errs []error
	for _, t := range e.targets {
		e.noticePassword(ctx, t)
		n, err := e.drain(ctx, t)
		total += n
		if err != nil {
			errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
		}
	}
	return total, errors.Join(errs...)
}

// drain runs passes of both lanes until neither finds anything: what one does may
// make something due in the other.
func (e *Engine) drain(ctx context.Context, t *target) (int, error) {
	total := 0
	for {
		before := total
		for l := range lanes {
			went, err := e.pass(ctx, t, l, "manual")
			e.account(t, went, err)
			total += went.claimed
			if err != nil {
				return total, err
			}
		}
		if total == before {
			return total, nil
		}
	}
}
