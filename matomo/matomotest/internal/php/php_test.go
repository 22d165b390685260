package php_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

func parse(query string) php.Params {
	ps := php.Params{}
	ps.Parse(query, true)
	return ps
}

func array(pairs ...string) php.Param {
	p := php.Param{IsArray: true}
	for i := 0; i < len(pairs); i += 2 {
		p.Array = append(p.Array, php.Pair{Key: pairs[i], Value: pairs[i+1]})
	}
	return p
}

func TestParse(t *testing.T) {
	for query, want := range map[string]php.Params{
		"":                           {},
		"&&=x&":                      {},
		"a=1&b=2&a=3":                {"a": {Text: "3"}, "b": {Text: "2"}},
		"a":                          {"a": {}},
		"a=b=c":                      {"a": {Text: "b=c"}},
		"a=%20%09x%0a+&b=%C3%A4%2B+": {"a": {Text: "x"}, "b": {Text: "ä+"}},
		"a=100%&b=%zz&c=%4":          {"a": {Text: "100%"}, "b": {Text: "%zz"}, "c": {Text: "%4"}},
		"a[]=1&a[]=2":                {"a": array("0", "1", "1", "2")},
		"a%5B0%5D=1&a%5B1%5D=2":      {"a": array("0", "1", "1", "2")},
		"a[x]=1&a[y]=2&a[x]=3":       {"a": array("x", "3", "y", "2")},
		"a[5]=1&a[0]=2":              {"a": array("5", "1", "0", "2")},
		"a=1&a[]=2":                  {"a": array("0", "2")},
		"a[]=1&a=2":                  {"a": {Text: "2"}},
		"a[b][0]=1&a[b][1]=2":        {"a": array("b[0]", "1", "b[1]", "2")},
		"a[b][]=1&a[b][]=2":          {"a": array("b[]", "1", "b[]", "2")},
		"a[=1":                       {"a[": {Text: "1"}},
		"[x]=1":                      {"[x]": {Text: "1"}},
	} {
		if diff := cmp.Diff(want, parse(query)); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
	raw := php.Params{}
	raw.Parse("a=%41+b", false)
	if got := raw["a"].Text; got != "%41+b" {
		t.Errorf("without decoding: %q", got)
	}
}

func TestParse_MaxInputVars(t *testing.T) {
	query := strings.Repeat("&x[]=1", 999) + "&=nameless&last=kept&lost=1"
	ps := parse(query)
	if len(ps["x"].Array) != 999 || ps["last"].Text != "kept" || len(ps) != 2 {
		t.Errorf("%d elements and %d names, want 999 and the last before 1,000", len(ps["x"].Array), len(ps))
	}
}

// TestParse_ReadsForms: whatever net/url writes comes out again, trimmed.
func TestParse_ReadsForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.StringMatching(`[a-zA-Z_.]{1,8}`), rapid.String()).Draw(t, "form")
		form := url.Values{}
		for name, value := range want {
			form.Set(name, value)
			want[name] = strings.Trim(value, " \n\r\t\v\x00")
		}
		got := map[string]string{}
		for name, p := range parse(form.Encode()) {
			got[name] = p.Text
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("a[b][]=1&c=%")
	f.Add("urls[0]=method%3Dx%26y&token_auth=1")
	f.Fuzz(func(t *testing.T, query string) {
		vars := 0
		for name, p := range parse(query) {
			vars += max(1, len(p.Array))
			if name == "" {
				t.Error("a parameter without a name")
			}
			if p.IsArray == (len(p.Array) == 0) || (p.IsArray && p.Text != "") {
				t.Errorf("%q is half an array: %+v", name, p)
			}
		}
		if vars > php.MaxInputVars {
			t.Errorf("%d variables", vars)
		}
	})
}

func TestURLDecode_AsNetURL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if got := php.URLDecode(url.QueryEscape(s)); got != s {
			t.Fatalf("%q came back as %q", s, got)
		}
	})
}

func TestParam(t *testing.T) {
	for _, tc := range []struct {
		param       php.Param
		texts       []string
		empty, true bool
		number      int
	}{
		{php.Param{}, []string{""}, true, false, -7},
		{php.Param{Text: "0"}, []string{"0"}, false, false, 0},
		{php.Param{Text: "false"}, []string{"false"}, false, true, -7},
		{php.Param{Text: "12"}, []string{"12"}, false, true, 12},
		{php.Param{Text: "-1"}, []string{"-1"}, false, true, -1},
		{array(), []string{}, false, true, -7},
		{array("0", "5", "x", "6"), []string{"5", "6"}, false, true, -7},
	} {
		p := tc.param
		if !slices.Equal(p.Texts(), tc.texts) || p.Empty() != tc.empty || p.True() != tc.true || p.Int(-7) != tc.number {
			t.Errorf("%+v: %v, empty %v, true %v, %d", p, p.Texts(), p.Empty(), p.True(), p.Int(-7))
		}
	}
}

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":              `""`,
		`a"b\c/d`:       `"a\"b\\c\/d"`,
		"\b\f\n\r\t":    `"\b\f\n\r\t"`,
		"\x00\x1f\x7f":  "\"\\u0000\\u001f\x7f\"",
		"Größe":         `"Gr\u00f6\u00dfe"`,
		"日本":            `"\u65e5\u672c"`,
		"😀":             `"\ud83d\ude00"`,
		"<a href='x'>&": `"<a href='x'>&"`,
	} {
		if got := string(php.AppendString(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// TestAppendString_IsJSON: a JSON decoder reads every text back, broken UTF-8 as
// the replacement character, and nothing but ASCII is written.
func TestAppendString_IsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		out := php.AppendString([]byte("x"), in)
		var back string
		if err := json.Unmarshal(out[1:], &back); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := strings.ToValidUTF8(in, "\ufffd"); back != want && !strings.Contains(back, "\ufffd") {
			t.Fatalf("%q came back as %q", in, back)
		}
		for _, ch := range out {
			if ch >= 0x80 {
				t.Fatalf("not ASCII: %q", out)
			}
		}
	})
}

