package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/matomo-scim/bridge/config/spelling"
)

// The library's own decoding into structs reports unknown keys without a column
// and stops caring about a file after the first document. So it only parses
// here; the walk over its nodes is ours: it keeps each value's place, for the
// checks that follow, and goes on after an error.

// decode lays the file over c. It reports false when the text is not YAML, or
// not keys and values, so that checking what it means would make no sense.
func decode(data []byte, c *Config, r *report) bool {
	// YAML may be UTF-16 too, in which lines are counted otherwise than here.
	if at := notUTF8(data); at >= 0 {
		line := bytes.Count(data[:at], []byte("\n")) + 1
		r.addAt(mark{min(line, len(r.lines)), 1}, "", "this is not UTF-8 text", "save the file as UTF-8")
		return false
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return true // an empty file: every required key is missing
	} else if err != nil {
		r.syntax(err)
		return false
	}
	for _, n := range doc.Content {
		r.value("", n, reflect.ValueOf(c).Elem(), "")
	}
	usable := !r.spoilt[""]
	var next yaml.Node
	if err := dec.Decode(&next); err == nil {
		r.addAt(mark{next.Line, next.Column}, "", "a second document starts here", "keep one document a file and remove the --- line")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	return usable
}

// notUTF8 is where data stops being UTF-8, -1 when it does not.
func notUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// yamlLine finds the line in the library's error text, its only place for it.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntax reports an error of the YAML parser.
func (r *report) syntax(err error) {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	line, convErr := strconv.Atoi(m[1])
	if convErr != nil {
		line = 1
	}
	line = min(line, len(r.lines))
	// The parser's line is that of what it was reading, which may be the one before.
	for n, text := range r.lines[line-1 : min(line+1, len(r.lines))] {
		if indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]; strings.Contains(indent, "\t") {
			r.addAt(mark{line + n, strings.Index(indent, "\t") + 1}, "", "a tab stands before the text", "indent with spaces: YAML takes no tabs there")
			return
		}
	}
	r.addAt(mark{line, 1}, "", "this is not YAML: "+strings.TrimPrefix(text, m[0]),
		"look at the indentation (spaces, no tabs), quotes and colons on this line and the one before")
}

// value decodes a node into v. tag is the field's struct tag.
func (r *report) value(path string, n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.addAt(mark{n.Line, n.Column}, path, "anchors and aliases are not supported", "write the value out at each place")
		return
	}
	if isNull(n) {
		return // "key:" with nothing behind it is the same as no key
	}
	r.at[path] = mark{n.Line, n.Column}
	switch v.Kind() {
	case reflect.Struct:
		r.mapping(path, n, v)
	case reflect.Slice:
		r.sequence(path, n, v)
	case reflect.Map:
		r.stringMap(path, n, v)
	default:
		if n.Kind != yaml.ScalarNode {
			r.wrongType(path, n, "a single value")
			return
		}
		r.scalar(path, n, v, tag)
	}
}

// mapping decodes keys and values into a struct.
func (r *report) mapping(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.wrongType(path, n, "keys and values, like "+strings.Join(keysOf(v.Type()), ", "))
		return
	}
	r.pairs(path, n, func(key, value *yaml.Node) {
		at := join(path, key.Value)
		f, ok := fieldOf(v.Type(), key.Value)
		if !ok {
			r.unknownKey(path, key, value, v.Type())
			return
		}
		r.at[at] = mark{key.Line, key.Column}
		r.value(at, value, v.FieldByIndex(f.Index), f.Tag)
	})
}

// stringMap decodes a mapping of text to text.
func (r *report) stringMap(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.wrongType(path, n, `pairs, like {"from": "to"}`)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	r.pairs(path, n, func(key, value *yaml.Node) {
		at := path + "[" + strconv.Quote(key.Value) + "]"
		r.at[at] = mark{key.Line, key.Column}
		elem := reflect.New(v.Type().Elem()).Elem()
		r.value(at, value, elem, "")
		v.SetMapIndex(reflect.ValueOf(key.Value), elem)
	})
}

