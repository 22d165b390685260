package match

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawText draws texts whose folding is not plain: letters with three cases,
// letters whose cases are of different length, and broken UTF-8.
func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching("[a-cA-CäÄßẞſKk\u212a\u0345ιΙσςΣıİ]{0,6}"),
		rapid.SampledFrom([]string{"\xff", "a\xfe", "\ufffd", "\xc3", "ä\xc3"}),
	).Draw(t, label)
}

func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawText(t, "a")
		if got := Fold(Fold(a)); got != Fold(a) {
			t.Fatalf("folding %q twice gives %q", a, got)
		}
		b := rapid.SampledFrom([]string{strings.ToUpper(a), strings.ToLower(a), a + "x", strings.Map(foldRune, a)}).Draw(t, "b")
		if strings.ToValidUTF8(a, "") != a {
			return // EqualFold takes all broken bytes for the same one
		}
		if want := strings.EqualFold(a, b); want != (Fold(a) == Fold(b)) {
			t.Fatalf("%q and %q: EqualFold says %v", a, b, want)
		}
	})
}

func TestFold_Examples(t *testing.T) {
	for s, want := range map[string]string{
		"":              "",
		"Matomo-1":      "matomo-1",
		"straße ÄÖÜ":    "stra\u00dfe \u00c4\u00d6\u00dc",
		"STRAẞE":        "stra\u00dfe", // the capital sharp s is the small one
		"STRASSE":       "strasse",     // two letters stay two
		"\u212aelvin":   "kelvin",
		"ſ":             "s",
		"Σίσυφος":       Fold("ΣΊΣΥΦΟΣ"),
		"İ":             "İ", // has no simple folding
		"Käufer":        "k\u00c4ufer",
		"cafe\u0301":    "cafe\u0301", // combining marks are not composed
		"a\xffB\xc3":    "a\xffb\xc3",
		"\t Tab":        "\t tab",
		"日本":            "日本",
		"\u01c5 \u01c4": "\u01c4 \u01c4", // title case has upper and lower case beside it
	} {
		if got := Fold(s); got != want {
			t.Errorf("Fold(%q) = %q, want %q", s, got, want)
		}
	}
	if Fold("\xff") == Fold("\xfe") || Fold("\xff") == Fold("\ufffd") {
		t.Error("different broken names are equal")
	}
}

func TestFold_OfWhatIsFoldedIsTheSameString(t *testing.T) {
	name := "matomo-site1-admins"
	if n := testing.AllocsPerRun(10, func() { _ = Fold(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendFold_AppendsFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, before := drawText(t, "s"), drawText(t, "before")
		if got := string(AppendFold([]byte(before), s)); got != before+Fold(s) {
			t.Fatalf("%q, want %q", got, before+Fold(s))
		}
	})
}

func TestEqual_ComparesFoldings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawText(t, "a")
		b := rapid.OneOf(rapid.Just(a), rapid.Just(strings.ToUpper(a)), rapid.Just(a+"x"), rapid.Custom(func(t *rapid.T) string { return drawText(t, "b") })).Draw(t, "other")
		if got, want := Equal(a, Fold(b)), Fold(a) == Fold(b); got != want {
			t.Fatalf("Equal(%q, fold of %q) = %v", a, b, got)
		}
	})
}

func TestSkipFolded(t *testing.T) {
	for _, tc := range []struct {
		s, literal string
		want       int
		ok         bool
	}{
		{"Matomo-1", "matomo-", 7, true},
		{"Matomo-1", "", 0, true},
		{"", "a", 0, false},
		{"ab", "abc", 0, false},
		{"\u212a1", "k", 3, true}, // three bytes for one
		{"\xffx", "\xff", 1, true},
		{"Ä", "\xc3", 0, false},
		{"\xc3", "Ä", 0, false},
		{"\xffx", "\xfe", 0, false},
		{"\ufffd", "\xff", 0, false},
	} {
		if n, ok := skipFolded(tc.s, tc.literal); ok != tc.ok || ok && n != tc.want {
			t.Errorf("skipFolded(%q, %q) = %d, %v", tc.s, tc.literal, n, ok)
		}
	}
}

func TestSqueeze(t *testing.T) {
	for s, want := range map[string]string{
		"": "", " ": "", "a": "a", " a ": "a", "a  b": "a b", "  a   b c  ": "a b c", "\ta": "\ta", "a\u00a0 b": "a\u00a0 b",
	} {
		if got := squeeze(s); got != want {
			t.Errorf("squeeze(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestBadRune(t *testing.T) {
	for s, want := range map[string]string{
		"":                 "",
		"Größe → 1 \ufffd": "",
		"\U0001f600":       "",
		"a\x00":            "U+0000",
		"a\tb":             "U+0009",
		"\u0085":           "U+0085",
		"ä\xff":            "no UTF-8",
		"\ufdd0":           "U+FDD0",
		"x\ufdef":          "U+FDEF",
		"\ufdcf\ufdf0":     "",
		"\ufffd\xff":       "no UTF-8",
	} {
		got := BadRune(s)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("BadRune(%q) = %q, want %q", s, got, want)
		}
	}
}
