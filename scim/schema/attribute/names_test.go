package attribute_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Ada@Example.COM": "ada@example.com", "ÉCOLE": "école", "ΣΊΣΥΦΟΣ": "σίσυφοσ", "ς": "σ", "ſ": "s", "\u212a": "k", "ẞ": "ß", "İ": "İ", "日本": "日本",
	} {
		if got := attribute.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
	t.Run("every rune", func(t *testing.T) {
		for r := range rune(unicode.MaxRune + 1) {
			if r >= 0xd800 && r <= 0xdfff {
				continue
			}
			a, b := string(r), string(unicode.SimpleFold(r))
			f := attribute.Fold(a)
			if f != attribute.Fold(b) || !strings.EqualFold(a, f) || attribute.Fold(f) != f {
				t.Fatalf("%U: Fold gives %q and %q", r, f, attribute.Fold(b))
			}
		}
	})
	t.Run("same as EqualFold", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			a := rapid.StringOfN(rapid.SampledFrom([]rune("aAbBſsSKk\u212aßẞéÉσςΣİiıI")), 0, 4, -1).Draw(t, "a")
			b := rapid.StringOfN(rapid.SampledFrom([]rune("aAbBſsSKk\u212aßẞéÉσςΣİiıI")), 0, 4, -1).Draw(t, "b")
			if (attribute.Fold(a) == attribute.Fold(b)) != strings.EqualFold(a, b) {
				t.Fatalf("%q and %q", a, b)
			}
		})
	})
}

func TestEqualName(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"userName", "USERNAME", true}, {"a", "ab", false}, {"@", "`", false}, {"[", "{", false}, {"ſ", "s", false}, {"$ref", "$REF", true},
	} {
		if got := attribute.EqualName(tc.a, tc.b); got != tc.want {
			t.Errorf("EqualName(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "userName": true, "x509": true, "a-b_c": true, "$ref": true,
		"": false, "$": false, "1a": false, "a.b": false, "a$": false, "a b": false, "ä": false, "-a": false,
	} {
		if got := attribute.ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

// TestEqualName_AgreesWithFold checks on ASCII text, of which names are made, that names are equal exactly when they fold to the same text.
func TestEqualName_AgreesWithFold(t *testing.T) {
	ascii := rapid.StringOfN(rapid.RuneFrom([]rune("aAzZ@[`{09$-_")), 0, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := ascii.Draw(t, "a"), ascii.Draw(t, "b")
		if attribute.EqualName(a, b) != (attribute.Fold(a) == attribute.Fold(b)) {
			t.Fatalf("%q and %q", a, b)
		}
		if attribute.EqualName(a, b) != attribute.EqualName(b, a) || !attribute.EqualName(a, a) {
			t.Fatalf("%q and %q: no equivalence", a, b)
		}
	})
}

func TestSplitName(t *testing.T) {
	for _, tc := range []struct{ in, urn, attr, sub string }{
		{"userName", "", "userName", ""},
		{"name.familyName", "", "name", "familyName"},
		{"a.b.c", "", "a", "b.c"},
		{"a.", "", "a", ""},
		{".a", "", "", "a"},
		{"", "", "", ""},
		{"urn:a:User:name", "urn:a:User", "name", ""},
		{"urn:a:User:name.familyName", "urn:a:User", "name", "familyName"},
		{"urn:a:2.0:User:name", "urn:a:2.0:User", "name", ""},
		{"urn:a:User", "urn:a", "User", ""},
		{"urn:example:custom:1.0", "urn:example:custom", "1", "0"},
		{"urn:a:", "urn:a", "", ""},
		{":a", "", "a", ""},
	} {
		urn, attr, sub := attribute.SplitName(tc.in)
		if urn != tc.urn || attr != tc.attr || sub != tc.sub {
			t.Errorf("SplitName(%q) = %q, %q, %q; want %q, %q, %q", tc.in, urn, attr, sub, tc.urn, tc.attr, tc.sub)
		}
	}
}
