package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/changes"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/monitor"
	"github.com/matomo-scim/bridge/mapping"
)

// A reload takes over what may change while people's access hangs on it: rules, protected
// logins and guards. It is all or nothing: everything is read and checked first, against the
// configuration as it will be, and a file that is wrong leaves the last good state as it is
// and says so in the log, a metric and /health. What needs a restart is named.
//
// Files are looked at every two seconds rather than watched. Mounted configuration
// (Kubernetes, NFS, an editor that renames) changes in ways that a watch on a file does not
// see, and a few kilobytes cost nothing to read.

// lookEvery is how often the files are looked at. A change is taken over once it has been
// the same twice: a file that is being written is short and may well parse, and rules that
// are cut off take access away.
const lookEvery = 2 * time.Second

// reloader takes changed files over.
type reloader struct {
	app    *App
	shown  *monitor.Reloads
	getenv func(string) string
	log    *zap.Logger

	// Held for a whole reload: a hangup and a changed file may come together, and the second
	// must see what the first has done.
	mu      sync.Mutex     // one reload at a time; guards the fields below
	running *config.Config // what is in force
	rules   string         // the hash of this replica's rule files, when they were last good
	config  string         // the hash of the configuration file then
}

// newReloader starts from what the service was started with.
func newReloader(a *App, opt Options) (*reloader, error) {
	shown, err := monitor.NewReloads(a.Registry)
	if err != nil {
		return nil, err
	}
	r := &reloader{app: a, shown: shown, getenv: opt.Getenv, log: opt.Logger.Named("reload"), running: a.Config}
	if r.getenv == nil {
		r.getenv = os.Getenv
	}
	rules, _, err := LoadRules(a.Config)
	if err != nil {
		return nil, err
	}
	r.succeeded(rules)
	return r, nil
}

// succeeded shows that what is on disk is what decides.
func (r *reloader) succeeded(rules *mapping.Rules) {
	r.rules, r.config = rules.Hash(), fileHash(r.running.Path)
	r.shown.Succeeded(r.rules, r.config)
	r.app.Health.Report("config", monitor.StateOK, "", "", 0)
}

// Reload takes over what changed in the configuration and the rule files, as SIGHUP does.
// An error means that nothing was taken over.
func (a *App) Reload(ctx context.Context) error { return a.reloads.reload(ctx) }

// reload is Reload; it also reports a failure where people look.
func (r *reloader) reload(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.takeOver(ctx)
	if err == nil {
		return nil
	}
	r.shown.Failed()
	r.app.Health.Report("config", monitor.StateDegraded, err.Error(), "mend the file; until then the last good state decides", 0)
	r.log.Error("reload refused; the last good state goes on", zap.Error(err))
	return err
}

// The order matters. Rules are activated first, in a transaction of their own: it makes
// everybody due, and whoever is looked at before the limits below are in place is looked at
// with the old ones, which held a moment ago and harm nobody. A rule that needs a target or
// source which is new in the same change is refused until a restart has brought it.

// takeOver reads everything, checks it, and makes it count.
func (r *reloader) takeOver(ctx context.Context) error {
	next, err := config.Load(r.running.Path, r.getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	found := changes.Changed(r.running, next)
	effective := changes.WithLive(r.running, next)
	before := r.rules
	// The rules are checked as they will be read: by targets and sources that run.
	rules, err := r.app.activateRules(ctx, effective)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	live := false
	for _, c := range found {
		if c.Live {
			live = true
			r.log.Info("configuration changed", zap.Stringer("change", c))
		} else {
			r.log.Warn("configuration changed; this needs a restart", zap.Stringer("change", c))
		}
	}
	if live {
		if err := r.adopt(ctx, effective); err != nil {
			return err
		}
	}
	r.running = effective
	r.succeeded(rules)
	if !live && before == r.rules && len(found) == 0 {
		r.log.Info("reloaded; nothing changed")
	}
	return nil
}

// adopt makes limits and protected logins count, and has every Matomo compared with them.
// Protected logins come first: a pass that is about to write checks them at the last moment.
func (r *reloader) adopt(ctx context.Context, cfg *config.Config) error {
	for i, t := range cfg.Targets {
		r.app.Targets[i].Client.Protect(t.Protected)
	}
	r.app.Engine.Adopt(guardsOf(cfg), RuleOptions(cfg))
	err := r.app.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		for _, t := range cfg.Targets {
			if err := r.app.Bindings.CompareNow(ctx, tx, t.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("compare with the new limits: %w", err)
	}
	return nil
}

// watch reloads whenever the files have changed and come to rest, until ctx is done.
func (r *reloader) watch(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	taken := r.signature()
	seen := taken
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := r.signature()
		if now != taken && now == seen {
			// One that fails is not tried again until it changes: it would fail alike, and
			// fill the log.
			taken = now
			if err := r.reload(ctx); err == nil {
				taken = r.signature() // the list of rule files may have changed
			}
		}
		seen = now
		r.compareWithActive(ctx)
		r.app.Health.Report("reload", monitor.StateOK, "", "", 10*lookEvery)
	}
}

// compareWithActive shows whether the rules that decide are those of this replica's files.
// Another replica may have activated others.
func (r *reloader) compareWithActive(ctx context.Context) {
	active, err := r.app.Bindings.ActiveRules(ctx)
	if err != nil {
		return // the database part reports that
	}
	r.mu.Lock()
	differ := active.Hash != r.rules
	r.mu.Unlock()
	r.shown.Differ(differ)
	if differ {
		r.app.Health.Report("rules", monitor.StateDegraded, "the rules that decide were activated "+active.ActivatedAt.UTC().Format(time.RFC3339)+
			" from other files than this replica's", "bring the same rule files to every replica", 0)
		return
	}
	r.app.Health.Report("rules", monitor.StateOK, "", "", 0)
}

// signature changes when the configuration or a rule file changes.
func (r *reloader) signature() string {
	r.mu.Lock()
	cfg := r.running
	r.mu.Unlock()
	hashes := []string{fileHash(cfg.Path)}
	for _, name := range cfg.Mapping.Files {
		hashes = append(hashes, fileHash(cfg.Resolve(name)))
	}
	return strings.Join(hashes, " ")
}

// fileHash is the hash of a file's content, or the reason why there is none.
func fileHash(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
