package app

import (
	"fmt"
	"slices"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/source"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/scim/auth"
)

// How the sources of the configuration sign in, and what is kept of their requests.

// AllScopes reads and writes everything.
const AllScopes = directory.AllScopes

// ParseScopes reads scopes as people write them.
func ParseScopes(words []string) (Scopes, error) { return directory.ParseScopes(words) }

// accessOptions say how the sources sign in.
func (s *Services) accessOptions() (auth.Options, error) {
	proxies, err := config.ParseBlocks(s.Config.Listen.TrustedProxies)
	if err != nil {
		return auth.Options{}, fmt.Errorf("listen.trusted_proxies: %w", err)
	}
	out := auth.Options{
		Sources: map[string]auth.Source{}, TrustedProxies: proxies, GuessesPerMinute: s.Config.Listen.WrongTokensPerMinute,
	}
	for _, src := range s.Config.Sources {
		jwt, err := jwtOf(src.JWT)
		if err != nil {
			return auth.Options{}, fmt.Errorf("source %q: jwt: %w", src.Name, err)
		}
		out.Sources[src.Name] = auth.Source{Basic: src.Basic, JWT: jwt, RequestsPerSecond: float64(src.RequestsPerSecond)}
	}
	return out, nil
}

// takesTokens says whether a source could sign in without a credential, with tokens of
// an issuer.
func (s *Services) takesTokens() bool {
	return slices.ContainsFunc(s.Config.Sources, func(src config.Source) bool { return !src.JWT.IsZero() })
}

// jwtOf is the issuer of a source; nil when it has none.
func jwtOf(cfg source.JWT) (*auth.JWT, error) {
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

// newJournal returns the journal of the sources that have one.
func (s *Services) newJournal(opt Options) *journal.Journal {
	sources := map[string]journal.Source{}
	for _, src := range s.Config.Sources {
		sources[src.Name] = journal.Source{Requests: src.Journal.Requests, Bodies: src.Journal.Bodies, Keep: src.Journal.Keep}
	}
	return journal.New(journal.Options{DB: s.DB, Sources: sources, Logger: opt.Logger.Named("journal"), Registerer: s.Registry})
}
