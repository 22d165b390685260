package patch

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/patch/elements"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Result is what Apply gives. Doc is the document it was given when nothing
// changed.
type Result struct {
	Doc     schema.Document
	Changed bool
	Fixups  []schema.Fixup
}

// Apply carries out all operations on a canonical document, or none: doc and
// req are not changed, and on an error there is no result. The result is
// canonical; its required attributes and types are checked. Read-only
// attributes named by a path are an error (mutability), inside a path-less
// value they are ignored. Passwords are checked and dropped.
//
// Operations take effect one after the other, each on the result of those
// before it (RFC 7644 section 3.5.2), which is why required attributes are
// looked at once, at the end: a request may remove userName and add it again.
func Apply(rt *schema.ResourceType, doc schema.Document, req Request, mode schema.Mode) (Result, error) {
	a := applier{Session: elements.Session{Mode: mode}, rt: rt, doc: schema.Clone(doc)}
	for i, op := range req.Operations {
		if err := a.operation(op); err != nil {
			return Result{}, numbered(i, op.Path, err)
		}
	}
	if sameData(doc, a.doc) {
		return Result{Doc: doc, Fixups: a.Fixups}, nil
	}
	rt.SetSchemas(a.doc)
	if err := rt.CheckImmutable(doc, a.doc); err != nil {
		return Result{}, err
	}
	if err := rt.Validate(a.doc); err != nil {
		return Result{}, err
	}
	return Result{Doc: a.doc, Changed: true, Fixups: a.Fixups}, nil
}

// sameData compares two documents but for schemas, which follow from the rest.
// It is what tells a PATCH that changed nothing, after which meta.lastModified
// and the entity tag stay.
func sameData(a, b schema.Document) bool {
	size := func(d schema.Document) int {
		if _, ok := d["schemas"]; ok {
			return len(d) - 1
		}
		return len(d)
	}
	if size(a) != size(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; k != "schemas" && (!ok || !schema.Equal(v, w)) {
			return false
		}
	}
	return true
}

// applier changes its own copy of a document. What goes wrong in the middle of
// a request is thrown away with the copy.
type applier struct {
	elements.Session
	rt  *schema.ResourceType
	doc schema.Document
}

// operation carries out one operation, with a path or without. Which op there
// is was checked by Decode; a Request that a program put together has not been
// through it.
func (a *applier) operation(op Operation) error {
	switch {
	case op.Op != OpAdd && op.Op != OpReplace && op.Op != OpRemove:
		return schema.Errorf(schema.InvalidSyntax, "op", "add, replace or remove is expected")
	case op.Path != "":
		path, err := filter.ParsePath(op.Path, a.Options())
		if err != nil {
			return err
		}
		return a.named(path, op)
	case op.Op == OpRemove:
		return schema.Errorf(schema.NoTarget, "", "remove needs a path")
	}
	obj, ok := op.Value.(map[string]any)
	if !ok {
		return schema.Errorf(schema.InvalidValue, "", "without a path, the value must be an object")
	}
	return a.members("", obj, op.Op)
}

// named carries out an operation with a path. A read-only attribute that was
// named on purpose is a mistake worth an answer (PA22), unlike one that came
// along in an object.
func (a *applier) named(path filter.PatchPath, op Operation) error {
	ref, ok := a.rt.Lookup(path.URN, path.Attr, path.Sub)
	if !ok || ref.Short && a.Mode.Strict {
		return a.unknown(path, op)
	}
	if ref.Short {
		a.Fixups.Add(schema.FixShortExtension)
	}
	if ref.ReadOnly() {
		return schema.Errorf(schema.Mutability, ref.String(), "the attribute is read-only")
	}
	return a.at(ref, path.Filter, op)
}

