package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/ruleset"
	"github.com/matomo-scim/bridge/internal/reconcile/trail"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
)

// The engine knows no configuration: what it may do to a target is in
// TargetOptions, what holds it back in Guards, and everything else in Options. It
// keeps nothing between two passes but parsed rules and the breakers, so that any
// number of engines may work on one database.

// Mode says whether a target is written to.
type Mode string

// The modes of a target.
const (
	// Observe computes and shows everything and writes nothing.
	Observe Mode = "observe"
	// Enforce makes Matomo agree.
	Enforce Mode = "enforce"
)

// TargetOptions is one Matomo instance as the engine works it.
type TargetOptions struct {
	// Name is the target's name in the configuration and in every label.
	Name string
	// URL is shown to people; requests go through Client.
	URL string
	// Mode is observe or enforce.
	Mode Mode
	// Client talks to the instance.
	Client *matomo.Client
	// Policy is the fixed part of the plan's policy; what the instance can do
	// (sites, capabilities, token strategy) is filled in with every read.
	Policy matomo.Policy
	// DeleteAfter is how long a suspended account is kept; zero keeps it for
	// good.
	DeleteAfter time.Duration
}

// What the decisions of an engine are made of, see package course.
type (
	// Guards are the limits between plan and apply.
	Guards = course.Guards
	// Identity says how a person becomes a Matomo account.
	Identity = course.Identity
)

// ReasonTexts are the reasons of a decision, a line each: who matched which
// rule, and what it gives.
func ReasonTexts(d mapping.Decision) []string { return course.ReasonTexts(d) }

// Options is what an Engine is made of. Everything but Report, Trail and Logger is
// required.
type Options struct {
	DB        *database.DB
	Bindings  *bindings.Store
	Directory *directory.Store
	Targets   []TargetOptions
	Identity  Identity
	Guards    Guards
	// CreateUnmapped creates accounts for people whom no rule gives anything.
	CreateUnmapped bool
	// Settle is how long a reduction that comes from memberships waits.
	Settle time.Duration
	// FullCompare is the time between two full compares of a target; zero
	// switches them off.
	FullCompare time.Duration
	// Trail writes intents and outcomes; nil for the audit trail alone, without a journal.
	Trail *trail.Trail
	// RuleOptions are what the stored rules are parsed with.
	RuleOptions mapping.Options
	// Report receives the state of each worker and target for /health.
	Report     func(component, state, detail, action string, validFor time.Duration)
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// Engine reconciles all targets. Make it with New, then Run it, or call Drain
// for one turn.
type Engine struct {
	opt     Options
	targets []*target
	m       *vitals.Metrics
	log     *zap.Logger

	rules *ruleset.Cache

	mu     sync.Mutex // guards guards
	guards Guards
}

// Nothing here survives a restart and nothing needs to: the queue is the rows, the
// rules are a row, and what a target last answered is asked again.

// target is one Matomo instance while the engine runs.
type target struct {
	TargetOptions
	breaker *vitals.Breaker
	tokens  *vitals.TokenWatch
	wake    [lanes]chan struct{}

	mu          sync.Mutex // guards what follows
	failures    int        // passes in a row that the target failed
	hadPassword bool       // there was a usable password when it was last looked at
}

// settings are what the decisions about t are made with.
func (e *Engine) settings(t *target) course.Settings {
	return course.Settings{
		Target: t.Name, Observe: t.Mode == Observe, Client: t.Client, Policy: t.Policy, Identity: e.opt.Identity,
		Guards: e.currentGuards(), CreateUnmapped: e.opt.CreateUnmapped, Settle: e.opt.Settle, DeleteAfter: t.DeleteAfter,
	}
}

// New returns an engine over opt. It does nothing until Run or Drain.
func New(opt Options) (*Engine, error) {
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	if opt.Report == nil {
		opt.Report = func(string, string, string, string, time.Duration) {}
	}
	if opt.Trail == nil {
		opt.Trail = &trail.Trail{Bindings: opt.Bindings}
	}
	names := make([]string, 0, len(opt.Targets))
	for _, t := range opt.Targets {
		if t.Client == nil {
			return nil, fmt.Errorf("reconcile: target %q has no client", t.Name)
		}
		names = append(names, t.Name)
	}
	e := &Engine{opt: opt, log: opt.Logger, guards: opt.Guards}
	var err error
	if e.m, err = vitals.New(opt.Registerer, opt.Bindings, names, opt.Logger); err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	e.rules = ruleset.New(opt.Bindings, opt.RuleOptions, func(r *mapping.Rules) { e.m.SetRules(ruleset.Kinds(r)) })
	for _, t := range opt.Targets {
		rt := &target{TargetOptions: t}
		for lane := range rt.wake {
			rt.wake[lane] = make(chan struct{}, 1)
		}
		rt.breaker = vitals.NewBreaker(t.Name, e.m)
		rt.tokens = &vitals.TokenWatch{Target: t.Name, Client: t.Client, Policy: t.Policy, Report: opt.Report, Log: e.log}
		e.targets = append(e.targets, rt)
	}
	return e, nil
}

// Adopt makes the engine decide with other limits from the next pass on, and read the
// active rules with other options. A pass that runs ends with what it began with.
func (e *Engine) Adopt(guards Guards, opt mapping.Options) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.guards = guards
	e.rules.Reparse(opt)
}

// currentGuards are the limits that hold now.
func (e *Engine) currentGuards() Guards {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.guards
}

// ActiveRules returns the rules that decide, parsed.
func (e *Engine) ActiveRules(ctx context.Context) (*mapping.Rules, error) { return e.rules.Active(ctx) }

// Wake makes every worker look for due bindings now. It never blocks; it is
// what bindings.Store.OnDue is given.
func (e *Engine) Wake() {
	for _, t := range e.targets {
		for _, c := range t.wake {
			select {
			case c <- struct{}{}:
			default: // a wake-up is waiting already, and it reads the truth anyway
			}
		}
	}
}

// Targets returns the names of the targets in the order of the configuration.
func (e *Engine) Targets() []string {
	out := make([]string, len(e.targets))
	for i, t := range e.targets {
		out[i] = t.Name
	}
	return out
}

// target returns the target called name.
func (e *Engine) target(name string) (*target, error) {
	for _, t := range e.targets {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no target is called %q", name)
}
