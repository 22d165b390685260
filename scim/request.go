package scim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// decodeBody reads the body, up to the limit, as one JSON object.
func decodeBody(r *http.Request) (schema.Document, error) {
	b := render.Buffer()
	defer render.Release(b)
	if _, err := io.Copy(b, r.Body); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return schema.Decode(b.Bytes())
}

// resource reads the body of a POST or PUT: canonical and valid.
func (h *handler) resource(r *http.Request, s *session, rt *schema.ResourceType) (schema.Document, error) {
	raw, err := decodeBody(r)
	if err != nil {
		return nil, err
	}
	// Canonicalize drops what a client may not say (id, meta, groups, password)
	// before anything is checked or stored.
	doc, fixups, err := rt.Canonicalize(raw, s.profile.mode())
	if err != nil {
		return nil, err
	}
	if err := rt.Validate(doc); err != nil {
		return nil, err
	}
	h.metrics.fixed(s.actor.Source, fixups...)
	return doc, nil
}

// query is the query string, read strictly: a parameter lost to a wrong escape
// could turn a look-up into a listing.
func query(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, schema.Errorf(schema.InvalidSyntax, "", "the query string cannot be read")
	}
	return q, nil
}

// view reads the projection of a request.
func (h *handler) view(r *http.Request, rt *schema.ResourceType) (render.View, error) {
	q, err := query(r)
	if err != nil {
		return render.View{}, err
	}
	return render.View{Base: h.baseURL(r), Projection: projection(rt, q)}, nil
}

// projection is what the client wants to see of a resource.
func projection(rt *schema.ResourceType, q url.Values) schema.Projection {
	return schema.ParseProjection(rt, q["attributes"], q["excludedAttributes"])
}

// listQuery reads filter and paging of a listing.
func (h *handler) listQuery(q url.Values, s *session, rt *schema.ResourceType) (directory.Query, error) {
	out := directory.Query{Source: s.actor.Source, Start: 1, Count: h.limits.Page}
	var err error
	// Whatever cannot be read is refused: a default in its place would answer a
	// question that nobody asked.
	if out.Start, err = number(q, "startIndex", 1); err != nil {
		return out, err
	}
	if out.Count, err = number(q, "count", h.limits.Page); err != nil {
		return out, err
	}
	// RFC 7644 section 3.4.2.4: what is too small counts as 1 and 0, and a page
	// that is too large is lowered, not refused.
	out.Start = max(out.Start, 1)
	out.Count = min(max(out.Count, 0), h.limits.Page)
	if text := q.Get("filter"); text != "" {
		out.Filter, err = h.filter(text, s, rt)
	}
	return out, err
}

// number reads an integer parameter. One beyond an int is as good as the largest
// one.
func number(q url.Values, name string, def int) (int, error) {
	text := strings.TrimSpace(q.Get(name))
	if text == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && n == 0 {
		return 0, schema.Errorf(schema.InvalidValue, name, "%s must be an integer", name)
	}
	const most = 1 << 31
	return int(min(max(n, -most), most-1)), nil
}

// filter reads a filter and binds it to the resource type.
func (h *handler) filter(text string, s *session, rt *schema.ResourceType) (*filter.Bound, error) {
	if len(text) > h.limits.Filter {
		return nil, schema.Errorf(schema.InvalidFilter, "", "a filter may have at most %d bytes", h.limits.Filter)
	}
	var seen schema.Fixups
	opt := filter.Options{Tolerant: !s.profile.mode().Strict, OnFixup: func(k schema.Fixup) { seen.Add(k) }}
	expr, err := filter.Parse(text, opt)
	if err != nil {
		return nil, err
	}
	bound, err := filter.Bind(expr, rt, opt)
	if err != nil {
		return nil, err
	}
	h.metrics.fixed(s.actor.Source, seen...)
	return &bound, nil
}

// expect reads If-Match. Nil means that there is none, or "*": any version will
// do.
func expect(r *http.Request) directory.Expect {
	tags := r.Header.Values("If-Match")
	if len(tags) == 0 {
		return nil
	}
	// From here on it is not nil: tags that are none of ours match no version.
	out := directory.Expect{}
	for _, tag := range splitTags(tags) {
		if tag == "*" {
			return nil
		}
		if v, ok := parseTag(tag); ok {
			out = append(out, v)
		}
	}
	return out
}

// unmodified says whether If-None-Match names the version, so that a GET need not
// repeat it.
func unmodified(r *http.Request, version int64) bool {
	for _, tag := range splitTags(r.Header.Values("If-None-Match")) {
		if v, ok := parseTag(tag); tag == "*" || ok && v == version {
			return true
		}
	}
	return false
}

// splitTags takes lists of entity tags apart. Ours have no commas in them.
func splitTags(headers []string) []string {
	var out []string
	for _, h := range headers {
		for tag := range strings.SplitSeq(h, ",") {
			out = append(out, strings.TrimSpace(tag))
		}
	}
	return out
}

// parseTag is the version of an entity tag, weak or not.
func parseTag(tag string) (int64, bool) {
	text, ok := strings.CutPrefix(strings.TrimPrefix(tag, "W/"), `"`)
	if !ok {
		return 0, false
	}
	text, ok = strings.CutSuffix(text, `"`)
	v, err := strconv.ParseInt(text, 10, 64)
	return v, ok && err == nil
}

// resourceID is the id in the path. What cannot be one of ours is not looked for:
// the database need not see it.
func resourceID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	const length = 36 // of a UUID
	if len(id) != length {
		return "", directory.ErrNotFound
	}
	for i := range len(id) {
		c := id[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", directory.ErrNotFound
		}
	}
	return id, nil
}

// baseURL is the URL of the base path, as clients see it.
func (h *handler) baseURL(r *http.Request) string {
	if h.public != "" {
		return h.public + h.base
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + h.base
}
