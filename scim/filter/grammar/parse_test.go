package grammar_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/filter/grammar"
	"github.com/matomo-scim/bridge/scim/schema"
)

const (
	coreURN = "urn:ietf:params:scim:schemas:core:2.0:User"
	entURN  = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

var tolerant = grammar.Options{Tolerant: true}

// eq is a comparison with a plain attribute.
func eq(attr string, value any) grammar.Expr {
	return grammar.Compare{Path: grammar.Path{Attr: attr}, Op: grammar.Eq, Value: value}
}

func pr(attr string) grammar.Expr { return grammar.Present{Path: grammar.Path{Attr: attr}} }

func wantError(t testing.TB, err error, scimType, contains string) {
	t.Helper()
	var e *schema.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *schema.Error", err)
	}
	if e.ScimType != scimType || !strings.Contains(e.Error(), contains) {
		t.Errorf("%s %q, want %s %q", e.ScimType, e.Error(), scimType, contains)
	}
}

func TestParse(t *testing.T) {
	name := func(sub string) grammar.Path { return grammar.Path{Attr: "name", Sub: sub} }
	for _, tc := range []struct {
		name, in string
		want     grammar.Expr
	}{
		{"F01 eq", `userName eq "ada"`, eq("userName", "ada")},
		{"F04 every comparison", `a sw "x"`, grammar.Compare{Path: grammar.Path{Attr: "a"}, Op: grammar.Sw, Value: "x"}},
		{"F06 pr", `title pr`, pr("title")},
		{"F07 not", `not (title pr)`, grammar.Not{X: pr("title")}},
		{"not without a blank, any case", `NOT(title pr)`, grammar.Not{X: pr("title")}},
		{"F12 and before or", `a pr or b pr and c pr`, grammar.Or{L: pr("a"), R: grammar.And{L: pr("b"), R: pr("c")}}},
		{"F12 and before or, other side", `a pr and b pr or c pr`, grammar.Or{L: grammar.And{L: pr("a"), R: pr("b")}, R: pr("c")}},
		{"same operators group to the left", `a pr and b pr and c pr`, grammar.And{L: grammar.And{L: pr("a"), R: pr("b")}, R: pr("c")}},
		{"F13 grouping", `(a pr or b pr) and c pr`, grammar.And{L: grammar.Or{L: pr("a"), R: pr("b")}, R: pr("c")}},
		{"F14 not with a group", `not (a pr or b pr)`, grammar.Not{X: grammar.Or{L: pr("a"), R: pr("b")}}},
		{"not binds tighter than and", `not (a pr) and b pr`, grammar.And{L: grammar.Not{X: pr("a")}, R: pr("b")}},
		{"F15 value path", `emails[type eq "work" and value co "@y"]`, grammar.ValuePath{
			Path:   grammar.Path{Attr: "emails"},
			Filter: grammar.And{L: eq("type", "work"), R: grammar.Compare{Path: grammar.Path{Attr: "value"}, Op: grammar.Co, Value: "@y"}},
		}},
		{"value path with blanks", `emails[ type eq "work" ] and a pr`, grammar.And{
			L: grammar.ValuePath{Path: grammar.Path{Attr: "emails"}, Filter: eq("type", "work")}, R: pr("a"),
		}},
		{"value path with not and or", `emails[not (type pr) or primary eq true]`, grammar.ValuePath{
			Path: grammar.Path{Attr: "emails"}, Filter: grammar.Or{L: grammar.Not{X: pr("type")}, R: eq("primary", true)},
		}},
		{"F18 operators in any case", `name.familyName EQ "Z" AND title Pr`, grammar.And{
			L: grammar.Compare{Path: name("familyName"), Op: grammar.Eq, Value: "Z"}, R: pr("title"),
		}},
		{"F19 names as written", `NAME.FAMILYNAME eq "Z"`, grammar.Compare{Path: grammar.Path{Attr: "NAME", Sub: "FAMILYNAME"}, Op: grammar.Eq, Value: "Z"}},
		{"F23 URN", coreURN + `:name.familyName eq "Z"`, grammar.Compare{
			Path: grammar.Path{URN: coreURN, Attr: "name", Sub: "familyName"}, Op: grammar.Eq, Value: "Z",
		}},
		{"F24 extension", entURN + `:department pr`, grammar.Present{Path: grammar.Path{URN: entURN, Attr: "department"}}},
		{"F26 boolean", `active eq false`, eq("active", false)},
		{"F27 escapes", `title eq "Sa\"y \\ \u00e9 \/"`, eq("title", `Sa"y \ é /`)},
		{"null", `title eq null`, eq("title", nil)},
		{"numbers", `a eq -1.5e3`, eq("a", json.Number("-1.5e3"))},
		{"brackets and keywords inside text", `a eq ") and (b[ or "`, eq("a", `) and (b[ or `)},
		{"F38 nested deep", `((((a pr))))`, pr("a")},
		{"blanks everywhere", "  ( \t a   pr ) \n", pr("a")},
		{"no blank around parentheses", `(a pr)and(b pr)`, grammar.And{L: pr("a"), R: pr("b")}},
		{"names that look like keywords", `not pr and and pr or or eq "or"`, grammar.Or{
			L: grammar.And{L: pr("not"), R: pr("and")}, R: eq("or", "or"),
		}},
		{"$ref", `members.$ref pr`, grammar.Present{Path: grammar.Path{Attr: "members", Sub: "$ref"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := grammar.Parse(tc.in, grammar.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Parse(%s) (-want +got):\n%s", tc.in, diff)
			}
			again, err := grammar.Parse(got.String(), grammar.Options{})
			if err != nil {
				t.Fatalf("%q does not parse: %v", got.String(), err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("round trip through %q:\n%s", got.String(), diff)
			}
		})
	}
}

// TestParse_Tolerant holds what is read in tolerant mode only.
func TestParse_Tolerant(t *testing.T) {
	work := func(op grammar.Op) grammar.Expr {
		return grammar.ValuePath{Path: grammar.Path{Attr: "emails"}, Filter: grammar.And{
			L: eq("type", "work"), R: grammar.Compare{Path: grammar.Path{Attr: "value"}, Op: op, Value: "x"},
		}}
	}
	for _, tc := range []struct {
		name, in string
		want     grammar.Expr
		fixup    schema.Fixup
	}{
		{"word", `userName eq ada`, eq("userName", "ada"), schema.FixUnquotedValue},
		{"address", `(userName eq ada@example.com)`, eq("userName", "ada@example.com"), schema.FixUnquotedValue},
		{"id that begins like a number", `id eq 2819c223-7f76`, eq("id", "2819c223-7f76"), schema.FixUnquotedValue},
		{"True is a word", `active eq True`, eq("active", "True"), schema.FixUnquotedValue},
		{"apostrophe within", `userName eq o'brien@example.com`, eq("userName", "o'brien@example.com"), schema.FixUnquotedValue},
		{"number no float64 holds", `id eq 1e999`, eq("id", "1e999"), schema.FixUnquotedValue},
		{"in brackets", `members[value eq 12-34]`, grammar.ValuePath{Path: grammar.Path{Attr: "members"}, Filter: eq("value", "12-34")}, schema.FixUnquotedValue},
		{"F34 Entra", `emails[type eq "work"].value eq "x"`, work(grammar.Eq), schema.FixValuePathSuffix},
		{"F34 other operators", `emails[type eq "work"].value co "x"`, work(grammar.Co), schema.FixValuePathSuffix},
		{"F34 in a larger filter", `emails[type eq "work"].value eq "x" and a pr`, grammar.And{L: work(grammar.Eq), R: pr("a")}, schema.FixValuePathSuffix},
		{"F34 pr", `emails[type eq "work"].value pr`, grammar.ValuePath{
			Path: grammar.Path{Attr: "emails"}, Filter: grammar.And{L: eq("type", "work"), R: pr("value")},
		}, schema.FixValuePathSuffix},
		{"F34 after or", `emails[type eq "work" or primary eq true].value eq "x"`, grammar.ValuePath{
			Path:   grammar.Path{Attr: "emails"},
			Filter: grammar.And{L: grammar.Or{L: eq("type", "work"), R: eq("primary", true)}, R: eq("value", "x")},
		}, schema.FixValuePathSuffix},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var fixups schema.Fixups
			opt := grammar.Options{Tolerant: true, OnFixup: func(k schema.Fixup) { fixups.Add(k) }}
			got, err := grammar.Parse(tc.in, opt)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !slices.Equal(fixups, schema.Fixups{tc.fixup}) {
				t.Errorf("fixups %v, want %v", fixups, tc.fixup)
			}
			if _, err := grammar.Parse(got.String(), grammar.Options{}); err != nil {
				t.Errorf("the text %q is not of the RFC: %v", got.String(), err)
			}
			_, err = grammar.Parse(tc.in, grammar.Options{})
			wantError(t, err, schema.InvalidFilter, "byte")
		})
	}
}

