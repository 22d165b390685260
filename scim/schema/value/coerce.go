// Package value says what may be put into an attribute. It brings what a client
// sent into the one form that is stored (Canonical, Element), checks what is
// stored (Check), and holds the words for both outcomes: Error for what was
// wrong, Fixup for what the RFC does not allow and was understood all the same.
//
//	active    "False"              false                     string_bool
//	emails    {"value":"a"}        [{"value":"a"}]           single_value
//	manager   "7"                  {"value":"7"}             bare_value
//	active    "maybe"              active: true or false is expected, not the string "maybe"
//
// It looks at one attribute at a time. Which attributes a body may have, and
// what its schemas say, is the subject of package schema.
package value

import (
	"encoding/base64"
	"maps"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
)

// Coercer brings values into the stored form and notes what it forgave. Its
// methods give the value, whether it differs from what was passed in (so that
// untouched parts are shared instead of copied) and an error whose path is
// relative to the value. nil stands for unassigned. Keep one for each body: its
// Fixups are those of the whole.
type Coercer struct {
	Strict bool
	Fixups Fixups
}

// Tolerate records a kind, or refuses it in strict mode. The problem is a
// sentence for the client; the caller puts the name of the attribute in front
// of it with Error.Under.
func (c *Coercer) Tolerate(kind Fixup, problem string) *Error {
	if c.Strict {
		return Errorf(InvalidValue, "", "%s", problem)
	}
	c.Fixups.Add(kind)
	return nil
}

// Value handles an attribute with all its values. null, [] and {} are no value
// (RFC 7643 section 2.5).
func (c *Coercer) Value(a *attribute.Attribute, v any) (any, bool, *Error) {
	switch {
	case jsonobject.Empty(v):
		return nil, v != nil, nil
	case a.MultiValued:
		return c.multi(a, v)
	default:
		return c.single(a, v)
	}
}

// multi handles a multi-valued attribute. What is no list is taken for its only
// value when it looks like one: an object where objects are wanted, a plain value
// where plain values are. Of a set, such as members, the text of a "value" is
// enough (Microsoft's tests). A list that comes out empty is unassigned.
func (c *Coercer) multi(a *attribute.Attribute, v any) (any, bool, *Error) {
	list, isList := v.([]any)
	if !isList {
		_, isObject := v.(map[string]any)
		_, isText := v.(string)
		switch {
		case v == "":
			return nil, true, c.Tolerate(FixEmptyValue, "a list is expected, not \"\"")
		case a.Type == attribute.Complex && !isObject && (!isText || !a.Set()), a.Type != attribute.Complex && isObject:
			return nil, false, WrongType("a list", v)
		}
		if err := c.Tolerate(FixSingleValue, "a list is expected"); err != nil {
			return nil, false, err
		}
		list = []any{v}
	}
	out, changed, err := c.elements(a, list)
	switch {
	case err != nil:
		return nil, false, err
	case len(out) == 0:
		return nil, true, nil
	}
	out, reduced, err := c.onePrimary(a, out)
	if err != nil {
		return nil, false, err
	}
	if changed = changed || reduced || !isList; !changed {
		return v, false, nil
	}
	return out, true, nil
}

// elements coerces the values of a list. The list is copied at the first value
// that does not stay as it is. Nearly every list is canonical already and costs
// no copy. Of a set, the second of two members with the same value is left out,
// and one that comes to nothing is an error: a list of members whose ids a client
// did not find must not pass for a list of no members.
func (c *Coercer) elements(a *attribute.Attribute, list []any) ([]any, bool, *Error) {
	out, copied := list, false
	var seen map[string]bool
	if a.Set() {
		seen = make(map[string]bool, len(list))
	}
	for i, e := range list {
		n, changed, err := c.element(a, e)
		if err != nil {
			return nil, false, err
		}
		if n == nil && seen != nil {
			return nil, false, Errorf(InvalidValue, "value", "the sub-attribute is required")
		}
		drop := n == nil || seen != nil && repeated(seen, n)
		if (drop || changed) && !copied {
			out, copied = append(make([]any, 0, len(list)), list[:i]...), true
		}
		if copied && !drop {
			out = append(out, n)
		}
	}
	return out, copied, nil
}

