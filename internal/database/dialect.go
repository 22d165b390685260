package database

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Dialect is what the two engines do not share. Everything else is one SQL text.
type Dialect interface {
	// Name is "sqlite" or "postgres".
	Name() string
	// ForUpdate ends a SELECT whose rows the transaction writes again: " FOR UPDATE", or nothing
	// on SQLite, where the transaction is the only writer.
	ForUpdate() string
	// ForNoKeyUpdate is ForUpdate for rows whose keys stay: it does not wait for ForKeyShare.
	ForNoKeyUpdate() string
	// ForKeyShare ends a SELECT whose rows must not be deleted before the transaction ends.
	ForKeyShare() string
	// SkipLocked ends a SELECT that claims rows and passes over those that another transaction
	// holds.
	SkipLocked() string
	// Contains is true where the text of column contains the text of arg, case by case. Both are
	// SQL expressions. LIKE is not used: its case rules differ.
	Contains(column, arg string) string
	// In is true where column is one of the strings of arg, a placeholder such as "$1" that is
	// bound to Strings(...). The text does not depend on how many there are.
	In(column, arg string) string
	// Each is a table for FROM with one row per string of arg, in the column e.value.
	Each(arg string) string
	// Strings is the value to bind for In and Each.
	Strings(values []string) any
	// IsUnique says whether err is a violated unique index, and which: the name is the table and
	// its columns joined by "_", such as users_source_user_name_key.
	IsUnique(err error) (constraint string, ok bool)

	// retryable says whether the same transaction may well succeed when it runs again.
	retryable(err error) bool
	// fault says whether err is the engine's own trouble, rather than a constraint that did its work.
	fault(err error) bool
}

type sqliteDialect struct{}

func (sqliteDialect) Name() string           { return "sqlite" }
func (sqliteDialect) ForUpdate() string      { return "" }
func (sqliteDialect) ForNoKeyUpdate() string { return "" }
func (sqliteDialect) ForKeyShare() string    { return "" }
func (sqliteDialect) SkipLocked() string     { return "" }

func (sqliteDialect) Contains(column, arg string) string {
	return "instr(" + column + ", " + arg + ") > 0"
}

func (sqliteDialect) In(column, arg string) string {
	return column + " IN (SELECT value FROM json_each(" + arg + "))"
}

func (sqliteDialect) Each(arg string) string { return "json_each(" + arg + ") AS e" }

func (sqliteDialect) Strings(values []string) any {
	if values == nil {
		return "[]"
	}
	text, _ := json.Marshal(values) //nolint:errchkjson // a slice of strings always encodes
	return string(text)
}

func (sqliteDialect) IsUnique(err error) (string, bool) {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return "", false
	}
	if code := e.Code(); code != sqlite3.SQLITE_CONSTRAINT_UNIQUE && code != sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY {
		return "", false
	}
	_, list, _ := strings.Cut(e.Error(), "UNIQUE constraint failed: ")
	list, _, _ = strings.Cut(list, " (")
	return constraintName(list), true
}

// constraintName turns "users.source, users.user_name_key", as SQLite names a violated index, into
// the name that the migrations give it.
func constraintName(list string) string {
	var name strings.Builder
	for i, column := range strings.Split(list, ", ") {
		table, column, _ := strings.Cut(column, ".")
		if i == 0 {
			name.WriteString(table)
		}
		name.WriteByte('_')
		name.WriteString(column)
	}
	return name.String()
}

func (sqliteDialect) retryable(error) bool { return false }

func (sqliteDialect) fault(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
}

type postgresDialect struct{}

func (postgresDialect) Name() string           { return "postgres" }
func (postgresDialect) ForUpdate() string      { return " FOR UPDATE" }
func (postgresDialect) ForNoKeyUpdate() string { return " FOR NO KEY UPDATE" }
func (postgresDialect) ForKeyShare() string    { return " FOR KEY SHARE" }
func (postgresDialect) SkipLocked() string     { return " FOR UPDATE SKIP LOCKED" }

func (postgresDialect) Contains(column, arg string) string {
	return "strpos(" + column + ", " + arg + ") > 0"
}

func (postgresDialect) In(column, arg string) string { return column + " = ANY(" + arg + "::text[])" }

func (postgresDialect) Each(arg string) string { return "unnest(" + arg + "::text[]) AS e(value)" }

func (postgresDialect) Strings(values []string) any {
	if values == nil {
		return []string{}
	}
	return values
}

// Classes and codes of PostgreSQL's appendix A.
const (
	pgUniqueViolation      = "23505"
	pgSerializationFailure = "40001"
	pgDeadlockDetected     = "40P01"
	pgIntegrityClass       = "23"
)

func (postgresDialect) IsUnique(err error) (string, bool) {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Code != pgUniqueViolation {
		return "", false
	}
	return e.ConstraintName, true
}

func (postgresDialect) retryable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, ErrAgain) || ok && (e.Code == pgSerializationFailure || e.Code == pgDeadlockDetected)
}

func (postgresDialect) fault(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return !strings.HasPrefix(e.Code, pgIntegrityClass)
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.Timeout(err) || pgconn.SafeToRetry(err)
}
