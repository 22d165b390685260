package directory

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Person is everything the sources say about one subject, put together for a
// decision.
type Person struct {
	// Subject is the id of the person.
	Subject string
	// Active is true when the person has a user, no source with lifecycle says
	// inactive, and none of them has deleted its user since.
	Active bool
	// Orphan is true when no user is left. Last then tells who it was.
	Orphan bool
	// Users are the users of the subject, first source of the configuration
	// first.
	Users []User
	// Groups are the direct groups of all its users, by source, name and id.
	Groups []GroupRef
	// Attributes are the values by SCIM name without URN in lower case:
	// department, name.familyname, emails.value. Each comes from the first source
	// that has it.
	Attributes map[string][]string
	// UserName, ExternalID and Source are those of the first user; of the last
	// one when Orphan. UserName is empty when Orphan.
	UserName, ExternalID, Source string
	// PrimaryEmail is the address marked primary, or the only one. WorkEmail is
	// the first of type work. Both come from the first source that has any.
	PrimaryEmail, WorkEmail string
}

// People returns the persons of the given subjects by subject, in a handful of
// queries however many they are. A subject that does not exist is not in the map.
func (s *Store) People(ctx context.Context, subjects []string) (map[string]Person, error) {
	people, left, err := s.subjects(ctx, subjects)
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	dia := s.db.Dialect()
	users := map[string][]User{}
	err = membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
		u, err := scanUser(rows)
		users[u.Subject] = append(users[u.Subject], u)
		return err
	}, selectUsers(true)+dia.In("r.subject_id", "$1")+" ORDER BY r.id", dia.Strings(subjects))
	if err != nil {
		return nil, fmt.Errorf("people: users: %w", err)
	}
	for id, p := range people {
		if err := s.describe(&p, users[id], left[id]); err != nil {
			return nil, fmt.Errorf("people: %w", err)
		}
		people[id] = p
	}
	return people, nil
}

// subjects reads the rows of the subjects; left tells which source deleted its
// user last, "" for none.
func (s *Store) subjects(ctx context.Context, ids []string) (people map[string]Person, left map[string]string, err error) {
	dia := s.db.Dialect()
	people, left = make(map[string]Person, len(ids)), map[string]string{}
	err = membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
		var id string
		var source, external sql.NullString
		var orphaned sql.NullInt64
		if err := rows.Scan(&id, &source, &external, &orphaned); err != nil {
			return err
		}
		p := Person{Subject: id, Orphan: orphaned.Valid}
		if p.Orphan {
			p.Source, p.ExternalID = source.String, external.String
		}
		people[id], left[id] = p, source.String
		return nil
	}, `SELECT id, last_source, last_external_id, orphaned_at FROM subjects WHERE `+dia.In("id", "$1"), dia.Strings(ids))
	return people, left, err
}

// describe fills p from its users. Left is the source that deleted its user last.
func (s *Store) describe(p *Person, users []User, left string) error {
	p.Attributes = map[string][]string{}
	slices.SortStableFunc(users, func(a, b User) int { return s.rank(a.Source) - s.rank(b.Source) })
	p.Users = users
	p.Active = len(users) > 0
	// Active until a source with a say objects. A door without lifecycle neither
	// ends nor restores anybody.
	present := false // a source with lifecycle has a user
	for i, u := range users {
		if s.lifecycle(u.Source) {
			present = true
			p.Active = p.Active && u.Active
		}
		p.Groups = append(p.Groups, u.Groups...)
		doc, err := u.Decode()
		if err != nil {
			return err
		}
		if i == 0 {
			p.UserName, p.ExternalID, p.Source = u.UserName, u.ExternalID, u.Source
		}
		if p.PrimaryEmail == "" && p.WorkEmail == "" {
			p.PrimaryEmail, p.WorkEmail = pickEmails(emailsOf(doc))
		}
		// Per attribute, not per user: the second source may know the department
		// that the first does not send.
		own := map[string][]string{}
		flatten(own, doc)
		for name, values := range own {
			if _, ok := p.Attributes[name]; !ok {
				p.Attributes[name] = values
			}
		}
	}
	// A source with lifecycle deleted its user, and no such source has one now: the
	// person has left, whatever a side door still says.
	if left != "" && s.lifecycle(left) && !present {
		p.Active = false
	}
	slices.SortFunc(p.Groups, func(a, b GroupRef) int {
		return strings.Compare(a.Source+unitSep+a.Name+unitSep+a.ID, b.Source+unitSep+b.Name+unitSep+b.ID)
	})
	return nil
}

// pickEmails returns the primary address, or the only one there is, and the first
// one of type work.
func pickEmails(emails []email) (primary, work string) {
	for _, e := range emails {
		if e.Primary && primary == "" {
			primary = e.Value
		}
		if work == "" && strings.EqualFold(e.Type, "work") {
			work = e.Value
		}
	}
	if primary == "" && len(emails) == 1 {
		primary = emails[0].Value
	}
	return primary, work
}

