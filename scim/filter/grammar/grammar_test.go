package grammar_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/filter/grammar"
	"github.com/matomo-scim/bridge/scim/schema"
)

// cmpr is a comparison of any kind.
func cmpr(attr string, op grammar.Op, value any) grammar.Expr {
	return grammar.Compare{Path: grammar.Path{Attr: attr}, Op: op, Value: value}
}

// TestString holds the text of expressions: parentheses where the meaning needs them, and nowhere else.
func TestString(t *testing.T) {
	a, b, c := pr("a"), pr("b"), pr("c")
	for _, tc := range []struct {
		e    grammar.Expr
		want string
	}{
		{a, `a pr`},
		{grammar.And{L: a, R: b}, `a pr and b pr`},
		{grammar.Or{L: a, R: b}, `a pr or b pr`},
		{grammar.And{L: grammar.And{L: a, R: b}, R: c}, `a pr and b pr and c pr`},
		{grammar.And{L: a, R: grammar.And{L: b, R: c}}, `a pr and (b pr and c pr)`},
		{grammar.Or{L: grammar.Or{L: a, R: b}, R: c}, `a pr or b pr or c pr`},
		{grammar.Or{L: a, R: grammar.Or{L: b, R: c}}, `a pr or (b pr or c pr)`},
		{grammar.Or{L: a, R: grammar.And{L: b, R: c}}, `a pr or b pr and c pr`},
		{grammar.Or{L: grammar.And{L: a, R: b}, R: c}, `a pr and b pr or c pr`},
		{grammar.And{L: grammar.Or{L: a, R: b}, R: c}, `(a pr or b pr) and c pr`},
		{grammar.And{L: a, R: grammar.Or{L: b, R: c}}, `a pr and (b pr or c pr)`},
		{grammar.Not{X: a}, `not (a pr)`},
		{grammar.Not{X: grammar.Or{L: a, R: b}}, `not (a pr or b pr)`},
		{grammar.Not{X: grammar.Not{X: a}}, `not (not (a pr))`},
		{grammar.And{L: grammar.Not{X: a}, R: grammar.Not{X: b}}, `not (a pr) and not (b pr)`},
		{grammar.ValuePath{Path: grammar.Path{Attr: "e"}, Filter: grammar.Or{L: a, R: b}}, `e[a pr or b pr]`},
		{grammar.And{L: a, R: grammar.ValuePath{Path: grammar.Path{URN: "urn:x", Attr: "e"}, Filter: grammar.Not{X: b}}}, `a pr and urn:x:e[not (b pr)]`},
		{cmpr("a", grammar.Eq, "x"), `a eq "x"`},
		{cmpr("a", grammar.Ne, nil), `a ne null`},
		{cmpr("a", grammar.Ge, json.Number("-1.50")), `a ge -1.50`},
		{cmpr("a", grammar.Eq, true), `a eq true`},
		{cmpr("a", grammar.Eq, false), `a eq false`},
		{cmpr("a", grammar.Co, ""), `a co ""`},
		{cmpr("a", grammar.Sw, `"\/`), `a sw "\"\\/"`},
		{cmpr("a", grammar.Ew, "é😀\u2028"), "a ew \"é😀\u2028\""},
		{cmpr("a", grammar.Lt, "\x01\n\t\x1f"), `a lt "\u0001\u000a\u0009\u001f"`},
		{cmpr("a", grammar.Le, struct{}{}), `a le null`}, // no parser gives that
	} {
		if got := tc.e.String(); got != tc.want {
			t.Errorf("%s\nwant %s", got, tc.want)
		}
	}
}

// TestValueText compares the values that a comparison can have with what encoding/json reads.
func TestValueText(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune("aé😀\"\\/\n\x00\x01\x7f\u2028 ")))
	value := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }),
		rapid.SampledFrom([]any{true, false, nil, json.Number("0"), json.Number("1e-5"), json.Number("12345678901234567890")}),
	)
	rapid.Check(t, func(t *rapid.T) {
		want := value.Draw(t, "value")
		d := json.NewDecoder(strings.NewReader(grammar.ValueText(want)))
		d.UseNumber()
		var got any
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%s: %v", grammar.ValueText(want), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s:\n%s", grammar.ValueText(want), diff)
		}
	})
}

