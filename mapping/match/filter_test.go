package match

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFilter_Items(t *testing.T) {
	attrs := map[string][]string{
		"a":  {"Anna  Maria Müller"},
		"n":  {"10"},
		"d":  {"2027-03-31"},
		"m":  {"x", "y"},
		"sp": {" padded "},
		"b":  {"\xff"},
		"e":  {""},
		"pn": {" 7 "},
		"mm": {"1", "20"},
	}
	for filter, want := range map[string]Truth{
		"(A=anna maria MÜLLER)":        True,
		"(a=anna)":                     False,
		"(a=anna*)":                    True,
		"(a=*müller)":                  True,
		"(a=a*m*m*er)":                 True,
		"(a=*m*m*m*)":                  False,
		"(m=x*x)":                      False, // parts do not overlap
		"(n>=9)":                       True,
		"(n<=9)":                       False,
		"(n>=10)":                      True,
		"(n<=10)":                      True,
		"(n>=010)":                     True,
		"(n>=-3)":                      True,
		"(n>=x)":                       Undefined,
		"(pn>=7)":                      True,
		"(d>=2027)":                    Undefined,
		"(d>=2027-01-01)":              True,
		"(d<=2027-01-01)":              False,
		"(d>=2027-03-31)":              True,
		"(a>=ANNA)":                    True,
		"(a<=b)":                       True,
		"(m=y)":                        True,
		"(!(m=y))":                     False,
		"(m=z)":                        False,
		"(mm>=15)":                     True, // any value
		"(mm<=5)":                      True,
		"(!(mm>=15))":                  False,
		"(sp=padded)":                  True,
		"(sp= padded )":                True,
		"(a~=Anna Maria Müller)":       True,
		"(a=*)":                        True,
		"(e=*)":                        True, // an empty value is a value
		"(e=)":                         True,
		"(x=*)":                        Undefined,
		"(!(x=1))":                     Undefined,
		"(&(x=1)(a=*))":                Undefined,
		"(&(x=1)(n=9))":                False,
		"(|(x=1)(n=9))":                Undefined,
		"(|(x=1)(n=10))":               True,
		`(a=anna maria m\c3\bcller)`:   True,
		`(b=\ff)`:                      True,
		`(b=\fe)`:                      False, // broken bytes are not all alike
		`(m=\2a)`:                      False, // an escaped star is a star
		"(&(&(n=10)(m=x))(!(|(n=1))))": True,
		"(&(n=10))":                    True,
	} {
		f, err := ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := f.Eval(attrs); got != want {
			t.Errorf("%s = %d, want %d", filter, got, want)
		}
	}
}

func TestParseFilter_Errors(t *testing.T) {
	for s, want := range map[string]string{
		"":                       "no LDAP filter",
		"a":                      "no LDAP filter",
		"a=b":                    "no LDAP filter",
		"()":                     "no LDAP filter",
		"(a)":                    "no LDAP filter",
		"(a=b":                   "no LDAP filter",
		"(a=b))":                 "no LDAP filter",
		"((a=b))":                "parentheses",
		"(!a=b)":                 "parentheses",
		"(!(a=b)(c=d))":          "no LDAP filter",
		"(&)":                    "need something to combine",
		"(|)":                    "need something to combine",
		"(a=x(y)":                "parentheses",
		"(a=b)(c=d)":             "no LDAP filter",
		"( a=b)":                 "no attribute name",
		"(1a=b)":                 "no attribute name",
		"(a b=c)":                "no attribute name",
		"(ä=c)":                  "no attribute name",
		"(=b)":                   "attribute name is missing",
		`(a=\zz)`:                "escape",
		`(a=\2)`:                 "escape",
		"(cn:=Fred)":             "extensible match",
		"(cn:caseExactMatch:=x)": "extensible match",
		"(o:dn:=x)":              "extensible match",
		"(a=" + strings.Repeat("x", maxFilterLength) + ")": "longer than 4096 bytes",
	} {
		if f, err := ParseFilter(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseFilter(%q) = %v, %v, want %q", s, f, err, want)
		}
	}
}

