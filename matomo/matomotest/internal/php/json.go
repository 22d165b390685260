package php

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Object writes the fields of one JSON object. Answers are appended to one
// buffer as they are made, so a list of 100,000 users costs one copy of its text
// and no tree of values.
type Object struct {
	// B is the buffer; a field whose value Set cannot write appends to it after
	// Key.
	B     []byte
	begun bool
}

// AppendObject appends the object that write fills.
func AppendObject(b []byte, write func(*Object)) []byte {
	o := Object{B: append(b, '{')}
	write(&o)
	return append(o.B, '}')
}

// Set writes fields, given as name and value in turn. A value is what AppendValue
// takes.
func (o *Object) Set(fields ...any) {
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		o.Key(name)
		o.B = AppendValue(o.B, fields[i+1])
	}
}

// Key writes the name of a field whose value follows.
func (o *Object) Key(name string) {
	if o.begun {
		o.B = append(o.B, ',')
	}
	o.begun = true
	o.B = append(AppendString(o.B, name), ':')
}

// AppendList appends a list of the elements from, from+1 ... to-1.
func AppendList(b []byte, from, to int, element func(b []byte, i int) []byte) []byte {
	b = append(b, '[')
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = element(b, i)
	}
	return append(b, ']')
}

// AppendValue appends a string, bool, int, nil, []string or []int; anything else
// as the string fmt makes of it.
func AppendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return AppendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case []string:
		return AppendList(b, 0, len(v), func(b []byte, i int) []byte { return AppendString(b, v[i]) })
	case []int:
		return AppendList(b, 0, len(v), func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(v[i]), 10) })
	default:
		return AppendString(b, fmt.Sprint(v))
	}
}

// AppendString appends a string as json_encode does: slashes escaped, and
// everything beyond ASCII as \u.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0 // where the run of characters that stay as they are begins
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= ' ' && ch < utf8.RuneSelf && ch != '"' && ch != '\\' && ch != '/' {
			i++
			continue
		}
		b = append(b, s[plain:i]...)
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		plain = i
		if short := strings.IndexByte("\b\f\n\r\t", ch); short >= 0 {
			b = append(b, '\\', "bfnrt"[short])
		} else if ch < ' ' || ch >= utf8.RuneSelf {
			b = appendRune(b, r)
		} else {
			b = append(b, '\\', ch)
		}
	}
	return append(append(b, s[plain:]...), '"')
}

// appendRune appends the escape of a character, two of them beyond \uFFFF.
func appendRune(b []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	if r > 0xFFFF {
		r -= 0x10000
		b = appendRune(b, 0xD800+r>>10)
		r = 0xDC00 + r&0x3FF
	}
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
