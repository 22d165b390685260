package elements

import (
	"slices"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// some carries out an operation on the values that satisfy where (nil: all of
// them), or on a sub-attribute of them.
//
//	emails[type eq "work"]         where, no sub-attribute
//	emails[type eq "work"].value   where and sub-attribute
//	emails.display                 sub-attribute of all values
//
// What the members of a set say about themselves is immutable (RFC 7643 section
// 4.2).
func (l *List) some(where filter.Expr, op Operation) error {
	sub := l.Ref.Sub
	if sub != nil && sub.Mutability == schema.Immutable {
		return schema.Errorf(schema.Mutability, l.Ref.String(), "the attribute is immutable; remove the value and add another")
	}
	hits, where, err := l.find(where)
	switch {
	case err != nil:
		return err
	case op.Op == OpRemove:
		l.removeHits(hits)
		return nil
	case l.attr().Type != schema.Complex:
		return schema.Errorf(schema.InvalidPath, l.Ref.String(), "its values can only be removed by brackets, not changed")
	case len(hits) == 0:
		return l.create(where, op)
	case sub != nil:
		return l.setSub(hits, op)
	default:
		return l.setElements(hits, op)
	}
}

// find gives the positions of the values that satisfy a filter, and the filter
// in canonical form. The filter is checked even when there is no value to ask,
// so that a mistake in it does not depend on what is stored.
func (l *List) find(where filter.Expr) ([]int, filter.Expr, error) {
	var hits []int
	if where == nil {
		for i := range l.Values {
			hits = append(hits, i)
		}
		return hits, nil, nil
	}
	b, err := filter.BindValues(where, l.attr(), l.Options())
	if err != nil {
		return nil, nil, err
	}
	for i, e := range l.Values {
		if b.Match(e) {
			hits = append(hits, i)
		}
	}
	return hits, b.Expr, nil
}

// removeHits removes the values found, or only a sub-attribute of them; a value
// without any sub-attribute left goes too. Nothing found is nothing removed,
// and no error: another request may have been faster.
func (l *List) removeHits(hits []int) {
	if l.Ref.Sub != nil {
		for _, i := range hits {
			obj, _ := l.Values[i].(map[string]any)
			delete(obj, l.Ref.Sub.Name)
		}
		l.Values = slices.DeleteFunc(l.Values, schema.Empty)
		return
	}
	kept := make([]any, 0, len(l.Values))
	for i, e := range l.Values {
		if _, hit := slices.BinarySearch(hits, i); !hit {
			kept = append(kept, e)
		}
	}
	l.Values = kept
}

// create makes the value that a filtered add or replace did not find, from what
// the filter says about it. The RFC wants noTarget for replace (section
// 3.5.2.3), Entra wants the value; for add see erratum 8097.
//
//	path   phoneNumbers[type eq "work"].value
//	value  "+49 123"
//	made   {"type":"work","value":"+49 123"}
//
// A filter that does not say what a value is, such as value co "x" or one with
// or, is noTarget in both modes: there is nothing to create from it.
func (l *List) create(where filter.Expr, op Operation) error {
	if op.Op == OpReplace {
		if err := l.Tolerate(schema.FixFilteredCreate, schema.NoTarget, "the path matches no value"); err != nil {
			return err
		}
	}
	if schema.Empty(op.Value) {
		return nil
	}
	made := map[string]any{}
	if !Seed(where, made) {
		return schema.Errorf(schema.NoTarget, "", "the path matches no value, and it does not say what a new one would be")
	}
	v := op.Value
	if l.Ref.Sub != nil {
		v = map[string]any{l.Ref.Sub.Name: v}
	}
	next, err := l.Element(v)
	if err != nil || next == nil {
		return err
	}
	v, err = schema.CanonicalElement(l.attr(), Merge(l.attr(), made, next), l.Mode, &l.Fixups)
	if err != nil || v == nil {
		return err
	}
	l.add(v)
	return nil
}

// Element reads the value of an operation on single values of a list: an
// object, or what stands for one. Nil means that there is nothing to set. Entra
// wraps the one object in a list; a plain "x" is {"value":"x"}.
func (l *List) Element(v any) (map[string]any, error) {
	if list, ok := v.([]any); ok && len(list) == 1 {
		if err := l.Tolerate(schema.FixSingletonArray, schema.InvalidValue, "an object is expected, not a list"); err != nil {
			return nil, err
		}
		v = list[0]
	}
	if schema.Empty(v) {
		return nil, nil
	}
	v, err := schema.CanonicalElement(l.attr(), v, l.Mode, &l.Fixups)
	if err != nil {
		return nil, err
	}
	obj, _ := v.(map[string]any)
	return obj, nil
}

// setSub sets a sub-attribute of the values found. Several values may be meant
// at once, but only the first of them becomes primary. A value whose last
// sub-attribute was cleared goes.
func (l *List) setSub(hits []int, op Operation) error {
	v, err := schema.CanonicalValue(l.Ref.Sub, op.Value, l.Mode, &l.Fixups)
	if err != nil {
		return err
	}
	if v == nil && op.Op == OpAdd && schema.Empty(op.Value) {
		return nil
	}
	for n, i := range hits {
		obj, ok := l.Values[i].(map[string]any)
		if !ok {
			continue
		}
		if n > 0 && l.Ref.Sub.Name == "primary" && v == true {
			break // only one value can be primary
		}
		Store(obj, l.Ref.Sub.Name, schema.Clone(v))
		l.promote(i)
	}
	l.Values = slices.DeleteFunc(l.Values, schema.Empty)
	return nil
}

// setElements completes (add) or exchanges (replace) the values found. A plain
// value stands for the "value" alone, so the rest stays.
//
//	stored   [{"value":"a","type":"work","display":"A"}]
//	path     emails[type eq "work"]
//	replace  {"value":"b"}    [{"value":"b"}]
//	replace  "b"              [{"value":"b","type":"work","display":"A"}]
//	add      {"value":"b"}    [{"value":"b","type":"work","display":"A"}]
func (l *List) setElements(hits []int, op Operation) error {
	next, err := l.Element(op.Value)
	switch {
	case err != nil:
		return err
	case next == nil:
		if op.Op == OpReplace {
			l.removeHits(hits)
		}
		return nil
	}
	_, plain := op.Value.(string)
	for _, i := range hits {
		have, _ := l.Values[i].(map[string]any)
		if op.Op == OpReplace && !plain {
			have = nil
		}
		l.Values[i] = Merge(l.attr(), have, next)
		l.promote(i)
	}
	if l.attr().Set() { // several values may have become one
		values := l.Values
		l.Values = nil
		l.union(values)
	}
	return nil
}
