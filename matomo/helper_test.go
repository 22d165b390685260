package matomo_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// versions are those that were measured.
var versions = []string{matomotest.Version5, matomotest.Version4}

// bench is a stand-in Matomo with a client in front of it, in one process and without a socket.
type bench struct {
	*matomotest.Server
	c        *matomo.Client
	token    *box
	password *box
	log      *observer.ObservedLogs
	reg      *prometheus.Registry
	wire     *wire
}

// box is a secret file whose content a test changes.
type box struct {
	mu    sync.Mutex
	value string
	err   error
}

func (b *box) read() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.err
}

func (b *box) set(v string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.value, b.err = v, err
}

// wire looks at every request on its way.
type wire struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []seen
}

type seen struct{ url, body, auth string }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.GetBody != nil {
		rc, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		if _, err := copyAll(&b, rc); err != nil {
			return nil, err
		}
		body = b.String()
	}
	w.mu.Lock()
	w.seen = append(w.seen, seen{r.URL.String(), body, r.Header.Get("Authorization")})
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

func (w *wire) last() seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[len(w.seen)-1]
}

func newBench(tb testing.TB, o matomotest.Options, change ...func(*matomo.Options)) *bench {
	tb.Helper()
	b := &bench{Server: matomotest.New(o), reg: prometheus.NewPedanticRegistry()}
	b.wire = &wire{next: b.RoundTripper()}
	b.token, b.password = &box{value: b.Token()}, &box{value: b.Password()}
	core, log := observer.New(zap.DebugLevel)
	b.log = log
	opt := matomo.Options{
		Name: "main", URL: "https://matomo.example.test/", Login: "bridge", Token: b.token.read, Password: b.password.read,
		Protected: []string{"admin"}, Transport: b.wire, Registerer: b.reg, Logger: zap.New(core),
	}
	for _, f := range change {
		f(&opt)
	}
	c, err := matomo.New(opt)
	if err != nil {
		tb.Fatal(err)
	}
	b.c = c
	return b
}

// eachVersion runs a test on both measured versions.
func eachVersion(t *testing.T, o matomotest.Options, f func(*testing.T, *bench)) {
	t.Helper()
	for _, v := range versions {
		t.Run(v, func(t *testing.T) {
			o.Version = v
			f(t, newBench(t, o))
		})
	}
}

// add creates people from the side: login, password "secret-"+login.
func (b *bench) add(tb testing.TB, logins ...string) {
	tb.Helper()
	for _, l := range logins {
		if err := b.AddUser(l, strings.Trim(l, "äöüÄÖÜß")+"@example.test", "secret-"+l); err != nil {
			tb.Fatalf("add %s: %v", l, err)
		}
	}
}

func (b *bench) accounts(tb testing.TB, opt matomo.Read, logins ...string) *matomo.Snapshot {
	tb.Helper()
	s, err := b.c.ReadAccounts(context.Background(), logins, opt)
	if err != nil {
		tb.Fatalf("ReadAccounts(%v): %v", logins, err)
	}
	return s
}

func (b *bench) account(tb testing.TB, login string, opt matomo.Read) matomo.Account {
	tb.Helper()
	a, known := b.accounts(tb, opt, login).Account(login)
	if !known {
		tb.Fatalf("%s is not known", login)
	}
	return a
}

// bring makes login what want says, as the reconcile loop does: read, plan, apply.
func (b *bench) bring(tb testing.TB, w matomo.Want, change ...func(*matomo.Policy)) matomo.Result {
	tb.Helper()
	s := b.accounts(tb, matomo.Read{}, w.Login)
	a, _ := s.Account(w.Login)
	p := matomo.PlanPerson(w, a, b.policy(s, change...))
	return b.c.Apply(context.Background(), []matomo.Plan{p})[0]
}

// leave runs one phase of a leaver.
func (b *bench) leave(tb testing.TB, login string, phase matomo.Phase, change ...func(*matomo.Policy)) matomo.Result {
	tb.Helper()
	s := b.accounts(tb, matomo.Read{Orphans: true, Tokens: true}, login)
	a, _ := s.Account(login)
	p := matomo.PlanLeaver(a, b.policy(s, change...), phase)
	return b.c.Apply(context.Background(), []matomo.Plan{p})[0]
}

func (b *bench) policy(s *matomo.Snapshot, change ...func(*matomo.Policy)) matomo.Policy {
	pol := matomo.Policy{Manage: matomo.Exclusive, Tokens: matomo.Auto, RandomisePassword: true}
	for _, f := range change {
		f(&pol)
	}
	return b.c.Complete(pol, s)
}

func mustOK(tb testing.TB, r matomo.Result) {
	tb.Helper()
	if r.Err != nil {
		tb.Fatalf("%s: %v (%+v)", r.Login, r.Err, r.Steps)
	}
}

func wantKind(tb testing.TB, err error, kind matomo.ErrorKind) *matomo.Error {
	tb.Helper()
	var e *matomo.Error
	if !errors.As(err, &e) || e.Kind != kind {
		tb.Fatalf("error = %v, want kind %s", err, kind)
	}
	return e
}

func wantAccess(tb testing.TB, b *bench, login, expected string) {
	tb.Helper()
	if got := b.Access(login); !got.Equal(sites(expected)) {
		tb.Errorf("%s has %s, want %s", login, got, sites(expected))
	}
}

// person wants a login with the access given.
func person(login, s string, change ...func(*matomo.Want)) matomo.Want {
	return want(s, append([]func(*matomo.Want){func(w *matomo.Want) { w.Login, w.Email = login, login+"@example.test" }}, change...)...)
}

func ids(n ...access.SiteID) []access.SiteID { return n }
