// Package api turns HTTP requests into calls of Matomo's API methods and what
// they say into answers: who is calling, JSON or a page, the status of each
// version, filter_limit, bulk requests, and the faults that a test sets.
//
// The methods themselves are given to it; they live in package methods.
package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// API answers requests on one instance.
type API struct {
	*model.Instance

	Version string
	V5      bool // behaves as Matomo 5 does, else as Matomo 4
	Methods map[string]Method
	Plugins map[string]bool // the active ones, the core's too
	Faults  Faults
	// Seen is told of every method call that ran, with its refusal.
	Seen func(*Call, error)
	// Count is told of every HTTP request and returns its number.
	Count func() int
}

// Answer answers one HTTP request. An error means that there is no answer at
// all: the connection breaks, or the client has gone.
func (a *API) Answer(r *http.Request) (*Answer, error) {
	rq, err := readRequest(r)
	if err != nil {
		return nil, err
	}
	rq.number = a.Count()
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/matomo.php"), strings.HasSuffix(path, "/piwik.php"):
		return a.track(rq), nil
	case path != "" && !strings.HasSuffix(path, "/") && !strings.HasSuffix(path, "/index.php"):
		return page(http.StatusNotFound, "404 Not Found", "404 Not Found", ""), nil
	}
	ctx, name := r.Context(), rq.params["method"].Text
	early, spoil, err := a.Faults.request(ctx, name)
	if err != nil || early != nil {
		return early, err
	}
	answer, err := a.call(ctx, rq, name)
	if err != nil {
		return nil, err
	}
	return spoil.apply(answer)
}

// call answers a request that no fault has swallowed.
func (a *API) call(ctx context.Context, rq *request, name string) (*Answer, error) {
	if rq.params["module"].Text != "API" {
		return signInPage(), nil
	}
	// Matomo adds its default limit to the request, so bulk members inherit it.
	if _, given := rq.params["filter_limit"]; !given {
		rq.params["filter_limit"] = php.Param{Text: "100"}
	}
	c := &Call{
		API: a, Method: name, Params: rq.params, Now: model.Now(), Header: http.Header{},
		ctx: ctx, rq: rq, xml: !strings.EqualFold(rq.params["format"].Text, "json"),
	}
	err := c.identify()
	if err == nil {
		err = c.dispatch()
	}
	return c.finish(err)
}

// wait is how faults take time: on a timer, which a testing/synctest bubble
// fakes, and never with the instance locked. It sleeps for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pixel is the smallest GIF.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// track answers a request of the Tracking API. Parameters that need a token,
// such as cip and cdt, are refused with 400 without a good one.
func (a *API) track(rq *request) *Answer {
	status := http.StatusOK
	_, address := rq.params["cip"]
	_, when := rq.params["cdt"]
	a.Lock()
	defer a.Unlock()
	if (address || when) && !a.Tracks(rq.params["token_auth"].Text, rq.params["idsite"].Int(0)) {
		status = http.StatusBadRequest
	}
	return newAnswer(status, "image/gif", []byte(pixel))
}