// pairs calls fn for each key of a mapping; a key that is no plain word, or is
// there twice, is reported instead.
func (r *report) pairs(path string, n *yaml.Node, fn func(key, value *yaml.Node)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := mark{key.Line, key.Column}
		if key.Kind != yaml.ScalarNode || key.Anchor != "" {
			r.addAt(at, path, "a key must be a plain word", "")
			continue
		}
		if line, twice := first[key.Value]; twice {
			r.addAt(at, join(path, key.Value), fmt.Sprintf("this key is already on line %d", line), "keep one of the two")
			continue
		}
		first[key.Value] = key.Line
		fn(key, n.Content[i+1])
	}
}

// sequence decodes a list; entries start from their defaults.
func (r *report) sequence(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.wrongType(path, n, "a list, like [a, b] or lines that start with a dash")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		elem := newElement(v.Type().Elem())
		if isNull(item) {
			r.addAt(mark{item.Line, item.Column}, at, "this list entry is empty", "fill it in, or remove it")
		} else {
			r.value(at, item, elem, "")
		}
		v.Set(reflect.Append(v, elem))
	}
}

// durationType is told apart from other whole numbers.
var durationType = reflect.TypeFor[time.Duration]()

// scalar decodes a single value: text, a word of a closed set, yes or no, a
// whole number, a duration.
func (r *report) scalar(path string, n *yaml.Node, v reflect.Value, tag reflect.StructTag) {
	at := mark{n.Line, n.Column}
	kind := n.ShortTag()
	switch {
	case v.Type() == durationType:
		d, err := ParseDuration(n.Value)
		if _, never := tag.Lookup("never"); never && n.Value == "never" {
			d, err = 0, nil
		} else if never && err == nil && d == 0 {
			err = errors.New(`0 is unclear here: write "never", or a duration above 0`)
		}
		if err != nil {
			r.addAt(at, path, err.Error(), "write 10s, 15m, 720h or 30d")
			return
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.Bool:
		if kind != "!!bool" {
			r.wrongType(path, n, "true or false")
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case v.CanInt():
		var i int32
		if kind != "!!int" || n.Decode(&i) != nil {
			r.wrongType(path, n, "a whole number")
			return
		}
		v.SetInt(int64(i))
	default:
		r.text(path, n, v)
	}
}

// text decodes text, and words of a closed set.
func (r *report) text(path string, n *yaml.Node, v reflect.Value) {
	at := mark{n.Line, n.Column}
	if n.ShortTag() != "!!str" {
		r.addAt(at, path, "must be text", `put it in quotes: "`+n.Value+`"`)
		return
	}
	if e, ok := reflect.TypeAssert[enum](v); ok && !slices.Contains(e.values(), n.Value) {
		allowed := e.values()
		hint := "use one of: " + strings.Join(allowed, ", ")
		if near := spelling.Nearest(n.Value, allowed); near != "" {
			hint = "did you mean " + near + "? (one of: " + strings.Join(allowed, ", ") + ")"
		}
		r.addAt(at, path, fmt.Sprintf("%q is not known here", n.Value), hint)
		return
	}
	v.SetString(n.Value)
}

// wrongType reports a value of the wrong shape.
func (r *report) wrongType(path string, n *yaml.Node, want string) {
	r.addAt(mark{n.Line, n.Column}, path, "must be "+want, "")
}

// isNull reports a value that is not there: nothing, ~ or null.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// days is the part of a duration that Go does not know.
var days = regexp.MustCompile(`^(\d{1,6})d(.*)$`)

// ParseDuration reads a duration as people write it, in the file and on the command
// line: Go's form, with days in front (30d, 1d12h). Negative ones and bare numbers
// are errors.
func ParseDuration(s string) (time.Duration, error) {
	var total time.Duration
	rest := s
	if m := days.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 36500 {
			return 0, errors.New("that is more than a hundred years")
		}
		total, rest = time.Duration(n)*24*time.Hour, m[2]
		if rest == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		if _, numErr := strconv.ParseFloat(s, 64); numErr == nil {
			return 0, errors.New("a duration needs a unit")
		}
		return 0, errors.New("this is not a duration")
	}
	if d < 0 || total+d < 0 {
		return 0, errors.New("a duration cannot be negative")
	}
	return total + d, nil
}
