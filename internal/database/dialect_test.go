package database_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// strs reads a column of strings.
func strs(t *testing.T, q database.Querier, query string, args ...any) []string {
	t.Helper()
	rows, err := q.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDialect_InAndEach(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		d := db.Dialect()
		many := make([]string, 5000)
		for i := range many {
			many[i] = fmt.Sprint("s", i)
		}
		if err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) SELECT e.value, 1 FROM `+d.Each("$1"), d.Strings(many))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for name, ids := range map[string][]string{
			"nil": nil, "none": {}, "one": {"s7"}, "missing": {"x"}, "strange": {`"`, `\`, "{", "s1", "ü,", "'"}, "all": many,
		} {
			got := strs(t, db.Reader(), `SELECT id FROM subjects WHERE `+d.In("id", "$1")+` ORDER BY id`, d.Strings(ids))
			want := slices.DeleteFunc(slices.Sorted(slices.Values(ids)), func(id string) bool { return !slices.Contains(many, id) })
			if diff := cmp.Diff(len(want), len(got)); diff != "" || !slices.Equal(want, got) {
				t.Errorf("%s: %d found, want %d", name, len(got), len(want))
			}
		}
	})
}

func TestDialect_Contains(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		for _, c := range []struct {
			text, part string
			want       bool
		}{
			{"Jensen", "ense", true},
			{"Jensen", "ENSE", false},
			{"100%", "%", true},
			{"100", "%", false},
			{"a_b", "_", true},
			{"ab", "_", false},
			{"Größe", "öß", true},
			{"x", "", true},
		} {
			var got bool
			query := `SELECT ` + db.Dialect().Contains("CAST($1 AS TEXT)", "CAST($2 AS TEXT)")
			if err := db.Reader().QueryRow(t.Context(), query, c.text, c.part).Scan(&got); err != nil || got != c.want {
				t.Errorf("%q contains %q = %v, %v", c.text, c.part, got, err)
			}
		}
	})
}

// Keys sort by their bytes on both engines, whatever the locale of the server is.
func TestSchema_KeysSortByBytes(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		ids := []string{"b", "B", "a", "Z", "-", "_", "é", "e", "ab", "a b", "10", "9"}
		for _, id := range ids {
			if err := db.InTx(t.Context(), put(id)); err != nil {
				t.Fatal(err)
			}
		}
		got := strs(t, db.Reader(), `SELECT id FROM subjects WHERE id > '' ORDER BY id`)
		if diff := cmp.Diff(slices.Sorted(slices.Values(ids)), got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// Both engines give a violated index the same name.
func TestDialect_IsUniqueNamesTheIndex(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		user := `INSERT INTO users (id, source, subject_id, external_id, user_name, user_name_key, active, document, version, created_at, modified_at)
			VALUES ($1, 'okta', 's', $2, $3, $3, TRUE, '{}', 1, 1, 1)`
		credential := `INSERT INTO credentials (id, name, source, hash, scope, created_at) VALUES ($1, $2, 'okta', $3, 'scim', 1)`
		for _, c := range []struct {
			name          string
			first, second []any
		}{
			{"users_source_user_name_key", []any{user, "u1", "e1", "n"}, []any{user, "u2", "e2", "n"}},
			{"users_source_external_id", []any{user, "u3", "e", "n3"}, []any{user, "u4", "e", "n4"}},
			{"users_id", []any{user, "u5", "e5", "n5"}, []any{user, "u5", "e6", "n6"}},
			{"credentials_name", []any{credential, "c1", "n", []byte("1")}, []any{credential, "c2", "n", []byte("2")}},
			{"credentials_hash", []any{credential, "c3", "n3", []byte("3")}, []any{credential, "c4", "n4", []byte("3")}},
			{
				"user_values_user_id_attr_ord",
				[]any{`INSERT INTO user_values (user_id, attr, ord, value, value_key) VALUES ('u1', 'emails', 0, '', '')`},
				[]any{`INSERT INTO user_values (user_id, attr, ord, value, value_key) VALUES ('u1', 'emails', 0, '', '')`},
			},
			{
				"rule_sets_active",
				[]any{`INSERT INTO rule_sets (id, hash, text, origin, activated_at, active) VALUES ('1', '', '', '', 1, TRUE)`},
				[]any{`INSERT INTO rule_sets (id, hash, text, origin, activated_at, active) VALUES ('2', '', '', '', 1, TRUE)`},
			},
		} {
			_ = db.InTx(t.Context(), put("s"))
			run := func(statement []any) error {
				return db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
					_, err := tx.Exec(ctx, fmt.Sprint(statement[0]), statement[1:]...)
					return err
				})
			}
			if err := run(c.first); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			name, ok := db.Dialect().IsUnique(run(c.second))
			if !ok || name != c.name {
				t.Errorf("index %q, %v; want %q", name, ok, c.name)
			}
		}
		if _, ok := db.Dialect().IsUnique(errBoom); ok {
			t.Error("any error is a unique violation")
		}
		if _, ok := db.Dialect().IsUnique(nil); ok {
			t.Error("no error is a unique violation")
		}
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, user, "u9", "e9", nil) // NOT NULL
			return err
		})
		if _, ok := db.Dialect().IsUnique(err); ok || err == nil {
			t.Errorf("%v is a unique violation", err)
		}
	})
}

