package sqlfilter

import (
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// The members of a group are rows and in no document. So every filter over them
// becomes SQL, whatever it asks: what cannot be said there is not said at all.

// memberColumns are where the sub-attributes of one member are kept. A value is
// NULL where the member lacks the sub-attribute, and never empty.
type memberColumns func(sub string) (col column, ok bool)

// stored are the columns of the table members under the name prefix.
func stored(prefix string) memberColumns {
	return func(sub string) (column, bool) {
		switch sub {
		case "value":
			return column{name: prefix + "member_id"}, true
		case "type":
			return column{name: "LOWER(" + prefix + "kind)", fold: true}, true
		}
		return column{}, false
	}
}

// shown are those of members m with what an answer shows beside them: display is
// the name of the user or group, read where it is kept, and $ref is its location.
func shown(sub string) (column, bool) {
	switch sub {
	case "display":
		return column{
			name: "COALESCE((SELECT COALESCE(u.display_name_key, u.user_name_key) FROM users u WHERE u.id = m.member_id), " +
				"(SELECT g.display_name_key FROM groups g WHERE g.id = m.member_id))",
			fold: true, optional: true,
		}, true
	case "$ref":
		return column{name: "(" + basePlace + " || m.kind || 's/' || m.member_id)"}, true
	}
	return stored("m.")(sub)
}

// CompileMember translates a filter over the sub-attributes value and type of one
// member into a condition on the table members, under its own name. A filter over
// anything else is not exact, and cannot be used.
func CompileMember(d database.Dialect, e filter.Expr, args []any) (Condition, []any) {
	if !over(e, stored("")) {
		return Condition{}, args
	}
	c := compiler{dialect: d, args: args}
	return Condition{SQL: c.member(e, stored("")), Exact: true}, c.args
}

// over says whether a filter over one member names nothing but the columns.
func over(e filter.Expr, cols memberColumns) bool {
	known := func(p filter.Path) bool { _, ok := cols(p.Attr); return ok }
	switch t := e.(type) {
	case filter.And:
		return over(t.L, cols) && over(t.R, cols)
	case filter.Or:
		return over(t.L, cols) && over(t.R, cols)
	case filter.Not:
		return over(t.X, cols)
	case filter.Compare:
		return known(t.Path)
	case filter.Present:
		return known(t.Path)
	}
	return false
}

// anyMember translates members.sub op value, which holds where it does for any
// member. A group without members differs from every value.
//
//	members.display co "ada"   one of them is called so
//	members.value ne "x"       one of them is another one, or there is none
//	members.value eq null      there is none
func (c *compiler) anyMember(sub string, e filter.Compare) Condition {
	one := filter.Compare{Path: filter.Path{Attr: sub}, Op: e.Op, Value: e.Value}
	switch {
	case e.Value == nil:
		// eq null asks that there be no value at all, ne null that there be one.
		there := c.memberPresent(sub)
		if e.Op == filter.Eq {
			there.SQL = "(NOT " + there.SQL + ")"
		}
		return there
	case e.Op == filter.Ne:
		c.walks++
		return Condition{
			SQL:   "(NOT EXISTS (SELECT 1 FROM members m WHERE m.group_id = r.id) OR " + c.oneMember(one).SQL + ")",
			Exact: true,
		}
	}
	return c.oneMember(one)
}

// oneMember is the condition that one member satisfies the filter.
func (c *compiler) oneMember(e filter.Expr) Condition {
	cond := c.member(e, shown)
	// A member that is named is looked up by its own index, and gives its groups.
	if pinned(e) {
		return Condition{SQL: "r.id IN (SELECT m.group_id FROM members m WHERE " + cond + ")", Exact: true}
	}
	c.walks++
	return Condition{SQL: "EXISTS (SELECT 1 FROM members m WHERE m.group_id = r.id AND " + cond + ")", Exact: true}
}

// pinned says whether only members that the filter names by value can satisfy it:
// then few rows are looked at, however large the groups are.
func pinned(e filter.Expr) bool {
	switch t := e.(type) {
	case filter.And:
		return pinned(t.L) || pinned(t.R)
	case filter.Or:
		return pinned(t.L) && pinned(t.R)
	case filter.Compare:
		s, ok := t.Value.(string)
		return t.Path.Attr == "value" && t.Op == filter.Eq && ok && s != ""
	}
	return false
}

// memberPresent translates pr. Every member has a value, a type and a $ref.
func (c *compiler) memberPresent(sub string) Condition {
	if sub == "" {
		sub = "value"
	}
	cond := c.member(filter.Present{Path: filter.Path{Attr: sub}}, shown)
	if col, _ := shown(sub); col.optional {
		c.walks++
	}
	return Condition{SQL: "EXISTS (SELECT 1 FROM members m WHERE m.group_id = r.id AND " + cond + ")", Exact: true}
}

// member translates a filter over one member into a condition that is true
// exactly where the filter is, and never NULL.
func (c *compiler) member(e filter.Expr, cols memberColumns) string {
	switch t := e.(type) {
	case filter.And:
		return "(" + c.member(t.L, cols) + " AND " + c.member(t.R, cols) + ")"
	case filter.Or:
		return "(" + c.member(t.L, cols) + " OR " + c.member(t.R, cols) + ")"
	case filter.Not:
		return "(NOT " + c.member(t.X, cols) + ")"
	case filter.Present:
		if col, ok := cols(t.Path.Attr); ok {
			return present(col, true)
		}
	case filter.Compare:
		col, ok := cols(t.Path.Attr)
		switch {
		case !ok: // absent: different from every value, and null
			return always((t.Op == filter.Ne) != (t.Value == nil)).SQL
		case t.Value == nil:
			return present(col, t.Op == filter.Ne)
		}
		s, _ := t.Value.(string)
		return c.memberText(col, t.Op, s)
	}
	return always(false).SQL
}

// present is true where a column has a value, or where it has none.
func present(col column, is bool) string {
	switch {
	case !col.optional:
		return always(is).SQL
	case is:
		return "(" + col.name + " IS NOT NULL)"
	}
	return "(" + col.name + " IS NULL)"
}

// memberText compares a column that is never empty with a string that may be.
func (c *compiler) memberText(col column, op filter.Op, s string) string {
	if col.fold {
		s = schema.Fold(s)
	}
	var out string
	switch {
	case s == "" && (op == filter.Eq || op == filter.Lt || op == filter.Le):
		return always(false).SQL
	case s == "" && op == filter.Ne:
		return always(true).SQL
	case s == "": // everything begins and ends with it, contains it, and is greater
		return present(col, true)
	case op == filter.Co:
		out = c.dialect.Contains(col.name, c.arg(s))
	case op == filter.Sw:
		out = c.prefix(col.name, s)
	case op == filter.Ew:
		out = c.dialect.EndsWith(col.name, c.arg(s))
	default:
		out = col.name + comparison(op) + c.arg(s)
	}
	switch {
	case !col.optional:
		return "(" + out + ")"
	case op == filter.Ne:
		return "(" + col.name + " IS NULL OR " + out + ")"
	}
	return "(" + col.name + " IS NOT NULL AND " + out + ")"
}

// memberLeaves appends the parts of a filter that ask for members.
func memberLeaves(e filter.Expr, to []filter.Expr) []filter.Expr {
	switch t := e.(type) {
	case filter.And:
		return memberLeaves(t.R, memberLeaves(t.L, to))
	case filter.Or:
		return memberLeaves(t.R, memberLeaves(t.L, to))
	case filter.Not:
		return memberLeaves(t.X, to)
	}
	if ofMembers(e) {
		to = append(to, e)
	}
	return to
}

// ofMembers says whether a part of a filter names members.
func ofMembers(e filter.Expr) bool {
	var p filter.Path
	switch t := e.(type) {
	case filter.Compare:
		p = t.Path
	case filter.Present:
		p = t.Path
	case filter.ValuePath:
		p = t.Path
	}
	return p.URN == "" && p.Attr == "members"
}

// Resolve puts the answers for one resource in the place of what Condition.Members
// asks. true becomes "id pr", which holds for every resource, and false its
// opposite.
func Resolve(e filter.Expr, holds func(filter.Expr) bool) filter.Expr {
	switch t := e.(type) {
	case filter.And:
		return filter.And{L: Resolve(t.L, holds), R: Resolve(t.R, holds)}
	case filter.Or:
		return filter.Or{L: Resolve(t.L, holds), R: Resolve(t.R, holds)}
	case filter.Not:
		return filter.Not{X: Resolve(t.X, holds)}
	}
	if !ofMembers(e) {
		return e
	}
	var is filter.Expr = filter.Present{Path: filter.Path{Attr: "id"}}
	if !holds(e) {
		is = filter.Not{X: is}
	}
	return is
}
