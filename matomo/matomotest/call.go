package matomotest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A method is one method of Matomo's HTTP API.
type method struct {
	needs []string // parameters without a default, in the order Matomo asks for them
	run   func(*call) error
}

// A call is one method call: a whole request, or one member of a bulk.
type call struct {
	s      *Server
	ctx    context.Context
	p      params
	method string
	who    caller
	ip     string
	bulk   bool // a member: texts are not escaped and nobody reads the headers
	xml    bool
	now    time.Time
	header http.Header
	out    []byte // the answer so far
	rq     *request
	number int // of the HTTP request, for the call log
}

// text returns a parameter as a string; an array counts as absent.
func (c *call) text(name string) string { return c.p[name].text }

// number returns a parameter as an integer, or def when it is absent or not one.
func (c *call) integer(name string, def int) int {
	n, err := strconv.Atoi(c.p[name].text)
	if err != nil {
		return def
	}
	return n
}

// truth is PHP's idea of truth: everything but the empty string and "0", so the
// word "false" too (trap 8).
func (c *call) truth(name string) bool {
	p := c.p[name]
	return p.isArray || (p.text != "" && p.text != "0")
}

// answer runs one HTTP request. An error means that there is no answer at all:
// the connection breaks.
func (s *Server) answer(r *http.Request) (*answer, error) {
	rq, err := readRequest(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	number := s.calls.request()
	switch {
	case strings.HasSuffix(r.URL.Path, "/matomo.php"), strings.HasSuffix(r.URL.Path, "/piwik.php"):
		return s.track(ctx, rq)
	case !strings.HasSuffix(r.URL.Path, "/") && !strings.HasSuffix(r.URL.Path, "/index.php") && r.URL.Path != "":
		return page(http.StatusNotFound, "404 Not Found", "404 Not Found", ""), nil
	}
	name := rq.all["method"].text
	early, late, err := s.requestFaults(ctx, name)
	if err != nil || early != nil {
		return early, err
	}
	a, err := s.answerAPI(ctx, rq, name, number)
	if err != nil {
		return nil, err
	}
	return late.spoil(a)
}

// answerAPI answers a request that no fault has swallowed.
func (s *Server) answerAPI(ctx context.Context, rq request, name string, number int) (*answer, error) {
	if rq.all["module"].text != "API" {
		return signInPage(), nil
	}
	c := &call{
		s: s, ctx: ctx, p: rq.all, method: name, ip: rq.ip, rq: &rq, number: number,
		now: now(), header: http.Header{}, xml: !strings.EqualFold(rq.all["format"].text, "json"),
	}
	// Matomo adds its default limit to the request, so bulk members inherit it.
	if _, given := rq.all["filter_limit"]; !given {
		rq.all["filter_limit"] = param{text: "100"}
	}
	err := c.authenticate()
	if err == nil {
		err = c.dispatch()
	}
	return c.finish(err)
}

// finish turns what a call wrote, or its refusal, into an HTTP answer.
func (c *call) finish(err error) (*answer, error) {
	status := http.StatusOK
	var refused *apiError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		if refused.status != 0 {
			status = refused.status
		}
		if refused.beforeDispatch {
			// Only the URL counts here (trap 11).
			if c.rq.query["module"].text != "API" || c.rq.query["method"].empty() {
				return errorPage(status, refused.text), nil
			}
			c.xml = !strings.EqualFold(c.rq.query["format"].text, "json")
		}
		c.appendError(refused)
	default:
		var ready *httpFailure
		if errors.As(err, &ready) {
			return ready.answer, nil
		}
		return nil, err
	}
	contentType := "application/json; charset=utf-8"
	if c.xml {
		contentType = "text/xml; charset=utf-8"
	}
	a := newAnswer(status, contentType, c.out)
	for name, values := range c.header {
		a.header[name] = values
	}
	return a, nil
}

// dispatch finds the method, checks its parameters and runs it.
func (c *call) dispatch() error {
	err := c.memberFaults()
	if err == nil {
		err = c.run()
	}
	c.s.calls.add(c, err)
	if err == nil {
		err = c.memberFaultsAfter()
	}
	return err
}

func (c *call) run() error {
	if c.method == "" {
		return refuse(textNoMethod)
	}
	module, name, ok := strings.Cut(c.method, ".")
	if !ok {
		return refuse(textBadMethod)
	}
	m, ok := c.s.methods[c.method]
	if !ok {
		if !c.s.modules[module] {
			return refuse("The plugin " + module + " is not enabled. You can activate the plugin on Settings > Plugins page in Matomo.")
		}
		return refuse("The method '" + name + `' does not exist or is not available in the module '\Piwik\Plugins\` + module + `\API'.`)
	}
	for _, need := range m.needs {
		if c.p[need].empty() {
			return missingParam(need)
		}
	}
	if c.p["userLogin"].isArray {
		return refuse(textBoundVariables)
	}
	if c.method == bulkMethod {
		return m.run(c) // takes the lock member by member
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return m.run(c)
}

// yieldLocked gives the lock up for a moment, where Matomo is between two SQL
// statements without a transaction. A Gap fault makes the moment long.
func (c *call) yieldLocked() error {
	gap := c.s.faults.gap(c.method)
	c.s.mu.Unlock()
	err := wait(c.ctx, gap)
	c.s.mu.Lock()
	return err
}
