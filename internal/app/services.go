package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/journal"
	"github.com/matomo-scim/bridge/internal/leavers"
	"github.com/matomo-scim/bridge/internal/monitor"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/internal/reconcile/trail"
	"github.com/matomo-scim/bridge/internal/tokenage"
)

// Opening is in the order of the layers: the database first, then what keeps
// itself in it, then the clients, then the engine that needs them all. Nothing
// talks to Matomo before Start: a Matomo that is down must not keep the bridge from
// accepting what the identity provider says.

// Options is what Open and New need besides the configuration.
type Options struct {
	// Logger is required.
	Logger *zap.Logger
	// Version is shown in metrics and sent to Matomo as user agent.
	Version string
	// Getenv is os.Getenv or a test's; a reload reads the configuration with it. Nil for
	// os.Getenv.
	Getenv func(string) string
	// ReadOnly opens the database to be read only: nothing is migrated.
	ReadOnly bool
	// AwaitCredential lets a bridge start that has no credential yet: where the command that
	// makes one can only run beside it, as in a pod, it would never have one otherwise.
	AwaitCredential bool
	// Transport replaces the way to a target, for tests; nil for the network.
	Transport func(target string) http.RoundTripper
}

// Services are the rooms of the bridge, wired together and not yet running.
// Commands that only look use them without an App.
type Services struct {
	Config    *config.Config
	DB        *database.DB
	Audit     *audit.Log
	Journal   *audit.Journal
	Bindings  *bindings.Store
	Directory *directory.Store
	Requests  *journal.Journal
	Engine    *reconcile.Engine
	Leavers   *leavers.Desk
	TokenAges *tokenage.Watch
	Targets   []reconcile.TargetOptions
	Registry  *prometheus.Registry
	Health    *monitor.Health
	// Restored says that the database was put back from a backup and nobody has looked at
	// the plan yet: every target is in mode observe.
	Restored bool

	log     *zap.Logger
	cleanup cleanup
}

// Open wires everything that cfg names. Close what it returns. A failure
// closes what was opened before it.
func Open(ctx context.Context, cfg *config.Config, opt Options) (_ *Services, err error) {
	s := &Services{Config: cfg, Registry: prometheus.NewRegistry(), Health: monitor.NewHealth(), log: opt.Logger}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	s.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		monitor.BuildInfo(opt.Version),
	)
	if err := s.openDatabase(ctx, opt); err != nil {
		return nil, err
	}
	s.Audit = audit.New(s.DB, opt.Logger.Named("audit"), s.Registry)
	s.Bindings = bindings.New(s.DB)
	s.Journal = audit.NewJournal(s.DB, cfg.Audit.JournalFile, trail.Keep(s.Bindings), opt.Logger.Named("audit"), s.Registry)
	s.Directory = directory.New(s.DB, s.Bindings, directory.Options{Sources: sourcesOf(cfg)})
	s.Requests = s.newJournal(opt)
	if s.Targets, err = newTargets(cfg, opt, s.Registry, &s.cleanup); err != nil {
		return nil, err
	}
	if s.Restored = isRestored(cfg); s.Restored {
		for i := range s.Targets {
			s.Targets[i].Mode = reconcile.Observe
		}
	}
	if s.Engine, err = reconcile.New(s.engineOptions(opt)); err != nil {
		return nil, err
	}
	s.Bindings.OnDue(s.Engine.Wake)
	s.openDesks(opt)
	return s, nil
}

// Prepare makes the configuration's targets known and its rules the active
// ones. Only what is going to change Matomo calls it: the service, and sync.
func (s *Services) Prepare(ctx context.Context) error {
	if err := s.ensureTargets(ctx); err != nil {
		return err
	}
	_, err := s.activateRules(ctx, s.Config)
	return err
}

// Close releases everything that Open opened, in reverse order.
func (s *Services) Close() { s.cleanup.run(s.log) }

