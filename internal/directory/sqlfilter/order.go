package sqlfilter

import (
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/scim/filter"
)

// Order is how the rows of a table are sorted. Rows of the same key are sorted by
// id in the same direction, so that an order has no ties and a page can begin
// behind any row.
type Order struct {
	column
	none bool // there is no key: the id alone sorts
	desc bool
}

// OrderOf returns the order of a table for what a listing is sorted by; ok is false
// when no column holds it.
//
//	userName             r.user_name_key, which the unique index has in order
//	displayName          r.display_name_key, NULL for who has none
//	meta.lastModified    r.modified_at
//	nope                 by id: nobody has a key
//	emails               not ok: the primary one decides, and no column knows it
func OrderOf(t Table, o filter.Order) (out Order, ok bool) {
	out.desc = o.Descending
	if !o.Known() {
		// Nothing asked for, or an attribute that all of these resources lack.
		out.none = true
		return out, true
	}
	c := compiler{users: t == Users}
	if col, ok := c.columnOf(o.Path); ok {
		out.column = col
		return out, true
	}
	switch p := o.Path; {
	case p.URN != "":
	case p.Attr == "active" && c.users:
		out.column = column{name: "r.active", kind: flag}
	case p.Attr == "meta" && p.Sub == "created":
		out.column = column{name: "r.created_at", kind: instant}
	case p.Attr == "meta" && p.Sub == "lastModified":
		out.column = column{name: "r.modified_at", kind: instant}
	}
	return out, out.name != ""
}

// By returns the ORDER BY. NULL is a missing value: PostgreSQL would put it where
// RFC 7644 section 3.4.2.3 wants it, SQLite has to be told.
func (o Order) By() string {
	dir, nulls := " ASC", " NULLS LAST"
	if o.desc {
		dir, nulls = " DESC", " NULLS FIRST"
	}
	switch {
	case o.none || o.name == "r.id":
		return " ORDER BY r.id" + dir
	case o.optional:
		return " ORDER BY " + o.name + dir + nulls + ", r.id" + dir
	case o.unique:
		return " ORDER BY " + o.name + dir
	}
	return " ORDER BY " + o.name + dir + ", r.id" + dir
}

// After returns the condition for the rows behind the one with that key and id, to
// be joined to others by AND. Args are the parameters there are already.
func (o Order) After(key filter.Key, id string, args []any) (string, []any) {
	c := compiler{args: args}
	than := " > "
	if o.desc {
		than = " < "
	}
	behindID := func() string { return "r.id" + than + c.arg(id) }
	var cond string
	// Row values, (a, b) > (x, y), are what both engines look up in an index over a
	// and b. They know no NULL, so columns that may be NULL say what becomes of it.
	switch {
	case o.none && key.Missing || o.name == "r.id":
		cond = behindID()
	case o.none && !o.desc:
		cond = "(1 = 1)" // whoever lacks the key comes after all who have one
	case o.none:
		cond = "(1 = 0)" // and in descending order before them
	case key.Missing && o.desc:
		cond = "(" + o.name + " IS NOT NULL OR " + behindID() + ")"
	case key.Missing:
		cond = "(" + o.name + " IS NULL AND " + behindID() + ")"
	case o.optional && !o.desc:
		k := c.arg(o.value(key))
		cond = "(" + o.name + " IS NULL OR (" + o.name + ", r.id) > (" + k + ", " + c.arg(id) + "))"
	default:
		// The id counts even where the key is unique: the place may be that of a
		// resource of another type.
		k := c.arg(o.value(key))
		cond = "(" + o.name + ", r.id)" + than + "(" + k + ", " + c.arg(id) + ")"
	}
	return cond, c.args
}

// value is a key as the column holds it.
func (o Order) value(key filter.Key) any {
	switch o.kind {
	case flag:
		return key.Bool()
	case instant:
		return database.Micros(key.Time())
	case words:
	}
	return key.Text
}

// Limit returns LIMIT and OFFSET of a statement with args.
func Limit(limit, offset int, args []any) (string, []any) {
	c := compiler{args: args}
	text := " LIMIT " + c.arg(limit)
	if offset > 0 {
		text += " OFFSET " + c.arg(offset)
	}
	return text, c.args
}

// kind is what a column holds.
type kind int

// The kinds of columns. The zero value is text.
const (
	words   kind = iota
	flag         // boolean
	instant      // microseconds
)
