// Package imports keeps the shape of the source tree: who may import whom, and
// how large things may grow. Both are tests, because a rule that nobody checks
// lasts until the first busy week.
//
// The checks parse the Go files themselves. A test that asked the go tool
// instead would be served from the test cache after a bad import was added; the
// files that a test opens are part of its cache key.
//
// Layers and Budget work on any file system, so that their own tests can feed
// them trees that break each rule.
package imports

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the path that the module's own imports start with.
const Module = "github.com/matomo-scim/bridge"

// File is one parsed Go file.
type File struct {
	Path string // slash-separated, from the module's root
	Dir  string // the package's folder; "." for the root
	Test bool   // ends in _test.go
	Src  []byte
	Fset *token.FileSet
	AST  *ast.File
}

// Violation is a broken rule.
type Violation struct {
	Where string // file:line, file or folder
	Msg   string // what is wrong, and why the rule is there
}

// String is "where: what".
func (v Violation) String() string { return v.Where + ": " + v.Msg }

// Read parses every Go file below the root of fsys in the order of their paths.
// Hidden folders, testdata and vendor are left out, as the go tool does, and so
// are generated files. A file that does not parse is an error.
func Read(fsys fs.FS) ([]File, error) {
	var files []File
	fset := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if p != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(fsys, p)
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		parsed, err := parser.ParseFile(fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse source: %w", err)
		}
		if !ast.IsGenerated(parsed) {
			files = append(files, File{Path: p, Dir: path.Dir(p), Test: strings.HasSuffix(p, "_test.go"), Src: src, Fset: fset, AST: parsed})
		}
		return nil
	})
	return files, err
}

// Layers checks every import of every file against the table in table.go. Only
// direct imports count: what a package brings along is judged in its own row.
//
// Tests are bound by it too, a little more loosely. They may build what their
// package stands on, directly or not, and use testPackages and any library;
// purity is for the code they test.
func Layers(files []File) []Violation {
	var out []Violation
	unknown := map[string]bool{}
	for _, f := range files {
		row, ok := table[f.Dir]
		if !ok {
			if !unknown[f.Dir] {
				unknown[f.Dir] = true
				out = append(out, Violation{f.Dir, "this package is not in the layering table of internal/imports/table.go: give it a row, and say what it may import"})
			}
			continue
		}
		for _, spec := range f.AST.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has seen to it that there is none
			}
			if msg := f.judge(row, imported); msg != "" {
				where := fmt.Sprintf("%s:%d", f.Path, f.Fset.Position(spec.Pos()).Line)
				out = append(out, Violation{where, msg})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Violation) int { return cmp.Compare(a.Where, b.Where) })
	return out
}

// judge says what is wrong with one import of a file; empty when nothing is.
func (f File) judge(row row, imported string) string {
	if own, ok := strings.CutPrefix(imported, Module+"/"); ok {
		return f.judgeOwn(row, own)
	}
	switch {
	case f.Test:
		return "" // tests bring what they need
	case !row.testing && matches(imported, testOnly):
		return imported + " is for tests and does not belong into the program"
	case matches(imported, ldap) && !slices.Contains(ldapUsers, f.Path) && f.Dir != ldapClient:
		return imported + " is for parsing in " + strings.Join(ldapUsers, " and ") + ", and for " + ldapClient
	case isPlan(f.Path) && (!isStd(imported) || matches(imported, impure) || matches(imported, unsteady)):
		return "a plan is a function of its arguments: " + imported + " has no place in it"
	case !row.pure:
		return ""
	case matches(imported, impure):
		return f.Dir + " is pure: it does no I/O and writes no log, so not " + imported
	case !isStd(imported) && !matches(imported, row.libraries):
		return f.Dir + " is pure: " + imported + " is not among the libraries in its row"
	default:
		return ""
	}
}

// judgeOwn judges an import of another package of this module.
func (f File) judgeOwn(row row, own string) string {
	switch {
	case own == f.Dir: // an external test package imports what it tests
		return ""
	case isPlan(f.Path) && own != "matomo/access":
		return "a plan is a function of its arguments: it imports matomo/access alone, not " + own
	case row.all && own != "internal/database/databasetest" && own != "internal/testserver":
		return ""
	case slices.Contains(row.imports, own):
		return ""
	case f.Test && (slices.Contains(testPackages, own) || reaches(f.Dir, own)):
		return ""
	case own == "config":
		return "only internal/app and cmd read the configuration; take options of your own"
	case len(row.imports) == 0:
		return f.Dir + " imports no package of this module, so not " + own
	default:
		return fmt.Sprintf("%s may import %s, not %s", f.Dir, strings.Join(row.imports, ", "), own)
	}
}

// reaches reports whether a package may import another directly or through
// those it may import.
func reaches(dir, other string) bool {
	return slices.ContainsFunc(table[dir].imports, func(next string) bool {
		return next == other || reaches(next, other)
	})
}

// isPlan reports whether a file holds planning, which is pure within matomo.
func isPlan(p string) bool {
	return strings.HasPrefix(p, "matomo/plan") && path.Dir(p) == "matomo"
}

// isStd reports whether a package is in the standard library: its first step
// has no dot.
func isStd(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// matches reports whether a package is in a list; an entry that ends in /...
// stands for itself and all below it.
func matches(imported string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		base, tree := strings.CutSuffix(entry, "/...")
		return imported == base || tree && strings.HasPrefix(imported, base+"/")
	})
}
