package schema

import (
	"maps"
	"slices"
	"strings"
)

// Validate checks a canonical document, such as the result of a PATCH: required
// attributes are there and not blank, every known attribute has its type, at
// most one value of a list is primary. Read-only and unknown attributes are no
// errors. The error is an *Error with scimType invalidValue.
func (rt *ResourceType) Validate(doc Document) error {
	for _, a := range rt.required {
		if blank(doc[a.Name]) {
			return Errorf(InvalidValue, a.Name, "the attribute is required")
		}
	}
	if err := validateMembers(rt.core, doc); err != nil {
		return err
	}
	for i, e := range rt.Extensions {
		v, ok := doc[e.ID]
		if !ok {
			continue
		}
		obj, ok := v.(map[string]any)
		if !ok {
			return wrongType("an object", v).under(e.ID, "")
		}
		for j := range e.Attributes {
			if a := &e.Attributes[j]; a.Required && blank(obj[a.Name]) {
				return Errorf(InvalidValue, e.ID+":"+a.Name, "the attribute is required")
			}
		}
		if err := validateMembers(rt.ext[i], obj); err != nil {
			return err.under(e.ID, ":")
		}
	}
	return nil
}

// blank reports whether a required attribute has no value worth the name.
func blank(v any) bool {
	s, ok := v.(string)
	return ok && strings.TrimSpace(s) == "" || unassigned(v)
}

// validateMembers gives the first error in the order of the names; the order
// only matters, and is only made, when there is an error.
func validateMembers(known names, obj map[string]any) *Error {
	failed := false
	for key, v := range obj {
		if a := known[key]; a != nil && validate(a, v) != nil {
			failed = true
			break
		}
	}
	if !failed {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(obj)) {
		if a := known[key]; a != nil {
			if err := validate(a, obj[key]); err != nil {
				return err.under(a.Name, ".")
			}
		}
	}
	return nil
}

// validate checks all values of an attribute.
func validate(a *Attribute, v any) *Error {
	if !a.MultiValued {
		return validateOne(a, v)
	}
	list, ok := v.([]any)
	if !ok {
		if _, typed := v.([]string); typed && a.Type != Complex { // schemas, as a Go program writes them
			return nil
		}
		return wrongType("a list", v)
	}
	primary := false
	for _, e := range list {
		if err := validateOne(a, e); err != nil {
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

// validateOne checks one value. It goes through the table rather than the
// value, so that the first error is always the same and unknown sub-attributes
// do not matter.
func validateOne(a *Attribute, v any) *Error {
	if a.Type != Complex {
		return checkScalar(a, v)
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return wrongType("an object", v)
	}
	for i := range a.SubAttributes {
		s := &a.SubAttributes[i]
		sv, there := obj[s.Name]
		switch {
		case s.Required && blank(sv):
			return Errorf(InvalidValue, s.Name, "the sub-attribute is required")
		case !there:
		default:
			if err := validate(s, sv); err != nil {
				return err.under(s.Name, ".")
			}
		}
	}
	return nil
}

// CheckImmutable compares an update with what is stored: an immutable
// attribute, once set, keeps its value (RFC 7643 section 2.2, RFC 7644 section
// 3.5.1). Both documents are canonical. The error is an *Error with scimType
// mutability. Values of lists may come and go.
func (rt *ResourceType) CheckImmutable(before, after Document) error {
	if err := immutableMembers(rt.Core.Attributes, before, after); err != nil {
		return err
	}
	for _, e := range rt.Extensions {
		was, _ := before[e.ID].(map[string]any)
		is, _ := after[e.ID].(map[string]any)
		if err := immutableMembers(e.Attributes, was, is); err != nil {
			return err.under(e.ID, ":")
		}
	}
	return nil
}

// immutableMembers compares the attributes of one object. The attribute of an
// immutable sub-attribute may go as a whole; a list is not looked into, for its
// values have no identity over time.
func immutableMembers(attrs []Attribute, before, after map[string]any) *Error {
	for i := range attrs {
		a := &attrs[i]
		was, set := before[a.Name]
		switch {
		case !set:
		case a.Mutability == Immutable && !Equal(was, after[a.Name]):
			return Errorf(Mutability, a.Name, "the attribute is immutable")
		case a.Type == Complex && !a.MultiValued:
			b, _ := was.(map[string]any)
			n, _ := after[a.Name].(map[string]any)
			if err := immutableMembers(a.SubAttributes, b, n); err != nil && n != nil {
				return err.under(a.Name, ".")
			}
		}
	}
	return nil
}

// Equal compares two values of documents: objects without order, lists in
// order, numbers by their text.
func Equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, there := y[k]
			if !there || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, Equal)
	case []string:
		y, ok := b.([]string)
		return ok && slices.Equal(x, y)
	}
	switch b.(type) {
	case map[string]any, []any, []string: // not comparable with ==
		return false
	}
	return a == b
}
