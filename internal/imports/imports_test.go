package imports

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// module reads the module that this test is part of.
func module(t *testing.T) []File {
	t.Helper()
	files, err := Read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(files, func(f File) bool { return f.Path == "internal/imports/imports.go" }) {
		t.Fatal("the module's root is somewhere else")
	}
	return files
}

// tree reads files given as path and text.
func tree(t *testing.T, files map[string]string) []File {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	out, err := Read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// importing is a file that imports packages; own ones start with a slash.
func importing(pkg string, imports ...string) string {
	var b strings.Builder
	b.WriteString("package " + pkg + "\n\nimport (\n")
	for _, imp := range imports {
		if own, ok := strings.CutPrefix(imp, "/"); ok {
			imp = Module + "/" + own
		}
		b.WriteString("\t_ \"" + imp + "\"\n")
	}
	b.WriteString(")\n")
	return b.String()
}

// texts is violations as text.
func texts(vs []Violation) []string {
	var out []string
	for _, v := range vs {
		out = append(out, v.String())
	}
	return out
}

// mayImport is how the refusal of one import of this module reads. The row comes
// from the table, so that a test does not repeat it: rows grow, and what is
// refused stays refused.
func mayImport(dir, refused string) string {
	return dir + " may import " + strings.Join(table[dir].imports, ", ") + ", not " + refused
}

func TestLayers_OfThisModule(t *testing.T) {
	for _, v := range Layers(module(t)) {
		t.Error(v)
	}
}

func TestLayers_Refuses(t *testing.T) {
	const notInLayer = "is not in the layering table"
	for name, tc := range map[string]struct{ path, text, want string }{
		"package without a row": {
			"internal/util/u.go", importing("util"),
			"internal/util: this package " + notInLayer,
		},
		"test of a package without a row": {
			"internal/util/u_test.go", importing("util"),
			"internal/util: this package " + notInLayer,
		},
		"import upwards": {
			"internal/database/d.go", importing("database", "/internal/audit"),
			"internal/database/d.go:4: internal/database imports no package of this module, so not internal/audit",
		},
		"import sideways": {
			"internal/audit/a.go", importing("audit", "fmt", "/internal/bindings"),
			"internal/audit/a.go:5: internal/audit may import internal/database, internal/sheet, not internal/bindings",
		},
		"import upwards in a test": {
			"internal/database/d_test.go", importing("database", "/internal/bindings"),
			"internal/database/d_test.go:4: internal/database imports no package of this module, so not internal/bindings",
		},
		"import of what it stands on": {
			"scim/s.go", importing("scim", "/internal/database"),
			"scim/s.go:4: " + mayImport("scim", "internal/database"),
		},
		"import sideways in a test": {
			"internal/audit/a_test.go", importing("audit", "/internal/bindings"),
			"internal/audit/a_test.go:4: internal/audit may import internal/database, internal/sheet, not internal/bindings",
		},
		"scim knows no Matomo": {
			"scim/s.go", importing("scim", "/matomo"),
			"scim/s.go:4: " + mayImport("scim", "matomo"),
		},
		"matomo knows no directory": {
			"matomo/client.go", importing("matomo", "/internal/directory"),
			"matomo/client.go:4: " + mayImport("matomo", "internal/directory"),
		},
		"config is for app and cmd": {
			"internal/reconcile/r.go", importing("reconcile", "/config"),
			"internal/reconcile/r.go:4: only internal/app and cmd read the configuration; take options of your own",
		},
		"config in a test": {
			"internal/web/w_test.go", importing("web", "/config"),
			"internal/web/w_test.go:4: only internal/app and cmd read the configuration; take options of your own",
		},
		"cmd goes through app": {
			"cmd/matomo-scim-bridge/main.go", importing("main", "/matomo/matomotest"),
			"cmd/matomo-scim-bridge/main.go:4: " + mayImport("cmd/matomo-scim-bridge", "matomo/matomotest"),
		},
		"root of the module": {
			"internal/web/w.go", importing("web", "/"),
			"internal/web/w.go:4: internal/web imports no package of this module, so not ",
		},
		"os in a pure package": {
			"mapping/m.go", importing("mapping", "os"),
			"mapping/m.go:4: mapping is pure: it does no I/O and writes no log, so not os",
		},
		"http in a pure package": {
			"scim/schema/s.go", importing("schema", "net/http"),
			"scim/schema/s.go:4: scim/schema is pure: it does no I/O and writes no log, so not net/http",
		},
		"net in a pure package": {
			"matomo/access/a.go", importing("access", "net"),
			"matomo/access/a.go:4: matomo/access is pure: it does no I/O and writes no log, so not net",
		},
		"sql in a pure package": {
			"scim/filter/f.go", importing("filter", "database/sql"),
			"scim/filter/f.go:4: scim/filter is pure: it does no I/O and writes no log, so not database/sql",
		},
		"zap in a pure package": {
			"scim/patch/p.go", importing("patch", "go.uber.org/zap/zapcore"),
			"scim/patch/p.go:4: scim/patch is pure: it does no I/O and writes no log, so not go.uber.org/zap/zapcore",
		},
		"library in a pure package": {
			"scim/patch/p.go", importing("patch", "github.com/google/uuid"),
			"scim/patch/p.go:4: scim/patch is pure: github.com/google/uuid is not among the libraries in its row",
		},
		"ldap elsewhere in mapping": {
			"mapping/match/fold.go", importing("match", "github.com/go-ldap/ldap/v3"),
			"mapping/match/fold.go:4: github.com/go-ldap/ldap/v3 is for parsing in mapping/match/dn.go and mapping/match/ldapfilter.go, and for internal/ldapsource",
		},
		"ldap elsewhere": {
			"internal/directory/d.go", importing("directory", "github.com/go-asn1-ber/asn1-ber"),
			"internal/directory/d.go:4: github.com/go-asn1-ber/asn1-ber is for parsing in mapping/match/dn.go and mapping/match/ldapfilter.go, and for internal/ldapsource",
		},
		"I/O in a plan": {
			"matomo/plan.go", importing("matomo", "net/http"),
			"matomo/plan.go:4: a plan is a function of its arguments: net/http has no place in it",
		},
		"chance in a plan": {
			"matomo/planleaver.go", importing("matomo", "crypto/rand"),
			"matomo/planleaver.go:4: a plan is a function of its arguments: crypto/rand has no place in it",
		},
		"library in a plan": {
			"matomo/plan.go", importing("matomo", "golang.org/x/time/rate"),
			"matomo/plan.go:4: a plan is a function of its arguments: golang.org/x/time/rate has no place in it",
		},
		"more of the module in a plan": {
			"matomo/plan.go", importing("matomo", "/mapping"),
			"matomo/plan.go:4: a plan is a function of its arguments: it imports matomo/access alone, not mapping",
		},
		"testing in the program": {
			"internal/web/w.go", importing("web", "testing"),
			"internal/web/w.go:4: testing is for tests and does not belong into the program",
		},
		"httptest in the program": {
			"scim/s.go", importing("scim", "net/http/httptest"),
			"scim/s.go:4: net/http/httptest is for tests and does not belong into the program",
		},
		"go-cmp in the program": {
			"internal/app/a.go", importing("app", "github.com/google/go-cmp/cmp"),
			"internal/app/a.go:4: github.com/google/go-cmp/cmp is for tests and does not belong into the program",
		},
		"databasetest in the program": {
			"internal/app/a.go", importing("app", "/internal/database/databasetest"),
			"internal/app/a.go:4: internal/app imports no package of this module, so not internal/database/databasetest",
		},
		"stand-in below app": {
			"internal/reconcile/r.go", importing("reconcile", "/matomo/matomotest"),
			"internal/reconcile/r.go:4: " + mayImport("internal/reconcile", "matomo/matomotest"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := texts(Layers(tree(t, map[string]string{tc.path: tc.text})))
			if len(got) != 1 || !strings.HasPrefix(got[0], tc.want) {
				t.Errorf("violations = %q\nwant one that starts %q", got, tc.want)
			}
		})
	}
}

func TestLayers_Accepts(t *testing.T) {
	files := map[string]string{
		"scim/patch/p.go":               importing("patch", "/scim/filter", "/scim/schema", "encoding/json", "net/url", "net/netip"),
		"scim/patch/p_test.go":          importing("patch", "os", "testing", "pgregory.net/rapid", "github.com/google/uuid"),
		"scim/patch/x_test.go":          importing("patch_test", "/scim/patch"),
		"mapping/match/dn.go":           importing("match", "github.com/go-ldap/ldap/v3"),
		"mapping/match/ldapfilter.go":   importing("match", "github.com/go-asn1-ber/asn1-ber"),
		"mapping/rulefile/yaml.go":      importing("rulefile", "go.yaml.in/yaml/v3", "/mapping/grant"),
		"matomo/plan.go":                importing("matomo", "slices", "time", "/matomo/access"),
		"matomo/client.go":              importing("matomo", "net/http", "crypto/rand", "go.uber.org/zap"),
		"matomo/client_test.go":         importing("matomo", "/matomo/matomotest", "net/http/httptest"),
		"matomo/matomotest/s.go":        importing("matomotest", "/matomo/access", "net/http/httptest", "testing"),
		"internal/directory/d_test.go":  importing("directory", "/internal/database/databasetest", "/matomo/matomotest"),
		"scim/s_test.go":                importing("scim_test", "/scim", "/internal/bindings", "/internal/database"),
		"internal/ldapsource/l.go":      importing("ldapsource", "github.com/go-ldap/ldap/v3", "/internal/directory"),
		"internal/app/a.go":             importing("app", "/config", "/scim", "/matomo/matomotest", "/internal/console"),
		"internal/app/testdata/x.go":    "not Go at all",
		"cmd/matomo-scim-bridge/m.go":   importing("main", "/config", "/internal/app"),
		"internal/database/generate.go": "// Code generated by x. DO NOT EDIT.\n\n" + importing("database", "/scim"),
		".hidden/x.go":                  importing("x", "/scim"),
		"vendor/x/x.go":                 importing("x", "/scim"),
	}
	if got := Layers(tree(t, files)); len(got) != 0 {
		t.Errorf("violations = %q, want none", texts(got))
	}
}

func TestLayers_ReportsEachInOrder(t *testing.T) {
	got := texts(Layers(tree(t, map[string]string{
		"scim/schema/b.go": importing("schema", "os", "net"),
		"mapping/a.go":     importing("mapping", "os"),
		"x/a.go":           importing("x", "os"),
		"x/b.go":           importing("x", "os"),
	})))
	want := []string{
		"mapping/a.go:4: mapping is pure: it does no I/O and writes no log, so not os",
		"scim/schema/b.go:4: scim/schema is pure: it does no I/O and writes no log, so not os",
		"scim/schema/b.go:5: scim/schema is pure: it does no I/O and writes no log, so not net",
		"x: this package is not in the layering table of internal/imports/table.go: give it a row, and say what it may import",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestRead_Errors(t *testing.T) {
	if _, err := Read(fstest.MapFS{"a.go": {Data: []byte("no package")}}); err == nil || !strings.Contains(err.Error(), "a.go:1:1") {
		t.Errorf("error = %v, want the place that does not parse", err)
	}
	if _, err := Read(os.DirFS("no such folder")); err == nil {
		t.Error("a folder that is not there has files")
	}
}

// The table itself must be sound: rows point at rows, never in a circle, and a
// pure package never at one that is not.
func TestTable(t *testing.T) {
	var visit func(dir string, trail []string)
	visit = func(dir string, trail []string) {
		if slices.Contains(trail, dir) {
			t.Fatalf("imports go in a circle: %s", strings.Join(append(trail, dir), " -> "))
		}
		for _, next := range table[dir].imports {
			visit(next, append(trail, dir))
		}
	}
	for dir, row := range table {
		visit(dir, nil)
		for _, next := range row.imports {
			if _, ok := table[next]; !ok {
				t.Errorf("%s names %s, which has no row", dir, next)
			}
			if row.pure && !table[next].pure {
				t.Errorf("%s is pure and may import %s, which is not", dir, next)
			}
		}
	}
	for dir := range small {
		if _, ok := table[dir]; !ok {
			t.Errorf("small names %s, which has no row", dir)
		}
	}
}

// A row is what its package may import, not what it must: the program grows
// issue by issue, and rows wait for their packages.
func TestLayers_ToleratesRowsWithoutPackage(t *testing.T) {
	if got := Layers(nil); len(got) != 0 {
		t.Errorf("violations of an empty tree = %q", texts(got))
	}
	if _, ok := table["internal/console"]; !ok {
		t.Error("the table has no row for a package of the design")
	}
}

func TestIsPlan(t *testing.T) {
	for p, want := range map[string]bool{
		"matomo/plan.go": true, "matomo/planleaver.go": true, "matomo/plan_test.go": true,
		"matomo/apply.go": false, "matomo/plans/x.go": false, "internal/plan.go": false,
	} {
		if got := isPlan(p); got != want {
			t.Errorf("isPlan(%q) = %v, want %v", p, got, want)
		}
	}
}

func TestIsStd(t *testing.T) {
	for imported, want := range map[string]bool{
		"fmt": true, "net/http": true, "github.com/x/y": false, "go.uber.org/zap": false, Module: false,
	} {
		if got := isStd(imported); got != want {
			t.Errorf("isStd(%q) = %v, want %v", imported, got, want)
		}
	}
}

func TestMatches(t *testing.T) {
	list := []string{"os/...", "net"}
	for imported, want := range map[string]bool{
		"os": true, "os/exec": true, "ost": false, "net": true, "net/url": false, "": false,
	} {
		if got := matches(imported, list); got != want {
			t.Errorf("matches(%q) = %v, want %v", imported, got, want)
		}
	}
}
