package app

import (
	"context"
	"strings"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/restore"
)

// Restoring is about a file; which file, and that every target is in mode observe until
// somebody confirms, is known here. PostgreSQL is restored by hand, as the guide says.

// Errors of Restore.
var (
	ErrServed = restore.ErrServed
	ErrBroken = restore.ErrBroken
)

// Restoration is what a restore did.
type Restoration = restore.Restoration

// sqlitePath is the file of the configuration's database.
func sqlitePath(cfg *config.Config) (string, error) {
	path, ok := strings.CutPrefix(cfg.Database.URL, "sqlite:")
	if !ok {
		return "", database.ErrNoFile
	}
	return path, nil
}

// isRestored reports whether the configuration's database waits for a confirmation.
func isRestored(cfg *config.Config) bool {
	path, err := sqlitePath(cfg)
	return err == nil && restore.Pending(path)
}

// Restore puts the backup at from in the place of the configuration's database; see
// restore.Restore.
func Restore(ctx context.Context, cfg *config.Config, from string, force bool, opt Options) (*Restoration, error) {
	path, err := sqlitePath(cfg)
	if err != nil {
		return nil, err
	}
	return restore.Restore(ctx, path, from, force, opt.Logger)
}

// CheckBackup tells what a restore would find, without any configuration.
func CheckBackup(ctx context.Context, from string, opt Options) (*Restoration, error) {
	return restore.Check(ctx, from, opt.Logger)
}

// ConfirmRestore ends the time in which nothing is written, from the next start on.
func ConfirmRestore(cfg *config.Config) error {
	path, err := sqlitePath(cfg)
	if err != nil {
		return err
	}
	return restore.Confirm(path)
}
