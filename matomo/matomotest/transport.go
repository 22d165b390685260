package matomotest

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

// localAddress is where people at a browser and clients in the process come
// from.
const localAddress = "127.0.0.1"

// RoundTripper returns a transport that answers in the calling goroutine,
// without a socket. The requests come from the address 127.0.0.1. It honours
// the request's context, also during a fault that makes the server slow.
func (s *Server) RoundTripper() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RemoteAddr = localAddress + ":0"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	a, err := t.s.api.Answer(in)
	if err != nil {
		return nil, err
	}
	var body io.Reader = bytes.NewReader(a.Body)
	if a.Truncate {
		body = io.MultiReader(bytes.NewReader(a.Body[:len(a.Body)/2]), brokenReader{})
	}
	return &http.Response{
		Status:     strconv.Itoa(a.Status) + " " + http.StatusText(a.Status),
		StatusCode: a.Status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        a.Header,
		Body:          io.NopCloser(body),
		ContentLength: int64(len(a.Body)),
		Request:       r,
	}, nil
}

// brokenReader ends a body that was announced to be longer.
type brokenReader struct{}

// Read implements io.Reader.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
