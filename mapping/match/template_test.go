package match

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestVarLength(t *testing.T) {
	for s, want := range map[string]int{
		"{a}":       3,
		"{site}-x":  6,
		"{a1_b}":    6,
		"":          0,
		"{":         0,
		"{}":        0,
		"{a":        0,
		"a{b}":      0, // only at the start
		"{A}":       0,
		"{1a}":      0,
		"{_a}":      0,
		"{a-b}":     0,
		"{aB}":      0,
		"{a }":      0,
		"{ä}":       0,
		"{{a}}":     0,
		"{a}{b}":    3,
		"{a\x00}":   0,
		"{site}}":   6,
		"{role} {r": 6,
	} {
		if got := VarLength(s); got != want {
			t.Errorf("VarLength(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestVars(t *testing.T) {
	for s, want := range map[string]string{
		"":                     "",
		"no variable {X} {}":   "",
		"Brand {brand} {role}": "brand role",
		"{a}{a}":               "a a",
		"{{a}}":                "a",
		"{a{b}":                "b",
	} {
		if got := strings.Join(Vars(s), " "); got != want {
			t.Errorf("Vars(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestTemplate_Match(t *testing.T) {
	for _, tc := range []struct{ key, name, want string }{
		{"{a}", "x", "a=x"},
		{"{a}", "", ""},
		{"{a}-{b}", "x-y-z", "a=x b=y-z"},
		{"{a}-{b}!", "x-y!z!", ""},
		{"{a}-{b}!", "x-y!", "a=x b=y"},
		{"p{a}s", "pps", ""}, // the capture would begin with what stands before it
		{"p{a}s", "pxs", "a=x"},
		{"p{a}s", "PXS", "a=X"},
		{"p{a}s", "pxsx", ""},
		{"p{a}s", "xpxs", ""},
		{"p{a}s", "ps", ""},
		{"K{a}ß", "\u212aÄẞ", "a=Ä"},
		{"x{a}\xff", "xb\xff", "a=b"},
		{"x{a}\xff", "xb\xfe", ""},
		{"{a}ab{b}", "xaab", ""}, // a ends at the first "a", and no "b" follows
		{"{a}ab{b}", "xabab", "a=x b=ab"},
		{"Brand {b} {r}", "brand Shop view", "b=Shop r=view"},
		{"Brand {b} {r}", "Brand My Shop view", "b=My r=Shop view"},
		{"Brand {b} {r}", "Brand  view", ""},
		{"{a} of {b}", "one of of two", "a=one b=of two"},
		{"x{n}y", "xx1y", ""},
		{"a{n}", "aab", "n=ab"}, // at the end a variable takes all the rest
	} {
		tmpl, err := newTemplate(tc.key)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := tmpl.match(tc.name, nil)
		if s := show(c); s != tc.want || ok != (tc.want != "") {
			t.Errorf("%q over %q: %q, want %q", tc.key, tc.name, s, tc.want)
		}
	}
}

// show writes captures as "a=x b=y".
func show(captures Captures) string {
	parts := make([]string, len(captures))
	for i, c := range captures {
		parts[i] = c.Var + "=" + c.Value
	}
	return strings.Join(parts, " ")
}

func TestTemplate_Errors(t *testing.T) {
	for key, want := range map[string]string{
		"{a}{b}":   "{b} follows {a} directly",
		"{a}-{a}":  "{a} occurs twice",
		"{a} {a}x": "{a} occurs twice",
		strings.Join([]string{"{a}", "{b}", "{c}", "{d}", "{e}", "{f}", "{g}", "{h}", "{i}"}, "-"): "more than 8 variables",
	} {
		if tmpl, err := newTemplate(key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", key, tmpl, err, want)
		}
	}
}

// drawTemplate draws a key with one to three variables and letters between them.
func drawTemplate(t *rapid.T) string {
	var b strings.Builder
	for _, v := range []string{"{a}", "{b}", "{c}"}[:rapid.IntRange(1, 3).Draw(t, "vars")] {
		if b.Len() > 0 {
			b.WriteString(rapid.StringMatching("[xXyÄ -]{1,2}").Draw(t, "between"))
		} else {
			b.WriteString(rapid.StringMatching("[xyß]{0,2}").Draw(t, "before"))
		}
		b.WriteString(v)
	}
	return b.String() + rapid.StringMatching("[xyz]{0,2}").Draw(t, "behind")
}

// A match takes the name apart and loses nothing, and no variable takes the
// characters beside it.
func TestTemplate_CapturesPutTheNameTogether(t *testing.T) {
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		key := drawTemplate(t)
		tmpl, err := newTemplate(key)
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		name := key
		for _, v := range tmpl.vars {
			name = strings.Replace(name, "{"+v+"}", rapid.StringMatching("[xyqÄ1 ]{0,3}").Draw(t, v), 1)
		}
		c, ok := tmpl.match(name, nil)
		if !ok {
			return
		}
		matched++
		again := key
		for i, v := range tmpl.vars {
			value := c.Get(v)
			if value == "" {
				t.Fatalf("%q over %q: {%s} took nothing", key, name, v)
			}
			again = strings.Replace(again, "{"+v+"}", value, 1)
			for _, r := range value {
				if r = foldRune(r); tmpl.right[i] != 0 && (r == tmpl.left[i] || r == tmpl.right[i]) {
					t.Fatalf("%q over %q: {%s} took a character that stands beside it: %q", key, name, v, value)
				}
			}
		}
		if Fold(again) != Fold(name) {
			t.Fatalf("%q over %q took %v, which makes %q", key, name, c, again)
		}
	})
	if matched < 5 {
		t.Errorf("only %d names matched: the test shows nothing", matched)
	}
}

func TestTemplate_MatchDoesNotAllocateWhenItFails(t *testing.T) {
	tmpl, err := newTemplate("Matomo-{site}-Viewers")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { tmpl.match("Matomo-12-Writers", nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCaptures_Get(t *testing.T) {
	c := Captures{{"a", "1"}, {"b", "2"}}
	got := []string{c.Get("a"), c.Get("b"), c.Get("c"), Captures(nil).Get("a")}
	if diff := cmp.Diff([]string{"1", "2", "", ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHideVars(t *testing.T) {
	for s, want := range map[string]string{"": "", "a{b}c": "a1c", "{a}-{b}{c}": "1-23", "{A}": "{A}"} {
		if got := hideVars(s, '1', 1); got != want {
			t.Errorf("hideVars(%q) = %q, want %q", s, got, want)
		}
	}
	if got := hideVars("{a}-{b}", 'x', 0); got != "x-x" {
		t.Errorf("without steps: %q", got)
	}
}
