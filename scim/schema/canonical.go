package schema

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

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
	c := coercer{strict: mode.Strict}
	out := make(Document, len(doc)+1)
	var buf [32]string
	for _, key := range sortedKeys(doc, buf[:0]) {
		if err := rt.put(&c, out, key, doc[key]); err != nil {
			return nil, nil, err
		}
	}
	if err := rt.checkSchemas(&c, out, doc); err != nil {
		return nil, nil, err
	}
	rt.SetSchemas(out)
	return out, c.fixups, nil
}

// CanonicalValue brings one value for attribute a into the stored form, as
// Canonicalize does for whole documents; nil stands for unassigned. Fixups are
// added to fx. For a multi-valued attribute v is the list; CanonicalElement is
// for one value of it. Read-only sub-attributes are left out. The path of an
// error begins with the name of the attribute.
func CanonicalValue(a *Attribute, v any, mode Mode, fx *Fixups) (any, error) {
	return canonicalised(a, v, mode, fx, (*coercer).value)
}

// CanonicalElement is CanonicalValue for one value of a multi-valued attribute,
// or for the value of a single-valued one.
func CanonicalElement(a *Attribute, v any, mode Mode, fx *Fixups) (any, error) {
	return canonicalised(a, v, mode, fx, (*coercer).single)
}

// canonicalised runs one of the coercer's methods with a mode and hands back
// what it noted. The errors of a password are replaced by one that does not
// show the value.
func canonicalised(
	a *Attribute, v any, mode Mode, fx *Fixups, coerce func(*coercer, *Attribute, any) (any, bool, *Error),
) (any, error) {
	c := coercer{strict: mode.Strict}
	v, _, err := coerce(&c, a, v)
	fx.Add(c.fixups...)
	switch {
	case err == nil:
		return v, nil
	case a.Returned == ReturnedNever:
		return nil, hidden(a, err)
	default:
		return nil, err.under(a.Name, ".")
	}
}

// hidden replaces an error whose detail would repeat a password.
func hidden(a *Attribute, err *Error) *Error {
	return Errorf(err.ScimType, a.Name, "a value of type %s is expected", a.Type)
}

