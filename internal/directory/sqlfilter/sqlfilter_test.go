package sqlfilter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// base is what locations begin with.
const base = "https://scim.example/scim/v2"

// row is a user as the table and as a document.
type row struct {
	id  string
	doc schema.Document
}

// users are few and alike, so that comparisons are often close.
func users() []row {
	type email struct{ value, kind string }
	var out []row
	for i, u := range []struct {
		name, external, display string
		active                  bool
		created                 string
		emails                  []email
	}{
		{"ada", "a", "Ada", true, "2026-01-01T00:00:00.000001Z", []email{{"ada@x.org", "work"}, {"Ada@y.net", "home"}}},
		{"ADB", "A", "ada", false, "2026-01-01T00:00:00.000002Z", []email{{"b@x.org", ""}}},
		{"adz", "", "", true, "2026-01-01T00:00:01.000000Z", nil},
		{"b%_c", "b", "É", true, "2026-02-01T00:00:00.000000Z", []email{{"É@x.org", "Work"}}},
		{"Straße", "ß", "ÉA", false, "2026-02-01T00:00:00.000000Z", []email{{"ada@x.org", "home"}, {"b@x.org", "work"}}},
		{"\uE000x", "\uD7FFx", "\uD7FE", true, "2026-01-01T00:00:00.000003Z", nil},
		{"\U0010FFFF", "\U0010FFFFx", "zz", true, "2026-03-01T00:00:00.500000Z", []email{{"z", "work"}}},
	} {
		doc := schema.Document{
			"id": fmt.Sprintf("id-%d", i), "userName": u.name, "active": u.active,
			"meta": map[string]any{"created": u.created, "lastModified": u.created, "resourceType": "User", "location": fmt.Sprintf("%s/Users/id-%d", base, i)},
		}
		for name, v := range map[string]string{"externalId": u.external, "displayName": u.display} {
			if v != "" {
				doc[name] = v
			}
		}
		var emails []any
		for _, e := range u.emails {
			m := map[string]any{"value": e.value}
			if e.kind != "" {
				m["type"] = e.kind
			}
			emails = append(emails, m)
		}
		if emails != nil {
			doc["emails"] = emails
		}
		out = append(out, row{id: fmt.Sprintf("id-%d", i), doc: doc})
	}
	return out
}

