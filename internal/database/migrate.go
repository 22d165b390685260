package database

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// A migration is never edited after a release. Old and new replicas share one schema during a
// deploy, so a migration may add, and may not take away what the release before it uses.
//
// Two folders with the same numbers: what one engine has at version n, the other has too.
//
//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

const versionTable = "schema_version"

// Errors of Open about the schema it found.
var (
	// ErrNewerSchema means that a newer release has migrated this database; run that release.
	ErrNewerSchema = errors.New("the database was migrated by a newer release of this program")
	// ErrOlderSchema means that a read-only command met a database that this release has not
	// migrated yet; starting the service does it.
	ErrOlderSchema = errors.New("the database is not migrated yet: start this release's service first")
)

// newProvider reads the migrations of one engine. It has no global registry, so two databases in
// one process know nothing of each other.
func newProvider(pool *sql.DB, d Dialect) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations/"+d.Name())
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithTableName(versionTable),
		goose.WithLogger(goose.NopLogger()),
	}
	name := goose.DialectSQLite3
	if d.Name() == "postgres" {
		name = goose.DialectPostgres
		// Replicas that start together wait for the first: asked every second, for five minutes.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(name, pool, folder, options...)
}

// migrate brings the schema to this release's version and returns the version it found.
func migrate(ctx context.Context, pool *sql.DB, d Dialect) (from, to int64, err error) {
	p, err := newProvider(pool, d)
	if err != nil {
		return 0, 0, err
	}
	from, to, err = p.GetVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	if from > to {
		return from, to, fmt.Errorf("%w: it has version %d, this release knows %d", ErrNewerSchema, from, to)
	}
	if from == to {
		return from, to, nil
	}
	if _, err := p.Up(ctx); err != nil {
		return from, to, fmt.Errorf("migrate: %w", err)
	}
	return from, to, nil
}

// emptyError is the answer for a store in which nothing has been kept yet: no fault, like a file
// that is not there.
type emptyError struct{}

// Error says what makes the tables.
func (emptyError) Error() string {
	return "nothing is in it yet: the first credential, or serve, makes its tables"
}

// Is lets callers treat it as what they know.
func (emptyError) Is(target error) bool { return target == fs.ErrNotExist || target == ErrOlderSchema }

// checkVersion compares versions without writing. A store without any is fs.ErrNotExist.
func checkVersion(ctx context.Context, pool *sql.DB, d Dialect) error {
	p, err := newProvider(pool, d)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	want := sources[len(sources)-1].Version
	// Whoever cannot be reached is not old.
	if err := pool.PingContext(ctx); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	var have int64
	err = pool.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&have)
	switch {
	case err != nil && d.noTable(err):
		return emptyError{}
	case err != nil: // nobody is there, or this user may not
		return fmt.Errorf("read schema version: %w", err)
	case have > want:
		return fmt.Errorf("%w: it has version %d, this release knows %d", ErrNewerSchema, have, want)
	case have < want:
		return fmt.Errorf("%w: it has version %d, this release needs %d", ErrOlderSchema, have, want)
	}
	return nil
}
