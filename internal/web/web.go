// Package web is what every HTTP door of the bridge shares: handlers that return
// errors, one line of log and one set of metrics for each request, a request id,
// a body limit, and a panic that becomes a 500 and nothing worse.
//
// The package knows no protocol. How an error looks on the wire is the door's
// business (an [ErrorWriter]); what a request was about is told by the handler
// through [Info], so that log and metrics never see a URL, a query, a body or a
// token.
package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
)

// HandlerFunc answers a request, or returns an error and leaves the answer to the
// door's ErrorWriter. A handler that has begun to write and then fails returns
// the error too: the connection is cut so that the client cannot take half an
// answer for a whole one.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ErrorWriter turns an error into an answer. It writes status, headers and body.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, err error)

// Handler adapts f to net/http: an error goes to write, and into the request's
// Info, where the log finds it. It is the only place that handles a handler's
// error.
func Handler(f HandlerFunc, write ErrorWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		InfoOf(r.Context()).Err = err
		// What failed because the client has gone is no fault here, and nobody is there to
		// be answered: counted as one, it would look like an outage.
		gone := errors.Is(err, context.Canceled) && r.Context().Err() != nil
		if gone || Started(w) {
			panic(http.ErrAbortHandler) // net/http's own way to cut the connection without an answer
		}
		write(w, r, err)
	})
}

// Info is what a handler tells about its request while it runs. Log and metrics
// read it when the answer is out. Every field but RequestID and Err holds a value
// of a small set: names from the configuration, route patterns.
type Info struct {
	// RequestID is made for each request, sent back as X-Request-Id, and written
	// to log and audit.
	RequestID string
	// Route is the pattern that matched, "" when none did.
	Route string
	// Resource is the metric label: users, groups, schemas and so on. Empty is
	// counted as "other".
	Resource string
	// Credential is the name of the credential used, "" before it is known.
	Credential string
	// Source is the configured name of the identity provider, "" before it is
	// known.
	Source string
	// Err is the error a handler returned, for the log only.
	Err error
}

type infoKey struct{}

// InfoOf returns the Info of the request that ctx belongs to. Outside of a
// request it returns a new one that nobody reads, never nil.
func InfoOf(ctx context.Context) *Info {
	if in, ok := ctx.Value(infoKey{}).(*Info); ok {
		return in
	}
	return &Info{}
}

// withInfo returns a request that carries in.
func withInfo(r *http.Request, in *Info) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), infoKey{}, in))
}

// Part returns r as a part of the request it stands for: what a handler tells about the part goes into an Info of its
// own, which is returned, and the log line and the metrics of the whole request stay as they are. The part belongs to
// the same client and has the same request id.
func Part(r *http.Request) (*http.Request, *Info) {
	whole := InfoOf(r.Context())
	in := &Info{RequestID: whole.RequestID, Credential: whole.Credential, Source: whole.Source}
	return withInfo(r, in), in
}

// newRequestID returns 16 hexadecimal digits. It need not be secret, only unlike
// the others in the log.
func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// recorder counts what goes through a ResponseWriter.
type recorder struct {
	http.ResponseWriter

	status int
	bytes  int64
}

// WriteHeader notes the status.
func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= http.StatusOK {
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (rec *recorder) Write(p []byte) (int, error) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection's own writer.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// Started says whether the answer's head has been sent already. It is false for
// writers not made by Observe.
func Started(w http.ResponseWriter) bool { return Status(w) != 0 }

// Status is the status of the answer so far: 0 before its head has been sent, and for
// writers not made by Observe.
func Status(w http.ResponseWriter) int {
	for {
		switch t := w.(type) {
		case *recorder:
			return t.status
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return 0
		}
	}
}
