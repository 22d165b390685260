// Package app puts the rooms of the bridge together and runs them: it is the
// only importer of everything.
//
// Services are the rooms, wired; App runs them: two listeners (one for
// identity providers, one for monitoring), the reconcile engine and the audit
// sealer. Everything that is opened registers its closer on the next line, and
// Stop drains them in reverse. An App is a value: tests run several in one
// process, on port 0.
package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/extension"
	"github.com/matomo-scim/bridge/internal/app/signin"
	"github.com/matomo-scim/bridge/internal/listen"
	"github.com/matomo-scim/bridge/scim"
)

// Two listeners, because they are for two kinds of people. The one of the identity
// providers may face the internet: nothing but two probes is answered before
// authentication. The one of monitoring shows who is being worked on in numbers
// only, and stays inside.
//
// A stop is gentle: listeners first, so that every accepted request is answered;
// then the workers, who give their leases back; then the seal of the audit trail.
// A stop that is not gentle costs nothing but time: what is due is in the rows.

// ErrNoCredential refuses to start a bridge that nobody could talk to.
var ErrNoCredential = errors.New("there is no credential yet, so no identity provider could sign in: " +
	"create one with: matomo-scim-bridge credential create NAME")

// stopWithin is how long requests in flight get to finish.
const stopWithin = 20 * time.Second

// sweepEvery is how often expired pending memberships are looked for.
const sweepEvery = time.Minute

// App is the running service.
type App struct {
	*Services

	reloads       *reloader
	certificates  *listen.Certificates // nil without TLS
	scim, metrics net.Listener
	servers       []*http.Server
	cancel        context.CancelFunc
	work          sync.WaitGroup
	failed        chan error
	drain         listen.Drain
}

// New opens everything and binds the listeners; nothing runs before Start.
func New(ctx context.Context, cfg *config.Config, opt Options) (_ *App, err error) {
	services, err := Open(ctx, cfg, opt)
	if err != nil {
		return nil, err
	}
	a := &App{Services: services, failed: make(chan error, 4)}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if err := a.Prepare(ctx); err != nil {
		return nil, err
	}
	if n, err := a.Directory.CountCredentials(ctx); err != nil {
		return nil, err
	} else if n == 0 && !signin.TakesTokens(a.Config) {
		if !opt.AwaitCredential {
			return nil, ErrNoCredential
		}
		a.log.Warn("there is no credential yet: identity providers are refused until there is one",
			zap.String("create", "matomo-scim-bridge credential create NAME"))
	}
	if err := a.takeLock(); err != nil {
		return nil, err
	}
	if err := a.observe(opt); err != nil {
		return nil, err
	}
	front, err := a.scimOptions(opt)
	if err != nil {
		return nil, err
	}
	handler, err := scim.New(front)
	if err != nil {
		return nil, err
	}
	if a.scim, err = a.listen(ctx, "scim", cfg.Listen.SCIM, a.drain.Handler(a.front(handler), "/readyz")); err != nil {
		return nil, err
	}
	if err := a.secure(a.servers[0], opt); err != nil {
		return nil, err
	}
	if a.metrics, err = a.listen(ctx, "metrics", cfg.Listen.Metrics, a.back()); err != nil {
		return nil, err
	}
	return a, nil
}

// takeLock makes this process the one that reconciles an SQLite file. On
// PostgreSQL leases decide, and every replica reconciles.
func (a *App) takeLock() error {
	held, release, err := a.DB.Lock()
	if err != nil {
		return fmt.Errorf("database lock: %w", err)
	}
	if !held {
		return errors.New("another process works on this database file; one embedded SQLite serves one bridge, several need PostgreSQL")
	}
	a.cleanup.add("database lock", func() error { release(); return nil })
	return nil
}

// listen binds one address; its server starts with Start.
func (a *App) listen(ctx context.Context, name, addr string, h http.Handler) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen.%s: %w", name, err)
	}
	a.cleanup.add(name+" listener", func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	a.servers = append(a.servers, &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(a.log.Named("http")),
		// net/http would answer OPTIONS * itself, before anybody is authenticated.
		DisableGeneralOptionsHandler: true,
	})
	return l, nil
}

// Start runs the service until Stop. It returns at once.
func (a *App) Start(ctx context.Context) {
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i, l := range []net.Listener{a.scim, a.metrics} {
		srv := a.servers[i]
		a.work.Go(func() {
			serve := srv.Serve
			if srv.TLSConfig != nil {
				serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
			}
			if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				a.failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
		})
	}
	a.work.Go(func() { a.Audit.Run(ctx) })
	a.work.Go(func() { a.Journal.Run(ctx) })
	if notes := a.checkpoints(); notes != nil {
		a.work.Go(func() { notes.Run(ctx) })
	}
	a.work.Go(func() { a.TokenAges.Run(ctx) })
	a.work.Go(func() { a.Engine.Run(ctx) })
	a.work.Go(func() { a.sweep(ctx) })
	a.work.Go(func() { a.Requests.Run(ctx) })
	a.work.Go(func() { a.reloads.watch(ctx) })
	a.work.Go(func() { a.watchStore(ctx) })
	if a.certificates != nil {
		a.work.Go(func() { a.certificates.Watch(ctx) })
	}
	a.log.Info("serving", zap.String("scim", a.SCIMURL()), zap.String("metrics", "http://"+a.MetricsAddr()+"/metrics"))
}

