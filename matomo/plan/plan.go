package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/access"
)

// StepKind is one sort of change. Each names the Matomo method that does it.
type StepKind string

// The kinds of steps, in the order a plan holds them.
const (
	AddUser        StepKind = "add_user"        // UsersManager.addUser with a random password
	InviteUser     StepKind = "invite_user"     // UsersManager.inviteUser; Sites[0] is the site of the invitation
	SetLdapUser    StepKind = "set_ldap_user"   // UsersManager.setUserPreference isLDAPUser=1
	DeleteUser     StepKind = "delete_user"     // UsersManager.deleteUser
	RevokeTokens   StepKind = "revoke_tokens"   // ends every app token, by Step.Strategy
	Demote         StepKind = "demote"          // UsersManager.setSuperUserAccess 0; wipes all access rows
	SetAccess      StepKind = "set_access"      // UsersManager.setUserAccess with a role and capabilities
	RemoveAccess   StepKind = "remove_access"   // UsersManager.setUserAccess noaccess; deletes the person's scheduled reports there
	SetEmail       StepKind = "set_email"       // UsersManager.updateUser
	Promote        StepKind = "promote"         // UsersManager.setSuperUserAccess 1; wipes all access rows
	RandomPassword StepKind = "random_password" // UsersManager.updateUser; ends browser sessions
	Logout         StepKind = "logout"          // companion plugin: ends browser sessions
)

// Step is one change of one login, as data. Nothing secret is in it: random
// passwords are made when it is applied.
type Step struct {
	Kind         StepKind        `json:"kind"`
	Login        string          `json:"login"`
	Email        string          `json:"email,omitempty"`
	Role         access.Role     `json:"role,omitempty"`
	Capabilities []string        `json:"capabilities,omitempty"`
	Sites        []access.SiteID `json:"sites,omitempty"`     // ascending; empty with AllSites
	AllSites     bool            `json:"all_sites,omitempty"` // every site that exists when Matomo runs the step
	Strategy     Strategy        `json:"strategy,omitempty"`
	Fallback     []Strategy      `json:"fallback,omitempty"` // tried in this order when Strategy fails
	Token        int             `json:"token,omitempty"`    // the one token that RevokeTokens ends, where the strategy can; 0 for all
	Why          string          `json:"why"`

	NeedsPassword bool `json:"needs_password,omitempty"` // Matomo asks for the bridge's password
	Destructive   bool `json:"destructive,omitempty"`    // cannot be undone by granting again
	Reduces       bool `json:"reduces,omitempty"`        // takes something away
	Gate          bool `json:"gate,omitempty"`           // nothing after it is sent before it has succeeded
}

// String describes the step in one line, as plan and audit print it.
func (s Step) String() string {
	b := string(s.Kind) + " " + s.Login
	if s.Token != 0 {
		b += " token " + strconv.Itoa(s.Token)
	}
	if s.Kind == RevokeTokens && s.Strategy != Database {
		return b // role and sites are of the call that a fallback may need
	}
	if s.Role != "" {
		b += " " + strings.Join(append([]string{string(s.Role)}, s.Capabilities...), "+")
	}
	switch {
	case s.AllSites:
		b += " on all sites"
	case len(s.Sites) > 0:
		b += " on " + JoinSites(s.Sites)
	}
	if s.Email != "" {
		b += " " + s.Email
	}
	return b
}

// Reason is why a person cannot be served in full until something about them,
// or about the target, changes.
type Reason string

// The reasons. A binding keeps the first one as its reason for being blocked.
const (
	LoginInvalid   Reason = "login_invalid"   // Matomo does not allow this login
	LoginTaken     Reason = "login_taken"     // the login, or the e-mail it equals, belongs to somebody else
	EmailMissing   Reason = "email_missing"   // a new account needs one
	EmailInvalid   Reason = "email_invalid"   // Matomo does not allow this address
	EmailTaken     Reason = "email_taken"     // another account has it
	PasswordNeeded Reason = "needs_password"  // a step needs the bridge's password and there is none
	UnknownSite    Reason = "unknown_site"    // a wanted site does not exist
	UnknownCap     Reason = "unknown_cap"     // a wanted capability does not exist
	InviteNoSite   Reason = "invite_no_site"  // an invitation needs a granted site
	IsProtected    Reason = "protected"       // never touched
	TokensLive     Reason = "tokens_live"     // old tokens cannot be ended, so nothing may be granted
	ValueRefused   Reason = "value_refused"   // Matomo refused a value for another reason
	AdditionsHeld  Reason = "additions_held"  // a deny whose site is unknown holds what would be added
	SuperuserByUs  Reason = "superuser_other" // additive: superuser given by somebody else stays
)

