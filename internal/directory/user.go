package directory

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
	"github.com/matomo-scim/bridge/scim/schema"
)

// User is what one source said about one person.
type User struct {
	// ID is ours: a UUID that is never used twice.
	ID string
	// Source is the name of the source that the user belongs to.
	Source string
	// Subject is the id of the person.
	Subject string
	// UserName is unique within the source without regard to case.
	UserName string
	// ExternalID is the source's own label, "" when it gave none. Case matters.
	ExternalID string
	// Active is false for a user who was deactivated.
	Active bool
	// Version grows with every change of the document. It does not cover Groups.
	Version int64
	// Created and Modified are when the user arrived and when the document last
	// changed.
	Created, Modified time.Time
	// Document is the canonical JSON object, without id, meta and groups.
	Document []byte
	// Groups are the user's direct groups, ordered by id; nil when they were not
	// asked for.
	Groups []GroupRef
	// LabelTaken says that a change has just set an externalId that another user
	// holds: ExternalID is empty, and the document has it.
	LabelTaken bool
}

// Decode returns the document for reading and changing. Numbers are json.Number.
func (u User) Decode() (schema.Document, error) { return decodeDocument(u.Document) }

// decodeDocument reads what encodeDocument wrote.
func decodeDocument(data []byte) (schema.Document, error) {
	doc, err := schema.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("stored document: %s", err.Error()) // not an error that the client made
	}
	return doc, nil
}

