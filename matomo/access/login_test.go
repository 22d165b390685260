package access_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/access"
)

// The pairs marked "recorded" are answers of Matomo 5.1.2 and 4.16.1.
func TestFoldLogin_SameAccount(t *testing.T) {
	for _, pair := range [][2]string{
		{"alice", "ALICE"},   // recorded
		{"alice", "álice"},   // recorded
		{"bob", "BOB"},       // recorded
		{"bob", "bob "},      // recorded: white space is trimmed
		{"bob", " bob"},      // recorded
		{"bob", "bob\t"},     // recorded
		{"muller", "müller"}, // recorded
		{"MÜLLER", "müller"},
		{"Größe", "grose"}, // ß is one s in this collation
		{"ÄÖÜäöü", "aouaou"},
		{"First.Last@Example.Test", "first.last@example.test"},
		{"ŠKODA", "skoda"},
		{"ŁUKASZ", "łukasz"},
		{"ΑΒΓ", "αβγ"},
	} {
		if a, b := access.FoldLogin(pair[0]), access.FoldLogin(pair[1]); a != b {
			t.Errorf("%q and %q have the keys %q and %q", pair[0], pair[1], a, b)
		}
	}
}

func TestFoldLogin_OtherAccount(t *testing.T) {
	for _, pair := range [][2]string{
		{"alice", "alice1"},
		{"1", "11"},
		{"strasse", "straße"}, // ß is not two s
		{"lukasz", "łukasz"},
		{"soren", "søren"},
		{"a.b", "ab"},
		{"a+b", "a_b"},
		{"x\xc3", "x\xa4"},
		{"", "a"},
	} {
		if a, b := access.FoldLogin(pair[0]), access.FoldLogin(pair[1]); a == b {
			t.Errorf("%q and %q share the key %q", pair[0], pair[1], a)
		}
	}
}

func TestFoldLogin_Idempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-zÄäÖöÜüß0-9_.@+-]{2,30}`)).Draw(t, "login")
		once := access.FoldLogin(s)
		if twice := access.FoldLogin(once); twice != once {
			t.Fatalf("%q folds to %q and then to %q", s, once, twice)
		}
	})
}

// For logins without accents the key is what everybody would expect.
func TestFoldLogin_OfPlainLoginsIsLowerCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[A-Za-z0-9_.@+-]{2,30}`).Draw(t, "login")
		if got := access.FoldLogin(" " + s + "\t"); got != strings.ToLower(s) {
			t.Fatalf("%q folds to %q", s, got)
		}
	})
}

func FuzzFoldLogin(f *testing.F) {
	for _, s := range []string{"alice", "Größe ", "\xff", "ŁUKASZ", "a\u0301", "\ufffd", "İI"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := access.FoldLogin(s)
		if again := access.FoldLogin(key); again != key {
			t.Fatalf("%q folds to %q and then to %q", s, key, again)
		}
		if utf8.ValidString(s) != utf8.ValidString(key) {
			t.Fatalf("%q folds to %q: broken bytes came or went", s, key)
		}
	})
}
