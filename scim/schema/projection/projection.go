// Package projection cuts an answer down to what was asked for: the parameters
// attributes and excludedAttributes of RFC 7644 section 3.9, on top of what the
// schema says is returned always, never, by default or on request (RFC 7643
// section 7).
//
// It is apart from the schemas because it reads and never writes: nothing that
// stands here can change what is stored, which is the trap of a PATCH with
// attributes= (PA43).
package projection

import (
	"regexp"
	"strings"

	"github.com/matomo-scim/bridge/scim/schema/attribute"
)

// Projection is what a client wants to see of a resource (RFC 7644 section
// 3.9). The zero value shows everything that is returned by default. It may be
// shared.
type Projection struct {
	index            *attribute.Index
	include, exclude *branch // nil: not given
}

// branch is a set of names; a leaf (no kids) stands for everything below it.
// Known names have the spelling of the schema, others are in lower case.
//
//	attributes=name.familyName,emails   {name: {familyName: leaf}, emails: leaf}
type branch struct {
	kids   map[string]*branch
	folded bool // some kids are no names of a schema
}

// Parse reads the values of the parameters attributes and
// excludedAttributes: names in any case, with URNs and sub-attributes, each
// value one name or several with commas between them. Unknown attribute.Names are no
// error; they select unknown attributes that were kept. Blank values count as
// not given. When both are given, a name must be in the first and not in the
// second. Microsoft's tests ask for emails[type eq "work"]: what stands in
// brackets is not looked at, so that they see the attribute as a whole.
//
//	attributes=userName                  id, schemas, userName
//	excludedAttributes=members           everything but the members
//	attributes=name&excludedAttributes=name.givenName   the rest of the name
func Parse(x *attribute.Index, attributes, excluded []string) Projection {
	return Projection{index: x, include: tree(x, attributes), exclude: tree(x, excluded)}
}

// brackets are a filter behind a name.
var brackets = regexp.MustCompile(`\[[^\]]*\]`)

// Given reports whether attributes or excludedAttributes were named, in which
// case a PATCH answers with a body.
func (p Projection) Given() bool { return p.include != nil || p.exclude != nil }

// tree builds the set of names of one parameter, nil when there is none.
func tree(x *attribute.Index, values []string) *branch {
	var root *branch
	for _, v := range values {
		for name := range strings.SplitSeq(brackets.ReplaceAllString(v, ""), ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if root == nil {
				root = &branch{kids: map[string]*branch{}}
			}
			root.named(x, name)
		}
	}
	return root
}

// named adds one name. The URN of the core schema stands for its attributes,
// that of an extension for its object.
func (b *branch) named(x *attribute.Index, name string) {
	ref, ok := x.LookupName(name)
	switch {
	case ok && ref.Extension == nil && ref.Attr == nil: // the URN of the core
		for i := range x.Schema.Attributes {
			b.plant(x.Schema.Attributes[i].Name)
		}
	case ok:
		steps := make([]string, 0, 3)
		if ref.Extension != nil {
			steps = append(steps, ref.Extension.ID)
		}
		if ref.Attr != nil {
			steps = append(steps, ref.Attr.Name)
		}
		if ref.Sub != nil {
			steps = append(steps, ref.Sub.Name)
		}
		b.plant(steps...)
	default:
		b.folded = true
		b.plant(strings.ToLower(name))
	}
}

// plant adds a path; a leaf on the way covers the rest of it already. name and
// name.familyName together are name, in any order.
func (b *branch) plant(steps ...string) {
	for i, s := range steps {
		kid, there := b.kids[s]
		last := i == len(steps)-1
		switch {
		case there && (len(kid.kids) == 0 || last):
			kid.kids = nil
			return
		case !there:
			kid = &branch{}
			if !last {
				kid.kids = map[string]*branch{}
			}
			b.kids[s] = kid
		}
		b = kid
	}
}

// find gives the branch for a member of a document, nil when it is not named.
// Attributes that no schema has are stored in the client's spelling, and found
// in any.
func (b *branch) find(key string) *branch {
	if kid, ok := b.kids[key]; ok {
		return kid
	}
	if b.folded {
		return b.kids[strings.ToLower(key)]
	}
	return nil
}

// leaf reports whether the branch stands for all that is below it.
func (b *branch) leaf() bool { return len(b.kids) == 0 }

// Wants reports whether an attribute, such as "members" or
// "urn:...:User:department", is in the answer at least in part; the store asks
// before it reads what is costly. An unknown name is wanted only when it was
// named, or nothing was.
func (p Projection) Wants(attr string) bool {
	if p.index == nil {
		return true
	}
	ref, ok := p.index.LookupName(attr)
	if !ok || ref.Attr == nil && ref.Extension == nil {
		key := strings.ToLower(attr)
		return (p.include == nil || p.include.find(key) != nil) && (p.exclude == nil || p.exclude.find(key) == nil)
	}
	steps := make([]string, 0, 2)
	if ref.Extension != nil {
		steps = append(steps, ref.Extension.ID)
	}
	returned := ""
	if ref.Attr != nil {
		steps = append(steps, ref.Attr.Name)
		returned = ref.Attr.Returned
	}
	return p.wants(returned, steps)
}

