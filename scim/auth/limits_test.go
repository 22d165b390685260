package auth_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/auth"
)

// wrong is a secret that nobody has.
var wrong = "Bearer scimb_" + strings.Repeat("A", 43)

// TestRate: each credential has an allowance of its own, with a burst of two seconds' worth.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *auth.Options) { o.Sources["okta"] = auth.Source{RequestsPerSecond: 5} })
		first := "Bearer " + d.issue(t, directory.CredentialSpec{Name: "okta-1", Source: "okta"})
		second := "Bearer " + d.issue(t, directory.CredentialSpec{Name: "okta-2", Source: "okta"})
		free := "Bearer " + d.issue(t, directory.CredentialSpec{Name: "entra-1", Source: "entra"})
		for range 10 {
			_, err := d.knock(t, first)
			wantReason(t, err, "", 0)
		}
		who, err := d.knock(t, first)
		e := wantReason(t, err, auth.ReasonRate, http.StatusTooManyRequests)
		if e.RetryAfter != 200*time.Millisecond || who.Source != "okta" {
			t.Errorf("retry after %s, %+v", e.RetryAfter, who)
		}
		for _, other := range []string{second, free} {
			_, err = d.knock(t, other)
			wantReason(t, err, "", 0)
		}
		wait(e.RetryAfter)
		_, err = d.knock(t, first)
		wantReason(t, err, "", 0)
		if n := d.count(t, "scim_bridge_rate_limited_total", "okta"); n != 1 {
			t.Errorf("%v limited, want 1", n)
		}
		if n := d.count(t, "scim_bridge_rate_limited_total", "entra"); n != 0 {
			t.Errorf("%v limited, want none", n)
		}
	})
}

// TestGuesses: an address that sends wrong tokens is told to wait; a right one is let in all the same, because
// otherwise everybody behind the same proxy could lock the identity provider out.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *auth.Options) { o.GuessesPerMinute = 60 })
		right := "Bearer " + d.issue(t, directory.CredentialSpec{Name: "okta-1", Source: "okta"})
		for range 60 {
			_, err := d.knock(t, wrong)
			wantReason(t, err, auth.ReasonUnknown, http.StatusUnauthorized)
		}
		_, err := d.knock(t, wrong)
		if e := wantReason(t, err, auth.ReasonGuesses, http.StatusTooManyRequests); e.RetryAfter != time.Second {
			t.Errorf("retry after %s", e.RetryAfter)
		}
		_, err = d.knock(t, right)
		wantReason(t, err, "", 0)
		_, err = d.knock(t, "") // who sends nothing does not guess
		wantReason(t, err, auth.ReasonMissing, http.StatusUnauthorized)
		_, err = d.Identify(request(t, "192.0.2.2:1", "Authorization", wrong)) // another address
		wantReason(t, err, auth.ReasonUnknown, http.StatusUnauthorized)
		wait(time.Second)
		_, err = d.knock(t, wrong)
		wantReason(t, err, auth.ReasonUnknown, http.StatusUnauthorized)
	})
}

// TestGuesses_ByNetwork: a customer's IPv6 network counts as one, and addresses behind a proxy count apart.
func TestGuesses_ByNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *auth.Options) {
			o.GuessesPerMinute, o.TrustedProxies = 1, append(o.TrustedProxies, block("10.0.0.0/8"))
		})
		guess := func(from, forwarded string, reason auth.Reason, status int) {
			t.Helper()
			r := request(t, from, "Authorization", wrong)
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
			_, err := d.Identify(r)
			wantReason(t, err, reason, status)
		}
		guess("[2001:db8::1]:1", "", auth.ReasonUnknown, 401)
		guess("[2001:db8::ffff:1]:1", "", auth.ReasonGuesses, 429)
		guess("[2001:db8:0:1::1]:1", "", auth.ReasonUnknown, 401)
		guess("10.0.0.1:1", "198.51.100.1", auth.ReasonUnknown, 401)
		guess("10.0.0.1:1", "198.51.100.2", auth.ReasonUnknown, 401)
		guess("10.0.0.1:1", "198.51.100.2", auth.ReasonGuesses, 429)
		guess("10.0.0.1:1", "unknown", auth.ReasonUnknown, 401) // counted for the proxy
		guess("10.0.0.1:1", "rubbish", auth.ReasonGuesses, 429)
		guess("@", "", auth.ReasonUnknown, 401)
		guess("@", "", auth.ReasonGuesses, 429)
	})
}

// TestGuesses_BoundedMemory: beyond 10,000 addresses newcomers share one allowance, until the others are forgotten.
func TestGuesses_BoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *auth.Options) { o.GuessesPerMinute = 1 })
		guess := func(n int) error {
			_, err := d.Identify(request(t, fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&0xff, n&0xff), "Authorization", wrong))
			return err
		}
		for n := range 10_000 {
			wantReason(t, guess(n), auth.ReasonUnknown, http.StatusUnauthorized)
		}
		wantReason(t, guess(10_000), auth.ReasonUnknown, http.StatusUnauthorized)
		wantReason(t, guess(10_001), auth.ReasonGuesses, http.StatusTooManyRequests) // the shared one is used up
		wait(time.Minute)
		for n := range 3 {
			wantReason(t, guess(20_000+n), auth.ReasonUnknown, http.StatusUnauthorized)
		}
	})
}

func TestGuesses_Off(t *testing.T) {
	d := newDoor(t, nil)
	for range 1000 {
		_, err := d.knock(t, wrong)
		wantReason(t, err, auth.ReasonUnknown, http.StatusUnauthorized)
	}
}

// TestAllow is the table of docs/security.md: what each scope allows.
func TestAllow(t *testing.T) {
	d := newDoor(t, nil)
	for scopes, allowed := range map[string]string{
		"users":             "users:r users:w bulk:w discovery:r",
		"groups":            "users:r groups:r groups:w search:r bulk:w discovery:r",
		"read":              "users:r groups:r search:r discovery:r",
		"users read":        "users:r users:w groups:r search:r bulk:w discovery:r",
		"groups read":       "users:r groups:r groups:w search:r bulk:w discovery:r",
		"users groups":      "users:r users:w groups:r groups:w search:r search:w bulk:w discovery:r",
		"users groups read": "users:r users:w groups:r groups:w search:r search:w bulk:w discovery:r",
	} {
		set := must(directory.ParseScopes(strings.Fields(scopes)))
		who := auth.Identity{Name: "x", Source: "okta", Scopes: set}
		for _, resource := range []string{"users", "groups", "bulk", "discovery", "search"} {
			for deed, write := range map[string]bool{"r": false, "w": true} {
				if resource == "bulk" && !write {
					continue
				}
				err := d.Allow(who, resource, write)
				want := strings.Contains(" "+allowed+" ", " "+resource+":"+deed+" ")
				if want != (err == nil) {
					t.Errorf("%s: %s %s: %v", scopes, resource, deed, err)
				}
				if err != nil {
					e := wantReason(t, err, auth.ReasonScope, http.StatusForbidden)
					if !strings.Contains(e.Detail(), resource) || !strings.Contains(e.Detail(), scopes) {
						t.Errorf("detail %q does not say what is missing", e.Detail())
					}
				}
			}
		}
	}
	if d.Allow(auth.Identity{}, "users", false) == nil {
		t.Error("no scope at all may read")
	}
}
