package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app/signin"
	"github.com/matomo-scim/bridge/internal/directory"
)

// What `check` says about signing in: whether each source has a way in, how long it
// lasts, and whether its issuer answers.

// endsSoon is when a credential's end is worth a word: the time in which somebody at the
// identity provider can be found.
const endsSoon = 14 * 24 * time.Hour

// CheckSignIn looks whether every source could sign in. client talks to the issuers; nil
// is a plain one. Only the whole bridge without any way in is a failure of its own, as it
// is for New.
func (s *Services) CheckSignIn(ctx context.Context, client *http.Client) ([]Finding, error) {
	all, err := s.Directory.ListCredentials(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	ways, now := 0, time.Now()
	for _, src := range s.Config.Sources {
		live, last := liveCredentials(all, src.Name, now)
		ways += live
		name := "source " + src.Name
		switch {
		case live == 0 && src.JWT.IsZero():
			out = append(out, Finding{
				LevelWarn, name, "no live credential: nobody can push for it", "matomo-scim-bridge credential create NAME --source " + src.Name,
			})
		case live > 0 && last != nil && last.Sub(now) < endsSoon:
			out = append(out, Finding{
				LevelWarn, name, fmt.Sprintf("its last credential ends at %s", last.UTC().Format(time.DateTime)), "matomo-scim-bridge credential rotate NAME NEXT",
			})
		case live > 0:
			out = append(out, Finding{LevelOK, name, fmt.Sprintf("live credentials: %d", live), ""})
		}
		if !src.JWT.IsZero() {
			ways++
			out = append(out, checkIssuer(ctx, src, client))
		}
	}
	if ways == 0 {
		out = append(out, Finding{LevelFail, "credentials", "none: no identity provider could sign in", "matomo-scim-bridge credential create NAME"})
	}
	return out, nil
}

// liveCredentials counts the live credentials of a source. last is the end of the one that
// lasts longest, nil when one of them does not end.
func liveCredentials(all []directory.Credential, source string, now time.Time) (n int, last *time.Time) {
	endless := false
	for _, c := range all {
		if c.Source != source || c.Revoked != nil || c.Expires != nil && !c.Expires.After(now) {
			continue
		}
		n++
		switch {
		case c.Expires == nil:
			endless = true
		case last == nil || c.Expires.After(*last):
			last = c.Expires
		}
	}
	if endless {
		last = nil
	}
	return n, last
}

// checkIssuer asks the issuer of a source for its keys.
func checkIssuer(ctx context.Context, src config.Source, client *http.Client) Finding {
	name := "issuer of " + src.Name
	jwt, err := signin.JWT(src.JWT)
	if err != nil {
		return Finding{LevelFail, name, err.Error(), ""}
	}
	n, err := jwt.Probe(ctx, client)
	if err != nil {
		return Finding{
			LevelFail, name, err.Error(), "look at jwt.issuer: it is the iss claim to the letter, and its discovery document must be reachable from here",
		}
	}
	return Finding{LevelOK, name, fmt.Sprintf("%s answers; keys that count: %d", jwt.Issuer, n), ""}
}
