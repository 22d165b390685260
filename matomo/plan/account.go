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
	Login  string `json:"login"` // the spelling of getUsers; for a login that does not exist the one asked for
	Email  string `json:"email"`
	Exists bool   `json:"exists"`
	Invite Invite `json:"invite,omitempty"`

	// Access holds what counts: Superuser, or per existing site the highest
	// role and the capabilities. Superusers have no rows in Matomo, so their
	// Sites is empty.
	Access access.Access `json:"access"`

	// Orphans are site IDs for which Matomo holds access rows although no such
	// site exists; ascending. Known only when OrphansKnown is set:
	// getSitesAccessFromUser hides them.
	Orphans      []access.SiteID `json:"orphans,omitempty"`
	OrphansKnown bool            `json:"orphans_known"`

	// Doubled are sites with more than one role row, which parallel writers
	// leave behind; ascending.
	Doubled []access.SiteID `json:"doubled,omitempty"`

	Registered time.Time `json:"registered,omitzero"`
	LastSeen   time.Time `json:"last_seen,omitzero"` // last use of the browser; token use does not count; zero when unknown
	Uses2FA    bool      `json:"uses_2fa"`

	// Tokens are the app tokens. They can be seen only through the companion
	// plugin; TokensKnown says whether they were.
	Tokens      []Token `json:"tokens,omitempty"`
	TokensKnown bool    `json:"tokens_known"`

	// Evidence is what a destructive step would delete; nil unless it was asked
	// for.
	Evidence *Evidence `json:"evidence,omitempty"`
}

// Token is one app token as the companion plugin lists it: never its secret.
type Token struct {
	ID          int    `json:"id"`
	Description string `json:"description"`
	Created     string `json:"created"` // as Matomo writes it, UTC
	LastUsed    string `json:"last_used,omitempty"`
	Expires     string `json:"expires,omitempty"` // empty: never
}

// The things of a person stay as Matomo wrote them, undecoded: evidence that went through our types would
// lose what a later version of Matomo adds, and it is kept for years.

// Evidence is what Matomo deletes for good with site access or with the
// account, saved before that happens.
type Evidence struct {
	Reports    []json.RawMessage `json:"reports,omitempty"`    // scheduled reports of the person, as ScheduledReports.getReports answers
	MailedBy   []MailedReport    `json:"mailed_by,omitempty"`  // reports of others that are mailed to the person's address
	Dashboards json.RawMessage   `json:"dashboards,omitempty"` // from EvidenceAll on; those that the person made
	Segments   []json.RawMessage `json:"segments,omitempty"`   // from EvidenceAll on; these move to another superuser when the account is deleted
	// Preferences and Language are read with EvidenceAccount only. Preferences outlive the account in
	// Matomo and come back with the login, the language does not.
	Preferences map[string]string `json:"preferences,omitempty"`
	Language    string            `json:"language,omitempty"`
	// Whole says that everything above was asked for.
	Whole   bool     `json:"whole"`
	Missing []string `json:"missing,omitempty"` // what could not be read, with Matomo's words; the plugin being off is not missing
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
