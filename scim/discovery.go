package scim

import (
	"net/http"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Discovery says what is there and nothing else: what a client may not do is false,
// because authentik and others steer by it. The schemas come from the tables that
// requests are checked against, so they cannot promise something else.

// bulkOperations is announced although Bulk is not supported: authentik sizes its
// member operations by it.
const bulkOperations = 1000

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

// serviceProviderConfig says what this server can do (RFC 7643 section 5), and
// nothing that it cannot.
func (h *handler) serviceProviderConfig(w http.ResponseWriter, r *http.Request, _ *session) error {
	if err := noFilter(r); err != nil {
		return err
	}
	supported := func(is bool) map[string]any { return map[string]any{"supported": is} }
	return sendDocument(w, schema.Document{
		"schemas": []any{schema.ServiceProviderConfigURN},
		"patch":   supported(true),
		// What is not there is false; see bulkOperations for its size.
		"bulk":           map[string]any{"supported": false, "maxOperations": bulkOperations, "maxPayloadSize": h.limits.Body},
		"filter":         map[string]any{"supported": true, "maxResults": h.limits.Page},
		"changePassword": supported(false),
		"sort":           supported(false),
		"etag":           supported(true),
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "primary": true,
			"description": "A secret made by this server, sent in the Authorization header",
			"specUri":     "https://www.rfc-editor.org/info/rfc6750",
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": h.baseURL(r) + "/ServiceProviderConfig"},
	})
}

// schemas are all schemas with their documents.
func (h *handler) schemas() []*schema.Schema {
	return append(h.users.Schemas(), h.groups.Schemas()...)
}

// listSchemas is GET /Schemas, a ListResponse of them all.
func (h *handler) listSchemas(w http.ResponseWriter, r *http.Request, _ *session) error {
	var docs []schema.Document
	for _, s := range h.schemas() {
		docs = append(docs, s.Document(h.baseURL(r)))
	}
	return sendList(w, r, docs)
}

// getSchema is GET /Schemas/{urn}.
func (h *handler) getSchema(w http.ResponseWriter, r *http.Request, _ *session) error {
	for _, s := range h.schemas() {
		// A URN is compared without regard to case (RFC 8141 section 3).
		if strings.EqualFold(s.ID, r.PathValue("id")) {
			return sendOne(w, r, s.Document(h.baseURL(r)))
		}
	}
	return errNoEndpoint
}

// listResourceTypes is GET /ResourceTypes.
func (h *handler) listResourceTypes(w http.ResponseWriter, r *http.Request, _ *session) error {
	base := h.baseURL(r)
	return sendList(w, r, []schema.Document{h.users.Document(base), h.groups.Document(base)})
}

// getResourceType is GET /ResourceTypes/{name}.
func (h *handler) getResourceType(w http.ResponseWriter, r *http.Request, _ *session) error {
	for _, rt := range [...]*schema.ResourceType{h.users, h.groups} {
		if rt.Name == r.PathValue("id") {
			return sendOne(w, r, rt.Document(h.baseURL(r)))
		}
	}
	return errNoEndpoint
}

// sendOne answers with one discovery document.
func sendOne(w http.ResponseWriter, r *http.Request, doc schema.Document) error {
	if err := noFilter(r); err != nil {
		return err
	}
	return sendDocument(w, doc)
}

// sendList answers with all of them, whatever page was asked for.
func sendList(w http.ResponseWriter, r *http.Request, docs []schema.Document) error {
	if err := noFilter(r); err != nil {
		return err
	}
	b := buffer()
	defer release(b)
	listHead(b, len(docs), 1, len(docs))
	for i, doc := range docs {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(b, doc); err != nil {
			return err
		}
	}
	b.WriteString("]}")
	return send(w, http.StatusOK, b)
}
