package schema

import (
	"time"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
	"github.com/matomo-scim/bridge/scim/schema/projection"
	"github.com/matomo-scim/bridge/scim/schema/value"
)

// The words of the packages below, under the one name that the rest of the
// bridge uses. Whoever works with SCIM data imports schema and nothing else;
// what a word means is written where it is defined.

// Words of package attribute: what a schema says, and what a name means.
type (
	// Type is the data type of an attribute.
	Type = attribute.Type
	// Attribute describes one attribute or sub-attribute.
	Attribute = attribute.Attribute
	// Schema is a named list of attributes.
	Schema = attribute.Schema
	// Ref is an attribute name that was found in a resource type.
	Ref = attribute.Ref
)

// Words of package value: what was wrong with a value, and what was forgiven.
type (
	// Error is everything a client may read about what it did wrong.
	Error = value.Error
	// Fixup names a tolerance.
	Fixup = value.Fixup
	// Fixups collects tolerances, each once.
	Fixups = value.Fixups
	// Mode says how much is forgiven.
	Mode = value.Mode
)

// Projection is what a client wants to see of a resource (RFC 7644 section
// 3.9).
type Projection = projection.Projection

// The data types of attributes (RFC 7643 section 2.3).
const (
	String    = attribute.String
	Boolean   = attribute.Boolean
	Decimal   = attribute.Decimal
	Integer   = attribute.Integer
	DateTime  = attribute.DateTime
	Reference = attribute.Reference
	Complex   = attribute.Complex
	Binary    = attribute.Binary
)

// The characteristics of attributes (RFC 7643 section 7).
const (
	ReadOnly  = attribute.ReadOnly
	ReadWrite = attribute.ReadWrite
	Immutable = attribute.Immutable
	WriteOnly = attribute.WriteOnly

	ReturnedAlways  = attribute.ReturnedAlways
	ReturnedNever   = attribute.ReturnedNever
	ReturnedDefault = attribute.ReturnedDefault
	ReturnedRequest = attribute.ReturnedRequest

	UniqueNone   = attribute.UniqueNone
	UniqueServer = attribute.UniqueServer
	UniqueGlobal = attribute.UniqueGlobal
)

// The scimType values of errors (RFC 7644 section 3.12).
const (
	InvalidFilter = value.InvalidFilter
	InvalidSyntax = value.InvalidSyntax
	InvalidPath   = value.InvalidPath
	InvalidValue  = value.InvalidValue
	InvalidVers   = value.InvalidVers
	NoTarget      = value.NoTarget
	Mutability    = value.Mutability
	Uniqueness    = value.Uniqueness
	TooMany       = value.TooMany
	Sensitive     = value.Sensitive
)

// Every tolerance there is.
const (
	FixStringBool       = value.FixStringBool
	FixSingleValue      = value.FixSingleValue
	FixBareValue        = value.FixBareValue
	FixSingletonArray   = value.FixSingletonArray
	FixManagerID        = value.FixManagerID
	FixEmptyValue       = value.FixEmptyValue
	FixNullElement      = value.FixNullElement
	FixTwoPrimaries     = value.FixTwoPrimaries
	FixUnknownAttribute = value.FixUnknownAttribute
	FixUnknownSchema    = value.FixUnknownSchema
	FixSchemasMissing   = value.FixSchemasMissing
	FixSchemaUnlisted   = value.FixSchemaUnlisted
	FixDottedKey        = value.FixDottedKey
	FixURNKey           = value.FixURNKey
	FixShortExtension   = value.FixShortExtension
	FixOpCase           = value.FixOpCase
	FixValueArrayRemove = value.FixValueArrayRemove
	FixReadOnlyIgnored  = value.FixReadOnlyIgnored
	FixFilteredCreate   = value.FixFilteredCreate
	FixPutWithoutActive = value.FixPutWithoutActive
	FixUnquotedValue    = value.FixUnquotedValue
	FixValuePathSuffix  = value.FixValuePathSuffix
	FixBulkIDMissing    = value.FixBulkIDMissing
	FixSharedExternalID = value.FixSharedExternalID
	FixEndpointName     = value.FixEndpointName
)

// FixupKinds lists every tolerance.
func FixupKinds() []Fixup { return value.Kinds() }

// Errorf builds an Error; path may be empty.
func Errorf(scimType, path, format string, args ...any) *Error {
	return value.Errorf(scimType, path, format, args...)
}

// Decode reads one JSON object, strictly: see jsonobject.Decode. The error is
// an *Error with scimType invalidSyntax and the byte offset.
func Decode(data []byte) (Document, error) {
	doc, err := jsonobject.Decode(data)
	if err != nil {
		return nil, Errorf(InvalidSyntax, "", "%s", err)
	}
	return doc, nil
}

// Unquote reads the JSON string at the start of s and gives its value and how
// many bytes it took: see jsonobject.Unquote. The error is an *Error with
// scimType invalidSyntax.
func Unquote(s string) (text string, size int, err error) {
	if text, size, err = jsonobject.Unquote(s); err != nil {
		return "", size, Errorf(InvalidSyntax, "", "%s", err)
	}
	return text, size, nil
}

// Clone copies a document, or any value of one, so that the copy can be written
// into.
func Clone[T any](v T) T { return jsonobject.Clone(v) }

// Equal compares two values of documents: objects without order, lists in
// order, numbers by their text.
func Equal(a, b any) bool { return jsonobject.Equal(a, b) }

// Empty reports whether v stands for no value: null, the empty list and the
// empty object (RFC 7643 section 2.5).
func Empty(v any) bool { return jsonobject.Empty(v) }

// Fold gives the form in which values are compared that are not caseExact:
// Fold(a) == Fold(b) exactly when strings.EqualFold(a, b).
func Fold(s string) string { return attribute.Fold(s) }

// EqualName compares attribute names, operators and URNs: without regard to the
// case of ASCII letters.
func EqualName(a, b string) bool { return attribute.EqualName(a, b) }

// ValidName reports whether s is an attribute name of RFC 7643 section 2.1.
func ValidName(s string) bool { return attribute.ValidName(s) }

// SplitName takes a name of RFC 7644 section 3.10 apart: [urn:]attr[.sub].
func SplitName(name string) (urn, attr, sub string) { return attribute.SplitName(name) }

// ParseTime reads a dateTime of RFC 7643 section 2.3.5; without an offset it is
// UTC.
func ParseTime(s string) (time.Time, bool) { return value.ParseTime(s) }

// CanonicalValue brings all values of attribute a into the stored form: see
// value.Canonical.
func CanonicalValue(a *Attribute, v any, mode Mode, fx *Fixups) (any, error) {
	return value.Canonical(a, v, mode, fx)
}

// Unknown is what is kept of a value whose name no schema has: see value.Unknown.
func Unknown(name string, v any) any { return value.Unknown(name, v) }

// CanonicalElement is CanonicalValue for one value of a multi-valued attribute,
// or for the value of a single-valued one.
func CanonicalElement(a *Attribute, v any, mode Mode, fx *Fixups) (any, error) {
	return value.Element(a, v, mode, fx)
}

// ParseProjection reads the values of the parameters attributes and
// excludedAttributes: see projection.Parse.
func ParseProjection(rt *ResourceType, attributes, excluded []string) Projection {
	return projection.Parse(rt.index, attributes, excluded)
}
