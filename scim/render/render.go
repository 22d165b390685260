// Package render writes what a SCIM client gets to see: users, groups with their
// members, lists of them, and single documents.
//
// The directory keeps documents in the very form in which they are sent, without
// what is kept beside them. A whole resource is therefore put together from
// bytes; only a projection takes the document apart. Members are streamed: a
// group of 10,000 is never in memory.
package render

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/matomo-scim/bridge/scim/schema"
)

// ContentType is the media type of every answer (RFC 7644 section 8.1).
const ContentType = "application/scim+json"

// buffers are used again for bodies and answers.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// largestKept is the largest buffer that goes back to the pool.
const largestKept = 256 << 10

// Buffer returns an empty buffer, to be released after use.
func Buffer() *bytes.Buffer {
	b, _ := buffers.Get().(*bytes.Buffer)
	b.Reset()
	return b
}

// Release gives a buffer back. A very large one is left to the collector: one
// import must not keep its memory for ever.
func Release(b *bytes.Buffer) {
	if b.Cap() <= largestKept {
		buffers.Put(b)
	}
}

// ETag is a version as an entity tag (RFC 7644 section 3.14).
func ETag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// text writes a JSON string.
func text(b *bytes.Buffer, s string) {
	data, _ := json.Marshal(s) //nolint:errchkjson // a string always encodes
	b.Write(data)
}

// encode writes a document as it is.
func encode(b *bytes.Buffer, doc schema.Document) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // Encode ends with a line feed
	return nil
}

// Send answers with the JSON in b.
func Send(w http.ResponseWriter, status int, b *bytes.Buffer) error {
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// Document answers 200 with a document.
func Document(w http.ResponseWriter, doc schema.Document) error {
	b := Buffer()
	defer Release(b)
	if err := encode(b, doc); err != nil {
		return err
	}
	return Send(w, http.StatusOK, b)
}

// Documents answers 200 with a list of all the documents.
func Documents(w http.ResponseWriter, docs []schema.Document) error {
	b := Buffer()
	defer Release(b)
	ListHead(b, len(docs), 1, len(docs))
	for i, doc := range docs {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encode(b, doc); err != nil {
			return err
		}
	}
	b.WriteString("]}")
	return Send(w, http.StatusOK, b)
}

// ListHead writes a ListResponse (RFC 7644 section 3.4.2) up to the first of its
// resources.
func ListHead(b *bytes.Buffer, total, start, count int) {
	b.WriteString(`{"schemas":["` + schema.ListResponseURN + `"],"totalResults":` + strconv.Itoa(total) +
		`,"startIndex":` + strconv.Itoa(start) + `,"itemsPerPage":` + strconv.Itoa(count) + `,"Resources":[`)
}
