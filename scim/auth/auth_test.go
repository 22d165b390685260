package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/auth"
)

// basic is the header of HTTP Basic.
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestIdentify_Bearer(t *testing.T) {
	d := newDoor(t, nil)
	secret := d.issue(t, directory.CredentialSpec{Name: "okta-1", Source: "okta"})
	for _, header := range []string{"Bearer " + secret, "bearer " + secret, "BEARER  " + secret + " "} {
		who, err := d.knock(t, header)
		if err != nil || who.Name != "okta-1" || who.Source != "okta" || who.Scopes != directory.AllScopes {
			t.Errorf("%q: %+v, %v", header, who, err)
		}
	}
	for name, c := range map[string]struct {
		header string
		reason auth.Reason
	}{
		"nothing":        {"", auth.ReasonMissing},
		"scheme alone":   {"Bearer", auth.ReasonEmpty},
		"blank":          {"Bearer  ", auth.ReasonEmpty},
		"bare":           {secret, auth.ReasonMissing},
		"another scheme": {"Digest " + secret, auth.ReasonMissing},
		"Basic is off":   {basic("okta-1", secret), auth.ReasonMissing},
		"too long":       {"Bearer " + secret + "x", auth.ReasonUnknown},
		"too short":      {"Bearer " + secret[:len(secret)-1], auth.ReasonUnknown},
		"prefix":         {"Bearer scimb_", auth.ReasonUnknown},
		"other case":     {"Bearer " + strings.ToUpper(secret), auth.ReasonUnknown},
		"list":           {"Bearer " + secret + ", Bearer x", auth.ReasonUnknown},
		"huge":           {"Bearer " + strings.Repeat("x", 60<<10), auth.ReasonUnknown},
		"huge JWT":       {"Bearer " + strings.Repeat("x", 60<<10) + ".y.z", auth.ReasonUnknown},
	} {
		before := d.count(t, "scim_bridge_auth_failures_total", string(c.reason))
		who, err := d.knock(t, c.header)
		e := wantReason(t, err, c.reason, http.StatusUnauthorized)
		if who.Source != "" || e != nil && strings.Contains(e.Error(), secret[8:20]) {
			t.Errorf("%s: %+v, %v", name, who, e)
		}
		if after := d.count(t, "scim_bridge_auth_failures_total", string(c.reason)); after != before+1 {
			t.Errorf("%s: %s went from %v to %v", name, c.reason, before, after)
		}
	}
	two := request(t, "192.0.2.1:1", "Authorization", "Bearer "+secret, "Authorization", "Bearer "+secret)
	_, err := d.Identify(two)
	wantReason(t, err, auth.ReasonMissing, http.StatusUnauthorized)
	query := request(t, "192.0.2.1:1")
	query.URL.RawQuery = "access_token=" + secret
	_, err = d.Identify(query)
	wantReason(t, err, auth.ReasonMissing, http.StatusUnauthorized)
}

func TestIdentify_Basic(t *testing.T) {
	d := newDoor(t, func(o *auth.Options) { o.Sources["okta"] = auth.Source{Basic: true} })
	okta := d.issue(t, directory.CredentialSpec{Name: "okta-1", Source: "okta"})
	other := d.issue(t, directory.CredentialSpec{Name: "okta-2", Source: "okta"})
	entra := d.issue(t, directory.CredentialSpec{Name: "entra-1", Source: "entra"})
	for name, c := range map[string]struct {
		header, who string
		reason      auth.Reason
	}{
		"right":                  {basic("okta-1", okta), "okta-1", ""},
		"bearer works too":       {"Bearer " + okta, "okta-1", ""},
		"scheme in any case":     {"bAsIc" + strings.TrimPrefix(basic("okta-2", other), "Basic"), "okta-2", ""},
		"another's secret":       {basic("okta-1", other), "", auth.ReasonUnknown},
		"name in another case":   {basic("OKTA-1", okta), "", auth.ReasonUnknown},
		"off for this source":    {basic("entra-1", entra), "entra-1", auth.ReasonScheme},
		"wrong secret":           {basic("okta-1", okta[:len(okta)-1]+"!"), "", auth.ReasonUnknown},
		"no secret":              {basic("okta-1", ""), "", auth.ReasonEmpty},
		"no name":                {basic("", okta), "", auth.ReasonEmpty},
		"no colon":               {"Basic " + base64.StdEncoding.EncodeToString([]byte(okta)), "", auth.ReasonEmpty},
		"not base64":             {"Basic !!!", "", auth.ReasonEmpty},
		"nothing":                {"Basic", "", auth.ReasonEmpty},
		"a JWT as the password":  {basic("okta-1", "a.b.c"), "", auth.ReasonUnknown},
		"the secret as the user": {basic(okta, okta), "", auth.ReasonUnknown},
	} {
		who, err := d.knock(t, c.header)
		wantReason(t, err, c.reason, http.StatusUnauthorized)
		if who.Name != c.who {
			t.Errorf("%s: %+v", name, who)
		}
	}
}

