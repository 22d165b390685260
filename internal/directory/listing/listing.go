// Package listing finds one page of the resources of a type: which of them a
// filter chooses, in which order, from where on.
//
// The database does what columns and indexes carry. The rest is evaluated here, on
// documents read in small pages, and never on more of them than the limit: a
// filter that would is refused with tooMany, or, with a cursor, continues in the
// next page.
//
// A page begins at a position, counted (RFC 7644 section 3.4.2.4) or behind a
// resource (RFC 9865). The second never skips: whoever stays is found once,
// whoever comes and goes meanwhile.
package listing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Position is a place in an order: behind the resource of that key and id. The key
// is kept because the resource may be gone when the next page is asked for.
type Position struct {
	Key filter.Key
	ID  string
}

// Compare says which of two places comes first in an order of that direction.
func (p Position) Compare(other Position, descending bool) int {
	c := p.Key.Compare(other.Key)
	if c == 0 {
		switch {
		case p.ID < other.ID:
			c = -1
		case p.ID > other.ID:
			c = 1
		}
	}
	if descending {
		return -c
	}
	return c
}

// Query asks for one page of the resources of a source.
type Query struct {
	Source string
	// Base is the URL that locations begin with, as the client sees them.
	Base string
	// Filter chooses; nil takes all. It is bound to the resource type that is
	// asked for.
	Filter *filter.Bound
	// Order sorts; the zero value sorts by id. It is bound as Filter is.
	Order filter.Order
	// Start is the position of the first one wanted, from 1. Count is how many; 0
	// asks for the total alone.
	Start, Count int
	// Cursor pages by place: behind After, or from the beginning when that is nil.
	// Start does not matter then, and Count is at least 1.
	Cursor bool
	After  *Position
	// Counted says that the total is known, so that a page by cursor need not count.
	Counted bool
	// Groups asks for the groups of users.
	Groups bool
}

// Page is one page of an answer.
type Page[T any] struct {
	// Total is how many there are in all; -1 when that is not known, which happens
	// with a cursor only.
	Total int
	Items []T
	// Next is where the next page begins, nil after the last one. It is for
	// cursors only.
	Next *Position
}

// Noun is what the listing of users and of groups does not share.
type Noun[T any] struct {
	Table sqlfilter.Table
	// Columns begins a SELECT over r and ends with "WHERE ".
	Columns string
	// Full is Columns with all that Document needs.
	Full string
	Scan func(*sql.Rows) (T, error)
	ID   func(T) string
	// Document is a resource as a client sees it, for filters and orders.
	Document func(T) (schema.Document, error)
}

// Place is where a resource stands in an order.
func (n Noun[T]) Place(item T, by filter.Order) (Position, error) {
	p := Position{Key: filter.Key{Missing: true}, ID: n.ID(item)}
	if !by.Known() {
		return p, nil
	}
	doc, err := n.Document(item)
	p.Key = by.Key(doc)
	return p, err
}

// Store is where the resources are.
type Store struct {
	DB *database.DB
	// ScanLimit is how many resources a request may read that no index chose.
	ScanLimit int
}

// memberships says how much cheaper a member is than a resource, of which the whole
// document is read: how many members a request may look at for each resource of the
// limit.
const memberships = 10

// scanPage is how many rows a scan reads at a time.
const scanPage = 500

// finder is one search.
type finder[T any] struct {
	Store

	noun  Noun[T]
	q     Query
	where string
	args  []any
	cond  sqlfilter.Condition
	// reading is the order in which rows are read: that of q, or by id when the
	// database cannot sort by it. order is the same for the database.
	reading filter.Order
	order   sqlfilter.Order
	ordered bool // by the database
}

// Find returns the page that q asks for. A *schema.Error (tooMany) says that the
// filter or the order needs more reading than is allowed.
func Find[T any](ctx context.Context, s Store, n Noun[T], q Query) (Page[T], error) {
	f := finder[T]{Store: s, noun: n, q: q, where: "r.source = $1", args: []any{q.Source}}
	f.cond.Exact = true
	if q.Filter != nil {
		f.cond, f.args = sqlfilter.Compile(s.DB.Dialect(), n.Table, q.Base, q.Filter.Expr, f.args)
	}
	if f.cond.SQL != "" {
		f.where += " AND " + f.cond.SQL
	}
	// Without a column to sort by rows are read by id, which is as good as any order
	// when all of them have to be read.
	f.reading = q.Order
	if f.order, f.ordered = sqlfilter.OrderOf(n.Table, q.Order); !f.ordered {
		f.reading = filter.Order{}
		f.order, _ = sqlfilter.OrderOf(n.Table, f.reading)
	}
	page, err := f.find(ctx)
	if err != nil {
		return Page[T]{}, fmt.Errorf("list %s: %w", n.Table, err)
	}
	return page, nil
}

