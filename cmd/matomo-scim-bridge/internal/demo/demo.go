// Package demo plays joiners, movers and leavers of two identity providers
// against a whole bridge and a stand-in Matomo in one process, and tells each
// step from the audit trail itself: what it shows is what an auditor would find.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// The stage is what an administrator would set up: a configuration file, a rule
// file, two secrets that only the owner can read, two credentials, and the service
// as serve runs it. Only Matomo is a stand-in, and even it is reached over HTTP.
// Everything lives in a temporary folder and in memory; nothing outlives the demo.

//go:embed rules.ini
var demoRules string

//go:embed bridge.yaml
var demoConfig string

// Options is what a demo needs.
type Options struct {
	// Out shows it.
	Out *terminal.Printer
	// Logger gets what a person must act on.
	Logger *zap.Logger
	// Version is that of the program.
	Version string
	// Once ends the demo after the script; otherwise it stays up until the
	// context is done.
	Once bool
}

// Run sets the stage, plays the script and, unless opt.Once, stays up. What it
// made is gone when it returns.
func Run(ctx context.Context, opt Options) (err error) {
	stage, err := newStage(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.close(ctx)) }()
	if err := stage.play(ctx); err != nil || opt.Once {
		return err
	}
	stage.invite()
	<-ctx.Done()
	return nil
}

// stage is the whole demo: Matomo, the bridge, and what the script needs.
type stage struct {
	*terminal.Printer

	opt    Options
	dir    string
	server *app.Simulator
	matomo *http.Server
	url    string // of Matomo
	app    *app.App
	entra  *Provider
	okta   *Provider
	step   int
	told   int64     // the last audit entry that was narrated
	began  time.Time // when the scene's first request was sent
}

// newStage starts Matomo and the bridge.
func newStage(ctx context.Context, opt Options) (_ *stage, err error) {
	s := &stage{Printer: opt.Out, opt: opt}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if s.dir, err = os.MkdirTemp("", "matomo-scim-bridge-demo-"); err != nil {
		return nil, err
	}
	s.server = app.NewSimulator(app.SimulatorOptions{Plugin: true})
	if err := s.server.AddUser("admin", "admin@example.com", "a password that nobody types"); err != nil {
		return nil, err
	}
	s.server.SetSuperuser("admin", true)
	if err := s.serveMatomo(ctx); err != nil {
		return nil, err
	}
	cfg, err := s.writeConfig()
	if err != nil {
		return nil, err
	}
	if err := s.startBridge(ctx, cfg); err != nil {
		return nil, err
	}
	return s, s.firstCompare(ctx)
}

// serveMatomo puts the stand-in on a port of its own, so that every call of the
// bridge is a real HTTP request.
func (s *stage) serveMatomo(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String() + "/"
	s.matomo = &http.Server{Handler: s.server, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.matomo.Serve(l) }() // ends with close; its error says only that
	return nil
}

// writeConfig writes what an administrator would: configuration, rules and two
// secrets that only the owner can read.
func (s *stage) writeConfig() (*config.Config, error) {
	files := map[string]string{
		"bridge.yaml":     strings.Replace(demoConfig, "url: URL", "url: "+s.url, 1),
		"rules.ini":       demoRules,
		"matomo_token":    s.server.Token(),
		"matomo_password": s.server.Password(),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return config.Load(filepath.Join(s.dir, "bridge.yaml"), func(string) string { return "" })
}

// startBridge makes the credentials of the two providers and starts the
// service as serve does.
func (s *stage) startBridge(ctx context.Context, cfg *config.Config) error {
	opt := app.Options{Logger: s.opt.Logger, Version: s.opt.Version}
	services, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	secrets := map[string]string{}
	for _, source := range []string{"entra", "okta"} {
		if secrets[source], err = services.Directory.CreateCredential(ctx, source, source); err != nil {
			break
		}
	}
	services.Close()
	if err != nil {
		return err
	}
	if s.app, err = app.New(ctx, cfg, opt); err != nil {
		return err
	}
	s.app.Start(ctx)
	base := "http://" + s.app.SCIMAddr() + "/scim/v2"
	s.entra = NewProvider("Entra", base, secrets["entra"], map[string]string{"ADSCIMVersion": "6.0"})
	s.okta = NewProvider("Okta", base, secrets["okta"], map[string]string{"User-Agent": "Okta SCIM Client 1.0.0"})
	return nil
}

// firstCompare waits until the bridge has read Matomo as a whole once, as it
// does after every start, so that the scenes show their own calls only.
func (s *stage) firstCompare(ctx context.Context) error {
	return s.poll(ctx, "the first look at Matomo", func() (bool, error) {
		for _, part := range s.app.Health.Components() {
			if part.Name == "compare/main" && part.State == app.StateOK {
				return true, nil
			}
		}
		return false, nil
	})
}

// close stops everything and removes the temporary folder.
func (s *stage) close(ctx context.Context) error {
	if s.app != nil {
		s.app.Stop(ctx)
	}
	if s.matomo != nil {
		_ = s.matomo.Close() // nothing is stored there
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// invite tells how to go on by hand.
func (s *stage) invite() {
	s.Line("")
	s.Line("%s  (Ctrl-C ends it and leaves nothing behind)", s.Bold("It stays up. Have a look:"))
	s.Field("metrics", "curl http://"+s.app.MetricsAddr()+"/metrics")
	s.Field("health", "curl http://"+s.app.MetricsAddr()+"/health")
	s.Field("scim", fmt.Sprintf("curl -H 'Authorization: Bearer %s' http://%s/scim/v2/Users", s.okta.secret, s.app.SCIMAddr()))
	s.Field("explain", "matomo-scim-bridge -c "+filepath.Join(s.dir, "bridge.yaml")+" explain kim@atko.com")
	s.Field("audit", "matomo-scim-bridge -c "+filepath.Join(s.dir, "bridge.yaml")+" audit verify")
	s.Field("matomo", s.url+"  login bridge, token "+s.server.Token())
}