// sweep lets go of pending memberships whose time is over, and joins those whose
// user came in the same moment, until ctx is done.
func (a *App) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	swept := a.Health.Repeated("sweep", "look at the log", sweepEvery)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		_, _, err := a.Directory.Sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		if swept(err); err != nil {
			a.log.Warn("let go of pending memberships; it is tried again", zap.Error(err))
		}
	}
}

// Failed delivers the error that ended a listener.
func (a *App) Failed() <-chan error { return a.failed }

// SCIMAddr is the address that identity providers reach.
func (a *App) SCIMAddr() string { return a.scim.Addr().String() }

// SCIMURL is the base URL of SCIM as this host sees it.
func (a *App) SCIMURL() string {
	scheme := "http://"
	if a.certificates != nil {
		scheme = "https://"
	}
	return scheme + a.SCIMAddr() + scim.DefaultBasePath
}

// MetricsAddr is the address of metrics and health.
func (a *App) MetricsAddr() string { return a.metrics.Addr().String() }

// Stop ends the service: load balancers get listen.drain to notice, requests in flight
// finish, the engine gives its leases back, the audit trail is sealed, and everything is
// closed.
func (a *App) Stop(ctx context.Context) {
	a.drain.Wait(context.WithoutCancel(ctx), a.Config.Listen.Drain)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	for _, srv := range a.servers {
		if err := srv.Shutdown(ctx); err != nil {
			a.log.Warn("requests were cut off", zap.Error(err))
			_ = srv.Close() // what is left of it
		}
	}
	if a.cancel != nil {
		a.cancel()
	}
	a.work.Wait()
	if _, err := a.Audit.Seal(ctx); err != nil {
		a.log.Warn("seal audit trail", zap.Error(err))
	}
	a.Close()
}

// scimOptions are the options of the SCIM front.
func (a *App) scimOptions(opt Options) (scim.Options, error) {
	users, groups, err := extension.Types(a.Config.Schemas)
	if err != nil {
		return scim.Options{}, err
	}
	sources := map[string]scim.Profile{}
	for _, src := range a.Config.Sources {
		sources[src.Name] = scim.Profile(src.Profile)
	}
	access, err := signin.Options(a.Config)
	if err != nil {
		return scim.Options{}, err
	}
	limits := a.Config.SCIM
	return scim.Options{
		Directory: a.Directory, Sources: sources, Users: users, Groups: groups,
		Logger: opt.Logger.Named("scim"), Registerer: a.Registry,
		Access: access, PublicDiscovery: a.Config.Listen.PublicDiscovery, Journal: a.Requests,
		Limits: scim.Limits{
			Body: int64(limits.MaxBody), Operations: limits.MaxOperations, Page: limits.MaxPage, Filter: limits.MaxFilter,
		},
		NoCursors: !limits.Cursors,
	}, nil
}

// front is the identity providers' door. Everything but the two probes goes to
// the SCIM handler untouched, so that nothing is answered before
// authentication.
func (a *App) front(scimHandler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			a.alive(w, r)
		case "/readyz":
			a.ready(w, r)
		default:
			scimHandler.ServeHTTP(w, r)
		}
	})
}

// back is the monitoring door. From another host, metrics ask for the monitor token once
// there is one; health, which has words, is not shown there without.
func (a *App) back() http.Handler {
	var token func() (string, error)
	if !a.Config.Listen.MonitorToken.IsZero() {
		token = a.Config.Listen.MonitorToken.Read
	}
	metrics := promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{Registry: a.Registry})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", listen.Guarded(metrics, token, true))
	mux.HandleFunc("GET /healthz", a.alive)
	mux.Handle("GET /health", listen.Guarded(a.Health, token, false))
	return mux
}

// Only SCIM gets the certificate. Metrics stay on the host, or behind the token and whatever
// network the two share; a Prometheus that had to trust a certificate for another name would
// be told not to look at it.

// secure gives the SCIM server its certificate, when one is configured.
func (a *App) secure(srv *http.Server, opt Options) error {
	cfg := a.Config.Listen.TLS.Resolved(a.Config.Resolve)
	if !cfg.Enabled() {
		return nil
	}
	roots, err := cfg.Roots()
	if err == nil {
		a.certificates, err = listen.NewCertificates(listen.Options{
			CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
			Hosts: cfg.ACMEHosts, Email: cfg.ACMEEmail, Dir: cfg.ACMEDir, URL: cfg.ACMEURL, Roots: roots,
			Registerer: a.Registry, Report: a.Health.Report, Logger: opt.Logger.Named("tls"),
		})
	}
	if err != nil {
		return fmt.Errorf("listen.tls: %w", err)
	}
	srv.TLSConfig = a.certificates.TLS()
	return nil
}

// alive says that the process answers.
func (a *App) alive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "ok")
}

// ready says whether requests can be accepted durably: the database answers
// and there are rules. Matomo has no part in it.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := a.Bindings.ActiveRules(ctx); err != nil {
		a.log.Warn("not ready", zap.Error(err))
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, "not ready: the database does not answer or holds no rules; see the log")
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}
