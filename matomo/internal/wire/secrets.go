package wire

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"time"
)

// secret is a token or password that is read anew on every use and, once Matomo
// refused it, not used again until its value changes: twenty wrong ones within
// an hour lock our address out of Matomo altogether.
type secret struct {
	name string // token or password, for messages
	kind ErrorKind
	read func() (string, error) // nil: not configured
	salt [32]byte               // so that the fingerprints kept in memory are of no use elsewhere
	turn chan struct{}          // holds one element while a value that is not proven is being tried

	mu sync.Mutex // guards what follows
	// refused is the fingerprint of the value Matomo refused; it counts while
	// isBad is set.
	refused [32]byte
	isBad   bool
	// proven is the fingerprint of the value Matomo accepted last, at provenAt.
	proven   [32]byte
	provenAt time.Time
}

// newSecret makes a secret that read provides; kind is that of the error with
// which Matomo refuses it.
func newSecret(name string, kind ErrorKind, read func() (string, error)) *secret {
	s := &secret{name: name, kind: kind, read: read, turn: make(chan struct{}, 1)}
	_, _ = rand.Read(s.salt[:]) // never fails: crypto/rand ends the program instead
	return s
}

// configured reports whether there is such a secret at all.
func (s *secret) configured() bool { return s.read != nil }

// value reads the secret. A value that Matomo refused is not given out; its
// error has the kind of that refusal.
func (s *secret) value(method string) (string, error) {
	if s.read == nil {
		return "", &Error{Kind: NeedsPassword, Method: method, Message: "no " + s.name + " is configured"}
	}
	v, err := s.read()
	if err != nil {
		return "", &Error{Kind: SecretMissing, Method: method, Message: "the " + s.name + " cannot be read", Err: err}
	}
	v = strings.TrimRight(v, "\r\n")
	if v == "" {
		return "", &Error{Kind: SecretMissing, Method: method, Message: "the " + s.name + " is empty"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isBad {
		if s.fingerprint(v) == s.refused {
			return "", &Error{Kind: s.kind, Method: method, Message: "Matomo refused this " + s.name + "; it is not used again until it changes"}
		}
		s.isBad = false
	}
	return v, nil
}

// Requests run side by side. Were all of them given a new value at once, a wrong one would be sent as
// many times before the first refusal is back.

// use gives out the secret for one request, which calls done when its answer has been judged. A value
// that Matomo has not accepted yet is tried by one request at a time; the others wait for what
// becomes of it.
func (s *secret) use(ctx context.Context, method string) (v string, done func(), err error) {
	if v, err = s.value(method); err != nil || s.isProven(v) {
		return v, func() {}, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return "", nil, &Error{Kind: RateLimited, Method: method, Message: "waiting for Matomo to accept the " + s.name, Err: ctx.Err()}
	}
	done = func() { <-s.turn }
	if v, err = s.value(method); err != nil || s.isProven(v) {
		done()
		done = func() {}
	}
	return v, done, err
}

// isProven reports whether Matomo accepted v, however long ago.
func (s *secret) isProven(v string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.provenAt.IsZero() && s.proven == s.fingerprint(v)
}

// reject remembers that Matomo refused v. It reports whether that is news.
func (s *secret) reject(v string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fingerprint(v)
	news := !s.isBad || s.refused != f
	s.isBad, s.refused, s.provenAt = true, f, time.Time{}
	return news
}

// prove remembers that Matomo accepted v just now.
func (s *secret) prove(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proven, s.provenAt = s.fingerprint(v), time.Now()
}

// provenWithin reports whether Matomo accepted v not longer than d ago.
func (s *secret) provenWithin(v string, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.provenAt.IsZero() && time.Since(s.provenAt) <= d && s.proven == s.fingerprint(v)
}

// bad reports whether the value that is there now is one Matomo refused.
func (s *secret) bad() bool {
	_, err := s.value("")
	return KindOf(err) == s.kind && s.configured()
}

// fingerprint is what is kept of a value.
func (s *secret) fingerprint(v string) [32]byte {
	return sha256.Sum256(append(s.salt[:], v...))
}
