package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// captures are the values that a template took out of a name, by variable. They
// keep the letter case of the name.
type captures map[string]string

// template is a name with variables, such as "Matomo-{site}-Viewers". Parts
// alternate: literals[0] vars[0] literals[1] ... vars[n-1] literals[n]; only the
// first and the last literal may be empty.
//
// A variable takes at least one character and cannot take the literal character
// on either side of it, so there is only ever one way to match: it ends at the
// first occurrence of what follows. At the end of the name it takes all the rest.
//
//	"Brand {b} {r}"  over "Brand Shop view"     b = Shop, r = view
//	"Brand {b} {r}"  over "Brand My Shop view"  b = My, r = "Shop view"
//	"Brand {b}"      over "Brand My Shop"       b = "My Shop"
//	"x{n}y"          over "xx1y"                no match: n would begin with x
//
// That one name is never matched in two ways keeps a group's owner from choosing
// which part of its name becomes the site and which the role.
type template struct {
	literals []string // folded
	vars     []string
	left     []rune // folded character before each variable; 0: none
	right    []rune // folded character after each variable; 0: none
}

// maxVars bounds the variables of one template.
const maxVars = 8

// varLength returns the length of the variable "{name}" at the start of s, or 0.
func varLength(s string) int {
	if len(s) < 3 || s[0] != '{' || s[1] < 'a' || s[1] > 'z' {
		return 0
	}
	for i := 2; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '}':
			return i + 1
		case 'a' <= c && c <= 'z' || isDigit(c) || c == '_':
		default:
			return 0
		}
	}
	return 0
}

// varsIn returns the variables that occur in s, in order.
func varsIn(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		if n := varLength(s[i:]); n > 0 {
			out = append(out, s[i+1:i+n-1])
			i += n
			continue
		}
		i++
	}
	return out
}

// newTemplate reads a name with variables. The message says what is wrong with
// it and is empty if nothing is.
func newTemplate(s string) (*template, string) {
	t := &template{}
	literal := 0
	for i := 0; i < len(s); {
		n := varLength(s[i:])
		if n == 0 {
			i++
			continue
		}
		name := s[i+1 : i+n-1]
		if slices.Contains(t.vars, name) {
			return nil, fmt.Sprintf("{%s} occurs twice", name)
		}
		if len(t.vars) > 0 && literal == i {
			return nil, fmt.Sprintf("{%s} follows {%s} directly: something must stand between them", name, t.vars[len(t.vars)-1])
		}
		if len(t.vars) == maxVars {
			return nil, fmt.Sprintf("more than %d variables", maxVars)
		}
		t.literals = append(t.literals, fold(s[literal:i]))
		t.vars = append(t.vars, name)
		i += n
		literal = i
	}
	t.literals = append(t.literals, fold(s[literal:]))
	for i := range t.vars {
		t.left = append(t.left, lastRune(t.literals[i]))
		t.right = append(t.right, firstRune(t.literals[i+1]))
	}
	return t, ""
}

// firstRune and lastRune return 0 for an empty string.
func firstRune(s string) rune {
	if s == "" {
		return 0
	}
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

func lastRune(s string) rune {
	if s == "" {
		return 0
	}
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

// match reports whether the template is the whole of name, and adds what its
// variables took to into (which is made when it is nil).
func (t *template) match(name string, into captures) (captures, bool) {
	pos, ok := skipFolded(name, t.literals[0])
	if !ok {
		return into, false
	}
	var taken [maxVars]string
	values := taken[:0]
	for i := range t.vars {
		n := t.take(i, name[pos:])
		if n == 0 {
			return into, false
		}
		values = append(values, name[pos:pos+n])
		pos += n
		n, ok = skipFolded(name[pos:], t.literals[i+1])
		if !ok {
			return into, false
		}
		pos += n
	}
	if pos != len(name) {
		return into, false
	}
	if into == nil {
		into = make(captures, len(t.vars))
	}
	for i, v := range t.vars {
		into[v] = values[i]
	}
	return into, true
}

// take returns how many bytes of s variable i takes; 0: it cannot match.
func (t *template) take(i int, s string) int {
	if t.right[i] == 0 {
		return len(s)
	}
	for pos, r := range s {
		switch foldRune(r) {
		case t.right[i]:
			return pos
		case t.left[i]:
			return 0
		}
	}
	return 0
}

// skipFolded returns how many bytes at the start of s are the folded literal.
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
			if literal[i] != s[pos] {
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

// placeholders stand for variables while a DN is parsed: characters that Unicode
// keeps out of texts for good, and the reader refuses in keys.
const (
	firstPlaceholder = '\uFDD0'
	lastPlaceholder  = '\uFDEF'
)

// hideVars replaces the variables in s by placeholders.
func hideVars(s string) (hidden string, vars []string) {
	var b strings.Builder
	next := firstPlaceholder
	for i := 0; i < len(s); {
		n := varLength(s[i:])
		if n == 0 {
			b.WriteByte(s[i])
			i++
			continue
		}
		b.WriteRune(next)
		next++
		vars = append(vars, s[i+1:i+n-1])
		i += n
	}
	return b.String(), vars
}
