package course

import "time"

// settleCeiling bounds how long a person who is changed again and again may
// keep access that no group gives them any more.
const settleCeiling = 60 * time.Second

// settleUntil tells until when a reduction that comes from memberships only
// has to wait: settle after the last change, restarted by each change, at most
// settleCeiling after the first one. "Removed from A now, added to B a minute
// later" is one move, and the person keeps what both have (I5). The zero time
// means that nothing has to wait any more.
func settleUntil(first, last, now time.Time, settle time.Duration) time.Time {
	if settle <= 0 || first.IsZero() {
		return time.Time{}
	}
	until := last.Add(settle)
	if ceiling := first.Add(settleCeiling); ceiling.Before(until) {
		until = ceiling
	}
	if !until.After(now) {
		return time.Time{}
	}
	return until
}