// put places one member of a body into out.
func (rt *ResourceType) put(c *coercer, out Document, key string, v any) error {
	if a := rt.core.find(key); a != nil {
		return c.set(out, a, v)
	}
	if i, ok := rt.findURN(key); ok {
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
	if err := c.tolerate(kind, "the name is not allowed here"); err != nil {
		return err.under(key, "")
	}
	return c.putRef(out, ref, v)
}

// putSchema places the object of an extension; the object of the core schema,
// which nobody should send, is spread over the document.
func (rt *ResourceType) putSchema(c *coercer, out Document, i int, v any) error {
	if unassigned(v) {
		return nil
	}
	if i < 0 {
		return rt.spread(c, out, v)
	}
	id := rt.Extensions[i].ID
	obj, ok := v.(map[string]any)
	if !ok {
		return wrongType("an object", v).under(id, "")
	}
	if _, twice := out[id]; twice {
		return Errorf(InvalidSyntax, id, "the schema is there twice")
	}
	target := make(map[string]any, len(obj))
	if err := c.members(target, rt.ext[i], obj, id); err != nil {
		return err
	}
	if len(target) > 0 {
		out[id] = target
	}
	return nil
}

// spread places the members of an object that stands under the URN of the core
// schema. The nesting of such objects is bounded by Decode.
func (rt *ResourceType) spread(c *coercer, out Document, v any) error {
	obj, ok := v.(map[string]any)
	if !ok {
		return wrongType("an object", v).under(rt.Core.ID, "")
	}
	if err := c.tolerate(FixURNKey, "the attributes of the core schema stand at the top"); err != nil {
		return err.under(rt.Core.ID, "")
	}
	for _, key := range sortedKeys(obj, nil) {
		if err := rt.put(c, out, key, obj[key]); err != nil {
			return inside(err, rt.Core.ID, ":")
		}
	}
	return nil
}

// members places the members of an object whose attributes are known.
func (c *coercer) members(target map[string]any, known names, obj map[string]any, id string) error {
	var buf [16]string
	for _, key := range sortedKeys(obj, buf[:0]) {
		var err error
		if a := known.find(key); a != nil {
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
		return e.under(parent, separator)
	}
	return err
}

// putRef places a value at a name that was written out in one key.
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
	v, _, err := c.value(a, v)
	switch {
	case err != nil && a.Returned == ReturnedNever:
		return hidden(a, err)
	case err != nil:
		return err.under(a.Name, ".")
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

// keep stores a member that no schema knows, as it is.
func (c *coercer) keep(target map[string]any, key string, v any) error {
	kind := FixUnknownAttribute
	if strings.IndexByte(key, ':') >= 0 {
		kind = FixUnknownSchema
	}
	if err := c.tolerate(kind, "no schema has this attribute"); err != nil {
		err.ScimType = InvalidSyntax
		return err.under(key, "")
	}
	if !unassigned(v) {
		target[key] = v
	}
	return nil
}

// checkSchemas compares what the body says about its schemas with what is in
// it.
func (rt *ResourceType) checkSchemas(c *coercer, out, doc Document) error {
	listed, err := rt.listed(c, doc)
	if err != nil {
		return err.under("schemas", ".")
	}
	if !contains(listed, rt.Core.ID) {
		if err := c.tolerate(FixSchemasMissing, rt.Core.ID+" is missing"); err != nil {
			return err.under("schemas", ".")
		}
	}
	for _, u := range listed {
		urn, _ := u.(string)
		if _, ok := rt.findURN(urn); !ok {
			if err := c.tolerate(FixUnknownSchema, "an unknown schema"); err != nil {
				return err.under("schemas", ".")
			}
		}
	}
	for _, e := range rt.Extensions {
		if _, used := out[e.ID]; used && !contains(listed, e.ID) {
			if err := c.tolerate(FixSchemaUnlisted, e.ID+" is in use and missing"); err != nil {
				return err.under("schemas", ".")
			}
		}
	}
	return nil
}

// listed gives the URNs in the schemas of a body.
func (rt *ResourceType) listed(c *coercer, doc Document) ([]any, *Error) {
	v, ok := doc["schemas"]
	for key := range doc {
		if !ok && EqualName(key, "schemas") {
			v = doc[key]
		}
	}
	v, _, err := c.value(rt.core["schemas"], v)
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
			if _, known := rt.urns[key]; !known {
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

// sortedKeys gives the keys in order, in buf when they fit: errors do not
// depend on the order of a map, and a plain key comes before the dotted and
// URN-prefixed ones that reach into its value.
func sortedKeys(m map[string]any, buf []string) []string {
	for k := range m {
		buf = append(buf, k)
	}
	slices.Sort(buf)
	return buf
}

// unassigned reports whether v stands for no value: null and the empty list
// (RFC 7643 section 2.5), and the empty object.
func unassigned(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case []any:
		return len(t) == 0
	case map[string]any:
		return len(t) == 0
	default:
		return false
	}
}

// Clone copies a document, or any value of one, so that the copy can be written
// into.
func Clone[T any](v T) T {
	c, _ := clone(any(v)).(T)
	return c
}

// clone is Clone without the type; strings, numbers and booleans are shared,
// for nobody can change them.
func clone(v any) any {
	switch t := v.(type) {
	case map[string]any:
		if t == nil {
			return t
		}
		m := make(map[string]any, len(t))
		for k, e := range t {
			m[k] = clone(e)
		}
		return m
	case []any:
		if t == nil {
			return t
		}
		l := make([]any, len(t))
		for i, e := range t {
			l[i] = clone(e)
		}
		return l
	default:
		return v
	}
}
