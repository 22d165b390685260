package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/matomo"
)

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
// next due time, or the end of a pause.
func (e *Engine) work(ctx context.Context, t *target, l lane) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake[l]:
		case <-timer.C:
		}
		timer.Reset(e.turn(ctx, t, l))
	}
}

// turn runs passes until nothing is due and returns how long to wait.
func (e *Engine) turn(ctx context.Context, t *target, l lane) time.Duration {
	component := "reconcile/" + t.Name + "/" + l.String()
	for ctx.Err() == nil {
		done, wait, err := t.breaker.allow(time.Now())
		if err != nil {
			e.opt.Report(component, "ok", "waiting for "+t.Name+" to answer again", "", heartbeatValid)
			return wait
		}
		n, err := e.pass(ctx, t, l, "event")
		done(err)
		e.account(t, n, err)
		if err != nil && ctx.Err() == nil {
			e.reportFailure(t, l, component, err)
			return pollEvery
		}
		if n == 0 {
			e.opt.Report(component, "ok", "", "", heartbeatValid)
			return pollEvery
		}
	}
	return pollEvery
}

// account keeps the target's failure count and its two timestamps: attempt and
// success are two metrics.
func (e *Engine) account(t *target, n int, err error) {
	if n == 0 && err == nil {
		return
	}
	now := float64(time.Now().Unix())
	e.m.lastRun.WithLabelValues(t.Name).Set(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failures++
	} else {
		t.failures = 0
		e.m.lastSuccess.WithLabelValues(t.Name).Set(now)
		e.opt.Report("matomo/"+t.Name, "ok", "", "", 0)
	}
	e.m.failures.WithLabelValues(t.Name).Set(float64(t.failures))
}

// reportFailure tells people once what is wrong with a target and what to do.
func (e *Engine) reportFailure(t *target, l lane, component string, err error) {
	if f := targetFailure(err); f != nil {
		e.opt.Report("matomo/"+t.Name, "down", f.Error(), remedy(f.Kind), 0)
		e.opt.Report(component, "ok", "everything stays due until "+t.Name+" answers", "", heartbeatValid)
		e.log.Warn("target does not do as asked; everything stays due",
			zap.String("target", t.Name), zap.String("kind", string(f.Kind)), zap.String("remedy", remedy(f.Kind)), zap.Error(err))
		return
	}
	e.opt.Report(component, "degraded", err.Error(), "look at the log", heartbeatValid)
	e.log.Error("pass", zap.String("target", t.Name), zap.Stringer("lane", l), zap.Error(err))
}

// remedy says what a person can do about a failure of the whole instance.
func remedy(kind matomo.ErrorKind) string {
	switch kind {
	case matomo.BadToken:
		return "put a working token_auth of the bridge's superuser into token_file; it is read again when the file changes"
	case matomo.NoPermission:
		return "make the bridge's login a superuser in Matomo"
	case matomo.WrongPassword:
		return "put the bridge's Matomo password into password_file; it is read again when the file changes"
	case matomo.SecretMissing:
		return "make the secret file readable for the service"
	case matomo.LockedOut:
		return "Matomo refuses logins from the bridge's address: put it on Matomo's allow list, or wait an hour"
	case matomo.Maintenance:
		return "end Matomo's maintenance mode"
	case matomo.Redirected:
		return "set the target's url to where Matomo really answers"
	case matomo.IPRefused:
		return "put the bridge's address on login_allowlist_ip in Matomo"
	case matomo.UsersDisabled:
		return "set enable_users_admin = 1 in Matomo's configuration"
	case matomo.RateLimited:
		return "lower requests_per_minute of the target"
	default:
		return "see whether Matomo, its database and the network are up"
	}
}

// Drain runs passes over every target until nothing is due that could be done
// now, and returns the number of bindings that were worked. It is what the
// commands use that run without a service, and what tests step with.
func (e *Engine) Drain(ctx context.Context) (int, error) {
	total := 0
	var errs []error
	for _, t := range e.targets {
		for l := range lanes {
			n, err := e.drain(ctx, t, l)
			total += n
			if err != nil {
				errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
				break
			}
		}
	}
	return total, errors.Join(errs...)
}

// drain runs passes of one lane until one finds nothing.
func (e *Engine) drain(ctx context.Context, t *target, l lane) (int, error) {
	total := 0
	for {
		n, err := e.pass(ctx, t, l, "manual")
		e.account(t, n, err)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}
