// Package lease is the claim of one pass on its bindings, as the pass sees it.
//
// Three things keep two writers from one login. The lease in the row lets one worker at a
// time claim a binding. It is renewed while a pass runs, and only while it has not run out.
// And a write is sent only with more time left than it can take, so that it has ended before
// anybody else may begin.
package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Times of a lease (DESIGN section 2). A write takes at most the client's timeout of 20 s, so
// one that is sent with more than that left has ended before anybody else can claim the
// binding. That leaves 10 s in which writes are sent. Renewing only at their end would forbid
// writes for as long as the renewal takes, so it comes in their middle.
const (
	// For is how long a claim holds without renewal.
	For        = 30 * time.Second
	renewEvery = 5 * time.Second
	needed     = 20 * time.Second
)

// ErrShort stops a pass that could not renew its lease.
var ErrShort = errors.New("lease has too little time left for a write")

// Renewer extends a lease in the rows. It returns false when there is nothing left to extend.
type Renewer interface {
	Renew(ctx context.Context, lease string, until time.Time) (held bool, err error)
}

// Lease is the claim of one pass. The zero value is no claim: Enough refuses.
type Lease struct {
	// ID names the pass in the rows; empty for one that only looks.
	ID string

	mu    sync.Mutex // guards until
	until time.Time
}

// Extend notes that the lease now holds until the given time.
func (l *Lease) Extend(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
}

// Enough is asked before every write; ErrShort forbids it. Both clocks are asked: the
// monotonic one stands still while the machine sleeps, and the other one may be set back.
func (l *Lease) Enough() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Until(l.until) <= needed || l.until.Round(0).Sub(time.Now().Round(0)) <= needed {
		return ErrShort
	}
	return nil
}

// Keep renews the lease until the returned function is called, which waits for a renewal that
// is on its way. A renewal that fails is logged: the lease runs out by itself, and Enough
// refuses further writes.
func (l *Lease) Keep(ctx context.Context, rows Renewer, log *zap.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(renewEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			until := time.Now().Add(For)
			held, err := rows.Renew(ctx, l.ID, until)
			switch {
			case err != nil && ctx.Err() == nil:
				log.Warn("renew lease", zap.Error(err))
			case held:
				l.Extend(until)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
