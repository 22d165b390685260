package matomotest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

const (
	version     = "API.getMatomoVersion"
	setAccess   = "UsersManager.setUserAccess"
	bulkRequest = "API.getBulkRequest"
)

// grantMembers is a bulk request that grants alice view on sites 1, 2 and 3.
var grantMembers = []string{
	"urls[]", "method=UsersManager.setUserAccess&userLogin=alice&access=view&idSites=1",
	"urls[]", "method=UsersManager.setUserAccess&userLogin=alice&access=view&idSites=2",
	"urls[]", "method=UsersManager.setUserAccess&userLogin=alice&access=view&idSites=3",
}

func TestFault_ReplacesTheAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  matomotest.Fault
		status int
		retry  string
		text   string
	}{
		"server error":      {matomotest.Fault{Kind: matomotest.ServerError}, 500, "", "Internal Server Error"},
		"bad gateway":       {matomotest.Fault{Kind: matomotest.ServerError, Status: 502}, 502, "", "Bad Gateway"},
		"unavailable":       {matomotest.Fault{Kind: matomotest.ServerError, Status: 503, RetryAfter: 2 * time.Minute}, 503, "120", "Service Unavailable"},
		"too many requests": {matomotest.Fault{Kind: matomotest.TooManyRequests, RetryAfter: 7 * time.Second}, 429, "7", "Too Many Requests"},
		"no retry-after":    {matomotest.Fault{Kind: matomotest.TooManyRequests}, 429, "", "Too Many Requests"},
		"maintenance":       {matomotest.Fault{Kind: matomotest.Maintenance}, 503, "", "Matomo is undergoing maintenance"},
		"database down":     {matomotest.Fault{Kind: matomotest.DatabaseDown}, 500, "", "SQLSTATE[HY000] [2002] Connection refused"},
		"locked":            {matomotest.Fault{Kind: matomotest.Locked}, 500, "", "Too many failed logins"},
		"refused":           {matomotest.Fault{Kind: matomotest.Refused, Message: "SQLSTATE[40001]"}, 200, "", "SQLSTATE[40001]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, matomotest.Options{})
			c.addUser("alice")
			remove := c.s.Fault(tc.fault)
			r := c.send(t.Context(), setAccess, "userLogin", "alice", "access", "view", "idSites", "1")
			if r.status != tc.status || r.header.Get("Retry-After") != tc.retry || !strings.Contains(r.body, tc.text) {
				t.Errorf("got %d, Retry-After %q, %s", r.status, r.header.Get("Retry-After"), r.body)
			}
			if rows := c.s.Rows("alice"); len(rows) != 0 {
				t.Errorf("the write was done: %v", rows)
			}
			remove()
			c.grant("alice", "view", "1")
		})
	}
}

func TestFault_Connection(t *testing.T) {
	for name, tc := range map[string]struct {
		kind    matomotest.FaultKind
		written bool
	}{
		"cut before": {matomotest.CutBefore, false},
		"cut after":  {matomotest.CutAfter, true},
		"truncated":  {matomotest.Truncated, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, socket := range []bool{false, true} {
				c := dial(t, matomotest.Options{})
				c.addUser("alice")
				if socket {
					c.base = c.s.Start(t)
					c.rt = &http.Transport{DisableKeepAlives: true} // the transport repeats nothing on a fresh connection
				}
				c.s.Fault(matomotest.Fault{Kind: tc.kind, Count: 1})
				r := c.send(t.Context(), setAccess, "userLogin", "alice", "access", "view", "idSites", "1")
				if r.err == nil {
					t.Errorf("socket %v: no error, %d %q", socket, r.status, r.body)
				}
				if !socket && tc.kind != matomotest.Truncated && !errors.Is(r.err, matomotest.ErrCut) {
					t.Errorf("in process: %v, want ErrCut", r.err)
				}
				if tc.kind == matomotest.Truncated && (!errors.Is(r.err, io.ErrUnexpectedEOF) || r.body != success[:len(success)/2]) {
					t.Errorf("socket %v: %v after %q, want half the answer and an unexpected end", socket, r.err, r.body)
				}
				if got := len(c.s.Rows("alice")) == 1; got != tc.written {
					t.Errorf("socket %v: written %v, want %v", socket, got, tc.written)
				}
				c.grant("alice", "view", "1") // the fault is used up
			}
		})
	}
}

