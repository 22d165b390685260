package matomo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// readMethods are all calls of a read of the whole instance.
var readMethods = []string{
	"UsersManager.hasSuperUserAccess", "API.getMatomoVersion", "UsersManager.getAvailableCapabilities", "API.isPluginActivated",
	"SitesManager.getAllSites", "UsersManager.getUsers", "UsersManager.getUsersSitesFromAccess",
}

func TestI1_NoFailedReadGivesASnapshot(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice")
		b.Grant("alice", "view", 1)
		b.accounts(t, matomo.Read{})
		var faults []matomotest.Fault
		for _, m := range readMethods {
			for _, kind := range []matomotest.FaultKind{
				matomotest.ServerError, matomotest.CutBefore, matomotest.CutAfter, matomotest.Truncated, matomotest.Maintenance,
				matomotest.DatabaseDown, matomotest.Locked, matomotest.Refused, matomotest.TooManyRequests,
			} {
				faults = append(faults, matomotest.Fault{Kind: kind, Method: m, Message: "SQLSTATE[42S02]: Base table not found"})
			}
		}
		for skip := range 7 { // each of the access maps
			faults = append(faults, matomotest.Fault{Kind: matomotest.Refused, Method: "UsersManager.getUsersSitesFromAccess", Skip: skip, Count: 1, Message: "no"})
		}
		reads := map[string]func() (*matomo.Snapshot, error){
			"instance": func() (*matomo.Snapshot, error) { return b.c.ReadInstance(context.Background()) },
			"accounts": func() (*matomo.Snapshot, error) {
				return b.c.ReadAccounts(context.Background(), []string{"alice"}, matomo.Read{})
			},
			"leavers": func() (*matomo.Snapshot, error) {
				return b.c.ReadAccounts(context.Background(), []string{"alice"}, matomo.Read{Orphans: true})
			},
		}
		for _, f := range faults {
			for name, read := range reads {
				undo := b.Fault(f)
				before := b.Requests()
				s, err := read()
				undo()
				if (s == nil) == (err == nil) {
					t.Errorf("%s with %s at %s: snapshot and error, or neither", name, f.Kind, f.Method)
				}
				if s == nil {
					continue
				}
				// The fault did not strike this read. What it returned must then be complete.
				if a, known := s.Account("alice"); !known || !a.Access.Equal(sites("1:view")) || b.Requests() == before {
					t.Errorf("%s with %s at %s: %s", name, f.Kind, f.Method, a.Access)
				}
			}
		}
	})
}

// answers is a server that says the same thing to everybody.
func answers(status int, header http.Header, body string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		maps.Copy(rec.Header(), header)
		rec.WriteHeader(status)
		rec.WriteString(body)
		resp := rec.Result()
		resp.Request = r
		return resp, nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestI1_OddAnswersAreErrors(t *testing.T) {
	bodies := []string{
		"", "[", "[]", "{}", "null", "true", `"x"`, "42", "[[]]", `[{"value":true}]`, `{"result":"success","message":"ok"}`, "<html>sign in</html>",
		`[{"value":true},{"value":"5.1.2"},[],{"value":false}]extra`, `[{"value":true},{"value":"5.1.2"},[],{"value":false},[]`,
		`[{"value":true},{"value":"5.1.2"},[],{"value":false},[],[{"login":"alice"}],[],[{"site":1}],[]]`,
		`[{"value":true},{"value":"5.1.2"},[],{"value":false},[],{"login":"alice"},[],[]]`,
		`[{"value":true},{"value":"5.1.2"},[],{"value":false},[],[{"login":7}],[],[]]`,
		`[{"value":true},{"value":"5.1.2"},[],{"value":false},[],[],[],[{"site":"x","access":"view"}]]`,
		`[{"value":1},{"value":"5.1.2"},[],{"value":false},[],[],[],[]]`,
		`[{"value":true},[],[],{"value":false},[],[],[],[]]`,
		`[{"value":false},{"value":"5.1.2"},[],{"value":false},[],[],[],[]]`,
	}
	for _, body := range bodies {
		c := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport = answers(http.StatusOK, nil, body) }).c
		s, err := c.ReadAccounts(context.Background(), []string{"alice"}, matomo.Read{})
		var e *matomo.Error
		if s != nil || !errors.As(err, &e) {
			t.Errorf("answer %q: snapshot %v, error %v", body, s != nil, err)
		}
	}
}

