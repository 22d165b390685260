package auth

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// A refusal has two readers. The client gets a status, a challenge and one sentence that
// is the same for every secret that does not work: whoever found one somewhere must not
// learn whether it is expired, revoked, or good from another address. The administrator
// gets the reason in the log, in a metric and, when the source is known, in its journal.

// Reason says why a request was refused. It is the value of a metric label.
type Reason string

// The reasons.
const (
	ReasonMissing     Reason = "missing"     // no Authorization header, two of them, or a scheme that is off everywhere
	ReasonEmpty       Reason = "empty"       // a scheme without anything behind it
	ReasonUnknown     Reason = "unknown"     // no live credential has this secret
	ReasonExpired     Reason = "expired"     // the credential's, or the token's, time is over
	ReasonCIDR        Reason = "cidr"        // from an address that the credential may not be used from
	ReasonScope       Reason = "scope"       // the credential may not do this
	ReasonSource      Reason = "source"      // its source is not configured
	ReasonScheme      Reason = "scheme"      // its source does not take HTTP Basic
	ReasonJWT         Reason = "jwt"         // a JWT that is not signed by a known issuer
	ReasonAudience    Reason = "audience"    // a JWT for another service, or of a client that is not named
	ReasonUnavailable Reason = "unavailable" // a JWT that cannot be verified: its issuer does not answer
	ReasonGuesses     Reason = "guesses"     // too many wrong tokens from one address
	ReasonRate        Reason = "rate"        // too many requests; has a metric of its own
)

// failures are the reasons that the failure metric counts.
func failures() []Reason {
	return []Reason{
		ReasonMissing, ReasonEmpty, ReasonUnknown, ReasonExpired, ReasonCIDR, ReasonScope, ReasonSource, ReasonScheme,
		ReasonJWT, ReasonAudience, ReasonUnavailable, ReasonGuesses,
	}
}

// guess says whether the request looked like somebody trying secrets.
func (r Reason) guess() bool { return r == ReasonUnknown || r == ReasonJWT }

// Error refuses a request.
type Error struct {
	Reason Reason
	// Status is 401, 403, 429 or 503.
	Status int
	// Why says more, to an administrator. It never holds a secret.
	Why string
	// RetryAfter is when to come again; zero when it makes no difference.
	RetryAfter time.Duration
	// Address is where the request came from, when that is known.
	Address netip.Addr
}

// Error is for the log: it says why, and where from.
func (e *Error) Error() string {
	text := "refused: " + string(e.Reason)
	if e.Why != "" {
		text += ": " + e.Why
	}
	if e.Address.IsValid() {
		text += " (from " + e.Address.String() + ")"
	}
	return text
}

// Detail is for the client. It says what to do, and nothing that helps to guess:
// a wrong, an expired and a misused secret are answered alike.
func (e *Error) Detail() string {
	switch e.Status {
	case http.StatusForbidden:
		return e.Why // the client is known, and may know what it lacks
	case http.StatusTooManyRequests:
		return "too many requests"
	case http.StatusServiceUnavailable:
		return "the token cannot be verified now: its issuer does not answer"
	}
	return "a valid credential is required"
}

// Headers sets what belongs to the refusal: how to sign in (RFC 9110 section
// 11.6.1) and when to come again, in whole seconds, because Okta ignores a date.
func (a *Authenticator) Headers(h http.Header, e *Error) {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
		return
	}
	challenge, code := `Bearer realm="scim"`, ""
	// RFC 6750 section 3: no error code for a request that lacks credentials.
	switch {
	case e.Status == http.StatusForbidden:
		code = "insufficient_scope"
	case e.Reason != ReasonMissing && e.Reason != ReasonEmpty:
		code = "invalid_token"
	}
	if code != "" {
		challenge += fmt.Sprintf(", error=%q", code)
	}
	h.Set("WWW-Authenticate", challenge)
	if a.basic && e.Status == http.StatusUnauthorized {
		h.Add("WWW-Authenticate", `Basic realm="scim", charset="UTF-8"`)
	}
}

// quoted is a claim of a verified token, fit for a log line.
func quoted(claim string) string {
	const most = 100
	if len(claim) > most {
		claim = strings.ToValidUTF8(claim[:most], "") + "..."
	}
	return fmt.Sprintf("%q", claim)
}
