package imports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSizeBudget prints the figures of this module (go test -v, make budget)
// and fails with everything that is over the budget.
func TestSizeBudget(t *testing.T) {
	files := module(t)
	sizes, violations := Budget(files)
	for _, dir := range slices.Sorted(maps.Keys(sizes)) {
		name := dir
		if name == "" {
			name = "module"
		}
		t.Logf("%-32s %s", name, sizes[dir])
	}
	t.Logf("longest functions:\n%s", strings.Join(Longest(files, 10), "\n"))
	for _, v := range violations {
		t.Error(v)
	}
}

// function is a function of n lines.
func function(name string, n int) string {
	if n == 1 {
		return "func " + name + "() {}\n"
	}
	return "func " + name + "() {\n" + strings.Repeat("\t_ = 0\n", n-2) + "}\n"
}

// sound is a package within every budget: 200 lines of code, 60 of comment.
func sound() map[string]string {
	var code, tests strings.Builder
	code.WriteString("// Package a is sound.\npackage a\n\n")
	for i := range 50 {
		fmt.Fprintf(&code, "// f%d is documented.\n%s\n", i, function(fmt.Sprintf("f%d", i), 4))
	}
	tests.WriteString("package a\n\n" + function("long", 250))
	return map[string]string{"a/a.go": code.String(), "a/a_test.go": tests.String()}
}

func TestBudget_Sound(t *testing.T) {
	sizes, got := Budget(tree(t, sound()))
	if len(got) != 0 {
		t.Fatalf("violations = %q, want none", texts(got))
	}
	want := &Sizes{Code: 201, Comments: 51, TestCode: 251, Functions: slices.Repeat([]int{4}, 50)}
	if diff := cmp.Diff(want, sizes["a"]); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, sizes[""]); diff != "" {
		t.Errorf("sizes of the module (-want +got):\n%s", diff)
	}
	if got, want := sizes["a"].String(), "code   201  comment 20.2 %  tests   251 (1.25)  functions   50, 95 of 100 within 4 lines"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