// TestParse_F30 holds that what is no filter is an invalidFilter that says where.
func TestParse_F30(t *testing.T) {
	for _, tc := range []struct{ name, in, contains string }{
		{"nothing", ``, "byte 0: an attribute name"},
		{"blanks", `  `, "byte 2: an attribute name"},
		{"name alone", `userName`, "byte 8: an operator is expected"},
		{"no value", `userName eq`, "byte 11: a blank and a value"},
		{"no value after a blank", `userName eq `, "byte 12: a value is expected"},
		{"unknown operator", `userName is "a"`, "byte 9: an unknown operator"},
		{"value without a blank", `userName eq"a"`, "byte 11: a blank"},
		{"something after the value", `a eq "b"c`, "byte 8: a blank"},
		{"something after pr", `a pr "b"`, "byte 5: and, or or the end"},
		{"two comparisons", `a pr b pr`, "byte 5: and, or or the end"},
		{"and at the end", `a pr and`, "byte 8: an attribute name"},
		{"and at the start", `and a pr`, "byte 4: an unknown operator"},
		{"open parenthesis", `(a pr`, "byte 5: a closing parenthesis"},
		{"closing parenthesis", `a pr)`, "byte 4: and, or or the end"},
		{"empty parentheses", `()`, "byte 1: an attribute name"},
		{"not without parentheses", `not a pr`, "byte 4: an unknown operator"},
		{"open bracket", `emails[type pr`, "byte 14: a closing bracket"},
		{"closing bracket", `emails]`, "byte 6: an operator"},
		{"empty brackets", `emails[]`, "byte 7: an attribute name"},
		{"brackets in brackets", `a[b[c pr]]`, "byte 2: a value path is not possible"},
		{"brackets behind a sub-attribute", `a.b[c pr]`, "byte 0: a value path is not possible"},
		{"URN in brackets", `emails[` + coreURN + `:type pr]`, "byte 7: a sub-attribute"},
		{"parenthesis across a bracket", `emails[(type pr])`, "a closing parenthesis"},
		{"string without end", `a eq "b`, "byte 7: a malformed string"},
		{"escape nobody knows", `a eq "b\x"`, "byte 7: a malformed string"},
		{"lone surrogate", `a eq "\ud800"`, "malformed string"},
		{"list", `a eq [1]`, "a value is expected"},
		{"object", `a eq {"b":1}`, "quotes"},
		{"three parts", `a.b.c pr`, "byte 0: a malformed attribute name"},
		{"dot at the end", `a. pr`, "malformed attribute name"},
		{"dot at the start", `.a pr`, "malformed attribute name"},
		{"digit at the start", `1a pr`, "malformed attribute name"},
		{"percent", `a%20pr`, "malformed attribute name"},
		{"not ASCII", `ä pr`, "malformed attribute name"},
		{"colon without urn", `x:y pr`, "malformed attribute name"},
		{"URN without a name", `urn:a: pr`, "malformed attribute name"},
		{"URN with an empty part", `urn::a pr`, "malformed attribute name"},
		{"quotes around everything", `"userName" eq "a"`, "byte 0: an attribute name"},
		{"equals sign", `userName="a"`, "malformed attribute name"},
		{"invalid UTF-8", "a eq \"\xff\"", "not valid UTF-8"},
		{"NUL", "a eq \"\x00\"", "byte 6: a NUL"},
		{"suffix without name", `emails[type pr]. eq "x"`, "a sub-attribute is expected"},
		{"suffix without operator", `emails[type pr].value`, "an operator is expected"},
		{"single quotes", `userName eq 'ada'`, "byte 12: a value in quotes"},
		{"text in the middle of a word", `a eq b"c"`, "quotes"},
	} {
		for mode, opt := range map[string]grammar.Options{"strict": {}, "tolerant": tolerant} {
			if mode == "strict" && strings.HasPrefix(tc.name, "suffix") || mode == "tolerant" && tc.name == "object" {
				continue
			}
			t.Run(tc.name+"/"+mode, func(t *testing.T) {
				_, err := grammar.Parse(tc.in, opt)
				wantError(t, err, schema.InvalidFilter, tc.contains)
			})
		}
	}
}

