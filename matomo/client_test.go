package matomo_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
