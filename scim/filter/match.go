package filter

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// Match evaluates a filter on a canonical document. It binds the filter first,
// tolerantly; whoever has many documents calls Bind once. The error is that of
// Bind and does not depend on the document.
func Match(e Expr, rt *schema.ResourceType, doc schema.Document) (bool, error) {
	b, err := Bind(e, rt, Options{Tolerant: true})
	if err != nil {
		return false, err
	}
	return b.Match(doc), nil
}

// Match evaluates the filter: on a canonical document after Bind, on one value
// of the attribute after BindValues. Text is compared as the schema says
// (caseExact), dates as instants, numbers as numbers.
func (b Bound) Match(v any) bool {
	if b.scope.attr != nil {
		return b.scope.match(b.Expr, element(v))
	}
	doc, _ := v.(map[string]any)
	return b.scope.match(b.Expr, doc)
}

// element makes an object of one value of a list of plain values.
func element(v any) map[string]any {
	if obj, ok := v.(map[string]any); ok {
		return obj
	}
	return map[string]any{"value": v}
}

// match evaluates an expression. Names are looked up again for each document;
// that costs two map reads and keeps Bound a plain value. A name that no schema
// has is an attribute without value, not an error (F29): another release of the
// client may know more than we do.
func (sc scope) match(e Expr, doc map[string]any) bool {
	switch t := e.(type) {
	case And:
		return sc.match(t.L, doc) && sc.match(t.R, doc)
	case Or:
		return sc.match(t.L, doc) || sc.match(t.R, doc)
	case Not:
		return !sc.match(t.X, doc)
	case Present:
		ref, ok := sc.lookup(t.Path)
		return ok && !secret(ref) && each(ref, doc, present)
	case Compare:
		return sc.compare(t, doc)
	case ValuePath:
		ref, ok := sc.lookup(t.Path)
		if !ok || secret(ref) {
			return false
		}
		inner := scope{attr: ref.Attr}
		list, _ := ref.Value(doc).([]any)
		for _, v := range list {
			if inner.match(t.Filter, element(v)) {
				return true
			}
		}
	}
	return false
}

// compare evaluates a comparison. password has no value here, whatever the
// document holds, so that no filter can ask for it. emails.type ne "work" holds
// when any address differs (F17), as RFC 7644 says of all operators on
// multi-valued attributes.
func (sc scope) compare(c Compare, doc map[string]any) bool {
	ref, ok := sc.lookup(c.Path)
	if !ok || secret(ref) {
		return absent(c)
	}
	if c.Value == nil {
		there := each(ref, doc, func(v any) bool { return v != nil })
		return there == (c.Op == Ne)
	}
	if ref.Value(doc) == nil {
		return absent(c)
	}
	leaf := ref.Leaf()
	return each(ref, doc, func(v any) bool {
		if v == nil {
			return absent(c)
		}
		return holds(leaf, c.Op, v, c.Value)
	})
}

// absent evaluates a comparison with an attribute that has no value. It differs
// from every value, and it is null.
func absent(c Compare) bool { return (c.Op == Ne) != (c.Value == nil) }

// each reports whether f holds for a value of what ref names; f gets nil for a
// value that lacks the sub-attribute.
func each(ref schema.Ref, doc map[string]any, f func(any) bool) bool {
	one := func(v any) bool {
		if ref.Sub == nil {
			return f(v)
		}
		obj, _ := v.(map[string]any)
		return anyOf(obj[ref.Sub.Name], f)
	}
	v := ref.Value(doc)
	if ref.Attr.MultiValued {
		return anyOf(v, one)
	}
	return one(v)
}

// anyOf reports whether f holds for a value of a list; what is no list is its
// own only value.
func anyOf(v any, f func(any) bool) bool {
	switch list := v.(type) {
	case []any:
		return slices.ContainsFunc(list, f)
	case []string:
		for _, e := range list {
			if f(e) {
				return true
			}
		}
		return false
	default:
		return f(v)
	}
}

// present reports whether a value is one in the sense of pr: "" and objects of
// nothing are none.
func present(v any) bool {
	switch t := v.(type) {
	case nil:
		return false
	case string:
		return t != ""
	case map[string]any:
		for _, e := range t {
			if present(e) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(t, present)
	default:
		return true
	}
}

// holds compares one value with the one in the filter. The value in the filter
// has the attribute's type, Bind has seen to that; the value in the document
// may be anything when no body was ever checked.
func holds(a *schema.Attribute, op Op, have, want any) bool {
	switch a.Type {
	case schema.Boolean:
		return (have == want) == (op == Eq)
	case schema.Integer, schema.Decimal:
		h, ok := have.(json.Number)
		w, _ := want.(json.Number)
		if !ok {
			return op == Ne
		}
		return ordered(op, compareNumbers(h, w))
	case schema.DateTime:
		if op != Co && op != Sw && op != Ew {
			return instants(op, have, want)
		}
	case schema.String, schema.Reference, schema.Binary, schema.Complex:
	}
	h, ok := have.(string)
	w, _ := want.(string)
	if !ok {
		return op == Ne
	}
	return texts(a.CaseExact, op, h, w)
}

// instants compares dates as points in time. A stored value that is no date is
// different from every date.
func instants(op Op, have, want any) bool {
	h, ok1 := have.(string)
	w, ok2 := want.(string)
	ht, ok3 := schema.ParseTime(h)
	wt, ok4 := schema.ParseTime(w)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return op == Ne
	}
	return ordered(op, ht.Compare(wt))
}

// texts compares text. Without exact both sides are folded, so that order and
// substrings agree with equality. Folding costs an allocation, which equality,
// by far the most frequent question, avoids.
func texts(exact bool, op Op, have, want string) bool {
	switch {
	case !exact && (op == Eq || op == Ne):
		return strings.EqualFold(have, want) == (op == Eq)
	case !exact:
		have, want = schema.Fold(have), schema.Fold(want)
	}
	switch op {
	case Co:
		return strings.Contains(have, want)
	case Sw:
		return strings.HasPrefix(have, want)
	case Ew:
		return strings.HasSuffix(have, want)
	case Eq, Ne, Gt, Ge, Lt, Le:
	}
	return ordered(op, strings.Compare(have, want))
}

// compareNumbers compares whole numbers exactly, others as float64.
// 9007199254740993 is no float64, and two ids that differ in the last digit
// must not be equal.
func compareNumbers(a, b json.Number) int {
	x, err1 := a.Int64()
	y, err2 := b.Int64()
	if err1 == nil && err2 == nil {
		return cmp.Compare(x, y)
	}
	f, _ := a.Float64()
	g, _ := b.Float64()
	return cmp.Compare(f, g)
}

// ordered says whether a three-way comparison satisfies the operator.
func ordered(op Op, c int) bool {
	switch op {
	case Eq:
		return c == 0
	case Ne:
		return c != 0
	case Gt:
		return c > 0
	case Ge:
		return c >= 0
	case Lt:
		return c < 0
	case Le:
		return c <= 0
	case Co, Sw, Ew:
	}
	return false
}
