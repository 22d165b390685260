package wire

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

// Lane says how urgent the requests under a context are.
type Lane int

// The lanes.
const (
	Normal  Lane = iota // 80 % of the requests per minute
	Leavers             // all of them: 20 % are kept for nothing else
)

type laneKey struct{}

// WithLane returns a context whose requests travel in the lane given.
func WithLane(ctx context.Context, l Lane) context.Context {
	return context.WithValue(ctx, laneKey{}, l)
}

// laneOf returns the lane of ctx; Normal when none was set.
func laneOf(ctx context.Context) Lane {
	l, _ := ctx.Value(laneKey{}).(Lane)
	return l
}

// lanes limits requests to a number per minute, of which a fifth is kept for
// leavers. Whatever the burst, no minute sees more than that number.
type lanes struct {
	shared *rate.Limiter // four fifths, for everybody
	kept   *rate.Limiter // one fifth, for leavers only
}

// newLanes returns nil when perMinute is 0: unlimited.
func newLanes(perMinute int) *lanes {
	if perMinute <= 0 {
		return nil
	}
	total := float64(perMinute)
	return &lanes{shared: bucket(total * 0.8), kept: bucket(total * 0.2)}
}

// bucket holds a tenth of a minute's requests at once; the rest is spread so
// that burst and refill add up to perMinute.
func bucket(perMinute float64) *rate.Limiter {
	burst := max(1, int(perMinute/10))
	refill := max(perMinute-float64(burst), perMinute/2)
	return rate.NewLimiter(rate.Limit(refill/60), burst)
}

// wait blocks until a request may be sent, or ctx ends; when ctx would end
// before, it returns at once.
func (l *lanes) wait(ctx context.Context) error {
	if l == nil {
		return ctx.Err()
	}
	if laneOf(ctx) != Leavers {
		if err := l.shared.Wait(ctx); err != nil {
			return fmt.Errorf("waiting for the request limit: %w", err)
		}
		return nil
	}
	// A leaver takes a place in both buckets and gives the later one back.
	now := time.Now()
	kept, shared := l.kept.ReserveN(now, 1), l.shared.ReserveN(now, 1)
	chosen, other := kept, shared
	if shared.DelayFrom(now) < kept.DelayFrom(now) {
		chosen, other = shared, kept
	}
	other.CancelAt(now)
	delay := chosen.DelayFrom(now)
	if end, ok := ctx.Deadline(); ok && now.Add(delay).After(end) {
		chosen.CancelAt(now)
		return fmt.Errorf("waiting for the request limit: %w", context.DeadlineExceeded)
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		chosen.Cancel()
		return fmt.Errorf("waiting for the request limit: %w", ctx.Err())
	}
}
