package scim

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"strings"

	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/schema"
)

// The resources as metric labels.
const (
	labelUsers     = "users"
	labelGroups    = "groups"
	labelAll       = "resources"
	labelMe        = "me"
	labelBulk      = "bulk"
	labelDiscovery = "discovery"
)

// serveFunc answers a request of a session, or returns an error for errors.go.
type serveFunc func(http.ResponseWriter, *http.Request, *session) error

// route is one line of the table of endpoints.
type route struct {
	method, path string
	resource     string // metric label
	serve        serveFunc
	ok           int // the status of a good day
}

// writes says whether the endpoint may change something. A search is a POST that only
// reads (RFC 7644 section 3.4.3).
func (rt *route) writes() bool {
	return rt.method != http.MethodGet && !strings.HasSuffix(rt.path, "/.search")
}

// table is the table of endpoints. There is no catch-all: what is not here is
// 404, or 405 with Allow.
func (h *handler) table() []route {
	root := "" // the base path itself; a slash at its end was dropped before
	if h.base == "" {
		root = "/{$}"
	}
	return []route{
		{http.MethodPost, "/Users", labelUsers, h.createUser, http.StatusCreated},
		{http.MethodGet, "/Users", labelUsers, h.list(h.fromQuery, h.listUsers), http.StatusOK},
		{http.MethodPost, "/Users/.search", labelUsers, h.list(h.fromBody, h.listUsers), http.StatusOK},
		{http.MethodGet, "/Users/{id}", labelUsers, h.getUser, http.StatusOK},
		{http.MethodPut, "/Users/{id}", labelUsers, h.putUser, http.StatusOK},
		{http.MethodPatch, "/Users/{id}", labelUsers, h.patchUser, http.StatusOK},
		{http.MethodDelete, "/Users/{id}", labelUsers, h.deleteUser, http.StatusNoContent},

		{http.MethodPost, "/Groups", labelGroups, h.createGroup, http.StatusCreated},
		{http.MethodGet, "/Groups", labelGroups, h.list(h.fromQuery, h.listGroups), http.StatusOK},
		{http.MethodPost, "/Groups/.search", labelGroups, h.list(h.fromBody, h.listGroups), http.StatusOK},
		{http.MethodGet, "/Groups/{id}", labelGroups, h.getGroup, http.StatusOK},
		{http.MethodPut, "/Groups/{id}", labelGroups, h.putGroup, http.StatusOK},
		{http.MethodPatch, "/Groups/{id}", labelGroups, h.patchGroup, http.StatusNoContent},
		{http.MethodDelete, "/Groups/{id}", labelGroups, h.deleteGroup, http.StatusNoContent},

		{http.MethodGet, root, labelAll, h.list(h.fromQuery, h.listAll), http.StatusOK},
		{http.MethodPost, "/.search", labelAll, h.list(h.fromBody, h.listAll), http.StatusOK},

		{http.MethodGet, "/Me", labelMe, h.me, http.StatusNotImplemented},
		{http.MethodPost, "/Me", labelMe, h.me, http.StatusNotImplemented},
		{http.MethodPut, "/Me", labelMe, h.me, http.StatusNotImplemented},
		{http.MethodPatch, "/Me", labelMe, h.me, http.StatusNotImplemented},
		{http.MethodDelete, "/Me", labelMe, h.me, http.StatusNotImplemented},
		{http.MethodPost, "/Bulk", labelBulk, h.bulk, http.StatusOK},

		{http.MethodGet, "/ServiceProviderConfig", labelDiscovery, h.one(h.serviceProviderConfig), http.StatusOK},
		{http.MethodGet, "/Schemas", labelDiscovery, h.all(h.docs.Schemas), http.StatusOK},
		{http.MethodGet, "/Schemas/{id}", labelDiscovery, h.one(h.docs.Schema), http.StatusOK},
		{http.MethodGet, "/ResourceTypes", labelDiscovery, h.all(h.docs.ResourceTypes), http.StatusOK},
		{http.MethodGet, "/ResourceTypes/{id}", labelDiscovery, h.one(h.docs.ResourceType), http.StatusOK},
	}
}

// me answers for /Me, the alias of whoever asks (RFC 7644 section 3.11). Here nobody
// asks who is a resource: a credential belongs to an identity provider and stands
// for no user, so there is nothing to map it to. The RFC wants 501 from a server
// without the alias; 404 would say that the user is missing, and could be taken for
// something that provisioning repairs.
func (*handler) me(http.ResponseWriter, *http.Request, *session) error { return errNoAlias }

