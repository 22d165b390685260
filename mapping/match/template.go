package match

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Capture is one variable of a key and what it took out of a name, in the letter
// case of the name.
type Capture struct{ Var, Value string }

// Captures are all that a key took, each variable once. They are plain text:
// whoever puts them somewhere must not read them as anything else.
type Captures []Capture

// Get returns what the variable took; empty if the key has no such variable,
// because one that is there takes at least one character.
func (c Captures) Get(name string) string {
	for i := range c {
		if c[i].Var == name {
			return c[i].Value
		}
	}
	return ""
}

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

// VarLength returns the length of the variable "{name}" at the start of s, or 0
// if none stands there. Everything else in braces is text: "{Site}", "{1}", "{}".
func VarLength(s string) int {
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

// Vars returns the names of the variables that occur in s, in order.
func Vars(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		if n := VarLength(s[i:]); n > 0 {
			out = append(out, s[i+1:i+n-1])
			i += n
			continue
		}
		i++
	}
	return out
}

// newTemplate reads a name with variables, or without any, which makes it a
// template that matches one name.
func newTemplate(s string) (*template, error) {
	t := &template{}
	literal := 0
	for i := 0; i < len(s); {
		n := VarLength(s[i:])
		if n == 0 {
			i++
			continue
		}
		name := s[i+1 : i+n-1]
		if slices.Contains(t.vars, name) {
			return nil, fmt.Errorf("{%s} occurs twice", name)
		}
		if len(t.vars) > 0 && literal == i {
			return nil, fmt.Errorf("{%s} follows {%s} directly: something must stand between them", name, t.vars[len(t.vars)-1])
		}
		if len(t.vars) == maxVars {
			return nil, fmt.Errorf("more than %d variables", maxVars)
		}
		t.literals = append(t.literals, Fold(s[literal:i]))
		t.vars = append(t.vars, name)
		i += n
		literal = i
	}
	t.close(s[literal:])
	return t, nil
}

// close adds the last literal and works out what stands beside each variable.
func (t *template) close(literal string) {
	t.literals = append(t.literals, Fold(literal))
	for i := range t.vars {
		t.left = append(t.left, edge(utf8.DecodeLastRuneInString(t.literals[i])))
		t.right = append(t.right, edge(utf8.DecodeRuneInString(t.literals[i+1])))
	}
}

// edge is a decoded rune, 0 if there was none.
func edge(r rune, size int) rune {
	if size == 0 {
		return 0
	}
	return r
}

// match reports whether the template is the whole of name, and appends what its
// variables took.
func (t *template) match(name string, into Captures) (Captures, bool) {
	pos, ok := skipFolded(name, t.literals[0])
	if !ok {
		return into, false
	}
	var taken [maxVars]string
	for i := range t.vars {
		n := t.take(i, name[pos:])
		if n == 0 {
			return into, false
		}
		taken[i] = name[pos : pos+n]
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
	for i, v := range t.vars {
		into = append(into, Capture{v, taken[i]})
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

// placeholders stand for variables while a DN is parsed: characters that Unicode
// keeps out of texts for good, and the reader refuses in keys.
const (
	firstPlaceholder = '\uFDD0'
	lastPlaceholder  = '\uFDEF'
)

// hideVars replaces the variables in s by characters: the first by this one, each
// further one by the next after as many steps.
func hideVars(s string, by, step rune) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := VarLength(s[i:])
		if n == 0 {
			b.WriteByte(s[i])
			i++
			continue
		}
		b.WriteRune(by)
		by += step
		i += n
	}
	return b.String()
}