// fill writes the users into the tables as the directory does.
func fill(t testing.TB, db *database.DB) []row {
	t.Helper()
	rows := users()
	err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ('s', 1)`); err != nil {
			return err
		}
		for _, r := range rows {
			text := func(name string) any {
				if s, ok := r.doc[name].(string); ok {
					return s
				}
				return nil
			}
			fold := func(v any) any {
				if s, ok := v.(string); ok {
					return schema.Fold(s)
				}
				return nil
			}
			meta, _ := r.doc["meta"].(map[string]any)
			stamp, _ := meta["created"].(string)
			created, _ := schema.ParseTime(stamp)
			_, err := tx.Exec(ctx, `INSERT INTO users (id, source, subject_id, external_id, user_name, user_name_key, display_name, display_name_key,
				active, document, version, created_at, modified_at) VALUES ($1, 'okta', 's', $2, $3, $4, $5, $6, $7, '{}', 1, $8, $8)`,
				r.id, text("externalId"), text("userName"), fold(text("userName")), text("displayName"), fold(text("displayName")),
				r.doc["active"], database.Micros(created))
			if err != nil {
				return err
			}
			emails, _ := r.doc["emails"].([]any)
			for i, e := range emails {
				m, _ := e.(map[string]any)
				_, err := tx.Exec(ctx, `INSERT INTO user_values (user_id, attr, ord, type, value, value_key) VALUES ($1, 'emails', $2, $3, $4, $5)`,
					r.id, i, fold(m["type"]), m["value"], fold(m["value"]))
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// expressions draws filters over columns, and over attributes without one.
func expressions() *rapid.Generator[filter.Expr] {
	texts := rapid.SampledFrom([]string{"a", "A", "ada", "AD", "adb", "b", "b%_c", "%", "_", "ß", "é", "É", "straße", "x.org", "@", "ada@x.org", "work", "zz", "z", "id-1", "id", "\U0010FFFF", "", base + "/Users/id-2", base + "/Users/", base + "/Groups/id-2"})
	times := rapid.SampledFrom([]string{
		"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.0000015Z", "2026-01-01T01:00:00.000002+01:00", "2026-02-01T00:00:00Z", "2025-12-31T23:59:59Z",
	})
	ops := rapid.SampledFrom([]filter.Op{filter.Eq, filter.Ne, filter.Co, filter.Sw, filter.Ew, filter.Gt, filter.Ge, filter.Lt, filter.Le})
	order := rapid.SampledFrom([]filter.Op{filter.Eq, filter.Ne, filter.Gt, filter.Ge, filter.Lt, filter.Le})
	paths := []filter.Path{{Attr: "id"}, {Attr: "userName"}, {Attr: "externalId"}, {Attr: "displayName"}, {Attr: "emails", Sub: "value"}, {Attr: "title"}, {Attr: "nope"}, {Attr: "meta", Sub: "location"}}
	inner := rapid.Custom(func(t *rapid.T) filter.Expr {
		attr := rapid.SampledFrom([]string{"value", "value", "type", "display"}).Draw(t, "attr")
		return filter.Compare{Path: filter.Path{Attr: attr}, Op: ops.Draw(t, "op"), Value: texts.Draw(t, "value")}
	})
	leaf := rapid.Custom(func(t *rapid.T) filter.Expr {
		switch rapid.IntRange(0, 7).Draw(t, "leaf") {
		case 0:
			return filter.Compare{Path: filter.Path{Attr: "active"}, Op: rapid.SampledFrom([]filter.Op{filter.Eq, filter.Ne}).Draw(t, "op"), Value: rapid.Bool().Draw(t, "value")}
		case 1:
			sub := rapid.SampledFrom([]string{"created", "lastModified"}).Draw(t, "sub")
			return filter.Compare{Path: filter.Path{Attr: "meta", Sub: sub}, Op: order.Draw(t, "op"), Value: times.Draw(t, "value")}
		case 2:
			return filter.Present{Path: rapid.SampledFrom(append(paths, filter.Path{Attr: "emails"}, filter.Path{Attr: "active"}, filter.Path{Attr: "meta", Sub: "created"})).Draw(t, "path")}
		case 3:
			l, r := inner.Draw(t, "l"), inner.Draw(t, "r")
			f := rapid.SampledFrom([]filter.Expr{l, filter.And{L: l, R: r}, filter.Or{L: l, R: r}, filter.Not{X: l}, filter.And{L: filter.Or{L: l, R: r}, R: r}}).Draw(t, "shape")
			return filter.ValuePath{Path: filter.Path{Attr: "emails"}, Filter: f}
		case 4:
			return filter.Compare{Path: rapid.SampledFrom(paths).Draw(t, "path"), Op: rapid.SampledFrom([]filter.Op{filter.Eq, filter.Ne}).Draw(t, "op"), Value: nil}
		}
		return filter.Compare{Path: rapid.SampledFrom(paths).Draw(t, "path"), Op: ops.Draw(t, "op"), Value: texts.Draw(t, "value")}
	})
	return rapid.Custom(func(t *rapid.T) filter.Expr {
		e := leaf.Draw(t, "leaf")
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			other := leaf.Draw(t, "other")
			e = rapid.SampledFrom([]filter.Expr{filter.And{L: e, R: other}, filter.Or{L: e, R: other}, filter.Not{X: e}, filter.And{L: other, R: filter.Not{X: e}}}).Draw(t, "shape")
		}
		return e
	})
}

// TestCompile_AgreesWithMatch is the contract: what the database lets through is at least what the filter matches, and
// exactly that where the condition says so.
func TestCompile_AgreesWithMatch(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		rows := fill(t, db)
		exact := 0
		rapid.Check(t, func(rt *rapid.T) {
			e := expressions().Draw(rt, "filter")
			bound, err := filter.Bind(e, schema.User(), filter.Options{Tolerant: true})
			if err != nil {
				rt.Skip(err)
			}
			if agree(rt, db, rows, bound) {
				exact++
			}
		})
		if exact == 0 {
			t.Error("no filter was exact")
		}
	})
}

// agree fails the test unless the condition for a filter lets through what the filter matches. It says whether the
// condition was exact.
func agree(t fataler, db *database.DB, rows []row, bound filter.Bound) bool {
	cond, args := sqlfilter.Compile(db.Dialect(), sqlfilter.Users, base, bound.Expr, []any{"okta"})
	where := "r.source = $1"
	if cond.SQL != "" {
		where += " AND " + cond.SQL
	}
	through, err := ids(db, "SELECT r.id FROM users r WHERE "+where+" ORDER BY r.id", args)
	if err != nil {
		t.Fatalf("%s\n%s %v: %v", bound.Expr, where, args, err)
	}
	var want []string
	for _, r := range rows {
		if bound.Match(r.doc) {
			want = append(want, r.id)
		}
	}
	for _, id := range want {
		if !slices.Contains(through, id) {
			t.Fatalf("%s\n%s %v\nlost %s: %v, want %v", bound.Expr, where, args, id, through, want)
		}
	}
	if cond.Exact != (cond.Rest == nil) {
		t.Fatalf("%s: exact %v, rest %v", bound.Expr, cond.Exact, cond.Rest)
	}
	if rest := bound; cond.Rest != nil {
		rest.Expr = cond.Rest
		var left []string
		for _, r := range rows {
			if slices.Contains(through, r.id) && rest.Match(r.doc) {
				left = append(left, r.id)
			}
		}
		if !slices.Equal(left, want) {
			t.Fatalf("%s\n%s %v\nand %s: %v, want %v", bound.Expr, where, args, rest.Expr, left, want)
		}
	}
	if cond.Exact {
		if !slices.Equal(through, want) {
			t.Fatalf("%s\n%s %v\nis not exact: %v, want %v", bound.Expr, where, args, through, want)
		}
	}
	if cond.Unique && len(through) > 1 {
		t.Fatalf("%s\n%s %v\nis not unique: %v", bound.Expr, where, args, through)
	}
	return cond.Exact
}

// fataler is a test, of testing or of rapid.
type fataler interface {
	Fatalf(format string, args ...any)
}

// TestCompile_Boundaries has the cases that chance seldom finds: times between two microseconds, and prefixes at the
// gaps and the end of the code points.
func TestCompile_Boundaries(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		rows := fill(t, db)
		for _, op := range []string{"eq", "ne", "gt", "ge", "lt", "le"} {
			for _, stamp := range []string{
				"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.0000015Z", "2026-01-01T00:00:00.0000019999Z", "2026-01-01T00:00:00.000002Z",
				"2026-01-01T00:00:00.0000021Z", "2026-01-01T01:00:00.000002+01:00", "1969-12-31T23:59:59.9999995Z", "9999-12-31T23:59:59Z",
			} {
				check(t, db, rows, fmt.Sprintf("meta.created %s %q", op, stamp))
			}
		}
		for _, prefix := range []string{"\uD7FF", "\uD7FE", "\uE000", "\U0010FFFF", "\U0010FFFF\U0010FFFF", "a\U0010FFFF", "z", "~", "%", "_", "É"} {
			for _, attr := range []string{"userName", "externalId", "displayName", "emails.value"} {
				quoted, err := json.Marshal(prefix)
				if err != nil {
					t.Fatal(err)
				}
				check(t, db, rows, attr+" sw "+string(quoted))
			}
		}
	})
}

// check is agree for the text of a filter, which must be answered by the database alone.
func check(t *testing.T, db *database.DB, rows []row, text string) {
	t.Helper()
	e, err := filter.Parse(text, filter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := filter.Bind(e, schema.User(), filter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !agree(t, db, rows, bound) {
		t.Errorf("%s is not exact", text)
	}
}

// ids runs a statement and returns its only column.
func ids(db *database.DB, query string, args []any) ([]string, error) {
	rows, err := db.Reader().Query(context.Background(), query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// TestCompile_UsesIndexes pins down what identity providers send: it must be answered from an index, and mostly by a
// single row.
func TestCompile_UsesIndexes(t *testing.T) {
	dialect := databasetest.SQLite(t).Dialect()
	for _, c := range []struct {
		table         sqlfilter.Table
		text          string
		exact, unique bool
	}{
		{sqlfilter.Users, `userName eq "Ada"`, true, true},
		{sqlfilter.Users, `externalId eq "x"`, true, true},
		{sqlfilter.Users, `id eq "x"`, true, true},
		{sqlfilter.Users, `emails[type eq "work"].value eq "x"`, true, false},
		{sqlfilter.Users, `emails eq "x"`, true, false},
		{sqlfilter.Users, `emails.value eq "x"`, true, false},
		{sqlfilter.Users, `id eq "x" and manager eq "y"`, false, true},
		{sqlfilter.Users, `userName eq "x" and active eq true`, true, true},
		{sqlfilter.Users, `userName eq "x" or userName eq "y"`, true, false},
		{sqlfilter.Users, `meta.lastModified gt "2026-01-01T00:00:00Z"`, true, false},
		{sqlfilter.Users, `title eq "x"`, false, false},
		{sqlfilter.Groups, `displayName eq "x"`, true, true},
		{sqlfilter.Groups, `externalId eq "x"`, true, true},
		{sqlfilter.Groups, `members.value eq "x"`, true, false},
		{sqlfilter.Groups, `members[value eq "x"] and displayName eq "y"`, true, true},
	} {
		rt := schema.User()
		if c.table == sqlfilter.Groups {
			rt = schema.Group()
		}
		e, err := filter.Parse(c.text, filter.Options{Tolerant: true})
		if err != nil {
			t.Fatal(err)
		}
		bound, err := filter.Bind(e, rt, filter.Options{Tolerant: true})
		if err != nil {
			t.Fatal(err)
		}
		cond, _ := sqlfilter.Compile(dialect, c.table, base, bound.Expr, nil)
		if cond.Exact != c.exact || cond.Unique != c.unique || (cond.SQL == "") == (c.exact || c.unique) {
			t.Errorf("%s: %+v, want exact %v, unique %v", c.text, cond, c.exact, c.unique)
		}
	}
}

// TestCompile_NothingFromTheClientInTheText checks that values are parameters, whatever is in them.
func TestCompile_NothingFromTheClientInTheText(t *testing.T) {
	dialect := databasetest.SQLite(t).Dialect()
	rapid.Check(t, func(rt *rapid.T) {
		marker := "zq" + rapid.StringMatching(`[a-z';\-" ]{0,8}`).Draw(rt, "marker") + "qz"
		quoted, err := json.Marshal(marker)
		if err != nil {
			rt.Fatal(err)
		}
		for _, attr := range []string{"userName", "emails.value", "externalId", "id", "displayName", "members.value"} {
			for _, op := range []string{"eq", "ne", "co", "sw", "gt", "le"} {
				table, kind := sqlfilter.Users, schema.User()
				if attr == "members.value" {
					table, kind = sqlfilter.Groups, schema.Group()
				}
				e, err := filter.Parse(attr+" "+op+" "+string(quoted), filter.Options{})
				if err != nil {
					rt.Skip(err)
				}
				bound, err := filter.Bind(e, kind, filter.Options{})
				if err != nil {
					rt.Fatal(err)
				}
				cond, args := sqlfilter.Compile(dialect, table, base, bound.Expr, []any{"okta"})
				if strings.Contains(cond.SQL, "zq") {
					rt.Fatalf("%q is in %s", marker, cond.SQL)
				}
				if cond.SQL == "" && len(args) != 1 {
					rt.Fatalf("%v are left over", args)
				}
				for i := range args[1:] {
					if !strings.Contains(cond.SQL, fmt.Sprintf("$%d", i+2)) {
						rt.Fatalf("parameter %d of %v is not in %s", i+2, args, cond.SQL)
					}
				}
			}
		}
	})
}
