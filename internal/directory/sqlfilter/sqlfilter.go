// Package sqlfilter turns SCIM filters into conditions on the directory's tables,
// as far as columns and indexes carry them.
//
// Values go into parameters, always. A condition is never NULL, so that NOT means
// what it says. Where a part of a filter has no column the condition lets through
// more than the filter does, never less, and says that it is not exact: then the
// caller evaluates the filter on the documents that come through.
package sqlfilter

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Table is the table that a filter is over. In a statement it goes by the name r.
type Table string

// The tables.
const (
	Users  Table = "users"
	Groups Table = "groups"
)

// Compile translates a filter that was bound to the resource type of the table.
// Base is the URL that locations begin with, as the client sees them. Args are the parameters that the statement has already; those of the condition
// are appended to them.
func Compile(d database.Dialect, t Table, base string, e filter.Expr, args []any) (Condition, []any) {
	c := compiler{dialect: d, users: t == Users, base: base, args: args}
	cond := c.compile(e)
	if strings.Contains(cond.SQL, basePlace) {
		cond.SQL = strings.ReplaceAll(cond.SQL, basePlace, "CAST("+c.arg(base+"/")+" AS TEXT)")
	}
	cond.Walks = c.walks
	if cond.Rest != nil && t == Groups {
		cond.Members = memberLeaves(cond.Rest, nil)
	}
	return cond, c.args
}

// basePlace stands for the URL that locations begin with, until it is known whether
// the statement needs it: a parameter that is not used is an error on PostgreSQL.
// Nothing that a client sent is in the text, so nothing else can look like it.
const basePlace = "{base}"

// Condition is what became of a filter.
type Condition struct {
	// SQL is the condition, in parentheses where that matters; empty when it
	// restricts nothing.
	SQL string
	// Exact says that SQL is true exactly where the filter is.
	Exact bool
	// Unique says that at most one row of a source can satisfy SQL.
	Unique bool
	// Rest is what is left to evaluate on the documents that come through, nil when
	// SQL is exact.
	Rest filter.Expr
	// Members are the parts of Rest that ask for members, which no document has.
	// Each of them compiles to a condition that is exact; Resolve puts its answer
	// into Rest.
	Members []filter.Expr
	// Walks is how often the filter looks at members one by one, however few groups
	// it finds.
	Walks int
}

// compiler collects the parameters of a statement.
type compiler struct {
	dialect database.Dialect
	users   bool // of the table users, else groups
	base    string
	args    []any
	walks   int // see Condition.Walks
}

