package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/internal/app"
)

// The stand-in Matomo on a port, for trying out rules, for tests of other programs
// and for load. It answers as the recorded versions do, down to the texts of
// errors; what it holds is gone when it ends.
//
// It is also what the load figures of docs/performance.md are measured against:
// --latency makes every request take as long as that of a real Matomo.

// simulateCommand serves the stand-in Matomo on a port.
func (c *cli) simulateCommand() *cobra.Command {
	var opt app.SimulatorOptions
	var listen string
	var latency time.Duration
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a stand-in Matomo, for trying things out",
		Long: `Serve a Matomo that lives in memory and answers as a real one of that version
does, error texts and status codes included. It is for trying out rules, for
tests of other programs and for load; it never stores anything.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := simulable(opt, latency); err != nil {
				return err
			}
			server := app.NewSimulator(opt)
			if latency > 0 {
				app.SlowDown(server, latency)
			}
			return c.simulate(cmd.Context(), listen, server, opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8085", "address to listen on")
	f.StringVar(&opt.Version, "matomo-version", app.Matomo5, "version to answer as: "+app.Matomo5+" or "+app.Matomo4)
	f.StringVar(&opt.Login, "login", "bridge", "login of the superuser")
	f.StringVar(&opt.Token, "token", "", "token_auth of the superuser (default: made up and printed)")
	f.StringVar(&opt.Password, "password", "", "password of the superuser (default: made up and printed)")
	f.IntVar(&opt.Sites, "sites", 5, "number of websites")
	f.BoolVar(&opt.Plugin, "plugin", false, "with the companion plugin ScimBridge")
	f.BoolVar(&opt.ForgetCalls, "forget", false, "keep no list of calls, for long or heavy use")
	f.DurationVar(&latency, "latency", 0, "time that every request takes")
	return cmd
}

// simulable says what of the flags no Matomo could be.
func simulable(opt app.SimulatorOptions, latency time.Duration) error {
	switch {
	case opt.Version != app.Matomo5 && opt.Version != app.Matomo4:
		return fmt.Errorf("--matomo-version: there is no %q; say %s or %s", opt.Version, app.Matomo5, app.Matomo4)
	case opt.Sites < 0 || latency < 0:
		return errors.New("--sites and --latency cannot be less than nothing")
	}
	return nil
}

// simulate serves h until ctx is done.
func (c *cli) simulate(ctx context.Context, listen string, server *app.Simulator, opt app.SimulatorOptions) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	p := c.printer()
	p.Line("%s", p.Bold("a stand-in Matomo "+opt.Version))
	p.Field("url", "http://"+l.Addr().String()+"/")
	p.Field("login", opt.Login)
	p.Field("token", server.Token())
	p.Field("password", server.Password())
	p.Field("sites", fmt.Sprint(len(server.Sites())))
	p.Field("plugin", map[bool]string{true: "ScimBridge", false: "none"}[opt.Plugin])
	if p.Err() != nil {
		return p.Err()
	}
	srv := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