// TestFault_StrikesMembers: in a bulk request the members before have run.
func TestFault_StrikesMembers(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  matomotest.Fault
		rows   int // written by then
		status int // 0 for no answer
		body   string
	}{
		"cut before the second": {matomotest.Fault{Kind: matomotest.CutBefore, Skip: 1}, 1, 0, ""},
		"cut after the second":  {matomotest.Fault{Kind: matomotest.CutAfter, Skip: 1}, 2, 0, ""},
		"crash at the third":    {matomotest.Fault{Kind: matomotest.ServerError, Skip: 2}, 2, 500, ""},
		"refused once":          {matomotest.Fault{Kind: matomotest.Refused, Skip: 1, Count: 1, Message: "no"}, 2, 200, "[" + success + `,{"result":"error","message":"no"},` + success + "]"},
		"refused from second":   {matomotest.Fault{Kind: matomotest.Refused, Skip: 1, Message: "no"}, 1, 200, "[" + success + `,{"result":"error","message":"no"},{"result":"error","message":"no"}]`},
		"users admin off":       {matomotest.Fault{Kind: matomotest.UsersAdminDisabled, Count: 3}, 0, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, matomotest.Options{})
			c.addUser("alice")
			tc.fault.Method = setAccess
			c.s.Fault(tc.fault)
			r := c.send(t.Context(), bulkRequest, grantMembers...)
			if (r.err != nil) != (tc.status == 0) || r.status != tc.status {
				t.Errorf("status %d, error %v", r.status, r.err)
			}
			if tc.body != "" && r.body != tc.body {
				t.Errorf("got %s", r.body)
			}
			if got := len(c.s.Rows("alice")); got != tc.rows {
				t.Errorf("%d rows written, want %d", got, tc.rows)
			}
		})
	}
}

func TestFault_MethodOfABulkRequest(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.s.Fault(matomotest.Fault{Kind: matomotest.CutAfter, Method: bulkRequest, Count: 1})
	if r := c.send(t.Context(), bulkRequest, grantMembers...); !errors.Is(r.err, matomotest.ErrCut) {
		t.Errorf("got %v", r.err)
	}
	if got := len(c.s.Rows("alice")); got != 3 {
		t.Errorf("%d rows written, want 3", got)
	}
	c.want(`{"value":"5.1.2"}`, version) // another method is spared
}

func TestFault_Slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		c.addUser("alice")
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		remove := c.s.Fault(matomotest.Fault{Kind: matomotest.Slow, Latency: 30 * time.Second})
		if got := took(func() { c.call(version) }); got != 30*time.Second {
			t.Errorf("a slow call took %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var r reply
		if got := took(func() { r = c.send(ctx, version) }); got != 20*time.Second || !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v after %v", r.err, got)
		}
		if r := c.send(ctx, version); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: %v", r.err)
		}
		remove()
		c.s.Fault(matomotest.Fault{Kind: matomotest.Slow, Method: setAccess, Latency: time.Second})
		if got := took(func() { c.call(bulkRequest, grantMembers...) }); got != 3*time.Second {
			t.Errorf("three slow members took %v", got)
		}
		short, cancelShort := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancelShort()
		c.s.Revoke("alice")
		if r := c.send(short, bulkRequest, grantMembers...); !errors.Is(r.err, context.DeadlineExceeded) || len(c.s.Rows("alice")) != 1 {
			t.Errorf("client gone in the middle: %v, rows %v", r.err, c.s.Rows("alice"))
		}
		c.s.ClearFaults()
		if got := took(func() { c.call(version) }); got != 0 {
			t.Errorf("after ClearFaults a call took %v", got)
		}
	})
}

// TestFault_GapEndsWithTheClient: what was deleted before stays deleted.
func TestFault_GapEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		c.addUser("alice")
		c.grant("alice", "view", "1")
		c.s.Fault(matomotest.Fault{Kind: matomotest.Gap, Method: setAccess, Latency: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := c.send(ctx, setAccess, "userLogin", "alice", "access", "write", "idSites", "1"); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("got %v", r.err)
		}
		if rows := c.s.Rows("alice"); len(rows) != 0 {
			t.Errorf("rows %v, want none: the insert never came", rows)
		}
	})
}

func TestFault_CountAndOrder(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.s.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: version, Skip: 1, Count: 2, Message: "first"})
	c.s.Fault(matomotest.Fault{Kind: matomotest.Refused, Message: "any"})
	var got []string
	for range 5 {
		got = append(got, refusal(c.call(version)))
	}
	// The first passes one by, which leaves it to the second.
	if want := "[any first first any any]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if n := c.s.Count(version); n != 5 {
		t.Errorf("%d calls counted, want 5: refused ones count", n)
	}
}

func TestFault_MailErrorText(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.s.Fault(matomotest.Fault{Kind: matomotest.MailError, Message: "Invalid address: (Reply-To)"})
	c.refused("Invalid address: (Reply-To)", "UsersManager.updateUser", "userLogin", "alice", "email", "n@example.test", "passwordConfirmation", c.s.Password())
	c.must("UsersManager.updateUser", "userLogin", "alice", "email", "N@example.test") // no mail, no failure
	c.s.QuietUpdates(true)
	c.must("UsersManager.updateUser", "userLogin", "alice", "email", "o@example.test", "passwordConfirmation", c.s.Password())
}

// TestFault_Requests: a swallowed request is counted, but no call is.
func TestFault_Requests(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.s.Fault(matomotest.Fault{Kind: matomotest.CutBefore, Count: 1})
	c.s.Fault(matomotest.Fault{Kind: matomotest.Maintenance, Count: 1})
	for range 3 {
		c.send(t.Context(), version)
	}
	if c.s.Requests() != 3 || c.s.Count(version) != 1 {
		t.Errorf("%d requests, %d calls, want 3 and 1", c.s.Requests(), c.s.Count(version))
	}
}
