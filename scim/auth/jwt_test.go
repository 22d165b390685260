package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/auth"
)

func TestJWT_Accepted(t *testing.T) {
	is := newIssuer(t)
	d := is.trust(t)
	for name, token := range map[string]string{
		"RS256":               sign(t, jose.RS256, "rsa", rsaKey(), is.claims()),
		"ES256":               sign(t, jose.ES256, "ec", ecKey(), is.claims()),
		"no kid":              sign(t, jose.ES256, "", ecKey(), is.claims()),
		"several audiences":   sign(t, jose.RS256, "rsa", rsaKey(), is.claims("aud", []string{"other", "bridge"})),
		"no nbf":              sign(t, jose.RS256, "rsa", rsaKey(), is.claims("nbf", nil)),
		"clock behind":        sign(t, jose.RS256, "rsa", rsaKey(), is.claims("nbf", time.Now().Unix()+50)),
		"ended a moment ago":  sign(t, jose.RS256, "rsa", rsaKey(), is.claims("exp", time.Now().Unix()-50)),
		"lower-case scheme ":  sign(t, jose.RS256, "rsa", rsaKey(), is.claims()),
		"fraction of seconds": sign(t, jose.RS256, "rsa", rsaKey(), is.claims("nbf", float64(time.Now().Unix())-0.5)),
	} {
		who, err := d.knock(t, "Bearer "+token)
		if err != nil || who.Name != "jwt:client-1" || who.Source != "entra" || who.Scopes != directory.AllScopes {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if n := is.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
}

// TestJWT_Refused holds every known way to be taken for somebody.
func TestJWT_Refused(t *testing.T) {
	is, other := newIssuer(t), newIssuer(t)
	d := is.trust(t)
	stranger := must(rsa.GenerateKey(rand.Reader, 2048))
	der := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := sign(t, jose.RS256, "rsa", rsaKey(), is.claims())
	parts := strings.Split(good, ".")
	evil := base64.RawURLEncoding.EncodeToString(must(json.Marshal(is.claims("appid", "client-1", "sub", "evil"))))
	// The attacker brings the key along, and says so in the header.
	withJWK := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: stranger}, &jose.SignerOptions{EmbedJWK: true}))
	embedded := must(must(withJWK.Sign(must(json.Marshal(is.claims())))).CompactSerialize())
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		token  string
		reason auth.Reason
	}{
		"alg none":                  {header(`{"alg":"none","typ":"JWT"}`) + "." + evil + ".", auth.ReasonJWT},
		"alg None":                  {header(`{"alg":"None"}`) + "." + evil + "." + parts[2], auth.ReasonJWT},
		"no alg":                    {header(`{"typ":"JWT"}`) + "." + evil + "." + parts[2], auth.ReasonJWT},
		"HS256 with the DER key":    {sign(t, jose.HS256, "rsa", der, is.claims()), auth.ReasonJWT},
		"HS256 with the PEM key":    {sign(t, jose.HS256, "rsa", asPEM, is.claims()), auth.ReasonJWT},
		"RS512":                     {sign(t, jose.RS512, "rsa", rsaKey(), is.claims()), auth.ReasonJWT},
		"PS256":                     {sign(t, jose.PS256, "rsa", rsaKey(), is.claims()), auth.ReasonJWT},
		"another key, same kid":     {sign(t, jose.RS256, "rsa", stranger, is.claims()), auth.ReasonJWT},
		"another key, no kid":       {sign(t, jose.RS256, "", stranger, is.claims()), auth.ReasonJWT},
		"embedded key":              {embedded, auth.ReasonJWT},
		"kid of the other key":      {sign(t, jose.ES256, "rsa", ecKey(), is.claims()), auth.ReasonJWT},
		"changed payload":           {parts[0] + "." + evil + "." + parts[2], auth.ReasonJWT},
		"changed signature":         {parts[0] + "." + parts[1] + "." + parts[2][:20] + "AAAA" + parts[2][24:], auth.ReasonJWT},
		"no signature":              {parts[0] + "." + parts[1] + ".", auth.ReasonJWT},
		"two documents":             {parts[0] + "." + header(`{"iss":"`+is.url+`"}{}`) + "." + parts[2], auth.ReasonJWT},
		"unknown crit":              {sign(t, jose.RS256, "rsa", rsaKey(), is.claims()) + "x", auth.ReasonJWT},
		"issuer not configured":     {sign(t, jose.RS256, "rsa", rsaKey(), other.claims()), auth.ReasonJWT},
		"issuer without its slash":  {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("iss", strings.TrimSuffix(is.url, "/"))), auth.ReasonJWT},
		"issuer as a list":          {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("iss", []string{is.url})), auth.ReasonJWT},
		"no issuer":                 {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("iss", nil)), auth.ReasonJWT},
		"another audience":          {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("aud", "graph")), auth.ReasonAudience},
		"audience as a prefix":      {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("aud", "bridge2")), auth.ReasonAudience},
		"no audience":               {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("aud", nil)), auth.ReasonAudience},
		"another client":            {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("appid", "client-2")), auth.ReasonAudience},
		"no client":                 {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("appid", nil)), auth.ReasonAudience},
		"client in another claim":   {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("appid", nil, "azp", "client-1")), auth.ReasonAudience},
		"client as a list":          {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("appid", []string{"client-1"})), auth.ReasonAudience},
		"expired":                   {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("exp", now-61)), auth.ReasonExpired},
		"no end":                    {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("exp", nil)), auth.ReasonExpired},
		"not yet":                   {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("nbf", now+120)), auth.ReasonExpired},
		"nbf that is no number":     {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("nbf", true)), auth.ReasonJWT},
		"too long":                  {sign(t, jose.RS256, "rsa", rsaKey(), is.claims("x", strings.Repeat("y", 16<<10))), auth.ReasonJWT},
		"payload that is no object": {sign(t, jose.RS256, "rsa", rsaKey(), "text"), auth.ReasonJWT},
		"dots":                      {"..", auth.ReasonJWT},
		"not base64":                {"!.!.!", auth.ReasonJWT},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.knock(t, "Bearer "+c.token)
			e := wantReason(t, err, c.reason, http.StatusUnauthorized)
			if e != nil && len(c.token) > 10 && strings.Contains(e.Error(), c.token[:10]) {
				t.Errorf("the token is in the error: %v", e)
			}
		})
	}
	if n := d.count(t, "scim_bridge_auth_failures_total", "audience"); n != 7 {
		t.Errorf("%v audience failures counted, want 7", n)
	}
}