// TestIdentify_Bounds: what bounds a credential holds for the request that comes with it, whatever it wants.
func TestIdentify_Bounds(t *testing.T) {
	d := newDoor(t, nil)
	bounded := d.issue(t, directory.CredentialSpec{Name: "bounded", Source: "okta", CIDRs: []netip.Prefix{block("198.51.100.0/24"), block("2001:db8::/32")}})
	gone := d.issue(t, directory.CredentialSpec{Name: "gone", Source: "no-longer"})
	end := time.Now().Add(time.Hour)
	expired := d.issue(t, directory.CredentialSpec{Name: "expired", Source: "entra", Expires: &end})
	err := d.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE credentials SET expires_at = 1 WHERE name = 'expired'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		secret, from, source string
		reason               auth.Reason
	}{
		"inside":           {bounded, "198.51.100.99:1", "okta", ""},
		"inside, IPv6":     {bounded, "[2001:db8:1::2]:1", "okta", ""},
		"inside, mapped":   {bounded, "[::ffff:198.51.100.99]:1", "okta", ""},
		"outside":          {bounded, "198.51.101.1:1", "okta", auth.ReasonCIDR},
		"not known":        {bounded, "@", "okta", auth.ReasonCIDR},
		"source is gone":   {gone, "192.0.2.1:1", "", auth.ReasonSource},
		"expired":          {expired, "192.0.2.1:1", "entra", auth.ReasonExpired},
		"forged forwarded": {bounded, "192.0.2.1:1", "okta", auth.ReasonCIDR},
	} {
		r := request(t, c.from, "Authorization", "Bearer "+c.secret, "X-Forwarded-For", "198.51.100.1", "Forwarded", "for=198.51.100.1")
		who, err := d.Identify(r)
		e := wantReason(t, err, c.reason, http.StatusUnauthorized)
		if who.Source != c.source {
			t.Errorf("%s: source %q, want %q", name, who.Source, c.source)
		}
		if e != nil && e.Detail() != "a valid credential is required" {
			t.Errorf("%s: the answer tells a thief why: %q", name, e.Detail())
		}
	}
	used := map[string]bool{}
	for _, c := range must(d.dir.ListCredentials(t.Context())) {
		used[c.Name] = c.LastUsed != nil
	}
	if diff := cmp.Diff(map[string]bool{"bounded": true, "gone": false, "expired": false}, used); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
}

// TestIdentify_Internal: a database that does not answer is not a wrong credential.
func TestIdentify_Internal(t *testing.T) {
	d := newDoor(t, nil)
	secret := d.issue(t, directory.CredentialSpec{Name: "okta-1", Source: "okta"})
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := d.knock(t, "Bearer "+secret)
	if _, refused := errors.AsType[*auth.Error](err); err == nil || refused {
		t.Errorf("error %v, want an internal one", err)
	}
}

