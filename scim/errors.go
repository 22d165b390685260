package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/auth"
	"github.com/matomo-scim/bridge/scim/bulk"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// errNoEndpoint says that the path is none of ours.
var errNoEndpoint = errors.New("no such endpoint")

// errBody says that a body ended too early, came too slowly or was framed wrongly:
// the client's doing, or the network's, and no fault here.
var errBody = errors.New("the body cannot be read to its end")

// errForbiddenFilter says that a discovery endpoint was filtered (RFC 7644
// section 4).
var errForbiddenFilter = errors.New("discovery endpoints cannot be filtered")

// errNoAlias says that /Me means nobody; see handler.me.
var errNoAlias = errors.New("/Me is not supported: a credential of an identity provider stands for no user")

// methodError says that an endpoint lacks the method.
type methodError struct{ allow string }

// Error names the methods that the endpoint has.
func (e *methodError) Error() string { return "method not allowed; allowed: " + e.allow }

// tooManyOperations says that a PATCH or a bulk request has more operations than allowed.
type tooManyOperations struct {
	what string
	max  int
}

// Error names the limit.
func (e *tooManyOperations) Error() string {
	return fmt.Sprintf("%s may have at most %d operations", e.what, e.max)
}

// problem is an error as the client sees it (RFC 7644 section 3.12).
type problem struct {
	status   int
	scimType string
	detail   string
}

// problemOf is the one table from errors to the wire. What is not in it is
// internal: 500, and no more than the request id, under which the log has the
// rest.
func problemOf(err error, requestID string) problem {
	var known *schema.Error
	var refusal *auth.Error
	var method *methodError
	var operations *tooManyOperations
	var body *http.MaxBytesError
	var reference *bulk.ReferenceError
	switch {
	// What a client did wrong is said by the packages that noticed.
	case errors.As(err, &known):
		return problem{statusOf(known.ScimType), known.ScimType, known.Error()}
	// Why it was refused is in the log and a metric, not in the answer.
	case errors.As(err, &refusal):
		return problem{refusal.Status, "", refusal.Detail()}
	case errors.As(err, &method):
		return problem{http.StatusMethodNotAllowed, "", method.Error()}
	case errors.As(err, &operations):
		return problem{http.StatusRequestEntityTooLarge, schema.TooMany, operations.Error()}
	case errors.As(err, &body):
		return problem{http.StatusRequestEntityTooLarge, schema.TooMany, fmt.Sprintf("the body is larger than %d bytes", body.Limit)}
	case errors.Is(err, errBody):
		return problem{http.StatusBadRequest, schema.InvalidSyntax, errBody.Error()}
	case errors.Is(err, errNoEndpoint), errors.Is(err, bulk.ErrEndpoint):
		return problem{http.StatusNotFound, "", err.Error()}
	case errors.As(err, &reference):
		return problem{http.StatusConflict, "", reference.Error()}
	case errors.Is(err, errNoAlias):
		return problem{http.StatusNotImplemented, "", errNoAlias.Error()}
	case errors.Is(err, errForbiddenFilter):
		return problem{http.StatusForbidden, "", errForbiddenFilter.Error()}
	// A resource of another source is not there either.
	case errors.Is(err, directory.ErrNotFound):
		return problem{http.StatusNotFound, "", "no such resource"}
	case errors.Is(err, directory.ErrVersion):
		return problem{http.StatusPreconditionFailed, "", "the resource has changed: its version is not the expected one"}
	}
	return problem{http.StatusInternalServerError, "", "internal error, request " + requestID}
}

// statusOf is the HTTP status of a scimType (RFC 7644 table 9).
func statusOf(scimType string) int {
	switch scimType {
	case schema.Uniqueness:
		return http.StatusConflict
	case schema.Sensitive:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// writeError answers with the error, as JSON whatever happened.
func (h *handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	in := web.InfoOf(r.Context())
	p := problemOf(err, in.RequestID)
	header := w.Header()
	if m, ok := errors.AsType[*methodError](err); ok {
		header.Set("Allow", m.allow)
	}
	if refusal, ok := errors.AsType[*auth.Error](err); ok {
		h.auth.Headers(header, refusal)
	}
	h.metrics.errors(in.Source, p)
	body, _ := json.Marshal(struct { //nolint:errchkjson // strings always encode
		Schemas  []string `json:"schemas"`
		Status   string   `json:"status"`
		ScimType string   `json:"scimType,omitempty"`
		Detail   string   `json:"detail"`
	}{[]string{schema.ErrorURN}, strconv.Itoa(p.status), p.scimType, p.detail})
	header.Set("Content-Type", render.ContentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.status)
	_, _ = w.Write(body)
}
