package matomotest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// A client calls a stand-in the way the bridge does: module, method, format and
// filter_limit in the URL, the token first in the body.
type client struct {
	t     *testing.T
	s     *matomotest.Server
	token string
	query string // added to the URL
	rt    http.RoundTripper
	base  string
}

func dial(t *testing.T, o matomotest.Options) *client {
	t.Helper()
	s := matomotest.New(o)
	return &client{t: t, s: s, token: s.Token(), rt: s.RoundTripper(), base: "http://matomo.test", query: "&filter_limit=-1"}
}

// as returns a client with another token.
func (c *client) as(token string) *client {
	other := *c
	other.token = token
	return &other
}

// with returns a client with another query, "" for Matomo's own default limit.
func (c *client) with(query string) *client {
	other := *c
	other.query = query
	return &other
}

// A reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// send calls a method; params are name and value in turn.
func (c *client) send(ctx context.Context, method string, params ...string) reply {
	f := &orderedForm{}
	if c.token != "" {
		f.add("token_auth", c.token)
	}
	for i := 0; i+1 < len(params); i += 2 {
		f.add(params[i], params[i+1])
	}
	return c.post(ctx, "/index.php?module=API&format=JSON&method="+method+c.query, f.text)
}

func (c *client) post(ctx context.Context, path, form string) reply {
	rq, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(form))
	if err != nil {
		c.t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.rt.RoundTrip(rq)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(data), err}
}

// call calls a method and returns the body.
func (c *client) call(method string, params ...string) string {
	c.t.Helper()
	r := c.send(c.t.Context(), method, params...)
	if r.err != nil {
		c.t.Fatalf("%s: %v", method, r.err)
	}
	return r.body
}

// must calls a method that has to succeed.
func (c *client) must(method string, params ...string) {
	c.t.Helper()
	if got := c.call(method, params...); got != success {
		c.t.Fatalf("%s %v: %s", method, params, got)
	}
}

// want calls a method and compares the body.
func (c *client) want(body, method string, params ...string) {
	c.t.Helper()
	if got := c.call(method, params...); got != body {
		c.t.Errorf("%s %v:\n got %s\nwant %s", method, params, got, body)
	}
}

// refused calls a method and compares the error text; "" is success.
func (c *client) refused(text, method string, params ...string) {
	c.t.Helper()
	if got := refusal(c.call(method, params...)); got != text {
		c.t.Errorf("%s %v:\n refused %q\n    want %q", method, params, got, text)
	}
}

// addUser adds a user through the API.
func (c *client) addUser(login string) {
	c.t.Helper()
	c.must("UsersManager.addUser", "userLogin", login, "email", login+"@example.test", "password", secret)
}

// grant sets access through the API.
func (c *client) grant(login, role, sites string) {
	c.t.Helper()
	c.must("UsersManager.setUserAccess", "userLogin", login, "access", role, "idSites", sites)
}

// mint gives a person a token.
func (c *client) mint(login string) string {
	c.t.Helper()
	token, err := c.s.MintToken(login, secret)
	if err != nil {
		c.t.Fatalf("minting a token for %s: %v", login, err)
	}
	return token
}

const (
	success = `{"result":"success","message":"ok"}`
	secret  = "Some-Passw0rd1" // everybody's password in these tests
)

// refusal returns the error text of an answer, "" for none.
func refusal(body string) string {
	var e struct{ Result, Message string }
	if json.Unmarshal([]byte(body), &e) != nil || e.Result != "error" {
		return ""
	}
	return e.Message
}

// list decodes a JSON list.
func list(t *testing.T, body string) []any {
	t.Helper()
	var l []any
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		t.Fatalf("no list: %v in %.200s", err, body)
	}
	return l
}

// bothVersions runs a test for each recorded version.
func bothVersions(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	for _, version := range []string{matomotest.Version5, matomotest.Version4} {
		t.Run(version, func(t *testing.T) { test(t, version) })
	}
}
