package elements

import (
	"slices"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// maxValues is how many values a list may have that is searched value by value;
// the members of a group have no such limit. Adding n values to m compares n
// times m of them, and a body of a megabyte has room for a hundred thousand.
const maxValues = 1000

// List carries out operations on the values of one multi-valued attribute, or
// on a sub-attribute of them. Values is the list as it stands, which the caller
// puts in and takes out; it is written into, so it must be the caller's own.
type List struct {
	*Session
	Ref    schema.Ref // the attribute, and the sub-attribute if one was named
	Values []any
}

// attr is the attribute whose values are in the list.
func (l *List) attr() *schema.Attribute { return l.Ref.Attr }

// Apply carries out an operation on the values that satisfy where, or on the
// list as such when where is nil. An empty list makes the attribute unassigned.
// On an error Values are in no particular state; the caller throws them away
// with everything else.
func (l *List) Apply(where filter.Expr, op Operation) error {
	var err error
	switch {
	case where == nil && l.Ref.Sub == nil:
		err = l.all(op)
	default:
		err = l.some(where, op)
	}
	if err != nil {
		return err
	}
	if len(l.Values) > maxValues && !l.attr().Set() {
		return schema.Errorf(schema.InvalidValue, l.attr().Name, "more than %d values", maxValues)
	}
	return nil
}

// all carries out an operation on the list as such.
//
//	add      [{"value":"a"}]     appended, or joined with the value it names
//	replace  [{"value":"a"}]     the only one from now on (PA15)
//	remove                       none left
//	remove   [{"value":"a"}]     this one goes, the others stay (PA35)
func (l *List) all(op Operation) error {
	if op.Op == OpRemove {
		if op.Value == nil {
			l.Values = nil
			return nil
		}
		return l.removeValues(op.Value)
	}
	v, err := schema.CanonicalValue(l.attr(), op.Value, l.Mode, &l.Fixups)
	if err != nil {
		return err
	}
	values, _ := schema.Clone(v).([]any)
	if op.Op == OpReplace {
		l.Values = values
		return nil
	}
	if l.attr().Set() {
		l.union(values)
		return nil
	}
	for _, e := range values {
		if len(l.Values) > maxValues {
			break // apply answers with the error
		}
		l.add(e)
	}
	return nil
}

// union adds the members of a set that are not there yet. Those who are keep
// their display, type and $ref, because members of a set are immutable. A map
// does the comparing, for a group may have a hundred thousand.
func (l *List) union(values []any) {
	there := make(map[string]bool, len(l.Values)+len(values))
	for _, e := range l.Values {
		there[Text(e, "value")] = true
	}
	for _, e := range values {
		if v := Text(e, "value"); !there[v] {
			there[v] = true
			l.Values = append(l.Values, e)
		}
	}
}

// add appends a value, or completes the one that is there already. So
// {"value":"a@x","primary":true} makes an address primary that is stored
// already, instead of storing it twice (PA04, PA06).
func (l *List) add(e any) {
	i := slices.IndexFunc(l.Values, func(have any) bool { return same(l.attr(), have, e) })
	obj, isObject := e.(map[string]any)
	switch {
	case i < 0:
		l.Values = append(l.Values, e)
		i = len(l.Values) - 1
	case isObject:
		have, _ := l.Values[i].(map[string]any)
		l.Values[i] = Merge(l.attr(), have, obj)
	}
	l.promote(i)
}

// promote makes value i the only primary one, if it says that it is primary
// (RFC 7644 section 3.5.2). The others become ordinary rather than the request
// an error: that is what a client wants that knows one value and not the rest.
func (l *List) promote(i int) {
	if obj, ok := l.Values[i].(map[string]any); !ok || obj["primary"] != true {
		return
	}
	for j, e := range l.Values {
		if obj, ok := e.(map[string]any); ok && j != i && obj["primary"] == true {
			obj["primary"] = false
		}
	}
}

// removeValues removes only the values that were sent along. RFC 7644 knows no
// value with remove, so that a literal reading would remove all; that is never
// done.
//
//	stored  [{"value":"a","type":"work"},{"value":"b"}]
//	remove  [{"value":"A"}]
//	left    [{"value":"b"}]
//
// Values that are not there are no error: removing is idempotent.
func (l *List) removeValues(v any) error {
	values, err := l.ToRemove(l.attr(), v)
	if err != nil {
		return err
	}
	if l.attr().Set() {
		gone := make(map[string]bool, len(values))
		for _, e := range values {
			gone[Text(e, "value")] = true
		}
		l.Values = slices.DeleteFunc(l.Values, func(e any) bool { return gone[Text(e, "value")] })
		return nil
	}
	if len(values) > maxValues {
		return schema.Errorf(schema.InvalidValue, l.attr().Name, "more than %d values", maxValues)
	}
	l.Values = slices.DeleteFunc(l.Values, func(e any) bool {
		return slices.ContainsFunc(values, func(want any) bool { return same(l.attr(), e, want) })
	})
	return nil
}

// ToRemove reads the value of a remove: a list, one object or one plain value.
// Each must say which value is meant. {"type":"work"} does not, for the client
// may mean one address or all of them, and guessing wrong loses data.
func (s *Session) ToRemove(attr *schema.Attribute, v any) ([]any, error) {
	if err := s.Tolerate(schema.FixValueArrayRemove, schema.InvalidValue, "remove takes no value; name the values in the path"); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	v, err := schema.CanonicalValue(attr, list, s.Mode, &s.Fixups)
	if err != nil {
		return nil, err
	}
	values, _ := v.([]any)
	if len(values) == 0 && len(list) > 0 || slices.ContainsFunc(values, func(e any) bool { return !names(attr, e) }) {
		return nil, schema.Errorf(schema.InvalidValue, attr.Name, "it is not clear which values to remove")
	}
	return values, nil
}

// names reports whether a value to remove says which one it is. Where the
// attribute has a "value", that is what names it; an address has none and is
// named by its parts.
func names(attr *schema.Attribute, e any) bool {
	obj, ok := e.(map[string]any)
	if !ok {
		return true
	}
	if attr.Sub("value") != nil {
		return Text(e, "value") != ""
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
