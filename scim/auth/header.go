package auth

import (
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/matomo-scim/bridge/scim/discovery"
)

// What stands in the Authorization header, and nowhere else: a token in a query string
// ends up in the log of every proxy on the way (RFC 6750 section 5.3), so one that is
// sent there is not even looked at.

// maxToken bounds what is looked at: a JWT of an identity provider has two or three
// kilobytes.
const maxToken = 16 << 10

// presented is what an Authorization header holds.
type presented struct {
	secret string
	basic  bool
	name   string // the user of HTTP Basic
}

// parse reads the one Authorization header, or says why there is nothing to check.
// basic says whether HTTP Basic is on for anybody.
func parse(headers []string, basic bool) (presented, Reason) {
	// Two headers could mean two things to two readers, a proxy and this server.
	if len(headers) != 1 {
		return presented{}, ReasonMissing
	}
	// The scheme is compared without regard to case (RFC 9110 section 11.1).
	scheme, rest, _ := strings.Cut(headers[0], " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		if rest == "" {
			return presented{}, ReasonEmpty
		}
		return presented{secret: rest}, ""
	case strings.EqualFold(scheme, "Basic") && basic:
		return parseBasic(rest)
	}
	return presented{}, ReasonMissing
}

// parseBasic reads user and password of HTTP Basic (RFC 7617 section 2): the name of
// a credential, and its secret.
func parseBasic(text string) (presented, Reason) {
	raw, err := base64.StdEncoding.DecodeString(text)
	// The first colon divides: a name cannot hold one, a password may.
	name, secret, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || name == "" || secret == "" {
		return presented{}, ReasonEmpty
	}
	return presented{secret: secret, basic: true, name: name}, ""
}

// looksLikeJWT tells a signed JWT, three parts with dots between them (RFC 7515
// section 7.1), from a secret of ours, which has no dot.
func (p presented) looksLikeJWT() bool { return !p.basic && strings.Count(p.secret, ".") == 2 }

// isOf says whether the credential is the one that was named. A bearer token names
// none.
func (p presented) isOf(name string) bool {
	return !p.basic || subtle.ConstantTimeCompare([]byte(p.name), []byte(name)) == 1
}

// Schemes are the ways to sign in that are on for at least one source, the preferred
// one first, as ServiceProviderConfig lists them (RFC 7643 section 5). They are told for
// all sources together: a client that reads them has not said yet whose it is.
func (a *Authenticator) Schemes() []discovery.Scheme {
	out := []discovery.Scheme{discovery.BearerToken()}
	if !a.issuers.empty() {
		out = append(out, discovery.Scheme{
			Type: "oauth2", Name: "OAuth 2.0 access token",
			Description: "A signed JWT of the identity provider's own issuer, sent as bearer token",
			SpecURI:     "https://www.rfc-editor.org/info/rfc9068",
		})
	}
	if a.basic {
		out = append(out, discovery.Scheme{
			Type: "httpbasic", Name: "HTTP Basic",
			Description: "The name of a credential as user, its secret as password",
			SpecURI:     "https://www.rfc-editor.org/info/rfc7617",
		})
	}
	return out
}
