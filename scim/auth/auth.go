// Package auth says who makes a SCIM request: a credential of the directory, as
// bearer token or with HTTP Basic, or a JWT of a configured issuer.
//
// Rules of this package:
//
//   - What is not understood is refused. No answer tells a stranger why; reason and address are in the log and in
//     a metric.
//   - A secret is looked for in the Authorization header alone, never in a URL (RFC 7644 section 7.5.2), and never
//     gets into an error, a log line or a label.
//   - A live credential is never locked out by the failures of others, even from the same address: guesses are slowed
//     down, and 256 random bits do the rest.
//   - A JWT is believed only after its signature was verified with a key of its issuer. An issuer that cannot be
//     reached changes nothing for a while (cached keys), and then nobody gets in: it never means "unverified".
package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/internal/directory"
)

// Source is how the clients of one source may sign in.
type Source struct {
	// Basic lets them send name and secret with HTTP Basic (RFC 7617) too. It is off
	// unless asked for: browsers and proxies keep and repeat such a header.
	Basic bool
	// JWT is the issuer whose tokens speak for the source; nil for none.
	JWT *JWT
	// RequestsPerSecond is how many requests each credential may make, with bursts
	// of two seconds' worth. Zero means no limit.
	RequestsPerSecond float64
}

// Options configures New. Directory, Sources and Registerer are required.
type Options struct {
	// Directory holds the credentials.
	Directory *directory.Store
	// Sources are the configured sources by name. A credential of any other source
	// is refused.
	Sources map[string]Source
	// TrustedProxies are the proxies whose word about the client's address counts.
	TrustedProxies []netip.Prefix
	// GuessesPerMinute is how many wrong tokens an address may send before it is
	// answered 429. Zero means no limit. Guessing 256 bits is hopeless anyway; the
	// limit keeps whoever tries from filling the log.
	GuessesPerMinute int
	// Client talks to the issuers; nil is a plain one. Time limits are set here.
	Client *http.Client
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
}

// Identity is who makes a request.
type Identity struct {
	// Name is what log and audit call them: the credential's name, or "jwt:" and
	// the client's id.
	Name string
	// Source is the configured source they speak for.
	Source string
	// Scopes are what they may do.
	Scopes directory.Scopes

	credential string // its id; empty for a JWT
}

// account is what the rate limit counts for.
func (who Identity) account() string {
	if who.credential != "" {
		return who.credential
	}
	return who.Name
}

// Authenticator says who makes a request. Its methods may be called concurrently.
type Authenticator struct {
	opt Options
	// basic says that some source has HTTP Basic: only then is the header looked at,
	// and the scheme named in a challenge.
	basic   bool
	issuers issuers
	rates   map[string]*rates // by source, one for each, so the map is never written
	guesses *guesses
	metrics *metrics
}

// New returns an authenticator. Nothing is asked of an issuer before its first
// token comes. An error says which source's configuration is wrong.
func New(opt Options) (*Authenticator, error) {
	if opt.Directory == nil || opt.Registerer == nil {
		return nil, errors.New("auth: Directory and Registerer are required")
	}
	a := &Authenticator{opt: opt, rates: map[string]*rates{}, guesses: newGuesses(opt.GuessesPerMinute)}
	names := slices.Sorted(maps.Keys(opt.Sources))
	for _, name := range names {
		src := opt.Sources[name]
		a.basic = a.basic || src.Basic
		a.rates[name] = newRates(src.RequestsPerSecond)
		if src.JWT == nil {
			continue
		}
		if err := src.JWT.check(); err != nil {
			return nil, fmt.Errorf("auth: source %q: %w", name, err)
		}
		a.issuers.add(name, *src.JWT, opt.Client)
	}
	a.metrics = newMetrics(opt.Registerer, names, opt.Directory)
	return a, nil
}

// Identify returns who makes the request, or an *Error that refuses it; any other
// error is internal. The source is told even with an *Error, once it is known and
// configured: a refusal is its business too.
func (a *Authenticator) Identify(r *http.Request) (who Identity, err error) {
	who, err = a.identify(r)
	if err == nil {
		err = a.admit(r.Context(), who)
	}
	refusal, ok := errors.AsType[*Error](err)
	if !ok {
		return who, err
	}
	refusal.Address = a.Address(r)
	// A guess is something that was sent and is nobody's. Who is known does not
	// guess, and who sends nothing learns nothing.
	if refusal.Reason.guess() {
		if wait := a.guesses.take(guesser(r, refusal.Address)); wait > 0 {
			refusal = &Error{Reason: ReasonGuesses, Status: http.StatusTooManyRequests, RetryAfter: wait, Address: refusal.Address}
		}
	}
	if refusal.Reason != ReasonRate {
		a.metrics.failed(refusal.Reason)
	}
	return who, refusal
}

