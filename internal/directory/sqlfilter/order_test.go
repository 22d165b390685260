package sqlfilter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// ordered binds an order and finds its columns.
func ordered(t *testing.T, table sqlfilter.Table, by string, descending bool) (filter.Order, sqlfilter.Order, bool) {
	t.Helper()
	rt := schema.User()
	if table == sqlfilter.Groups {
		rt = schema.Group()
	}
	o, err := filter.BindOrder(rt, by, descending, filter.Options{Tolerant: true})
	if err != nil {
		t.Fatal(err)
	}
	order, ok := sqlfilter.OrderOf(table, o)
	return o, order, ok
}

// TestOrderOf says what the database can sort by.
func TestOrderOf(t *testing.T) {
	for _, c := range []struct {
		table sqlfilter.Table
		by    string
		want  bool
	}{
		{sqlfilter.Users, "", true},
		{sqlfilter.Users, "id", true},
		{sqlfilter.Users, "userName", true},
		{sqlfilter.Users, "externalId", true},
		{sqlfilter.Users, "displayName", true},
		{sqlfilter.Users, "active", true},
		{sqlfilter.Users, "meta.created", true},
		{sqlfilter.Users, "meta.lastModified", true},
		{sqlfilter.Users, "nope", true},
		{sqlfilter.Users, "emails", false},
		{sqlfilter.Users, "name.familyName", false},
		{sqlfilter.Users, "department", false},
		{sqlfilter.Users, "meta.resourceType", false},
		{sqlfilter.Groups, "displayName", true},
		{sqlfilter.Groups, "userName", true},
		{sqlfilter.Groups, "active", true},
		{sqlfilter.Groups, "members", false},
	} {
		if _, _, ok := ordered(t, c.table, c.by, false); ok != c.want {
			t.Errorf("%s by %q: %v, want %v", c.table, c.by, ok, c.want)
		}
	}
}

