package scim

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/web"
)

// Authentication wraps everything, so that no path, method or encoding is routed, or
// told apart from another, before a live credential was shown (RFC 7644 section 2).
// A secret is looked up by its SHA-256 and compared in constant time.

// Why authentication failed: the values of a metric label.
const (
	reasonMissing = "missing" // no Authorization header, or another scheme
	reasonEmpty   = "empty"   // Bearer without a token
	reasonUnknown = "unknown" // no live credential has this secret
	reasonExpired = "expired"
	reasonScope   = "scope" // the credential's source is not configured
)

// authError refuses a request for want of a credential.
type authError struct{ reason string }

// Error says what is wrong without repeating what was sent.
func (e *authError) Error() string { return "authentication: " + e.reason }

// authenticate returns the session of the bearer token in the Authorization
// header. Nowhere else is one looked for: tokens do not belong into URLs (RFC
// 7644 section 7.5.2).
func (h *handler) authenticate(r *http.Request) (*session, error) {
	secret, reason := bearer(r.Header.Values("Authorization"))
	if reason != "" {
		return nil, h.refuse(reason)
	}
	c, err := h.dir.Authenticate(r.Context(), secret)
	switch {
	case errors.Is(err, directory.ErrUnknownCredential):
		return nil, h.refuse(reasonUnknown)
	case errors.Is(err, directory.ErrExpiredCredential):
		return nil, h.refuse(reasonExpired)
	case err != nil:
		return nil, err
	}
	in := web.InfoOf(r.Context())
	in.Credential = c.Name
	// A source that was taken out of the configuration has no say any more, even
	// while its credentials still live in the database.
	profile, ok := h.profiles[c.Source]
	if !ok {
		return nil, h.refuse(reasonScope)
	}
	// Only now: a label must come from the configuration.
	in.Source = c.Source
	h.metrics.seen(c.Source)
	if wait := h.rates.take(c.ID); wait > 0 {
		return nil, &rateError{after: wait}
	}
	return &session{
		actor:   directory.Actor{Credential: c.Name, Source: c.Source, RequestID: in.RequestID},
		profile: profile,
	}, nil
}

// refuse counts a refusal.
func (h *handler) refuse(reason string) error {
	h.metrics.authFailures.WithLabelValues(reason).Inc()
	return &authError{reason: reason}
}

// bearer returns the token of the one Authorization header, or why there is none.
func bearer(headers []string) (token, reason string) {
	// Two headers could mean two things to two readers, a proxy and this server.
	if len(headers) != 1 {
		return "", reasonMissing
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", reasonMissing
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", reasonEmpty
	}
	return token, ""
}

// rates limits the requests of each credential.
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
// for one.
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
	// Reserve says how long to wait, which Allow does not; a reservation that is
	// not used is given back.
	res := l.Reserve()
	wait := res.Delay()
	if wait > 0 {
		res.Cancel()
	}
	return wait
}