// repeated reports whether the element of a set has come before. Members of a
// group are compared exactly: they are ids.
func repeated(seen map[string]bool, element any) bool {
	obj, ok := element.(map[string]any)
	if !ok {
		return false
	}
	value, ok := obj["value"].(string)
	if !ok {
		return false
	}
	before := seen[value]
	seen[value] = true
	return before
}

// element handles one value of a list; nil as a result means that it is left
// out.
func (c *Coercer) element(a *attribute.Attribute, v any) (any, bool, *Error) {
	if v == nil {
		return nil, true, c.Tolerate(FixNullElement, "null in a list")
	}
	return c.single(a, v)
}

// onePrimary keeps the first primary value of a list and makes the others
// ordinary. RFC 7643 section 2.4 allows one; refusing the person because of it
// would help nobody (C13).
func (c *Coercer) onePrimary(a *attribute.Attribute, list []any) ([]any, bool, *Error) {
	if a.Type != attribute.Complex {
		return list, false, nil
	}
	first, changed := false, false
	for i, e := range list {
		obj, ok := e.(map[string]any)
		if !ok || obj["primary"] != true {
			continue
		}
		if !first {
			first = true
			continue
		}
		if err := c.Tolerate(FixTwoPrimaries, "more than one value is primary"); err != nil {
			return nil, false, err
		}
		if !changed {
			list, changed = append([]any(nil), list...), true
		}
		obj = maps.Clone(obj)
		obj["primary"] = false
		list[i] = obj
	}
	return list, changed, nil
}

// single handles one value. base64 is checked in strict mode only: a
// certificate is never used here, and clients wrap its lines.
func (c *Coercer) single(a *attribute.Attribute, v any) (any, bool, *Error) {
	switch a.Type {
	case attribute.Complex:
		return c.complex(a, v)
	case attribute.Boolean:
		return c.boolean(v)
	case attribute.String, attribute.Reference, attribute.Binary, attribute.DateTime, attribute.Decimal, attribute.Integer:
		if v == "" && (a.Type == attribute.DateTime || a.Type == attribute.Decimal || a.Type == attribute.Integer) {
			return nil, true, c.Tolerate(FixEmptyValue, "a value is expected, not \"\"")
		}
		if err := checkScalar(a, v); err != nil {
			return nil, false, err
		}
		if s, ok := v.(string); ok && c.Strict && a.Type == attribute.Binary {
			if _, err := base64.StdEncoding.DecodeString(s); err != nil {
				return nil, false, Errorf(InvalidValue, "", "base64 is expected")
			}
		}
	}
	return v, false, nil
}

// boolean accepts the words in any case, as Entra writes "False" and OneLogin
// "true". Numbers are no booleans: nobody sends them, and 0 and 1 would hide a
// client that maps the wrong attribute.
func (c *Coercer) boolean(v any) (any, bool, *Error) {
	if _, ok := v.(bool); ok {
		return v, false, nil
	}
	s, ok := v.(string)
	switch {
	case ok && s == "":
		return nil, true, c.Tolerate(FixEmptyValue, "true or false is expected, not \"\"")
	case ok && strings.EqualFold(s, "true"):
		return true, true, c.Tolerate(FixStringBool, "true is expected, not a string")
	case ok && strings.EqualFold(s, "false"):
		return false, true, c.Tolerate(FixStringBool, "false is expected, not a string")
	default:
		return nil, false, WrongType("true or false", v)
	}
}

