package value

import (
	"strings"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
)

// Canonical brings all values of attribute a into the stored form, as a body
// does for each of its members; nil stands for unassigned. Fixups are added to
// fx. For a multi-valued attribute v is the list; Element is for one value of
// it. Read-only sub-attributes are left out. v is not changed, and the result
// may share parts with it. The path of an error begins with the name of the
// attribute.
func Canonical(a *attribute.Attribute, v any, mode Mode, fx *Fixups) (any, error) {
	return canonicalised(a, v, mode, fx, (*Coercer).Value)
}

// Element is Canonical for one value of a multi-valued attribute, or for the
// value of a single-valued one. PATCH needs it for emails[type eq "work"],
// whose value is one object.
func Element(a *attribute.Attribute, v any, mode Mode, fx *Fixups) (any, error) {
	return canonicalised(a, v, mode, fx, (*Coercer).single)
}

// canonicalised runs one of the Coercer's methods with a mode and hands back
// what it noted. The errors of a password are replaced by one that does not
// show the value.
func canonicalised(
	a *attribute.Attribute, v any, mode Mode, fx *Fixups, coerce func(*Coercer, *attribute.Attribute, any) (any, bool, *Error),
) (any, error) {
	c := Coercer{Strict: mode.Strict}
	v, _, err := coerce(&c, a, v)
	fx.Add(c.Fixups...)
	switch {
	case err == nil:
		return v, nil
	case a.Returned == attribute.ReturnedNever:
		return nil, Hidden(a, err)
	default:
		return nil, err.Under(a.Name, ".")
	}
}

// Hidden replaces an error whose detail would repeat a password: a client that
// sends {"password":12345} by mistake must not find 12345 in its logs.
func Hidden(a *attribute.Attribute, err *Error) *Error {
	return Errorf(err.ScimType, a.Name, "a value of type %s is expected", a.Type)
}

// Unknown is what is kept of a value whose name no schema has: all but passwords.
// A client that puts one into the wrong place, such as an extension or a group, must
// not find it stored and given back. nil is nothing; v is not changed.
func Unknown(name string, v any) any {
	// The name may be a longer one, such as urn:example:User:password.
	last := name[strings.LastIndexAny(name, ":.")+1:]
	if attribute.EqualName(last, "password") || attribute.EqualName(last, "userPassword") {
		return nil
	}
	switch t := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			if kept := Unknown(k, e); kept != nil || e == nil {
				out[k] = kept
			}
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = Unknown("", e)
		}
		return out
	}
	return v
}