// unknown carries out an operation on an attribute no schema has: when the
// document has it already, or when it belongs to an unknown schema, whose data
// are kept.
//
// Three things may be meant: "colour" that a client once put into a path-less
// value and that was kept; "urn:...:enterprise:2.0:User:desk", kept within a
// known extension; "urn:custom:User:colour", within an extension nobody told us
// about. Anything else is most likely a typing error (PA25).
func (a *applier) unknown(path filter.PatchPath, op Operation) error {
	missing := schema.Errorf(schema.InvalidPath, path.String(), "no schema has this attribute")
	if a.Mode.Strict || path.Filter != nil {
		return missing
	}
	if key, ok := existing(a.doc, path.String()); ok {
		return a.raw(a.doc, key, op)
	}
	if path.URN == "" {
		return missing
	}
	if ref, ok := a.rt.LookupName(path.URN); ok && ref.Attr == nil { // a known schema without this attribute
		obj, _ := ref.Value(a.doc).(map[string]any)
		key, there := existing(obj, path.Attr)
		if !there || path.Sub != "" {
			return missing
		}
		if err := a.raw(obj, key, op); err != nil {
			return err
		}
		if ref.Extension != nil {
			elements.Store(a.doc, ref.Extension.ID, obj)
		}
		return nil
	}
	urn, ok := existing(a.doc, path.URN)
	if !ok {
		urn = path.URN
	}
	obj, ok := a.doc[urn].(map[string]any)
	if !ok {
		obj = map[string]any{}
	}
	name := filter.Path{Attr: path.Attr, Sub: path.Sub}.String()
	if key, ok := existing(obj, name); ok {
		name = key
	}
	if err := a.raw(obj, name, op); err != nil {
		return err
	}
	elements.Store(a.doc, urn, obj)
	return nil
}

// existing finds a key in any case. The spelling that is stored wins, so that a
// client that changes its mind about case does not leave two attributes.
func existing(obj map[string]any, name string) (string, bool) {
	if _, ok := obj[name]; ok {
		return name, true
	}
	for k := range obj {
		if schema.EqualName(k, name) {
			return k, true
		}
	}
	return "", false
}

// raw changes a value that has no schema: it is replaced or removed; only lists
// grow. Without a schema nobody can say whether a list is one of values or one
// value that happens to be a list, so add joins two lists and overwrites
// everything else.
func (a *applier) raw(target map[string]any, key string, op Operation) error {
	kind := schema.FixUnknownAttribute
	if strings.IndexByte(key, ':') >= 0 {
		kind = schema.FixUnknownSchema
	}
	if err := a.Tolerate(kind, schema.InvalidSyntax, "no schema has this attribute"); err != nil {
		return err
	}
	op.Value = schema.Unknown(key, op.Value)
	list, isList := target[key].([]any)
	more, areMore := op.Value.([]any)
	switch {
	case op.Op == OpAdd && isList && areMore:
		for _, v := range more {
			if !slices.ContainsFunc(list, func(e any) bool { return schema.Equal(e, v) }) {
				list = append(list, schema.Clone(v))
			}
		}
		target[key] = list
	case op.Op == OpRemove:
		delete(target, key)
	case op.Op == OpAdd && schema.Empty(op.Value):
	default:
		elements.Store(target, key, schema.Clone(op.Value))
	}
	return nil
}

// members carries out add or replace for each member of an object: a path-less
// value, or the object of the extension urn. They are taken in the order of
// their names, so that the same request has the same result on every run: a
// plain name comes before the dotted ones that reach into it.
func (a *applier) members(urn string, obj map[string]any, op string) error {
	for _, key := range slices.Sorted(maps.Keys(obj)) {
		if err := a.member(urn, key, Operation{Op: op, Value: obj[key]}); err != nil {
			return err
		}
	}
	return nil
}

// member carries out an operation whose name is the key of an object: the plain
// name of an attribute, an extension, or one of the longer forms that Entra
// sends.
//
//	{"title":"x"}                                   an attribute
//	{"urn:...:enterprise:2.0:User":{"division":"v"}}  an extension
//	{"name.givenName":"x"}                          dotted (Entra, PA38)
//	{"urn:...:User:department":"x"}                 with URN (Entra, PA38)
//	{"emails[type eq \"work\"].value":"x"}          a whole path (Entra)
//
// Read-only attributes are left out in silence when they say what is stored or
// nothing, for several clients send the whole resource back.
func (a *applier) member(urn, key string, op Operation) error {
	name := key
	if urn != "" {
		name = urn + ":" + key
	}
	path, err := filter.ParsePath(name, a.Options())
	if err != nil { // no name at all, so it is no attribute of ours
		return a.keep(urn, key, op)
	}
	ref, ok := a.rt.Lookup(path.URN, path.Attr, path.Sub)
	if !ok || ref.Short && a.Mode.Strict {
		return a.keep(urn, key, op)
	}
	if err := a.spelling(ref, key, path.Filter != nil); err != nil {
		return err
	}
	if ref.ReadOnly() {
		if schema.Equal(ref.Value(a.doc), op.Value) || ref.Sub != nil || schema.Empty(op.Value) {
			return nil
		}
		return a.Tolerate(schema.FixReadOnlyIgnored, schema.Mutability, ref.String()+" is read-only")
	}
	return a.at(ref, path.Filter, op)
}