func TestParse_Limits(t *testing.T) {
	or := func(n int) string { return strings.TrimSuffix(strings.Repeat("a pr or ", n), " or ") }
	nest := func(n int) string { return strings.Repeat("(", n) + "a pr" + strings.Repeat(")", n) }
	for _, tc := range []struct {
		name, in, contains string
		opt                grammar.Options
	}{
		{"M06 10000 parentheses", nest(10000), "longer than 16384 bytes", grammar.Options{}},
		{"M06 8000 parentheses", nest(8000), "deeper than 32 levels", grammar.Options{}},
		{"32 levels", nest(32), "", grammar.Options{}},
		{"33 levels", nest(33), "deeper than 32 levels", grammar.Options{}},
		{"nots count", strings.Repeat("not (", 33) + "a pr" + strings.Repeat(")", 33), "deeper", grammar.Options{}},
		{"brackets count", `((a[b pr]))`, "deeper than 2", grammar.Options{MaxDepth: 2}},
		{"levels side by side do not add up", strings.TrimSuffix(strings.Repeat("(a pr) or ", 100), " or "), "", grammar.Options{}},
		{"250 names", or(250), "", grammar.Options{}},
		{"251 names", or(251), "more than 500 expressions", grammar.Options{}},
		{"few names", or(3), "more than 4 expressions", grammar.Options{MaxNodes: 4}},
		{"short", `a eq "0123456789"`, "longer than 10 bytes", grammar.Options{MaxLen: 10}},
		{"1 MB of text", `a eq "` + strings.Repeat("x", 1<<20) + `"`, "longer", grammar.Options{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := grammar.Parse(tc.in, tc.opt)
			if tc.contains != "" {
				wantError(t, err, schema.InvalidFilter, tc.contains)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParsePath(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want grammar.PatchPath
	}{
		{`members`, grammar.PatchPath{Path: grammar.Path{Attr: "members"}}},
		{`name.familyName`, grammar.PatchPath{Path: grammar.Path{Attr: "name", Sub: "familyName"}}},
		{`members[value eq "1"]`, grammar.PatchPath{Path: grammar.Path{Attr: "members"}, Filter: eq("value", "1")}},
		{`emails[type eq "work"].value`, grammar.PatchPath{Path: grammar.Path{Attr: "emails", Sub: "value"}, Filter: eq("type", "work")}},
		{`emails[type eq "work" and primary eq true].value`, grammar.PatchPath{
			Path: grammar.Path{Attr: "emails", Sub: "value"}, Filter: grammar.And{L: eq("type", "work"), R: eq("primary", true)},
		}},
		{entURN + `:department`, grammar.PatchPath{Path: grammar.Path{URN: entURN, Attr: "department"}}},
		{entURN + `:manager.value`, grammar.PatchPath{Path: grammar.Path{URN: entURN, Attr: "manager", Sub: "value"}}},
		{entURN, grammar.PatchPath{Path: grammar.Path{URN: entURN[:len(entURN)-5], Attr: "User"}}},
		{`urn:example:custom:1.0`, grammar.PatchPath{Path: grammar.Path{URN: "urn:example:custom", Attr: "1", Sub: "0"}}},
		{coreURN + `:emails[type pr].display`, grammar.PatchPath{Path: grammar.Path{URN: coreURN, Attr: "emails", Sub: "display"}, Filter: pr("type")}},
	} {
		t.Run(tc.in, func(t *testing.T) {
			got, err := grammar.ParsePath(tc.in, grammar.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.String() != tc.in {
				t.Errorf("String() = %q", got.String())
			}
		})
	}
}

// TestParsePath_PA24 holds that a malformed path is an invalidPath.
func TestParsePath_PA24(t *testing.T) {
	for _, in := range []string{
		``, ` `, ` userName`, `userName `, `.a`, `a.`, `a..b`, `a.b.c`, `emails[`, `emails[]`, `emails[type eq "work"`, `emails[type eq "work"]value`,
		`emails[type eq "work"].`, `emails[type eq "work"].a.b`, `emails[type eq "work"].value eq "x"`, `emails[type eq "work"][value pr]`,
		`emails.value[type pr]`, `emails[type eq 'work'].value`, `emails[type ist "x"]`, `emails[a[b pr]]`, `a b`, `a and b`, `(a)`, `"a"`, `a]`, `x:y`, `urn:x:`, `1`, "a\x00", "\xff",
		strings.Repeat("a", 20000), `a[` + strings.Repeat("(", 100),
	} {
		if _, err := grammar.ParsePath(in, tolerant); err == nil {
			t.Errorf("ParsePath(%.40q) is accepted", in)
		} else {
			wantError(t, err, schema.InvalidPath, "invalid path at byte")
		}
	}
}

// exprs draws expressions of any shape.
func exprs() *rapid.Generator[grammar.Expr] {
	names := rapid.SampledFrom([]string{"a", "userName", "not", "and", "or", "pr", "x-1_y", "$ref"})
	path := rapid.Custom(func(t *rapid.T) grammar.Path {
		return grammar.Path{
			URN:  rapid.SampledFrom([]string{"", "", coreURN, "urn:x:1.0"}).Draw(t, "urn"),
			Attr: names.Draw(t, "attr"), Sub: rapid.SampledFrom([]string{"", "", "value", "b"}).Draw(t, "sub"),
		}
	})
	simple := func(p *rapid.Generator[grammar.Path]) *rapid.Generator[grammar.Expr] {
		value := rapid.OneOf(
			rapid.Map(rapid.StringOf(rapid.RuneFrom([]rune("aä\"\\\n\x01 ()[]😀"))), func(s string) any { return s }),
			rapid.SampledFrom([]any{true, false, nil, json.Number("1"), json.Number("-2.5e3")}),
		)
		return rapid.Custom(func(t *rapid.T) grammar.Expr {
			if rapid.Bool().Draw(t, "present") {
				return grammar.Present{Path: p.Draw(t, "path")}
			}
			op := rapid.SampledFrom([]grammar.Op{grammar.Eq, grammar.Ne, grammar.Co, grammar.Sw, grammar.Ew, grammar.Gt, grammar.Ge, grammar.Lt, grammar.Le})
			return grammar.Compare{Path: p.Draw(t, "path"), Op: op.Draw(t, "op"), Value: value.Draw(t, "value")}
		})
	}
	var combine func(leaf *rapid.Generator[grammar.Expr], depth int) *rapid.Generator[grammar.Expr]
	combine = func(leaf *rapid.Generator[grammar.Expr], depth int) *rapid.Generator[grammar.Expr] {
		if depth == 0 {
			return leaf
		}
		return rapid.Custom(func(t *rapid.T) grammar.Expr {
			below := combine(leaf, depth-1)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return grammar.And{L: below.Draw(t, "l"), R: below.Draw(t, "r")}
			case 1:
				return grammar.Or{L: below.Draw(t, "l"), R: below.Draw(t, "r")}
			case 2:
				return grammar.Not{X: below.Draw(t, "x")}
			default:
				return leaf.Draw(t, "leaf")
			}
		})
	}
	sub := rapid.Map(names, func(n string) grammar.Path { return grammar.Path{Attr: n} })
	valuePath := rapid.Custom(func(t *rapid.T) grammar.Expr {
		p := path.Draw(t, "path")
		p.Sub = ""
		return grammar.ValuePath{Path: p, Filter: combine(simple(sub), 2).Draw(t, "filter")}
	})
	return combine(rapid.OneOf(simple(path), valuePath), 4)
}

// TestRoundTrip checks that the text of any expression, also of one no parser made, reads as the same expression.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := exprs().Draw(t, "expr")
		got, err := grammar.Parse(e.String(), grammar.Options{MaxNodes: 10000, MaxLen: 1 << 20, MaxDepth: 100})
		if err != nil {
			t.Fatalf("%q: %v", e.String(), err)
		}
		if diff := cmp.Diff(e, got); diff != "" {
			t.Fatalf("%q:\n%s", e.String(), diff)
		}
	})
}

// FuzzParse checks that every accepted text has a printed form of the RFC's grammar that means the same, and that every error is an invalidFilter.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`userName eq "a"`, `a pr and (b gt 1 or not (c.d sw "\u00e9"))`, `emails[type eq "work"].value eq "x"`, entURN + `:manager.value ne null`,
		`members[value eq 12-34 or $ref pr]`, `not(a pr)or b eq true`, `a eq True`, `meta.created le "2015-10-10T14:38:21.8617979-07:00"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := grammar.Parse(s, tolerant)
		if err != nil {
			wantError(t, err, schema.InvalidFilter, "")
			return
		}
		again, err := grammar.Parse(e.String(), grammar.Options{MaxLen: 1 << 20, MaxNodes: 1 << 20, MaxDepth: 1 << 20})
		if err != nil {
			t.Fatalf("%q gives %q: %v", s, e.String(), err)
		}
		if !reflect.DeepEqual(e, again) {
			t.Fatalf("%q gives %q, which gives %q", s, e, again)
		}
	})
}

// FuzzParsePath checks that every accepted path has a printed form that means the same.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{`members[value eq "1"]`, `name.familyName`, entURN, entURN + `:manager.$ref`, `emails[type eq work and primary eq "True"].value`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := grammar.ParsePath(s, tolerant)
		if err != nil {
			wantError(t, err, schema.InvalidPath, "")
			return
		}
		again, err := grammar.ParsePath(p.String(), grammar.Options{MaxLen: 1 << 20})
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%q gives %q: %v, %v", s, p.String(), again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := grammar.Parse(`userName eq "ada@example.com" and active eq true`, tolerant); err != nil {
			b.Fatal(err)
		}
	}
}
