package plan

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
)

// Invite is the invitation state of an account. It is known from
// UsersManager.getUsers only.
type Invite string

// The invitation states.
const (
	NotInvited    Invite = ""        // an ordinary account
	InvitePending Invite = "pending" // invited, has not answered; such an account is never adopted
	InviteExpired Invite = "expired" // the invitation ran out; Matomo deletes the account three days later
)

// Account is one Matomo login as Matomo reports it now.
type Account struct {
	Login  string // the spelling of getUsers; for a login that does not exist the one asked for
	Email  string
	Exists bool
	Invite Invite

	// Access holds what counts: Superuser, or per existing site the highest
	// role and the capabilities. Superusers have no rows in Matomo, so their
	// Sites is empty.
	Access access.Access

	// Orphans are site IDs for which Matomo holds access rows although no such
	// site exists; ascending. Known only when OrphansKnown is set:
	// getSitesAccessFromUser hides them.
	Orphans      []access.SiteID
	OrphansKnown bool

	// Doubled are sites with more than one role row, which parallel writers
	// leave behind; ascending.
	Doubled []access.SiteID

	Registered time.Time
	LastSeen   time.Time // last use of the browser; token use does not count; zero when unknown
	Uses2FA    bool

	// Tokens are the app tokens. They can be seen only through the companion
	// plugin; TokensKnown says whether they were.
	Tokens      []Token
	TokensKnown bool

	// Evidence is what a destructive step would delete; nil unless it was asked
	// for.
	Evidence *Evidence
}

// Token is one app token as the companion plugin lists it: never its secret.
type Token struct {
	ID          int
	Description string
	Created     string // as Matomo writes it, UTC
	LastUsed    string
	Expires     string // empty: never
}

// Evidence is what Matomo deletes for good with site access or with the
// account, saved before that happens.
type Evidence struct {
	Reports    []json.RawMessage // scheduled reports of the person, as ScheduledReports.getReports answers
	MailedBy   []MailedReport    // reports of others that are mailed to the person's address
	Dashboards json.RawMessage   // only with EvidenceAll
	Segments   []json.RawMessage // only with EvidenceAll; these move to another superuser when the account is deleted
	Missing    []string          // what could not be read, with Matomo's words; the plugin being off is not missing
}

// MailedReport names a report of another person that goes to this person's
// address too.
type MailedReport struct {
	ID    int           `json:"idreport"`
	Site  access.SiteID `json:"idsite"`
	Owner string        `json:"login"`
	Name  string        `json:"description"`
}

// Capability is one fine-grained right that can be added to a role on a site.
type Capability struct {
	ID              string
	IncludedInRoles []access.Role // roles that imply it; Matomo stores no row for it then
}

// includedIn reports whether role implies the capability.
func (c Capability) includedIn(role access.Role) bool {
	return slices.Contains(c.IncludedInRoles, role)
}
