package jsonobject

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Empty reports whether v stands for no value: null and the empty list (RFC
// 7643 section 2.5), and the empty object. "" and false are values.
func Empty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case []any:
		return len(t) == 0
	case map[string]any:
		return len(t) == 0
	default:
		return false
	}
}

// SortedKeys gives the keys in order, in buf when they fit: errors do not
// depend on the order of a map, and a plain key comes before the dotted and
// URN-prefixed ones that reach into its value.
//
//	var buf [32]string // stays on the stack
//	for _, key := range SortedKeys(obj, buf[:0]) {
func SortedKeys(m map[string]any, buf []string) []string {
	for k := range m {
		buf = append(buf, k)
	}
	slices.Sort(buf)
	return buf
}

// Clone copies a document, or any value of one, so that the copy can be written
// into. The type of the copy is that of the value: a map stays a map, nil stays
// nil.
func Clone[T any](v T) T {
	c, _ := clone(any(v)).(T)
	return c
}

// clone is Clone without the type; strings, numbers and booleans are shared,
// for nobody can change them.
func clone(v any) any {
	switch t := v.(type) {
	case map[string]any:
		if t == nil {
			return t
		}
		m := make(map[string]any, len(t))
		for k, e := range t {
			m[k] = clone(e)
		}
		return m
	case []any:
		if t == nil {
			return t
		}
		l := make([]any, len(t))
		for i, e := range t {
			l[i] = clone(e)
		}
		return l
	default:
		return v
	}
}

// Equal compares two values of documents: objects without order, lists in
// order, numbers by their text. 1 and 1.0 are different texts and therefore
// different values; a wrong "different" costs one write, a wrong "equal" would
// lose one. The []string that a Go program may put into a document equals
// another []string only.
func Equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, there := y[k]
			if !there || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, Equal)
	case []string:
		y, ok := b.([]string)
		return ok && slices.Equal(x, y)
	}
	switch b.(type) {
	case map[string]any, []any, []string: // not comparable with ==
		return false
	}
	return a == b
}

// Describe names a value in an error without repeating more than a few
// characters of it. A body may hold personal data, and errors end up in logs of
// the client.
func Describe(v any) string {
	switch t := v.(type) {
	case nil:
		return "null"
	case string:
		return "the string " + quote(t)
	case bool:
		return "the boolean " + strconv.FormatBool(t)
	case json.Number:
		return "the number " + t.String()
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("%T", v)
	}
}

// quote is strconv.Quote for text from outside, of which no more than 40
// characters are shown. A cut text ends in an ellipsis within the quotes.
func quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
