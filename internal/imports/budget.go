package imports

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// The budget, taken from what good Go services have in common: half of their
// functions are about ten lines long, and the long ones are what nobody likes to
// touch. A limit that hurts is a reason to split, not to raise it.
const (
	maxFile     = 500  // lines of a file, tests included
	maxFunction = 120  // lines of a function with its signature
	maxTail     = 60   // lines that 95 of 100 functions stay within
	maxPackage  = 1500 // lines of a package that hold code
	minPackage  = 200  // below it a package is a fragment; see small
	minComments = 18   // percent of lines that are comment only
	maxComments = 25   // beyond it prose stands in for clear code
	minTests    = 1.2  // lines of test code for one of code
)

// small names packages that are complete below minPackage, and why.
var small = map[string]string{
	"cmd/matomo-scim-bridge/internal/arguments": "what people type, read in one way by every command",
	"cmd/matomo-scim-bridge/internal/terminal":  "how commands look, apart from what they say",
	"config/certificate":                        "what the keys of TLS mean together, apart from the rest of the file",
	"config/changes":                            "what differs and what is live, apart from what a key means",
	"config/extension":                          "SCIM schemas in the file, apart from the keys of the service",
	"config/secret":                             "where secrets are, apart from the file that says so",
	"config/source":                             "what is said of a source, where a gap lets somebody in",
	"config/spelling":                           "a guess at what was meant, about words and not about the file",
	"scim/discovery":                            "what the front says about itself, apart from what it does",
	"internal/sheet":                            "CSV that no spreadsheet runs, for every export alike",
	"internal/app/signin":                       "who may come in, as the configuration says it, apart from the wiring",
	"internal/restore":                          "putting a database back, tested with a whole bridge by its wiring",
	"internal/reconcile/lease":                  "what keeps two writers from one login, tested by itself",
	"internal/reconcile/trail":                  "what is put on record, apart from when",
	"internal/reconcile/ruleset":                "which rules decide, apart from what is decided",
	"internal/database/databasetest":            "a store on both engines for tests, and no more than that",
	"matomo/internal/ways":                      "how token strategies fare, apart from what they do",
	"matomo/tokendb/tokendbtest":                "the same for Matomo's table of tokens",
	"internal/testserver":                       "how a server is run for tests, whichever database it is",
}

// Sizes are the figures of a package, or of the module as a whole.
type Sizes struct {
	Code, Comments         int // lines that hold code; lines that hold only comment
	TestCode, TestComments int
	Functions              []int // lengths, shortest first, without tests
}

// CommentShare is the percentage of comment lines outside tests.
func (s Sizes) CommentShare() float64 {
	return 100 * float64(s.Comments) / float64(max(1, s.Code+s.Comments))
}

// TestRatio is lines of test code for one line of code.
func (s Sizes) TestRatio() float64 { return float64(s.TestCode) / float64(max(1, s.Code)) }

// Tail is the length that 95 of 100 functions stay within; 0 without any.
func (s Sizes) Tail() int {
	if len(s.Functions) == 0 {
		return 0
	}
	return s.Functions[len(s.Functions)*95/100]
}

// String is the figures on one line.
func (s Sizes) String() string {
	return fmt.Sprintf("code %5d  comment %4.1f %%  tests %5d (%.2f)  functions %4d, 95 of 100 within %d lines",
		s.Code, s.CommentShare(), s.TestCode, s.TestRatio(), len(s.Functions), s.Tail())
}

// add counts one file.
func (s *Sizes) add(f File) {
	code, comments := countLines(f.Src)
	if f.Test {
		s.TestCode += code
		s.TestComments += comments
		return
	}
	s.Code += code
	s.Comments += comments
	for _, decl := range f.AST.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			s.Functions = append(s.Functions, length(f.Fset, fn))
		}
	}
	slices.Sort(s.Functions)
}

// Budget measures files and reports what is over the budget or undocumented.
// The figures are by package; those of the module are under the empty name.
func Budget(files []File) (map[string]*Sizes, []Violation) {
	sizes := map[string]*Sizes{"": {}}
	described := map[string]bool{}
	var out []Violation
	for _, f := range files {
		if sizes[f.Dir] == nil {
			sizes[f.Dir] = &Sizes{}
		}
		sizes[f.Dir].add(f)
		sizes[""].add(f)
		if !f.Test && f.AST.Doc != nil && strings.TrimSpace(f.AST.Doc.Text()) != "" {
			described[f.Dir] = true
		}
		out = append(out, f.tooLong()...)
		out = append(out, f.undocumented()...)
	}
	for _, dir := range slices.Sorted(maps.Keys(sizes)) {
		if s := sizes[dir]; dir != "" && s.Code > 0 {
			out = append(out, packageBudget(dir, s, described[dir])...)
		}
	}
	return sizes, append(out, moduleBudget(sizes[""])...)
}

