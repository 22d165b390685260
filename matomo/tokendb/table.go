package tokendb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// base is the table's name behind the prefix, since Matomo 4. Before, a person's
// one token was a column of the table of users.
const base = "user_token_auth"

// needed are the columns that are read. The hash, password, is not among them.
var needed = []string{"idusertokenauth", "login", "description", "date_created", "last_used", "date_expired"}

// Table is what was found out about Matomo's table of tokens.
type Table struct {
	Schema  string // the database it is in
	Name    string
	Prefix  string   // of all of that Matomo's tables; may be empty
	Columns []string // those that the user may see
}

// Generation tells which Matomo made the table, as far as its columns do.
func (t Table) Generation() string {
	switch {
	case slices.ContainsFunc(t.Columns, func(c string) bool { return strings.HasPrefix(c, "ts_") }):
		return "Matomo 5.3 or later"
	case slices.Contains(t.Columns, "secure_only"):
		return "Matomo 5"
	case slices.Contains(t.Columns, "hash_algo"):
		return "Matomo 4"
	default:
		return "Matomo 4 or later" // the grants do not show the columns that tell
	}
}

// quoted is the name as it stands in a statement.
func (t Table) quoted() string { return quote(t.Schema) + "." + quote(t.Name) }

// quote makes an identifier of a name.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// setupError is something an administrator has to mend.
type setupError struct{ text string }

// Error says what is wrong and where to look.
func (e *setupError) Error() string { return e.text }

// The table is looked for once and then remembered, until the server refuses
// something about it: an administrator may rename it, restore it under another
// prefix, or give the right to it later than the bridge was started.

// detect finds the table by its name and makes sure that it has the columns which
// are needed. The information schema shows only what the user has a right on.
func detect(ctx context.Context, db *sql.DB, prefix string) (Table, error) {
	var schema string
	if err := db.QueryRowContext(ctx, "SELECT DATABASE()").Scan(&schema); err != nil {
		return Table{}, err
	}
	found, err := list(ctx, db, `SELECT table_name FROM information_schema.tables
		WHERE table_schema = ? AND table_name LIKE '%user\_token\_auth' ORDER BY table_name`, schema)
	if err != nil {
		return Table{}, err
	}
	t := Table{Schema: schema}
	if t.Name, err = pick(found, prefix, schema); err != nil {
		return Table{}, err
	}
	t.Prefix = t.Name[:len(t.Name)-len(base)]
	t.Columns, err = list(ctx, db, `SELECT column_name FROM information_schema.columns
		WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`, schema, t.Name)
	if err != nil {
		return Table{}, err
	}
	for _, c := range needed {
		if !slices.Contains(t.Columns, c) {
			return Table{}, &setupError{fmt.Sprintf("table %s has no column %s that this user may see: grant what docs/matomo.md says, or see whether the table is Matomo's", t.Name, c)}
		}
	}
	return t, nil
}

// pick chooses the table among those whose names end as Matomo's does.
func pick(found []string, prefix, schema string) (string, error) {
	if prefix != "" {
		// Servers on some systems keep names in lower case.
		i := slices.IndexFunc(found, func(name string) bool { return strings.EqualFold(name, prefix+base) })
		if i >= 0 {
			return found[i], nil
		}
		text := fmt.Sprintf("database %s has no table %s%s that this user may see", schema, prefix, base)
		if len(found) > 0 {
			text += "; it has " + strings.Join(found, ", ")
		}
		return "", &setupError{text + ": see table_prefix, and tables_prefix in Matomo's config.ini.php"}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &setupError{fmt.Sprintf("database %s has no table that ends in %s and that this user may see: see its name and the grants; before Matomo 4 there was none", schema, base)}
	default:
		return "", &setupError{fmt.Sprintf("database %s has several: %s; set table_prefix", schema, strings.Join(found, ", "))}
	}
}

// list returns the one column of a query.
func list(ctx context.Context, db *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
