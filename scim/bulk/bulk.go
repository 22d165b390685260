// Package bulk carries out bulk requests (RFC 7644 section 3.7): it reads the message, finds an order in which every
// reference by bulkId can be resolved, and has one operation after the other done by whoever knows how.
//
// How a user is created is none of its business: Run is given a function that does what the same request, sent alone,
// would do. So there is one way to change a resource, and bulk cannot forget a check that single requests make.
//
// Operations keep the order of the client as far as references allow: one that names a resource which is created later
// waits for it. Where resources name each other in a circle, one of them is created without the attributes that close
// the circle, and gets them as soon as the others are there. The client sees none of this: each operation has one result,
// and one that failed in the end has left nothing behind.
package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema"
)

// The methods of operations.
const (
	post   = "POST"
	put    = "PUT"
	patch  = "PATCH"
	remove = "DELETE"
)

// ErrEndpoint says that the path of an operation leads nowhere.
var ErrEndpoint = errors.New("no such endpoint")

// ReferenceError says that a reference cannot be resolved (409, RFC 7644 section 3.7.1).
type ReferenceError struct {
	BulkID string
	Why    string
}

// Error names the reference.
func (e *ReferenceError) Error() string { return prefix + e.BulkID + " cannot be resolved: " + e.Why }

// Request is a bulk request.
type Request struct {
	// FailOnErrors is the number of failed operations after which the rest is left; 0 means never.
	FailOnErrors int
	// Operations are in the order of the client.
	Operations []Operation
	// Fixups are the tolerances that were needed.
	Fixups schema.Fixups
}

// Operation is one operation as the client sent it.
type Operation struct {
	Method, Path, BulkID string
	// Version is the entity tag that the resource must still have, "" for any.
	Version string
	// Data is the body; nil when there is none.
	Data schema.Document

	err    error                // what is wrong with the operation itself; it fails without being tried
	kind   *schema.ResourceType // what the path leads to
	target string               // the id in the path, "" for the endpoint itself
	needs  []need
}

// List finds the operations of a message before it is read in full, for the caller who bounds their number.
func List(doc schema.Document) []any {
	list, _ := member(doc, "Operations").([]any)
	return list
}

// FromDocument reads a bulk message. types are the kinds of resources that operations may be about. What is wrong with
// one operation is that operation's result and no error here. Errors: invalidSyntax when the message is none,
// invalidValue for a failOnErrors that is no positive number.
func FromDocument(doc schema.Document, types []*schema.ResourceType, mode schema.Mode) (Request, error) {
	if err := schema.OneSpelling(doc); err != nil {
		return Request{}, err
	}
	if !names(member(doc, "schemas"), schema.BulkRequestURN) {
		return Request{}, schema.Errorf(schema.InvalidSyntax, "schemas", "%s is missing", schema.BulkRequestURN)
	}
	list := List(doc)
	if len(list) == 0 {
		return Request{}, schema.Errorf(schema.InvalidSyntax, "Operations", "a list of operations is expected")
	}
	var req Request
	if v := member(doc, "failOnErrors"); v != nil {
		n, ok := v.(json.Number)
		most, err := n.Int64()
		if !ok || err != nil || most < 1 {
			return Request{}, schema.Errorf(schema.InvalidValue, "failOnErrors", "a whole number from 1 is expected")
		}
		req.FailOnErrors = int(min(most, int64(len(list)))) // more errors than operations there cannot be
	}
	used := map[string]int{}
	for _, e := range list {
		op := operation(e, types)
		if op.BulkID != "" {
			used[op.BulkID]++
		}
		req.Operations = append(req.Operations, op)
	}
	for i := range req.Operations {
		op := &req.Operations[i]
		switch {
		case used[op.BulkID] > 1: // whoever refers to it could mean either
			op.refuse(schema.Errorf(schema.InvalidValue, "bulkId", "%q is the bulkId of several operations", op.BulkID))
		case op.Method == post && op.BulkID == "" && mode.Strict:
			op.refuse(schema.Errorf(schema.InvalidValue, "bulkId", "a POST needs a bulkId"))
		case op.Method == post && op.BulkID == "":
			req.Fixups.Add(schema.FixBulkIDMissing)
		}
	}
	return req, nil
}

// operation reads one operation. Whatever else is wrong with it, its bulkId is read where it has one, so that the
// client can tell which one failed.
func operation(v any, types []*schema.ResourceType) Operation {
	obj, ok := v.(map[string]any)
	if !ok {
		return Operation{err: schema.Errorf(schema.InvalidSyntax, "", "an operation must be an object")}
	}
	var op Operation
	for name, into := range map[string]*string{
		"method": &op.Method, "path": &op.Path, "bulkId": &op.BulkID, "version": &op.Version,
	} {
		switch text := member(obj, name).(type) {
		case nil:
		case string:
			*into = text
		default:
			op.refuse(schema.Errorf(schema.InvalidSyntax, name, "a string is expected"))
		}
	}
	if err := schema.OneSpelling(obj); err != nil {
		op.refuse(err)
	}
	op.Method = strings.ToUpper(op.Method)
	switch op.Method {
	case post, put, patch:
		data := member(obj, "data")
		if op.Data, ok = data.(map[string]any); !ok {
			op.refuse(schema.Errorf(schema.InvalidSyntax, "data", "%s needs an object", op.Method))
		}
	case remove:
	case "":
		op.refuse(schema.Errorf(schema.InvalidSyntax, "method", "POST, PUT, PATCH or DELETE is expected"))
	default: // what it was is not said: anything may stand there
		op.refuse(schema.Errorf(schema.InvalidSyntax, "method", "only POST, PUT, PATCH and DELETE can be part of a bulk request"))
	}
	op.route(types)
	if op.err == nil {
		op.needs = op.references()
	}
	return op
}

// route finds the resource type of the path. Only resources can be changed in bulk: neither searches nor bulk itself are
// among them.
func (op *Operation) route(types []*schema.ResourceType) {
	rest, ok := strings.CutPrefix(op.Path, "/")
	if !ok {
		op.refuse(schema.Errorf(schema.InvalidPath, "path", "a path such as /Users or /Users/{id} is expected"))
		return
	}
	endpoint, target, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	i := slices.IndexFunc(types, func(rt *schema.ResourceType) bool { return rt.Endpoint == "/"+endpoint })
	switch {
	case i < 0 || target == ".search":
		op.refuse(fmt.Errorf("%w: bulk operations are about resources", ErrEndpoint))
	case !plain(target):
		op.refuse(schema.Errorf(schema.InvalidPath, "path", "the id has characters that no id has"))
	default:
		op.kind, op.target = types[i], target
	}
}

// plain reports whether an id can stand in a path as it is. Ids of ours are, and so is every reference to one.
func plain(id string) bool {
	name, isRef := reference(id)
	if isRef {
		return name != ""
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// refuse notes what is wrong with an operation; the first thing counts. It needs nothing any more.
func (op *Operation) refuse(err error) {
	if op.err == nil {
		op.err, op.needs = err, nil
	}
}

// member finds a member of a message by its name in any case.
func member(doc map[string]any, name string) any {
	if v, ok := doc[name]; ok {
		return v
	}
	for k, v := range doc {
		if schema.EqualName(k, name) {
			return v
		}
	}
	return nil
}

// names looks for a URN in the schemas of a message.
func names(v any, urn string) bool {
	list, _ := v.([]any)
	return slices.ContainsFunc(list, func(e any) bool {
		s, ok := e.(string)
		return ok && schema.EqualName(s, urn)
	})
}
