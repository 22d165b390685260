package elements

import (
	"maps"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Text reads a sub-attribute that is text, "" when there is none. Plain values
// and values of another type have none.
func Text(element any, sub string) string {
	obj, _ := element.(map[string]any)
	s, _ := obj[sub].(string)
	return s
}

// Store sets a value, or removes it when it is empty. An attribute without
// value is not stored at all (RFC 7643 section 2.5).
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
//
//	have {"value":"a@x","type":"work"}   want {"value":"A@X"}                  same
//	have {"value":"a@x","type":"work"}   want {"value":"a@x","type":"home"}    another
//	have {"locality":"Berlin"}           want {"locality":"Berlin"}            same
//	have {"locality":"Berlin"}           want {"primary":true}                 another
//
// The pair of type and value is what makes a value of a list unique (RFC 7643
// section 2.4).
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

// equalText compares two values as attribute a says; a may be nil. An attribute
// no schema has is compared exactly.
func equalText(a *schema.Attribute, x, y any) bool {
	s, ok := x.(string)
	t, ok2 := y.(string)
	if ok && ok2 && a != nil && !a.CaseExact {
		return schema.Fold(s) == schema.Fold(t)
	}
	return schema.Equal(x, y)
}

// Merge gives current with the sub-attributes of next. When a reference turns
// to another resource, what described the old one goes. A manager whose value
// changes must not keep the name of the old one.
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
//
//	type eq "work" and primary eq true   {"type":"work","primary":true}
//	type eq "work" or type eq "home"     nothing: which of them?
//	type eq "work" and type eq "home"    nothing: a contradiction
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
