package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/bulk"
	"github.com/matomo-scim/bridge/scim/render"
	"github.com/matomo-scim/bridge/scim/schema"
)

// bulk is POST /Bulk (RFC 7644 section 3.7). Each operation goes the way of the same request sent alone, through the
// mux: what may be done, and how, is decided in one place. Each has its own transaction; an answer of 200 says no more
// than that the operations were tried.
func (h *handler) bulk(w http.ResponseWriter, r *http.Request, s *session) error {
	doc, err := decodeBody(r)
	if err != nil {
		return err
	}
	if n := len(bulk.List(doc)); n > h.limits.Operations {
		return &tooManyOperations{what: "a bulk request", max: h.limits.Operations}
	}
	req, err := bulk.FromDocument(doc, []*schema.ResourceType{h.users, h.groups}, s.profile.mode())
	if err != nil {
		return err
	}
	h.metrics.fixed(s.actor.Source, req.Fixups...)
	results := bulk.Run(req, bulk.Server{
		Do:     func(c bulk.Call) bulk.Answer { return h.part(r, c) },
		Refuse: func(err error) bulk.Answer { return h.refused(r, err) },
		GoOn:   func() bool { return r.Context().Err() == nil },
	})
	if err := r.Context().Err(); err != nil {
		return err // nobody is there to read the answer
	}
	return render.Document(w, bulk.Document(req, results, h.baseURL(r)))
}

// part answers one operation of the bulk request whole.
func (h *handler) part(whole *http.Request, c bulk.Call) bulk.Answer {
	body, err := json.Marshal(c.Data)
	if err != nil {
		return h.refused(whole, err)
	}
	// An operation that has begun is brought to its end, also when the client goes away meanwhile: what follows from
	// it, such as taking back what could not be finished, must not be cut off.
	r, in := web.Part(whole.WithContext(context.WithoutCancel(whole.Context())))
	r.Method, r.Header, r.Body = c.Method, http.Header{}, http.NoBody
	// The answer is looked at for its id and version alone.
	r.URL = &url.URL{Path: h.base + c.Path, RawQuery: "attributes=id"}
	if c.Data != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if c.Version != "" {
		r.Header.Set("If-Match", c.Version)
	}
	rec := &recording{header: http.Header{}}
	if err := h.dispatch(rec, r); err != nil {
		in.Err = err
		h.writeError(rec, r, err)
	}
	if rec.status >= http.StatusInternalServerError { // the log line of the whole request does not know it
		h.log.Error("bulk operation", zap.String("request_id", in.RequestID), zap.String("method", c.Method), zap.String("route", in.Route), zap.Error(in.Err))
	}
	a := bulk.Answer{Status: rec.status, Version: rec.header.Get("ETag")}
	if location := rec.header.Get("Location"); location != "" {
		a.ID = path.Base(location)
	}
	if rec.status >= http.StatusBadRequest {
		a.Body = rec.body.Bytes()
	}
	return a
}

// refused is the answer to an operation that was not tried.
func (h *handler) refused(whole *http.Request, err error) bulk.Answer {
	rec := &recording{header: http.Header{}}
	h.writeError(rec, whole, err)
	return bulk.Answer{Status: rec.status, Body: rec.body.Bytes()}
}

// recording is the answer to a part of a request.
type recording struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the headers.
func (rec *recording) Header() http.Header { return rec.header }

// WriteHeader notes the status; the first one counts.
func (rec *recording) WriteHeader(status int) {
	if rec.status == 0 {
		rec.status = status
	}
}

// Write keeps the body.
func (rec *recording) Write(p []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	return rec.body.Write(p)
}