func TestClient_HTTPAnswers(t *testing.T) {
	tests := []struct {
		status int
		header http.Header
		body   string
		kind   matomo.ErrorKind
		text   string
	}{
		{http.StatusFound, http.Header{"Location": {"https://other.example.test/?token_auth=x"}}, "", matomo.Redirected, "https://other.example.test/"},
		{http.StatusTemporaryRedirect, http.Header{"Location": {"/login"}}, "", matomo.Redirected, "https://matomo.example.test/login"},
		{http.StatusUnauthorized, nil, `{"result":"error","message":"Unable to authenticate with the provided token. It is either invalid or expired."}`, matomo.BadToken, "Unable"},
		{http.StatusUnauthorized, nil, `<html><div class="content"><h2>Unable to authenticate with the provided token.</h2> It is</div></html>`, matomo.BadToken, "Unable"},
		{http.StatusUnauthorized, nil, `{"result":"error","message":"You can't access this resource as it requires a 'superuser' access."}`, matomo.NoPermission, ""},
		{http.StatusUnauthorized, nil, "proxy says no", matomo.NoPermission, "proxy says no"},
		{http.StatusUnauthorized, nil, `{"result":"error","message":"You cannot use this Matomo as your IP 10.0.0.1 is not allowed."}`, matomo.IPRefused, ""},
		{http.StatusInternalServerError, nil, `<title>Error</title> Too many failed logins. Please wait`, matomo.ServerFailure, "Error"},
		{http.StatusInternalServerError, nil, `{"result":"error","message":"Too many failed logins. Please wait and try logging in again later."}`, matomo.LockedOut, ""},
		{http.StatusServiceUnavailable, nil, "<title>Matomo is undergoing maintenance</title>", matomo.Maintenance, ""},
		{http.StatusTooManyRequests, http.Header{"Retry-After": {"3600"}}, "slow down", matomo.RateLimited, "slow down"},
		{http.StatusNotFound, nil, "<title>404</title>", matomo.Malformed, "404"},
		{http.StatusOK, nil, "<html><title>Sign in - Matomo</title>", matomo.Malformed, "Sign in"},
		{http.StatusOK, nil, `{"result":"error","message":"Creating, updating, and deleting users has been disabled."}`, matomo.UsersDisabled, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.kind), func(t *testing.T) {
			b := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport = answers(tt.status, tt.header, tt.body) })
			_, err := b.c.ReadInstance(context.Background())
			e := wantKind(t, err, tt.kind)
			if !e.Target() || !strings.Contains(e.Error(), tt.text) || strings.Contains(e.Error(), "token_auth") {
				t.Errorf("target %v, %q", e.Target(), e.Error())
			}
			if h := b.c.Health(); h.Up || h.Problem == "" || (h.Advice == "") != (e.Transient() && e.Kind != matomo.LockedOut) {
				t.Errorf("health %+v", h)
			}
			if v := testutil.ToFloat64(gather(t, b.reg, "scim_bridge_matomo_up")); v != 0 {
				t.Errorf("up = %v", v)
			}
		})
	}
}

func TestClient_RedirectsAreNotFollowed(t *testing.T) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	b := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport, o.URL = nil, here.URL })
	_, err := b.c.ReadInstance(context.Background())
	wantKind(t, err, matomo.Redirected)
	if reached {
		t.Error("the token went to another host")
	}
}

func TestClient_RefusesOldTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	srv.StartTLS()
	defer srv.Close()
	b := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport, o.URL = nil, srv.URL })
	_, err := b.c.ReadInstance(context.Background())
	wantKind(t, err, matomo.Unreachable)
}

func TestClient_OverASocket(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	url := b.Start(t)
	c := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport, o.URL = nil, url+"/index.php" }).c
	s, err := c.ReadInstance(context.Background())
	if err != nil || s.Len() != 2 {
		t.Fatalf("snapshot %v, error %v", s, err)
	}
	b.Fault(matomotest.Fault{Kind: matomotest.Truncated})
	_, err = c.ReadInstance(context.Background())
	wantKind(t, err, matomo.Unreachable)
}

