package api

import (
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// request is what Matomo sees of one HTTP request.
type request struct {
	query, body, params php.Params // params are both; the query wins
	ip, host            string
	number              int
}

// readRequest parses the query and, if it is a form, the body. A JSON body is
// as good as none (trap 12), and so is an Authorization header.
func readRequest(r *http.Request) (*request, error) {
	rq := &request{query: php.Params{}, body: php.Params{}, ip: r.RemoteAddr, host: r.Host}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		rq.ip = host
	}
	rq.query.Parse(r.URL.RawQuery, true)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Body != nil && kind == "application/x-www-form-urlencoded" {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fmt.Errorf("reading the body: %w", err)
		}
		rq.body.Parse(string(data), true)
	}
	rq.params = make(php.Params, len(rq.query)+len(rq.body))
	maps.Copy(rq.params, rq.body)
	maps.Copy(rq.params, rq.query)
	return rq, nil
}

// wantsAPI says whether an error that comes before the API is one of the API:
// Matomo looks only at the URL (trap 11).
func (rq *request) wantsAPI() bool {
	return rq.query["module"].Text == "API" && !rq.query["method"].Empty()
}