// flatten collects the values of a document by lower-case dotted name. The
// attributes of an extension stand beside those of the core, which win where both
// have a name.
func flatten(into map[string][]string, doc schema.Document) {
	extensions := map[string][]string{}
	for name, v := range doc {
		switch {
		case name == "schemas" || name == "meta" || name == "id":
		case strings.HasPrefix(strings.ToLower(name), "urn:"):
			if sub, ok := v.(map[string]any); ok {
				for attr, value := range sub {
					flattenValue(extensions, strings.ToLower(attr), value)
				}
			}
		default:
			flattenValue(into, strings.ToLower(name), v)
		}
	}
	for name, values := range extensions {
		if _, ok := into[name]; !ok {
			into[name] = values
		}
	}
}

// flattenValue adds one value, which may be a list or an object.
func flattenValue(into map[string][]string, name string, v any) {
	switch t := v.(type) {
	case string:
		into[name] = append(into[name], t)
	case bool:
		into[name] = append(into[name], strconv.FormatBool(t))
	case json.Number:
		into[name] = append(into[name], t.String())
	case []any:
		for _, e := range t {
			flattenValue(into, name, e)
		}
	case map[string]any:
		for sub, e := range t {
			flattenValue(into, name+"."+strings.ToLower(sub), e)
		}
	}
}

// SubjectsByUserName returns the subjects of the users of that name in any
// source, in any case, sorted.
func (s *Store) SubjectsByUserName(ctx context.Context, userName string) ([]string, error) {
	ids, err := membership.Strings(ctx, s.db.Reader(), `SELECT DISTINCT subject_id FROM users WHERE user_name_key = $1 ORDER BY subject_id`, schema.Fold(userName))
	if err != nil {
		return nil, fmt.Errorf("subjects by userName: %w", err)
	}
	return ids, nil
}

// SubjectsEver returns the subjects of the users of that name, and of those who had
// it when their last user was deleted, in any source and any case, sorted.
func (s *Store) SubjectsEver(ctx context.Context, userName string) ([]string, error) {
	ids, err := membership.Strings(ctx, s.db.Reader(), `SELECT subject_id FROM users WHERE user_name_key = $1
		UNION SELECT id FROM subjects WHERE last_user_name_key = $1 ORDER BY 1`, schema.Fold(userName))
	if err != nil {
		return nil, fmt.Errorf("subjects by userName: %w", err)
	}
	return ids, nil
}

// SubjectsOfGroup returns the subjects of the users that are in groups of that
// displayName in any source, sorted.
func (s *Store) SubjectsOfGroup(ctx context.Context, displayName string) ([]string, error) {
	ids, err := membership.Strings(ctx, s.db.Reader(), `SELECT DISTINCT u.subject_id FROM groups g JOIN members m ON m.group_id = g.id
		JOIN users u ON u.id = m.member_id WHERE g.display_name_key = $1 ORDER BY u.subject_id`, schema.Fold(displayName))
	if err != nil {
		return nil, fmt.Errorf("subjects of group: %w", err)
	}
	return ids, nil
}

// EachSubject yields the ids of all subjects in pages of up to 500, ordered, or
// an error and ends.
func (s *Store) EachSubject(ctx context.Context) iter.Seq2[[]string, error] {
	const size = 500
	return func(yield func([]string, error) bool) {
		last := ""
		for {
			ids, err := membership.Strings(ctx, s.db.Reader(), `SELECT id FROM subjects WHERE id > $1 ORDER BY id LIMIT $2`, last, size)
			if err != nil {
				yield(nil, fmt.Errorf("subjects: %w", err))
				return
			}
			if len(ids) == 0 || !yield(ids, nil) || len(ids) < size {
				return
			}
			last = ids[len(ids)-1]
		}
	}
}

// Count is how many users and groups a source has.
type Count struct{ Users, Inactive, Groups int }

// Counts returns the numbers of every source that has any, for metrics.
func (s *Store) Counts(ctx context.Context) (map[string]Count, error) {
	out := map[string]Count{}
	err := countRows(ctx, s.db.Reader(), `SELECT source, COUNT(*), COUNT(CASE WHEN active THEN NULL ELSE 1 END) FROM users GROUP BY source`,
		func(source string, n, inactive int) { out[source] = Count{Users: n, Inactive: inactive} })
	if err != nil {
		return nil, err
	}
	err = countRows(ctx, s.db.Reader(), `SELECT source, COUNT(*), 0 FROM groups GROUP BY source`, func(source string, n, _ int) {
		c := out[source]
		c.Groups = n
		out[source] = c
	})
	return out, err
}

// countRows runs a query of a source and two numbers.
func countRows(ctx context.Context, q database.Querier, query string, fn func(source string, n, m int)) error {
	err := membership.EachRow(ctx, q, func(rows *sql.Rows) error {
		var source string
		var n, m int
		err := rows.Scan(&source, &n, &m)
		fn(source, n, m)
		return err
	}, query)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}
