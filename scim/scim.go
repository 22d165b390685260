// Package scim is the SCIM 2.0 front (RFC 7643, RFC 7644): it authenticates,
// parses, normalises and renders, and leaves what is said to the directory.
//
// Rules of this package:
//
//   - Authentication stands in front of everything: no path, method or encoding reaches a route, or even a 404,
//     without a live credential.
//   - Every answer is JSON of type application/scim+json, errors too. Errors come from one table (errors.go); what
//     is internal stays inside and is found in the log under the request id.
//   - What identity providers send against the RFC is understood in the packages schema, filter and patch, counted by
//     kind, and refused by the profile strict.
//   - What a client did not ask for is not read: the projection is known before members or groups are.
package scim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/auth"
	"github.com/matomo-scim/bridge/scim/discovery"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
	"github.com/matomo-scim/bridge/scim/search"
)

// ContentType is the media type of every answer (RFC 7644 section 8.1).
const ContentType = render.ContentType

// DefaultBasePath is where the endpoints live.
const DefaultBasePath = "/scim/v2"

// Limits bounds what one request may ask. Zero values are replaced by the
// defaults named at each field.
type Limits struct {
	// Body is the largest body in bytes: 1 MiB.
	Body int64
	// Operations is the largest number of operations in a PATCH, and in a bulk
	// request: 1,000.
	Operations int
	// Page is the largest and the default number of resources in one answer:
	// 1,000.
	Page int
	// Filter is the longest filter in bytes: 4,096.
	Filter int
}

// setDefaults fills in what is not given.
func (l *Limits) setDefaults() {
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	if l.Operations <= 0 {
		l.Operations = 1000
	}
	if l.Page <= 0 {
		l.Page = 1000
	}
	if l.Filter <= 0 {
		l.Filter = 4096
	}
}

// Options configures New. Directory, Sources, Logger and Registerer are required.
type Options struct {
	// Directory holds the users, groups and credentials.
	Directory *directory.Store
	// Sources are the configured SCIM sources by name. A credential of any other
	// source is refused.
	Sources map[string]Profile
	// Users and Groups are the resource types with the extensions of the
	// configuration; nil means the standard ones.
	Users, Groups *schema.ResourceType
	// PublicURL is how clients reach this server, such as
	// https://scim.example.com, for meta.location and $ref. Empty takes scheme
	// and host from the request.
	PublicURL string
	// BasePath is the path under which the endpoints live, without a slash at its
	// end. Empty means DefaultBasePath.
	BasePath string
	// Limits bounds requests.
	Limits Limits
	// NoCursors switches paging by cursor off, with its announcement: some clients
	// refuse documents with members that they do not know.
	NoCursors bool
	// Access says how clients sign in. Its Directory and Registerer are filled in; a
	// source that it does not name takes bearer secrets, as many as come.
	Access auth.Options
	// PublicDiscovery answers ServiceProviderConfig, Schemas and ResourceTypes to
	// requests without a credential too (RFC 7643 section 5).
	PublicDiscovery bool
	// Journal keeps what sources sent and were answered; nil for none.
	Journal *journal.Journal
	// Logger gets one line a request.
	Logger *zap.Logger
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
}

// handler serves the endpoints. It has no state but its parts: nothing in it changes
// after New, so requests need no lock.
type handler struct {
	dir      *directory.Store
	profiles map[string]Profile
	base     string // path
	public   string // scheme and host, "" to take them from the request
	limits   Limits
	log      *zap.Logger
	metrics  *metrics
	auth     *auth.Authenticator
	open     bool // discovery needs no credential
	mux      *http.ServeMux
	users    *schema.ResourceType
	groups   *schema.ResourceType
	docs     *discovery.Documents
	cursors  *search.Cursors

	noCursors bool
	// discovery are the mux's patterns that read what the server says about itself.
	discovery map[string]bool
}

// New returns the handler of all SCIM endpoints. It expects the whole path, base
// path included, and must get every request under it untouched: a ServeMux in
// front would redirect //Users before anybody is authenticated.
func New(opt Options) (http.Handler, error) {
	if opt.Directory == nil || opt.Logger == nil || opt.Registerer == nil {
		return nil, errors.New("scim: Directory, Logger and Registerer are required")
	}
	if len(opt.Sources) == 0 {
		return nil, errors.New("scim: no source is configured")
	}
	names := make([]string, 0, len(opt.Sources))
	for name, p := range opt.Sources {
		if !p.valid() {
			return nil, fmt.Errorf("scim: source %q: unknown profile %q", name, p)
		}
		names = append(names, name)
	}
	// A location that nobody can follow is worse than none: say so at start.
	if opt.PublicURL != "" {
		if u, err := url.Parse(opt.PublicURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("scim: public URL %q is not an http or https URL", opt.PublicURL)
		}
	}
	if opt.BasePath == "" {
		opt.BasePath = DefaultBasePath
	}
	opt.Limits.setDefaults()
	h := &handler{
		dir: opt.Directory, profiles: opt.Sources, base: strings.TrimSuffix(opt.BasePath, "/"),
		public: strings.TrimSuffix(opt.PublicURL, "/"), limits: opt.Limits, log: opt.Logger,
		metrics: newMetrics(opt.Registerer, names), open: opt.PublicDiscovery,
		users: cmp.Or(opt.Users, schema.User()), groups: cmp.Or(opt.Groups, schema.Group()),
		cursors: search.NewCursors(opt.Directory.CursorKey), noCursors: opt.NoCursors,
	}
	var err error
	if h.auth, err = auth.New(opt.access()); err != nil {
		return nil, fmt.Errorf("scim: %w", err)
	}
	h.docs = discovery.New(discovery.Features{
		MaxResults:     h.limits.Page,
		Cursors:        !h.noCursors,
		CursorTimeout:  search.Timeout,
		Bulk:           discovery.Bulk{Supported: true, MaxOperations: h.limits.Operations, MaxPayload: h.limits.Body},
		Authentication: h.auth.Schemes(),
	}, h.users, h.groups)
	// Outside in: observation, journal, errors, authentication, routes.
	h.mux = h.routes()
	return web.Observe(opt.Journal.Record(web.Handler(h.serve, h.writeError), h.explain), web.Options{
		Logger: opt.Logger, MaxBody: opt.Limits.Body, WriteError: h.writeError,
		Metrics: web.NewMetrics(opt.Registerer, names, h.routeMetrics()),
	}), nil
}

// access are the options of authentication: every source is known to it.
func (opt *Options) access() auth.Options {
	out := opt.Access
	out.Directory, out.Registerer = opt.Directory, opt.Registerer
	out.Sources = make(map[string]auth.Source, len(opt.Sources))
	for name := range opt.Sources {
		out.Sources[name] = opt.Access.Sources[name]
	}
	return out
}
