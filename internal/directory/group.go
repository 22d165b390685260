package directory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/scim/schema"
)

// Group is the head of a group; its members are asked for by Members.
type Group struct {
	// ID is ours: a UUID that is never used twice.
	ID string
	// Source is the name of the source that the group belongs to.
	Source string
	// DisplayName is unique within the source without regard to case.
	DisplayName string
	// ExternalID is the source's own label, "" when it gave none. Case matters.
	ExternalID string
	// Version grows with every change of the head or of the members.
	Version int64
	// Created and Modified are when the group arrived and when head or members
	// last changed.
	Created, Modified time.Time
	// Document is the canonical JSON object, without id, meta and members.
	Document []byte
	// LabelTaken is as for a User.
	LabelTaken bool
}

// Decode returns the document for reading and changing. Numbers are json.Number.
func (g Group) Decode() (schema.Document, error) { return decodeDocument(g.Document) }

// assign reads the columns out of a document and encodes it.
func (g *Group) assign(doc schema.Document) error {
	g.DisplayName, _ = doc["displayName"].(string)
	g.ExternalID, _ = doc["externalId"].(string)
	if strings.TrimSpace(g.DisplayName) == "" {
		return schema.Errorf(schema.InvalidValue, "displayName", "displayName is required")
	}
	err := cmp.Or(checkLength("displayName", g.DisplayName), checkLength("externalId", g.ExternalID))
	if err == nil {
		g.Document, err = encodeDocument(doc)
	}
	return err
}

// ref names a group for the change of its members.
func (s *Store) ref(g Group) membership.Group {
	return membership.Group{Source: g.Source, ID: g.ID, Strict: s.strictMembers(g.Source)}
}

// CreateGroup stores doc, which must be canonical, as a new group of the actor's
// source with the given members (see MemberOp for what a value may be). A name
// that is taken is a *schema.Error with scimType uniqueness.
func (s *Store) CreateGroup(ctx context.Context, actor Actor, doc schema.Document, members []string) (Group, error) {
	return s.CreateGroupWith(ctx, actor, doc, MemberOp{Kind: Add, Values: members})
}

// CreateGroupWith is CreateGroup for members that are more than their values.
func (s *Store) CreateGroupWith(ctx context.Context, actor Actor, doc schema.Document, members MemberOp) (Group, error) {
	var head Group
	if err := head.assign(doc); err != nil {
		return Group{}, err
	}
	var g Group
	err := s.inTx(ctx, "create group", func(ctx context.Context, tx *database.Tx) error {
		g = head
		g.ID, g.Source, g.Version, g.Created, g.Modified = database.NewID(), actor.Source, 1, tx.Now(), tx.Now()
		taken, err := s.labelTaken(ctx, tx, tableGroups, g.Source, g.ExternalID, g.ID)
		if err != nil {
			return err
		}
		if g.LabelTaken = taken; taken {
			g.ExternalID = ""
		}
		_, err = tx.Exec(ctx, `INSERT INTO groups (id, source, external_id, display_name, display_name_key, document,
			version, created_at, modified_at) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7)`,
			g.ID, g.Source, optional(g.ExternalID), g.DisplayName, schema.Fold(g.DisplayName), string(g.Document),
			database.Micros(tx.Now()))
		if err != nil {
			return s.conflict(err, g.DisplayName, "displayName", g.ExternalID)
		}
		d, err := s.members.Apply(ctx, tx, s.ref(g), []MemberOp{members})
		if err != nil {
			return err
		}
		subjects, err := s.members.Touched(ctx, tx, d)
		if err != nil {
			return err
		}
		after := groupFacts(g)
		memberFacts(after, d)
		return s.record(ctx, tx, actor, change{kind: "group.created", event: bindings.Mover, subjects: subjects, after: after})
	})
	return g, err
}

