package app

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
)

// From the configuration of a target to its client and policy. Whether a strategy
// for tokens works, and whether the password is usable, is not decided here: the
// instance may change while the bridge runs, so the client completes the policy
// with each read.

// newTargets makes a client and the options of the engine for every target of
// the configuration. Without a registerer nothing is measured. What has to be
// closed again is added to closers.
func newTargets(cfg *config.Config, opt Options, reg prometheus.Registerer, closers *cleanup) ([]reconcile.TargetOptions, error) {
	out := make([]reconcile.TargetOptions, 0, len(cfg.Targets))
	for _, t := range cfg.Targets {
		var db matomo.Invalidator
		if !t.Tokens.Database.IsZero() {
			store, err := newTokenDB(cfg, t)
			if err != nil {
				return nil, fmt.Errorf("target %s: %w", t.Name, err)
			}
			closers.add("token database of "+t.Name, store.Close)
			db = store
		}
		client, err := newClient(t, opt, reg, db)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		out = append(out, reconcile.TargetOptions{
			Name:        t.Name,
			URL:         t.URL,
			Mode:        reconcile.Mode(t.Mode),
			Client:      client,
			Policy:      policyOf(t),
			DeleteAfter: deleteAfter(t.Leavers),
		})
	}
	return out, nil
}

// deleteAfter is how long a suspended account is kept; zero for good. Deleting at
// once is a time that is over as soon as the access is seen to be gone: revoking is
// faster than deleting, and a deletion that fails must not keep anybody's access.
func deleteAfter(l config.Leavers) time.Duration {
	if l.OnInactive == config.InactiveDelete {
		return time.Microsecond
	}
	return l.DeleteAfter
}

// newClient makes the client of one target. Secrets are read anew at each use,
// so that a rotated one needs no restart.
func newClient(t config.Target, opt Options, reg prometheus.Registerer, db matomo.Invalidator) (*matomo.Client, error) {
	var transport http.RoundTripper
	if opt.Transport != nil {
		transport = opt.Transport(t.Name)
	}
	o := matomo.Options{
		Name:              t.Name,
		URL:               t.URL,
		Login:             t.Login,
		Token:             t.Token.Read,
		Protected:         t.Protected,
		RequestsPerMinute: t.RequestsPerMinute,
		Transport:         transport,
		Registerer:        reg,
		Logger:            opt.Logger.Named("matomo"), // the client adds the name of the target
		UserAgent:         "matomo-scim-bridge/" + opt.Version,
		TokenDB:           db,
	}
	if !t.Password.IsZero() {
		o.Password = t.Password.Read
	}
	return matomo.New(o)
}

// policyOf is the part of the plan's policy that the configuration fixes.
func policyOf(t config.Target) matomo.Policy {
	return matomo.Policy{
		Manage:             matomo.Manage(t.Manage),
		SignIn:             matomo.SignIn(t.SignIn),
		Tokens:             matomo.Strategy(t.Tokens.Strategy),
		RevokeOnRoleChange: slices.Contains(t.Tokens.On, config.TokensOnRoleChange),
		RevokeOnDecrease:   slices.Contains(t.Tokens.On, config.TokensOnDecrease),
		KeepAtLeaving:      !slices.Contains(t.Tokens.On, config.TokensOnDeprovision),
		LeaverTokens:       matomo.LeaverTokens(t.Leavers.Tokens),
		RandomisePassword:  t.Leavers.RandomisePassword,
		Protected:          append([]string{t.Login}, t.Protected...),

		DeleteSuperusersWithoutPassword: t.Leavers.DeleteSuperusersWithoutPassword,
	}
}
