// Package matomotest is a Matomo that lives inside the test process.
//
// It answers as the recordings of real Matomo 5.1.2 and 4.16.1 do: the same
// texts, status codes, shapes and oddities, per version. It is a model, not a
// mock: it keeps users, access rows, app tokens, sites, invitations, sessions,
// reports, segments, the log of failed logins and the tracker cache, so a test
// can let the production client talk to it and then look at what came of it.
//
// A Server is a http.Handler. Start puts it on a port; RoundTripper answers
// without a socket, so that it works in a testing/synctest bubble. All time
// comes from time.Now and timers, which a bubble fakes.
//
// What it leaves out: reporting data, and XML beyond single values, successes
// and errors. A method that is not modelled answers as one of a plugin that is
// not enabled.
package matomotest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The versions that were recorded and are modelled.
const (
	Version5 = "5.1.2"
	Version4 = "4.16.1"
)

// Options says what a fresh Server looks like. The zero value is a Matomo 5.1.2
// with one superuser "bridge", five sites and no companion plugin.
type Options struct {
	// Version is Version5 (default) or Version4. Others are reported as they are
	// and behave like the recorded version of their time: 5.x and before.
	Version  string
	Login    string // the superuser's login, "bridge" by default
	Email    string // its e-mail, "bridge@example.test" by default
	Token    string // its app token, a fixed one by default; see Server.Token
	Password string // its password, a fixed one by default; see Server.Password
	// Sites is the number of sites, 5 by default and none when negative. Sites 1
	// and 2 are in group "groupA", site 3 is in "groupB".
	Sites int
	// Plugin says whether the companion plugin ScimBridge is there.
	Plugin bool
	// TokenRevoker says whether the plugin of recording 81 is there.
	TokenRevoker bool
	// NoTagManager leaves out the plugin that brings the capabilities.
	NoTagManager bool
	// ForgetCalls keeps only the counters of Requests and Count and not the list
	// of Calls; for benchmarks.
	ForgetCalls bool
}

// Server is one Matomo instance. All methods are safe for concurrent use.
type Server struct {
	opt     Options
	v5      bool
	methods map[string]method
	modules map[string]bool
	faults  faultBox
	calls   callLog

	mu sync.Mutex // guards everything below
	userTable
	siteTable
	security
	belongings
	tracker trackerCache
	mails   []Mail
	// quietUpdates is Matomo's enable_update_users_email=0.
	quietUpdates bool
}

// New returns a Matomo as it is after the installation, without listening
// anywhere.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{opt: o, v5: strings.HasPrefix(o.Version, "5.")}
	s.methods, s.modules = s.methodTable()
	s.byKey = map[string]*account{}
	s.byEmail = map[string]*account{}
	s.tokens = map[string]*token{}
	s.failures = map[string][]time.Time{}
	s.preferences = map[string]map[string]string{}
	s.sites = map[int]*Site{}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.insertLocked(&account{login: anonymousLogin, email: "anonymous@example.org", registered: now()})
	su := s.insertLocked(&account{
		login: o.Login, email: o.Email, superuser: true,
		password: hashPassword(o.Password), registered: now(), passwordChanged: now(),
	})
	s.addTokenLocked(su, &token{secret: o.Token, description: "bridge", created: now()})
	for i := 1; i <= o.Sites; i++ {
		group := map[int]string{1: "groupA", 2: "groupA", 3: "groupB"}[i]
		s.addSiteLocked(&Site{Name: fmt.Sprintf("Site %d", i), URL: fmt.Sprintf("http://site%d.example.test", i), Group: group, Creator: anonymousLogin})
	}
	return s
}

func (o Options) withDefaults() Options {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&o.Version, Version5)
	set(&o.Login, "bridge")
	set(&o.Email, "bridge@example.test")
	set(&o.Token, "5cc1b21db21d9e0cf0b1d9e0a5cc1b21")
	set(&o.Password, "Bridge-Passw0rd")
	if o.Sites == 0 {
		o.Sites = 5
	}
	return o
}

// Token returns the app token of the superuser of Options.
func (s *Server) Token() string { return s.opt.Token }

// Password returns the password of the superuser of Options, as it was at the
// start.
func (s *Server) Password() string { return s.opt.Password }

// Login returns the login of the superuser of Options.
func (s *Server) Login() string { return s.opt.Login }

// Version returns the Matomo version that is modelled.
func (s *Server) Version() string { return s.opt.Version }

// Start serves on a free local port until the test ends and returns the URL.
func (s *Server) Start(tb testing.TB) string {
	tb.Helper()
	srv := httptest.NewServer(s)
	tb.Cleanup(srv.Close)
	return srv.URL
}

// ServeHTTP answers one request of the Reporting or the Tracking API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.answer(r)
	if err != nil { // the fault says that the connection breaks, or the client has gone
		hangUp(w)
		return
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	w.WriteHeader(a.status)
	if a.truncate {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		hangUp(w)
		return
	}
	_, _ = w.Write(a.body)
}

// hangUp closes the connection without an answer, or in the middle of one.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "cut", http.StatusBadGateway) // HTTP/2 has no connection to cut
		return
	}
	_ = conn.Close()
}

// wait sleeps for d or until ctx ends.
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
		return fmt.Errorf("waiting: %w", ctx.Err())
	}
}

// now is the present as Matomo stores it: UTC, whole seconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// dateTime is how Matomo writes a moment.
const dateTime = "2006-01-02 15:04:05"

// newSecret returns 32 random hexadecimal digits, the form of an app token.
func newSecret() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