func TestAppendObject(t *testing.T) {
	got := php.AppendObject([]byte("["), func(o *php.Object) {
		o.Set("text", "a/b", "yes", true, "number", -5, "nothing", nil, "texts", []string{"x", "y"}, "numbers", []int{1, 2}, "none", []string{})
		o.Key("inner")
		o.B = php.AppendObject(o.B, func(*php.Object) {})
		o.Set("float", 1.5, "half a pair")
	})
	want := `[{"text":"a\/b","yes":true,"number":-5,"nothing":null,"texts":["x","y"],"numbers":[1,2],"none":[],"inner":{},"float":"1.5"}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestSlice compares with a list that is sliced the way PHP's manual says.
func TestSlice(t *testing.T) {
	for _, tc := range []struct{ n, limit, offset, from, to int }{
		{10, -1, 0, 0, 10},
		{10, 100, 0, 0, 10},
		{10, 3, 0, 0, 3},
		{10, 3, 2, 2, 5},
		{10, 3, 9, 9, 10},
		{10, 3, 10, 10, 10},
		{10, 3, 99, 10, 10},
		{10, 0, 0, 0, 0},
		{10, -1, 2, 2, 9},
		{10, -1, 9, 9, 9},
		{10, -20, 3, 3, 3},
		{10, 3, -5, 0, 3},
		{0, 3, 0, 0, 0},
		{0, -1, 1, 0, 0},
	} {
		if from, to := php.Slice(tc.n, tc.limit, tc.offset); from != tc.from || to != tc.to {
			t.Errorf("Slice(%d, %d, %d) = %d, %d, want %d, %d", tc.n, tc.limit, tc.offset, from, to, tc.from, tc.to)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.IntRange(-12, 12)
		n := rapid.IntRange(0, 10).Draw(t, "n")
		from, to := php.Slice(n, small.Draw(t, "limit"), small.Draw(t, "offset"))
		if from < 0 || to < from || to > n {
			t.Fatalf("%d to %d of %d", from, to, n)
		}
	})
}

func TestNumbers(t *testing.T) {
	for s, want := range map[string][2]bool{ // numeric, integer
		"7": {true, true}, "1234": {true, true}, "-3": {true, true}, "007": {true, false}, "1.5": {true, false}, "1e3": {true, false},
		"": {false, false}, "alice": {false, false}, "0x1f": {false, false}, "inf": {false, false}, "NaN": {false, false}, "1_000": {false, false}, "7up": {false, false},
	} {
		if got := [2]bool{php.Numeric(s), php.Integer(s)}; got != want {
			t.Errorf("%q: numeric and integer %v, want %v", s, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"alice", "ALICE", "álice", "ÀLICÊ"},
		{"müller", "MULLER", "Mu\u0308ller"},
		{"Größe", "grose"},
		{"ẞ", "s"},
		{"a@b.test", "A@B.TEST"},
	} {
		for _, s := range same {
			if !php.SameText(s, same[0]) {
				t.Errorf("%q and %q should be the same", s, same[0])
			}
		}
	}
	for _, other := range [][2]string{{"alice", "alicia"}, {"a.b", "ab"}, {"a_b", "a-b"}, {"größe", "grosse"}} {
		if php.SameText(other[0], other[1]) {
			t.Errorf("%q and %q should differ", other[0], other[1])
		}
	}
	// In the order of the recordings.
	sorted := []string{"123", "a1mail", "ab", "alice", "anonymous", "ÄÖÜ", "at@user.test", "bob", "dash-user", "dave", "g4", "Größe", "inv1", "müller", "Ö1", "plus+user", "space", "under_score", "UPPERcase"}
	shuffled := slices.Clone(sorted)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, func(a, b string) int { return strings.Compare(php.Fold(a), php.Fold(b)) })
	if diff := cmp.Diff(sorted, shuffled); diff != "" {
		t.Error(diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if once := php.Fold(s); php.Fold(once) != once {
			t.Fatalf("folding %q again changes it: %q, %q", s, once, php.Fold(once))
		}
	})
}

func ExampleEscapeHTML() {
	fmt.Println(php.EscapeHTML(`<o'brien> & "co"`))
	// Output: &lt;o'brien&gt; &amp; &quot;co&quot;
}