// spelling notes names that only paths may have. Strict mode refuses them: RFC
// 7644 section 3.5.2.1 knows a set of attributes there and no paths.
func (a *applier) spelling(ref schema.Ref, key string, filtered bool) error {
	const problem = "inside a value, only the names of attributes and extensions are possible"
	switch {
	case ref.Short:
		a.Fixups.Add(schema.FixShortExtension)
	case ref.Attr != nil && strings.IndexByte(key, ':') >= 0:
		return a.Tolerate(schema.FixURNKey, schema.InvalidPath, problem)
	case ref.Sub != nil || filtered:
		return a.Tolerate(schema.FixDottedKey, schema.InvalidPath, problem)
	}
	return nil
}

// keep stores what no schema knows. Within the object of an extension it is
// kept in that object, and otherwise at the top of the document.
func (a *applier) keep(urn, key string, op Operation) error {
	target := a.doc
	if ref, ok := a.rt.LookupName(urn); urn != "" && ok && ref.Extension != nil {
		obj, there := a.doc[ref.Extension.ID].(map[string]any)
		if !there {
			obj = map[string]any{}
		}
		target = obj
		defer func() { elements.Store(a.doc, ref.Extension.ID, obj) }()
	}
	if k, ok := existing(target, key); ok {
		key = k
	}
	if a.Mode.Strict {
		return schema.Errorf(schema.InvalidSyntax, key, "no schema has this attribute")
	}
	return a.raw(target, key, op)
}

// at carries out an operation on what was found in the schemas. An error names an
// attribute of an extension in full.
func (a *applier) at(ref schema.Ref, where filter.Expr, op Operation) error {
	err := a.found(ref, where, op)
	if e, ok := errors.AsType[*schema.Error](err); ok && ref.Extension != nil && e.Path != "" && !strings.HasPrefix(e.Path, ref.Extension.ID) {
		return e.Under(ref.Extension.ID, ":")
	}
	return err
}

// found carries out an operation on one attribute, or hands it on to where more
// than one is meant.
//
// A password is checked and then forgotten; schemas cannot be patched, for what
// is in use follows from the data. The object of an extension comes into being
// with its first attribute and goes with its last, here as everywhere.
func (a *applier) found(ref schema.Ref, where filter.Expr, op Operation) error {
	switch {
	case where != nil && (ref.Attr == nil || !ref.Attr.MultiValued):
		return schema.Errorf(schema.InvalidPath, ref.String(), "brackets need a multi-valued attribute")
	case ref.Attr == nil:
		return a.whole(ref, op)
	case ref.Attr.Name == "schemas" && ref.Extension == nil: // they follow from the data
		return nil
	case ref.Leaf().Returned == schema.ReturnedNever:
		_, err := schema.CanonicalValue(ref.Leaf(), op.Value, a.Mode, &a.Fixups)
		return err
	}
	target := a.doc
	if ref.Extension != nil {
		obj, ok := a.doc[ref.Extension.ID].(map[string]any)
		if !ok {
			obj = map[string]any{}
		}
		target = obj
		defer func() { elements.Store(a.doc, ref.Extension.ID, obj) }()
	}
	switch {
	case ref.Attr.MultiValued:
		l := elements.List{Session: &a.Session, Ref: ref}
		l.Values, _ = target[ref.Attr.Name].([]any)
		if err := l.Apply(where, op); err != nil {
			return err
		}
		elements.Store(target, ref.Attr.Name, l.Values)
		return nil
	case ref.Sub != nil:
		op.Value = a.subValue(ref, op)
		return a.complex(target, ref.Attr, op)
	case ref.Attr.Type == schema.Complex:
		return a.complex(target, ref.Attr, op)
	default:
		return a.simple(target, ref.Attr, op)
	}
}

