// Package jsonobject reads the JSON of a request body, strictly, into the plain
// Go values that the rest of SCIM works on, and has the few operations on such
// values that need no schema: copying, comparing, and naming one in an error.
//
// It knows nothing of SCIM. It is apart because encoding/json is too forgiving
// for a provisioning service: of {"active":true,"active":false} it takes the
// last, another reader of the same bytes (a proxy, an audit tool) may take the
// first, and the two then disagree about whether a person may sign in. Here
// such a body is an error.
package jsonobject

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and lists may nest in a body. Nothing in SCIM
// needs more than seven levels (a group PATCH inside a bulk request). The limit
// is what keeps the recursion of the decoder, and of everything that walks its
// result, from being driven by whoever sends the body.
const maxDepth = 32

// Object is one JSON object as Decode gives it: its values are map[string]any,
// []any, string, bool, json.Number and nil, and nothing else.
type Object = map[string]any

// SyntaxError says why a text is no acceptable JSON. Its text is for the sender
// of the body and shows at most a name from it.
type SyntaxError struct {
	Offset int    // the byte where the problem was found, counted from 0
	Detail string // the whole sentence, with the offset where it helps
}

// Error gives the sentence.
func (e *SyntaxError) Error() string { return e.Detail }

// Decode reads one JSON object. Numbers stay text (json.Number), so that
// 12345678901234567890 and 1.50 come out as they went in. It is stricter than
// encoding/json where two readers of the same bytes could disagree: duplicate
// keys, data after the object, invalid UTF-8 and lone surrogates, NUL, numbers
// no float64 can hold and nesting beyond 32 levels are errors. Names are
// compared byte by byte here: {"a":1,"A":2} has two members.
//
// The strings of the object share one copy of data. The error is a
// *SyntaxError.
func Decode(data []byte) (Object, error) {
	d := decoder{s: string(data)}
	if !utf8.ValidString(d.s) {
		return nil, &SyntaxError{Detail: "the body is not valid UTF-8"}
	}
	d.space()
	switch {
	case d.pos == len(d.s):
		return nil, &SyntaxError{Offset: d.pos, Detail: "the body is empty"}
	case d.s[d.pos] != '{':
		return nil, d.fail("the body must be a JSON object")
	}
	obj, err := d.object()
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos < len(d.s) {
		return nil, d.fail("data after the object")
	}
	return obj, nil
}

// decoder is one pass over the text of a body; pos is the next byte to read. It
// works on a string, so that the names and texts it finds are parts of one
// allocation.
type decoder struct {
	s     string
	pos   int
	depth int
}

// fail builds the error for a problem at the present position.
func (d *decoder) fail(what string) error {
	return &SyntaxError{Offset: d.pos, Detail: fmt.Sprintf("invalid JSON at byte %d: %s", d.pos, what)}
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

// value reads any JSON value. The first byte tells which kind it is. What is
// none of them is left where it is, and the error says where.
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
// who expects a comma or a bracket. So nullx is found to be wrong at the x.
func (d *decoder) literal(word string) error {
	if !strings.HasPrefix(d.s[d.pos:], word) {
		return d.fail("a value is expected")
	}
	d.pos += len(word)
	return nil
}

// enter counts a level of nesting; the caller leaves it with d.depth--. It
// consumes the bracket. The level of an object in an object in a list is three,
// side by side they do not add up.
func (d *decoder) enter() error {
	if d.depth++; d.depth > maxDepth {
		return d.fail("nested deeper than " + strconv.Itoa(maxDepth) + " levels")
	}
	d.pos++
	return nil
}

// object reads an object whose opening brace comes next. A name that is there
// twice is found by the size of the map, which then has not grown: one look-up
// instead of two. The error points at the second of the two.
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
			return nil, d.fail("the name " + quote(key) + " is there twice")
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

// list reads a list whose opening bracket comes next. An empty list is no nil
// slice, for [] and null mean different things in a PATCH.
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
//
//	-0  1.50  12345678901234567890  1E+2   numbers
//	01  1.  .5  +1  1e  -Infinity  NaN     not in JSON
//	1e999                                  too large for a float64
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

// digits consumes digits and counts them. None is fine here; the caller knows
// where one is needed.
func (d *decoder) digits() int {
	start := d.pos
	for d.pos < len(d.s) && d.s[d.pos] >= '0' && d.s[d.pos] <= '9' {
		d.pos++
	}
	return d.pos - start
}

// str reads a string; without escapes it is a part of the text. An escape
// anywhere makes it a copy.
func (d *decoder) str() (string, error) {
	s, size, problem := unquote(d.s[d.pos:])
	d.pos += size
	if problem != "" {
		return "", d.fail(problem)
	}
	return s, nil
}