// openDatabase opens the store of the configuration.
func (s *Services) openDatabase(ctx context.Context, opt Options) error {
	var password func() (string, error)
	if place := s.Config.Database.Password; !place.IsZero() {
		password = place.Read
	}
	var err error
	s.DB, err = database.Open(ctx, s.Config.Database.URL, database.Options{
		ReadOnly: opt.ReadOnly, Password: password, Logger: opt.Logger.Named("database"), Registerer: s.Registry,
	})
	if err != nil {
		return err
	}
	s.cleanup.add("database", func() error { return s.DB.Close() })
	return nil
}

// sourcesOf are the sources as the directory knows them.
func sourcesOf(cfg *config.Config) []directory.Source {
	out := make([]directory.Source, len(cfg.Sources))
	for i, src := range cfg.Sources {
		out[i] = directory.Source{
			Name: src.Name, Lifecycle: src.Lifecycle, StrictMembers: src.StrictMembers,
			SharedLabels: src.Profile == config.ProfileEntra,
		}
	}
	return out
}

// engineOptions are the options of the reconcile engine.
func (s *Services) engineOptions(opt Options) reconcile.Options {
	identity := reconcile.Identity{
		LoginFrom:    string(s.Config.Mapping.LoginFrom),
		LoginReplace: s.Config.Mapping.LoginReplace,
	}
	for _, from := range s.Config.Mapping.EmailFrom {
		identity.EmailFrom = append(identity.EmailFrom, string(from))
	}
	return reconcile.Options{
		DB:             s.DB,
		Bindings:       s.Bindings,
		Directory:      s.Directory,
		Targets:        s.Targets,
		Identity:       identity,
		Guards:         guardsOf(s.Config),
		CreateUnmapped: s.Config.Mapping.CreateUnmapped,
		Settle:         s.Config.Reconcile.Settle,
		FullCompare:    s.Config.Reconcile.FullCompare,
		Trail:          &trail.Trail{Bindings: s.Bindings, Journal: s.Journal},
		RuleOptions:    RuleOptions(s.Config),
		Report:         s.Health.Report,
		Logger:         opt.Logger.Named("reconcile"),
		Registerer:     s.Registry,
	}
}

// guardsOf are the guards of a configuration as the engine knows them.
func guardsOf(cfg *config.Config) reconcile.Guards {
	return reconcile.Guards{MaxSuperusers: cfg.Guards.MaxSuperusers, MinSuperusers: cfg.Guards.MinSuperusers}
}

// What admins use shares the clients of the engine, and with them the rate limit, the breaker's knowledge of
// secrets and the metrics of requests. Beside a running bridge a command has a limit of its own; one person
// who types is no load.

// openDesks wires what admins use beside the engine.
func (s *Services) openDesks(opt Options) {
	desk := leavers.Options{DB: s.DB, Bindings: s.Bindings, Directory: s.Directory}
	ages := tokenage.Options{DB: s.DB, Bindings: s.Bindings, Logger: opt.Logger.Named("tokens"), Registerer: s.Registry}
	for i, t := range s.Targets {
		enforce := t.Mode == reconcile.Enforce
		desk.Targets = append(desk.Targets, leavers.Target{Name: t.Name, Client: t.Client, Enforce: enforce})
		ages.Targets = append(ages.Targets, tokenage.Target{Name: t.Name, Client: t.Client, MaxAge: s.Config.Targets[i].Tokens.MaxAge, Enforce: enforce})
	}
	s.Leavers, s.TokenAges = leavers.New(desk), tokenage.New(ages)
}

// ensureTargets makes the targets of the configuration known to the bindings.
func (s *Services) ensureTargets(ctx context.Context) error {
	specs := make([]bindings.TargetSpec, len(s.Targets))
	for i, t := range s.Targets {
		specs[i] = bindings.TargetSpec{Name: t.Name, URL: t.URL, Mode: string(t.Mode)}
	}
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return s.Bindings.Ensure(ctx, tx, specs)
	})
	if err != nil {
		return fmt.Errorf("targets: %w", err)
	}
	return nil
}
