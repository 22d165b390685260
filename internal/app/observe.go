package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/monitor"
)

// What the service shows of itself beyond what each room does: the numbers of the rows, the
// state of the configuration, and which workers are to be missed when they fall silent.

const (
	// lookAtStore is how often the database is asked whether it answers.
	lookAtStore = 15 * time.Second
	// storeTimeout is how long it may take.
	storeTimeout = 5 * time.Second
	// sealedWithin is how old an audit entry may become without its place in the chain:
	// the sealer takes 100 ms.
	sealedWithin = 30 * time.Second
)

// Reports come from here only for parts that cannot report for themselves: the database
// has no worker of its own, and the sealer sleeps until there is something to seal. Everybody
// else reports where the work is done, so that a report means that the work goes on.

// observe registers what only a running service shows.
func (a *App) observe(opt Options) error {
	rows := monitor.NewRows(monitor.RowsOptions{
		Bindings: a.Bindings, Directory: a.Directory, Audit: a.Audit, Rules: a.Engine.ActiveRules,
		Sources: sourceNames(a.Config), Targets: a.Engine.Targets(), Logger: opt.Logger.Named("metrics"),
	})
	store := monitor.NewStore(a.DB.LastBackup, a.Restored)
	if err := errors.Join(a.Registry.Register(rows), a.Registry.Register(a.Health), a.Registry.Register(store)); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, worker := range []string{"database", "audit"} {
		a.Health.Expect(worker, 4*lookAtStore)
	}
	a.Health.Expect("sweep", 3*sweepEvery)
	a.Health.Expect("reload", 10*lookEvery)
	if a.Restored {
		a.log.Warn("the database was restored from a backup: nothing is written to Matomo before somebody has looked at the plan",
			zap.String("then", "matomo-scim-bridge restore --confirm"))
		a.Health.Report("restore", monitor.StateDegraded, "the database was restored from a backup; nothing is written to Matomo",
			"let the identity providers send everything again, look at `matomo-scim-bridge plan`, then `matomo-scim-bridge restore --confirm` and restart", 0)
	}
	var err error
	a.reloads, err = newReloader(a, opt)
	return err
}

// watchStore reports whether the database answers and the audit trail is sealed, and looks
// whether secrets that Matomo refused have been replaced, until ctx is done.
func (a *App) watchStore(ctx context.Context) {
	ticker := time.NewTicker(lookAtStore)
	defer ticker.Stop()
	for {
		a.lookAtStore(ctx)
		for _, t := range a.Targets {
			// Nothing is sent: this compares the file with what was refused, so that a metric
			// does not go on saying so until the next request.
			t.Client.Health()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lookAtStore is one look of watchStore.
func (a *App) lookAtStore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	// One question answers both: whether the database answers, and whether the record grows.
	backlog, err := a.Audit.Backlog(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			a.log.Warn("the database does not answer", zap.Error(err))
			a.Health.Report("database", monitor.StateDown, err.Error(),
				"see whether the database is up and the disk has room; nothing is accepted meanwhile", 4*lookAtStore)
		}
		return
	}
	if at, fault := a.DB.LastFault(); time.Since(at) < 2*lookAtStore {
		a.Health.Report("database", monitor.StateDegraded, "it answers, and changes fail: "+fault.Error(),
			"see whether the disk has room, and whether another program holds the database", 4*lookAtStore)
	} else {
		a.Health.Report("database", monitor.StateOK, "", "", 4*lookAtStore)
	}
	if backlog.Oldest != nil && time.Since(*backlog.Oldest) > sealedWithin {
		a.Health.Report("audit", monitor.StateDegraded,
			fmt.Sprintf("%d entries wait for their place in the chain since %s", backlog.Waiting, backlog.Oldest.UTC().Format(time.RFC3339)),
			"look at the log for why they cannot be sealed", 4*lookAtStore)
		return
	}
	a.Health.Report("audit", monitor.StateOK, "", "", 4*lookAtStore)
}

// sourceNames are the names of the configuration's sources.
func sourceNames(cfg *config.Config) []string {
	out := make([]string, len(cfg.Sources))
	for i, s := range cfg.Sources {
		out[i] = s.Name
	}
	return out
}