// arg adds a parameter and returns its placeholder.
func (c *compiler) arg(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

// compile translates a filter that was bound to the resource type.
func (c *compiler) compile(e filter.Expr) Condition {
	mark := len(c.args)
	var out Condition
	switch t := e.(type) {
	case filter.And:
		// What one side cannot say the other still narrows down: that is what keeps
		// title eq "x" and userName eq "y" a look-up. Each side has dropped its own parameters if it came to nothing.
		l, r := c.compile(t.L), c.compile(t.R)
		return both(l, r)
	case filter.Or:
		out = either(c.compile(t.L), c.compile(t.R))
	case filter.Not:
		// The opposite of "at least these" would lose some.
		if x := c.compile(t.X); x.Exact && x.SQL != "" {
			out = Condition{SQL: "NOT " + x.SQL, Exact: true}
		}
	case filter.Compare:
		out = c.compare(t)
	case filter.Present:
		out = c.present(t)
	case filter.ValuePath:
		out = c.valuePath(t)
	}
	if out.SQL == "" {
		c.args = c.args[:mark] // PostgreSQL wants every parameter used
	}
	if !out.Exact {
		out.Rest = e
	}
	return out
}

// both is the conjunction; a side that restricts nothing leaves the other, and
// only what is not exact is left to evaluate.
func both(l, r Condition) Condition {
	out := Condition{Exact: l.Exact && r.Exact, Unique: l.Unique || r.Unique}
	switch {
	case l.SQL == "":
		out.SQL = r.SQL
	case r.SQL == "":
		out.SQL = l.SQL
	default:
		out.SQL = "(" + l.SQL + " AND " + r.SQL + ")"
	}
	switch {
	case l.Rest == nil:
		out.Rest = r.Rest
	case r.Rest == nil:
		out.Rest = l.Rest
	default:
		out.Rest = filter.And{L: l.Rest, R: r.Rest}
	}
	return out
}

// either is the disjunction, which restricts only where both sides do: title eq "a"
// or userName eq "b" lets everybody through, since any of them may have the title.
func either(l, r Condition) Condition {
	if l.SQL == "" || r.SQL == "" {
		return Condition{}
	}
	return Condition{SQL: "(" + l.SQL + " OR " + r.SQL + ")", Exact: l.Exact && r.Exact}
}

// always is a condition that does not depend on the row.
func always(b bool) Condition {
	if b {
		return Condition{SQL: "(1 = 1)", Exact: true}
	}
	return Condition{SQL: "(1 = 0)", Exact: true}
}

// column is where an attribute is kept.
type column struct {
	name     string
	fold     bool // holds folded text
	optional bool // NULL where the attribute is absent or empty
	unique   bool
	kind     kind
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
func (c *compiler) compare(e filter.Compare) Condition {
	if col, ok := c.columnOf(e.Path); ok {
		return c.text(col, e.Op, e.Value)
	}
	switch p := e.Path; {
	case p.URN != "":
	case p.Attr == "active" && c.users:
		return c.active(e)
	case p.Attr == "meta" && p.Sub == "resourceType":
		return c.resourceType(e)
	case p.Attr == "meta" && p.Sub == "location":
		return c.location(e)
	case p.Attr == "meta" && p.Sub == "created":
		return c.instant("r.created_at", e)
	case p.Attr == "meta" && p.Sub == "lastModified":
		return c.instant("r.modified_at", e)
	case p.Attr == "emails" && p.Sub == "value" && c.users:
		return c.email(c.text(column{name: "v.value_key", fold: true, optional: true}, e.Op, e.Value), e.Op)
	case p.Attr == "members" && !c.users:
		return c.anyMember(p.Sub, e)
	case p.Attr == "groups" && p.Sub == "value" && c.users:
		return c.inGroup(e)
	}
	return Condition{}
}

// active compares active with true or false. The value is spelled out and no
// parameter, so that the index over the few who are inactive fits.
func (c *compiler) active(e filter.Compare) Condition {
	b, ok := e.Value.(bool)
	switch {
	case !ok || e.Op != filter.Eq && e.Op != filter.Ne:
		return Condition{} // eq null, which the filter knows how to answer
	case b == (e.Op == filter.Eq):
		return Condition{SQL: "r.active", Exact: true}
	}
	return Condition{SQL: "(NOT r.active)", Exact: true}
}

// resourceType compares meta.resourceType, which is the same for all rows: in a
// query across types it chooses one of them.
func (c *compiler) resourceType(e filter.Compare) Condition {
	want, ok := e.Value.(string)
	switch {
	case ok && e.Op == filter.Eq:
		return always(c.typeName() == want)
	case ok && e.Op == filter.Ne:
		return always(c.typeName() != want)
	}
	return Condition{}
}

// typeName is the name of the resource type.
func (c *compiler) typeName() string {
	if c.users {
		return "User"
	}
	return "Group"
}

// location compares meta.location, which is the id in another form. Only equality is
// worth it: nobody asks which locations contain a text.
func (c *compiler) location(e filter.Compare) Condition {
	want, ok := e.Value.(string)
	if !ok || e.Op != filter.Eq && e.Op != filter.Ne {
		return Condition{}
	}
	id, ours := strings.CutPrefix(want, c.base+"/"+c.typeName()+"s/")
	if !ours || id == "" {
		return always(e.Op == filter.Ne)
	}
	col, _ := c.columnOf(filter.Path{Attr: "id"})
	return c.text(col, e.Op, id)
}

// text compares a column with a string.
func (c *compiler) text(col column, op filter.Op, value any) Condition {
	// The empty string is stored as NULL where a column is optional, and null has
	// rules of its own: both are left to the filter.
	s, ok := value.(string)
	if !ok || s == "" {
		return Condition{}
	}
	if col.fold {
		s = schema.Fold(s)
	}
	out := Condition{Exact: true}
	switch op {
	case filter.Eq:
		out.SQL, out.Unique = col.name+comparison(op)+c.arg(s), col.unique
	case filter.Ne:
		if out.SQL = col.name + comparison(op) + c.arg(s); col.optional {
			return Condition{SQL: "(" + col.name + " IS NULL OR " + out.SQL + ")", Exact: true}
		}
	case filter.Gt, filter.Ge:
		out.SQL = col.name + comparison(op) + c.arg(s)
	case filter.Lt, filter.Le:
		if col.optional {
			return Condition{} // an empty value is less than s and has no row or NULL
		}
		out.SQL = col.name + comparison(op) + c.arg(s)
	case filter.Co:
		out.SQL = c.dialect.Contains(col.name, c.arg(s))
	case filter.Sw:
		out.SQL = c.prefix(col.name, s)
	case filter.Ew:
		out.SQL = c.dialect.EndsWith(col.name, c.arg(s))
	}
	// Without this NULL compared with anything is NULL, and NOT of it as well.
	if col.optional {
		out.SQL = "(" + col.name + " IS NOT NULL AND " + out.SQL + ")"
	}
	return out
}

// comparison is an operator as SQL spells it. The columns compare by code point on
// both engines (COLLATE "C" on PostgreSQL), as the filter does here.
func comparison(op filter.Op) string {
	return map[filter.Op]string{
		filter.Eq: " = ", filter.Ne: " <> ", filter.Gt: " > ", filter.Ge: " >= ", filter.Lt: " < ", filter.Le: " <= ",
	}[op]
}

// prefix is true where the column begins with s: a range, which an index serves.
// LIKE has other case rules on each engine.
func (c *compiler) prefix(column, s string) string {
	out := column + " >= " + c.arg(s)
	if next := after(s); next != "" {
		out = "(" + out + " AND " + column + " < " + c.arg(next) + ")"
	}
	return out
}

// after returns the least string greater than all that begin with s, "" when
// there is none. Order is by code point, which for UTF-8 is the order of the
// bytes.
func after(s string) string {
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		switch r {
		case utf8.MaxRune:
			continue
		case 0xD7FF:
			r = 0xE000 // between them are surrogates, which are no characters
		default:
			r++
		}
		return s + string(r)
	}
	return ""
}

// instant compares a time column, in whole microseconds, with a time that may be
// finer.
func (c *compiler) instant(col string, e filter.Compare) Condition {
	s, _ := e.Value.(string)
	t, ok := schema.ParseTime(s)
	if !ok {
		return Condition{}
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
			return Condition{SQL: col + " = " + c.arg(floor), Exact: true}
		}
		return Condition{SQL: col + " <> " + c.arg(floor), Exact: true}
	case filter.Gt:
		return Condition{SQL: col + " > " + c.arg(floor), Exact: true}
	case filter.Ge:
		return Condition{SQL: col + " >= " + c.arg(up), Exact: true}
	case filter.Lt:
		return Condition{SQL: col + " < " + c.arg(up), Exact: true}
	case filter.Le:
		return Condition{SQL: col + " <= " + c.arg(floor), Exact: true}
	case filter.Co, filter.Sw, filter.Ew:
	}
	return Condition{}
}

