package jsonobject

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Unquote reads the JSON string at the start of s, which begins with a quote,
// and gives its value and how many bytes it took. It serves the values in
// filters too, where the text goes on behind the closing quote:
//
//	Unquote(`"a\u00e9" and title pr`) // "aé", 9
//
// Lone surrogates, NUL and raw control characters are errors: a *SyntaxError
// with the offset in s, which is also the size then.
func Unquote(s string) (value string, size int, err error) {
	value, size, problem := unquote(s)
	if problem != "" {
		return "", size, &SyntaxError{Offset: size, Detail: fmt.Sprintf("invalid string at byte %d: %s", size, problem)}
	}
	return value, size, nil
}

// unquote is Unquote with the problem as text; size is then where it was found.
// It walks over the text until it finds the end or the first backslash; most
// strings have none and cost nothing more.
func unquote(s string) (value string, size int, problem string) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], i + 1, ""
		case c == '\\':
			return unescape(s, i)
		case c < ' ':
			return "", i, "a control character in a string"
		}
	}
	return "", len(s), "a string without end"
}

// unescape goes on where the first backslash, at i, was found. NUL is refused
// although JSON allows \u0000, because PostgreSQL has no text with it.
func unescape(s string, i int) (value string, size int, problem string) {
	b := append(make([]byte, 0, len(s[:i])+16), s[1:i]...)
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"':
			return string(b), i + 1, ""
		case c < ' ':
			return "", i, "a control character in a string"
		case c != '\\':
			b = append(b, c)
			i++
		case i+1 < len(s) && s[i+1] == 'u':
			r, n := escapedRune(s[i:])
			if n == 0 {
				return "", i, "a malformed \\u escape, a lone surrogate or NUL"
			}
			b = utf8.AppendRune(b, r)
			i += n
		default:
			e := byte(0)
			if i+1 < len(s) {
				e = simpleEscape(s[i+1])
			}
			if e == 0 {
				return "", i, "an unknown escape"
			}
			b = append(b, e)
			i += 2
		}
	}
	return "", len(s), "a string without end"
}

// simpleEscape gives what stands for a backslash and one letter, 0 when that
// means nothing.
func simpleEscape(c byte) byte {
	switch c {
	case '"', '\\', '/':
		return c
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return 0
	}
}

// escapedRune reads one \uXXXX, or two that form a surrogate pair, and gives
// how many bytes that took; 0 when it stands for nothing. "\ud83d\ude00" is one
// 😀; half of it is no text that could be stored as UTF-8, and encoding/json
// would put U+FFFD in its place.
func escapedRune(s string) (r rune, size int) {
	r = hex4(s)
	if r <= 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if r = utf16.DecodeRune(r, hex4(s[6:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

// hex4 reads \uXXXX, -1 when it is not there.
func hex4(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
