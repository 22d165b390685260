package value

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
)

// Check checks all values of an attribute as they are stored: the type, at most
// one primary value, required sub-attributes. Unlike Canonical it forgives
// nothing and changes nothing. The path of the error is relative to the
// attribute; nil means that all is well.
func Check(a *attribute.Attribute, v any) *Error {
	if !a.MultiValued {
		return checkOne(a, v)
	}
	list, ok := v.([]any)
	if !ok {
		if _, typed := v.([]string); typed && a.Type != attribute.Complex { // schemas, as a Go program writes them
			return nil
		}
		return WrongType("a list", v)
	}
	primary := false
	for _, e := range list {
		if err := checkOne(a, e); err != nil {
			return err
		}
		if obj, ok := e.(map[string]any); ok && obj["primary"] == true {
			if primary {
				return Errorf(InvalidValue, "", "more than one value is primary")
			}
			primary = true
		}
	}
	return nil
}

// checkOne checks one value. It goes through the table rather than the
// value, so that the first error is always the same and unknown sub-attributes
// do not matter.
func checkOne(a *attribute.Attribute, v any) *Error {
	if a.Type != attribute.Complex {
		return checkScalar(a, v)
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return WrongType("an object", v)
	}
	for i := range a.SubAttributes {
		s := &a.SubAttributes[i]
		sv, there := obj[s.Name]
		switch {
		case s.Required && Blank(sv):
			return Errorf(InvalidValue, s.Name, "the sub-attribute is required")
		case !there:
		default:
			if err := Check(s, sv); err != nil {
				return err.Under(s.Name, ".")
			}
		}
	}
	return nil
}

// Blank reports whether a required attribute has no value worth the name. A
// userName of blanks could not be told from a missing one on a screen.
func Blank(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == "" || jsonobject.Empty(v)
}

// checkScalar checks the type of a simple value. decimal and integer are
// numbers in JSON, never text. A whole number has to fit into 64 bits.
func checkScalar(a *attribute.Attribute, v any) *Error {
	switch a.Type {
	case attribute.Boolean:
		if _, ok := v.(bool); !ok {
			return WrongType("true or false", v)
		}
	case attribute.String, attribute.Reference, attribute.Binary:
		if _, ok := v.(string); !ok {
			return WrongType("a string", v)
		}
	case attribute.DateTime:
		s, ok := v.(string)
		if !ok {
			return WrongType("a date and time", v)
		}
		if _, ok := ParseTime(s); !ok {
			return WrongType("a date and time such as 2026-01-31T12:00:00Z", v)
		}
	case attribute.Integer:
		n, ok := v.(json.Number)
		if !ok {
			return WrongType("a whole number", v)
		}
		if _, err := strconv.ParseInt(n.String(), 10, 64); err != nil {
			return WrongType("a whole number", v)
		}
	case attribute.Decimal:
		if _, ok := v.(json.Number); !ok {
			return WrongType("a number", v)
		}
	case attribute.Complex:
	}
	return nil
}

// ParseTime reads a dateTime of RFC 7643 section 2.3.5 (xsd:dateTime): any
// number of decimals, any offset; without an offset it is UTC.
// 2026-01-31T12:00:00Z, 2026-01-31T13:00:00.5+01:00 and 2026-01-31T12:00:00 are
// fine; a date alone is not.
func ParseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	t, err := time.Parse("2006-01-02T15:04:05", s)
	return t, err == nil
}