// email makes a condition on user_values v one on users r. Ne holds where any
// value differs and where there is none, which the rows do not tell.
func (c *compiler) email(inner Condition, op filter.Op) Condition {
	// A user with two addresses has one that differs from whichever is named.
	if inner.SQL == "" || op == filter.Ne {
		return Condition{}
	}
	return Condition{
		SQL:   "r.id IN (SELECT v.user_id FROM user_values v WHERE v.attr = 'emails' AND " + inner.SQL + ")",
		Exact: inner.Exact,
	}
}

// inGroup translates groups.value eq: "who is in this group?" is what clients ask
// that cannot read members page by page. A group of another source has no members
// among these users, so its source need not be looked at.
func (c *compiler) inGroup(e filter.Compare) Condition {
	s, ok := e.Value.(string)
	if e.Op != filter.Eq || !ok || s == "" {
		return Condition{}
	}
	return Condition{SQL: "r.id IN (SELECT m.member_id FROM members m WHERE m.group_id = " + c.arg(s) + ")", Exact: true}
}

// present translates pr.
func (c *compiler) present(e filter.Present) Condition {
	if col, ok := c.columnOf(e.Path); ok {
		if !col.optional {
			return always(true)
		}
		return Condition{SQL: "(" + col.name + " IS NOT NULL)", Exact: true}
	}
	switch p := e.Path; {
	case p.URN != "":
	case p.Attr == "active" && c.users, p.Attr == "meta" && p.Sub != "":
		return always(true)
	case p.Attr == "emails" && p.Sub == "value" && c.users:
		return Condition{SQL: "r.id IN (SELECT v.user_id FROM user_values v WHERE v.attr = 'emails')", Exact: true}
	case p.Attr == "members" && !c.users:
		return c.memberPresent(p.Sub)
	}
	return Condition{}
}

// valuePath translates emails[…] and members[value eq …].
func (c *compiler) valuePath(e filter.ValuePath) Condition {
	switch {
	case e.Path.URN != "":
	case e.Path.Attr == "emails" && c.users:
		inner, value := c.emailValue(e.Filter)
		if value {
			return c.email(inner, filter.Eq)
		}
	case e.Path.Attr == "members" && !c.users:
		return c.oneMember(e.Filter)
	}
	return Condition{}
}

// emailValue translates a filter over one e-mail address into a condition on
// user_values v. Only addresses with a value have rows: value says whether the
// condition holds for such addresses alone.
func (c *compiler) emailValue(e filter.Expr) (cond Condition, value bool) {
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
		if out.SQL == "" {
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
			return cond, cond.SQL != ""
		case t.Path.Attr == "type":
			return c.text(column{name: "v.type", fold: true, optional: true}, t.Op, t.Value), false
		}
	}
	return Condition{}, false
}
