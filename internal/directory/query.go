package directory

import (
	"context"
	"database/sql"
	"strconv"
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
func userNoun(q Query) listing.Noun[User] {
	return listing.Noun[User]{
		Table: sqlfilter.Users, Columns: selectUsers(q.Groups), Full: selectUsers(true),
		Scan:     func(rows *sql.Rows) (User, error) { return scanUser(rows) },
		ID:       func(u User) string { return u.ID },
		Document: func(u User) (schema.Document, error) { return u.asked(q.Base) },
	}
}

// groupNoun describes the heads of groups for listings. Members are in no document:
// what a filter asks about them is answered by the database.
func groupNoun(q Query) listing.Noun[Group] {
	return listing.Noun[Group]{
		Table: sqlfilter.Groups, Columns: selectGroups, Full: selectGroups,
		Scan:     func(rows *sql.Rows) (Group, error) { return scanGroup(rows) },
		ID:       func(g Group) string { return g.ID },
		Document: func(g Group) (schema.Document, error) { return g.asked(q.Base) },
	}
}

// Users returns a page of users. A filter or an order that no index serves reads at
// most Options.ScanLimit users and is refused with a *schema.Error (tooMany) beyond
// that.
func (s *Store) Users(ctx context.Context, q Query) (Page[User], error) {
	return listing.Find(ctx, s.listing(), userNoun(q), q)
}

// Groups returns a page of groups' heads, bounded as Users is.
func (s *Store) Groups(ctx context.Context, q Query) (Page[Group], error) {
	return listing.Find(ctx, s.listing(), groupNoun(q), q)
}

// ETag is a version as an entity tag (RFC 7644 section 3.14).
func ETag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// UserLocation is the URL of a user. base is the URL that locations begin with.
func UserLocation(base, id string) string { return base + "/Users/" + id }

// GroupLocation is the URL of a group.
func GroupLocation(base, id string) string { return base + "/Groups/" + id }

// Shown is the document of the user with what a client sees beside it, groups
// included when they were read. Answers, filters and orders all start from it, so
// that whatever is shown can be asked for.
func (u User) Shown(base string) (schema.Document, error) {
	doc, err := u.Decode()
	if err != nil {
		return nil, err
	}
	doc["id"], doc["meta"] = u.ID, metaOf("User", UserLocation(base, u.ID), u.Created, u.Modified, u.Version)
	if len(u.Groups) > 0 {
		groups := make([]any, len(u.Groups))
		for i, g := range u.Groups {
			groups[i] = map[string]any{"value": g.ID, "$ref": GroupLocation(base, g.ID), "display": g.Name, "type": "direct"}
		}
		doc["groups"] = groups
	}
	return doc, nil
}

// asked is the document that filters and orders are evaluated on: what the database
// answers and what is evaluated must not differ in who is found. Whose active was
// removed is what they were, here as in the column.
func (u User) asked(base string) (schema.Document, error) {
	doc, err := u.Shown(base)
	if err == nil {
		doc["active"] = u.Active
		ownLabel(doc, u.ExternalID)
	}
	return doc, err
}

// asked is the same for a group.
func (g Group) asked(base string) (schema.Document, error) {
	doc, err := g.Shown(base)
	if err == nil {
		ownLabel(doc, g.ExternalID)
	}
	return doc, err
}

// ownLabel takes a label out of a document that another resource is found by; see
// labelTaken.
func ownLabel(doc schema.Document, externalID string) {
	if shown, _ := doc["externalId"].(string); shown != externalID {
		delete(doc, "externalId")
	}
}

// Shown is the same for a group, without members: they may be many, and are read
// by who wants them.
func (g Group) Shown(base string) (schema.Document, error) {
	doc, err := g.Decode()
	if err != nil {
		return nil, err
	}
	doc["id"], doc["meta"] = g.ID, metaOf("Group", GroupLocation(base, g.ID), g.Created, g.Modified, g.Version)
	return doc, nil
}

// metaOf is what RFC 7643 section 3.1 wants to know of every resource.
func metaOf(kind, location string, created, modified time.Time, version int64) map[string]any {
	return map[string]any{
		"resourceType": kind, "created": created.Format(TimeFormat), "lastModified": modified.Format(TimeFormat),
		"location": location, "version": ETag(version),
	}
}
