// Package patch applies SCIM PATCH requests (RFC 7644 section 3.5.2) to
// documents, in the forms that identity providers send them. Apply works on a
// whole document and gives a new one. Split takes the operations on the members
// of a group apart from those on its head, so that a group of any size can be
// changed without being read.
//
// Errors are *schema.Error; their Detail begins with the number of the
// operation, counted from 1.
package patch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/matomo-scim/bridge/scim/patch/elements"
	"github.com/matomo-scim/bridge/scim/schema"
)

// The operations, as Decode gives them.
const (
	OpAdd     = elements.OpAdd
	OpRemove  = elements.OpRemove
	OpReplace = elements.OpReplace
)

// Operation is one change. Path is empty when the names stand in the Value. A
// nil Value is null, or none.
type Operation = elements.Operation

// Request is the operations of a PATCH, in the order in which they take effect.
// Bulk and the HTTP handler make one from a body with Decode or FromDocument;
// tests may write it down.
type Request struct{ Operations []Operation }

// Decode reads the body of a PATCH. Errors: invalidSyntax when it is not the
// JSON of a PatchOp message (no PatchOp schema, no Operations, an unknown op),
// invalidPath for a path that is no string, invalidValue for an add or replace
// without value. The fixups are kinds that were needed, once each. No identity
// provider sends a PatchOp that strict mode would have to refuse here: op in
// any case is a fixup that strict mode grants too (PA30).
func Decode(data []byte, mode schema.Mode) (Request, []schema.Fixup, error) {
	doc, err := schema.Decode(data)
	if err != nil {
		return Request{}, nil, fmt.Errorf("decode the patch: %w", err)
	}
	return FromDocument(doc, mode)
}

// FromDocument is Decode for a message that was decoded already, such as the
// data of a bulk operation. Names of members are taken in any case, like all
// names in SCIM; members that no PatchOp has are ignored.
func FromDocument(doc schema.Document, _ schema.Mode) (Request, []schema.Fixup, error) {
	if err := schema.OneSpelling(doc); err != nil {
		return Request{}, nil, err
	}
	if !namesPatchOp(member(doc, "schemas")) {
		return Request{}, nil, schema.Errorf(schema.InvalidSyntax, "schemas", "%s is missing", schema.PatchOpURN)
	}
	list, ok := member(doc, "Operations").([]any)
	if !ok || len(list) == 0 {
		return Request{}, nil, schema.Errorf(schema.InvalidSyntax, "Operations", "a list of operations is expected")
	}
	var fixups schema.Fixups
	req := Request{Operations: make([]Operation, 0, len(list))}
	for i, e := range list {
		op, err := decodeOperation(e, &fixups)
		if err != nil {
			return Request{}, nil, numbered(i, "", err)
		}
		req.Operations = append(req.Operations, op)
	}
	return req, fixups, nil
}

// member finds a member of a message by its name in any case.
func member(doc map[string]any, name string) any {
	v, _ := lookup(doc, name)
	return v
}

// lookup is member that tells null and absence apart. A replace with null
// removes (PA39), a replace without any value is a mistake.
func lookup(doc map[string]any, name string) (any, bool) {
	if v, ok := doc[name]; ok {
		return v, true
	}
	for k, v := range doc {
		if schema.EqualName(k, name) {
			return v, true
		}
	}
	return nil, false
}

// namesPatchOp looks for the URN of the message in its schemas. Some clients
// send the one schema as text instead of in a list; as nothing else can be
// meant, it is no fixup.
func namesPatchOp(v any) bool {
	if s, ok := v.(string); ok {
		return schema.EqualName(s, schema.PatchOpURN)
	}
	urns, _ := v.([]any)
	for _, u := range urns {
		if s, ok := u.(string); ok && schema.EqualName(s, schema.PatchOpURN) {
			return true
		}
	}
	return false
}

// decodeOperation reads one operation. Whether path and value make sense is
// seen when it is carried out, on the result of the operations before it.
func decodeOperation(v any, fixups *schema.Fixups) (Operation, error) {
	obj, ok := v.(map[string]any)
	if !ok {
		return Operation{}, schema.Errorf(schema.InvalidSyntax, "", "an object is expected")
	}
	if err := schema.OneSpelling(obj); err != nil {
		return Operation{}, err
	}
	name, _ := member(obj, "op").(string)
	op := Operation{Op: strings.ToLower(name)}
	switch op.Op {
	case OpAdd, OpReplace, OpRemove:
	default:
		return Operation{}, schema.Errorf(schema.InvalidSyntax, "op", "add, replace or remove is expected")
	}
	if op.Op != name {
		fixups.Add(schema.FixOpCase)
	}
	switch p := member(obj, "path").(type) {
	case nil:
	case string:
		op.Path = p
	default:
		return Operation{}, schema.Errorf(schema.InvalidPath, "path", "a string is expected")
	}
	if op.Value, ok = lookup(obj, "value"); !ok && op.Op != OpRemove {
		return Operation{}, schema.Errorf(schema.InvalidValue, "value", "%s needs a value", op.Op)
	}
	return op, nil
}

// numbered says in which operation an error occurred; path is that of the
// operation.
//
//	emails.value: operation 2: a string is expected, not the number 1
//
// The path of a value that does not fit is more precise than that of the
// operation, and wins.
func numbered(i int, path string, err error) error {
	e, ok := errors.AsType[*schema.Error](err)
	if !ok {
		return fmt.Errorf("operation %d: %w", i+1, err)
	}
	out := *e
	if out.Path == "" {
		out.Path = path
	}
	out.Detail = fmt.Sprintf("operation %d: %s", i+1, e.Detail)
	return &out
}
