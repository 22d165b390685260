// Package matomotest is a Matomo that lives inside the process.
//
// It answers as the recordings of real Matomo 5.1.2 and 4.16.1 do: the same
// texts, status codes, shapes and oddities, per version. It is a model, not a
// mock: it keeps users, access rows, app tokens, sites, invitations, sessions,
// reports, segments, the log of failed logins and the tracker cache, so a test
// can let the production client talk to it and then look at what came of it.
// All recorded exchanges are replayed against it in its own test.
//
// A Server is a http.Handler. Start puts it on a port; RoundTripper answers
// without a socket, so that it works in a testing/synctest bubble. All time
// comes from time.Now and timers, which a bubble fakes.
//
// What it leaves out: reporting data, and XML beyond single values, successes
// and errors. A method that is not modelled answers as one that does not exist
// or whose plugin is not enabled.
package matomotest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/methods"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// The versions that were recorded.
const (
	Version5 = "5.1.2"
	Version4 = "4.16.1"
)

// Options says what a fresh Server looks like. The zero value is a Matomo 5.1.2
// with one superuser "bridge", five sites and no companion plugin.
type Options struct {
	// Version is Version5 (default) or Version4. Others are reported as they
	// are and behave like the recorded version of their time: 5.x and before. 3.x
	// has regenerateTokenAuth besides.
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
	opt   Options
	api   *api.API
	calls callLog
}

// New returns a Matomo as it is after the installation, without listening
// anywhere.
func New(o Options) *Server {
	o.setDefaults()
	v5 := strings.HasPrefix(o.Version, "5.")
	s := &Server{opt: o, calls: callLog{forget: o.ForgetCalls}}
	s.api = &api.API{
		Instance: model.New(), Version: o.Version, V5: v5, Methods: methods.Table(v5),
		Plugins: methods.Plugins(methods.Options{Companion: o.Plugin, TokenRevoker: o.TokenRevoker, TagManager: !o.NoTagManager}),
		Seen:    s.calls.add, Count: s.calls.request,
	}
	if strings.HasPrefix(o.Version, "3.") {
		maps.Copy(s.api.Methods, methods.Matomo3())
	}
	s.api.Lock()
	defer s.api.Unlock()
	s.api.Insert(&model.Account{Login: model.Anonymous, Email: "anonymous@example.org", Registered: model.Now()})
	su := &model.Account{
		Login: o.Login, Email: o.Email, Superuser: true, Password: model.HashPassword(o.Password),
		Registered: model.Now(), PasswordChanged: model.Now(),
	}
	s.api.Insert(su)
	s.api.AddToken(su, &model.Token{Secret: o.Token, Description: "bridge", Created: model.Now()})
	groups := map[int]string{1: "groupA", 2: "groupA", 3: "groupB"}
	for i := 1; i <= o.Sites; i++ {
		s.api.AddSite(model.Site{
			Name: fmt.Sprintf("Site %d", i), URL: fmt.Sprintf("http://site%d.example.test", i), Group: groups[i], Creator: model.Anonymous,
		})
	}
	return s
}

// setDefaults fills in what a test does not care about. The token and the
// password are fixed so that a failing test reads the same each time.
func (o *Options) setDefaults() {
	for _, field := range []struct {
		set   *string
		value string
	}{
		{&o.Version, Version5},
		{&o.Login, "bridge"},
		{&o.Email, "bridge@example.test"},
		{&o.Token, "5cc1b21db21d9e0cf0b1d9e0a5cc1b21"},
		{&o.Password, "Bridge-Passw0rd"},
	} {
		if *field.set == "" {
			*field.set = field.value
		}
	}
	if o.Sites == 0 {
		o.Sites = 5
	}
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

// TB is the part of testing.TB that Start needs; naming it here keeps the
// testing package out of programs that carry the stand-in.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start serves on a free local port until the test ends and returns the URL.
func (s *Server) Start(tb TB) string {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listening: %v", err)
		return ""
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	tb.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			tb.Fatalf("serving: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

// ServeHTTP answers one request of the Reporting or the Tracking API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.api.Answer(r)
	if err != nil { // a fault says that the connection breaks, or the client has gone
		hangUp(w)
		return
	}
	maps.Copy(w.Header(), a.Header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	w.WriteHeader(a.Status)
	if a.Truncate {
		_, _ = w.Write(a.Body[:len(a.Body)/2]) //nolint:gosec // as below
		_ = http.NewResponseController(w).Flush()
		hangUp(w)
		return
	}
	_, _ = w.Write(a.Body) //nolint:gosec // texts are JSON strings or escaped, as Matomo's are
}

// hangUp closes the connection without an answer, or in the middle of one.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2 and recorders have no connection to cut
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = conn.Close()
}
