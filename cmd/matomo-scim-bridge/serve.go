package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// The service. Everything that can be wrong with configuration, secrets, rules or
// listeners is found before it starts: a bridge that half works is worse than one
// that says what is missing.
//
// The log goes to stderr, one line a request and one a change; columns on a
// terminal, JSON otherwise, as log.format says.

// serveCommand runs the service until it is told to stop.
func (c *cli) serveCommand() *cobra.Command {
	var await bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the bridge",
		Long: `Run the bridge: listen for identity providers, keep Matomo in line, show metrics.

It refuses to start without a credential (unless told to await one), with an
unsafe secret file, or with anything in the configuration or the rules that
cannot be read. SIGTERM ends it
gently: requests in flight finish, and what is due stays due.

Rules, protected logins and guards are taken over when their files change, or on
SIGHUP. A file that is wrong is refused as a whole: the last good state goes on.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			log := c.logger(cfg)
			defer func() { _ = log.Sync() }() // stderr cannot always be synced
			return c.serve(cmd.Context(), cfg, app.Options{
				Logger: log, Version: versionString(), Getenv: c.getenv, AwaitCredential: await,
			})
		},
	}
	cmd.Flags().BoolVar(&await, "await-credential", false,
		"start without one, where it can only be made beside the running bridge")
	return cmd
}

// serve runs cfg until ctx is done or a listener fails.
func (c *cli) serve(ctx context.Context, cfg *config.Config, opt app.Options) error {
	// Before anything is open: a hangup ends a program that does not listen for it.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	a, err := app.New(ctx, cfg, opt)
	if err != nil {
		return err
	}
	a.Start(ctx)
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case err = <-a.Failed():
			running = false
		case <-hangup:
			_ = a.Reload(ctx) // it says in the log, the metrics and /health how that went
		}
	}
	opt.Logger.Info("stopping")
	a.Stop(ctx)
	return err
}

// logger writes to stderr in the form that the configuration asks for.
func (c *cli) logger(cfg *config.Config) *zap.Logger {
	console := cfg.Log.Format == config.LogConsole || cfg.Log.Format == config.LogAuto && terminal.Is(c.stderr)
	return app.NewLogger(c.stderr, console, string(cfg.Log.Level))
}

// quietLogger is for commands whose answer is on stdout: only what a person
// must act on is logged. What the client of Matomo logs it also returns, and a
// command prints that.
func (c *cli) quietLogger() *zap.Logger {
	return app.NewLogger(c.stderr, true, "error").WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return withoutMatomo{core}
	}))
}

// withoutMatomo drops what the client of Matomo logs.
type withoutMatomo struct{ zapcore.Core }

// With implements zapcore.Core.
func (w withoutMatomo) With(fields []zapcore.Field) zapcore.Core {
	return withoutMatomo{w.Core.With(fields)}
}

// Check implements zapcore.Core.
func (w withoutMatomo) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.LoggerName == "matomo" {
		return checked
	}
	return w.Core.Check(entry, checked)
}

// options are what commands open the rooms with.
func (c *cli) options() app.Options {
	return app.Options{Logger: c.quietLogger(), Version: versionString()}
}