func TestParseFilter_Accepts(t *testing.T) {
	for _, s := range []string{
		"(a=b)", "(a=)", "(a=*)", "(a=b*)", "(a=*b)", "(a=*b*)", "(a=b*c*d)", "(a>=b)", "(a<=b)", "(a~=b)", "(name.familyName=x)",
		"(a;lang-de=x)", "(a-b_c.d1=x)", "(a=b=c)", "(a=;,+)", `(a=\28\29\2a\5c\00)`, "(a=ä)", "(&(a=b))", "(!(!(a=b)))",
	} {
		if _, err := ParseFilter(s); err != nil {
			t.Errorf("ParseFilter(%q): %v", s, err)
		}
	}
}

func TestFilter_Attributes(t *testing.T) {
	f, err := ParseFilter("(&(Department=a)(|(title=b)(DEPARTMENT=c))(!(emails.value=*@x)))")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Department", "title", "emails.value"}, f.Attributes()); diff != "" {
		t.Error(diff)
	}
}

// A filter without NOT is monotone: more attributes known never make a true
// filter undefined; and NOT mirrors every result.
func TestFilter_ThreeValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawFilter(t, 3)
		attrs := map[string][]string{}
		for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID[string]).Draw(t, "known") {
			attrs[name] = rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y"}), 1, 2).Draw(t, name)
		}
		got := eval(t, s, attrs)
		if inverse := eval(t, "(!"+s+")", attrs); inverse != True-got {
			t.Fatalf("%s is %d over %v and its NOT is %d", s, got, attrs, inverse)
		}
		if got == Undefined {
			return
		}
		// What is decided stays decided whatever the absent attributes turn out to be.
		for _, name := range []string{"a", "b", "c"} {
			if attrs[name] == nil {
				attrs[name] = []string{rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "later "+name)}
			}
		}
		if later := eval(t, s, attrs); later != got {
			t.Fatalf("%s was %d and is %d once more is known: %v", s, got, later, attrs)
		}
	})
}

// The laws of De Morgan hold with three values too.
func TestFilter_DeMorgan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawFilter(t, 2), drawFilter(t, 2)
		attrs := map[string][]string{"a": {"x"}, "b": {"y", "x"}}
		delete(attrs, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "absent"))
		if and, or := eval(t, "(!(&"+x+y+"))", attrs), eval(t, "(|(!"+x+")(!"+y+"))", attrs); and != or {
			t.Fatalf("%s and %s: %d and %d", x, y, and, or)
		}
		if one, other := eval(t, "(&"+x+y+")", attrs), eval(t, "(&"+y+x+")", attrs); one != other {
			t.Fatalf("the order of %s and %s counts", x, y)
		}
	})
}

// eval parses and evaluates a filter.
func eval(t *rapid.T, s string, attrs map[string][]string) Truth {
	f, err := ParseFilter(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return f.Eval(attrs)
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

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"(a=b)", "(&(a=b)(!(c=*)))", "(a=b*c*d)", `(a=\28)`, "(a>=1)", "(|)", "(a:=b)", "((a=b))"} {
		f.Add(s, "b")
	}
	f.Fuzz(func(t *testing.T, s, value string) {
		filter, err := ParseFilter(s)
		if err != nil {
			return
		}
		names := filter.Attributes()
		if len(names) == 0 {
			t.Fatalf("%q asks for nothing", s)
		}
		if got := filter.Eval(nil); got != Undefined {
			t.Fatalf("%q is %d for a person of whom nothing is known", s, got)
		}
		known := map[string][]string{}
		for _, name := range names {
			known[Fold(name)] = []string{value}
		}
		inverse, err := ParseFilter("(!" + s + ")")
		if err != nil {
			return // one byte too long
		}
		if filter.Eval(known) != inverse.Eval(known).not() {
			t.Fatalf("%q and its NOT do not mirror", s)
		}
	})
}
