package value

import (
	"fmt"

	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
)

// The scimType values of RFC 7644 section 3.12 that these packages and their
// callers use.
const (
	InvalidFilter = "invalidFilter"
	InvalidSyntax = "invalidSyntax"
	InvalidPath   = "invalidPath"
	InvalidValue  = "invalidValue"
	InvalidVers   = "invalidVers"
	NoTarget      = "noTarget"
	Mutability    = "mutability"
	Uniqueness    = "uniqueness"
	TooMany       = "tooMany"
	Sensitive     = "sensitive"
)

// Error is everything a client may read about what it did wrong. ScimType is
// one of the constants above, Path the attribute it is about (may be empty),
// Detail a sentence without secrets. The packages filter and patch use it too,
// so that there is one mapping to the wire.
type Error struct {
	ScimType string
	Path     string
	Detail   string
}

// Error gives the path, where there is one, and the detail.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Detail
	}
	return e.Path + ": " + e.Detail
}

// Errorf builds an Error; path may be empty. Never put a whole value of the
// client into the text: jsonobject.Describe cuts it.
func Errorf(scimType, path, format string, args ...any) *Error {
	return &Error{ScimType: scimType, Path: path, Detail: fmt.Sprintf(format, args...)}
}

// Under puts the name of the enclosing attribute or schema in front of the path
// of an error on its way up.
//
//	familyName            name.familyName
//	manager.value         urn:...:enterprise:2.0:User:manager.value
func (e *Error) Under(parent string, separator string) *Error {
	if e.Path == "" {
		e.Path = parent
	} else {
		e.Path = parent + separator + e.Path
	}
	return e
}

// WrongType says what was wanted and what came. "true or false is expected, not
// the number 1".
func WrongType(want string, got any) *Error {
	return Errorf(InvalidValue, "", "%s is expected, not %s", want, jsonobject.Describe(got))
}
