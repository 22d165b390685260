package auth

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Two limits with different aims. That of a credential keeps one provider from taking the
// bridge away from the others, and is told to whoever it concerns. That of an address is
// about those who have no credential at all, and must not become a way to keep out the
// ones who have: so it is asked only after a token has turned out to be wrong.

// rates limits the requests of each credential of a source.
type rates struct {
	limit rate.Limit

	mu sync.Mutex // guards by
	by map[string]*rate.Limiter
}

// newRates returns the limits of all credentials; each gets its own allowance.
func newRates(perSecond float64) *rates {
	return &rates{limit: rate.Limit(perSecond), by: map[string]*rate.Limiter{}}
}

// take takes one request of the credential's allowance, or says how long to wait
// for one. Credentials are known by then, so the map holds no more than there are.
func (r *rates) take(credential string) time.Duration {
	if r.limit <= 0 {
		return 0
	}
	r.mu.Lock()
	l := r.by[credential]
	if l == nil {
		l = rate.NewLimiter(r.limit, max(1, int(math.Ceil(2*float64(r.limit)))))
		r.by[credential] = l
	}
	r.mu.Unlock()
	return takeOne(l)
}

// takeOne takes one, or says how long to wait for it. Reserve says so, which Allow
// does not; a reservation that is not used is given back.
func takeOne(l *rate.Limiter) time.Duration {
	res := l.Reserve()
	wait := res.Delay()
	if wait > 0 {
		res.Cancel()
	}
	return wait
}

// maxGuessers bounds the memory of guesses. Beyond it, newcomers share one allowance:
// whoever has so many addresses is slowed down as one.
const maxGuessers = 10_000

// guesses slows down addresses that send wrong tokens. It never looks at requests
// with a right one.
type guesses struct {
	limit rate.Limit
	burst int

	mu     sync.Mutex // guards the fields below
	by     map[netip.Prefix]*rate.Limiter
	others *rate.Limiter
	swept  time.Time
}

// newGuesses allows so many a minute to each address, all of them at once if need be.
func newGuesses(perMinute int) *guesses {
	g := &guesses{limit: rate.Limit(float64(perMinute) / 60), burst: perMinute, by: map[netip.Prefix]*rate.Limiter{}}
	g.others = rate.NewLimiter(g.limit, g.burst)
	return g
}

// take notes a wrong token from an address. It says how long the address should wait,
// zero when it need not.
func (g *guesses) take(addr netip.Addr) time.Duration {
	if g.burst <= 0 {
		return 0
	}
	return takeOne(g.limiter(network(addr)))
}

// network is whom guesses are counted for: an IPv4 address, or the /64 that one
// customer has of IPv6 (RFC 6177).
func network(addr netip.Addr) netip.Prefix {
	const customer = 64
	p, _ := addr.Prefix(min(addr.BitLen(), customer)) // the zero address gives the zero prefix
	return p
}

// limiter returns the allowance of a network.
func (g *guesses) limiter(from netip.Prefix) *rate.Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.by[from]; l != nil {
		return l
	}
	if len(g.by) >= maxGuessers {
		g.sweepLocked()
	}
	if len(g.by) >= maxGuessers {
		return g.others
	}
	l := rate.NewLimiter(g.limit, g.burst) // full, as the one of a forgotten address would be
	g.by[from] = l
	return l
}

// sweepLocked forgets whoever has the whole allowance again, at most once a second.
func (g *guesses) sweepLocked() {
	now := time.Now()
	if now.Sub(g.swept) < time.Second {
		return
	}
	g.swept = now
	for from, l := range g.by {
		if l.TokensAt(now) >= float64(g.burst) {
			delete(g.by, from)
		}
	}
}
