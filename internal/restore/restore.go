// Package restore puts a saved SQLite database back, and keeps it from doing harm.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
)

// What a restored database says is old. Who left after the backup is active in it; who moved
// has the old groups. Acting on that would give leavers their access back. Identity providers
// do not send what they have sent before, unless they are told to.
//
// So a restore leaves a mark, and while it is there every target is in mode observe: events
// are accepted, everything is computed and shown, nothing is written to Matomo. Somebody has
// the providers send everything again, looks at the plan, and confirms.

// ErrServed refuses to take the database away from a running bridge.
var ErrServed = errors.New("a bridge is running on this database: stop it first")

// ErrBroken refuses a backup whose record does not hold.
var ErrBroken = errors.New("the record in the backup is broken")

// Restoration is what a restore did.
type Restoration struct {
	// Kept is where the database is that was there before; empty when there was none.
	Kept string
	// Entries and Head are the end of the record in the backup, to be compared with a head
	// that was kept elsewhere.
	Entries int64
	Head    string
	// Problems are what is wrong with the record; only with force there are any.
	Problems []string
}

// markOf is the file that says that a database was restored.
func markOf(path string) string { return path + ".restored" }

// Pending reports whether the database at path waits for a confirmation.
func Pending(path string) bool {
	_, err := os.Stat(markOf(path))
	return !errors.Is(err, fs.ErrNotExist) // in doubt nothing is written
}

// Restore puts the backup at from in the place of the database at path. The backup
// itself is not changed. A copy of it is checked first: pages, schema and the record; with
// force a broken record is accepted, because it may be all there is.
func Restore(ctx context.Context, path, from string, force bool, log *zap.Logger) (*Restoration, error) {
	held, release, err := database.LockFile(path)
	if err != nil {
		return nil, err
	}
	defer release()
	if !held {
		return nil, ErrServed
	}
	part := path + ".restoring"
	defer removeCopies(part)
	out, err := examine(ctx, from, part, log)
	if err != nil {
		return nil, err
	}
	if len(out.Problems) > 0 && !force {
		return out, ErrBroken
	}
	// The mark comes first: a crash in between means that too little is done, never too much.
	if err := os.WriteFile(markOf(path), []byte("restored from "+from+" at "+time.Now().UTC().Format(time.RFC3339)+"\n"), 0o600); err != nil {
		return nil, err
	}
	if out.Kept, err = database.Replace(path, part+wholeSuffix, time.Now()); err != nil {
		return out, err
	}
	return out, database.GiveToOwner(path, markOf(path), path+".lock")
}

// Check examines a copy of the backup at from: what a restore would find.
func Check(ctx context.Context, from string, log *zap.Logger) (*Restoration, error) {
	dir, err := os.MkdirTemp("", "matomo-scim-bridge-check-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return examine(ctx, from, filepath.Join(dir, "backup.db"), log)
}

// wholeSuffix is put behind the name of a copy for the file that holds all of it: a copy
// that was opened has a log beside it.
const wholeSuffix = ".whole"

// removeCopies removes what an examination left.
func removeCopies(part string) {
	for _, suffix := range []string{"", "-wal", "-shm", ".backup", wholeSuffix} {
		_ = os.Remove(part + suffix) // most are not there
	}
}

// examine copies the backup at from to part, opens that as the service would, which brings
// an older schema up to date, checks it, and writes it as one whole file beside it.
func examine(ctx context.Context, from, part string, log *zap.Logger) (_ *Restoration, err error) {
	removeCopies(part)
	// A database that was set aside, not saved, has its newest commits in its log.
	if err := copyFile(from+"-wal", part+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("copy the backup: %w", err)
	}
	if err := copyFile(from, part); err != nil {
		return nil, fmt.Errorf("copy the backup: %w", err)
	}
	db, err := database.Open(ctx, "sqlite:"+part, database.Options{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("the backup cannot be used: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.CheckFile(ctx); err != nil {
		return nil, err
	}
	report, err := audit.New(db, log, nil).Verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("the record in the backup cannot be read: %w", err)
	}
	out := &Restoration{Entries: report.Sealed, Head: report.Head}
	for _, p := range report.Problems {
		out.Problems = append(out.Problems, p.String())
	}
	return out, db.Backup(ctx, part+wholeSuffix)
}

// copyFile makes a durable copy that only the owner can read.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// Confirm takes the mark of a restore away: from the next start on, targets have the mode of
// the configuration again. Without a mark there is nothing to confirm.
func Confirm(path string) error {
	err := os.Remove(markOf(path))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no restore to confirm")
	}
	return err
}