// UpdateGroup replaces the head of a group by what fn makes of it (nil leaves it)
// and applies ops to its members, in one transaction that holds the group's row.
// Fn may run more than once and must not call the Store. The answer says whether
// head or members changed.
func (s *Store) UpdateGroup(
	ctx context.Context, actor Actor, id string, expect Expect,
	fn func(Group, schema.Document) (schema.Document, error), ops []MemberOp,
) (Group, bool, error) {
	var g Group
	var changed bool
	err := s.inTx(ctx, "update group", func(ctx context.Context, tx *database.Tx) error {
		changed = false
		old, err := s.lockGroup(ctx, tx, actor.Source, id, expect)
		if err != nil {
			return err
		}
		g = old
		if fn != nil {
			doc, err := old.Decode()
			if err != nil {
				return err
			}
			if doc, err = fn(old, doc); err != nil {
				return err
			}
			if err := g.assign(doc); err != nil {
				return err
			}
		}
		d, err := s.members.Apply(ctx, tx, s.ref(g), ops)
		if err != nil {
			return err
		}
		if head := !bytes.Equal(old.Document, g.Document); head || d.Changed() {
			changed = true
			return s.storeGroup(ctx, tx, actor, old, &g, d)
		}
		// Pending values are not shown, so the version stays; the log hears of them.
		if d.Pending+d.Waived == 0 {
			return nil
		}
		after := groupFacts(g)
		memberFacts(after, d)
		return s.record(ctx, tx, actor, change{kind: "group.pending", after: after})
	})
	return g, changed, err
}

// storeGroup writes a changed group. A new name may decide anew about every
// member.
func (s *Store) storeGroup(ctx context.Context, tx *database.Tx, actor Actor, old Group, g *Group, d *membership.Delta) error {
	g.Version, g.Modified = old.Version+1, tx.Now()
	if g.ExternalID != old.ExternalID {
		taken, err := s.labelTaken(ctx, tx, tableGroups, g.Source, g.ExternalID, g.ID)
		if err != nil {
			return err
		}
		if g.LabelTaken = taken; taken {
			g.ExternalID = ""
		}
	}
	_, err := tx.Exec(ctx, `UPDATE groups SET external_id = $2, display_name = $3, display_name_key = $4, document = $5,
		version = $6, modified_at = $7 WHERE id = $1`,
		g.ID, optional(g.ExternalID), g.DisplayName, schema.Fold(g.DisplayName), string(g.Document), g.Version,
		database.Micros(g.Modified))
	if err != nil {
		return s.conflict(err, g.DisplayName, "displayName", g.ExternalID)
	}
	subjects, err := s.members.Touched(ctx, tx, d)
	if err != nil {
		return err
	}
	// Rules look at names: under another one every member may have other rights.
	if old.DisplayName != g.DisplayName {
		all, err := s.members.Subjects(ctx, tx, g.ID)
		if err != nil {
			return err
		}
		subjects = append(subjects, all...)
	}
	after := groupFacts(*g)
	memberFacts(after, d)
	return s.record(ctx, tx, actor, change{
		kind: "group.updated", event: bindings.Mover, subjects: subjects, before: groupFacts(old), after: after,
	})
}

// DeleteGroup removes a group and its memberships, also those in other groups.
func (s *Store) DeleteGroup(ctx context.Context, actor Actor, id string, expect Expect) error {
	return s.inTx(ctx, "delete group", func(ctx context.Context, tx *database.Tx) error {
		if err := s.members.LockGroups(ctx, tx, id); err != nil {
			return err
		}
		g, err := s.lockGroup(ctx, tx, actor.Source, id, expect)
		if err != nil {
			return err
		}
		// Before the rows go: afterwards nobody knows who was in it.
		subjects, err := s.members.Subjects(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := s.members.Drop(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM groups WHERE id = $1`, id); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		before := groupFacts(g)
		before["subjects"] = subjects
		return s.record(ctx, tx, actor, change{kind: "group.deleted", event: bindings.Mover, subjects: subjects, before: before})
	})
}