// packageBudget reports a package of the wrong size or without a comment.
func packageBudget(dir string, s *Sizes, described bool) []Violation {
	var out []Violation
	if !described {
		out = append(out, Violation{dir, "no package comment: say what it holds and why it is apart"})
	}
	switch reason, isSmall := small[dir]; {
	case s.Code > maxPackage:
		out = append(out, Violation{dir, fmt.Sprintf("%d lines of code, more than %d: a second subject wants out", s.Code, maxPackage)})
	case s.Code < minPackage && !isSmall:
		out = append(out, Violation{dir, fmt.Sprintf("%d lines of code, fewer than %d: join it with its user, or name it in small with the reason", s.Code, minPackage)})
	case s.Code >= minPackage && isSmall:
		out = append(out, Violation{dir, fmt.Sprintf("%d lines of code: no longer small (%s), take it out of small", s.Code, reason)})
	}
	return out
}

// moduleBudget reports what holds for the module as a whole.
func moduleBudget(s *Sizes) []Violation {
	var out []Violation
	if tail := s.Tail(); tail > maxTail {
		out = append(out, Violation{"module", fmt.Sprintf("one function in twenty has %d lines or more, the budget is %d", tail, maxTail)})
	}
	if share := s.CommentShare(); share < minComments || share > maxComments {
		out = append(out, Violation{"module", fmt.Sprintf("%.1f %% of the lines are comments, the budget is %d to %d", share, minComments, maxComments)})
	}
	if ratio := s.TestRatio(); ratio < minTests {
		out = append(out, Violation{"module", fmt.Sprintf("%.2f lines of test for a line of code, the budget is at least %.1f", ratio, minTests)})
	}
	return out
}

// tooLong reports a file, and its functions, over their limits.
func (f File) tooLong() []Violation {
	var out []Violation
	if n := strings.Count(string(f.Src), "\n"); n > maxFile {
		out = append(out, Violation{f.Path, fmt.Sprintf("%d lines, more than %d: a file has one subject", n, maxFile)})
	}
	if f.Test {
		return out
	}
	for _, decl := range f.AST.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		if n := length(f.Fset, fn); n > maxFunction {
			out = append(out, Violation{f.at(fn), fmt.Sprintf("%s has %d lines, more than %d", fn.Name.Name, n, maxFunction)})
		}
	}
	return out
}

// undocumented reports exported names without a comment of their own or of the
// group they stand in. Methods of unexported types count too: they are how an
// interface is met.
func (f File) undocumented() []Violation {
	if f.Test || f.AST.Name.Name == "main" {
		return nil
	}
	var out []Violation
	missing := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		has := slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil })
		if name.IsExported() && !has {
			out = append(out, Violation{f.at(name), name.Name + " is exported and not documented"})
		}
	}
	for _, decl := range f.AST.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			missing(d.Name, d.Doc)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					missing(s.Name, s.Doc, d.Doc)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						missing(name, s.Doc, s.Comment, d.Doc)
					}
				}
			}
		}
	}
	return out
}

// at is the file and line of a node.
func (f File) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, f.Fset.Position(n.Pos()).Line)
}

// length is the number of lines of a node.
func length(fset *token.FileSet, n ast.Node) int {
	return fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1
}

// countLines counts lines that hold code, and lines that hold comment alone. A
// line with both is code; blank ones are neither, except in a raw string.
func countLines(src []byte) (code, comments int) {
	const isCode, isComment = 1, 2
	kinds := map[int]int{}
	file := token.NewFileSet().AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue // the scanner's own
		}
		kind := isCode
		if tok == token.COMMENT {
			kind = isComment
		}
		first := file.Line(pos)
		for line := first; line <= first+strings.Count(lit, "\n"); line++ {
			kinds[line] |= kind
		}
	}
	for _, kind := range kinds {
		switch {
		case kind&isCode != 0:
			code++
		default:
			comments++
		}
	}
	return code, comments
}

// Longest lists the n longest functions outside tests, longest first, each as
// its length, place and name. Nothing is wrong with them; they are where to look.
func Longest(files []File, n int) []string {
	type entry struct {
		where string
		lines int
	}
	var all []entry
	for _, f := range files {
		for _, decl := range f.AST.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil && !f.Test {
				all = append(all, entry{f.at(fn) + " " + fn.Name.Name, length(f.Fset, fn)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.lines, a.lines) })
	out := make([]string, 0, n)
	for _, e := range all[:min(n, len(all))] {
		out = append(out, fmt.Sprintf("%3d %s", e.lines, e.where))
	}
	return out
}