// Block is something that was wanted and is not in the plan. The rest of the
// plan is still right.
type Block struct {
	Reason Reason `json:"reason"`
	Detail string `json:"detail"`
}

// Manage says what becomes of access that no rule gives.
type Manage string

// The ways of managing.
const (
	Exclusive Manage = "exclusive" // it is removed
	Additive  Manage = "additive"  // it stays, unless the binding recorded that we granted it
)

// SignIn is how a new person first signs in.
type SignIn string

// The ways of signing in for the first time.
const (
	SignInSSO    SignIn = "sso"    // random password; the person comes through single sign-on
	SignInReset  SignIn = "reset"  // random password; the person uses "Lost your password?"
	SignInLDAP   SignIn = "ldap"   // random password, and the mark LoginLdap wants
	SignInInvite SignIn = "invite" // Matomo mails an invitation
)

// Policy is what the configuration allows and what the instance can do. The
// zero value is exclusive, sso, no password, no way to end tokens. Sites and
// Capabilities come from the same read as the account.
type Policy struct {
	Manage             Manage
	SignIn             SignIn
	Tokens             Strategy   // what works on this instance without destroying anything; NoStrategy when nothing does
	TokenFallback      []Strategy // what else works, in order, when Tokens fails
	RevokeOnRoleChange bool       // tokens.on has role_change: any change of access
	RevokeOnDecrease   bool       // tokens.on has privilege_decrease: only when something is taken away
	KeepAtLeaving      bool       // tokens.on lacks deprovision: a leaver's tokens stay, inert
	LeaverTokens       LeaverTokens
	RandomisePassword  bool // leavers.randomise_password
	HasPassword        bool // password_file is set and not known to be wrong
	CanLogout          bool // the companion plugin is there
	// DeleteSuperusersWithoutPassword: a leaving superuser who cannot be
	// demoted for want of the password is deleted.
	DeleteSuperusersWithoutPassword bool
	Protected                       []string // logins never touched; `anonymous` is one in any case
	Sites                           []access.SiteID
	Capabilities                    []Capability
}

// Want is what one person should have on one instance.
type Want struct {
	Login  string
	Email  string // empty: leave as it is
	Create bool   // add the account when it does not exist

	Access           access.Access // Decision.Access
	WithoutSuperuser access.Access // Decision.WithoutSuperuser; used when superuser cannot be given or is withheld
	Keep             access.Access // Decision.Keep: what must not be taken away now because its rule names an unknown site
	HoldAdditions    bool          // Decision.HoldAdditions
	Granted          access.Access // what the binding recorded as granted by us; counts with Additive

	ComeBack bool // tokens from before may be alive (or inert): they die before anything is granted (I10)
	Adopted  bool // first enforcement after adoption: tokens stay
	Drift    bool // repair of drift rather than a change of the person: additions alone leave tokens

	EndTokens   bool  // somebody asked for every token to end
	EndTokenIDs []int // or for these
}

// Plan is the ordered changes that turn an account into what is wanted. The
// zero Plan changes nothing.
type Plan struct {
	Login    string  `json:"login"`
	Steps    []Step  `json:"steps"`
	Blocks   []Block `json:"blocks,omitempty"`
	Loses    bool    `json:"loses,omitempty"`     // takes a site or superuser away: save evidence first
	LosesAll bool    `json:"loses_all,omitempty"` // had access and will have none: counts for the removal budget
	// TokensStay: access changes in a way that should end tokens, and nothing here
	// can end them without harm.
	TokensStay bool `json:"tokens_stay,omitempty"`

	additions []Step // Steps without anything that reduces; only filled when something does
}

// Empty reports whether the plan changes nothing.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Reduces reports whether any step takes something away.
func (p Plan) Reduces() bool { return p.any(func(s Step) bool { return s.Reduces }) }

// Destructive reports whether any step cannot be undone.
func (p Plan) Destructive() bool { return p.any(func(s Step) bool { return s.Destructive }) }

// Has reports whether the plan has a step of kind k.
func (p Plan) Has(k StepKind) bool { return p.any(func(s Step) bool { return s.Kind == k }) }

// Additions returns the part of the plan that takes nothing away: what need not
// wait for the settle time. A site that gains one thing and loses another gains
// it here and keeps the other.
func (p Plan) Additions() Plan {
	if !p.Reduces() {
		return p
	}
	return Plan{Login: p.Login, Steps: p.additions, Blocks: p.Blocks}
}

// any reports whether f holds for a step.
func (p Plan) any(f func(Step) bool) bool { return slices.ContainsFunc(p.Steps, f) }

// JoinSites writes site IDs the way Matomo reads them, separated by commas.
func JoinSites(ids []access.SiteID) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strconv.Itoa(int(id))
	}
	return strings.Join(out, ",")
}
