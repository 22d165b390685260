package schema

import (
	"maps"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
	"github.com/matomo-scim/bridge/scim/schema/value"
)

// Validate checks a canonical document, such as the result of a PATCH: required
// attributes are there and not blank, every known attribute has its type, at
// most one value of a list is primary. Read-only and unknown attributes are no
// errors. The error is an *Error with scimType invalidValue.
//
//	{}                                        userName: the attribute is required
//	{"userName":"a","emails":[{"value":1}]}   emails.value: a string is expected, not the number 1
func (rt *ResourceType) Validate(doc Document) error {
	for _, a := range rt.required {
		if value.Blank(doc[a.Name]) {
			return Errorf(InvalidValue, a.Name, "the attribute is required")
		}
	}
	if err := validateMembers(rt.index.Core, doc); err != nil {
		return err
	}
	for i, e := range rt.Extensions {
		v, ok := doc[e.ID]
		if !ok {
			continue
		}
		obj, ok := v.(map[string]any)
		if !ok {
			return value.WrongType("an object", v).Under(e.ID, "")
		}
		for j := range e.Attributes {
			if a := &e.Attributes[j]; a.Required && value.Blank(obj[a.Name]) {
				return Errorf(InvalidValue, e.ID+":"+a.Name, "the attribute is required")
			}
		}
		if err := validateMembers(rt.index.Ext[i], obj); err != nil {
			return err.Under(e.ID, ":")
		}
	}
	return nil
}

// validateMembers gives the first error in the order of the names; the order
// only matters, and is only made, when there is an error. Walking the map in
// its own order first saves the sorting in all other cases.
func validateMembers(known attribute.Names, obj map[string]any) *Error {
	failed := false
	for key, v := range obj {
		if a := known[key]; a != nil && value.Check(a, v) != nil {
			failed = true
			break
		}
	}
	if !failed {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(obj)) {
		if a := known[key]; a != nil {
			if err := value.Check(a, obj[key]); err != nil {
				return err.Under(a.Name, ".")
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
			return err.Under(e.ID, ":")
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
		case a.Mutability == Immutable && !jsonobject.Equal(was, after[a.Name]):
			return Errorf(Mutability, a.Name, "the attribute is immutable")
		case a.Type == Complex && !a.MultiValued:
			b, _ := was.(map[string]any)
			n, _ := after[a.Name].(map[string]any)
			if err := immutableMembers(a.SubAttributes, b, n); err != nil && n != nil {
				return err.Under(a.Name, ".")
			}
		}
	}
	return nil
}

// OneSpelling checks the members of a message whose names are taken in any case, such
// as those of a PATCH operation. Two names that differ in case alone could mean one
// thing to this reader and another to the next, as a name that is there twice does.
// The error is an *Error with scimType invalidSyntax.
func OneSpelling(message map[string]any) error {
	seen := make(map[string]struct{}, len(message))
	twice := ""
	for name := range message {
		key := strings.ToLower(name)
		if _, ok := seen[key]; ok && (twice == "" || key < twice) {
			twice = key
		}
		seen[key] = struct{}{}
	}
	if len(seen) < len(message) {
		return Errorf(InvalidSyntax, twice, "the name is there twice")
	}
	return nil
}