// The two migration folders make the same tables and columns.
func TestSchema_IsTheSameOnBothEngines(t *testing.T) {
	schemas := map[string][]string{}
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		query := `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'`
		indexes := `SELECT indexname FROM pg_indexes WHERE schemaname = 'public'
			AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE contype = 'p')`
		if db.Dialect().Name() == "sqlite" {
			query = `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
			indexes = `SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`
		}
		all := append(strs(t, db.Reader(), query), strs(t, db.Reader(), indexes)...)
		all = slices.DeleteFunc(all, func(s string) bool {
			return strings.HasPrefix(s, "sqlite_") || strings.HasPrefix(s, "schema_version")
		})
		slices.Sort(all)
		schemas[db.Dialect().Name()] = all
	})
	if len(schemas) < 2 {
		t.Skip("needs both engines")
	}
	if diff := cmp.Diff(schemas["sqlite"], schemas["postgres"]); diff != "" {
		t.Errorf("sqlite and postgres differ (-sqlite +postgres):\n%s", diff)
	}
}

func TestSchema_CascadesAndReferences(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		exec := func(query string) error {
			return db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				_, err := tx.Exec(ctx, query)
				return err
			})
		}
		for _, query := range []string{
			`INSERT INTO groups (id, source, display_name, display_name_key, document, version, created_at, modified_at) VALUES ('g', 'okta', 'G', 'g', '{}', 1, 1, 1)`,
			`INSERT INTO members (group_id, member_id, kind, added_at) VALUES ('g', 'u', 'User', 1)`,
			`INSERT INTO pending_members (group_id, source, value, value_key, added_at, expires_at) VALUES ('g', 'okta', 'v', 'v', 1, 2)`,
			`DELETE FROM groups WHERE id = 'g'`,
		} {
			if err := exec(query); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range []string{"members", "pending_members"} {
			if got := strs(t, db.Reader(), `SELECT group_id FROM `+table); len(got) != 0 {
				t.Errorf("%s outlive their group", table)
			}
		}
		for _, query := range []string{
			`INSERT INTO members (group_id, member_id, kind, added_at) VALUES ('none', 'u', 'User', 1)`,
			`INSERT INTO audit_head (id, seq, hash) SELECT 2, 0, hash FROM audit_head`,
			`INSERT INTO removals (id, target, kind, binding_id, removed_at) VALUES ('r', 't', 'other', 'b', 1)`,
		} {
			if err := exec(query); err == nil {
				t.Errorf("%s was accepted", query)
			}
		}
	})
}

func TestValues(t *testing.T) {
	for want, got := range map[string]string{
		"($1)":                   database.Values(1, 1, 1),
		"($3,$4),($5,$6)":        database.Values(2, 2, 3),
		"($1),($2),($3)":         database.Values(3, 1, 1),
		"($9,$10,$11)":           database.Values(1, 3, 9),
		"":                       database.Values(0, 3, 1),
		"($99,$100),($101,$102)": database.Values(2, 2, 99),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestChunk_CoversEveryNumberInFewSizes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 5, 15, 63, 100, 255, 256, 257, 10_000} {
		total, steps := 0, 0
		for left := n; left > 0; steps++ {
			size := database.Chunk(left)
			if size < 1 || size > left || !slices.Contains(database.Chunks(), size) {
				t.Fatalf("Chunk(%d) = %d", left, size)
			}
			left, total = left-size, total+size
		}
		if total != n || steps > n/256+12 {
			t.Errorf("%d rows in %d statements, %d covered", n, steps, total)
		}
	}
	if database.Chunk(0) != 0 {
		t.Error("Chunk(0) is not 0")
	}
}

func TestMicros_RoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 0, 0, 123456000, time.FixedZone("CET", 3600))
	got := database.FromMicros(database.Micros(at))
	if !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v in UTC", got, at)
	}
	if p := database.FromNullMicros(database.NullMicros(&at)); p == nil || !p.Equal(at) {
		t.Errorf("got %v", p)
	}
	if p := database.FromNullMicros(database.NullMicros(nil)); p != nil {
		t.Errorf("got %v for nothing", p)
	}
}

func TestNewID_SortsInTheOrderOfMaking(t *testing.T) {
	last := ""
	for range 10_000 {
		id := database.NewID()
		if len(id) != 36 || id[14] != '7' {
			t.Fatalf("%s is not a UUIDv7", id)
		}
		if id <= last {
			t.Fatalf("%s comes after %s", id, last)
		}
		last = id
	}
}

func TestPanicError_Unwraps(t *testing.T) {
	var p *database.PanicError
	if err := fmt.Errorf("create: %w", &database.PanicError{Value: 1}); !errors.As(err, &p) || p.Value != 1 {
		t.Errorf("err = %v", err)
	}
}
