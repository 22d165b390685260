package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/ruleset"
	"github.com/matomo-scim/bridge/mapping"
)

// The rules that decide are a row of the database and not a file, so that all
// replicas decide alike. A start compares the files with that row: when they
// differ, the files become the active row and everybody is due, in one transaction.
// A file that cannot be read stops the start, and the active row stays as it is.

// RuleOptions are what the rules of a configuration are parsed with.
func RuleOptions(cfg *config.Config) mapping.Options {
	opt := mapping.Options{
		DefaultTarget:    cfg.Mapping.DefaultTarget,
		SuperuserSources: cfg.Guards.SuperuserSources,
	}
	for _, t := range cfg.Targets {
		opt.Targets = append(opt.Targets, t.Name)
	}
	for _, s := range cfg.Sources {
		opt.Sources = append(opt.Sources, s.Name)
	}
	return opt
}

// LoadRules reads and parses the rule files of a configuration. Names in
// messages are those of the configuration.
func LoadRules(cfg *config.Config) (*mapping.Rules, []mapping.File, error) {
	files := make([]mapping.File, 0, len(cfg.Mapping.Files))
	for _, name := range cfg.Mapping.Files {
		data, err := os.ReadFile(cfg.Resolve(name))
		if err != nil {
			return nil, nil, fmt.Errorf("rule file: %w", err)
		}
		files = append(files, mapping.File{Name: name, Data: data})
	}
	rules, err := mapping.Parse(files, RuleOptions(cfg))
	if err != nil {
		return nil, nil, err
	}
	return rules, files, nil
}

// activateRules makes the files' rules the active row when they differ from it, and marks
// all bindings due at low priority in the same transaction. It returns the rules of the
// files.
func (s *Services) activateRules(ctx context.Context, cfg *config.Config) (*mapping.Rules, error) {
	rules, files, err := LoadRules(cfg)
	if err != nil {
		return nil, err
	}
	active, err := s.Bindings.ActiveRules(ctx)
	if err != nil && !errors.Is(err, bindings.ErrNotFound) {
		return nil, fmt.Errorf("active rules: %w", err)
	}
	if active.Hash == rules.Hash() {
		return rules, nil
	}
	text, err := mapping.Marshal(files)
	if err != nil {
		return nil, fmt.Errorf("store rules: %w", err)
	}
	set := bindings.RuleSet{Hash: rules.Hash(), Text: text, Origin: strings.Join(cfg.Mapping.Files, ", ")}
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return s.Bindings.ActivateRules(ctx, tx, set)
	})
	if err != nil {
		return nil, fmt.Errorf("activate rules: %w", err)
	}
	added, removed := ruleset.Diff(parseActive(active, cfg), rules)
	s.log.Info("rules activated", zap.String("files", set.Origin), zap.Int("rules", len(rules.All())), zap.String("hash", set.Hash),
		zap.Strings("added", added), zap.Strings("removed", removed))
	return rules, nil
}

// parseActive reads the rules that were active before; nil when there were none, or none
// that this configuration can read, and then everything counts as added.
func parseActive(set bindings.RuleSet, cfg *config.Config) *mapping.Rules {
	if set.Hash == "" {
		return nil
	}
	files, err := mapping.Unmarshal(set.Text)
	if err != nil {
		return nil
	}
	rules, err := mapping.Parse(files, RuleOptions(cfg))
	if err != nil {
		return nil
	}
	return rules
}
