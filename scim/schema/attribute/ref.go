package attribute

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
func (r Ref) Value(doc map[string]any) any {
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
//
//	name.familyName                    "", name, familyName
//	urn:a:User:manager.value           urn:a:User, manager, value
//	urn:a:User                         urn:a, User, ""
func SplitName(name string) (urn, attr, sub string) {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		urn, name = name[:i], name[i+1:]
	}
	attr, sub, _ = strings.Cut(name, ".")
	return urn, attr, sub
}
