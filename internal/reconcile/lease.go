package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Times of a lease (DESIGN section 2). A write takes at most the client's
// timeout of 20 s, so one that is sent with more than that left has ended
// before anybody else can claim the binding.
const (
	leaseFor    = 30 * time.Second
	renewEvery  = 10 * time.Second
	leaseNeeded = 20 * time.Second
)

// errLeaseShort stops a pass that could not renew its lease.
var errLeaseShort = errors.New("lease has too little time left for a write")

// Three things keep two writers from one login. The lease in the row lets one
// worker at a time claim a binding. It is renewed while a pass runs, and only while
// it has not run out. And a write is sent only with more time left than it can
// take, so that it has ended before anybody else may begin.

// lease is the claim of one pass on its bindings.
type lease struct {
	id string

	mu    sync.Mutex // guards until
	until time.Time
}

// extend notes that the lease now holds until the given time.
func (l *lease) extend(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
}

// enough is asked before every write. Both clocks are asked: the monotonic one
// stands still while the machine sleeps, and the other one may be set back.
func (l *lease) enough() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Until(l.until) <= leaseNeeded || l.until.Round(0).Sub(time.Now().Round(0)) <= leaseNeeded {
		return errLeaseShort
	}
	return nil
}

// keepLease renews the lease of the pass until the returned function is called.
func (p *pass) keepLease(ctx context.Context) (stop func()) {
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
			until := time.Now().Add(leaseFor)
			held, err := p.opt.Bindings.Renew(ctx, p.lease.id, until)
			switch {
			case err != nil && ctx.Err() == nil:
				// The lease runs out by itself, and enough refuses further writes.
				p.log.Warn("renew lease", zap.String("target", p.t.Name), zap.Error(err))
			case held:
				p.lease.extend(until)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