// find chooses the cheapest way that gives the right answer:
//
//	filter    order     way
//	column    column    the database finds the page (counted, behind)
//	document  column    rows are read in order, and the filter evaluated (scanned)
//	any       document  what matches is read, sorted here, and the page read again (sorted)
func (f *finder[T]) find(ctx context.Context) (Page[T], error) {
	// Before the first row: a client that was told tooMany after seconds of work would
	// have cost as much as one that was answered.
	if f.cond.Walks > 0 {
		if err := f.boundMembers(ctx); err != nil {
			return Page[T]{}, err
		}
	}
	switch {
	case !f.ordered:
		return f.sorted(ctx)
	case !f.cond.Exact:
		return f.scanned(ctx)
	case f.q.Cursor:
		return f.behind(ctx)
	}
	return f.counted(ctx)
}

// rows runs a statement that begins with columns and appends its rows to items. The
// text of every statement here is put together from constants and from what
// sqlfilter made; all that a client sent is in args.
func (f *finder[T]) rows(ctx context.Context, columns, rest string, args []any) (items []T, err error) {
	err = membership.EachRow(ctx, f.DB.Reader(), func(rows *sql.Rows) error {
		item, err := f.noun.Scan(rows)
		items = append(items, item)
		return err
	}, columns+rest, args...)
	return items, err
}

// count is how many rows the condition lets through. It is a statement of its own:
// a count beside each row (a window function) would read all rows for every page.
func (f *finder[T]) count(ctx context.Context) (n int, err error) {
	err = f.DB.Reader().QueryRow(ctx, "SELECT COUNT(*) FROM "+string(f.noun.Table)+" r WHERE "+f.where, f.args...).Scan(&n)
	return n, err
}

// counted has the database choose a page by number. It counts only when the page
// itself does not tell the total.
func (f *finder[T]) counted(ctx context.Context) (page Page[T], err error) {
	q := f.q
	// A unique name has 0 or 1 results: reading the row is the cheapest way to count
	// it, and a look-up before each create is what identity providers do most.
	if f.cond.Unique {
		limit, args := sqlfilter.Limit(1, 0, slices.Clip(f.args))
		page.Items, err = f.rows(ctx, f.noun.Columns, f.where+limit, args)
		if page.Total = len(page.Items); q.Count == 0 || q.Start > 1 {
			page.Items = nil
		}
		return page, err
	}
	if q.Count > 0 {
		limit, args := sqlfilter.Limit(q.Count, q.Start-1, slices.Clip(f.args))
		if page.Items, err = f.rows(ctx, f.noun.Columns, f.where+f.order.By()+limit, args); err != nil {
			return page, err
		}
		// A page that is not full ends where the results end.
		if len(page.Items) < q.Count && (len(page.Items) > 0 || q.Start == 1) {
			page.Total = q.Start - 1 + len(page.Items)
			return page, nil
		}
	}
	page.Total, err = f.count(ctx)
	return page, err
}

// behind has the database choose the page behind a place. One more row than asked
// for tells whether there is another page.
func (f *finder[T]) behind(ctx context.Context) (page Page[T], err error) {
	where, args := f.from(f.q.After)
	limit, args := sqlfilter.Limit(f.q.Count+1, 0, args)
	if page.Items, err = f.rows(ctx, f.noun.Columns, where+f.order.By()+limit, args); err != nil {
		return page, err
	}
	page.Total = -1
	if !f.q.Counted {
		if page.Total, err = f.count(ctx); err != nil {
			return page, err
		}
	}
	if len(page.Items) <= f.q.Count {
		return page, nil
	}
	page.Items = page.Items[:f.q.Count]
	err = f.next(&page)
	return page, err
}

// from is the condition for the rows behind a place, nil for all.
func (f *finder[T]) from(after *Position) (where string, args []any) {
	args = slices.Clip(f.args)
	if after == nil {
		return f.where, args
	}
	behind, args := f.order.After(after.Key, after.ID, args)
	return f.where + " AND " + behind, args
}

// next notes that another page begins behind the last item of this one.
func (f *finder[T]) next(page *Page[T]) error {
	p, err := f.noun.Place(page.Items[len(page.Items)-1], f.q.Order)
	page.Next = &p
	return err
}

// tooMany says what was too much and what would help.
func tooMany(what string, limit int) error {
	return schema.Errorf(schema.TooMany, "", "the %s needs more than the %d resources that may be read for it; "+
		"add userName, externalId, id, displayName, emails.value or meta.lastModified", what, limit)
}

// boundMembers refuses a filter that has to look at members when there are too
// many: unlike resources they are not counted while they are read. Each part of
// the filter that looks at them has its share.
func (f *finder[T]) boundMembers(ctx context.Context) error {
	most := memberships * f.ScanLimit / f.cond.Walks
	var n int
	err := f.DB.Reader().QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM groups g JOIN members m ON m.group_id = g.id
		WHERE g.source = $1 LIMIT $2) x`, f.q.Source, most+1).Scan(&n)
	if err == nil && n > most {
		return schema.Errorf(schema.TooMany, "members", "the filter needs more than the %d memberships that may be read for it; use members.value eq",
			memberships*f.ScanLimit)
	}
	return err
}

// errEnough ends a scan before the rows do.
var errEnough = errors.New("enough")
