package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// TimeFormat is how times look on the wire: RFC 3339 with microseconds, as
// precise as they are stored.
const TimeFormat = "2006-01-02T15:04:05.000000Z07:00"

// Query asks for one page of the users or groups of a source, ordered by id.
type Query struct {
	Source string
	// Filter chooses; nil takes all. It is bound to the resource type that is
	// asked for.
	Filter *filter.Bound
	// Start is the position of the first one wanted, from 1. Count is how many; 0
	// asks for the total alone.
	Start, Count int
	// Groups asks for the groups of users.
	Groups bool
}

// Page is one page of an answer and how many there are in all.
type Page[T any] struct {
	Total int
	Items []T
}

// noun is what the listing of users and of groups does not share.
type noun[T any] struct {
	table    sqlfilter.Table
	columns  string // begins the SELECT, ends with "WHERE "
	scan     func(scanner) (T, error)
	id       func(T) string
	document func(T) (schema.Document, error) // as a client sees it, for filters
}

// Users returns a page of users. A filter that no index serves reads at most
// Options.ScanLimit users and is refused with a *schema.Error (tooMany) beyond
// that.
func (s *Store) Users(ctx context.Context, q Query) (Page[User], error) {
	// A filter may be over groups: they are read whenever the filter has to be
	// evaluated here.
	return list(ctx, s, q, func(scan bool) noun[User] {
		return noun[User]{
			table: sqlfilter.Users, columns: selectUsers(q.Groups || scan), scan: scanUser,
			id: func(u User) string { return u.ID }, document: userResource,
		}
	})
}

// Groups returns a page of groups' heads. Filters without an index are bounded as
// for Users.
func (s *Store) Groups(ctx context.Context, q Query) (Page[Group], error) {
	return list(ctx, s, q, func(bool) noun[Group] {
		return noun[Group]{
			table: sqlfilter.Groups, columns: selectGroups, scan: scanGroup,
			id: func(g Group) string { return g.ID }, document: groupResource,
		}
	})
}

// list compiles the filter and has the page found in one of two ways: by the
// database alone, or by the database as far as it goes and the filter for the rest.
func list[T any](ctx context.Context, s *Store, q Query, nounOf func(scan bool) noun[T]) (Page[T], error) {
	n := nounOf(false)
	args := []any{q.Source}
	cond := sqlfilter.Condition{Exact: true}
	if q.Filter != nil {
		cond, args = sqlfilter.Compile(s.db.Dialect(), n.table, q.Filter.Expr, args)
	}
	where := "r.source = $1"
	if cond.SQL != "" {
		where += " AND " + cond.SQL
	}
	if cond.Members {
		return Page[T]{}, schema.Errorf(schema.InvalidFilter, "members", "groups can be filtered by members.value eq and by the presence of members only")
	}
	var page Page[T]
	var err error
	if cond.Exact {
		page, err = listIndexed(ctx, s, q, n, where, args, cond.Unique)
	} else {
		rest := *q.Filter
		rest.Expr = cond.Rest // the database has answered the other parts
		page, err = listScanned(ctx, s, q, nounOf(true), where, args, rest)
	}
	if err != nil {
		return Page[T]{}, fmt.Errorf("list %s: %w", n.table, err)
	}
	return page, nil
}

// listIndexed has the database choose the page. It counts only when the page
// itself does not tell the total.
func listIndexed[T any](ctx context.Context, s *Store, q Query, n noun[T], where string, args []any, unique bool) (Page[T], error) {
	var page Page[T]
	// A unique name has 0 or 1 results: reading the row is the cheapest way to count
	// it, and a look-up before each create is what identity providers do most.
	fetched := q.Count > 0 || unique
	if fetched {
		limit, offset := q.Count, q.Start-1
		if unique {
			limit, offset = 1, 0
		}
		query := n.columns + where + " ORDER BY r.id LIMIT $" + strconv.Itoa(len(args)+1) + " OFFSET $" + strconv.Itoa(len(args)+2)
		if unique {
			query = n.columns + where + " LIMIT $" + strconv.Itoa(len(args)+1) + " OFFSET $" + strconv.Itoa(len(args)+2)
		}
		err := membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
			item, err := n.scan(rows)
			page.Items = append(page.Items, item)
			return err
		}, query, append(slices.Clip(args), limit, offset)...)
		if err != nil {
			return page, err
		}
		page.Total = offset + len(page.Items)
		if unique {
			if q.Count == 0 || q.Start > 1 {
				page.Items = nil
			}
			return page, nil
		}
	}
	// A page that is not full ends where the results end.
	if fetched && len(page.Items) < q.Count && (len(page.Items) > 0 || q.Start == 1) {
		return page, nil
	}
	err := s.db.Reader().QueryRow(ctx, "SELECT COUNT(*) FROM "+string(n.table)+" r WHERE "+where, args...).Scan(&page.Total)
	return page, err
}

// scanPage is how many rows a scan reads at a time.
const scanPage = 500

// errScanned ends a scan that has read too much.
var errScanned = errors.New("scan limit")

// listScanned reads what the database can narrow down and evaluates the filter
// here.
func listScanned[T any](ctx context.Context, s *Store, q Query, n noun[T], where string, args []any, rest filter.Bound) (Page[T], error) {
	var page Page[T]
	query := n.columns + where + " AND r.id > $" + strconv.Itoa(len(args)+1) + " ORDER BY r.id LIMIT $" + strconv.Itoa(len(args)+2)
	last, read := "", 0
	for {
		before := read
		err := membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
			item, err := n.scan(rows)
			if err != nil {
				return err
			}
			if read++; read > s.opt.ScanLimit {
				return errScanned
			}
			// Paging by id and not by offset: each row is read once.
			last = n.id(item)
			doc, err := n.document(item)
			if err != nil {
				return err
			}
			if !rest.Match(doc) {
				return nil
			}
			page.Total++
			if page.Total >= q.Start && len(page.Items) < q.Count {
				page.Items = append(page.Items, item)
			}
			return nil
		}, query, append(slices.Clip(args), last, scanPage)...)
		switch {
		case errors.Is(err, errScanned):
			return Page[T]{}, schema.Errorf(schema.TooMany, "",
				"the filter would read more resources than allowed; add userName, externalId, id, displayName or emails.value")
		case err != nil:
			return page, err
		case read-before < scanPage:
			return page, nil
		}
	}
}

// userResource is a user's document with what a client sees beside it, for
// filters.
func userResource(u User) (schema.Document, error) {
	doc, err := u.Decode()
	if err != nil {
		return nil, err
	}
	doc["id"] = u.ID
	doc["meta"] = metaOf("User", u.Created, u.Modified)
	if len(u.Groups) > 0 {
		groups := make([]any, len(u.Groups))
		for i, g := range u.Groups {
			groups[i] = map[string]any{"value": g.ID, "display": g.Name, "type": "direct"}
		}
		doc["groups"] = groups
	}
	return doc, nil
}

// groupResource is the same for a group, without members.
func groupResource(g Group) (schema.Document, error) {
	doc, err := g.Decode()
	if err != nil {
		return nil, err
	}
	doc["id"] = g.ID
	doc["meta"] = metaOf("Group", g.Created, g.Modified)
	return doc, nil
}

// metaOf is the part of meta that filters can ask for. The location depends on the
// request and is not among it.
func metaOf(kind string, created, modified time.Time) map[string]any {
	return map[string]any{
		"resourceType": kind, "created": created.Format(TimeFormat), "lastModified": modified.Format(TimeFormat),
	}
}