// routes builds the mux of the table.
func (h *handler) routes() *http.ServeMux {
	mux := http.NewServeMux()
	h.discovery = map[string]bool{}
	for _, rt := range h.table() {
		pattern := rt.method + " " + h.base + rt.path
		if rt.resource == labelDiscovery {
			h.discovery[pattern] = true
		}
		mux.Handle(pattern, web.Handler(func(w http.ResponseWriter, r *http.Request) error {
			in := web.InfoOf(r.Context())
			in.Route, in.Resource = cmp.Or(rt.path, "/"), rt.resource
			s := sessionOf(r.Context())
			if err := h.may(s, rt.resource, rt.writes()); err != nil {
				return err
			}
			return rt.serve(w, r, s)
		}, h.writeError))
	}
	return mux
}

// routeMetrics is the table for the request metrics.
func (h *handler) routeMetrics() []web.Route {
	var out []web.Route
	for _, rt := range h.table() {
		statuses := []int{rt.ok, http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError}
		switch {
		case rt.method == http.MethodPatch:
			statuses = append(statuses, http.StatusOK+http.StatusNoContent-rt.ok, http.StatusConflict) // both 200 and 204
		case rt.ok == http.StatusCreated || rt.method == http.MethodPut:
			statuses = append(statuses, http.StatusConflict)
		}
		out = append(out, web.Route{Resource: rt.resource, Method: rt.method, Statuses: statuses})
	}
	return out
}

type sessionKey struct{}

// sessionOf returns the session of an authenticated request. Handlers run behind
// serve alone, so there is one.
func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// serve answers every request under the base path: first it wants to know who
// asks, then what for.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	// First of all, and for every path: no route is looked up for a stranger.
	s, err := h.authenticate(r)
	if err != nil {
		return err
	}
	r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
	if !h.normalise(r) {
		return errNoEndpoint
	}
	return h.dispatch(w, r)
}

// dispatch has the endpoint of a request answer it, or says that there is none.
func (h *handler) dispatch(w http.ResponseWriter, r *http.Request) error {
	// The mux would answer an unknown path or method itself, in plain text.
	next, pattern := h.mux.Handler(r)
	if pattern == "" {
		if h.respell(r) {
			next, pattern = h.mux.Handler(r)
		}
		if pattern == "" {
			return unrouted(next, r)
		}
	}
	h.mux.ServeHTTP(w, r)
	return nil
}

// endpointNames are the names of endpoints by their lower case, and the one that
// Microsoft's reference has for ServiceProviderConfig.
var endpointNames = map[string]string{
	"users": "Users", "groups": "Groups", "bulk": "Bulk", "me": "Me", "schemas": "Schemas", "resourcetypes": "ResourceTypes",
	"serviceproviderconfig": "ServiceProviderConfig", "serviceconfiguration": "ServiceProviderConfig",
}

// respell gives the path of a request the endpoint's own spelling, where the client
// wrote it in another case or by another name. It reports whether it did.
func (h *handler) respell(r *http.Request) bool {
	s := sessionOf(r.Context())
	rest, below := strings.CutPrefix(r.URL.Path, h.base+"/")
	name, tail, more := strings.Cut(rest, "/")
	known := endpointNames[strings.ToLower(name)]
	if s == nil || s.profile.mode().Strict || !below || known == "" || known == name {
		return false
	}
	u := *r.URL
	if u.Path, u.RawPath = h.base+"/"+known, ""; more {
		u.Path += "/" + tail
	}
	r.URL = &u
	h.metrics.fixed(s.actor.Source, schema.FixEndpointName)
	return true
}

// normalise drops one slash at the end of the path, as some clients send. It
// reports whether the path is one that the mux would take as it is: others it
// would redirect.
func (*handler) normalise(r *http.Request) bool {
	p := r.URL.EscapedPath()
	if r.Method == http.MethodConnect || !strings.HasPrefix(p, "/") {
		return false
	}
	if trimmed := strings.TrimSuffix(p, "/"); trimmed != p && trimmed != "" {
		u := *r.URL
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
		r.URL, p = &u, trimmed
	}
	return path.Clean(p) == p && path.Clean(r.URL.Path) == r.URL.Path
}

// unrouted asks the mux's own answer whether an endpoint lacks the method or is
// not there at all.
func unrouted(answer http.Handler, r *http.Request) error {
	var p probe
	answer.ServeHTTP(&p, r)
	if p.status == http.StatusMethodNotAllowed {
		return &methodError{allow: p.Header().Get("Allow")}
	}
	return errNoEndpoint
}

// probe takes an answer's status and headers and forgets its body.
type probe struct {
	header http.Header
	status int
}

// Header returns the headers that the mux sets, Allow among them.
func (p *probe) Header() http.Header {
	if p.header == nil {
		p.header = http.Header{}
	}
	return p.header
}

// WriteHeader notes the status.
func (p *probe) WriteHeader(status int) { p.status = status }

// Write drops the mux's plain text.
func (p *probe) Write(body []byte) (int, error) { return len(body), nil }
