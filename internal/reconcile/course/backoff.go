package course

import (
	"math/rand/v2"
	"time"
)

// Back-off of one binding's own failures (DESIGN section 2): 5 s, doubled with
// each attempt, at most 15 minutes, with full jitter so that bindings that
// failed together do not come back together.
const (
	backoffBase = 5 * time.Second
	backoffCap  = 15 * time.Minute
)

// backoff returns how long a binding that has now failed attempts times waits
// before it is tried again. rnd gives a number in [0,1); nil means the
// process's own generator.
func backoff(attempts int, rnd func() float64) time.Duration {
	if rnd == nil {
		rnd = rand.Float64
	}
	ceiling := backoffCap
	if shift := attempts - 1; shift < 8 {
		ceiling = min(backoffCap, backoffBase<<max(shift, 0))
	}
	// At least a tenth of the ceiling: full jitter may otherwise come back at once.
	return max(ceiling/10, time.Duration(rnd()*float64(ceiling)))
}
