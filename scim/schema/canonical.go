package schema

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
	"github.com/matomo-scim/bridge/scim/schema/jsonobject"
	"github.com/matomo-scim/bridge/scim/schema/value"
)

// coercer is the coercer of values with what only whole bodies need: where a
// member belongs.
type coercer struct{ value.Coercer }

// Canonicalize turns the body of a POST or PUT into the form that is stored:
// attribute names as the schema spells them (any case, dotted and URN-prefixed
// keys are understood), null, [] and {} left out, read-only attributes and
// password left out, booleans real booleans, at most one primary value in a
// list, schemas naming what is in use. Strings, "" included, stay as they were
// sent; unknown attributes are kept. Types are checked, required attributes are
// not: Validate does that.
//
// The result shares parts with doc, which is not changed. The kinds of
// tolerance that were needed are given once each. In strict mode each of them
// is an error. Errors are *Error: invalidValue for a wrong type, invalidSyntax
// for a name given twice or unknown (strict).
func (rt *ResourceType) Canonicalize(doc Document, mode Mode) (Document, []Fixup, error) {
	c := coercer{value.Coercer{Strict: mode.Strict}}
	out := make(Document, len(doc)+1)
	var buf [32]string
	for _, key := range jsonobject.SortedKeys(doc, buf[:0]) {
		if err := rt.put(&c, out, key, doc[key]); err != nil {
			return nil, nil, err
		}
	}
	if err := rt.checkSchemas(&c, out, doc); err != nil {
		return nil, nil, err
	}
	rt.SetSchemas(out)
	return out, c.Fixups, nil
}

// put places one member of a body into out.
//
// A key is, in this order: an attribute of the core, the URN of a schema with
// an object behind it, a longer name such as "name.givenName" or
// "urn:...:User:department", or nothing we know. A longer name of a list is
// nothing we know, because it does not say which value is meant.
func (rt *ResourceType) put(c *coercer, out Document, key string, v any) error {
	if a := rt.index.Core.Find(key); a != nil {
		return c.set(out, a, v)
	}
	if i, ok := rt.index.URN(key); ok {
		return rt.putSchema(c, out, i, v)
	}
	ref, ok := rt.LookupName(key)
	if !ok || ref.Attr == nil || ref.Sub != nil && ref.Attr.MultiValued {
		return c.keep(out, key, v)
	}
	kind := FixDottedKey
	switch {
	case ref.Short:
		kind = FixShortExtension
	case strings.IndexByte(key, ':') >= 0:
		kind = FixURNKey
	}
	if err := c.Tolerate(kind, "the name is not allowed here"); err != nil {
		return err.Under(key, "")
	}
	return c.putRef(out, ref, v)
}

// putSchema places the object of an extension; the object of the core schema is
// spread over the document.
func (rt *ResourceType) putSchema(c *coercer, out Document, i int, v any) error {
	if jsonobject.Empty(v) {
		return nil
	}
	if i < 0 {
		return rt.spread(c, out, v)
	}
	id := rt.Extensions[i].ID
	obj, ok := v.(map[string]any)
	if !ok {
		return value.WrongType("an object", v).Under(id, "")
	}
	if _, twice := out[id]; twice {
		return Errorf(InvalidSyntax, id, "the schema is there twice")
	}
	target := make(map[string]any, len(obj))
	if err := c.members(target, rt.index.Ext[i], obj, id); err != nil {
		return err
	}
	if len(target) > 0 {
		out[id] = target
	}
	return nil
}

// spread places the members of an object that stands under the URN of the core
// schema. It needs no tolerance: the URN may be left out of the names of core
// attributes, but need not be (RFC 7644 section 3.10), and an object is how a body
// puts attributes under a URN. The nesting of such objects is bounded by Decode.
func (rt *ResourceType) spread(c *coercer, out Document, v any) error {
	obj, ok := v.(map[string]any)
	if !ok {
		return value.WrongType("an object", v).Under(rt.Core.ID, "")
	}
	for _, key := range jsonobject.SortedKeys(obj, nil) {
		if err := rt.put(c, out, key, obj[key]); err != nil {
			return inside(err, rt.Core.ID, ":")
		}
	}
	return nil
}

// members places the members of an object whose attributes are known. Here a
// name has one form only: within an extension nobody dots.
func (c *coercer) members(target map[string]any, known attribute.Names, obj map[string]any, id string) error {
	var buf [16]string
	for _, key := range jsonobject.SortedKeys(obj, buf[:0]) {
		var err error
		if a := known.Find(key); a != nil {
			err = c.set(target, a, obj[key])
		} else {
			err = c.keep(target, key, obj[key])
		}
		if err != nil {
			return inside(err, id, ":")
		}
	}
	return nil
}

// inside puts the name of what encloses it in front of the path of an error.
func inside(err error, parent, separator string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Under(parent, separator)
	}
	return err
}

