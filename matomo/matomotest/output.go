package matomotest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Answers are appended to one buffer as they are made, so that a list of
// 100,000 users costs one copy of its text and no tree of values.

// success is the answer of a method that returns nothing.
func (c *call) success() error {
	if c.xml {
		c.out = append(c.out, xmlHead+"<result>\n\t<success message=\"ok\" />\n</result>"...)
		return nil
	}
	c.out = append(c.out, `{"result":"success","message":"ok"}`...)
	return nil
}

const xmlHead = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"

// value answers one scalar: a string, bool or int.
func (c *call) value(v any) error {
	if c.xml {
		text := fmt.Sprint(v)
		if b, ok := v.(bool); ok {
			text = map[bool]string{true: "1", false: "0"}[b]
		}
		c.out = append(c.out, xmlHead+"<result>"+htmlEntities(text)+"</result>"...)
		return nil
	}
	c.out = append(c.out, `{"value":`...)
	c.out = appendScalar(c.out, v)
	c.out = append(c.out, '}')
	return nil
}

// object answers a map whose keys are no numbers: filter_limit does not touch
// it.
func (c *call) object(write func(*object)) error {
	if err := c.jsonOnly(); err != nil {
		return err
	}
	c.out = appendObject(c.out, write)
	return nil
}

// list answers a list of n elements, cut by filter_limit and filter_offset.
func (c *call) list(n int, element func(b []byte, i int) []byte) error {
	if err := c.jsonOnly(); err != nil {
		return err
	}
	from, to := c.window(n)
	c.out = append(c.out, '[')
	for i := from; i < to; i++ {
		if i > from {
			c.out = append(c.out, ',')
		}
		c.out = element(c.out, i)
	}
	c.out = append(c.out, ']')
	return nil
}

// keyed answers a PHP array with the given keys. Matomo cuts it only when the
// first key is a number, and then PHP numbers the integer keys afresh (trap 2).
// An empty array, or one numbered from 0, is a JSON list (trap 4).
func (c *call) keyed(n int, key func(i int) string, element func(b []byte, i int) []byte) error {
	if err := c.jsonOnly(); err != nil {
		return err
	}
	from, to, cut := 0, n, false
	if n > 0 && isNumeric(key(0)) {
		from, to = c.window(n)
		cut = c.integer("filter_limit", -1) >= 0 || c.integer("filter_offset", 0) > 0
	}
	keys := make([]string, 0, to-from)
	next, plain := 0, true
	for i := from; i < to; i++ {
		k := key(i)
		if cut && isInteger(k) {
			k = strconv.Itoa(next)
			next++
		}
		plain = plain && k == strconv.Itoa(i-from)
		keys = append(keys, k)
	}
	if plain {
		return c.list(n, element)
	}
	c.out = append(c.out, '{')
	for i, k := range keys {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(appendString(c.out, k), ':')
		c.out = element(c.out, from+i)
	}
	c.out = append(c.out, '}')
	return nil
}

// window is the part of n elements that filter_limit and filter_offset leave,
// as PHP's array_slice counts: a negative limit with an offset drops as many
// from the end.
func (c *call) window(n int) (from, to int) {
	limit, offset := c.integer("filter_limit", -1), c.integer("filter_offset", 0)
	if limit < 0 && offset <= 0 {
		return 0, n
	}
	from = min(max(offset, 0), n)
	to = from + limit
	if limit < 0 {
		to = n + limit
	}
	return from, max(from, min(to, n))
}

// jsonOnly refuses what has no XML form here.
func (c *call) jsonOnly() error {
	if c.xml {
		return refuse("matomotest answers lists and maps as JSON only")
	}
	return nil
}

// appendError writes a refusal.
func (c *call) appendError(e *apiError) {
	text := e.text
	if !c.bulk {
		text = htmlEntities(text)
	}
	if c.xml {
		c.out = append(c.out, xmlHead+"<result>\n\t<error message=\""+text+"\" />\n</result>"...)
		return
	}
	c.out = append(c.out, `{"result":"error","message":`...)
	c.out = append(appendString(c.out, text), '}')
}

// object writes the fields of one JSON object.
type object struct {
	b     []byte
	first bool
}

func appendObject(b []byte, write func(*object)) []byte {
	o := object{append(b, '{'), true}
	write(&o)
	return append(o.b, '}')
}

// set writes one field; v is a string, bool, int, nil or []string.
func (o *object) set(name string, v any) {
	o.key(name)
	o.b = appendScalar(o.b, v)
}

func (o *object) key(name string) {
	if !o.first {
		o.b = append(o.b, ',')
	}
	o.first = false
	o.b = append(appendString(o.b, name), ':')
}

func appendScalar(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	default:
		return appendString(b, fmt.Sprint(v))
	}
}

// appendString writes a string as PHP's json_encode does: slashes escaped,
// everything beyond ASCII as \u.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	unit := func(b []byte, u rune) []byte {
		return append(b, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		ch := s[i]
		if ch < utf8.RuneSelf {
			i++
			switch {
			case ch == '"' || ch == '\\' || ch == '/':
				b = append(b, '\\', ch)
			case ch >= ' ':
				b = append(b, ch)
			default:
				if short := strings.IndexByte("\b\f\n\r\t", ch); short >= 0 {
					b = append(b, '\\', "bfnrt"[short])
				} else {
					b = unit(b, rune(ch))
				}
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if r > 0xFFFF {
			r -= 0x10000
			b = unit(b, 0xD800+r>>10)
			r = 0xDC00 + r&0x3FF
		}
		b = unit(b, r)
	}
	return append(b, '"')
}

// isNumeric is PHP's is_numeric for the keys that occur: "007" is numeric.
func isNumeric(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && s != "" && strings.Trim(s, "0123456789.+-eE") == ""
}

// isInteger says whether PHP turns a key into an integer: "7" yes, "007" no.
func isInteger(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && strconv.Itoa(n) == s
}
