package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// The keys of an issuer are fetched when the first token comes, and then kept:
//
//   - a key that is known needs no request, whoever asks;
//   - a key id that is not known causes one, at most every ten seconds, however many tokens name one;
//   - after an hour they are fetched again, so that a key that the issuer withdrew loses its power;
//   - while the issuer does not answer, the known keys go on for a day, and then nobody gets in.
const (
	fetchPause   = 10 * time.Second
	fetchTimeout = 5 * time.Second
	keysFresh    = time.Hour
	keysUsable   = 24 * time.Hour
	maxDocument  = 1 << 20 // bytes of what an issuer sends
	minRSA       = 2048    // bits (RFC 7518 section 3.3)
)

// errUnknownKey says that the issuer does not publish a key of that id.
var errUnknownKey = errors.New("unknown key")

// keys are the public keys of one issuer.
type keys struct {
	issuer string
	client *http.Client

	fetching chan struct{} // full while somebody asks the issuer

	mu      sync.Mutex // guards the fields below
	known   []jose.JSONWebKey
	fetched time.Time // when known was read
	tried   time.Time // when it was last attempted
	failure error     // of that attempt
}

// newKeys returns the keys of an issuer, unread. A redirect must not lead to a place
// that the issuer's name does not vouch for.
func newKeys(issuer string, client *http.Client) *keys {
	if client == nil {
		client = &http.Client{}
	}
	c := *client
	c.Timeout = fetchTimeout
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Transport = bounded{c.Transport}
	return &keys{issuer: issuer, client: &c, fetching: make(chan struct{}, 1)}
}

// Probe asks the issuer for its keys, as the first token would, and returns how many of
// them count. Nil is a plain client.
func (j *JWT) Probe(ctx context.Context, client *http.Client) (int, error) {
	read, err := newKeys(j.Issuer, client).read(ctx)
	return len(read), err
}

// find returns the keys that a token with this key id may be signed with; all of them
// when it has none. errUnknownKey when the issuer has no such key, another error when
// the issuer cannot be asked.
func (k *keys) find(ctx context.Context, id string) ([]crypto.PublicKey, error) {
	found, age := k.look(id)
	switch {
	case found != nil && age < keysFresh:
		return found, nil
	case found != nil && age < keysUsable:
		// One request waits for the issuer, the others go on with what is known.
		select {
		case k.fetching <- struct{}{}:
			k.fetch(ctx)
			if again, _ := k.look(id); again != nil || k.lastFailure() == nil {
				found = again
			}
		default:
		}
	default:
		// All wait for the one that asks, and then need not ask themselves.
		select {
		case k.fetching <- struct{}{}:
			k.fetch(ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if found, age = k.look(id); age >= keysUsable {
			found = nil
		}
	}
	if found != nil {
		return found, nil
	}
	if err := k.lastFailure(); err != nil {
		return nil, err
	}
	return nil, errUnknownKey
}

// look returns the known keys of an id, and how old they are.
func (k *keys) look(id string) ([]crypto.PublicKey, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []crypto.PublicKey
	for _, key := range k.known {
		if id == "" || key.KeyID == id {
			out = append(out, key.Key)
		}
	}
	return out, time.Since(k.fetched)
}

// lastFailure is why the last attempt to read the keys failed; nil when it did not.
func (k *keys) lastFailure() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// fetch reads the keys, unless that was attempted a moment ago, and lets the next one
// fetch. Keys that cannot be read leave the known ones as they are.
func (k *keys) fetch(ctx context.Context) {
	defer func() { <-k.fetching }()
	k.mu.Lock()
	recent := !k.tried.IsZero() && time.Since(k.tried) < fetchPause
	if !recent {
		k.tried = time.Now() // noted before, so that an attempt that fails counts too
	}
	k.mu.Unlock()
	if recent {
		return
	}
	// A client that hangs up must not spoil the answer for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	read, err := k.read(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure = err; err == nil {
		k.known, k.fetched = read, time.Now()
	}
}

// read asks the issuer for its keys: discovery first, which also checks that it calls
// itself what the configuration calls it, then the document that it names.
func (k *keys) read(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx = oidc.ClientContext(ctx, k.client)
	provider, err := oidc.NewProvider(ctx, k.issuer)
	if err != nil {
		return nil, err
	}
	var document struct {
		URL string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, err
	}
	// The issuer may keep its keys on another host, but not where the way is unprotected.
	if !asSafe(document.URL, k.issuer) {
		return nil, errors.New("its jwks_uri is not an https URL")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.get(ctx, document.URL, &set); err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// A key of a kind that is not known here is none of ours.
		if json.Unmarshal(raw, &key) == nil && usable(key) {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("jwks_uri: no key for RS256 or ES256")
	}
	return out, nil
}

// get reads a JSON document.
func (k *keys) get(ctx context.Context, from string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// asSafe says whether a URL is https, or http where the issuer is.
func asSafe(target, issuer string) bool {
	t, err := url.Parse(target)
	if err != nil || t.Host == "" {
		return false
	}
	i, err := url.Parse(issuer)
	return t.Scheme == "https" || err == nil && t.Scheme == "http" && i.Scheme == "http"
}

// usable says whether a key is public, for signatures, and strong enough.
func usable(key jose.JSONWebKey) bool {
	if key.Use == "enc" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA && (key.Algorithm == "" || key.Algorithm == oidc.RS256)
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256() && (key.Algorithm == "" || key.Algorithm == oidc.ES256)
	}
	return false
}

// bounded cuts off documents that no issuer has.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxDocument), resp.Body}
	}
	return resp, err
}
