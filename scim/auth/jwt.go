package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/matomo-scim/bridge/internal/directory"
)

// Tokens that somebody else makes. All that is believed of one comes from its issuer's
// signature, so the order of the checks is the point of this file: the form, the key, the
// signature, and only then what the token says. The one thing that has to be read before is
// the name of the issuer, which chooses the keys and is compared again afterwards.

// JWT is the issuer whose tokens speak for a source, and which of its tokens do.
type JWT struct {
	// Issuer is the iss claim, to the letter, and where OpenID Connect discovery
	// finds the keys.
	Issuer string
	// Audience must be among the aud claim.
	Audience string
	// Clients are the clients that may come; at least one, because an issuer gives
	// tokens for one audience to many.
	Clients []string
	// ClientClaim names the claim with the client's id, such as azp or appid.
	ClientClaim string
	// Scopes are what they may do, CIDRs where from; no CIDR is anywhere.
	Scopes directory.Scopes
	CIDRs  []netip.Prefix
}

// leeway is how far the clocks of issuer and bridge may be apart.
const leeway = time.Minute

// algorithms are the signatures that count: what OpenID Connect issuers use. None and
// the ones with a shared secret are not among them, so a public key can never be taken
// for such a secret.
var algorithms = []string{oidc.RS256, oidc.ES256}

// check reports what is missing.
func (j *JWT) check() error {
	switch {
	case j.Issuer == "" || j.Audience == "" || j.ClientClaim == "":
		return errors.New("a JWT issuer needs its URL, an audience and the claim that names the client")
	case len(j.Clients) == 0 || slices.Contains(j.Clients, ""):
		return errors.New("a JWT issuer needs the clients whose tokens count")
	case j.Scopes == 0:
		return errors.New("a JWT issuer needs scopes")
	}
	u, err := url.Parse(j.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("the JWT issuer %q is not an https URL", j.Issuer)
	}
	return nil
}

// bound is a source's claim to some of an issuer's tokens.
type bound struct {
	JWT

	source string
}

// issuers are the configured issuers by their URL. Sources may share one.
type issuers struct {
	keys   map[string]*keys
	bounds map[string][]bound
}

// add makes an issuer known to a source.
func (is *issuers) add(source string, j JWT, client *http.Client) {
	if is.keys == nil {
		is.keys, is.bounds = map[string]*keys{}, map[string][]bound{}
	}
	if is.keys[j.Issuer] == nil {
		is.keys[j.Issuer] = newKeys(j.Issuer, client)
	}
	is.bounds[j.Issuer] = append(is.bounds[j.Issuer], bound{JWT: j, source: source})
}

// empty says whether no source has an issuer.
func (is *issuers) empty() bool { return len(is.keys) == 0 }

// token is what a verified JWT says.
type token struct {
	source, client string
	scopes         directory.Scopes
	cidrs          []netip.Prefix
}

// verify checks signature, audience, client and time of a JWT, in this order: nothing
// that it says is looked at before its signature, but the issuer's name, which chooses
// the keys. An error is an *Error. The token tells source and client as far as they
// are certain.
func (is *issuers) verify(ctx context.Context, raw string) (token, error) {
	if len(raw) > maxToken {
		return token{}, refuse(ReasonJWT, fmt.Sprintf("longer than %d bytes", maxToken))
	}
	issuer := unverifiedIssuer(raw)
	keys := is.keys[issuer]
	if keys == nil {
		return token{}, refuse(ReasonJWT, "its issuer is not configured")
	}
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return token{}, refuse(ReasonJWT, "not a JWT signed with "+strings.Join(algorithms, " or "))
	}
	public, err := keys.find(ctx, signed.Signatures[0].Header.KeyID)
	switch {
	case errors.Is(err, errUnknownKey):
		return token{}, refuse(ReasonJWT, "signed with a key that the issuer does not publish")
	case err != nil:
		// Not 401: the token may be good, and a client that is told otherwise may give up.
		return token{}, &Error{
			Reason: ReasonUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: fetchPause,
			Why: "keys of the issuer: " + err.Error(),
		}
	}
	// Audience and time are checked below: one signature may belong to one of several
	// sources, and the library allows five minutes for nbf and none for exp.
	verifier := oidc.NewVerifier(issuer, &oidc.StaticKeySet{PublicKeys: public}, &oidc.Config{
		SupportedSigningAlgs: algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true,
	})
	verified, err := verifier.Verify(ctx, raw)
	if err != nil {
		return token{}, refuse(ReasonJWT, err.Error()) // says what is wrong, and quotes nothing unverified
	}
	return is.accept(issuer, verified)
}

// accept finds the source of a token with a right signature, and checks its time.
func (is *issuers) accept(issuer string, verified *oidc.IDToken) (token, error) {
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return token{}, refuse(ReasonJWT, "the claims cannot be read")
	}
	why := "for another audience: " + quoted(strings.Join(verified.Audience, " "))
	for _, b := range is.bounds[issuer] {
		if !slices.Contains(verified.Audience, b.Audience) {
			continue
		}
		// A claim that is absent, or no text, is the empty client, which is never listed.
		client, _ := claims[b.ClientClaim].(string)
		if !slices.Contains(b.Clients, client) {
			why = fmt.Sprintf("its %s %s is not among the clients of source %q", b.ClientClaim, quoted(client), b.source)
			continue
		}
		t := token{source: b.source, client: client, scopes: b.Scopes, cidrs: b.CIDRs}
		return t, checkTime(verified.Expiry, claims["nbf"], time.Now())
	}
	return token{}, refuse(ReasonAudience, why)
}

// checkTime wants a token that has begun and has not ended. One without an end is one
// that has ended.
func checkTime(expires time.Time, nbf any, now time.Time) error {
	if !now.Before(expires.Add(leeway)) {
		return refuse(ReasonExpired, "at "+expires.UTC().Format(time.RFC3339))
	}
	switch from := nbf.(type) {
	case nil:
		return nil
	case float64:
		if float64(now.Add(leeway).Unix()) >= from {
			return nil
		}
	}
	return refuse(ReasonExpired, "it is not valid yet; compare the clocks")
}

// unverifiedIssuer is the iss claim of a JWT, for choosing the keys to verify it with.
func unverifiedIssuer(raw string) string {
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return ""
	}
	return claims.Issuer
}