// wants walks both trees along the steps of a name. A leaf in
// excludedAttributes on the way hides all; a branch in attributes that goes on
// below the name shows a part, which is enough. It may say yes to what Apply
// then cuts away, never no to what Apply would have kept.
func (p Projection) wants(returned string, steps []string) bool {
	if returned == attribute.ReturnedNever || returned == attribute.ReturnedAlways {
		return returned == attribute.ReturnedAlways
	}
	if b := p.exclude; b != nil {
		for _, s := range steps {
			if b = b.find(s); b == nil {
				break
			}
			if b.leaf() {
				return false
			}
		}
	}
	if p.include == nil {
		return returned != attribute.ReturnedRequest
	}
	b := p.include
	for _, s := range steps {
		if b = b.find(s); b == nil || b.leaf() {
			return b != nil
		}
	}
	return true
}

// Apply cuts a canonical document down to what was asked. id and schemas always
// stay, password never. The result shares parts with doc, which is not changed.
// An attribute that was kept although no schema has it is shown by default, and
// left out as a whole once a part of it is excluded.
func (p Projection) Apply(doc map[string]any) map[string]any {
	if p.index == nil {
		return doc
	}
	out := make(map[string]any, len(doc))
	for key, v := range doc {
		include, asked := p.include, p.include == nil
		if include != nil {
			include = include.find(key)
			asked = include != nil
		}
		exclude := p.exclude
		if exclude != nil {
			exclude = exclude.find(key)
		}
		if a := p.index.Core[key]; a != nil {
			v = cut(a, v, include, exclude, asked)
		} else if i, ok := p.index.Spelt(key); ok && i >= 0 {
			v = cutObject(p.index.Ext[i], v, include, exclude, asked)
		} else if !asked || exclude != nil {
			continue
		}
		if v != nil {
			out[key] = v
		}
	}
	return out
}

// cut gives what is left of the value of attribute a; nil for nothing. include
// nil and asked means everything. A value of which nothing is left is not shown
// as {}: it is left out.
func cut(a *attribute.Attribute, v any, include, exclude *branch, asked bool) any {
	switch {
	case a.Returned == attribute.ReturnedNever:
		return nil
	case a.Returned == attribute.ReturnedAlways:
		return v
	case !asked, exclude != nil && exclude.leaf(), a.Returned == attribute.ReturnedRequest && include == nil:
		return nil
	case a.Type != attribute.Complex:
		return v
	}
	if include != nil && include.leaf() {
		include = nil
	}
	if include == nil && exclude == nil && !a.Hides() {
		return v
	}
	list, isList := v.([]any)
	if !isList {
		return cutSubs(a, v, include, exclude)
	}
	out := make([]any, 0, len(list))
	for _, e := range list {
		if e = cutSubs(a, e, include, exclude); e != nil {
			out = append(out, e)
		}
	}
	if len(out) == 0 && len(list) > 0 {
		return nil
	}
	return out
}

// cutSubs cuts one value of a complex attribute. Sub-attributes no schema knows
// are treated as ordinary text, so that they follow the value they are part of.
// What is no object is shown as it is, for only a client that never met
// Canonicalize can have stored it.
func cutSubs(a *attribute.Attribute, v any, include, exclude *branch) any {
	obj, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(obj))
	for key, sv := range obj {
		s := a.Exact(key)
		if s == nil {
			s = &attribute.Attribute{Name: key, Type: attribute.String}
		}
		if sv = cutMember(s, key, sv, include, exclude, include == nil); sv != nil {
			out[key] = sv
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// cutObject is for the object of an extension. Unlike a complex attribute it
// has no characteristics of its own.
func cutObject(known attribute.Names, v any, include, exclude *branch, asked bool) any {
	obj, ok := v.(map[string]any)
	if !ok || !asked || exclude != nil && exclude.leaf() {
		return nil
	}
	if include != nil && include.leaf() {
		include = nil
	}
	out := make(map[string]any, len(obj))
	for key, av := range obj {
		a := known[key]
		if a == nil {
			a = &attribute.Attribute{Name: key, Type: attribute.String}
		}
		if av = cutMember(a, key, av, include, exclude, include == nil); av != nil {
			out[key] = av
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// cutMember goes one level down in both trees.
func cutMember(a *attribute.Attribute, key string, v any, include, exclude *branch, asked bool) any {
	if include != nil {
		include = include.find(key)
		asked = include != nil
	}
	if exclude != nil {
		exclude = exclude.find(key)
	}
	return cut(a, v, include, exclude, asked)
}
