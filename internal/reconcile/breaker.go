package reconcile

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/matomo-scim/bridge/matomo"
)

// breakerPause is how long a target that failed is left alone before one pass
// probes it.
const breakerPause = 5 * time.Second

// Longer pauses for failures that a quick retry makes worse or cannot mend.
// A refused token or password is not sent again at all: the client refuses by
// itself until the secret's file changes, and the probe costs no request.
var pauseFor = map[matomo.ErrorKind]time.Duration{
	matomo.LockedOut:     5 * time.Minute, // Matomo counts failures over 60 minutes
	matomo.Maintenance:   30 * time.Second,
	matomo.Redirected:    time.Minute,
	matomo.IPRefused:     time.Minute,
	matomo.UsersDisabled: time.Minute,
	matomo.NoPermission:  time.Minute,
}

// pauseMax bounds what a Retry-After is followed for: leavers wait meanwhile.
const pauseMax = 15 * time.Minute

// probeMax is the longest time between two probes of a target that is down: what a
// leaver may have to wait after it is back.
const probeMax = 30 * time.Second

// errNotAsked is the outcome of a pass that had nothing to ask the target, or was
// stopped: it says nothing about the target.
var errNotAsked = errors.New("target was not asked")

// errPaused says that a target is left alone for now.
var errPaused = errors.New("target is paused after a failure")

// breaker keeps a target that fails from being hammered: a circuit that opens
// with the first failure of the whole instance, and a pause that follows what
// Matomo asked for. It is safe for concurrent use.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[any]

	mu    sync.Mutex // guards what follows
	until time.Time  // not before
	row   int        // failures in a row
}

func newBreaker(name string, m *metrics) *breaker {
	return &breaker{circuit: gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1,
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 0 },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotAsked) },
		OnStateChange: func(name string, _, to gobreaker.State) {
			m.setCircuit(name, to.String())
		},
	})}
}

// allow asks whether a pass may talk to the target. When it may, done must be
// called with how it went (errNotAsked when nothing was learnt about the
// target); otherwise wait tells when to ask again.
func (b *breaker) allow(now time.Time) (done func(error), wait time.Duration, err error) {
	b.mu.Lock()
	wait = b.until.Sub(now)
	b.mu.Unlock()
	if wait > 0 {
		return nil, wait, errPaused
	}
	report, err := b.circuit.Allow()
	if err != nil {
		return nil, breakerPause / 5, errPaused
	}
	return func(failure error) {
		if e := targetFailure(failure); e != nil {
			b.pause(e)
			report(e)
			return
		}
		if errors.Is(failure, errNotAsked) {
			report(failure)
			return
		}
		b.mu.Lock()
		b.row = 0
		b.mu.Unlock()
		report(nil)
	}, 0, nil
}

// pause leaves the target alone for as long as the failure asks for; one that
// does not answer at all is asked ever more rarely.
func (b *breaker) pause(e *matomo.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := min(max(e.RetryAfter, pauseFor[e.Kind]), pauseMax)
	switch e.Kind {
	case matomo.Unreachable, matomo.ServerFailure, matomo.Malformed, matomo.RateLimited:
		pause = max(pause, min(breakerPause<<min(b.row, 8), probeMax))
	default:
	}
	b.row++
	b.until = time.Now().Add(pause)
}

// targetFailure returns err as the failure of a whole instance, nil when it is
// something else. A missing password is no failure of the target: the steps
// that need one wait, and the others go on.
func targetFailure(err error) *matomo.Error {
	e, ok := errors.AsType[*matomo.Error](err)
	if !ok || !e.Target() || e.Kind == matomo.NeedsPassword || e.Kind == matomo.WrongPassword {
		return nil
	}
	return e
}
