package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns the form in which two names are equal when they differ in
// letter case only (Unicode simple case folding, as strings.EqualFold).
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return string(appendFold(make([]byte, 0, len(s)), s))
		}
	}
	return s
}

// appendFold appends fold(s) to b. Bytes that are no UTF-8 stay as they are, so
// that two broken names are equal only if they are the same.
func appendFold(b []byte, s string) []byte {
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

// foldSpaced is fold with white space at the ends dropped and runs of it made
// one space, as the matching rules for directory names ask (RFC 4518, 2.6.1).
func foldSpaced(s string) string {
	return fold(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " "))
}

// isLetter and its siblings are ASCII only: the words of the language are.
func isLetter(c byte) bool { return 'a' <= lowerASCII(c) && lowerASCII(c) <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isName reports whether s is a name as the grammar wants it for targets,
// sources and capabilities: a letter, then letters, digits, "_" and "-".
func isName(s string) bool { return s != "" && nameLength(s) == len(s) }

// nameLength returns how many bytes at the start of s are such a name.
func nameLength(s string) int {
	n := 0
	for n < len(s) && (isLetter(s[n]) || n > 0 && (isDigit(s[n]) || s[n] == '_' || s[n] == '-')) {
		n++
	}
	return n
}