// header is base64url of a text.
func header(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestJWT_TellsTheClient checks that an administrator can find the id to configure in the log: of a verified token only.
func TestJWT_TellsTheClient(t *testing.T) {
	is := newIssuer(t)
	d := is.trust(t)
	_, err := d.knock(t, "Bearer "+sign(t, jose.RS256, "rsa", rsaKey(), is.claims("appid", "client-2")))
	if err == nil || !strings.Contains(err.Error(), `appid "client-2"`) {
		t.Errorf("error %v", err)
	}
	_, err = d.knock(t, "Bearer "+sign(t, jose.RS256, "rsa", must(rsa.GenerateKey(rand.Reader, 2048)), is.claims("appid", "client-2")))
	if err == nil || strings.Contains(err.Error(), "client-2") {
		t.Errorf("an unverified claim is in the log: %v", err)
	}
}

// TestJWT_SourcesShareAnIssuer: audience and client choose the source, and each has its bounds.
func TestJWT_SourcesShareAnIssuer(t *testing.T) {
	is := newIssuer(t)
	d := newDoor(t, func(o *auth.Options) {
		o.Client = is.client
		narrow := is.jwt()
		narrow.Clients, narrow.Scopes, narrow.CIDRs = []string{"client-2"}, directory.Scopes(1), []netip.Prefix{block("198.51.100.0/24")}
		third := is.jwt()
		third.Audience = "third"
		o.Sources = map[string]auth.Source{"entra": {JWT: is.jwt()}, "okta": {JWT: narrow}, "third": {JWT: third}}
	})
	for _, c := range []struct {
		client, audience, from, source string
		reason                         auth.Reason
	}{
		{"client-1", "bridge", "192.0.2.1:1", "entra", ""},
		{"client-2", "bridge", "198.51.100.7:1", "okta", ""},
		{"client-2", "bridge", "192.0.2.1:1", "okta", auth.ReasonCIDR},
		{"client-1", "third", "192.0.2.1:1", "third", ""},
		{"client-2", "third", "198.51.100.7:1", "", auth.ReasonAudience},
	} {
		token := sign(t, jose.RS256, "rsa", rsaKey(), is.claims("appid", c.client, "aud", c.audience))
		who, err := d.Identify(request(t, c.from, "Authorization", "Bearer "+token))
		wantReason(t, err, c.reason, http.StatusUnauthorized)
		if who.Source != c.source {
			t.Errorf("%+v: source %q", c, who.Source)
		}
		if c.source == "okta" && err == nil && d.Allow(who, "groups", true) == nil {
			t.Error("the scopes of the source do not bind its tokens")
		}
	}
	if n := is.fetches.Load(); n != 1 {
		t.Errorf("three sources fetched the keys %d times", n)
	}
}

// TestJWT_OfNoIssuer: without an issuer a JWT is a secret that nobody has.
func TestJWT_OfNoIssuer(t *testing.T) {
	is := newIssuer(t)
	d := newDoor(t, nil)
	_, err := d.knock(t, "Bearer "+sign(t, jose.RS256, "rsa", rsaKey(), is.claims()))
	wantReason(t, err, auth.ReasonUnknown, http.StatusUnauthorized)
	if n := is.fetches.Load(); n != 0 {
		t.Errorf("an issuer that is not configured was asked %d times", n)
	}
}

// TestKeys_OnlyGoodOnes: what is not for signatures, weak, or of an unknown kind does not count, and does not keep the
// others from counting.
func TestKeys_OnlyGoodOnes(t *testing.T) {
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for name, c := range map[string]struct {
		keys []jose.JSONWebKey
		ok   bool
	}{
		"for encryption":    {[]jose.JSONWebKey{{KeyID: "rsa", Key: rsaKey().Public(), Use: "enc"}}, false},
		"another algorithm": {[]jose.JSONWebKey{{KeyID: "rsa", Key: rsaKey().Public(), Algorithm: "RSA-OAEP"}}, false},
		"weak":              {[]jose.JSONWebKey{public("rsa", weak.Public(), "RS256")}, false},
		"another curve":     {[]jose.JSONWebKey{public("rsa", p384.Public(), "ES384")}, false},
		"shared secret":     {[]jose.JSONWebKey{{KeyID: "rsa", Key: []byte("secret"), Algorithm: "HS256"}}, false},
		"none":              {nil, false},
		"without alg, use":  {[]jose.JSONWebKey{{KeyID: "rsa", Key: rsaKey().Public()}}, true},
		"beside bad ones":   {[]jose.JSONWebKey{public("rsa", weak.Public(), "RS256"), {KeyID: "x", Key: []byte("y")}, public("rsa", rsaKey().Public(), "RS256")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			is := newIssuer(t)
			is.publish(c.keys...)
			_, err := is.trust(t).knock(t, "Bearer "+sign(t, jose.RS256, "rsa", rsaKey(), is.claims()))
			if c.ok != (err == nil) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestKeys_IssuerThatIsNotItself: discovery that names another issuer, keys over http, a redirect.
func TestKeys_IssuerThatIsNotItself(t *testing.T) {
	for name, change := range map[string]func(*issuer){
		"another name":   func(is *issuer) { is.name = "https://login.example.com/" },
		"keys over http": func(is *issuer) { is.jwks = "http://" + strings.TrimPrefix(is.url, "https://") + "keys" },
		"keys nowhere":   func(is *issuer) { is.jwks = "not a URL" },
		"keys missing":   func(is *issuer) { is.jwks = is.url + "none" },
		"down":           func(is *issuer) { is.down = true },
	} {
		t.Run(name, func(t *testing.T) {
			is := newIssuer(t)
			is.set(change)
			_, err := is.trust(t).knock(t, "Bearer "+sign(t, jose.RS256, "rsa", rsaKey(), is.claims()))
			e := wantReason(t, err, auth.ReasonUnavailable, http.StatusServiceUnavailable)
			if e != nil && e.RetryAfter <= 0 {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestNew_RefusesAnIssuerThatSaysTooLittle(t *testing.T) {
	good := auth.JWT{Issuer: "https://login.example.com/", Audience: "a", Clients: []string{"c"}, ClientClaim: "azp", Scopes: directory.AllScopes}
	for name, change := range map[string]func(*auth.JWT){
		"no issuer":    func(j *auth.JWT) { j.Issuer = "" },
		"no URL":       func(j *auth.JWT) { j.Issuer = "login" },
		"no audience":  func(j *auth.JWT) { j.Audience = "" },
		"no client":    func(j *auth.JWT) { j.Clients = nil },
		"empty client": func(j *auth.JWT) { j.Clients = []string{""} },
		"no claim":     func(j *auth.JWT) { j.ClientClaim = "" },
		"no scope":     func(j *auth.JWT) { j.Scopes = 0 },
	} {
		j := good
		j.Clients = slices.Clone(good.Clients)
		change(&j)
		d := newDoor(t, nil)
		if _, err := auth.New(auth.Options{Directory: d.dir, Registerer: d.reg, Sources: map[string]auth.Source{"x": {JWT: &j}}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
