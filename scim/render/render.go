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

	"github.com/matomo-scim/bridge/internal/directory"
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

// ETag is a version as an entity tag: see directory.ETag.
func ETag(version int64) string { return directory.ETag(version) }

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
	ListHead(b, Head{Total: len(docs), Start: 1, Count: len(docs)})
	for i, doc := range docs {
		Comma(b, i)
		if err := encode(b, doc); err != nil {
			return err
		}
	}
	ListEnd(b)
	return Send(w, http.StatusOK, b)
}

// Head is what a ListResponse says before its resources.
type Head struct {
	// Total is how many there are in all, -1 when nobody counted.
	Total int
	// Start is the position of the first of them, and Count how many are on this
	// page.
	Start, Count int
	// ByCursor says that the listing is paged by cursor: then there are no
	// positions, and Next is the cursor of the next page, "" on the last.
	ByCursor bool
	Next     string
}

// ListHead writes a ListResponse up to the first of its resources (RFC 7644 section
// 3.4.2, RFC 9865 section 2). There is no previousCursor: who walks back has seen
// what is there.
func ListHead(b *bytes.Buffer, h Head) {
	number := func(name string, n int) {
		b.WriteString(`,"` + name + `":`)
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(n), 10))
	}
	b.WriteString(`{"schemas":["` + schema.ListResponseURN + `"]`)
	if h.Total >= 0 {
		number("totalResults", h.Total)
	}
	if !h.ByCursor {
		number("startIndex", h.Start)
	}
	number("itemsPerPage", h.Count)
	if h.Next != "" {
		b.WriteString(`,"nextCursor":"` + h.Next + `"`) // base64, nothing to escape
	}
	b.WriteString(`,"Resources":[`)
}

// Comma separates resource i of a list from the one before.
func Comma(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

// ListEnd ends what ListHead began.
func ListEnd(b *bytes.Buffer) { b.WriteString("]}") }
