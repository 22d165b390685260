// Package grammar turns the text of SCIM filters (RFC 7644 section 3.4.2.2) and
// of PATCH paths (section 3.5.2) into expressions, and expressions into text.
//
// It knows the grammar and no attribute: whether userName exists, and whether
// gt makes sense for it, is asked by package filter, which binds expressions to
// a resource type and evaluates them. The two are apart because everything that
// an unknown client can make long, deep or malformed is dealt with here, behind
// limits, before anything else looks at it.
//
// Errors are *schema.Error with scimType invalidFilter (or invalidPath) and the
// byte offset of the problem.
package grammar

import (
	"encoding/json"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Expr is a filter: one of And, Or, Not, Compare, Present and ValuePath. String
// gives text that parses to the same expression. An expression is a value that
// is never changed after it was built: Bind makes a new one, and caches may
// share them.
type Expr interface {
	String() string
	// write appends the text; within is the precedence of the place it stands
	// in: parentheses are needed below it.
	write(b *strings.Builder, within int)
}

// And holds when both sides hold.
type And struct{ L, R Expr }

// Or holds when at least one side holds.
type Or struct{ L, R Expr }

// Not holds when X does not.
type Not struct{ X Expr }

// Compare holds when a value of the attribute stands in the relation Op to
// Value: a string, bool, json.Number or nil. A multi-valued attribute matches
// when any of its values does. An attribute without value is different from
// every value (ne) and in no other relation; it is eq null.
type Compare struct {
	Path  Path
	Op    Op
	Value any
}

// Present holds when the attribute has a value that is not empty.
type Present struct{ Path Path }

// ValuePath holds when one value of a multi-valued attribute satisfies Filter,
// whose names are sub-attributes. emails[type eq "work" and value co "@x"]
// wants one address to satisfy both; the same two comparisons without brackets
// may each be satisfied by another one (F15).
type ValuePath struct {
	Path   Path
	Filter Expr
}

// Op is a comparison. Which of them an attribute allows depends on its type,
// and is checked by package filter.
type Op string

// The comparisons of RFC 7644 table 3, always in lower case. Present is its own
// kind of expression.
const (
	Eq Op = "eq"
	Ne Op = "ne"
	Co Op = "co"
	Sw Op = "sw"
	Ew Op = "ew"
	Gt Op = "gt"
	Ge Op = "ge"
	Lt Op = "lt"
	Le Op = "le"
)

// Path names an attribute. Parse keeps the spelling of the client; after Bind
// URN is set for extensions only, and Sub is "value" where the client left out
// the sub-attribute of a complex attribute in a comparison.
type Path struct{ URN, Attr, Sub string }

// String gives the name as it is written: [URN:]attr[.sub].
func (p Path) String() string {
	s := p.Attr
	if p.URN != "" {
		s = p.URN + ":" + s
	}
	if p.Sub != "" {
		s += "." + p.Sub
	}
	return s
}

// PatchPath is the path of a PATCH operation: an attribute, or with Filter the
// values of a multi-valued attribute that satisfy it. The Sub of the Path is
// what stands after the filter.
//
//	emails[type eq "work"].value   Attr emails, Filter type eq "work", Sub value
//	name.familyName                Attr name, Sub familyName
type PatchPath struct {
	Path
	Filter Expr
}

// String gives the path as it is written.
func (p PatchPath) String() string {
	if p.Filter == nil {
		return p.Path.String()
	}
	s := Path{URN: p.URN, Attr: p.Attr}.String() + "[" + p.Filter.String() + "]"
	if p.Sub != "" {
		s += "." + p.Sub
	}
	return s
}

// Precedence of the operators, weakest first.
const (
	precOr = iota
	precAnd
	precUnary
)

// text prints an expression that stands alone.
func text(e Expr) string {
	var b strings.Builder
	e.write(&b, precOr)
	return b.String()
}

// String gives the filter as text.
func (e And) String() string { return text(e) }

// String gives the filter as text.
func (e Or) String() string { return text(e) }

// String gives the filter as text.
func (e Not) String() string { return text(e) }

// String gives the filter as text.
func (e Compare) String() string { return text(e) }

// String gives the filter as text.
func (e Present) String() string { return text(e) }

// String gives the filter as text.
func (e ValuePath) String() string { return text(e) }

// write puts both sides down; see binary.
func (e And) write(b *strings.Builder, within int) { binary(b, e.L, " and ", e.R, precAnd, within) }

// write puts both sides down; see binary.
func (e Or) write(b *strings.Builder, within int) { binary(b, e.L, " or ", e.R, precOr, within) }

// binary writes an operator that groups to the left: the same one on its right
// side needs parentheses. Without them a and (b and c) would print as a and b
// and c, which reads as (a and b) and c: the same answer, but another
// expression.
func binary(b *strings.Builder, l Expr, op string, r Expr, own, within int) {
	if own < within {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	l.write(b, own)
	b.WriteString(op)
	r.write(b, own+1)
}

// write always sets parentheses: the grammar has no not without them. Therefore
// it never asks for a pair of its own.
func (e Not) write(b *strings.Builder, _ int) {
	b.WriteString("not (")
	e.X.write(b, precOr)
	b.WriteByte(')')
}

// write puts down name, operator and value.
func (e Compare) write(b *strings.Builder, _ int) {
	b.WriteString(e.Path.String())
	b.WriteByte(' ')
	b.WriteString(string(e.Op))
	b.WriteByte(' ')
	writeValue(b, e.Value)
}

// write puts down the name and pr.
func (e Present) write(b *strings.Builder, _ int) {
	b.WriteString(e.Path.String())
	b.WriteString(" pr")
}

// write puts down the name and the filter in brackets.
func (e ValuePath) write(b *strings.Builder, _ int) {
	b.WriteString(e.Path.String())
	b.WriteByte('[')
	e.Filter.write(b, precOr)
	b.WriteByte(']')
}

// ValueText gives the value of a comparison as it stands in a filter: as JSON.
func ValueText(v any) string {
	var b strings.Builder
	writeValue(&b, v)
	return b.String()
}

// writeValue puts down a value as JSON. Whatever else a program puts there
// prints as null, which compares with nothing.
func writeValue(b *strings.Builder, v any) {
	switch t := v.(type) {
	case string:
		quote(b, t)
	case bool:
		if t {
			b.WriteString("true")
		} else {
			b.WriteString("false")
		}
	case json.Number:
		b.WriteString(t.String())
	default:
		b.WriteString("null")
	}
}

// quote writes a JSON string with as few escapes as possible. Bytes beyond
// ASCII go out as they are: text is UTF-8 on both sides, and 😀 need not become
// a surrogate pair.
func quote(b *strings.Builder, s string) {
	const hex = "0123456789abcdef"
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

// fail builds the error for a problem in a filter. The detail is the whole
// sentence: a filter is one text, and no attribute could be named better than
// by the place in it.
func fail(format string, args ...any) *schema.Error {
	return schema.Errorf(schema.InvalidFilter, "", format, args...)
}
