// Package filter reads, prints and evaluates SCIM filters (RFC 7644 section
// 3.4.2.2) and the paths of PATCH operations (section 3.5.2).
//
// Parse knows only the grammar (package grammar, whose words stand here too).
// Bind checks the result against a resource type: it spells names as the schema
// does, checks which operators and values fit which types, and says what
// "emails co" means. Match evaluates a document. A store that turns filters
// into SQL works on what Bind gives.
//
//	e, err := filter.Parse(`EMAILS co "@example.com"`, opt)
//	b, err := filter.Bind(e, schema.User(), opt) // b.Expr: emails.value co "@example.com"
//	found := b.Match(doc)
//
// Errors are *schema.Error with scimType invalidFilter (or invalidPath) and the
// byte offset of the problem.
package filter

import (
	"github.com/matomo-scim/bridge/scim/filter/grammar"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Expressions, as package grammar describes them.
type (
	// Expr is a filter: one of And, Or, Not, Compare, Present and ValuePath.
	Expr = grammar.Expr
	// And holds when both sides hold.
	And = grammar.And
	// Or holds when at least one side holds.
	Or = grammar.Or
	// Not holds when X does not.
	Not = grammar.Not
	// Compare holds when a value of the attribute stands in the relation Op to
	// Value.
	Compare = grammar.Compare
	// Present holds when the attribute has a value that is not empty.
	Present = grammar.Present
	// ValuePath holds when one value of a multi-valued attribute satisfies
	// Filter.
	ValuePath = grammar.ValuePath
	// Op is a comparison.
	Op = grammar.Op
	// Path names an attribute.
	Path = grammar.Path
	// PatchPath is the path of a PATCH operation.
	PatchPath = grammar.PatchPath
	// Options limit what is accepted.
	Options = grammar.Options
)

// The comparisons of RFC 7644 table 3.
const (
	Eq = grammar.Eq
	Ne = grammar.Ne
	Co = grammar.Co
	Sw = grammar.Sw
	Ew = grammar.Ew
	Gt = grammar.Gt
	Ge = grammar.Ge
	Lt = grammar.Lt
	Le = grammar.Le
)

// Parse reads a filter: see grammar.Parse.
func Parse(s string, opt Options) (Expr, error) { return grammar.Parse(s, opt) }

// ParsePath reads the path of a PATCH operation: see grammar.ParsePath.
func ParsePath(s string, opt Options) (PatchPath, error) { return grammar.ParsePath(s, opt) }

// fail builds the error for a problem in a filter.
func fail(format string, args ...any) *schema.Error {
	return schema.Errorf(schema.InvalidFilter, "", format, args...)
}
