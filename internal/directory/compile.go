package directory

import (
	"strconv"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// A filter becomes a condition on the table r as far as columns and indexes carry it. Values go into parameters,
// always. A condition is never NULL, so that NOT means what it says. Where a part of a filter has no column the
// condition lets through more than the filter does, never less, and is not exact: then the rest is evaluated on the
// documents that come through.

// condition is what became of an expression. An empty sql restricts nothing.
type condition struct {
	sql     string
	exact   bool // sql is true exactly where the filter is
	unique  bool // at most one row can satisfy sql
	members bool // the filter asks something about members that cannot be answered
}

// compiler collects the parameters of a statement.
type compiler struct {
	dialect database.Dialect
	users   bool // of the table users, else groups
	args    []any
}

// arg adds a parameter and returns its placeholder.
func (c *compiler) arg(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

// compile translates a filter that was bound to the resource type.
func (c *compiler) compile(e filter.Expr) condition {
	mark := len(c.args)
	var out condition
	switch t := e.(type) {
	case filter.And:
		l, r := c.compile(t.L), c.compile(t.R)
		return both(l, r)
	case filter.Or:
		out = either(c.compile(t.L), c.compile(t.R))
	case filter.Not:
		x := c.compile(t.X)
		out = condition{members: x.members}
		if x.exact && x.sql != "" {
			out = condition{sql: "NOT " + x.sql, exact: true}
		}
	case filter.Compare:
		out = c.compare(t)
	case filter.Present:
		out = c.present(t)
	case filter.ValuePath:
		out = c.valuePath(t)
	}
	if out.sql == "" {
		c.args = c.args[:mark] // PostgreSQL wants every parameter used
	}
	return out
}

// both is the conjunction; a side that restricts nothing leaves the other.
func both(l, r condition) condition {
	out := condition{exact: l.exact && r.exact, unique: l.unique || r.unique, members: l.members || r.members}
	switch {
	case l.sql == "":
		out.sql = r.sql
	case r.sql == "":
		out.sql = l.sql
	default:
		out.sql = "(" + l.sql + " AND " + r.sql + ")"
	}
	return out
}

// either is the disjunction, which restricts only where both sides do.
func either(l, r condition) condition {
	out := condition{members: l.members || r.members}
	if l.sql != "" && r.sql != "" {
		out.sql, out.exact = "("+l.sql+" OR "+r.sql+")", l.exact && r.exact
	}
	return out
}

// always is a condition that does not depend on the row.
func always(b bool) condition {
	if b {
		return condition{sql: "(1 = 1)", exact: true}
	}
	return condition{sql: "(1 = 0)", exact: true}
}

// column is where an attribute is kept.
type column struct {
	name     string
	fold     bool // holds folded text
	optional bool // NULL where the attribute is absent or empty
	unique   bool
}

// columnOf returns the column of an attribute of type string.
func (c *compiler) columnOf(p filter.Path) (column, bool) {
	if p.URN != "" || p.Sub != "" {
		return column{}, false
	}
	switch p.Attr {
	case "id":
		return column{name: "r.id", unique: true}, true
	case "externalId":
		return column{name: "r.external_id", optional: true, unique: true}, true
	case "userName":
		return column{name: "r.user_name_key", fold: true, unique: true}, c.users
	case "displayName":
		return column{name: "r.display_name_key", fold: true, optional: c.users, unique: !c.users}, true
	}
	return column{}, false
}

// compare translates a comparison.
func (c *compiler) compare(e filter.Compare) condition {
	if col, ok := c.columnOf(e.Path); ok {
		return c.text(col, e.Op, e.Value)
	}
	switch p := e.Path; {
	case p.URN != "":
	case p.Attr == "active" && c.users:
		b, ok := e.Value.(bool)
		if ok && (e.Op == filter.Eq || e.Op == filter.Ne) {
			return condition{sql: "r.active = " + c.arg(b == (e.Op == filter.Eq)), exact: true}
		}
	case p.Attr == "meta" && p.Sub == "created":
		return c.instant("r.created_at", e)
	case p.Attr == "meta" && p.Sub == "lastModified":
		return c.instant("r.modified_at", e)
	case p.Attr == "emails" && p.Sub == "value" && c.users:
		return c.email(c.text(column{name: "v.value_key", fold: true, optional: true}, e.Op, e.Value), e.Op)
	case p.Attr == "members" && !c.users:
		return c.hasMember(p.Sub, e)
	}
	return condition{}
}

// text compares a column with a string.
func (c *compiler) text(col column, op filter.Op, value any) condition {
	s, ok := value.(string)
	if !ok || s == "" {
		return condition{}
	}
	if col.fold {
		s = schema.Fold(s)
	}
	ops := map[filter.Op]string{filter.Eq: " = ", filter.Ne: " <> ", filter.Gt: " > ", filter.Ge: " >= ", filter.Lt: " < ", filter.Le: " <= "}
	out := condition{exact: true}
	switch op {
	case filter.Eq:
		out.sql, out.unique = col.name+ops[op]+c.arg(s), col.unique
	case filter.Ne:
		if out.sql = col.name + ops[op] + c.arg(s); col.optional {
			return condition{sql: "(" + col.name + " IS NULL OR " + out.sql + ")", exact: true}
		}
	case filter.Gt, filter.Ge:
		out.sql = col.name + ops[op] + c.arg(s)
	case filter.Lt, filter.Le:
		if col.optional {
			return condition{} // an empty value is less than s and has no row or NULL
		}
		out.sql = col.name + ops[op] + c.arg(s)
	case filter.Co:
		out.sql = c.dialect.Contains(col.name, c.arg(s))
	case filter.Sw:
		out.sql = col.name + " >= " + c.arg(s)
		if next := after(s); next != "" {
			out.sql = "(" + out.sql + " AND " + col.name + " < " + c.arg(next) + ")"
		}
	case filter.Ew:
		return condition{}
	}
	if col.optional {
		out.sql = "(" + col.name + " IS NOT NULL AND " + out.sql + ")"
	}
	return out
}

// after returns the least string greater than all that begin with s, "" when there is none. Order is by code point,
// which for UTF-8 is the order of the bytes.
func after(s string) string {
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch {
		case r == utf8.MaxRune:
			continue
		case r == 0xD7FF:
			r = 0xE000 // between them are surrogates, which are no characters
		default:
			r++
		}
		return s + string(r)
	}
	return ""
}

// instant compares a time column, in whole microseconds, with a time that may be finer.
func (c *compiler) instant(col string, e filter.Compare) condition {
	s, _ := e.Value.(string)
	t, ok := schema.ParseTime(s)
	if !ok {
		return condition{}
	}
	floor := database.Micros(t)
	whole := database.FromMicros(floor).Equal(t)
	up := floor // the least stored time that is not before t
	if !whole {
		up++
	}
	switch e.Op {
	case filter.Eq, filter.Ne:
		if !whole {
			return always(e.Op == filter.Ne)
		}
		if e.Op == filter.Eq {
			return condition{sql: col + " = " + c.arg(floor), exact: true}
		}
		return condition{sql: col + " <> " + c.arg(floor), exact: true}
	case filter.Gt:
		return condition{sql: col + " > " + c.arg(floor), exact: true}
	case filter.Ge:
		return condition{sql: col + " >= " + c.arg(up), exact: true}
	case filter.Lt:
		return condition{sql: col + " < " + c.arg(up), exact: true}
	case filter.Le:
		return condition{sql: col + " <= " + c.arg(floor), exact: true}
	case filter.Co, filter.Sw, filter.Ew:
	}
	return condition{}
}

// email makes a condition on user_values v one on users r. Ne holds where any value differs and where there is none,
// which the rows do not tell.
func (c *compiler) email(inner condition, op filter.Op) condition {
	if inner.sql == "" || op == filter.Ne {
		return condition{}
	}
	return condition{
		sql:   "r.id IN (SELECT v.user_id FROM user_values v WHERE v.attr = 'emails' AND " + inner.sql + ")",
		exact: inner.exact,
	}
}

// hasMember translates members.value eq.
func (c *compiler) hasMember(sub string, e filter.Compare) condition {
	s, ok := e.Value.(string)
	if sub != "value" || e.Op != filter.Eq || !ok || s == "" {
		return condition{members: true}
	}
	return condition{sql: "r.id IN (SELECT m.group_id FROM members m WHERE m.member_id = " + c.arg(s) + ")", exact: true}
}

// present translates pr.
func (c *compiler) present(e filter.Present) condition {
	if col, ok := c.columnOf(e.Path); ok {
		if !col.optional {
			return always(true)
		}
		return condition{sql: "(" + col.name + " IS NOT NULL)", exact: true}
	}
	switch p := e.Path; {
	case p.URN != "":
	case p.Attr == "active" && c.users, p.Attr == "meta" && (p.Sub == "created" || p.Sub == "lastModified"):
		return always(true)
	case p.Attr == "emails" && p.Sub == "value" && c.users:
		return condition{sql: "r.id IN (SELECT v.user_id FROM user_values v WHERE v.attr = 'emails')", exact: true}
	case p.Attr == "members" && (p.Sub == "" || p.Sub == "value") && !c.users:
		return condition{sql: "EXISTS (SELECT 1 FROM members m WHERE m.group_id = r.id)", exact: true}
	case p.Attr == "members" && !c.users:
		return condition{members: true}
	}
	return condition{}
}

// valuePath translates emails[…] and members[value eq …].
func (c *compiler) valuePath(e filter.ValuePath) condition {
	switch {
	case e.Path.URN != "":
	case e.Path.Attr == "emails" && c.users:
		inner, value := c.emailValue(e.Filter)
		if value {
			return c.email(inner, filter.Eq)
		}
	case e.Path.Attr == "members" && !c.users:
		cmp, ok := e.Filter.(filter.Compare)
		if !ok {
			return condition{members: true}
		}
		return c.hasMember(cmp.Path.Attr, cmp)
	}
	return condition{}
}

// emailValue translates a filter over one e-mail address into a condition on user_values v. Only addresses with a
// value have rows: value says whether the condition holds for such addresses alone.
func (c *compiler) emailValue(e filter.Expr) (cond condition, value bool) {
	switch t := e.(type) {
	case filter.And:
		l, lv := c.emailValue(t.L)
		r, rv := c.emailValue(t.R)
		return both(l, r), lv || rv
	case filter.Or:
		mark := len(c.args)
		l, lv := c.emailValue(t.L)
		r, rv := c.emailValue(t.R)
		out := either(l, r)
		if out.sql == "" {
			c.args = c.args[:mark]
		}
		return out, lv && rv
	case filter.Compare:
		switch {
		case t.Op == filter.Ne:
		case t.Path.Attr == "value":
			cond := c.text(column{name: "v.value_key", fold: true}, t.Op, t.Value)
			if t.Op == filter.Lt || t.Op == filter.Le {
				return cond, false
			}
			return cond, cond.sql != ""
		case t.Path.Attr == "type":
			return c.text(column{name: "v.type", fold: true, optional: true}, t.Op, t.Value), false
		}
	}
	return condition{}, false
}

// member translates a filter over one member into a condition on the table members. What is not exact cannot be used.
func (c *compiler) member(e filter.Expr) condition {
	switch t := e.(type) {
	case filter.And:
		return both(c.member(t.L), c.member(t.R))
	case filter.Or:
		return either(c.member(t.L), c.member(t.R))
	case filter.Not:
		if x := c.member(t.X); x.exact {
			return condition{sql: "NOT " + x.sql, exact: true}
		}
	case filter.Compare:
		switch t.Path.Attr {
		case "value":
			return c.text(column{name: "member_id"}, t.Op, t.Value)
		case "type":
			return c.text(column{name: "LOWER(kind)", fold: true}, t.Op, t.Value)
		}
	case filter.Present:
		if t.Path.Attr == "value" || t.Path.Attr == "type" {
			return always(true)
		}
	}
	return condition{}
}
