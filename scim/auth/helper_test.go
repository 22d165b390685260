package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/auth"
)

// door is an authenticator over a store.
type door struct {
	*auth.Authenticator

	db  *database.DB
	dir *directory.Store
	reg *prometheus.Registry
}

// newDoor has the sources okta and entra, unless change says otherwise.
func newDoor(tb testing.TB, change func(*auth.Options)) *door {
	tb.Helper()
	db := databasetest.SQLite(tb)
	d := &door{db: db, dir: directory.New(db, bindings.New(db), directory.Options{}), reg: prometheus.NewPedanticRegistry()}
	opt := auth.Options{Directory: d.dir, Registerer: d.reg, Sources: map[string]auth.Source{"okta": {}, "entra": {}}}
	if change != nil {
		change(&opt)
	}
	var err error
	if d.Authenticator, err = auth.New(opt); err != nil {
		tb.Fatal(err)
	}
	return d
}

// issue makes a credential.
func (d *door) issue(tb testing.TB, spec directory.CredentialSpec) string {
	tb.Helper()
	secret, err := d.dir.IssueCredential(tb.Context(), spec)
	if err != nil {
		tb.Fatal(err)
	}
	return secret
}

// knock makes a request from 192.0.2.1 with an Authorization header.
func (d *door) knock(tb testing.TB, authorization string) (auth.Identity, error) {
	tb.Helper()
	return d.Identify(request(tb, "192.0.2.1:4711", "Authorization", authorization))
}

// request is one from an address, with pairs of header and value.
func request(tb testing.TB, from string, headers ...string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "http://scim.example/scim/v2/Users", nil)
	r.RemoteAddr = from
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// wantReason fails the test unless the error refuses for that reason; empty is success.
func wantReason(tb testing.TB, err error, reason auth.Reason, status int) *auth.Error {
	tb.Helper()
	var e *auth.Error
	switch {
	case err == nil && reason == "":
		return nil
	case !errors.As(err, &e):
		tb.Errorf("error %v, want %s", err, reason)
	case e.Reason != reason || e.Status != status:
		tb.Errorf("refused with %d %q (%v), want %d %q", e.Status, e.Reason, e, status, reason)
	}
	return e
}

// count is the value of a series of a metric with that label value.
func (d *door) count(tb testing.TB, name, label string) float64 {
	tb.Helper()
	families, err := d.reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	tb.Fatalf("no series of %s for %q", name, label)
	return 0
}

// block is an address block.
func block(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// rsaKey and ecKey are made once: they take time.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// issuer is an OpenID Connect issuer. Its handler is served over HTTPS, or called in
// the process where time is faked.
type issuer struct {
	url     string
	client  *http.Client
	fetches atomic.Int32 // of the keys

	mu   sync.Mutex // guards the fields below
	keys []jose.JSONWebKey
	name string // what it calls itself; url when empty
	jwks string // where it says the keys are; its own when empty
	down bool
}

// newIssuer serves an issuer over HTTPS, with the RSA key "rsa" and the EC key "ec".
func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	is := &issuer{}
	srv := httptest.NewTLSServer(is)
	tb.Cleanup(srv.Close)
	is.url, is.client = srv.URL+"/", srv.Client()
	is.publish(public("rsa", rsaKey().Public(), "RS256"), public("ec", ecKey().Public(), "ES256"))
	return is
}

// publish sets what the issuer's keys are.
func (is *issuer) publish(keys ...jose.JSONWebKey) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys = keys
}

// set changes the issuer.
func (is *issuer) set(change func(*issuer)) {
	is.mu.Lock()
	defer is.mu.Unlock()
	change(is)
}

// public is a key as an issuer publishes it.
func public(id string, key crypto.PublicKey, alg string) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: id, Key: key, Algorithm: alg, Use: "sig"}
}

// ServeHTTP answers discovery and keys.
func (is *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		name, jwks := is.name, is.jwks
		if name == "" {
			name = is.url
		}
		if jwks == "" {
			jwks = is.url + "keys"
		}
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%q}`, name, jwks, is.url+"token")
	case "/keys":
		is.fetches.Add(1)
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: is.keys})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(text)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// RoundTrip calls the issuer without a network, for tests in fake time.
func (is *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	is.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// claims are what the provisioning service of Entra says, with changes; a nil value
// removes a claim.
func (is *issuer) claims(changes ...any) map[string]any {
	now := time.Now()
	out := map[string]any{
		"iss": is.url, "aud": "bridge", "appid": "client-1", "sub": "service", "tid": "tenant",
		"nbf": now.Unix() - 5, "iat": now.Unix(), "exp": now.Unix() + 3600,
	}
	for i := 0; i+1 < len(changes); i += 2 {
		name, _ := changes[i].(string)
		if out[name] = changes[i+1]; changes[i+1] == nil {
			delete(out, name)
		}
	}
	return out
}

// sign makes a JWT.
func sign(tb testing.TB, alg jose.SignatureAlgorithm, kid string, key any, claims any) string {
	tb.Helper()
	opt := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opt = opt.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opt)
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		tb.Fatal(err)
	}
	return must(signed.CompactSerialize())
}

// jwt is what the source entra takes of an issuer.
func (is *issuer) jwt() *auth.JWT {
	return &auth.JWT{Issuer: is.url, Audience: "bridge", Clients: []string{"client-1"}, ClientClaim: "appid", Scopes: directory.AllScopes}
}

// trust makes a door that takes the issuer's tokens for entra.
func (is *issuer) trust(tb testing.TB) *door {
	tb.Helper()
	return newDoor(tb, func(o *auth.Options) {
		o.Client = is.client
		o.Sources["entra"] = auth.Source{JWT: is.jwt()}
	})
}
