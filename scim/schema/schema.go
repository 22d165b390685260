// Package schema knows the attributes of the SCIM resources (RFC 7643) and what
// may be done with them: it reads a JSON body strictly (Decode), turns what a
// client sent into the one stored form (Canonicalize), checks a result
// (Validate), cuts an answer down to what was asked (Projection) and renders
// the discovery documents. Everything that identity providers send and the RFC
// does not allow is normalised here and named by a Fixup; in strict mode it is
// refused instead.
//
// The package is pure: no I/O, no state. Resource types are built once and
// never written afterwards, so they may be shared by any number of goroutines.
package schema

import (
	"fmt"
	"strings"
	"sync"
)

// URNs of the schemas and messages this service speaks (RFC 7643 section 10,
// RFC 7644 section 8.2).
const (
	UserURN                  = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN                 = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN            = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	SchemaURN                = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	ResourceTypeURN          = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	ServiceProviderConfigURN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	ListResponseURN          = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	SearchRequestURN         = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	PatchOpURN               = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	BulkRequestURN           = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	BulkResponseURN          = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	ErrorURN                 = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// Document is one JSON object as Decode gives it: map[string]any, []any,
// string, bool, json.Number and nil. After Canonicalize its attribute names
// have the spelling of the schema. Documents share parts with what they were
// made from; whoever wants to write into one copies it first (Clone).
type Document = map[string]any

// Mode says how much is forgiven. The zero value is tolerant: every Fixup is
// applied and reported. Strict refuses them.
type Mode struct{ Strict bool }

// Type is the data type of an attribute (RFC 7643 section 2.3).
type Type string

// The data types of RFC 7643 section 2.3.
const (
	String    Type = "string"
	Boolean   Type = "boolean"
	Decimal   Type = "decimal"
	Integer   Type = "integer"
	DateTime  Type = "dateTime"
	Reference Type = "reference"
	Complex   Type = "complex"
	Binary    Type = "binary"
)

// Values of the characteristics of an attribute (RFC 7643 section 7).
const (
	ReadOnly  = "readOnly"
	ReadWrite = "readWrite"
	Immutable = "immutable"
	WriteOnly = "writeOnly"

	ReturnedAlways  = "always"
	ReturnedNever   = "never"
	ReturnedDefault = "default"
	ReturnedRequest = "request"

	UniqueNone   = "none"
	UniqueServer = "server"
	UniqueGlobal = "global"
)

// Attribute describes one attribute or sub-attribute with the characteristics
// of RFC 7643 section 7. Empty Mutability, Returned and Uniqueness mean
// readWrite, default and none. CanonicalValues are suggestions: a value outside
// of them is accepted.
type Attribute struct {
	Name                             string
	Type                             Type
	MultiValued, Required, CaseExact bool
	Mutability, Returned, Uniqueness string
	SubAttributes                    []Attribute
	CanonicalValues, ReferenceTypes  []string
	Description                      string
}

// Sub finds a sub-attribute by its name in any case, nil when there is none.
func (a *Attribute) Sub(name string) *Attribute {
	for i := range a.SubAttributes {
		if s := &a.SubAttributes[i]; len(s.Name) == len(name) && equalASCII(s.Name, name) {
			return s
		}
	}
	return nil
}

// Set reports whether the values of a multi-valued attribute form a set on
// their "value", as the members of a group do: such a value names another
// resource, cannot be changed in place and occurs once.
func (a *Attribute) Set() bool {
	if !a.MultiValued || a.Type != Complex {
		return false
	}
	v := a.Sub("value")
	return v != nil && v.Mutability == Immutable
}

// Schema is a named list of attributes: the core of a resource type or an
// extension (RFC 7643 section 7).
type Schema struct {
	ID, Name, Description string
	Attributes            []Attribute
}

// ResourceType is a kind of resource with its core schema and its extensions
// (RFC 7643 section 6). Build it with User, Group, NewUser or NewGroup; it must
// not be changed afterwards.
type ResourceType struct {
	Name, Endpoint, Description string
	Core                        *Schema
	Extensions                  []*Schema

	core     names          // core and common attributes
	ext      []names        // one per extension
	urns     map[string]int // URN as written and in lower case -> index of the extension, -1 for the core
	required []*Attribute   // of the core
}

// names finds an attribute by its name as written in the schema and by its
// lower-case form.
type names map[string]*Attribute

// find looks a name up in any case; the spelling of the schema costs no
// allocation.
func (n names) find(name string) *Attribute {
	if a, ok := n[name]; ok {
		return a
	}
	return n[strings.ToLower(name)]
}

// add enters attributes under both spellings. The pointers are into the table,
// which never changes.
func (n names) add(attrs []Attribute) {
	for i := range attrs {
		n[attrs[i].Name] = &attrs[i]
		n[strings.ToLower(attrs[i].Name)] = &attrs[i]
	}
}

var (
	standardUser  = sync.OnceValue(func() *ResourceType { return userType(nil) })
	standardGroup = sync.OnceValue(func() *ResourceType { return groupType(nil) })
)

// User returns the User resource type with the enterprise extension. It is
// built once and shared.
func User() *ResourceType { return standardUser() }

// Group returns the Group resource type. It is built once and shared.
func Group() *ResourceType { return standardGroup() }

// NewUser returns the User resource type with the enterprise extension and
// further extensions, for schemas declared in a configuration. The error names
// the first extension that breaks a rule of RFC 7643: a URN that is missing,
// taken or not a URN, a name taken twice or malformed, a complex attribute
// within a complex one.
func NewUser(extra ...*Schema) (*ResourceType, error) {
	if err := checkExtensions(extra, UserURN, EnterpriseURN); err != nil {
		return nil, err
	}
	return userType(extra), nil
}

// NewGroup returns the Group resource type with further extensions; errors as
// for NewUser.
func NewGroup(extra ...*Schema) (*ResourceType, error) {
	if err := checkExtensions(extra, GroupURN); err != nil {
		return nil, err
	}
	return groupType(extra), nil
}

// userType builds a User; the extensions were checked before.
func userType(extra []*Schema) *ResourceType {
	rt := &ResourceType{
		Name: "User", Endpoint: "/Users", Description: "User Account",
		Core: userSchema(), Extensions: append([]*Schema{enterpriseSchema()}, extra...),
	}
	rt.index()
	return rt
}

// groupType builds a Group; the extensions were checked before.
func groupType(extra []*Schema) *ResourceType {
	rt := &ResourceType{Name: "Group", Endpoint: "/Groups", Description: "Group", Core: groupSchema(), Extensions: extra}
	rt.index()
	return rt
}

// index builds the look-up tables.
func (rt *ResourceType) index() {
	rt.core = names{}
	rt.core.add(commonAttributes())
	rt.core.add(rt.Core.Attributes)
	rt.urns = map[string]int{rt.Core.ID: -1, strings.ToLower(rt.Core.ID): -1}
	for i, e := range rt.Extensions {
		n := names{}
		n.add(e.Attributes)
		rt.ext = append(rt.ext, n)
		rt.urns[e.ID], rt.urns[strings.ToLower(e.ID)] = i, i
	}
	for i := range rt.Core.Attributes {
		if rt.Core.Attributes[i].Required {
			rt.required = append(rt.required, &rt.Core.Attributes[i])
		}
	}
}

// checkExtensions applies the rules that the standard tables hold by
// construction to schemas from outside.
func checkExtensions(extra []*Schema, taken ...string) error {
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

// ValidName reports whether s is an attribute name of RFC 7643 section 2.1: a
// letter (or $, for $ref), then letters, digits, - and _.
func ValidName(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		switch {
		case letter, c == '$' && i == 0 && len(s) > 1:
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_'):
		default:
			return false
		}
	}
	return true
}