func TestClient_ReadsWaitOnceForRetryAfter(t *testing.T) {
	for _, fault := range []matomotest.Fault{
		{Kind: matomotest.TooManyRequests, RetryAfter: 7 * time.Second, Count: 1},
		{Kind: matomotest.ServerError, Status: 503, RetryAfter: 7 * time.Second, Count: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, matomotest.Options{})
			b.Fault(fault)
			start := time.Now()
			b.accounts(t, matomo.Read{}, "bridge")
			if took := time.Since(start); took != 7*time.Second {
				t.Errorf("waited %s, want 7s", took)
			}
			if n := b.log.FilterMessageSnippet("once more").Len(); n != 1 {
				t.Errorf("%d log lines about the retry", n)
			}
			b.Fault(matomotest.Fault{Kind: fault.Kind, Status: fault.Status, RetryAfter: time.Second})
			before := b.Requests()
			if _, err := b.c.ReadInstance(context.Background()); err == nil || b.Requests()-before != 2 {
				t.Errorf("%d requests, error %v, want two and an error", b.Requests()-before, err)
			}
		})
	}
}

func TestClient_DoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{})
		for name, f := range map[string]matomotest.Fault{
			"no Retry-After":   {Kind: matomotest.TooManyRequests},
			"a long one":       {Kind: matomotest.TooManyRequests, RetryAfter: time.Hour},
			"maintenance page": {Kind: matomotest.Maintenance},
		} {
			undo := b.Fault(f)
			start, before := time.Now(), b.Requests()
			_, err := b.c.ReadInstance(context.Background())
			if err == nil || time.Since(start) != 0 || b.Requests() != before+1 {
				t.Errorf("%s: %v after %s and %d requests", name, err, time.Since(start), b.Requests()-before)
			}
			undo()
		}
		b.accounts(t, matomo.Read{})
		b.Fault(matomotest.Fault{Kind: matomotest.Slow, Latency: time.Minute})
		start := time.Now()
		_, err := b.c.ReadAccounts(context.Background(), []string{"alice"}, matomo.Read{})
		if wantKind(t, err, matomo.Unreachable); time.Since(start) != 20*time.Second {
			t.Errorf("gave up after %s, want 20s", time.Since(start))
		}
		start = time.Now()
		if _, err = b.c.ReadInstance(context.Background()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("a read of everything has more time: %v after %s", err, time.Since(start))
		}
	})
}

func TestClient_WritesAreNeverSentTwice(t *testing.T) {
	for _, kind := range []matomotest.FaultKind{matomotest.TooManyRequests, matomotest.CutAfter, matomotest.CutBefore, matomotest.Truncated, matomotest.ServerError, matomotest.Maintenance} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, matomotest.Options{})
			b.add(t, "alice", "bob")
			s := b.accounts(t, matomo.Read{}, "alice", "bob")
			var plans []matomo.Plan
			for _, l := range []string{"alice", "bob"} {
				a, _ := s.Account(l)
				plans = append(plans, matomo.PlanPerson(person(l, "1:view", comeBack), a, b.policy(s, func(p *matomo.Policy) { p.Tokens = matomo.Recreate })))
			}
			b.Fault(matomotest.Fault{Kind: kind, RetryAfter: time.Second, Count: 1})
			b.ResetCalls()
			results := b.c.Apply(context.Background(), plans)
			if n := b.Requests(); n != 1 {
				t.Errorf("%s: %d requests, want 1", kind, n)
			}
			uncertain := kind != matomotest.TooManyRequests && kind != matomotest.Maintenance
			for _, r := range results {
				if r.Err == nil || r.Uncertain() != uncertain || KindIn(r.Err, matomo.Skipped) {
					t.Errorf("%s: %+v", kind, r)
				}
				if last := r.Steps[len(r.Steps)-1]; last.Sent || !KindIn(last.Err, matomo.Skipped) {
					t.Errorf("%s: behind the gate %+v", kind, last)
				}
			}
		})
	}
}

// KindIn reports whether err has one of the kinds.
func KindIn(err error, kinds ...matomo.ErrorKind) bool {
	return slices.Contains(kinds, matomo.KindOf(err))
}