// complex handles an object, and the other shapes in which clients send one.
// What is canonical already is handed back as it is, which is the case for
// nearly every body of nearly every client.
func (c *Coercer) complex(a *attribute.Attribute, v any) (any, bool, *Error) {
	obj, ok := v.(map[string]any)
	if !ok {
		var err *Error
		if obj, err = c.reshape(a, v); err != nil || obj == nil {
			return nil, true, err
		}
	} else if len(obj) > 0 && canonicalObject(a, obj) && (a.MultiValued || obj["value"] != "") {
		return obj, false, nil
	}
	out, err := c.object(a, obj)
	if err != nil || len(out) == 0 {
		return nil, true, err
	}
	if !a.MultiValued && out["value"] == "" && !c.Strict { // manager {"value": ""}: cleared
		c.Fixups.Add(FixEmptyValue)
		return nil, true, nil
	}
	return out, true, nil
}

// reshape makes an object of a list of one object, and of a plain value for an
// attribute that has a "value". Numbers and booleans never stand for an object:
// they are a mapping gone wrong.
func (c *Coercer) reshape(a *attribute.Attribute, v any) (map[string]any, *Error) {
	if l, ok := v.([]any); ok && len(l) == 1 && !a.MultiValued {
		if err := c.Tolerate(FixSingletonArray, "an object is expected, not a list"); err != nil {
			return nil, err
		}
		v = l[0]
	}
	if v == nil {
		return nil, nil
	}
	if obj, ok := v.(map[string]any); ok {
		return obj, nil
	}
	switch s, ok := v.(string); {
	case ok && s == "":
		return nil, c.Tolerate(FixEmptyValue, "an object is expected, not \"\"")
	case ok && a.Sub("value") != nil:
		return map[string]any{"value": s}, c.Tolerate(FixBareValue, "an object is expected, not a string")
	default:
		return nil, WrongType("an object", v)
	}
}

// canonicalObject reports whether an object needs no work at all: every member
// is spelt as in the schema, has a simple type and its right form. The answer
// false means only that the long way has to be taken.
func canonicalObject(a *attribute.Attribute, obj map[string]any) bool {
	for k, v := range obj {
		s := a.Exact(k)
		if s == nil || s.MultiValued || s.Mutability == attribute.ReadOnly || s.Returned == attribute.ReturnedNever {
			return false
		}
		switch s.Type {
		case attribute.String, attribute.Reference:
			if _, ok := v.(string); !ok {
				return false
			}
		case attribute.Boolean:
			if _, ok := v.(bool); !ok {
				return false
			}
		case attribute.Binary, attribute.DateTime, attribute.Integer, attribute.Decimal, attribute.Complex:
			return false
		}
	}
	return true
}

// object coerces the members of a complex value into a new object.
// Sub-attributes are taken in the order of their names, so that the first error
// is always the same. One that no schema has is kept (see Unknown), one that is read-only is
// left out (RFC 7644 section 3.3), one that is there in two spellings is an
// error.
func (c *Coercer) object(a *attribute.Attribute, obj map[string]any) (map[string]any, *Error) {
	out := make(map[string]any, len(obj))
	var buf [16]string
	for _, key := range jsonobject.SortedKeys(obj, buf[:0]) {
		v := obj[key]
		if jsonobject.Empty(v) {
			continue
		}
		s := a.Sub(key)
		if s == nil && a.Name == "manager" && attribute.EqualName(key, "managerId") && a.Sub("value") != nil {
			if err := c.Tolerate(FixManagerID, "the manager is named by value"); err != nil {
				return nil, err.Under(key, "")
			}
			s = a.Sub("value")
		}
		name := key
		switch {
		case s == nil:
			if err := c.Tolerate(FixUnknownAttribute, "no schema has this sub-attribute"); err != nil {
				err.ScimType = InvalidSyntax
				return nil, err.Under(key, "")
			}
			if v = Unknown(key, v); jsonobject.Empty(v) {
				continue
			}
		case s.Mutability == attribute.ReadOnly:
			continue
		default:
			var err *Error
			if v, _, err = c.Value(s, v); err != nil {
				return nil, err.Under(s.Name, ".")
			}
			if name = s.Name; v == nil || s.Returned == attribute.ReturnedNever {
				continue
			}
		}
		if _, twice := out[name]; twice {
			return nil, Errorf(InvalidSyntax, name, "the sub-attribute is there twice")
		}
		out[name] = v
	}
	return out, nil
}
