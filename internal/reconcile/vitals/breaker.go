// Package vitals is what can be seen of a target and how it is treated when it is
// unwell: the metrics of the loop and of the rows, the breaker that keeps a target
// that fails from being hammered, and what a person can do about a failure.
package vitals

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/matomo-scim/bridge/matomo"
)

// ProbePause is how long a target that failed is left alone before one pass
// probes it.
const ProbePause = 5 * time.Second

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

// ErrNotAsked is the outcome of a pass that had nothing to ask the target, or was
// stopped: it says nothing about the target.
var ErrNotAsked = errors.New("target was not asked")

// ErrPaused says that a target is left alone for now.
var ErrPaused = errors.New("target is paused after a failure")

// The breaker is asked before a pass claims anything and told afterwards how it
// went. It opens with the first failure of the whole instance: everything stays due
// in the rows, so there is nothing to lose by waiting, and a thousand people would
// only fail a thousand times. While it is open nothing is sent; then one pass
// probes, and only what that pass learnt closes it again.

// Breaker keeps a target that fails from being hammered: a circuit that opens
// with the first failure of the whole instance, and a pause that follows what
// Matomo asked for. It is safe for concurrent use.
type Breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[any]

	mu    sync.Mutex // guards what follows
	until time.Time  // not before
	row   int        // failures in a row
}

// NewBreaker returns a closed breaker for the target called name, whose state m
// shows.
func NewBreaker(name string, m *Metrics) *Breaker {
	return &Breaker{circuit: gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1,
		Timeout:     ProbePause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 0 },
		IsExcluded:  func(err error) bool { return errors.Is(err, ErrNotAsked) },
		OnStateChange: func(name string, _, to gobreaker.State) {
			m.SetCircuit(name, to.String())
		},
	})}
}

// Allow asks whether a pass may talk to the target. When it may, done must be
// called with how it went (ErrNotAsked when nothing was learnt about the
// target); otherwise wait tells when to ask again.
func (b *Breaker) Allow(now time.Time) (done func(error), wait time.Duration, err error) {
	b.mu.Lock()
	wait = b.until.Sub(now)
	b.mu.Unlock()
	if wait > 0 {
		return nil, wait, ErrPaused
	}
	report, err := b.circuit.Allow()
	if err != nil {
		return nil, ProbePause / 5, ErrPaused
	}
	return func(failure error) {
		if e := TargetFailure(failure); e != nil {
			b.pause(e)
			report(e)
			return
		}
		if errors.Is(failure, ErrNotAsked) {
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
func (b *Breaker) pause(e *matomo.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := min(max(e.RetryAfter, pauseFor[e.Kind]), pauseMax)
	switch e.Kind {
	case matomo.Unreachable, matomo.ServerFailure, matomo.Malformed, matomo.RateLimited:
		pause = max(pause, min(ProbePause<<min(b.row, 8), probeMax))
	default:
	}
	b.row++
	b.until = time.Now().Add(pause)
}

// TargetFailure returns err as the failure of a whole instance, nil when it is
// something else. A missing password is no failure of the target: the steps
// that need one wait, and the others go on.
func TargetFailure(err error) *matomo.Error {
	e, ok := errors.AsType[*matomo.Error](err)
	if !ok || !e.Target() || e.Kind == matomo.NeedsPassword || e.Kind == matomo.WrongPassword {
		return nil
	}
	return e
}

// Remedy says what a person can do about a failure of the whole instance.
func Remedy(kind matomo.ErrorKind) string {
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
