package scim

import (
	"net/http"

	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// noFilter refuses a filter on a discovery endpoint; paging and sorting are
// ignored there (RFC 7644 section 4).
func noFilter(r *http.Request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	if q.Has("filter") {
		return errForbiddenFilter
	}
	return nil
}

// one makes an endpoint of a discovery document; find reports whether there is
// one of that name.
func (h *handler) one(find func(base, name string) (schema.Document, bool)) serveFunc {
	return func(w http.ResponseWriter, r *http.Request, _ *session) error {
		doc, ok := find(h.baseURL(r), r.PathValue("id"))
		if !ok {
			return errNoEndpoint
		}
		if err := noFilter(r); err != nil {
			return err
		}
		return render.Document(w, doc)
	}
}

// all makes an endpoint of a list of discovery documents, which is never paged.
func (h *handler) all(list func(base string) []schema.Document) serveFunc {
	return func(w http.ResponseWriter, r *http.Request, _ *session) error {
		if err := noFilter(r); err != nil {
			return err
		}
		return render.Documents(w, list(h.baseURL(r)))
	}
}

// serviceProviderConfig is GET /ServiceProviderConfig.
func (h *handler) serviceProviderConfig(base, _ string) (schema.Document, bool) {
	return h.docs.ServiceProviderConfig(base), true
}