func TestClient_LanesKeepAFifthForLeavers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{ForgetCalls: true}, func(o *matomo.Options) { o.RequestsPerMinute = 100 })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		done := make(chan int)
		flood := func(ctx context.Context) {
			n := 0
			for {
				if _, err := b.c.ReadAccounts(ctx, nil, matomo.Read{}); err != nil {
					break // the next one would come after the minute
				}
				n++
			}
			done <- n
		}
		for range 4 {
			go flood(ctx)
		}
		time.Sleep(30 * time.Second)
		start := time.Now()
		leaver := matomo.WithLane(context.Background(), matomo.Leavers)
		for range 2 {
			if _, err := b.c.ReadAccounts(leaver, nil, matomo.Read{}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("leavers waited %s behind a flood", took)
		}
		normal := 0
		for range 4 {
			normal += <-done
		}
		if normal > 80 || normal < 70 {
			t.Errorf("%d normal requests in a minute, want at most 80 of 100", normal)
		}
	})
}

func TestClient_LeaversHaveTheWholeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{ForgetCalls: true}, func(o *matomo.Options) { o.RequestsPerMinute = 100 })
		ctx, cancel := context.WithTimeout(matomo.WithLane(context.Background(), matomo.Leavers), time.Minute)
		defer cancel()
		n := 0
		for ctx.Err() == nil {
			if _, err := b.c.ReadAccounts(ctx, nil, matomo.Read{}); err != nil {
				break // the next one would come after the minute
			}
			n++
		}
		if n > 100 || n < 90 {
			t.Errorf("%d requests in a minute, want about 100 and not more", n)
		}
	})
}

func TestClient_SecretsAreNowhere(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	echo := roundTrip(func(r *http.Request) (*http.Response, error) { // a proxy that shows what it was sent
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		var page strings.Builder
		if _, err := copyAll(&page, body); err != nil {
			return nil, err
		}
		return answers(http.StatusInternalServerError, nil, page.String()).RoundTrip(r)
	})
	c := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Transport = echo })
	_, err := c.c.ReadInstance(context.Background())
	texts := []string{err.Error(), fmt.Sprintf("%+v", c.c.Health())}
	err = c.c.ProvePassword(context.Background())
	texts = append(texts, err.Error(), fmt.Sprintf("%+v %v", err, errors.Unwrap(err)))
	for _, l := range c.log.All() {
		texts = append(texts, fmt.Sprint(l.Message, l.ContextMap()))
	}
	b.token.set("another-token-000000", nil)
	_, err = b.c.ReadInstance(context.Background())
	texts = append(texts, err.Error())
	for _, text := range texts {
		for _, s := range []string{b.Token(), b.Password(), "another-token"} {
			if strings.Contains(text, s) {
				t.Errorf("secret in %q", text)
			}
		}
	}
}

func TestClient_SecretsThatCannotBeRead(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.accounts(t, matomo.Read{})
	before := b.Requests()
	for _, set := range []func(){
		func() { b.token.set("", errors.New("no such file")) },
		func() { b.token.set("\n", nil) },
	} {
		set()
		_, err := b.c.ReadInstance(context.Background())
		wantKind(t, err, matomo.SecretMissing)
	}
	if b.Requests() != before {
		t.Error("something was sent without a token")
	}
	b.token.set(b.Token()+"\r\n", nil)
	b.accounts(t, matomo.Read{})

	none := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.Password = nil })
	if none.c.HasPassword() || none.c.Health().PasswordBad {
		t.Error("no password, and yet there is one")
	}
	wantKind(t, none.c.ProvePassword(context.Background()), matomo.NeedsPassword)
}

func TestClient_Version(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{})
		b.add(t, "alice")
		mustOK(t, b.bring(t, person("alice", "1:view")))
		count := b.Count("API.getMatomoVersion")
		a := b.account(t, "alice", matomo.Read{})
		time.Sleep(2 * time.Hour)
		plan := matomo.PlanPerson(person("alice", "2:view"), a, policy())
		mustOK(t, b.c.Apply(context.Background(), []matomo.Plan{plan})[0])
		if n := b.Count("API.getMatomoVersion") - count; n != 2 {
			t.Errorf("the version was asked for %d times, want once with the read and once because it was old", n)
		}
		if h := b.c.Health(); h.Version != "5.1.2" || !h.Up || h.LastOK.IsZero() {
			t.Errorf("health %+v", h)
		}
	})
}

