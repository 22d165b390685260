package scim

import (
	"errors"
	"net/http"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/auth"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Authentication wraps everything, so that no path, method or encoding is routed, or
// told apart from another, before a live credential was shown (RFC 7644 section 2).
// How one is shown is the package auth's; here it becomes a session.

// session is who makes a request.
type session struct {
	actor   directory.Actor
	profile Profile
	who     auth.Identity
}

// authenticate returns the session of whoever makes the request.
func (h *handler) authenticate(r *http.Request) (*session, error) {
	who, err := h.auth.Identify(r)
	// Told even when the request is refused: the source comes from the configuration,
	// so it may be a label, and a refusal is for its journal.
	in := web.InfoOf(r.Context())
	in.Credential, in.Source = who.Name, who.Source
	if err != nil {
		return h.stranger(r, err)
	}
	h.metrics.seen(who.Source)
	return &session{
		actor:   directory.Actor{Credential: who.Name, Source: who.Source, RequestID: in.RequestID},
		profile: h.profiles[who.Source], who: who,
	}, nil
}

// stranger is the session of a request that shows no credential at all: none, unless
// it only reads what this server says about itself and that is open to everybody. A
// wrong credential never gets it, so that whoever has one learns of it.
func (h *handler) stranger(r *http.Request, refusal error) (*session, error) {
	e, ok := errors.AsType[*auth.Error](refusal)
	if !h.open || !ok || e.Reason != auth.ReasonMissing || len(r.Header.Values("Authorization")) > 0 {
		return nil, refusal
	}
	if !h.normalise(r) {
		return nil, refusal
	}
	if _, pattern := h.mux.Handler(r); !h.discovery[pattern] {
		return nil, refusal
	}
	return &session{profile: Generic}, nil
}

// may says whether the session is allowed to read, or write, a kind of resource; the
// error is for the client.
func (h *handler) may(s *session, resource string, write bool) error {
	if s.actor.Source == "" && resource == labelDiscovery && !write {
		return nil // see stranger
	}
	return h.auth.Allow(s.who, resource, write)
}

// explain tells the journal why a request was answered as it was: more than the client
// may know.
func (h *handler) explain(r *http.Request, err error) journal.Reason {
	out := journal.Reason{Address: h.auth.Address(r)}
	if err == nil {
		return out
	}
	out.Detail = err.Error()
	if known, ok := errors.AsType[*schema.Error](err); ok {
		out.SCIMType, out.Attribute, out.Detail = known.ScimType, known.Path, known.Detail
	} else {
		out.SCIMType = problemOf(err, "").scimType
	}
	return out
}
