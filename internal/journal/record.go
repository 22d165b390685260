package journal

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/web"
)

// Which source a request belongs to is known when it was authenticated, and by then it
// is too late to keep what was sent. So both bodies are copied as they pass, up to
// maxBody, and forgotten when nobody asked for them.

const (
	maxBody = 16 << 10 // bytes of a body
	maxPath = 2000     // bytes of path and query
	maxText = 1000     // bytes of every other text
)

// Record wraps next, the handler below web.Observe: when the answer is out, a request
// of a source with a journal waits to be written. explain says why it was answered so,
// from the error that the request's web.Info holds. A nil journal, and one without
// sources, records nothing and costs nothing.
func (j *Journal) Record(next http.Handler, explain func(*http.Request, error) Reason) http.Handler {
	if j == nil || len(j.sources) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &Entry{
			ID: database.NewID(), At: time.Now(), Method: r.Method, Path: r.URL.RequestURI(), UserAgent: r.UserAgent(),
		}
		if r.Body != nil {
			r.Body = &reader{ReadCloser: r.Body, to: &e.sent}
		}
		// Deferred, because a handler that panicked was answered too, further out.
		whole := false
		defer func() {
			j.note(e, r, web.Status(w), whole, explain)
		}()
		next.ServeHTTP(&writer{ResponseWriter: w, to: &e.answered}, r)
		whole = true
	})
}

// note completes an entry and has it written. It does not wait.
func (j *Journal) note(e *Entry, r *http.Request, status int, whole bool, explain func(*http.Request, error) Reason) {
	in := web.InfoOf(r.Context())
	src, ok := j.sources[in.Source]
	if !ok {
		return
	}
	why := explain(r, in.Err)
	switch {
	case whole && status == 0: // a handler that writes nothing answers 200
		status = http.StatusOK
	case !whole && in.Err != nil:
		status = 0
	case !whole: // web.Observe answers it, after this
		status, why.Detail = http.StatusInternalServerError, "internal error: see the log under the request id"
	}
	e.Source, e.Credential, e.RequestID = in.Source, in.Credential, in.RequestID
	e.Status, e.Took = status, time.Since(e.At)
	e.SCIMType, e.Attribute, e.Detail = why.SCIMType, why.Attribute, why.Detail
	if why.Address.IsValid() {
		e.Address = why.Address.String()
	}
	// What the handler did not read is not known here, and is not fetched for the
	// journal's sake: it may be large, and was refused for a reason.
	if !src.Bodies {
		e.sent, e.answered = body{}, body{}
	} else if r.ContentLength != 0 && !e.sent.ended {
		e.RequestBody = fmt.Sprintf("(refused after %d bytes were read)", e.sent.size)
	}
	// Full means that the database is slower than the requests: the request goes on.
	select {
	case j.queue <- e:
	default:
		j.dropped.Inc()
	}
}

// body is the beginning of what went by.
type body struct {
	text  bytes.Buffer
	size  int64
	ended bool // all of it went by
}

// add keeps what there is room for, and counts the rest.
func (b *body) add(p []byte) {
	b.size += int64(len(p))
	b.text.Write(p[:min(len(p), maxBody-b.text.Len())])
}

// reader copies what the handler reads.
type reader struct {
	io.ReadCloser

	to *body
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.to.add(p[:n])
	r.to.ended = r.to.ended || err == io.EOF
	return n, err
}

// writer copies what the handler writes.
type writer struct {
	http.ResponseWriter

	to *body
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.to.add(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController, and web.Started, reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// clean is text that every database and terminal takes: valid, bounded, and with a
// mark where there was something that cannot be seen.
func clean(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) || c == '\n' || c == '\t' {
			return c
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
}