// TestOrder_WalksIndexes asks SQLite how it would read a page: by an index that has the rows in order already.
func TestOrder_WalksIndexes(t *testing.T) {
	db := databasetest.SQLite(t)
	plan := func(query string, args ...any) string {
		rows, err := db.Reader().Query(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		defer rows.Close()
		var out []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			out = append(out, detail)
		}
		return strings.Join(out, "; ")
	}
	for by, index := range map[string]string{
		"": "users_source_id", "id": "users_source_id", "userName": "users_source_user_name_key", "displayName": "users_source_display_name_key",
		"meta.created": "users_source_created_at", "meta.lastModified": "users_source_modified_at",
	} {
		for _, descending := range []bool{false, true} {
			o, order, _ := ordered(t, sqlfilter.Users, by, descending)
			key := filter.Key{Text: "x"}
			if !o.Known() {
				key.Missing = true
			}
			behind, args := order.After(key, "y", []any{"okta"})
			limit, args := sqlfilter.Limit(10, 0, args)
			for _, where := range []string{"r.source = $1", "r.source = $1 AND " + behind} {
				if got := plan("SELECT r.document FROM users r WHERE "+where+order.By()+limit, args...); !strings.Contains(got, index) || strings.Contains(got, "TEMP B-TREE FOR ORDER BY") {
					t.Errorf("by %q, descending %v, %s: %s", by, descending, where, got)
				}
			}
		}
	}
	for text, index := range map[string]string{
		`displayName eq "x"`: "users_source_display_name_key", `displayName sw "x"`: "users_source_display_name_key", `active eq false`: "users_inactive",
		`meta.lastModified gt "2026-01-01T00:00:00Z"`: "users_source_modified_at", `meta.created lt "2026-01-01T00:00:00Z"`: "users_source_created_at",
		`groups.value eq "x"`: "group_id=?", `emails.value eq "x"`: "user_values_attr_value_key", `externalId eq "x"`: "users_source_external_id",
		`userName sw "x"`: "users_source_user_name_key",
	} {
		cond, args := compile(t, sqlfilter.Users, text)
		if got := plan("SELECT r.document FROM users r WHERE r.source = $1 AND "+cond.SQL, args...); !strings.Contains(got, index) {
			t.Errorf("%s: %s", text, got)
		}
	}
	for text, index := range map[string]string{
		`members.value eq "x"`: "members_member_id", `members[value eq "x" and type eq "User"]`: "members_member_id",
		`members[display co "a" and (value eq "x" or value eq "y")]`: "members_member_id", `members.value sw "x"`: "member_id>", `members pr`: "group_id=?",
	} {
		cond, args := compile(t, sqlfilter.Groups, text)
		if got := plan("SELECT r.document FROM groups r WHERE r.source = $1 AND "+cond.SQL, args...); !strings.Contains(got, index) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// compile compiles the text of a filter behind the source.
func compile(t *testing.T, table sqlfilter.Table, text string) (sqlfilter.Condition, []any) {
	t.Helper()
	bound, err := bind(table, text)
	if err != nil {
		t.Fatal(err)
	}
	return sqlfilter.Compile(databasetest.SQLite(t).Dialect(), table, base, bound.Expr, []any{"okta"})
}

// bind reads a filter for a table.
func bind(table sqlfilter.Table, text string) (filter.Bound, error) {
	rt := schema.User()
	if table == sqlfilter.Groups {
		rt = schema.Group()
	}
	e, err := filter.Parse(text, filter.Options{Tolerant: true})
	if err != nil {
		return filter.Bound{}, err
	}
	return filter.Bind(e, rt, filter.Options{Tolerant: true})
}

// TestCompile_Members says which filters over members look at them one by one, and which are left to be resolved.
func TestCompile_Members(t *testing.T) {
	for _, c := range []struct {
		text  string
		exact bool
		walks int
		left  int // parts to resolve
	}{
		{`members.value eq "x"`, true, 0, 0},
		{`members[value eq "x" and display co "y"]`, true, 0, 0},
		{`members pr`, true, 0, 0},
		{`not (members pr)`, true, 0, 0},
		{`members eq null`, true, 0, 0},
		{`members.value eq ""`, true, 1, 0},
		{`members.value ne "x"`, true, 2, 0},
		{`members.display co "x"`, true, 1, 0},
		{`members.display pr`, true, 1, 0},
		{`members.$ref pr`, true, 0, 0},
		{`members.$ref ew "x"`, true, 1, 0},
		{`members[type eq "User"]`, true, 1, 0},
		{`members[value eq "x" or type eq "User"]`, true, 1, 0},
		{`members.value eq "x" or title pr`, false, 0, 1},
		{`members.value eq "x" and title pr`, false, 0, 0},
		{`not (members.display sw "x" and (title pr or members pr))`, false, 1, 2},
	} {
		cond, _ := compile(t, sqlfilter.Groups, c.text)
		if cond.Exact != c.exact || cond.Walks != c.walks || len(cond.Members) != c.left {
			t.Errorf("%s: exact %v, walks %d, %d left: %s", c.text, cond.Exact, cond.Walks, len(cond.Members), cond.SQL)
		}
	}
}

// TestResolve puts every combination of answers into a filter.
func TestResolve(t *testing.T) {
	bound, err := bind(sqlfilter.Groups, `members.value eq "a" and (title pr or not (members.display eq "b"))`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		a, b, title := i&1 != 0, i&2 != 0, i&4 != 0
		doc := schema.Document{"id": "x"}
		if title {
			doc["title"] = "y" // a group has no title, so it counts for nothing
		}
		one := bound
		one.Expr = sqlfilter.Resolve(bound.Expr, func(e filter.Expr) bool {
			return a && strings.Contains(e.String(), `"a"`) || b && strings.Contains(e.String(), `"b"`)
		})
		if got, want := one.Match(doc), a && !b; got != want {
			t.Errorf("a %v, b %v, title %v: %v, want %v (%s)", a, b, title, got, want, one.Expr)
		}
	}
}

// TestCompileMember says what can be removed by a filter: over value and type, and nothing else.
func TestCompileMember(t *testing.T) {
	db := databasetest.SQLite(t)
	for text, exact := range map[string]bool{
		`value eq "x"`: true, `value eq "x" or not (type eq "Group")`: true, `value pr and type ne "x"`: true, `value eq null`: true, `value ew "x"`: true,
		`display eq "x"`: false, `value eq "x" and display pr`: false, `$ref pr`: false, `value eq "x" or nope pr`: false,
	} {
		bound, err := bind(sqlfilter.Groups, "members["+text+"]")
		if err != nil {
			t.Fatal(err)
		}
		path, _ := bound.Expr.(filter.ValuePath)
		cond, args := sqlfilter.CompileMember(db.Dialect(), path.Filter, []any{"g"})
		if cond.Exact != exact || !exact && (cond.SQL != "" || len(args) != 1) {
			t.Errorf("%s: %+v with %v", text, cond, args)
		}
		if !exact {
			continue
		}
		if _, err := ids(db, "SELECT member_id FROM members WHERE group_id = $1 AND "+cond.SQL, args); err != nil {
			t.Errorf("%s: %s: %v", text, cond.SQL, err)
		}
	}
}

// FuzzCompile gives every filter that a client can write to SQLite: the statement is valid and agrees with the filter.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		`userName sw "a" and not (emails[type eq "work"].value co "x")`, `members[value ew "1" or not (display pr)] or title pr`, `active ne true or groups.value eq "g"`,
		`meta.created ge "2026-01-01T00:00:00.0000015Z" and id co "d"`, `meta.resourceType ne "User" or externalId ew "ß"`, `displayName lt "b" and emails eq null`,
	} {
		f.Add(text)
	}
	db := databasetest.SQLite(f)
	rows := fill(f, db)
	f.Fuzz(func(t *testing.T, text string) {
		if bound, err := bind(sqlfilter.Users, text); err == nil {
			agree(t, db, rows, bound)
		}
		bound, err := bind(sqlfilter.Groups, text)
		if err != nil {
			return
		}
		cond, args := sqlfilter.Compile(db.Dialect(), sqlfilter.Groups, base, bound.Expr, []any{"okta"})
		for _, part := range append([]filter.Expr{nil}, cond.Members...) {
			if part != nil {
				if cond, args = sqlfilter.Compile(db.Dialect(), sqlfilter.Groups, base, part, []any{"okta"}); !cond.Exact {
					t.Fatalf("%s is not exact", part)
				}
			}
			where := "r.source = $1"
			if cond.SQL != "" {
				where += " AND " + cond.SQL
			}
			if found, err := ids(db, "SELECT r.id FROM groups r WHERE "+where, args); err != nil || len(found) > 0 {
				t.Fatalf("%q: %s %v: %v, %v", text, where, args, found, err)
			}
		}
		for i := range args[1:] {
			if !strings.Contains(cond.SQL, fmt.Sprintf("$%d", i+2)) {
				t.Fatalf("parameter %d of %v is not in %s", i+2, args, cond.SQL)
			}
		}
	})
}
