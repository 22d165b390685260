package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// One request, as Matomo wants it: module, method, format and filter_limit in the
// URL, where Matomo looks to decide between JSON and an HTML page (trap 11), and
// everything secret in the body, the token first, because PHP cuts off what comes
// after the thousandth parameter (trap 3). Lists are never cut to 100 entries,
// because filter_limit=-1 is always there (trap 1).
//
// An answer is a success only when it is HTTP 200, JSON, and not an object with
// result "error"; the status alone says nothing before Matomo 5.

const (
	// BulkMethod is the Matomo method of a bulk request.
	BulkMethod = "API.getBulkRequest"

	// errorPage is as much of a page that is no JSON as is looked at.
	errorPage = 64 << 10
	// answerLimit ends answers that never end; 100,000 users with ten sites
	// each are 37 MB.
	answerLimit = 1 << 30
	// retryWait is the longest Retry-After a read waits for by itself.
	retryWait = 30 * time.Second
)

// Param is one form parameter; order matters, because PHP drops those after the
// first thousand.
type Param struct{ Key, Value string }

// P makes one parameter.
func P(key, value string) Param { return Param{Key: key, Value: value} }

// encode writes parameters as a form.
func encode(params []Param) string {
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Key))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}

// request is one HTTP exchange with Matomo.
type request struct {
	method   string // Matomo method of the outer request
	params   []Param
	password bool // send passwordConfirmation
	read     bool // may be sent again after 429 or 503 with Retry-After
	timeout  time.Duration
	decode   func(*json.Decoder) error // reads the answer; refusals it finds are *Error
	calls    []Call                    // what is asked
	errs     *[]error                  // what became of each call, when the request as a whole succeeded
}

// outcome returns what became of the calls; of a request that failed as a whole, its error is all
// that is known.
func (r request) outcome(err error) []error {
	if err != nil || r.errs == nil {
		return []error{err}
	}
	return *r.errs
}

// send does one exchange, and for a read one more when Matomo asks to come back
// soon.
func (c *Conn) send(ctx context.Context, r request) error {
	err := c.exchange(ctx, r)
	e, ok := errors.AsType[*Error](err)
	if !ok || !r.read || e.RetryAfter <= 0 || e.RetryAfter > retryWait || (e.Kind != RateLimited && e.Kind != Maintenance) {
		return err
	}
	if end, ok := ctx.Deadline(); ok && time.Now().Add(e.RetryAfter).After(end) {
		return err
	}
	c.metrics.retries.WithLabelValues(c.opt.Name, string(e.Kind)).Inc()
	c.log.Warn("Matomo asks to wait; the read is sent once more", zap.String("method", r.method), zap.Float64("wait_seconds", e.RetryAfter.Seconds()))
	t := time.NewTimer(e.RetryAfter)
	defer t.Stop()
	select {
	case <-t.C:
		return c.exchange(ctx, r)
	case <-ctx.Done():
		return err
	}
}

// exchange sends one request and reads its answer. Everything that must happen
// once a request happens here: reading the secrets, waiting for the lane,
// measuring, remembering whether the instance is up, giving up a refused
// secret.
func (c *Conn) exchange(ctx context.Context, r request) error {
	token, done, err := c.token.use(ctx, r.method)
	if err != nil {
		return err
	}
	defer done()
	form := []Param{{"token_auth", token}}
	var password string
	if r.password {
		var done func()
		if password, done, err = c.password.use(ctx, r.method); err != nil {
			return err
		}
		defer done()
		form = append(form, Param{"passwordConfirmation", password})
	}
	if err := c.lanes.wait(ctx); err != nil {
		return &Error{Kind: RateLimited, Method: r.method, Message: "our own limit of requests per minute", Err: err}
	}
	if !r.read {
		if err := Before(ctx, r.method); err != nil {
			return err
		}
	}
	start := time.Now()
	err = c.post(ctx, r, encode(append(form, r.params...)))
	err = scrub(err, token, password)
	c.metrics.observe(r.method, time.Since(start), err)
	if !errors.Is(ctx.Err(), context.Canceled) {
		c.note(err) // a caller that gave up says nothing about Matomo
	}
	c.settle(r.calls, r.outcome(err), token, password)
	return err
}

