package schema

import "strings"

// Ref is an attribute name that was found in a resource type.
type Ref struct {
	Extension *Schema    // the extension that holds Attr; nil for core and common attributes
	Attr      *Attribute // nil: the whole extension, or the whole resource when Extension is nil too
	Sub       *Attribute // nil when no sub-attribute was named
	Short     bool       // found in an extension although its URN was left out
}

// Leaf is the attribute or sub-attribute that was named; nil for a whole
// schema.
func (r Ref) Leaf() *Attribute {
	if r.Sub != nil {
		return r.Sub
	}
	return r.Attr
}

// String gives the name in the spelling of the schema, with the URN where it is
// needed.
func (r Ref) String() string {
	var b strings.Builder
	if r.Extension != nil {
		b.WriteString(r.Extension.ID)
		if r.Attr != nil {
			b.WriteByte(':')
		}
	}
	if r.Attr != nil {
		b.WriteString(r.Attr.Name)
	}
	if r.Sub != nil {
		b.WriteByte('.')
		b.WriteString(r.Sub.Name)
	}
	return b.String()
}

// Value gives what a canonical document holds for Attr (not for Sub), or for
// the whole extension; nil when it is unassigned.
func (r Ref) Value(doc Document) any {
	switch {
	case r.Extension == nil && r.Attr == nil:
		return doc
	case r.Extension == nil:
		return doc[r.Attr.Name]
	}
	e, ok := doc[r.Extension.ID].(map[string]any)
	switch {
	case !ok:
		return nil
	case r.Attr == nil:
		return e
	default:
		return e[r.Attr.Name]
	}
}

// ReadOnly reports whether a client may not change what was named.
func (r Ref) ReadOnly() bool {
	return r.Attr != nil && (r.Attr.Mutability == ReadOnly || r.Sub != nil && r.Sub.Mutability == ReadOnly)
}

// SplitName takes a name of RFC 7644 section 3.10 apart, without knowing any
// schema: [urn:]attr[.sub]. The URN is what stands before the last colon; a
// bare URN is therefore split as well, and Lookup puts it together again.
func SplitName(name string) (urn, attr, sub string) {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		urn, name = name[:i], name[i+1:]
	}
	attr, sub, _ = strings.Cut(name, ".")
	return urn, attr, sub
}

// Lookup finds a name that SplitName took apart; every part in any case. The
// URN of the core schema may be left out; a name without URN that the core does
// not have is looked for in the extensions (Ref.Short). ok is false when no
// schema has it.
func (rt *ResourceType) Lookup(urn, attr, sub string) (ref Ref, ok bool) {
	if urn == "" {
		if ref.Attr = rt.core.find(attr); ref.Attr == nil && !rt.short(&ref, attr) {
			return Ref{}, false
		}
		return withSub(ref, sub)
	}
	i, known := rt.findURN(urn)
	switch {
	case !known:
		return rt.whole(urn, attr, sub)
	case i < 0:
		ref.Attr = rt.core.find(attr)
	default:
		ref.Extension, ref.Attr = rt.Extensions[i], rt.ext[i].find(attr)
	}
	if ref.Attr == nil {
		return rt.whole(urn, attr, sub)
	}
	return withSub(ref, sub)
}

// LookupName is Lookup for a whole name, such as "name.familyName" or
// "urn:...:User:department".
func (rt *ResourceType) LookupName(name string) (Ref, bool) {
	return rt.Lookup(SplitName(name))
}

// short looks for an attribute in the extensions.
func (rt *ResourceType) short(ref *Ref, attr string) bool {
	for i, n := range rt.ext {
		if a := n.find(attr); a != nil {
			ref.Extension, ref.Attr, ref.Short = rt.Extensions[i], a, true
			return true
		}
	}
	return false
}

// whole handles a bare URN, which SplitName has cut at its last colon.
func (rt *ResourceType) whole(urn, attr, sub string) (Ref, bool) {
	full := urn + ":" + attr
	if sub != "" {
		full += "." + sub
	}
	i, known := rt.findURN(full)
	switch {
	case !known:
		return Ref{}, false
	case i < 0:
		return Ref{}, true
	default:
		return Ref{Extension: rt.Extensions[i]}, true
	}
}

// findURN gives the index of an extension, -1 for the core.
func (rt *ResourceType) findURN(urn string) (int, bool) {
	if i, ok := rt.urns[urn]; ok {
		return i, true
	}
	i, ok := rt.urns[strings.ToLower(urn)]
	return i, ok
}

// withSub completes a Ref by the sub-attribute; a sub-attribute that is named
// and does not exist makes the whole name unknown.
func withSub(ref Ref, sub string) (Ref, bool) {
	if sub == "" {
		return ref, true
	}
	ref.Sub = ref.Attr.Sub(sub)
	return ref, ref.Sub != nil
}
