package patch

import (
	"slices"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// maxValues is how many values a list may have that is searched value by value;
// the members of a group have no such limit.
const maxValues = 1000

// lister carries out operations on a multi-valued attribute, which stands in
// target.
type lister struct {
	*applier
	ref    schema.Ref
	target map[string]any
	list   []any
}

// attr is the attribute whose values are in list.
func (l *lister) attr() *schema.Attribute { return l.ref.Attr }

// apply carries out an operation and puts the list back; an empty one makes the
// attribute unassigned.
func (l *lister) apply(where filter.Expr, op Operation) error {
	l.list, _ = l.target[l.attr().Name].([]any)
	var err error
	switch {
	case where == nil && l.ref.Sub == nil:
		err = l.all(op)
	default:
		err = l.some(where, op)
	}
	if err != nil {
		return err
	}
	if len(l.list) > maxValues && !l.attr().Set() {
		return schema.Errorf(schema.InvalidValue, l.attr().Name, "more than %d values", maxValues)
	}
	store(l.target, l.attr().Name, l.list)
	return nil
}

// all carries out an operation on the list as such.
func (l *lister) all(op Operation) error {
	if op.Op == OpRemove {
		if op.Value == nil {
			l.list = nil
			return nil
		}
		return l.removeValues(op.Value)
	}
	v, err := schema.CanonicalValue(l.attr(), op.Value, l.mode, &l.fixups)
	if err != nil {
		return err
	}
	values, _ := schema.Clone(v).([]any)
	if op.Op == OpReplace {
		l.list = values
		return nil
	}
	if l.attr().Set() {
		l.union(values)
		return nil
	}
	for _, e := range values {
		if len(l.list) > maxValues {
			break // apply answers with the error
		}
		l.add(e)
	}
	return nil
}

// union adds the members of a set that are not there yet.
func (l *lister) union(values []any) {
	there := make(map[string]bool, len(l.list)+len(values))
	for _, e := range l.list {
		there[textOf(e, "value")] = true
	}
	for _, e := range values {
		if v := textOf(e, "value"); !there[v] {
			there[v] = true
			l.list = append(l.list, e)
		}
	}
}

// textOf reads a sub-attribute that is text, "" when there is none.
func textOf(element any, sub string) string {
	obj, _ := element.(map[string]any)
	s, _ := obj[sub].(string)
	return s
}

// add appends a value, or completes the one that is there already.
func (l *lister) add(e any) {
	i := slices.IndexFunc(l.list, func(have any) bool { return same(l.attr(), have, e) })
	obj, isObject := e.(map[string]any)
	switch {
	case i < 0:
		l.list = append(l.list, e)
		i = len(l.list) - 1
	case isObject:
		have, _ := l.list[i].(map[string]any)
		l.list[i] = merge(l.attr(), have, obj)
	}
	l.promote(i)
}

// promote makes value i the only primary one, if it says that it is primary
// (RFC 7644 section 3.5.2).
func (l *lister) promote(i int) {
	if obj, ok := l.list[i].(map[string]any); !ok || obj["primary"] != true {
		return
	}
	for j, e := range l.list {
		if obj, ok := e.(map[string]any); ok && j != i && obj["primary"] == true {
			obj["primary"] = false
		}
	}
}

// same reports whether want names the value have: by value, and by type where
// want has one; values without "value", such as addresses, by all that want
// says.
func same(a *schema.Attribute, have, want any) bool {
	w, ok := want.(map[string]any)
	h, ok2 := have.(map[string]any)
	switch {
	case !ok || !ok2:
		return equalText(a, have, want)
	case schema.Equal(have, want):
		return true
	}
	if v, ok := w["value"]; ok {
		t, typed := w["type"]
		return equalText(a.Sub("value"), h["value"], v) && (!typed || a.Set() || equalText(a.Sub("type"), h["type"], t))
	}
	compared := false
	for k, v := range w {
		if !telling(k) {
			continue
		}
		compared = true
		if !schema.Equal(h[k], v) {
			return false
		}
	}
	return compared
}

// equalText compares two values as attribute a says; a may be nil.
func equalText(a *schema.Attribute, x, y any) bool {
	s, ok := x.(string)
	t, ok2 := y.(string)
	if ok && ok2 && a != nil && !a.CaseExact {
		return schema.Fold(s) == schema.Fold(t)
	}
	return schema.Equal(x, y)
}

// removeValues removes only the values that were sent along. RFC 7644 knows no
// value with remove, so that a literal reading would remove all; that is never
// done.
func (l *lister) removeValues(v any) error {
	values, err := l.toRemove(l.attr(), v)
	if err != nil {
		return err
	}
	if l.attr().Set() {
		gone := make(map[string]bool, len(values))
		for _, e := range values {
			gone[textOf(e, "value")] = true
		}
		l.list = slices.DeleteFunc(l.list, func(e any) bool { return gone[textOf(e, "value")] })
		return nil
	}
	if len(values) > maxValues {
		return schema.Errorf(schema.InvalidValue, l.attr().Name, "more than %d values", maxValues)
	}
	l.list = slices.DeleteFunc(l.list, func(e any) bool {
		return slices.ContainsFunc(values, func(want any) bool { return same(l.attr(), e, want) })
	})
	return nil
}

// toRemove reads the value of a remove: a list, one object or one plain value.
// Each must say which value is meant.
func (p *patcher) toRemove(attr *schema.Attribute, v any) ([]any, error) {
	if err := p.tolerate(schema.FixValueArrayRemove, schema.InvalidValue, "remove takes no value; name the values in the path"); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	v, err := schema.CanonicalValue(attr, list, p.mode, &p.fixups)
	if err != nil {
		return nil, err
	}
	values, _ := v.([]any)
	if len(values) == 0 && len(list) > 0 || slices.ContainsFunc(values, func(e any) bool { return !names(attr, e) }) {
		return nil, schema.Errorf(schema.InvalidValue, attr.Name, "it is not clear which values to remove")
	}
	return values, nil
}

// names reports whether a value to remove says which one it is.
func names(attr *schema.Attribute, e any) bool {
	obj, ok := e.(map[string]any)
	if !ok {
		return true
	}
	if attr.Sub("value") != nil {
		return textOf(e, "value") != ""
	}
	for k := range obj {
		if telling(k) {
			return true
		}
	}
	return false
}

// telling reports whether a sub-attribute says which value is meant, and not only
// something about it.
func telling(sub string) bool { return sub != "$ref" && sub != "display" && sub != "primary" }

// some carries out an operation on the values that satisfy where (nil: all of
// them), or on a sub-attribute of them.
func (l *lister) some(where filter.Expr, op Operation) error {
	sub := l.ref.Sub
	if sub != nil && sub.Mutability == schema.Immutable {
		return schema.Errorf(schema.Mutability, l.ref.String(), "the attribute is immutable; remove the value and add another")
	}
	hits, where, err := l.find(where)
	switch {
	case err != nil:
		return err
	case op.Op == OpRemove:
		l.removeHits(hits)
		return nil
	case l.attr().Type != schema.Complex:
		return schema.Errorf(schema.InvalidPath, l.ref.String(), "its values can only be removed by brackets, not changed")
	case len(hits) == 0:
		return l.create(where, op)
	case sub != nil:
		return l.setSub(hits, op)
	default:
		return l.setElements(hits, op)
	}
}

// find gives the positions of the values that satisfy a filter, and the filter
// in canonical form.
func (l *lister) find(where filter.Expr) ([]int, filter.Expr, error) {
	var hits []int
	if where == nil {
		for i := range l.list {
			hits = append(hits, i)
		}
		return hits, nil, nil
	}
	b, err := filter.BindValues(where, l.attr(), l.options())
	if err != nil {
		return nil, nil, err
	}
	for i, e := range l.list {
		if b.Match(e) {
			hits = append(hits, i)
		}
	}
	return hits, b.Expr, nil
}

// removeHits removes the values found, or only a sub-attribute of them; a value
// without any sub-attribute left goes too.
func (l *lister) removeHits(hits []int) {
	if l.ref.Sub != nil {
		for _, i := range hits {
			obj, _ := l.list[i].(map[string]any)
			delete(obj, l.ref.Sub.Name)
		}
		l.list = slices.DeleteFunc(l.list, empty)
		return
	}
	kept := make([]any, 0, len(l.list))
	for i, e := range l.list {
		if _, hit := slices.BinarySearch(hits, i); !hit {
			kept = append(kept, e)
		}
	}
	l.list = kept
}

// create makes the value that a filtered add or replace did not find, from what
// the filter says about it. The RFC wants noTarget for replace (section
// 3.5.2.3), Entra wants the value; for add see erratum 8097.
func (l *lister) create(where filter.Expr, op Operation) error {
	if op.Op == OpReplace {
		if err := l.tolerate(schema.FixFilteredCreate, schema.NoTarget, "the path matches no value"); err != nil {
			return err
		}
	}
	if empty(op.Value) {
		return nil
	}
	made := map[string]any{}
	if !seed(where, made) {
		return schema.Errorf(schema.NoTarget, "", "the path matches no value, and it does not say what a new one would be")
	}
	v := op.Value
	if l.ref.Sub != nil {
		v = map[string]any{l.ref.Sub.Name: v}
	}
	next, err := l.element(v)
	if err != nil || next == nil {
		return err
	}
	v, err = schema.CanonicalElement(l.attr(), merge(l.attr(), made, next), l.mode, &l.fixups)
	if err != nil || v == nil {
		return err
	}
	l.add(v)
	return nil
}

// seed collects what a filter of eq and and says about a value; false when it
// says something else.
func seed(where filter.Expr, into map[string]any) bool {
	switch e := where.(type) {
	case nil:
		return true
	case filter.And:
		return seed(e.L, into) && seed(e.R, into)
	case filter.Compare:
		if e.Op != filter.Eq || e.Value == nil || e.Path.URN != "" || e.Path.Sub != "" {
			return false
		}
		have, twice := into[e.Path.Attr]
		into[e.Path.Attr] = e.Value
		return !twice || have == e.Value
	default:
		return false
	}
}

// element reads the value of an operation on single values of a list: an
// object, or what stands for one.
func (l *lister) element(v any) (map[string]any, error) {
	if list, ok := v.([]any); ok && len(list) == 1 {
		if err := l.tolerate(schema.FixSingletonArray, schema.InvalidValue, "an object is expected, not a list"); err != nil {
			return nil, err
		}
		v = list[0]
	}
	if empty(v) {
		return nil, nil
	}
	v, err := schema.CanonicalElement(l.attr(), v, l.mode, &l.fixups)
	if err != nil {
		return nil, err
	}
	obj, _ := v.(map[string]any)
	return obj, nil
}

// setSub sets a sub-attribute of the values found.
func (l *lister) setSub(hits []int, op Operation) error {
	v, err := schema.CanonicalValue(l.ref.Sub, op.Value, l.mode, &l.fixups)
	if err != nil {
		return err
	}
	if v == nil && op.Op == OpAdd && empty(op.Value) {
		return nil
	}
	for n, i := range hits {
		obj, ok := l.list[i].(map[string]any)
		if !ok {
			continue
		}
		if n > 0 && l.ref.Sub.Name == "primary" && v == true {
			break // only one value can be primary
		}
		store(obj, l.ref.Sub.Name, schema.Clone(v))
		l.promote(i)
	}
	l.list = slices.DeleteFunc(l.list, empty)
	return nil
}

// setElements completes (add) or exchanges (replace) the values found. A plain
// value stands for the "value" alone, so the rest stays.
func (l *lister) setElements(hits []int, op Operation) error {
	next, err := l.element(op.Value)
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
		have, _ := l.list[i].(map[string]any)
		if op.Op == OpReplace && !plain {
			have = nil
		}
		l.list[i] = merge(l.attr(), have, next)
		l.promote(i)
	}
	if l.attr().Set() { // several values may have become one
		values := l.list
		l.list = nil
		l.union(values)
	}
	return nil
}
