// Package attribute holds what a schema says about its attributes (RFC 7643
// section 2 and 7), and finds the attribute that a name means: in any case,
// with or without the URN of its schema, with a sub-attribute behind a dot.
//
// It knows nothing of values. What may be put into an attribute is the subject
// of package value; which attributes a User has is written down in package
// schema. Everything here is built once and only read afterwards, so it may be
// shared by any number of goroutines.
package attribute

// SchemaURN names the documents that describe a schema (RFC 7643 section 7).
const SchemaURN = "urn:ietf:params:scim:schemas:core:2.0:Schema"

// Type is the data type of an attribute (RFC 7643 section 2.3).
type Type string

// The data types of RFC 7643 section 2.3. What each of them is in JSON is
// checked by package value.
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

// Values of the characteristics of an attribute (RFC 7643 section 7). They are
// plain strings because a configuration may declare schemas of its own and
// leaves most of them out.
const (
	// Mutability: readOnly is ours alone, immutable is set once, writeOnly is
	// taken and never shown.
	ReadOnly  = "readOnly"
	ReadWrite = "readWrite"
	Immutable = "immutable"
	WriteOnly = "writeOnly"

	// Returned: always whatever was asked, never whatever was asked, by
	// default, or only when it was asked for by name.
	ReturnedAlways  = "always"
	ReturnedNever   = "never"
	ReturnedDefault = "default"
	ReturnedRequest = "request"

	// Uniqueness: not at all, within this service, or everywhere.
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

// Schema is a named list of attributes: the core of a resource type or an
// extension (RFC 7643 section 7).
type Schema struct {
	ID, Name, Description string
	Attributes            []Attribute
}

// Sub finds a sub-attribute by its name in any case, nil when there is none. A
// complex attribute has at most seven or eight, for which walking beats a map.
func (a *Attribute) Sub(name string) *Attribute {
	for i := range a.SubAttributes {
		if s := &a.SubAttributes[i]; len(s.Name) == len(name) && equalASCII(s.Name, name) {
			return s
		}
	}
	return nil
}

// Exact is Sub for documents that are canonical already: their names have the
// spelling of the schema, and comparing case is not needed.
func (a *Attribute) Exact(name string) *Attribute {
	for i := range a.SubAttributes {
		if a.SubAttributes[i].Name == name {
			return &a.SubAttributes[i]
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

// Hides reports whether a sub-attribute is not returned by default, so that
// even an answer to a client that asked for nothing special has to be cut.
func (a *Attribute) Hides() bool {
	for i := range a.SubAttributes {
		if r := a.SubAttributes[i].Returned; r == ReturnedNever || r == ReturnedRequest {
			return true
		}
	}
	return false
}
