package attribute

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold gives the form in which values are compared that are not caseExact:
// lower case by Unicode simple case folding, so that Fold(a) == Fold(b) exactly
// when strings.EqualFold(a, b). It is what the *_key columns hold. Accents
// stay: Fold("É") is "é".
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return strings.ToLower(s)
}

// foldRune gives the lower-case form of the smallest rune that folds with r; a
// rune that folds with no other stays. The Kelvin sign folds with k, ſ with s,
// and ς with σ.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if unicode.SimpleFold(r) == r {
		return r
	}
	return unicode.ToLower(least)
}

// equalASCII compares two strings of the same length without regard to the case
// of ASCII letters, as attribute names and URNs are compared. Setting one bit
// makes a letter lower case; the check that the result is a letter keeps @ and
// ` apart.
func equalASCII(a, b string) bool {
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}

// EqualName compares attribute names, operators and URNs: without regard to the
// case of ASCII letters.
func EqualName(a, b string) bool { return len(a) == len(b) && equalASCII(a, b) }

// ValidName reports whether s is an attribute name of RFC 7643 section 2.1: a
// letter (or $, for $ref), then letters, digits, - and _.
func ValidName(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch {
		case letter, c == '$' && i == 0 && len(s) > 1:
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_'):
		default:
			return false
		}
	}
	return true
}