func TestNew_Refuses(t *testing.T) {
	token := func() (string, error) { return "t", nil }
	for name, o := range map[string]matomo.Options{
		"no name":         {URL: "https://m.example.test", Login: "bridge", Token: token},
		"no login":        {Name: "main", URL: "https://m.example.test", Token: token},
		"no token":        {Name: "main", URL: "https://m.example.test", Login: "bridge"},
		"no url":          {Name: "main", Login: "bridge", Token: token},
		"another scheme":  {Name: "main", URL: "ftp://m.example.test", Login: "bridge", Token: token},
		"no host":         {Name: "main", URL: "https:///x", Login: "bridge", Token: token},
		"user in the url": {Name: "main", URL: "https://u:p@m.example.test", Login: "bridge", Token: token},
		"query":           {Name: "main", URL: "https://m.example.test/?a=b", Login: "bridge", Token: token},
		"no url at all":   {Name: "main", URL: "://", Login: "bridge", Token: token},
	} {
		if _, err := matomo.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestClient_Metrics(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	other, err := matomo.New(matomo.Options{Name: "eu", URL: "https://eu.example.test", Login: "bridge", Token: b.token.read, Registerer: b.reg, Transport: b.wire})
	if err != nil {
		t.Fatalf("a second target with the same registry: %v", err)
	}
	b.add(t, "alice")
	mustOK(t, b.bring(t, person("alice", "1:view")))
	if _, err := other.ReadInstance(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.token.set("wrong-token", nil)
	if _, err := b.c.ReadInstance(context.Background()); err == nil {
		t.Fatal("a wrong token reads")
	}
	const expected = `
# HELP scim_bridge_matomo_info Always 1; the label tells the version Matomo reported last.
# TYPE scim_bridge_matomo_info gauge
scim_bridge_matomo_info{target="eu",version="5.1.2"} 1
scim_bridge_matomo_info{target="main",version="5.1.2"} 1
# HELP scim_bridge_matomo_requests_total HTTP requests to Matomo by API method and result; result is ok or the kind of error.
# TYPE scim_bridge_matomo_requests_total counter
scim_bridge_matomo_requests_total{method="API.getBulkRequest",result="bad_token",target="main"} 1
scim_bridge_matomo_requests_total{method="API.getBulkRequest",result="ok",target="eu"} 2
scim_bridge_matomo_requests_total{method="API.getBulkRequest",result="ok",target="main"} 3
# HELP scim_bridge_matomo_retries_total Reads that were sent once more at once, by reason.
# TYPE scim_bridge_matomo_retries_total counter
scim_bridge_matomo_retries_total{reason="maintenance",target="eu"} 0
scim_bridge_matomo_retries_total{reason="maintenance",target="main"} 0
scim_bridge_matomo_retries_total{reason="rate_limited",target="eu"} 0
scim_bridge_matomo_retries_total{reason="rate_limited",target="main"} 0
# HELP scim_bridge_matomo_secret_rejected 1 when Matomo refused the token or password and it is not used again until it changes.
# TYPE scim_bridge_matomo_secret_rejected gauge
scim_bridge_matomo_secret_rejected{secret="password",target="eu"} 0
scim_bridge_matomo_secret_rejected{secret="password",target="main"} 0
scim_bridge_matomo_secret_rejected{secret="token",target="eu"} 0
scim_bridge_matomo_secret_rejected{secret="token",target="main"} 1
# HELP scim_bridge_matomo_up 1 when the last request was answered as it should be, 0 when the instance failed it.
# TYPE scim_bridge_matomo_up gauge
scim_bridge_matomo_up{target="eu"} 1
scim_bridge_matomo_up{target="main"} 0
`
	err = testutil.GatherAndCompare(b.reg, strings.NewReader(expected), "scim_bridge_matomo_info", "scim_bridge_matomo_requests_total",
		"scim_bridge_matomo_retries_total", "scim_bridge_matomo_secret_rejected", "scim_bridge_matomo_up")
	if err != nil {
		t.Error(err)
	}
	problems, err := testutil.GatherAndLint(b.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(b.reg, "scim_bridge_matomo_request_duration_seconds"); err != nil || n != 2 {
		t.Errorf("%d histograms, %v", n, err)
	}
}

// gather returns one collector that holds the only series of a gauge.
func gather(t *testing.T, reg *prometheus.Registry, name string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "copy"})
	for _, f := range families {
		if f.GetName() == name {
			g.Set(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return g
}