// TestHeaders says what a refusal looks like (RFC 6750 section 3, RFC 9110 section 11.6.1).
func TestHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		basic bool
		err   auth.Error
		want  []string
		retry string
	}{
		"missing":       {false, auth.Error{Reason: auth.ReasonMissing, Status: 401}, []string{`Bearer realm="scim"`}, ""},
		"wrong":         {false, auth.Error{Reason: auth.ReasonUnknown, Status: 401}, []string{`Bearer realm="scim", error="invalid_token"`}, ""},
		"with Basic":    {true, auth.Error{Reason: auth.ReasonEmpty, Status: 401}, []string{`Bearer realm="scim"`, `Basic realm="scim", charset="UTF-8"`}, ""},
		"scope":         {true, auth.Error{Reason: auth.ReasonScope, Status: 403, Why: "may not"}, []string{`Bearer realm="scim", error="insufficient_scope"`}, ""},
		"too many":      {true, auth.Error{Reason: auth.ReasonRate, Status: 429, RetryAfter: 1200 * time.Millisecond}, nil, "2"},
		"a moment":      {true, auth.Error{Reason: auth.ReasonRate, Status: 429, RetryAfter: time.Millisecond}, nil, "1"},
		"cannot verify": {true, auth.Error{Reason: auth.ReasonUnavailable, Status: 503, RetryAfter: 10 * time.Second}, nil, "10"},
	} {
		d := newDoor(t, func(o *auth.Options) { o.Sources["okta"] = auth.Source{Basic: c.basic} })
		h := http.Header{}
		d.Headers(h, &c.err)
		if diff := cmp.Diff(c.want, h.Values("WWW-Authenticate")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if h.Get("Retry-After") != c.retry {
			t.Errorf("%s: Retry-After %q", name, h.Get("Retry-After"))
		}
		if c.err.Detail() == "" || strings.Contains(c.err.Detail(), strconv.Itoa(c.err.Status)) {
			t.Errorf("%s: detail %q", name, c.err.Detail())
		}
	}
}

func TestSchemes(t *testing.T) {
	types := func(d *door) (out []string) {
		for _, s := range d.Schemes() {
			if s.Name == "" || s.Description == "" || !strings.HasPrefix(s.SpecURI, "https://") {
				t.Errorf("%+v", s)
			}
			out = append(out, s.Type)
		}
		return out
	}
	if diff := cmp.Diff([]string{"oauthbearertoken"}, types(newDoor(t, nil))); diff != "" {
		t.Error(diff)
	}
	is := newIssuer(t)
	d := newDoor(t, func(o *auth.Options) {
		o.Sources["okta"], o.Sources["entra"] = auth.Source{Basic: true}, auth.Source{JWT: is.jwt()}
	})
	if diff := cmp.Diff([]string{"oauthbearertoken", "oauth2", "httpbasic"}, types(d)); diff != "" {
		t.Error(diff)
	}
}

// TestMetrics: tokens show their end and their last use while they live, under names that are labels.
func TestMetrics(t *testing.T) {
	d := newDoor(t, nil)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	secret := d.issue(t, directory.CredentialSpec{Name: "okta-1", Source: "okta", Expires: &end})
	d.issue(t, directory.CredentialSpec{Name: "okta-2", Source: "okta"})
	d.issue(t, directory.CredentialSpec{Name: "okta-3", Source: "okta"})
	if err := d.dir.RevokeCredential(t.Context(), "okta-3"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.knock(t, "Bearer "+secret); err != nil {
		t.Fatal(err)
	}
	if got := d.count(t, "scim_bridge_token_expiry_timestamp_seconds", "okta-1"); got != float64(end.Unix()) {
		t.Errorf("expiry %v, want %v", got, end.Unix())
	}
	if got := d.count(t, "scim_bridge_token_last_used_timestamp_seconds", "okta-1"); time.Since(time.Unix(int64(got), 0)) > time.Minute {
		t.Errorf("last used %v", got)
	}
	if got := d.count(t, "scim_bridge_token_last_used_timestamp_seconds", "okta-2"); got != 0 {
		t.Errorf("never used: %v", got)
	}
	for name, want := range map[string]int{"scim_bridge_token_expiry_timestamp_seconds": 1, "scim_bridge_token_last_used_timestamp_seconds": 2} {
		if n, err := testutil.GatherAndCount(d.reg, name); err != nil || n != want {
			t.Errorf("%s: %d series, want %d (%v)", name, n, want, err)
		}
	}
	if problems, err := testutil.GatherAndLint(d.reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(d.reg, "scim_bridge_auth_failures_total"); err != nil || n != 12 {
		t.Errorf("%d reasons start at zero, want 12", n)
	}
}