// post does the HTTP part: what is secret goes into the body, what Matomo needs
// to answer in JSON into the URL.
func (c *Conn) post(ctx context.Context, r request, body string) error {
	timeout := r.timeout
	if timeout == 0 {
		timeout = c.opt.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// Messages are told apart by their words, so they are asked for in English.
	target := c.endpoint + "?module=API&format=JSON&filter_limit=-1&language=en&method=" + url.QueryEscape(r.method)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", r.method, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.opt.UserAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(r.method, err)
	}
	defer resp.Body.Close()
	return c.answer(r, resp)
}

// answer reads one HTTP answer: JSON is given to the request's decoder,
// everything else is an error.
func (c *Conn) answer(r request, resp *http.Response) error {
	in := bufio.NewReaderSize(io.LimitReader(resp.Body, answerLimit), 32<<10)
	first, err := in.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return unreachable(r.method, err)
	}
	// Before version 5 a refusal is an ordinary answer; the decoder finds it.
	if resp.StatusCode == http.StatusOK && len(first) == 1 && (first[0] == '[' || first[0] == '{') {
		return c.decoded(r, in)
	}
	page, err := io.ReadAll(io.LimitReader(in, errorPage))
	if err != nil && len(page) == 0 {
		return unreachable(r.method, err)
	}
	e := classify(r.method, resp.StatusCode, errorText(page))
	if resp.StatusCode == http.StatusOK && e.Kind == Refused {
		e.Kind, e.Message = Malformed, "the answer is not JSON: "+e.Message
	}
	if e.Kind == Redirected {
		e.Message = "redirect to " + redirectHost(resp)
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

// decoded runs the decoder of a request. What is cut off or not as expected is
// unknown, never empty (I1).
func (c *Conn) decoded(r request, in io.Reader) error {
	dec := json.NewDecoder(in)
	err := r.decode(dec)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one answer")
		}
	}
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &Error{Kind: Unreachable, Method: r.method, Message: "the answer broke off", Err: err}
	}
	// What is left is either not JSON any more, or JSON of another shape, or the
	// network failing in the middle.
	_, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isType := errors.AsType[*json.UnmarshalTypeError](err)
	if isSyntax || isType || errors.Is(err, ErrShape) {
		return &Error{Kind: Malformed, Method: r.method, Message: err.Error(), Err: err}
	}
	return unreachable(r.method, err)
}

// unreachable wraps a failure of the network without the URL, which net/http
// puts in front.
func unreachable(method string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &Error{Kind: Unreachable, Method: method, Message: err.Error(), Err: err}
}

// errorText finds the message in an answer that is no success: JSON when Matomo
// got that far, else a page.
func errorText(body []byte) string {
	var refusal struct {
		Result  string `json:"result"`
		Message string `json:"message"`
	}
	if json.Unmarshal(bytes.TrimSpace(body), &refusal) == nil && refusal.Message != "" {
		return refusal.Message
	}
	return pageText(string(body))
}

// redirectHost names where a redirect points, without its query.
func redirectHost(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "nowhere"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// retryAfter reads the header in either of its forms; 0 when absent or
// unreadable.
func retryAfter(v string, now time.Time) time.Duration {
	if v == "" {
		return 0
	}
	if sec, err := strconv.Atoi(v); err == nil && sec >= 0 {
		return max(time.Duration(sec)*time.Second, time.Millisecond)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), time.Millisecond)
	}
	return 0
}

// scrub makes sure that no error repeats a secret, whatever Matomo or a proxy
// answered.
func scrub(err error, secrets ...string) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	for _, s := range secrets {
		for _, form := range []string{s, url.QueryEscape(s)} {
			if len(s) > 3 && strings.Contains(e.Message, form) {
				e.Message, e.Err = strings.ReplaceAll(e.Message, form, "***"), nil
			}
		}
	}
	return e
}
