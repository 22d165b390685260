package directory

import (
	"context"
	"database/sql"
	"time"

	"github.com/matomo-scim/bridge/internal/directory/listing"
	"github.com/matomo-scim/bridge/internal/directory/sqlfilter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// TimeFormat is how times look on the wire: RFC 3339 with microseconds, as
// precise as they are stored.
const TimeFormat = "2006-01-02T15:04:05.000000Z07:00"

// The words of listing that belong to the directory's own language.
type (
	// Query asks for one page of the users or groups of a source.
	Query = listing.Query
	// Position is a place in an order.
	Position = listing.Position
	// Page is one page of an answer and how many there are in all.
	Page[T any] = listing.Page[T]
)

// listing is where the resources are.
func (s *Store) listing() listing.Store { return listing.Store{DB: s.db, ScanLimit: s.opt.ScanLimit} }

// userNoun describes users for listings. A filter may be over groups: they are read
// whenever the filter has to be evaluated here.
func userNoun(groups bool) listing.Noun[User] {
	return listing.Noun[User]{
		Table: sqlfilter.Users, Columns: selectUsers(groups), Full: selectUsers(true),
		Scan: func(rows *sql.Rows) (User, error) { return scanUser(rows) },
		ID:   func(u User) string { return u.ID }, Document: userResource,
	}
}

// groupNoun describes the heads of groups for listings.
func groupNoun() listing.Noun[Group] {
	return listing.Noun[Group]{
		Table: sqlfilter.Groups, Columns: selectGroups, Full: selectGroups,
		Scan: func(rows *sql.Rows) (Group, error) { return scanGroup(rows) },
		ID:   func(g Group) string { return g.ID }, Document: groupResource,
	}
}

// Users returns a page of users. A filter or an order that no index serves reads at
// most Options.ScanLimit users and is refused with a *schema.Error (tooMany) beyond
// that.
func (s *Store) Users(ctx context.Context, q Query) (Page[User], error) {
	return listing.Find(ctx, s.listing(), userNoun(q.Groups), q)
}

// Groups returns a page of groups' heads, bounded as Users is.
func (s *Store) Groups(ctx context.Context, q Query) (Page[Group], error) {
	return listing.Find(ctx, s.listing(), groupNoun(), q)
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