// putRef places a value at a name that was written out in one key. What stands
// there already, from a plain key, is completed: plain keys come first.
func (c *coercer) putRef(out Document, ref Ref, v any) error {
	target := out
	if ref.Extension != nil {
		obj, ok := out[ref.Extension.ID].(map[string]any)
		if !ok {
			obj = map[string]any{}
		}
		target = obj
		defer func() {
			if len(obj) > 0 {
				out[ref.Extension.ID] = obj
			}
		}()
	}
	if ref.Sub == nil {
		return c.set(target, ref.Attr, v)
	}
	if ref.ReadOnly() {
		return nil
	}
	parent, _ := target[ref.Attr.Name].(map[string]any)
	parent = maps.Clone(parent) // it may be the client's
	if parent == nil {
		parent = map[string]any{}
	}
	if err := c.set(parent, ref.Sub, v); err != nil {
		return inside(err, ref.Attr.Name, ".")
	}
	if len(parent) > 0 {
		target[ref.Attr.Name] = parent
	}
	return nil
}

// set coerces v and places it under the name of a, unless a is read-only or
// never stored. A name that is there already is an error, for the order of the
// members of a JSON object means nothing.
func (c *coercer) set(target map[string]any, a *Attribute, v any) error {
	if a.Mutability == ReadOnly || a.Name == "schemas" {
		return nil
	}
	v, _, err := c.Value(a, v)
	switch {
	case err != nil && a.Returned == ReturnedNever:
		return value.Hidden(a, err)
	case err != nil:
		return err.Under(a.Name, ".")
	}
	if v == nil || a.Returned == ReturnedNever {
		return nil
	}
	if _, twice := target[a.Name]; twice {
		return Errorf(InvalidSyntax, a.Name, "the attribute is there twice")
	}
	target[a.Name] = v
	return nil
}

// keep stores a member that no schema knows, as it is but for passwords.
func (c *coercer) keep(target map[string]any, key string, v any) error {
	kind := FixUnknownAttribute
	if strings.IndexByte(key, ':') >= 0 {
		kind = FixUnknownSchema
	}
	if err := c.Tolerate(kind, "no schema has this attribute"); err != nil {
		err.ScimType = InvalidSyntax
		return err.Under(key, "")
	}
	if v = value.Unknown(key, v); !jsonobject.Empty(v) {
		target[key] = v
	}
	return nil
}

// checkSchemas compares what the body says about its schemas with what is in
// it. The data decide what is in use (C15); what the list says beside or beyond
// that is forgiven, and counted, because most clients send a constant list.
func (rt *ResourceType) checkSchemas(c *coercer, out, doc Document) error {
	listed, err := rt.listed(c, doc)
	if err != nil {
		return err.Under("schemas", ".")
	}
	if !contains(listed, rt.Core.ID) {
		if err := c.Tolerate(FixSchemasMissing, rt.Core.ID+" is missing"); err != nil {
			return err.Under("schemas", ".")
		}
	}
	for _, u := range listed {
		urn, _ := u.(string)
		if _, ok := rt.index.URN(urn); !ok {
			if err := c.Tolerate(FixUnknownSchema, "an unknown schema"); err != nil {
				return err.Under("schemas", ".")
			}
		}
	}
	for _, e := range rt.Extensions {
		if _, used := out[e.ID]; used && !contains(listed, e.ID) {
			if err := c.Tolerate(FixSchemaUnlisted, e.ID+" is in use and missing"); err != nil {
				return err.Under("schemas", ".")
			}
		}
	}
	return nil
}

// listed gives the URNs in the schemas of a body. Missing or null is an empty
// list.
func (rt *ResourceType) listed(c *coercer, doc Document) ([]any, *Error) {
	v, ok := doc["schemas"]
	for key := range doc {
		if !ok && EqualName(key, "schemas") {
			v = doc[key]
		}
	}
	v, _, err := c.Value(rt.index.Core["schemas"], v)
	urns, _ := v.([]any)
	return urns, err
}

// contains looks for a URN in the schemas of a body, in any case: some clients
// write "user" for "User".
func contains(urns []any, urn string) bool {
	for _, u := range urns {
		if s, ok := u.(string); ok && EqualName(s, urn) {
			return true
		}
	}
	return false
}

// SetSchemas writes the schemas of a canonical document from what is in it: the
// core, the extensions that have data, then the unknown URNs that were kept, in
// order.
func (rt *ResourceType) SetSchemas(doc Document) {
	urns := make([]any, 1, 1+len(rt.Extensions))
	urns[0] = rt.Core.ID
	for _, e := range rt.Extensions {
		if _, used := doc[e.ID]; used {
			urns = append(urns, e.ID)
		}
	}
	var foreign []string
	for key, v := range doc {
		if _, isObject := v.(map[string]any); isObject && strings.IndexByte(key, ':') >= 0 {
			if _, known := rt.index.Spelt(key); !known {
				foreign = append(foreign, key)
			}
		}
	}
	slices.Sort(foreign)
	for _, urn := range foreign {
		urns = append(urns, urn)
	}
	doc["schemas"] = urns
}
