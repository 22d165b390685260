// Package directory keeps what the sources said: users, groups, memberships, and
// the credentials with which sources say it. A subject is one person; the users
// of all sources that are the same person belong to one subject.
//
// Rules of this package:
//
//   - Every change runs in one transaction that also marks the bindings of the touched subjects as due and appends
//     one audit row. A change that changes nothing does none of it, and leaves the version alone.
//   - A group is a row and its members are rows. No change to a membership ever loads the group's members.
//   - What a source sends is a label, never a key: ids are ours, random and never used twice. externalId and
//     userName are unique within their source.
//   - Deleting a user frees its names and drops its memberships, but the subject stays, loose, and its bindings
//     with it: somebody still has to take the access away in Matomo. The same source creating the same externalId
//     takes the loose subject again.
//   - Memberships survive active=false, because identity providers do not send them again after active=true.
//
// Locks on PostgreSQL are always taken in the order groups, users, bindings, and
// within each by id.
package directory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/credentials"
	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// What a method may answer besides *schema.Error (which the client may read in
// full) and internal errors.
var (
	// ErrNotFound says that the source has no such user or group.
	ErrNotFound = errors.New("not found")
	// ErrVersion says that the resource is no longer at a version that the caller
	// expects.
	ErrVersion = errors.New("version does not match")
	// ErrUnknownCredential says that no live credential has the secret or the
	// name.
	ErrUnknownCredential = credentials.ErrUnknownCredential
	// ErrExpiredCredential says that the credential's time is over.
	ErrExpiredCredential = credentials.ErrExpiredCredential
	// ErrNameTaken says that a live credential has the name already.
	ErrNameTaken = credentials.ErrNameTaken
)

// Source is one configured source of users.
type Source struct {
	// Name is the name from the configuration.
	Name string
	// Lifecycle says that active=false and DELETE of this source make a leaver.
	Lifecycle bool
	// StrictMembers refuses member values that nobody has, instead of keeping
	// them until somebody comes who has them.
	StrictMembers bool
	// SharedLabels accepts an externalId that another resource of the source has,
	// instead of refusing it; see labelTaken.
	SharedLabels bool
}

// Options configures a Store.
type Options struct {
	// Sources are the configured sources in the configuration's order: of two
	// users of one subject the first source's attributes win.
	Sources []Source
	// PendingFor is how long a member value that nobody has is kept. Zero means
	// 30 days.
	PendingFor time.Duration
	// ScanLimit is how many resources a filter without an index may read before
	// it is refused with tooMany. Zero means 20,000.
	ScanLimit int
}

// Actor is on whose behalf a change is made, for the audit log. Source also
// bounds what can be seen and changed.
type Actor struct{ Credential, Source, RequestID string }

// Expect is a precondition: the versions of which the stored one must be one. Nil
// accepts every version.
type Expect []int64

// Allows says whether version satisfies the precondition.
func (e Expect) Allows(version int64) bool { return e == nil || slices.Contains(e, version) }

// The words of the packages below that belong to the directory's own language.
type (
	// GroupRef names a group.
	GroupRef = membership.GroupRef
	// Member is one member of a group.
	Member = membership.Member
	// MemberOp is one step of a change of memberships.
	MemberOp = membership.Op
	// MemberOpKind is what a MemberOp does.
	MemberOpKind = membership.OpKind
	// Credential is what is known of a bearer secret.
	Credential = credentials.Credential
	// CredentialSpec is a credential to be made.
	CredentialSpec = credentials.Spec
	// Scopes is a set of what a credential may do.
	Scopes = credentials.Scopes

	credentialStore = credentials.Store
)

// The kinds of MemberOp.
const (
	ReplaceAll  = membership.ReplaceAll
	Add         = membership.Add
	Remove      = membership.Remove
	RemoveWhere = membership.RemoveWhere
)

// AllScopes reads and writes everything.
const AllScopes = credentials.AllScopes

// ParseScopes reads scopes as people write them: see credentials.ParseScopes.
func ParseScopes(words []string) (Scopes, error) { return credentials.ParseScopes(words) }

// Within says whether an address lies in one of the blocks; in an empty list it
// does.
func Within(blocks []netip.Prefix, addr netip.Addr) bool { return credentials.Within(blocks, addr) }

// Store is the directory, with the credentials of those who fill it. Its methods
// may be called concurrently.
type Store struct {
	db      *database.DB
	marks   *bindings.Store
	opt     Options
	members *membership.Store
	sources map[string]int // position in opt.Sources

	*credentialStore
}

// New returns the directory in db; the bindings of changed subjects are marked
// through marks.
func New(db *database.DB, marks *bindings.Store, opt Options) *Store {
	if opt.PendingFor <= 0 {
		opt.PendingFor = 30 * 24 * time.Hour
	}
	if opt.ScanLimit <= 0 {
		opt.ScanLimit = 20_000
	}
	s := &Store{
		db: db, marks: marks, opt: opt, members: membership.New(db.Dialect(), opt.PendingFor), credentialStore: credentials.New(db),
		sources: make(map[string]int, len(opt.Sources)),
	}
	for i, src := range opt.Sources {
		s.sources[src.Name] = i
	}
	return s
}

// lifecycle says whether the source decides who is a leaver. A source that is no
// longer configured does not.
func (s *Store) lifecycle(source string) bool {
	i, ok := s.sources[source]
	return ok && s.opt.Sources[i].Lifecycle
}

// strictMembers says whether the source wants unknown members refused.
func (s *Store) strictMembers(source string) bool {
	i, ok := s.sources[source]
	return ok && s.opt.Sources[i].StrictMembers
}

// rank is the position of a source in the configuration; unknown ones come last.
func (s *Store) rank(source string) int {
	if i, ok := s.sources[source]; ok {
		return i
	}
	return len(s.opt.Sources)
}

// inTx runs fn in a transaction and names the operation in an internal error.
func (s *Store) inTx(ctx context.Context, op string, fn func(ctx context.Context, tx *database.Tx) error) error {
	if err := s.db.InTx(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
