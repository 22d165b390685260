// Package signin turns what the configuration says of sources into what lets them in.
//
// Rules of this package:
//
//   - A source that cannot be read lets nobody in: the error names it and the key, and the service does
//     not start.
//   - Nothing is asked of an issuer here. Whether it answers is for the check, and for the first token.
package signin

import (
	"fmt"
	"slices"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/source"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/auth"
)

// Options say how the sources of a configuration sign in.
func Options(cfg *config.Config) (auth.Options, error) {
	proxies, err := config.ParseBlocks(cfg.Listen.TrustedProxies)
	if err != nil {
		return auth.Options{}, fmt.Errorf("listen.trusted_proxies: %w", err)
	}
	out := auth.Options{
		Sources: map[string]auth.Source{}, TrustedProxies: proxies, GuessesPerMinute: cfg.Listen.WrongTokensPerMinute,
	}
	for _, src := range cfg.Sources {
		jwt, err := JWT(src.JWT)
		if err != nil {
			return auth.Options{}, fmt.Errorf("source %q: jwt: %w", src.Name, err)
		}
		out.Sources[src.Name] = auth.Source{Basic: src.Basic, JWT: jwt, RequestsPerSecond: float64(src.RequestsPerSecond)}
	}
	return out, nil
}

// TakesTokens says whether a source could sign in without a credential, with tokens of
// an issuer.
func TakesTokens(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Sources, func(src config.Source) bool { return !src.JWT.IsZero() })
}

// JWT is the issuer of a source; nil when it has none.
func JWT(cfg source.JWT) (*auth.JWT, error) {
	if cfg.IsZero() {
		return nil, nil //nolint:nilnil // none is not an error
	}
	scopes, err := directory.ParseScopes(cfg.Scopes)
	if err != nil {
		return nil, err
	}
	cidrs, err := config.ParseBlocks(cfg.CIDRs)
	if err != nil {
		return nil, err
	}
	return &auth.JWT{
		Issuer: cfg.Issuer, Audience: cfg.Audience, Clients: cfg.AppIDs, ClientClaim: cfg.ClientClaim, Scopes: scopes, CIDRs: cidrs,
	}, nil
}
