// Package elements carries out PATCH operations on the values of one
// multi-valued attribute (RFC 7644 section 3.5.2): the e-mail addresses of a
// user, the members of a group. A list goes in and a list comes out; which
// attribute of which document it belongs to is the business of package patch.
//
// It is apart because lists are where identity providers and the RFC differ
// most: which value does {"value":"a"} mean, what does remove with a value
// remove, what does replace under a filter that matches nothing do.
package elements

import (
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// The operations, as Decode gives them.
const (
	OpAdd     = "add"
	OpRemove  = "remove"
	OpReplace = "replace"
)

// Operation is one change. Path is empty when the names stand in the Value. A
// nil Value is null, or none. A path that was followed already is of no
// interest here: List.Apply looks at Op and Value.
type Operation struct {
	Op    string
	Path  string
	Value any
}

// Session is what the operations of one request have in common: how much is
// forgiven, and what was. Embed it where operations are carried out.
type Session struct {
	Mode   schema.Mode
	Fixups schema.Fixups
}

// Options are those for the paths and filters in operations. What they forgive
// is noted in the session.
func (s *Session) Options() filter.Options {
	return filter.Options{Tolerant: !s.Mode.Strict, OnFixup: func(k schema.Fixup) { s.Fixups.Add(k) }}
}

// Tolerate records a kind, or gives the error that strict mode answers with.
// The problem is a sentence for the client and says what it should have sent.
func (s *Session) Tolerate(k schema.Fixup, scimType, problem string) error {
	if s.Mode.Strict {
		return schema.Errorf(scimType, "", "%s", problem)
	}
	s.Fixups.Add(k)
	return nil
}
