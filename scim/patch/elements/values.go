package elements

import (
	"maps"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Text reads a sub-attribute that is text, "" when there is none.
func Text(element any, sub string) string {
	obj, _ := element.(map[string]any)
	s, _ := obj[sub].(string)
	return s
}

// Store sets a value, or removes it when it is empty.
func Store(target map[string]any, key string, v any) {
	if schema.Empty(v) {
		delete(target, key)
		return
	}
	target[key] = v
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

// Merge gives current with the sub-attributes of next. When a reference turns
// to another resource, what described the old one goes.
func Merge(attr *schema.Attribute, current, next map[string]any) map[string]any {
	out := make(map[string]any, len(current)+len(next))
	maps.Copy(out, current)
	if v, ok := next["value"]; ok && !attr.MultiValued && !schema.Equal(v, current["value"]) {
		for _, s := range []string{"$ref", "displayName", "display"} {
			if attr.Sub(s) != nil {
				delete(out, s)
			}
		}
	}
	for k, v := range next {
		out[k] = schema.Clone(v)
	}
	return out
}

// Seed collects what a filter of eq and and says about a value; false when it
// says something else.
func Seed(where filter.Expr, into map[string]any) bool {
	switch e := where.(type) {
	case nil:
		return true
	case filter.And:
		return Seed(e.L, into) && Seed(e.R, into)
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
