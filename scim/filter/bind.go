package filter

import (
	"encoding/json"

	"github.com/matomo-scim/bridge/scim/filter/grammar"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Bound is a filter that fits a resource type, or the values of one attribute.
// Expr has canonical names and values of the right type: dates are strings that
// parse, booleans are booleans. Names no schema knows stay as written and count
// as attributes without value.
type Bound struct {
	Expr Expr

	scope scope
}

// scope says what the names in a filter mean: attributes of a resource type, or
// sub-attributes of one attribute.
type scope struct {
	rt   *schema.ResourceType
	attr *schema.Attribute
}

// Bind checks a filter against a resource type. It is an invalidFilter to order
// booleans or binaries (gt, ge, lt, le), to look into them as text (booleans),
// to compare with a value that cannot be of the attribute's type, to compare a
// complex attribute without "value", and to put brackets behind an attribute
// that is not multi-valued. Of opt only Tolerant and OnFixup matter.
//
//	userName EQ "a"                     userName eq "a"
//	emails co "@x"                      emails.value co "@x"
//	urn:...:User:userName eq "a"        userName eq "a"
//	department eq "a"                   urn:...:enterprise:2.0:User:department eq "a"   (tolerant)
//	active gt true                      an error, whatever the documents say (F31)
func Bind(e Expr, rt *schema.ResourceType, opt Options) (Bound, error) {
	return bind(e, scope{rt: rt}, opt)
}

// BindValues is Bind for a filter whose names are sub-attributes of the
// multi-valued attribute a, as it stands in brackets. A list of plain values is
// asked as if each were an object with a "value".
func BindValues(e Expr, a *schema.Attribute, opt Options) (Bound, error) {
	return bind(e, scope{attr: a}, opt)
}

// bind checks an expression in a scope.
func bind(e Expr, sc scope, opt Options) (Bound, error) {
	b := binder{scope: sc, opt: opt}
	out, err := b.expr(e)
	if err != nil {
		return Bound{}, err
	}
	return Bound{Expr: out, scope: sc}, nil
}

// lookup finds what a path names; ok is false for an unknown attribute. Whole
// schemas count as unknown.
func (sc scope) lookup(p Path) (ref schema.Ref, ok bool) {
	if sc.rt != nil {
		ref, ok = sc.rt.Lookup(p.URN, p.Attr, p.Sub)
		return ref, ok && ref.Attr != nil
	}
	if p.URN != "" || p.Sub != "" {
		return schema.Ref{}, false
	}
	if ref.Attr = sc.attr.Sub(p.Attr); ref.Attr == nil && sc.attr.Type != schema.Complex && schema.EqualName(p.Attr, "value") {
		one := *sc.attr // a list of plain values: each is its own "value"
		one.Name, one.MultiValued = "value", false
		ref.Attr = &one
	}
	return ref, ref.Attr != nil
}

// secret reports whether a filter must not learn anything about an attribute:
// password.
func secret(ref schema.Ref) bool { return ref.Leaf().Returned == schema.ReturnedNever }

// binder carries what binding one expression needs; brackets make a second one
// whose scope is the attribute before them.
type binder struct {
	scope
	opt Options
}

// tolerate reports a kind, or says that it is refused.
func (b *binder) tolerate(k schema.Fixup) bool {
	if b.opt.Tolerant {
		b.opt.Report(k)
	}
	return b.opt.Tolerant
}

// expr gives the canonical form of an expression. All of it is visited, so that
// an error does not depend on what evaluation would skip.
func (b *binder) expr(e Expr) (Expr, *schema.Error) {
	switch t := e.(type) {
	case And:
		l, r, err := b.both(t.L, t.R)
		return And{L: l, R: r}, err
	case Or:
		l, r, err := b.both(t.L, t.R)
		return Or{L: l, R: r}, err
	case Not:
		x, err := b.expr(t.X)
		return Not{X: x}, err
	case Present:
		_, p, _ := b.resolve(t.Path)
		return Present{Path: p}, nil
	case Compare:
		return b.compare(t)
	case ValuePath:
		return b.valuePath(t)
	default:
		return nil, fail("an unknown kind of expression")
	}
}

// both is expr for the two sides of an operator; the left error wins.
func (b *binder) both(l, r Expr) (Expr, Expr, *schema.Error) {
	l, err := b.expr(l)
	if err != nil {
		return nil, nil, err
	}
	r, err = b.expr(r)
	return l, r, err
}

// resolve gives the canonical path. In strict mode an attribute of an extension
// without its URN is unknown. An unknown name keeps the spelling of the client.
func (b *binder) resolve(p Path) (ref schema.Ref, canonical Path, known bool) {
	ref, known = b.lookup(p)
	if !known || ref.Short && !b.opt.Tolerant {
		return schema.Ref{}, p, false
	}
	if ref.Short {
		b.opt.Report(schema.FixShortExtension)
	}
	out := Path{Attr: ref.Attr.Name}
	if ref.Extension != nil {
		out.URN = ref.Extension.ID
	}
	if ref.Sub != nil {
		out.Sub = ref.Sub.Name
	}
	return ref, out, true
}

// compare checks a comparison. A complex attribute stands for its "value" (RFC
// 7644 section 3.4.2.2); null fits every attribute. A list of objects without
// "value", such as addresses, can only be compared by its sub-attributes.
func (b *binder) compare(c Compare) (Expr, *schema.Error) {
	ref, path, known := b.resolve(c.Path)
	c.Path = path
	if c.Value == nil && c.Op != Eq && c.Op != Ne {
		return nil, fail("%s: null can only be compared with eq and ne", path)
	}
	if !known || c.Value == nil {
		return c, nil
	}
	if leaf := ref.Leaf(); leaf.Type == schema.Complex {
		ref.Sub = leaf.Sub("value")
		if ref.Sub == nil || b.attr != nil {
			return nil, fail("%s: a sub-attribute is needed for a comparison", path)
		}
		c.Path.Sub = ref.Sub.Name
	}
	v, err := b.value(ref.Leaf(), c)
	if err != nil {
		return nil, err
	}
	c.Value = v
	return c, nil
}

// value checks that operator and value fit the type of the attribute and gives
// the value in that type. Text fits a number that is meant as text:
// employeeNumber eq 17 is what clients send whose user interface has no quotes.
func (b *binder) value(a *schema.Attribute, c Compare) (any, *schema.Error) {
	order := c.Op == Gt || c.Op == Ge || c.Op == Lt || c.Op == Le
	substring := c.Op == Co || c.Op == Sw || c.Op == Ew
	s, isString := c.Value.(string)
	n, isNumber := c.Value.(json.Number)
	switch a.Type {
	case schema.Boolean:
		return b.boolean(c, order || substring)
	case schema.Integer, schema.Decimal:
		if substring || !isNumber {
			return nil, fail("%s: a number can only be compared with numbers", c.Path)
		}
		return n, nil
	case schema.DateTime:
		if _, ok := schema.ParseTime(s); !isString || !ok && !substring {
			return nil, fail("%s: a date and time such as 2026-01-31T12:00:00Z is expected", c.Path)
		}
		return s, nil
	case schema.Binary:
		if order {
			return nil, fail("%s: binary values have no order", c.Path)
		}
	case schema.String, schema.Reference, schema.Complex:
	}
	if isString {
		return s, nil
	}
	if !b.tolerate(schema.FixUnquotedValue) {
		return nil, fail("%s: a string in quotes is expected", c.Path)
	}
	return grammar.ValueText(c.Value), nil
}

// boolean checks a comparison with a boolean; unfit says that the operator has
// no meaning for one. Entra writes primary eq "True".
func (b *binder) boolean(c Compare, unfit bool) (any, *schema.Error) {
	if unfit {
		return nil, fail("%s: a boolean can only be compared with eq and ne", c.Path)
	}
	switch t := c.Value.(type) {
	case bool:
		return t, nil
	case string:
		is := schema.EqualName(t, "true")
		if (is || schema.EqualName(t, "false")) && b.tolerate(schema.FixStringBool) {
			return is, nil
		}
	}
	return nil, fail("%s: true or false is expected", c.Path)
}

// valuePath binds the filter in brackets to the sub-attributes of the attribute
// before them.
func (b *binder) valuePath(v ValuePath) (Expr, *schema.Error) {
	ref, path, known := b.resolve(v.Path)
	if !known {
		return v, nil
	}
	if !ref.Leaf().MultiValued {
		return nil, fail("%s: brackets need a multi-valued attribute", path)
	}
	inner := binder{scope: scope{attr: ref.Leaf()}, opt: b.opt}
	f, err := inner.expr(v.Filter)
	return ValuePath{Path: path, Filter: f}, err
}