func TestPath_String(t *testing.T) {
	for want, p := range map[string]grammar.PatchPath{
		"a":                 {Path: grammar.Path{Attr: "a"}},
		"a.b":               {Path: grammar.Path{Attr: "a", Sub: "b"}},
		"urn:x:a":           {Path: grammar.Path{URN: "urn:x", Attr: "a"}},
		"urn:x:a.b":         {Path: grammar.Path{URN: "urn:x", Attr: "a", Sub: "b"}},
		"a[b pr]":           {Path: grammar.Path{Attr: "a"}, Filter: pr("b")},
		"a[b pr].c":         {Path: grammar.Path{Attr: "a", Sub: "c"}, Filter: pr("b")},
		`urn:x:a[b eq 1]`:   {Path: grammar.Path{URN: "urn:x", Attr: "a"}, Filter: eq("b", json.Number("1"))},
		"a[b pr or c pr].d": {Path: grammar.Path{Attr: "a", Sub: "d"}, Filter: grammar.Or{L: pr("b"), R: pr("c")}},
	} {
		if got := p.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestOptions_Limits checks each limit at its border: the last that is accepted and the first that is not.
func TestOptions_Limits(t *testing.T) {
	for _, tc := range []struct {
		name       string
		opt        grammar.Options
		fits, over string
		want       string
	}{
		{"length", grammar.Options{MaxLen: 6}, `aaa pr`, `aaaa pr`, "invalid filter at byte 6: longer than 6 bytes"},
		{"nodes of and", grammar.Options{MaxNodes: 3}, `a pr and b pr`, `a pr and b pr and c pr`, "invalid filter at byte 22: more than 3 expressions"},
		{"nodes of not", grammar.Options{MaxNodes: 2}, `not (a pr)`, `not (not (a pr))`, "invalid filter at byte 16: more than 2 expressions"},
		{"nodes of a value path", grammar.Options{MaxNodes: 2}, `a[b pr]`, `a[b pr] or c pr`, "more than 2 expressions"},
		{"parentheses", grammar.Options{MaxDepth: 2}, `((a pr))`, `(((a pr)))`, "invalid filter at byte 2: nested deeper than 2 levels"},
		{"brackets", grammar.Options{MaxDepth: 1}, `a[b pr]`, `(a[b pr])`, "nested deeper than 1 levels"},
		{"levels that were left", grammar.Options{MaxDepth: 1}, `(a pr) and b[c pr] and not (d pr)`, `(a pr) and not ((d pr))`, "nested deeper than 1 levels"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := grammar.Parse(tc.fits, tc.opt); err != nil {
				t.Errorf("%s: %v", tc.fits, err)
			}
			_, err := grammar.Parse(tc.over, tc.opt)
			wantError(t, err, schema.InvalidFilter, tc.want)
		})
	}
	t.Run("paths have them too", func(t *testing.T) {
		for _, tc := range []struct {
			opt      grammar.Options
			in, want string
		}{
			{grammar.Options{MaxLen: 4}, `abcde`, "invalid path at byte 4: longer than 4 bytes"},
			{grammar.Options{MaxNodes: 2}, `a[b pr and c pr]`, "invalid path at byte 15: more than 2 expressions"},
			{grammar.Options{MaxDepth: 1}, `a[(b pr)]`, "invalid path at byte 2: nested deeper than 1 levels"},
		} {
			_, err := grammar.ParsePath(tc.in, tc.opt)
			wantError(t, err, schema.InvalidPath, tc.want)
		}
	})
}

func TestOptions_Report(t *testing.T) {
	grammar.Options{}.Report(schema.FixUnquotedValue) // nobody listens
	var got []schema.Fixup
	opt := grammar.Options{Tolerant: true, OnFixup: func(k schema.Fixup) { got = append(got, k) }}
	if _, err := grammar.Parse(`a eq b or c eq d or e[f pr].g eq h`, opt); err != nil {
		t.Fatal(err)
	}
	want := []schema.Fixup{schema.FixUnquotedValue, schema.FixUnquotedValue, schema.FixUnquotedValue, schema.FixValuePathSuffix}
	if !slices.Equal(got, want) { // each time, for the caller counts each once
		t.Errorf("%v", got)
	}
}

// TestParsePath_Errors holds whole texts, which a client reads under the path it sent.
func TestParsePath_Errors(t *testing.T) {
	for in, want := range map[string]string{
		``:              "invalid path at byte 0: an attribute name is expected",
		` a`:            "invalid path at byte 0: an attribute name is expected",
		`a `:            "invalid path at byte 1: the end is expected",
		`a.`:            "invalid path at byte 0: a malformed attribute name",
		`a..b`:          "invalid path at byte 0: a malformed attribute name",
		`a[b pr`:        "invalid path at byte 6: a closing bracket is expected",
		`a[]`:           "invalid path at byte 2: an attribute name is expected",
		`a[b pr]c`:      "invalid path at byte 7: the end is expected",
		`a[b pr].`:      "invalid path at byte 8: a sub-attribute is expected",
		`a[b pr].1`:     "invalid path at byte 8: a sub-attribute is expected",
		`a[b pr].c.d`:   "invalid path at byte 8: a sub-attribute is expected",
		`a[b pr].c d`:   "invalid path at byte 9: the end is expected",
		`a.b[c pr]`:     "invalid path at byte 0: a value path is not possible here",
		`a[b[c pr]]`:    "invalid path at byte 2: a value path is not possible here",
		`a[urn:x:b pr]`: "invalid path at byte 2: a sub-attribute is expected",
		`a[b is "c"]`:   "invalid path at byte 4: an unknown operator",
		`a[b eq c]`:     "invalid path at byte 7: a value in quotes is expected",
		`a[b eq "c]`:    "invalid path at byte 10: a malformed string",
		`urn:x`:         "invalid path at byte 0: a malformed attribute name", // too short for a URN
		`x:y`:           "invalid path at byte 0: a malformed attribute name",
		"a\x00":         "invalid path at byte 1: a NUL",
		"a\xff":         "invalid path at byte 0: not valid UTF-8",
	} {
		_, err := grammar.ParsePath(in, grammar.Options{})
		wantError(t, err, schema.InvalidPath, want)
	}
}

// TestParse_AnyText checks on random sequences of tokens that the parser comes to an end, that errors point into the text, and that tolerant mode accepts all
// that strict mode accepts and reads it alike.
func TestParse_AnyText(t *testing.T) {
	token := rapid.SampledFrom([]string{
		"a", "emails", "urn:x:y", "a.b", "not", "and", "or", "pr", "eq", "co", "GT", "(", ")", "[", "]", `"x"`, `"\u00e9`, "1", "1.5e", "true", "null", " ", "  ", ".", ".value", "\n",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(token, 0, 12).Draw(t, "tokens"), rapid.SampledFrom([]string{"", " "}).Draw(t, "between"))
		exact, err := grammar.Parse(text, grammar.Options{})
		if err != nil {
			e, ok := errors.AsType[*schema.Error](err)
			if !ok || e.ScimType != schema.InvalidFilter || e.Path != "" {
				t.Fatalf("%q: %v", text, err)
			}
			at, _, _ := strings.Cut(strings.TrimPrefix(e.Detail, "invalid filter at byte "), ":")
			if n, err := strconv.Atoi(at); err != nil || n < 0 || n > len(text) {
				t.Fatalf("%q: %s points nowhere", text, e.Detail)
			}
			return
		}
		lax, err := grammar.Parse(text, tolerant)
		if err != nil {
			t.Fatalf("%q is refused in tolerant mode: %v", text, err)
		}
		if diff := cmp.Diff(exact, lax); diff != "" {
			t.Fatalf("%q is read in two ways:\n%s", text, diff)
		}
	})
}

