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
	// EndsWith is true where the text of column ends with the text of arg, which is not empty, case
	// by case.
	EndsWith(column, arg string) string
	// In is true where column is one of the strings of arg, a placeholder such as "$1" that is
	// bound to Strings(...). The text does not depend on how many there are.
	In(column, arg string) string
	// Each is a table for FROM with one row per string of arg, in the column e.value.
	Each(arg string) string
	// Clock is the time now, in microseconds, as everybody who works on the store has it: the server's
	// on PostgreSQL, whose processes may have clocks that differ; arg on SQLite, which is one process's.
	Clock(arg string) string
	// Strings is the value to bind for In and Each.
	Strings(values []string) any
	// IsUnique says whether err is a violated unique index, and which: the name is the table and
	// its columns joined by "_", such as users_source_user_name_key.
	IsUnique(err error) (constraint string, ok bool)

	// retryable says whether the same transaction may well succeed when it runs again.
	retryable(err error) bool
	// fault says whether err is the engine's own trouble, rather than a constraint that did its work.
	fault(err error) bool
	// noTable says whether err is about a table that is not there.
	noTable(err error) bool
}

// sqliteDialect is SQLite as modernc.org/sqlite has it.
type sqliteDialect struct{}

// Name is also the name of the folder with the migrations.
func (sqliteDialect) Name() string { return "sqlite" }

// ForUpdate is nothing: the transaction is the only writer from its start (BEGIN IMMEDIATE).
func (sqliteDialect) ForUpdate() string { return "" }

// ForNoKeyUpdate is nothing, as ForUpdate.
func (sqliteDialect) ForNoKeyUpdate() string { return "" }

// ForKeyShare is nothing, as ForUpdate.
func (sqliteDialect) ForKeyShare() string { return "" }

// SkipLocked is nothing; it would be a syntax error.
func (sqliteDialect) SkipLocked() string { return "" }

// Contains compares bytes, as strpos does.
func (sqliteDialect) Contains(column, arg string) string {
	return "instr(" + column + ", " + arg + ") > 0"
}

// EndsWith counts from the end, in characters.
func (sqliteDialect) EndsWith(column, arg string) string {
	return "substr(" + column + ", -length(" + arg + ")) = " + arg
}

// In reads the list from one JSON text: SQLite has no arrays.
func (sqliteDialect) In(column, arg string) string {
	return column + " IN (SELECT value FROM json_each(" + arg + "))"
}

// Each makes rows of the JSON text.
func (sqliteDialect) Each(arg string) string { return "json_each(" + arg + ") AS e" }

// Clock is the caller's.
func (sqliteDialect) Clock(arg string) string { return arg }

// Strings is a JSON array; nil is the empty one.
func (sqliteDialect) Strings(values []string) any {
	if values == nil {
		return "[]"
	}
	text, _ := json.Marshal(values) //nolint:errchkjson // a slice of strings always encodes
	return string(text)
}

// IsUnique reads the columns out of the message, which is all that SQLite tells.
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

// retryable is never true: with one writer nothing is in the way, and a busy file was waited for.
func (sqliteDialect) retryable(error) bool { return false }

// fault is true for every error of SQLite but constraints.
func (sqliteDialect) fault(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
}

// noTable reads the text: SQLite has one code for all errors in a statement.
func (sqliteDialect) noTable(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && strings.Contains(e.Error(), "no such table")
}

// postgresDialect is PostgreSQL 15 or newer.
type postgresDialect struct{}

// Name is also the name of the folder with the migrations.
func (postgresDialect) Name() string { return "postgres" }

// ForUpdate also keeps READ COMMITTED from losing an update between the read and the write.
func (postgresDialect) ForUpdate() string { return " FOR UPDATE" }

// ForNoKeyUpdate is the lock that UPDATE itself takes when no key changes.
func (postgresDialect) ForNoKeyUpdate() string { return " FOR NO KEY UPDATE" }

// ForKeyShare is the lock that a foreign key takes.
func (postgresDialect) ForKeyShare() string { return " FOR KEY SHARE" }

// SkipLocked locks what it returns for update.
func (postgresDialect) SkipLocked() string { return " FOR UPDATE SKIP LOCKED" }

// Contains compares characters one by one, whatever the collation is.
func (postgresDialect) Contains(column, arg string) string {
	return "strpos(" + column + ", " + arg + ") > 0"
}

// EndsWith counts in characters, as the strings have them.
func (postgresDialect) EndsWith(column, arg string) string {
	return "right(" + column + ", length(" + arg + ")) = " + arg
}

// In compares with an array, which can use an index.
func (postgresDialect) In(column, arg string) string { return column + " = ANY(" + arg + "::text[])" }

// Each makes rows of the array.
func (postgresDialect) Each(arg string) string { return "unnest(" + arg + "::text[]) AS e(value)" }

// Clock is that of the server when the statement began: one that had to wait promises no more time.
func (postgresDialect) Clock(string) string {
	return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)"
}

// Strings is an array; nil is the empty one, because = ANY(NULL) is unknown.
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
	pgUndefinedTable       = "42P01"
)

// IsUnique reports the name of the index, which the migrations chose to match.
func (postgresDialect) IsUnique(err error) (string, bool) {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Code != pgUniqueViolation {
		return "", false
	}
	return e.ConstraintName, true
}

// retryable is true for the two errors after which PostgreSQL asks for another run.
func (postgresDialect) retryable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, ErrAgain) || ok && (e.Code == pgSerializationFailure || e.Code == pgDeadlockDetected)
}

// fault is true for errors of the server but constraints, and for a server that does not answer.
func (postgresDialect) fault(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return !strings.HasPrefix(e.Code, pgIntegrityClass)
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.Timeout(err) || pgconn.SafeToRetry(err)
}

// noTable reads the code.
func (postgresDialect) noTable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == pgUndefinedTable
}