// Each case breaks one rule of a sound package.
func TestBudget_Refuses(t *testing.T) {
	for name, tc := range map[string]struct {
		path   string
		change func(text string) string
		want   []string
	}{
		"long file": {
			"a/a.go", func(s string) string { return s + strings.Repeat("\n", 300) },
			[]string{"a/a.go: 603 lines, more than 500: a file has one subject"},
		},
		"long test file": {
			"a/a_test.go", func(s string) string { return s + strings.Repeat("\n", 300) },
			[]string{"a/a_test.go: 552 lines, more than 500: a file has one subject"},
		},
		"long function": {
			"a/b.go", func(string) string { return "package a\n\n" + function("b", 121) },
			[]string{
				"a/b.go:3: b has 121 lines, more than 120",
				"module: 13.6 % of the lines are comments, the budget is 18 to 25",
				"module: 0.78 lines of test for a line of code, the budget is at least 1.2",
			},
		},
		"many long functions": {
			"a/b.go", func(string) string {
				return "package a\n\n" + function("b", 61) + function("c", 61) + function("d", 61) + strings.Repeat("// x\n", 45)
			},
			[]string{
				"module: one function in twenty has 61 lines or more, the budget is 60",
				"module: 0.65 lines of test for a line of code, the budget is at least 1.2",
			},
		},
		"no package comment": {
			"a/a.go", func(s string) string { return strings.TrimPrefix(s, "// Package a is sound.\n") },
			[]string{"a: no package comment: say what it holds and why it is apart"},
		},
		"small package": {
			"a/a.go", func(s string) string { return s[:strings.Index(s, "// f48")] },
			[]string{"a: 193 lines of code, fewer than 200: join it with its user, or name it in small with the reason"},
		},
		"few comments": {
			"a/a.go", func(s string) string { return s + function("b", 40) },
			[]string{
				"module: 17.5 % of the lines are comments, the budget is 18 to 25",
				"module: 1.04 lines of test for a line of code, the budget is at least 1.2",
			},
		},
		"much prose": {
			"a/a.go", func(s string) string { return s + strings.Repeat("// x\n", 30) },
			[]string{"module: 28.7 % of the lines are comments, the budget is 18 to 25"},
		},
		"few tests": {
			"a/a_test.go", func(s string) string { return strings.ReplaceAll(s, "\t_ = 0\n", "") },
			[]string{"module: 0.01 lines of test for a line of code, the budget is at least 1.2"},
		},
		"exported function": {
			"a/a.go", func(s string) string { return s + "\nfunc F() {}\n" },
			[]string{"a/a.go:305: F is exported and not documented"},
		},
		"exported method": {
			"a/a.go", func(s string) string { return s + "\ntype t int\n\nfunc (t) M() {}\n" },
			[]string{"a/a.go:307: M is exported and not documented"},
		},
		"exported type": {
			"a/a.go", func(s string) string { return s + "\ntype T int\n" },
			[]string{"a/a.go:305: T is exported and not documented"},
		},
		"exported values": {
			"a/a.go", func(s string) string { return s + "\nvar A, b, C int\n" },
			[]string{"a/a.go:305: A is exported and not documented", "a/a.go:305: C is exported and not documented"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := sound()
			files[tc.path] = tc.change(files[tc.path])
			_, got := Budget(tree(t, files))
			if diff := cmp.Diff(tc.want, texts(got)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBudget_DocumentedInAnyWay(t *testing.T) {
	files := sound()
	files["a/a.go"] += `
// Values of a group.
const (
	A = 1
	B = 2
)

const (
	C = 1 // at the end of its line
	// above it
	D = 2
)

// T is a type.
type T int

// M is a method.
func (T) M() {}
`
	files["a/a_test.go"] += "func TestX() {}\n" + function("more", 40)
	files["a/main/main.go"] = "// Package main exports nothing.\npackage main\n\nfunc Exported() {}\n"
	_, got := Budget(tree(t, files))
	want := []string{"a/main: 2 lines of code, fewer than 200: join it with its user, or name it in small with the reason"}
	if diff := cmp.Diff(want, texts(got)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestPackageBudget(t *testing.T) {
	const thin = "cmd/matomo-scim-bridge/internal/terminal"
	for name, tc := range map[string]struct {
		dir  string
		code int
		want []string
	}{
		"largest":          {"a", 1500, nil},
		"too large":        {"a", 1501, []string{"a: 1501 lines of code, more than 1500: a second subject wants out"}},
		"smallest":         {"a", 200, nil},
		"small for reason": {thin, 10, nil},
		"small no longer":  {thin, 200, []string{thin + ": 200 lines of code: no longer small (how commands look, apart from what they say), take it out of small"}},
	} {
		if diff := cmp.Diff(tc.want, texts(packageBudget(tc.dir, &Sizes{Code: tc.code}, true))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCountLines(t *testing.T) {
	for text, want := range map[string][2]int{
		"package a\n":                          {1, 0},
		"package a // x\n":                     {1, 0},
		"// x\npackage a\n":                    {1, 1},
		"package a\n\n/* x\n\ny */\n":          {1, 3},
		"package a\nvar s = `a\n// no\n\nb`\n": {5, 0},
		"package a\nvar a = 1; var b = 2\n":    {2, 0},
	} {
		code, comments := countLines([]byte(text))
		if code != want[0] || comments != want[1] {
			t.Errorf("%q: %d code, %d comment; want %d and %d", text, code, comments, want[0], want[1])
		}
	}
}

func TestSizes_Tail(t *testing.T) {
	for _, tc := range []struct {
		lengths []int
		want    int
	}{
		{nil, 0},
		{[]int{7}, 7},
		{append(slices.Repeat([]int{1}, 19), 90), 90},
		{append(slices.Repeat([]int{1}, 39), 90), 1},
	} {
		if got := (Sizes{Functions: tc.lengths}).Tail(); got != tc.want {
			t.Errorf("Tail of %d lengths = %d, want %d", len(tc.lengths), got, tc.want)
		}
	}
}

func TestLongest(t *testing.T) {
	files := tree(t, map[string]string{
		"a/a.go":      "package a\n\n" + function("short", 2) + function("long", 9),
		"a/b.go":      "package a\n\n" + function("middle", 5),
		"a/a_test.go": "package a\n\n" + function("test", 50),
	})
	want := []string{"  9 a/a.go:5 long", "  5 a/b.go:3 middle"}
	if diff := cmp.Diff(want, Longest(files, 2)); diff != "" {
		t.Errorf("Longest (-want +got):\n%s", diff)
	}
	if got := Longest(files, 9); len(got) != 3 {
		t.Errorf("Longest of more than there are = %q", got)
	}
}