// encodeDocument writes a document in the form that is stored and compared: names
// sorted, no blanks. What is kept in columns of its own, and what is computed, is
// left out.
func encodeDocument(doc schema.Document) ([]byte, error) {
	for _, name := range [...]string{"id", "meta", "groups", "members"} {
		delete(doc, name)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// email is one entry of a user's emails.
type email struct {
	Value, Type string
	Primary     bool
}

// profile is what the columns repeat of a user's document.
type profile struct {
	userName, userNameKey, externalID string
	displayName                       string
	active                            bool
	emails                            []email
	document                          []byte
}

// maxName is how many bytes a name may have that is kept in a column with an
// index. PostgreSQL refuses an index entry of more than 2,700 bytes, and folding
// may make a text longer by half.
const maxName = 1024

// checkLength refuses a name that no index could hold.
func checkLength(attribute, name string) error {
	if len(name) > maxName {
		return schema.Errorf(schema.InvalidValue, attribute, "a text of %d bytes; at most %d are possible here", len(name), maxName)
	}
	return nil
}

// profileOf reads the columns out of a document and encodes it. A new user without
// active is active, and says so from then on. Of one that is there, old, an active
// that was removed says nothing about the person, who stays what they were: a
// removal must not bring a leaver back.
func profileOf(doc schema.Document, old *User) (profile, error) {
	p := profile{active: old == nil || old.Active}
	p.userName, _ = doc["userName"].(string)
	p.externalID, _ = doc["externalId"].(string)
	p.displayName, _ = doc["displayName"].(string)
	if a, ok := doc["active"].(bool); ok {
		p.active = a
	} else if old == nil {
		doc["active"] = p.active
	}
	if strings.TrimSpace(p.userName) == "" {
		return p, schema.Errorf(schema.InvalidValue, "userName", "userName is required")
	}
	p.userNameKey = schema.Fold(p.userName)
	p.emails = emailsOf(doc)
	err := cmp.Or(checkLength("userName", p.userName), checkLength("externalId", p.externalID), checkLength("displayName", p.displayName))
	for _, e := range p.emails {
		err = cmp.Or(err, checkLength("emails.value", e.Value), checkLength("emails.type", e.Type))
	}
	if err != nil {
		return p, err
	}
	p.document, err = encodeDocument(doc)
	return p, err
}

// emailsOf returns the e-mail addresses of a document in their order.
func emailsOf(doc schema.Document) []email {
	list, _ := doc["emails"].([]any)
	var out []email
	for _, v := range list {
		m, _ := v.(map[string]any)
		e := email{}
		e.Value, _ = m["value"].(string)
		e.Type, _ = m["type"].(string)
		e.Primary, _ = m["primary"].(bool)
		if e.Value != "" {
			out = append(out, e)
		}
	}
	return out
}

// CreateUser stores doc, which must be canonical, as a new user of the actor's
// source. A loose subject of the same source and externalId takes it; otherwise
// it is a new person. Pending memberships that name it join. The answer carries
// the groups it joined. A name that is taken is a *schema.Error with scimType
// uniqueness.
func (s *Store) CreateUser(ctx context.Context, actor Actor, doc schema.Document) (User, error) {
	p, err := profileOf(doc, nil)
	if err != nil {
		return User{}, err
	}
	var u User
	err = s.inTx(ctx, "create user", func(ctx context.Context, tx *database.Tx) error {
		u, err = s.createUser(ctx, tx, actor, p)
		return err
	})
	return u, err
}

// createUser is CreateUser inside the transaction. The order matters: the names are
// looked up first, since a statement that fails ends a transaction of PostgreSQL.
func (s *Store) createUser(ctx context.Context, tx *database.Tx, actor Actor, p profile) (User, error) {
	u := User{ID: database.NewID(), Source: actor.Source, Version: 1, Created: tx.Now(), Modified: tx.Now(), Groups: []GroupRef{}}
	taken, err := s.labelTaken(ctx, tx, tableUsers, u.Source, p.externalID, u.ID)
	if err != nil {
		return User{}, err
	}
	if u.LabelTaken = taken; taken {
		p.externalID = ""
	}
	u.assign(p)
	f, err := s.lookAround(ctx, tx, u, namesOf(u))
	if err != nil {
		return User{}, err
	}
	back, err := s.takeSubject(ctx, tx, &u, f.loose)
	if err != nil {
		return User{}, err
	}
	now := database.Micros(tx.Now())
	_, err = tx.Exec(ctx, `INSERT INTO users (id, source, subject_id, external_id, user_name, user_name_key,
		display_name, display_name_key, active, document, version, created_at, modified_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $11)`,
		u.ID, u.Source, u.Subject, optional(p.externalID), p.userName, p.userNameKey,
		optional(p.displayName), optional(schema.Fold(p.displayName)), p.active, string(p.document), now)
	if err != nil {
		return User{}, s.conflict(err, u.UserName, "userName", u.ExternalID)
	}
	if err := insertEmails(ctx, tx, u.ID, p.emails); err != nil {
		return User{}, err
	}
	if f.pending {
		if u.Groups, err = s.members.Join(ctx, tx, u.Source, u.ID, namesOf(u)); err != nil {
			return User{}, err
		}
	}
	// Somebody who arrives inactive is nobody to let in, but perhaps somebody who
	// comes back to an account that is still open.
	event := bindings.Joiner
	if !u.Active {
		event = s.inactiveEvent(u.Source)
	}
	kind := "user.created"
	if back {
		kind = "user.returned"
	}
	return u, s.record(ctx, tx, actor, change{
		kind: kind, event: event, subjects: []string{u.Subject}, subject: u.Subject, after: userFacts(u, p.emails, membership.IDs(u.Groups)),
	})
}

// finding is what the store knows about the names of a user that arrives or is
// renamed.
type finding struct {
	loose   string // the loose subject of its source and externalId
	pending bool   // memberships wait for one of its names
}

// lookAround asks everything about names of u in one statement. A userName that a
// user of another configured source has is refused: whether the two are the same
// person must be decided by a person.
func (s *Store) lookAround(ctx context.Context, tx *database.Tx, u User, n membership.Names) (finding, error) {
	args := []any{u.Source, n.ExternalID, n.UserNameKey, database.Micros(tx.Now())}
	elsewhere := "NULL"
	if others := s.otherSources(u.Source); len(others) > 0 && n.UserNameKey != "" {
		list := make([]string, len(others))
		for i, name := range others {
			args = append(args, name)
			list[i] = "$" + strconv.Itoa(len(args))
		}
		elsewhere = `(SELECT source FROM users WHERE source IN (` + strings.Join(list, ", ") + `) AND user_name_key = $3 LIMIT 1)`
	}
	var f finding
	var loose, other sql.NullString
	err := tx.QueryRow(ctx, `SELECT (SELECT id FROM subjects WHERE last_source = $1 AND last_external_id = $2 AND orphaned_at IS NOT NULL
			ORDER BY orphaned_at DESC, id LIMIT 1),
		EXISTS (SELECT 1 FROM pending_members WHERE source = $1 AND value = $2 AND expires_at > $4)
			OR EXISTS (SELECT 1 FROM pending_members WHERE source = $1 AND value_key = $3 AND expires_at > $4),
		`+elsewhere, args...).Scan(&loose, &f.pending, &other)
	if err != nil {
		return f, fmt.Errorf("look around: %w", err)
	}
	if other.Valid {
		return f, taken("userName", u.UserName, "by a user of the source "+other.String)
	}
	f.loose = loose.String
	return f, nil
}

// namesOf returns the names that a pending membership may call u.
func namesOf(u User) membership.Names {
	return membership.Names{ExternalID: u.ExternalID, UserNameKey: schema.Fold(u.UserName)}
}

// newNames returns those names of u that it did not have when it was old.
func newNames(old, u User) membership.Names {
	was, n := namesOf(old), namesOf(u)
	if n.ExternalID == was.ExternalID {
		n.ExternalID = ""
	}
	if n.UserNameKey == was.UserNameKey {
		n.UserNameKey = ""
	}
	return n
}

// otherSources are the names of the configured sources but one.
func (s *Store) otherSources(source string) []string {
	var out []string
	for _, src := range s.opt.Sources {
		if src.Name != source {
			out = append(out, src.Name)
		}
	}
	return out
}

// takeSubject gives u the loose subject that it comes back to, or a new one.
func (s *Store) takeSubject(ctx context.Context, tx *database.Tx, u *User, loose string) (back bool, err error) {
	if loose != "" {
		res, err := tx.Exec(ctx, `UPDATE subjects SET orphaned_at = NULL, last_source = NULL, last_external_id = NULL,
			last_user_name_key = NULL WHERE id = $1 AND orphaned_at IS NOT NULL`, loose)
		if err != nil {
			return false, fmt.Errorf("take subject: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 { // 0: somebody else was faster
			u.Subject = loose
			return true, err
		}
	}
	u.Subject = database.NewID()
	_, err = tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, $2)`, u.Subject, database.Micros(tx.Now()))
	return false, err
}

// UpdateUser replaces the document of a user by what fn makes of it. Fn gets a
// copy that it may change; it may run more than once and must not call the Store.
// The result is validated by the caller, not here. The answer says whether
// anything changed, and carries no groups.
func (s *Store) UpdateUser(
	ctx context.Context, actor Actor, id string, expect Expect, fn func(User, schema.Document) (schema.Document, error),
) (User, bool, error) {
	var u User
	var changed bool
	err := s.inTx(ctx, "update user", func(ctx context.Context, tx *database.Tx) error {
		old, err := s.lockUser(ctx, tx, actor.Source, id, expect, membership.LockUser)
		if err != nil {
			return err
		}
		doc, err := old.Decode()
		if err != nil {
			return err
		}
		before := emailsOf(doc)
		if doc, err = fn(old, doc); err != nil {
			return err
		}
		p, err := profileOf(doc, &old)
		if err != nil {
			return err
		}
		// Documents are encoded in one way only, so equal bytes are the same
		// document and nothing has happened.
		u, changed = old, !bytes.Equal(old.Document, p.document)
		if !changed {
			return nil
		}
		u.assign(p)
		return s.storeUser(ctx, tx, actor, old, &u, p, before)
	})
	return u, changed, err
}

// storeUser writes the new profile of a user that is locked.
func (s *Store) storeUser(
	ctx context.Context, tx *database.Tx, actor Actor, old User, u *User, p profile, oldEmails []email,
) error {
	u.Version, u.Modified = old.Version+1, tx.Now()
	taken, err := s.labelTaken(ctx, tx, tableUsers, u.Source, newNames(old, *u).ExternalID, u.ID)
	if err != nil {
		return err
	}
	if u.LabelTaken = taken; taken {
		u.ExternalID, p.externalID = "", ""
	}
	var f finding
	if newNames(old, *u) != (membership.Names{}) {
		if f, err = s.lookAround(ctx, tx, *u, newNames(old, *u)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE users SET external_id = $2, user_name = $3, user_name_key = $4, display_name = $5,
		display_name_key = $6, active = $7, document = $8, version = $9, modified_at = $10 WHERE id = $1`,
		u.ID, optional(p.externalID), p.userName, p.userNameKey, optional(p.displayName),
		optional(schema.Fold(p.displayName)), p.active, string(p.document), u.Version, database.Micros(u.Modified))
	if err != nil {
		return s.conflict(err, u.UserName, "userName", u.ExternalID)
	}
	if err := replaceEmails(ctx, tx, u.ID, oldEmails, p.emails); err != nil {
		return err
	}
	var joined []GroupRef
	if f.pending {
		if joined, err = s.members.Join(ctx, tx, u.Source, u.ID, newNames(old, *u)); err != nil {
			return err
		}
	}
	after := userFacts(*u, p.emails, membership.IDs(joined))
	after["changed"] = changedNames(old.Document, p.document)
	return s.record(ctx, tx, actor, change{
		kind: "user.updated", event: s.eventOf(old, *u), subjects: []string{u.Subject}, subject: u.Subject,
		before: userFacts(old, oldEmails, nil), after: after,
	})
}

// DeleteUser removes a user. Its names are free at once and its memberships are
// gone; its subject is loose when no other source has a user of it.
func (s *Store) DeleteUser(ctx context.Context, actor Actor, id string, expect Expect) error {
	return s.inTx(ctx, "delete user", func(ctx context.Context, tx *database.Tx) error {
		// Groups before users, as everywhere, although it is the user that goes.
		if err := s.members.LockGroups(ctx, tx, id); err != nil {
			return err
		}
		u, err := s.lockUser(ctx, tx, actor.Source, id, expect, membership.LockRow)
		if err != nil {
			return err
		}
		groups, err := s.members.Drop(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM users WHERE id = $1`, id); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		// The subject remembers who it was, for the come-back and for the reports.
		_, err = tx.Exec(ctx, `UPDATE subjects SET last_source = $2, last_external_id = $3, last_user_name_key = $4,
			orphaned_at = CASE WHEN EXISTS (SELECT 1 FROM users WHERE subject_id = $1) THEN NULL ELSE CAST($5 AS BIGINT) END WHERE id = $1`,
			u.Subject, u.Source, optional(u.ExternalID), schema.Fold(u.UserName), database.Micros(tx.Now()))
		if err != nil {
			return fmt.Errorf("loosen subject: %w", err)
		}
		doc, err := u.Decode()
		if err != nil {
			return err
		}
		return s.record(ctx, tx, actor, change{
			kind: "user.deleted", event: s.inactiveEvent(u.Source), subjects: []string{u.Subject}, subject: u.Subject,
			before: userFacts(u, emailsOf(doc), groups),
		})
	})
}

// assign copies the columns of p.
func (u *User) assign(p profile) {
	u.UserName, u.ExternalID, u.Active, u.Document = p.userName, p.externalID, p.active, p.document
}

// eventOf names the change from old to u for the bindings.
func (s *Store) eventOf(old, u User) bindings.Event {
	switch {
	case old.Active && !u.Active:
		return s.inactiveEvent(u.Source)
	case !old.Active && u.Active:
		return bindings.Joiner
	}
	return bindings.Mover
}

// inactiveEvent is what a deactivation or deletion is: only a source with
// lifecycle makes leavers.
func (s *Store) inactiveEvent(source string) bindings.Event {
	if s.lifecycle(source) {
		return bindings.Leaver
	}
	return bindings.Mover
}

// optional is NULL for the empty string.
func optional(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// insertEmails writes the rows that filters on emails read.
func insertEmails(ctx context.Context, tx *database.Tx, userID string, emails []email) error {
	for i, e := range emails {
		_, err := tx.Exec(ctx, `INSERT INTO user_values (user_id, attr, ord, type, value, value_key) VALUES ($1, 'emails', $2, $3, $4, $5)`,
			userID, i, optional(schema.Fold(e.Type)), e.Value, schema.Fold(e.Value))
		if err != nil {
			return fmt.Errorf("e-mail rows: %w", err)
		}
	}
	return nil
}

// replaceEmails writes the rows anew when they differ.
func replaceEmails(ctx context.Context, tx *database.Tx, userID string, old, emails []email) error {
	same := len(old) == len(emails)
	for i := range emails {
		same = same && old[i].Value == emails[i].Value && old[i].Type == emails[i].Type
	}
	if same {
		return nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM user_values WHERE user_id = $1 AND attr = 'emails'`, userID); err != nil {
		return fmt.Errorf("e-mail rows: %w", err)
	}
	return insertEmails(ctx, tx, userID, emails)
}
