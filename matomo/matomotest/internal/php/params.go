// Package php does to requests and answers what the parts under Matomo do to
// them: PHP's idea of parameters, arrays and truth, its JSON, and the
// collation of MySQL. The oddities here are those a client can meet; each was
// seen in a recording.
package php

import (
	"strconv"
	"strings"
)

// MaxInputVars is PHP's limit on the variables of one query or one body:
// whatever comes after is dropped without a word (trap 3).
const MaxInputVars = 1000

// A Param is one parameter as PHP hands it to Matomo: a string, or an array
// when its name had brackets.
type Param struct {
	Text    string
	Array   []Pair
	IsArray bool
}

// A Pair is one element of an array parameter.
type Pair struct{ Key, Value string }

// Texts returns the values of an array, or the one string.
func (p Param) Texts() []string {
	if !p.IsArray {
		return []string{p.Text}
	}
	out := make([]string, 0, len(p.Array))
	for _, e := range p.Array {
		out = append(out, e.Value)
	}
	return out
}

// Empty says whether Matomo takes the parameter for missing.
func (p Param) Empty() bool { return !p.IsArray && p.Text == "" }

// True is PHP's idea of truth: everything but the empty string and "0", so the
// word "false" too (trap 8).
func (p Param) True() bool { return p.IsArray || (p.Text != "" && p.Text != "0") }

// Int returns the parameter as a whole number, or def when it is none.
func (p Param) Int(def int) int {
	n, err := strconv.Atoi(p.Text)
	if err != nil {
		return def
	}
	return n
}

// Params are the parameters of a request or of a member of a bulk request.
type Params map[string]Param

// Parse adds the pairs of a query string: a later value of a name replaces the
// former, name[] and name[key] collect an array, parameters[emails][0] becomes
// the element "emails[0]" of parameters. White space around values is trimmed,
// as Matomo does, from passwords too. Names and values are percent-decoded if
// decode is set.
func (ps Params) Parse(query string, decode bool) {
	unescape := func(s string) string {
		if decode {
			return URLDecode(s)
		}
		return s
	}
	// Variables without a name are not counted and not kept.
	for count := 0; query != "" && count < MaxInputVars; {
		var piece string
		piece, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(piece, "=")
		name, value = unescape(name), strings.Trim(unescape(value), " \n\r\t\v\x00")
		if name == "" {
			continue
		}
		count++
		base, rest, bracket := strings.Cut(name, "[")
		key, deeper, closed := strings.Cut(rest, "]")
		if !bracket || !closed || base == "" {
			ps[name] = Param{Text: value}
			continue
		}
		p := ps[base]
		ps[base] = Param{IsArray: true, Array: set(p.Array, key+deeper, value)}
	}
}

// set sets one element of a PHP array; an empty key appends.
func set(array []Pair, key, value string) []Pair {
	next := strconv.Itoa(len(array))
	switch {
	case key == "":
		return append(array, Pair{next, value})
	case key == next, strings.HasSuffix(key, "[]"):
		return append(array, Pair{key, value}) // the usual order, or appended deeper down
	}
	for i := range array {
		if array[i].Key == key {
			array[i].Value = value
			return array
		}
	}
	return append(array, Pair{key, value})
}

// URLDecode is PHP's urldecode: a plus is a space, and a broken escape stays as
// it is.
func URLDecode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			b.WriteByte(' ')
		case '%':
			if v, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8); err == nil && i+2 < len(s) {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
			b.WriteByte('%')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