// admit takes one request of the allowance of whoever may come in, and notes the use
// of the credential.
func (a *Authenticator) admit(ctx context.Context, who Identity) error {
	if wait := a.rates[who.Source].take(who.account()); wait > 0 {
		a.metrics.limited(who.Source)
		return &Error{Reason: ReasonRate, Status: http.StatusTooManyRequests, RetryAfter: wait}
	}
	if who.credential != "" {
		a.opt.Directory.UseCredential(ctx, who.credential)
	}
	return nil
}

// identify is Identify without limits and without counting.
func (a *Authenticator) identify(r *http.Request) (Identity, error) {
	// The scheme and the form decide which way a token goes, so each has one way to be
	// right: a JWT is never looked up as a secret, and no secret is parsed as a JWT.
	given, reason := parse(r.Header.Values("Authorization"), a.basic)
	switch {
	case reason != "":
		return Identity{}, refuse(reason, "")
	case given.looksLikeJWT() && !a.issuers.empty():
		return a.byJWT(r, given.secret)
	}
	return a.bySecret(r, given)
}

// bySecret finds the credential of the secret and checks all that bounds it.
func (a *Authenticator) bySecret(r *http.Request, given presented) (Identity, error) {
	// The secret comes first, whatever name was sent with it: looking a name up would
	// tell by its time which names there are.
	c, err := a.opt.Directory.Authenticate(r.Context(), given.secret)
	expired := errors.Is(err, directory.ErrExpiredCredential)
	switch {
	case errors.Is(err, directory.ErrUnknownCredential):
		return Identity{}, refuse(ReasonUnknown, "")
	case err != nil && !expired:
		return Identity{}, err
	case !given.isOf(c.Name):
		return Identity{}, refuse(ReasonUnknown, "the secret is another credential's")
	}
	// From here on the client has proved whom it speaks for: refusals may be counted
	// for its source, and explained in its journal.
	who := Identity{Name: c.Name, Source: c.Source, Scopes: c.Scopes, credential: c.ID}
	src, ok := a.opt.Sources[c.Source]
	switch {
	// A source that was taken out of the configuration has no say any more, even
	// while its credentials still live in the database.
	case !ok:
		return Identity{Name: c.Name}, refuse(ReasonSource, fmt.Sprintf("no source is called %q any more", c.Source))
	case expired:
		return who, refuse(ReasonExpired, "since "+c.Expires.Format(time.RFC3339))
	case given.basic && !src.Basic:
		return who, refuse(ReasonScheme, "HTTP Basic is off for this source")
	}
	return who, a.checkAddress(r, c.CIDRs)
}

// byJWT verifies the token and finds the source that it speaks for.
func (a *Authenticator) byJWT(r *http.Request, raw string) (Identity, error) {
	t, err := a.issuers.verify(r.Context(), raw)
	who := Identity{Source: t.source, Scopes: t.scopes}
	// The prefix keeps a client's id apart from a credential of the same name.
	if t.client != "" {
		who.Name = "jwt:" + t.client
	}
	if err != nil {
		return who, err
	}
	return who, a.checkAddress(r, t.cidrs)
}

// checkAddress refuses a request from outside of the blocks.
func (a *Authenticator) checkAddress(r *http.Request, blocks []netip.Prefix) error {
	if len(blocks) == 0 {
		return nil
	}
	if addr := a.Address(r); !directory.Within(blocks, addr) {
		return refuse(ReasonCIDR, fmt.Sprintf("it may be used from %v only", blocks))
	}
	return nil
}

// Allow says whether the identity may read, or write, a kind of resource: users,
// groups, discovery, bulk or another one, which needs what users and groups both
// need. The error is an *Error with status 403. For an operation of a bulk request
// it is asked again.
func (a *Authenticator) Allow(who Identity, resource string, write bool) error {
	if who.Scopes.Allows(resource, write) {
		return nil
	}
	a.metrics.failed(ReasonScope)
	deed := "read"
	if write {
		deed = "write"
	}
	return &Error{
		Reason: ReasonScope, Status: http.StatusForbidden,
		Why: fmt.Sprintf("the credential may not %s %s; its scopes are %q", deed, resource, who.Scopes),
	}
}

// refuse is a refusal with status 401; why is for the log.
func refuse(reason Reason, why string) *Error {
	return &Error{Reason: reason, Status: http.StatusUnauthorized, Why: why}
}
