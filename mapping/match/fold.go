package match

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// One folding serves every comparison of this package: names of groups, values
// in a DN, attribute values, and (through Fold) names of sites. It is simple
// folding, rune by rune: "ß" equals "ẞ" but not "ss", so no name grows or
// shrinks by it, and two names are equal exactly when strings.EqualFold says so.
// Accents count, other than in logins: a group "Käufer" is not "Kaufer".

// Fold returns the form in which two names are equal when they differ in letter
// case only (Unicode simple case folding, as strings.EqualFold). It does not
// allocate for names that are folded already.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return string(AppendFold(make([]byte, 0, len(s)), s))
		}
	}
	return s
}

// AppendFold appends Fold(s) to b, for looking up in a map without a new string.
// Bytes that are no UTF-8 stay as they are, so that two broken names are equal
// only if they are the same.
func AppendFold(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			b = append(b, lowerASCII(c))
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(b, c)
		} else {
			b = utf8.AppendRune(b, foldRune(r))
		}
		i += n
	}
	return b
}

// Equal reports whether Fold(s) is folded, which must be folded itself. It does
// not allocate.
func Equal(s, folded string) bool {
	n, ok := skipFolded(s, folded)
	return ok && n == len(s)
}

// skipFolded returns how many bytes at the start of s are the folded literal.
// The two need not be equally long: "K" (the sign for kelvin, three bytes)
// folds to "k".
func skipFolded(s, literal string) (int, bool) {
	pos, i := 0, 0
	for i < len(literal) {
		if pos >= len(s) {
			return 0, false
		}
		if c, want := s[pos], literal[i]; c < utf8.RuneSelf && want < utf8.RuneSelf {
			if lowerASCII(c) != want {
				return 0, false
			}
			pos++
			i++
			continue
		}
		want, n := utf8.DecodeRuneInString(literal[i:])
		have, m := utf8.DecodeRuneInString(s[pos:])
		if want == utf8.RuneError && n == 1 || have == utf8.RuneError && m == 1 {
			if literal[i] != s[pos] || n != m { // a broken byte is not the letter that begins with it
				return 0, false
			}
		} else if foldRune(have) != want {
			return 0, false
		}
		i += n
		pos += m
	}
	return pos, true
}

// foldRune returns one representative for all runes that differ in case only:
// the least of them, but the lower-case letter for those of ASCII.
func foldRune(r rune) rune {
	least := r
	for c := unicode.SimpleFold(r); r >= utf8.RuneSelf && c != r; c = unicode.SimpleFold(c) {
		least = min(least, c)
	}
	if 'A' <= least && least <= 'Z' {
		return least + ('a' - 'A')
	}
	return least
}

// lowerASCII lowers A to Z and leaves every other byte alone.
func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// squeeze drops spaces at the ends and makes runs of spaces one space, as the
// matching rules for directory names ask (RFC 4518, 2.6.1). Other white space
// is no space there.
func squeeze(s string) string {
	if !strings.Contains(s, "  ") && !strings.HasPrefix(s, " ") && !strings.HasSuffix(s, " ") {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
}

// isLetter and isDigit are ASCII only, as the names of attributes and variables
// are.
func isLetter(c byte) bool { return 'a' <= lowerASCII(c) && lowerASCII(c) <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
