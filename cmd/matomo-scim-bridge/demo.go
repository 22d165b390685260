package main

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

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

//go:embed demo/rules.ini
var demoRules string

//go:embed demo/bridge.yaml
var demoConfig string

// demoCommand plays joiners, movers and leavers of two identity providers.
func (c *cli) demoCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a joiner, a mover and a leaver, from request to proof, in one process",
		Long: `Run everything in one process: the bridge as serve runs it, on a database in a
temporary folder; a Matomo that answers like a real one, companion plugin
included; and a script that sends what Entra and Okta send. Each step shows the
request, the rules that matched, the plan, the calls to Matomo and what was read
back. Afterwards it stays up to be looked at, unless --once is given.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.demo(cmd.Context(), once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the script instead of staying up")
	return cmd
}

// demo sets the stage, plays the script and, unless once, stays up.
func (c *cli) demo(ctx context.Context, once bool) (err error) {
	stage, err := c.newStage(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, stage.close(ctx)) }()
	if err := stage.play(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if once {
		return nil
	}
	stage.invite()
	<-ctx.Done()
	return nil
}

// stage is the whole demo: Matomo, the bridge, and what the script needs.
type stage struct {
	*printer
	dir    string
	server *app.Simulator
	matomo *http.Server
	url    string // of Matomo
	app    *app.App
	entra  *provider
	okta   *provider
	step   int
	told   int64     // the last audit entry that was narrated
	began  time.Time // when the scene's first request was sent
}

// newStage starts Matomo and the bridge.
func (c *cli) newStage(ctx context.Context) (_ *stage, err error) {
	s := &stage{printer: c.printer()}
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
	if err := s.startBridge(ctx, c, cfg); err != nil {
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
func (s *stage) startBridge(ctx context.Context, c *cli, cfg *config.Config) error {
	opt := app.Options{Logger: c.quietLogger(), Version: versionString()}
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
	s.entra = newProvider("Entra", base, secrets["entra"], map[string]string{"ADSCIMVersion": "6.0"})
	s.okta = newProvider("Okta", base, secrets["okta"], map[string]string{"User-Agent": "Okta SCIM Client 1.0.0"})
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
	s.line("")
	s.line("%s  (Ctrl-C ends it and leaves nothing behind)", s.bold("It stays up. Have a look:"))
	s.field("metrics", "curl http://"+s.app.MetricsAddr()+"/metrics")
	s.field("health", "curl http://"+s.app.MetricsAddr()+"/health")
	s.field("scim", fmt.Sprintf("curl -H 'Authorization: Bearer %s' http://%s/scim/v2/Users", s.okta.secret, s.app.SCIMAddr()))
	s.field("explain", "matomo-scim-bridge -c "+filepath.Join(s.dir, "bridge.yaml")+" explain kim@atko.com")
	s.field("audit", "matomo-scim-bridge -c "+filepath.Join(s.dir, "bridge.yaml")+" audit verify")
	s.field("matomo", s.url+"  login bridge, token "+s.server.Token())
}
