package schema

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep objects and lists may nest in a body. Nothing in SCIM
// needs more than seven levels (a group PATCH inside a bulk request).
const maxDepth = 32

// Decode reads one JSON object. Numbers stay text (json.Number). It is stricter
// than encoding/json where two readers of the same bytes could disagree:
// duplicate keys, data after the object, invalid UTF-8 and lone surrogates,
// NUL, numbers no float64 can hold and nesting beyond 32 levels are errors. The
// strings of the document share one copy of data. The error is an *Error with
// scimType invalidSyntax and the byte offset.
func Decode(data []byte) (Document, error) {
	d := decoder{s: string(data)}
	if !utf8.ValidString(d.s) {
		return nil, Errorf(InvalidSyntax, "", "the body is not valid UTF-8")
	}
	d.space()
	switch {
	case d.pos == len(d.s):
		return nil, Errorf(InvalidSyntax, "", "the body is empty")
	case d.s[d.pos] != '{':
		return nil, d.fail("the body must be a JSON object")
	}
	doc, err := d.object()
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos < len(d.s) {
		return nil, d.fail("data after the object")
	}
	return doc, nil
}

// decoder is one pass over the text of a body; pos is the next byte to read.
type decoder struct {
	s     string
	pos   int
	depth int
}

// fail builds the error for a problem at the present position.
func (d *decoder) fail(what string) error {
	return Errorf(InvalidSyntax, "", "invalid JSON at byte %d: %s", d.pos, what)
}

// space skips the four blanks of RFC 8259 section 2.
func (d *decoder) space() {
	for d.pos < len(d.s) {
		switch d.s[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// next skips blanks and gives the byte there, 0 at the end. NUL itself is never
// valid JSON, so the two need no distinction.
func (d *decoder) next() byte {
	d.space()
	if d.pos == len(d.s) {
		return 0
	}
	return d.s[d.pos]
}

// value reads any JSON value. The first byte tells which kind it is.
func (d *decoder) value() (any, error) {
	switch c := d.next(); {
	case c == '"':
		return d.str()
	case c == '{':
		return d.object()
	case c == '[':
		return d.list()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case c == 't':
		return true, d.literal("true")
	case c == 'f':
		return false, d.literal("false")
	case c == 'n':
		return nil, d.literal("null")
	case c == 0 && d.pos == len(d.s):
		return nil, d.fail("the body ends too early")
	default:
		return nil, d.fail("a value is expected")
	}
}

// literal consumes true, false or null. What follows is checked by the caller,
// who expects a comma or a bracket.
func (d *decoder) literal(word string) error {
	if !strings.HasPrefix(d.s[d.pos:], word) {
		return d.fail("a value is expected")
	}
	d.pos += len(word)
	return nil
}

// enter counts a level of nesting; the caller leaves it with d.depth--.
func (d *decoder) enter() error {
	if d.depth++; d.depth > maxDepth {
		return d.fail("nested deeper than " + strconv.Itoa(maxDepth) + " levels")
	}
	d.pos++
	return nil
}

// object reads an object whose opening brace comes next. A name that is there
// twice is found by the size of the map, which then has not grown: one look-up
// instead of two.
func (d *decoder) object() (map[string]any, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	m := map[string]any{}
	if d.next() == '}' {
		d.pos++
		d.depth--
		return m, nil
	}
	for {
		if d.next() != '"' {
			return nil, d.fail("a quoted name is expected")
		}
		start := d.pos
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		if d.next() != ':' {
			return nil, d.fail("a colon is expected")
		}
		d.pos++
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		before := len(m)
		if m[key] = v; len(m) == before {
			d.pos = start
			return nil, d.fail("the name " + describe(key)[len("the string "):] + " is there twice")
		}
		switch d.next() {
		case ',':
			d.pos++
		case '}':
			d.pos++
			d.depth--
			return m, nil
		default:
			return nil, d.fail("a comma or } is expected")
		}
	}
}

// list reads a list whose opening bracket comes next.
func (d *decoder) list() ([]any, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	l := []any{}
	if d.next() == ']' {
		d.pos++
		d.depth--
		return l, nil
	}
	for {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		l = append(l, v)
		switch d.next() {
		case ',':
			d.pos++
		case ']':
			d.pos++
			d.depth--
			return l, nil
		default:
			return nil, d.fail("a comma or ] is expected")
		}
	}
}

// number checks the grammar of RFC 8259 section 6 and that a float64 can hold
// the magnitude.
func (d *decoder) number() (json.Number, error) {
	start := d.pos
	d.accept('-')
	whole := d.digits()
	ok := whole > 0 && (whole == 1 || d.s[d.pos-whole] != '0')
	if d.accept('.') {
		ok = d.digits() > 0 && ok
	}
	if d.accept('e') || d.accept('E') {
		if !d.accept('+') {
			d.accept('-')
		}
		ok = d.digits() > 0 && ok
	}
	n := d.s[start:d.pos]
	if !ok {
		d.pos = start
		return "", d.fail("a malformed number")
	}
	if _, err := strconv.ParseFloat(n, 64); err != nil {
		d.pos = start
		return "", d.fail("a number out of range")
	}
	return json.Number(n), nil
}

// accept consumes one byte when it is the one that may come here.
func (d *decoder) accept(c byte) bool {
	if d.pos < len(d.s) && d.s[d.pos] == c {
		d.pos++
		return true
	}
	return false
}

// digits consumes digits and counts them.
func (d *decoder) digits() int {
	start := d.pos
	for d.pos < len(d.s) && d.s[d.pos] >= '0' && d.s[d.pos] <= '9' {
		d.pos++
	}
	return d.pos - start
}

// str reads a string; without escapes it is a part of the text.
func (d *decoder) str() (string, error) {
	s, size, problem := unquote(d.s[d.pos:])
	d.pos += size
	if problem != "" {
		return "", d.fail(problem)
	}
	return s, nil
}

// Unquote reads the JSON string at the start of s, which begins with a quote,
// and gives its value and how many bytes it took. It serves the values in
// filters too. Lone surrogates, NUL and raw control characters are errors:
// scimType invalidSyntax, with the offset in s.
func Unquote(s string) (value string, size int, err error) {
	value, size, problem := unquote(s)
	if problem != "" {
		return "", size, Errorf(InvalidSyntax, "", "invalid string at byte %d: %s", size, problem)
	}
	return value, size, nil
}

// unquote is Unquote with the problem as text; size is then where it was found.
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

// unescape goes on where the first backslash, at i, was found.
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
// how many bytes that took; 0 when it stands for nothing.
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
