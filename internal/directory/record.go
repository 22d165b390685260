package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/scim/schema"
)

// facts is what the audit log keeps of a resource: what decides about access, and
// no more of the person.
type facts map[string]any

// change is one change, for the audit log and the bindings.
type change struct {
	kind          string
	event         bindings.Event
	subjects      []string // whose access may change, sorted
	subject       string   // the person it is about, when it is about one
	before, after facts
}

// record marks the bindings of the touched subjects and appends the audit row, in
// the change's own transaction.
func (s *Store) record(ctx context.Context, tx *database.Tx, actor Actor, c change) error {
	// A change that concerns nobody, such as a pending member, is recorded all the
	// same.
	if len(c.subjects) > 0 {
		if err := s.marks.MarkDue(ctx, tx, c.subjects, bindings.Mark{Event: c.event, Cause: actor.cause()}); err != nil {
			return fmt.Errorf("mark due: %w", err)
		}
	}
	e := audit.Entry{
		Kind: c.kind, Actor: actor.Credential, Source: actor.Source, RequestID: actor.RequestID, Subject: c.subject,
	}
	if c.before != nil {
		e.Before = c.before
	}
	if c.after != nil {
		e.After = c.after
	}
	return audit.Append(ctx, tx, e)
}

// cause is the actor as bindings remember who asked.
func (a Actor) cause() bindings.Cause {
	return bindings.Cause{Actor: a.Credential, Source: a.Source, RequestID: a.RequestID}
}

// userFacts are the facts of a user.
func userFacts(u User, emails []email, groups []string) facts {
	f := facts{"user": u.ID, "userName": u.UserName, "active": u.Active, "version": u.Version}
	if u.ExternalID != "" {
		f["externalId"] = u.ExternalID
	}
	if len(emails) > 0 {
		values := make([]string, len(emails))
		for i, e := range emails {
			values[i] = e.Value
		}
		f["emails"] = values
	}
	if len(groups) > 0 {
		f["groups"] = groups
	}
	return f
}

// groupFacts are the facts of a group.
func groupFacts(g Group) facts {
	f := facts{"group": g.ID, "displayName": g.DisplayName, "version": g.Version}
	if g.ExternalID != "" {
		f["externalId"] = g.ExternalID
	}
	return f
}

// memberFacts adds to f which members came and went: ids of users and groups,
// sorted.
func memberFacts(f facts, d *membership.Delta) {
	if len(d.Added) > 0 {
		f["added"] = slices.Sorted(maps.Keys(d.Added))
	}
	if len(d.Removed) > 0 {
		f["removed"] = slices.Sorted(maps.Keys(d.Removed))
	}
	if d.Pending > 0 {
		f["pending"] = d.Pending
	}
}

// changedNames returns the names of the attributes that differ between two stored
// documents, sorted.
func changedNames(before, after []byte) []string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(after, &b) != nil {
		return nil
	}
	names := map[string]struct{}{}
	for name, value := range a {
		if !bytes.Equal(value, b[name]) {
			names[name] = struct{}{}
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names[name] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// taken is the error for a name that another resource has; more says which.
func taken(attribute, value, more string) error {
	return schema.Errorf(schema.Uniqueness, "", "%s %q is taken %s", attribute, value, more)
}

// conflict turns a violated unique index into an error that the client can read;
// other errors stay internal.
func (s *Store) conflict(err error, name, attribute, externalID string) error {
	index, ok := s.db.Dialect().IsUnique(err)
	if !ok {
		return fmt.Errorf("store: %w", err)
	}
	// The indexes are named after table and columns on both engines.
	switch index {
	case "users_source_user_name_key", "groups_source_display_name_key":
		return taken(attribute, name, "by another resource")
	case "users_source_external_id", "groups_source_external_id":
		return taken("externalId", externalID, "by another resource")
	}
	return fmt.Errorf("store: %w", err)
}
