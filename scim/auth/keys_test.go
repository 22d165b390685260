package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/matomo-scim/bridge/scim/auth"
)

// inBubble runs a test in fake time with an issuer that has no network, and a door that trusts it.
func inBubble(t *testing.T, test func(t *testing.T, is *issuer, d *door)) {
	t.Helper()
	rsaKey() // made outside: it would take real time inside
	synctest.Test(t, func(t *testing.T) {
		is := &issuer{url: "https://login.example.com/"}
		is.client = &http.Client{Transport: is}
		is.publish(public("rsa", rsaKey().Public(), "RS256"))
		test(t, is, is.trust(t))
	})
}

// token is a JWT that the issuer signs now.
func (is *issuer) token(tb testing.TB, kid string, key *rsa.PrivateKey) string {
	tb.Helper()
	return "Bearer " + sign(tb, jose.RS256, kid, key, is.claims())
}

// wait lets fake time pass inside a bubble.
func wait(d time.Duration) { <-time.After(d) }

// TestKeys_Rotation: a key that is new works at once, one that was withdrawn stops within the hour.
func TestKeys_Rotation(t *testing.T) {
	next := must(rsa.GenerateKey(rand.Reader, 2048))
	inBubble(t, func(t *testing.T, is *issuer, d *door) {
		_, err := d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, "", 0)
		wait(time.Minute)
		is.publish(public("rsa", rsaKey().Public(), "RS256"), public("next", next.Public(), "RS256"))
		_, err = d.knock(t, is.token(t, "next", next))
		wantReason(t, err, "", 0)
		_, err = d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, "", 0)
		if n := is.fetches.Load(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
		is.publish(public("next", next.Public(), "RS256"))
		wait(time.Hour)
		_, err = d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, auth.ReasonJWT, http.StatusUnauthorized)
		_, err = d.knock(t, is.token(t, "next", next))
		wantReason(t, err, "", 0)
	})
}

// TestKeys_SameIDAnotherKey: an issuer that forgets to change the id is believed after the hour, not before.
func TestKeys_SameIDAnotherKey(t *testing.T) {
	next := must(rsa.GenerateKey(rand.Reader, 2048))
	inBubble(t, func(t *testing.T, is *issuer, d *door) {
		_, err := d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, "", 0)
		is.publish(public("rsa", next.Public(), "RS256"))
		_, err = d.knock(t, is.token(t, "rsa", next))
		wantReason(t, err, auth.ReasonJWT, http.StatusUnauthorized)
		wait(time.Hour)
		_, err = d.knock(t, is.token(t, "rsa", next))
		wantReason(t, err, "", 0)
	})
}

// TestKeys_StormOfUnknownIDs: however many tokens name a key that is not there, the issuer is asked every ten seconds.
func TestKeys_StormOfUnknownIDs(t *testing.T) {
	stranger := must(rsa.GenerateKey(rand.Reader, 2048))
	inBubble(t, func(t *testing.T, is *issuer, d *door) {
		forged, good := is.token(t, "nope", stranger), is.token(t, "rsa", rsaKey())
		for range 10 { // for 100 seconds
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					_, err := d.knock(t, forged)
					wantReason(t, err, auth.ReasonJWT, http.StatusUnauthorized)
				})
			}
			all.Wait()
			_, err := d.knock(t, good) // nobody else pays for it
			wantReason(t, err, "", 0)
			wait(10 * time.Second)
		}
		if n := is.fetches.Load(); n != 10 {
			t.Errorf("200 forged tokens caused %d fetches, want 10", n)
		}
	})
}

// TestKeys_IssuerDown: known keys go on for a day, an unknown one cannot be judged, and then nobody gets in.
func TestKeys_IssuerDown(t *testing.T) {
	next := must(rsa.GenerateKey(rand.Reader, 2048))
	inBubble(t, func(t *testing.T, is *issuer, d *door) {
		_, err := d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, "", 0)
		is.set(func(is *issuer) { is.down = true })
		wait(time.Minute)
		_, err = d.knock(t, is.token(t, "next", next))
		wantReason(t, err, auth.ReasonUnavailable, http.StatusServiceUnavailable)
		for range 22 {
			wait(time.Hour)
			_, err = d.knock(t, is.token(t, "rsa", rsaKey()))
			wantReason(t, err, "", 0)
		}
		wait(2 * time.Hour)
		_, err = d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, auth.ReasonUnavailable, http.StatusServiceUnavailable)
		is.set(func(is *issuer) { is.down = false })
		_, err = d.knock(t, is.token(t, "rsa", rsaKey())) // not asked again before ten seconds have passed
		wantReason(t, err, auth.ReasonUnavailable, http.StatusServiceUnavailable)
		wait(10 * time.Second)
		_, err = d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, "", 0)
	})
}

// before is a transport that does something first.
type before struct {
	do   func()
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b before) RoundTrip(r *http.Request) (*http.Response, error) {
	b.do()
	return b.next.RoundTrip(r)
}

// TestKeys_ClientHangsUp: a client that goes away while the keys are fetched spoils it for nobody.
func TestKeys_ClientHangsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, is *issuer, _ *door) {
		gone, cancel := context.WithCancel(t.Context())
		is.client = &http.Client{Transport: before{cancel, is}}
		d := is.trust(t)
		_, err := d.Identify(request(t, "192.0.2.1:1", "Authorization", is.token(t, "rsa", rsaKey())).WithContext(gone))
		wantReason(t, err, "", 0)
		_, err = d.knock(t, is.token(t, "rsa", rsaKey()))
		wantReason(t, err, "", 0)
		if n := is.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

// slow is a transport that does not answer before the client's patience ends.
type slow struct{}

// RoundTrip implements http.RoundTripper.
func (slow) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestKeys_IssuerHangs: the first request waits five seconds and no longer, and those behind it not again.
func TestKeys_IssuerHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, is *issuer, _ *door) {
		is.client = &http.Client{Transport: slow{}}
		d, token := is.trust(t), is.token(t, "rsa", rsaKey())
		started := time.Now()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				_, err := d.knock(t, token)
				wantReason(t, err, auth.ReasonUnavailable, http.StatusServiceUnavailable)
			})
		}
		all.Wait()
		if took := time.Since(started); took > 6*time.Second {
			t.Errorf("ten requests waited %s", took)
		}
	})
}

// endless is a transport whose documents never end.
type endless struct{}

// RoundTrip implements http.RoundTripper.
func (endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: zeros{}, Header: http.Header{}}, nil
}

// zeros is a body of blanks without an end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// Close implements io.Closer.
func (zeros) Close() error { return nil }

func TestKeys_EndlessDocument(t *testing.T) {
	is := newIssuer(t)
	is.client = &http.Client{Transport: endless{}}
	_, err := is.trust(t).knock(t, is.token(t, "rsa", rsaKey()))
	wantReason(t, err, auth.ReasonUnavailable, http.StatusServiceUnavailable)
}
