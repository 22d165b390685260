package attribute

import (
	"fmt"
	"strings"
)

// Rules for schemas that come from outside, from a configuration: the standard
// tables hold them by construction. They are checked when the resource type is
// built, so that nothing that works with attributes has to doubt them.

// CheckExtensions checks extension schemas by the rules of RFC 7643. taken are
// the URNs that are in use already. The error names the first schema, and the
// attribute in it, that breaks a rule:
//
//	extension schema "urn:x:1": attribute "desk": attribute "a b": a name is ...
func CheckExtensions(extra []*Schema, taken ...string) error {
	seen := map[string]bool{}
	for _, urn := range taken {
		seen[strings.ToLower(urn)] = true
	}
	for _, s := range extra {
		id := strings.ToLower(s.ID)
		switch {
		case !strings.HasPrefix(id, "urn:") || strings.ContainsAny(id, " \t\"[]()"):
			return fmt.Errorf("extension schema %q: the id must be a URN", s.ID)
		case seen[id]:
			return fmt.Errorf("extension schema %q: the id is taken", s.ID)
		}
		seen[id] = true
		if err := checkAttributes(s.Attributes, false); err != nil {
			return fmt.Errorf("extension schema %q: %w", s.ID, err)
		}
	}
	return nil
}

// checkAttributes checks names, types and nesting. nested is true for
// sub-attributes, which may not be complex themselves (RFC 7643 section 2.3.8).
func checkAttributes(attrs []Attribute, nested bool) error {
	seen := map[string]bool{}
	for i := range attrs {
		a := &attrs[i]
		key := strings.ToLower(a.Name)
		switch {
		case !ValidName(a.Name):
			return fmt.Errorf("attribute %q: a name is letters, digits, - and _ and starts with a letter", a.Name)
		case seen[key]:
			return fmt.Errorf("attribute %q: declared twice", a.Name)
		case a.Type == Complex && nested:
			return fmt.Errorf("attribute %q: complex within complex", a.Name)
		case a.Type == Complex && len(a.SubAttributes) == 0:
			return fmt.Errorf("attribute %q: complex without sub-attributes", a.Name)
		case a.Type != Complex && len(a.SubAttributes) > 0:
			return fmt.Errorf("attribute %q: sub-attributes on type %q", a.Name, a.Type)
		}
		if err := checkTraits(a); err != nil {
			return err
		}
		seen[key] = true
		if err := checkAttributes(a.SubAttributes, true); err != nil {
			return fmt.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	return nil
}

// checkTraits refuses characteristics that RFC 7643 section 7 does not know.
func checkTraits(a *Attribute) error {
	switch a.Type {
	case String, Boolean, Decimal, Integer, DateTime, Reference, Complex, Binary:
	default:
		return fmt.Errorf("attribute %q: unknown type %q", a.Name, a.Type)
	}
	switch a.Mutability {
	case "", ReadOnly, ReadWrite, Immutable, WriteOnly:
	default:
		return fmt.Errorf("attribute %q: unknown mutability %q", a.Name, a.Mutability)
	}
	switch a.Returned {
	case "", ReturnedAlways, ReturnedNever, ReturnedDefault, ReturnedRequest:
	default:
		return fmt.Errorf("attribute %q: unknown returned %q", a.Name, a.Returned)
	}
	switch a.Uniqueness {
	case "", UniqueNone, UniqueServer, UniqueGlobal:
		return nil
	default:
		return fmt.Errorf("attribute %q: unknown uniqueness %q", a.Name, a.Uniqueness)
	}
}