// shape draws an expression without values, whose case would matter.
func shape(t *rapid.T, depth int) grammar.Expr {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 4).Draw(t, "kind")
	}
	switch kind {
	case 1:
		return grammar.And{L: shape(t, depth-1), R: shape(t, depth-1)}
	case 2:
		return grammar.Or{L: shape(t, depth-1), R: shape(t, depth-1)}
	case 3:
		return grammar.Not{X: shape(t, depth-1)}
	case 4:
		return grammar.ValuePath{Path: grammar.Path{Attr: "emails"}, Filter: grammar.Not{X: pr("type")}}
	default:
		return grammar.Present{Path: grammar.Path{
			Attr: rapid.SampledFrom([]string{"userName", "not", "and", "or", "pr"}).Draw(t, "name"), Sub: rapid.SampledFrom([]string{"", "value"}).Draw(t, "sub"),
		}}
	}
}

// TestParse_Spelling checks that blanks between the parts and the case of operators change nothing but the spelling of names, which is kept.
func TestParse_Spelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := shape(t, 4).String()
		blank := rapid.SampledFrom([]string{" ", "  ", "\t", " \n "}).Draw(t, "blank")
		odd := strings.Map(func(r rune) rune {
			if rapid.Bool().Draw(t, "upper") {
				return unicode.ToUpper(r)
			}
			return r
		}, strings.ReplaceAll(want, " ", blank))
		got, err := grammar.Parse(odd, grammar.Options{})
		if err != nil {
			t.Fatalf("%q: %v", odd, err)
		}
		if !strings.EqualFold(got.String(), want) {
			t.Fatalf("%q is read as %q", odd, got)
		}
	})
}

// TestParse_Literals holds that true, false and null have one spelling, as in JSON; everything else is a word.
func TestParse_Literals(t *testing.T) {
	for in, want := range map[string]any{"true": true, "false": false, "null": nil, "1": json.Number("1"), "-0.5E+3": json.Number("-0.5E+3")} {
		got, err := grammar.Parse("a eq "+in, grammar.Options{})
		if diff := cmp.Diff(eq("a", want), got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", in, err, diff)
		}
	}
	for _, in := range []string{"True", "NULL", "01", "+1", ".5", "1e999", "0x10", "Infinity", "-", "nullx"} {
		_, err := grammar.Parse("a eq "+in, grammar.Options{})
		wantError(t, err, schema.InvalidFilter, "invalid filter at byte 5: a value in quotes is expected")
		got, err := grammar.Parse("a eq "+in, tolerant)
		if diff := cmp.Diff(eq("a", in), got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", in, err, diff)
		}
	}
}