// subValue makes of an operation on a sub-attribute one on its attribute. So
// name.familyName has one way to be changed, whether it was named in the path
// or in an object.
func (a *applier) subValue(ref schema.Ref, op Operation) any {
	if op.Op == OpRemove {
		return removal{ref.Sub.Name}
	}
	return map[string]any{ref.Sub.Name: op.Value}
}

// removal names a sub-attribute that is to be removed; it stands in the Value
// of an operation. No value that came out of JSON can be mistaken for it.
type removal struct{ sub string }

// whole carries out an operation on a whole schema.
//
// A bare URN as a path stands for all attributes of the schema (PA27). Replace
// keeps those that are not named, as with every complex attribute; only null
// and remove clear the extension.
func (a *applier) whole(ref schema.Ref, op Operation) error {
	obj, isObject := op.Value.(map[string]any)
	switch {
	case ref.Extension == nil && op.Op == OpRemove:
		return schema.Errorf(schema.NoTarget, "", "the core of a resource cannot be removed")
	case ref.Extension != nil && (op.Op == OpRemove || op.Op == OpReplace && op.Value == nil):
		delete(a.doc, ref.Extension.ID)
		return nil
	case op.Value == nil:
		return nil
	case !isObject:
		return schema.Errorf(schema.InvalidValue, ref.String(), "an object is expected")
	case ref.Extension == nil:
		return a.members("", obj, op.Op)
	default:
		return a.members(ref.Extension.ID, obj, op.Op)
	}
}

// simple carries out an operation on a single value that is no object. Null and
// [] under replace clear it (PA39); under add they mean that there is nothing
// to add.
func (a *applier) simple(target map[string]any, attr *schema.Attribute, op Operation) error {
	if op.Op == OpRemove {
		delete(target, attr.Name)
		return nil
	}
	v, err := schema.CanonicalValue(attr, op.Value, a.Mode, &a.Fixups)
	switch {
	case err != nil:
		return err
	case v == nil && op.Op == OpAdd && schema.Empty(op.Value): // nothing to add
		return nil
	}
	elements.Store(target, attr.Name, v)
	return nil
}

// complex carries out an operation on a single-valued complex attribute:
// sub-attributes that are not named stay, also under replace.
//
//	stored   {"givenName":"Ada","familyName":"King"}
//	replace  {"familyName":"Lovelace","givenName":null}
//	result   {"familyName":"Lovelace"}
//
// A sub-attribute that is null goes (PA39), one that is left out stays (PA14).
// A manager whose value is "" is a manager removed (Entra, OneLogin).
func (a *applier) complex(target map[string]any, attr *schema.Attribute, op Operation) error {
	current, _ := target[attr.Name].(map[string]any)
	if op.Op == OpRemove {
		if r, ok := op.Value.(removal); ok {
			delete(current, r.sub)
			elements.Store(target, attr.Name, current)
			return nil
		}
		delete(target, attr.Name)
		return nil
	}
	obj, isObject := op.Value.(map[string]any)
	if isObject && op.Op == OpReplace {
		for k, v := range obj {
			if s := attr.Sub(k); s != nil && schema.Empty(v) && s.Mutability != schema.ReadOnly {
				delete(current, s.Name)
			}
		}
	}
	v, err := schema.CanonicalElement(attr, op.Value, a.Mode, &a.Fixups)
	if err != nil {
		return err
	}
	next, _ := v.(map[string]any)
	switch {
	case next != nil:
		current = elements.Merge(attr, current, next)
	case isObject && !slices.ContainsFunc(slices.Collect(maps.Values(obj)), func(v any) bool { return !schema.Empty(v) }):
	case op.Op == OpReplace || !schema.Empty(op.Value): // null, or a manager whose value is ""
		current = nil
	}
	elements.Store(target, attr.Name, current)
	return nil
}
