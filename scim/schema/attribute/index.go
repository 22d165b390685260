package attribute

import "strings"

// Names finds an attribute by its name as written in the schema and by its
// lower-case form. Lower case of ASCII is all that is needed: names have no
// other letters.
type Names map[string]*Attribute

// Find looks a name up in any case; the spelling of the schema costs no
// allocation.
func (n Names) Find(name string) *Attribute {
	if a, ok := n[name]; ok {
		return a
	}
	return n[strings.ToLower(name)]
}

// Add enters attributes under both spellings. The pointers are into the table,
// which never changes.
func (n Names) Add(attrs []Attribute) {
	for i := range attrs {
		n[attrs[i].Name] = &attrs[i]
		n[strings.ToLower(attrs[i].Name)] = &attrs[i]
	}
}

// Index finds the attributes of one kind of resource by name. Its fields may be
// read, not written.
type Index struct {
	Schema     *Schema   // the core schema
	Extensions []*Schema // in the order of the resource type
	Core       Names     // core and common attributes
	Ext        []Names   // one per extension

	urns map[string]int // URN as written and in lower case -> index of the extension, -1 for the core
}

// NewIndex builds the look-up tables. common are the attributes that every
// resource has beside those of its schemas (RFC 7643 section 3.1).
func NewIndex(common []Attribute, core *Schema, extensions []*Schema) *Index {
	x := &Index{
		Schema: core, Extensions: extensions, Core: Names{},
		urns: map[string]int{core.ID: -1, strings.ToLower(core.ID): -1},
	}
	x.Core.Add(common)
	x.Core.Add(core.Attributes)
	for i, e := range extensions {
		n := Names{}
		n.Add(e.Attributes)
		x.Ext = append(x.Ext, n)
		x.urns[e.ID], x.urns[strings.ToLower(e.ID)] = i, i
	}
	return x
}

// Lookup finds a name that SplitName took apart; every part in any case. The
// URN of the core schema may be left out; a name without URN that the core does
// not have is looked for in the extensions (Ref.Short). ok is false when no
// schema has it.
//
//	"", "NAME", "familyname"                name.familyName
//	"", "department", ""                    urn:...:enterprise:2.0:User:department, Short
//	"urn:...:core:2.0:User", "userName", "" userName
//	"urn:...:enterprise:2.0", "User", ""    the whole extension
func (x *Index) Lookup(urn, attr, sub string) (ref Ref, ok bool) {
	if urn == "" {
		if ref.Attr = x.Core.Find(attr); ref.Attr == nil && !x.short(&ref, attr) {
			return Ref{}, false
		}
		return withSub(ref, sub)
	}
	i, known := x.URN(urn)
	switch {
	case !known:
		return x.whole(urn, attr, sub)
	case i < 0:
		ref.Attr = x.Core.Find(attr)
	default:
		ref.Extension, ref.Attr = x.Extensions[i], x.Ext[i].Find(attr)
	}
	if ref.Attr == nil {
		return x.whole(urn, attr, sub)
	}
	return withSub(ref, sub)
}

// LookupName is Lookup for a whole name, such as "name.familyName" or
// "urn:...:User:department".
func (x *Index) LookupName(name string) (Ref, bool) {
	return x.Lookup(SplitName(name))
}

// short looks for an attribute in the extensions. The first extension that has
// it wins, in the order of the resource type, the enterprise extension before
// those of a configuration.
func (x *Index) short(ref *Ref, attr string) bool {
	for i, n := range x.Ext {
		if a := n.Find(attr); a != nil {
			ref.Extension, ref.Attr, ref.Short = x.Extensions[i], a, true
			return true
		}
	}
	return false
}

// whole handles a bare URN, which SplitName has cut at its last colon. The cut
// may even fall within a version: of urn:example:custom:1.0 it makes an
// attribute "1" with a sub-attribute "0".
func (x *Index) whole(urn, attr, sub string) (Ref, bool) {
	full := urn + ":" + attr
	if sub != "" {
		full += "." + sub
	}
	i, known := x.URN(full)
	switch {
	case !known:
		return Ref{}, false
	case i < 0:
		return Ref{}, true
	default:
		return Ref{Extension: x.Extensions[i]}, true
	}
}

// Spelt is URN for documents that are canonical already, whose URNs have the
// spelling of the schema.
func (x *Index) Spelt(urn string) (int, bool) {
	i, ok := x.urns[urn]
	return i, ok
}

// URN gives the index of the extension that a URN in any case names, -1 for the
// core schema.
func (x *Index) URN(urn string) (int, bool) {
	if i, ok := x.urns[urn]; ok {
		return i, true
	}
	i, ok := x.urns[strings.ToLower(urn)]
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
