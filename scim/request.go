package scim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// decodeBody reads the body, up to the limit, as one JSON object.
func decodeBody(r *http.Request) (schema.Document, error) {
	b := render.Buffer()
	defer render.Release(b)
	if _, err := io.Copy(b, r.Body); err != nil {
		return nil, fmt.Errorf("%w: %w", errBody, err)
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
	return render.View{Base: h.baseURL(r), Projection: schema.ParseProjection(rt, q["attributes"], q["excludedAttributes"])}, nil
}

// expect reads the preconditions of a change. Nil means that there are none, or
// If-Match is "*": any version will do. If-None-Match "*" on what is there already
// is met by no version (RFC 9110 section 13.1.2).
func expect(r *http.Request) directory.Expect {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && slices.Contains(splitTags(r.Header.Values("If-None-Match")), "*") {
		return directory.Expect{}
	}
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

// fresh says whether a GET need not repeat a version because If-None-Match names it;
// the answer is then written. A version that If-Match does not name is ErrVersion.
func fresh(w http.ResponseWriter, r *http.Request, version int64) (bool, error) {
	// In this order (RFC 9110 section 13.2.2): who expects another version must not be
	// told that nothing has changed.
	if !expect(r).Allows(version) {
		return false, directory.ErrVersion
	}
	if !unmodified(r, version) {
		return false, nil
	}
	w.Header().Set("ETag", render.ETag(version))
	w.WriteHeader(http.StatusNotModified)
	return true, nil
}

// unmodified says whether If-None-Match names the version.
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
