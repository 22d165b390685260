package schema

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"
)

// coercer brings values into the stored form and notes what it forgave. Its
// methods give the value, whether it differs from what was passed in (so that
// untouched parts are shared instead of copied) and an error whose path is
// relative to the value. nil stands for unassigned.
type coercer struct {
	strict bool
	fixups Fixups
}

// tolerate records a kind, or refuses it in strict mode.
func (c *coercer) tolerate(kind Fixup, problem string) *Error {
	if c.strict {
		return Errorf(InvalidValue, "", "%s", problem)
	}
	c.fixups.Add(kind)
	return nil
}

// value handles an attribute with all its values.
func (c *coercer) value(a *Attribute, v any) (any, bool, *Error) {
	switch {
	case unassigned(v):
		return nil, v != nil, nil
	case a.MultiValued:
		return c.multi(a, v)
	default:
		return c.single(a, v)
	}
}

// multi handles a multi-valued attribute. What is no list is taken for its only
// value when it looks like one: an object where objects are wanted, a plain
// value where plain values are. A list that comes out empty is unassigned.
func (c *coercer) multi(a *Attribute, v any) (any, bool, *Error) {
	list, isList := v.([]any)
	if !isList {
		_, isObject := v.(map[string]any)
		switch {
		case v == "":
			return nil, true, c.tolerate(FixEmptyValue, "a list is expected, not \"\"")
		case a.Type == Complex && !isObject, a.Type != Complex && isObject:
			return nil, false, wrongType("a list", v)
		}
		if err := c.tolerate(FixSingleValue, "a list is expected"); err != nil {
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
// that does not stay as it is.
func (c *coercer) elements(a *Attribute, list []any) ([]any, bool, *Error) {
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

// repeated reports whether the element of a set has come before.
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
func (c *coercer) element(a *Attribute, v any) (any, bool, *Error) {
	if v == nil {
		return nil, true, c.tolerate(FixNullElement, "null in a list")
	}
	return c.single(a, v)
}

// onePrimary keeps the first primary value of a list and makes the others
// ordinary.
func (c *coercer) onePrimary(a *Attribute, list []any) ([]any, bool, *Error) {
	if a.Type != Complex {
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
		if err := c.tolerate(FixTwoPrimaries, "more than one value is primary"); err != nil {
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

// single handles one value.
func (c *coercer) single(a *Attribute, v any) (any, bool, *Error) {
	switch a.Type {
	case Complex:
		return c.complex(a, v)
	case Boolean:
		return c.boolean(v)
	case String, Reference, Binary, DateTime, Decimal, Integer:
		if v == "" && (a.Type == DateTime || a.Type == Decimal || a.Type == Integer) {
			return nil, true, c.tolerate(FixEmptyValue, "a value is expected, not \"\"")
		}
		if err := checkScalar(a, v); err != nil {
			return nil, false, err
		}
		if s, ok := v.(string); ok && c.strict && a.Type == Binary {
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
func (c *coercer) boolean(v any) (any, bool, *Error) {
	if _, ok := v.(bool); ok {
		return v, false, nil
	}
	s, ok := v.(string)
	switch {
	case ok && s == "":
		return nil, true, c.tolerate(FixEmptyValue, "true or false is expected, not \"\"")
	case ok && strings.EqualFold(s, "true"):
		return true, true, c.tolerate(FixStringBool, "true is expected, not a string")
	case ok && strings.EqualFold(s, "false"):
		return false, true, c.tolerate(FixStringBool, "false is expected, not a string")
	default:
		return nil, false, wrongType("true or false", v)
	}
}

// complex handles an object, and the other shapes in which clients send one.
func (c *coercer) complex(a *Attribute, v any) (any, bool, *Error) {
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
	if !a.MultiValued && out["value"] == "" && !c.strict { // manager {"value": ""}: cleared
		c.fixups.Add(FixEmptyValue)
		return nil, true, nil
	}
	return out, true, nil
}

// reshape makes an object of a list of one object, and of a plain value for an
// attribute that has a "value".
func (c *coercer) reshape(a *Attribute, v any) (map[string]any, *Error) {
	if l, ok := v.([]any); ok && len(l) == 1 && !a.MultiValued {
		if err := c.tolerate(FixSingletonArray, "an object is expected, not a list"); err != nil {
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
		return nil, c.tolerate(FixEmptyValue, "an object is expected, not \"\"")
	case ok && a.Sub("value") != nil:
		return map[string]any{"value": s}, c.tolerate(FixBareValue, "an object is expected, not a string")
	default:
		return nil, wrongType("an object", v)
	}
}

// canonicalObject reports whether an object needs no work at all: every member
// is spelt as in the schema, has a simple type and its right form.
func canonicalObject(a *Attribute, obj map[string]any) bool {
	for k, v := range obj {
		s := a.exactSub(k)
		if s == nil || s.MultiValued || s.Mutability == ReadOnly || s.Returned == ReturnedNever {
			return false
		}
		switch s.Type {
		case String, Reference:
			if _, ok := v.(string); !ok {
				return false
			}
		case Boolean:
			if _, ok := v.(bool); !ok {
				return false
			}
		case Binary, DateTime, Integer, Decimal, Complex:
			return false
		}
	}
	return true
}

// exactSub is Sub for documents that are canonical already, where case does not
// matter.
func (a *Attribute) exactSub(name string) *Attribute {
	for i := range a.SubAttributes {
		if a.SubAttributes[i].Name == name {
			return &a.SubAttributes[i]
		}
	}
	return nil
}

// object coerces the members of a complex value into a new object.
func (c *coercer) object(a *Attribute, obj map[string]any) (map[string]any, *Error) {
	out := make(map[string]any, len(obj))
	var buf [16]string
	for _, key := range sortedKeys(obj, buf[:0]) {
		v := obj[key]
		if unassigned(v) {
			continue
		}
		s := a.Sub(key)
		if s == nil && a.Name == "manager" && EqualName(key, "managerId") && a.Sub("value") != nil {
			if err := c.tolerate(FixManagerID, "the manager is named by value"); err != nil {
				return nil, err.under(key, "")
			}
			s = a.Sub("value")
		}
		name := key
		switch {
		case s == nil:
			if err := c.tolerate(FixUnknownAttribute, "no schema has this sub-attribute"); err != nil {
				err.ScimType = InvalidSyntax
				return nil, err.under(key, "")
			}
		case s.Mutability == ReadOnly:
			continue
		default:
			var err *Error
			if v, _, err = c.value(s, v); err != nil {
				return nil, err.under(s.Name, ".")
			}
			if name = s.Name; v == nil || s.Returned == ReturnedNever {
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

// checkScalar checks the type of a simple value.
func checkScalar(a *Attribute, v any) *Error {
	switch a.Type {
	case Boolean:
		if _, ok := v.(bool); !ok {
			return wrongType("true or false", v)
		}
	case String, Reference, Binary:
		if _, ok := v.(string); !ok {
			return wrongType("a string", v)
		}
	case DateTime:
		s, ok := v.(string)
		if !ok {
			return wrongType("a date and time", v)
		}
		if _, ok := ParseTime(s); !ok {
			return wrongType("a date and time such as 2026-01-31T12:00:00Z", v)
		}
	case Integer:
		n, ok := v.(json.Number)
		if !ok {
			return wrongType("a whole number", v)
		}
		if _, err := strconv.ParseInt(n.String(), 10, 64); err != nil {
			return wrongType("a whole number", v)
		}
	case Decimal:
		if _, ok := v.(json.Number); !ok {
			return wrongType("a number", v)
		}
	case Complex:
	}
	return nil
}

// ParseTime reads a dateTime of RFC 7643 section 2.3.5 (xsd:dateTime): any
// number of decimals, any offset; without an offset it is UTC.
func ParseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	t, err := time.Parse("2006-01-02T15:04:05", s)
	return t, err == nil
}
