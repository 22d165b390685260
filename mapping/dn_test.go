package mapping

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The short way to a DN's key must agree with the parser wherever it answers.
func TestDNKey_PlainFormAgreesWithTheParser(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`[a-zA-Z][a-z0-9-]{0,3}=[a-zA-Z0-9][a-zA-Z0-9 _.-]{0,4}(,[a-z]{1,3}=[A-Z0-9 =+_.-]{1,4}){0,2}`),
			rapid.StringMatching(`[a-zA-C0-9=,+ ;\\#"._-]{0,24}`),
		).Draw(t, "dn")
		short, ok := appendPlainDNKey(nil, s)
		if !ok {
			return
		}
		plain++
		rdns, ok := parseDNFully(s)
		if !ok {
			t.Fatalf("%q is no DN, but has the key %q", s, short)
		}
		var long []string
		for _, rdn := range rdns {
			long = append(long, rdn[0].typ+"="+fold(rdn[0].value))
		}
		quick, ok := parsePlainDN(s)
		if !ok || !slices.EqualFunc(quick, rdns, slices.Equal[[]attribute]) {
			t.Fatalf("%q is %v the short way and %v the long way", s, quick, rdns)
		}
		if want := strings.Join(long, ","); string(short) != want {
			t.Fatalf("%q has the key %q, want %q", s, short, want)
		}
	})
	if plain < 10 {
		t.Errorf("only %d of the names were plain: the test shows nothing", plain)
	}
}

func TestDNKey_DifferentNamesHaveDifferentKeys(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{
		`cn=a`, `cn=a,cn=b`, `cn=a\,cn=b`, `cn=a+cn=b`, `cn=a\+cn=b`, `cn=a\\,cn=b`, `cn=a\\\,cn=b`, `cn=`, `cn=a,cn=`, `2.5.4.3=a`,
		`cn=a\00`, `cn=\ff`, `cn=\fe`, `cn=#300304016a`, `cn=#300304016b`, `uid=a`,
	} {
		key, ok := dnKey(s)
		if !ok {
			t.Errorf("%q is no DN", s)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q share the key %q", s, other, key)
		}
		seen[key] = s
	}
}

func TestParseDN_Refuses(t *testing.T) {
	for _, s := range []string{
		"", "a", "=", "=b", "a=b,", ",a=b", "a=b,c", "a b=c", "1=c", "1.=c", "ä=c", "a=b;c=d", `a=b\`, `a=b\zz`, `a="b"`, "a=b<c", "a=#zz", "a=#04", "a=#04ffff", "a=b+", "{x}=a", "=a=b", "a=b,=c=d", "a=b+=c=d", `\63n=a`, "a=b, ,c=d",
	} {
		if rdns, ok := parseDN(s); ok {
			t.Errorf("%q is read as %v", s, rdns)
		}
	}
}

func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.OneOf(rapid.String(), rapid.StringMatching("[a-cA-CäÄßẞſKkK\u0345ιΙ]{0,6}")).Draw(t, "a")
		if got := fold(fold(a)); got != fold(a) {
			t.Fatalf("folding %q twice gives %q", a, got)
		}
		b := rapid.SampledFrom([]string{strings.ToUpper(a), strings.ToLower(a), a + "x", strings.Map(func(r rune) rune { return foldRune(r) }, a)}).Draw(t, "b")
		if want := strings.EqualFold(a, b); want != (fold(a) == fold(b)) {
			t.Fatalf("%q and %q: EqualFold says %v", a, b, want)
		}
	})
	if fold("\xff") == fold("\xfe") || fold("\xff") == fold("\ufffd") {
		t.Error("different broken names are equal")
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
		{"K{a}ß", "\u212aÄẞ", "a=Ä"},
		{"x{a}\xff", "xb\xff", "a=b"},
		{"x{a}\xff", "xb\xfe", ""},
		{"{a}ab{b}", "xaab", ""}, // a ends at the first "a", and no "b" follows
	} {
		tmpl, msg := newTemplate(tc.key)
		if msg != "" {
			t.Fatal(msg)
		}
		c, ok := tmpl.match(tc.name, nil)
		var got []string
		for _, v := range tmpl.vars {
			if ok {
				got = append(got, v+"="+c[v])
			}
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%q over %q: %q, want %q", tc.key, tc.name, s, tc.want)
		}
	}
}

func TestFilter_Items(t *testing.T) {
	attrs := map[string][]string{
		"a":  {"Anna  Maria Müller"},
		"n":  {"10"},
		"d":  {"2027-03-31"},
		"m":  {"x", "y"},
		"sp": {" padded "},
	}
	for filter, want := range map[string]truth{
		"(A=anna maria MÜLLER)":        isTrue,
		"(a=anna)":                     isFalse,
		"(a=anna*)":                    isTrue,
		"(a=*müller)":                  isTrue,
		"(a=a*m*m*er)":                 isTrue,
		"(a=*m*m*m*)":                  isFalse,
		"(m=x*x)":                      isFalse, // parts do not overlap
		"(n>=9)":                       isTrue,
		"(n<=9)":                       isFalse,
		"(n>=010)":                     isTrue,
		"(n>=x)":                       isUndefined,
		"(d>=2027)":                    isUndefined,
		"(d>=2027-01-01)":              isTrue,
		"(d<=2027-01-01)":              isFalse,
		"(m=y)":                        isTrue,
		"(!(m=y))":                     isFalse,
		"(m=z)":                        isFalse,
		"(sp=padded)":                  isTrue,
		"(a~=Anna Maria Müller)":       isTrue,
		"(a=*)":                        isTrue,
		"(x=*)":                        isUndefined,
		"(!(x=1))":                     isUndefined,
		"(&(x=1)(a=*))":                isUndefined,
		"(&(x=1)(n=9))":                isFalse,
		"(|(x=1)(n=9))":                isUndefined,
		"(|(x=1)(n=10))":               isTrue,
		`(a=anna maria m\c3\bcller)`:   isTrue,
		"(&(&(n=10)(m=x))(!(|(n=1))))": isTrue,
	} {
		f, err := parseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := f.eval(attrs); got != want {
			t.Errorf("%s = %d, want %d", filter, got, want)
		}
	}
}

// A filter without NOT is monotone: more attributes known never make a true
// filter undefined; and NOT mirrors every result.
func TestFilter_ThreeValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawFilter(t, 3)
		f, err := parseFilter(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		attrs := map[string][]string{}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID[string]).Draw(t, "known") {
			attrs[name] = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 1, 2).Draw(t, name)
		}
		got := f.eval(attrs)
		inverse, err := parseFilter("(!" + s + ")")
		if err != nil || inverse.eval(attrs) != isTrue-got {
			t.Fatalf("%s is %d over %v and its NOT is no mirror (%v)", s, got, attrs, err)
		}
		if got == isUndefined {
			return
		}
		// What is decided stays decided whatever the absent attributes turn out to be.
		for _, name := range []string{"a", "b", "c"} {
			if attrs[name] == nil {
				attrs[name] = []string{rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "later "+name)}
			}
		}
		if later := f.eval(attrs); later != got {
			t.Fatalf("%s was %d and is %d once more is known: %v", s, got, later, attrs)
		}
	})
}

// drawFilter draws a filter over the attributes a, b and c.
func drawFilter(t *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if depth == 0 {
		kind = 0
	}
	switch kind {
	case 1:
		return "(!" + drawFilter(t, depth-1) + ")"
	case 2, 3:
		op := []string{"&", "|"}[kind-2]
		return "(" + op + drawFilter(t, depth-1) + drawFilter(t, depth-1) + ")"
	default:
		return "(" + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "attr") + rapid.SampledFrom([]string{"=x", "=y", "=*", "=x*", ">=y"}).Draw(t, "item") + ")"
	}
}
