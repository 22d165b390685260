package matomo

import (
	"context"

	"github.com/matomo-scim/bridge/matomo/internal/restore"
	"github.com/matomo-scim/bridge/matomo/internal/snapshot"
	"github.com/matomo-scim/bridge/matomo/internal/wire"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// The words of planning and reading, so that a caller of this package needs no
// other. They are documented where they are defined, in package plan for the
// most part.
type (
	// Account is one Matomo login as Matomo reports it now.
	Account = plan.Account
	// Block is something wanted that is not in a plan.
	Block = plan.Block
	// Capability is one fine-grained right that can be added to a role on a
	// site.
	Capability = plan.Capability
	// Evidence is what Matomo deletes for good with access or account.
	Evidence = plan.Evidence
	// Gone is what a read-back says about a leaver.
	Gone = plan.Gone
	// Invite is the invitation state of an account.
	Invite = plan.Invite
	// LeaverTokens says what becomes of a leaver's tokens when only destructive
	// ways are left.
	LeaverTokens = plan.LeaverTokens
	// MailedReport names a report of somebody else that is mailed to a person.
	MailedReport = plan.MailedReport
	// Manage says what becomes of access that no rule gives.
	Manage = plan.Manage
	// Phase is one part of a leaver's way out.
	Phase = plan.Phase
	// Plan is the ordered changes that turn an account into what is wanted.
	Plan = plan.Plan
	// Policy is what the configuration allows and what the instance can do.
	Policy = plan.Policy
	// Reason is why a person cannot be served in full.
	Reason = plan.Reason
	// SignIn is how a new person first signs in.
	SignIn = plan.SignIn
	// Step is one change of one login.
	Step = plan.Step
	// StepKind is one sort of change.
	StepKind = plan.StepKind
	// Strategy is a way to end another person's app tokens.
	Strategy = plan.Strategy
	// Token is one app token, without its secret.
	Token = plan.Token
	// TokenState says what is known about tokens that should not work.
	TokenState = plan.TokenState
	// Want is what one person should have on one instance.
	Want = plan.Want

	// EvidenceLevel says what of a person's own things is read along.
	EvidenceLevel = snapshot.EvidenceLevel
	// Read says what ReadAccounts reads besides accounts and access.
	Read = snapshot.Read
	// Snapshot is what one complete read of an instance found.
	Snapshot = snapshot.Snapshot

	// Restored is what became of one thing that was to be given back.
	Restored = restore.Restored
	// RestoreOptions say what to give back to whom.
	RestoreOptions = restore.Options

	// Error is what every method of Client returns when Matomo did not do as
	// asked; it never holds a secret.
	Error = wire.Error
	// ErrorKind says what an answer of Matomo, or its silence, means.
	ErrorKind = wire.ErrorKind
	// Health is what a client knows about its instance without asking.
	Health = wire.Health
	// Lane says how urgent the requests under a context are.
	Lane = wire.Lane
)

// The kinds of errors; see wire.ErrorKind.
const (
	BadToken       = wire.BadToken
	NoPermission   = wire.NoPermission
	WrongPassword  = wire.WrongPassword
	NeedsPassword  = wire.NeedsPassword
	SecretMissing  = wire.SecretMissing
	LockedOut      = wire.LockedOut
	Maintenance    = wire.Maintenance
	RateLimited    = wire.RateLimited
	Unreachable    = wire.Unreachable
	ServerFailure  = wire.ServerFailure
	Malformed      = wire.Malformed
	Redirected     = wire.Redirected
	IPRefused      = wire.IPRefused
	UsersDisabled  = wire.UsersDisabled
	UnknownMethod  = wire.UnknownMethod
	UserMissing    = wire.UserMissing
	DuplicateLogin = wire.DuplicateLogin
	DuplicateEmail = wire.DuplicateEmail
	Validation     = wire.Validation
	LastSuperuser  = wire.LastSuperuser
	IsSuperuser    = wire.IsSuperuser
	StoreDown      = wire.StoreDown
	StoreRefused   = wire.StoreRefused
	Protected      = wire.Protected
	Skipped        = wire.Skipped
	Refused        = wire.Refused
)

// The lanes of requests.
const (
	Normal  = wire.Normal
	Leavers = wire.Leavers
)

// The levels of evidence.
const (
	EvidenceNone    = snapshot.EvidenceNone
	EvidenceReports = snapshot.EvidenceReports
	EvidenceAll     = snapshot.EvidenceAll
	EvidenceAccount = snapshot.EvidenceAccount
)

// The kinds of steps, the reasons for blocks, the ways of managing and of
// signing in.
const (
	AddUser        = plan.AddUser
	InviteUser     = plan.InviteUser
	SetLdapUser    = plan.SetLdapUser
	DeleteUser     = plan.DeleteUser
	RevokeTokens   = plan.RevokeTokens
	Demote         = plan.Demote
	SetAccess      = plan.SetAccess
	RemoveAccess   = plan.RemoveAccess
	SetEmail       = plan.SetEmail
	Promote        = plan.Promote
	RandomPassword = plan.RandomPassword
	Logout         = plan.Logout
	LoginInvalid   = plan.LoginInvalid
	LoginTaken     = plan.LoginTaken
	EmailMissing   = plan.EmailMissing
	EmailInvalid   = plan.EmailInvalid
	EmailTaken     = plan.EmailTaken
	PasswordNeeded = plan.PasswordNeeded
	UnknownSite    = plan.UnknownSite
	UnknownCap     = plan.UnknownCap
	InviteNoSite   = plan.InviteNoSite
	IsProtected    = plan.IsProtected
	TokensLive     = plan.TokensLive
	ValueRefused   = plan.ValueRefused
	AdditionsHeld  = plan.AdditionsHeld
	SuperuserByUs  = plan.SuperuserByUs
	Exclusive      = plan.Exclusive
	Additive       = plan.Additive
	SignInSSO      = plan.SignInSSO
	SignInReset    = plan.SignInReset
	SignInLDAP     = plan.SignInLDAP
	SignInInvite   = plan.SignInInvite
)

// The states of invitations and tokens, and the phases of a leaver.
const (
	NotInvited    = plan.NotInvited
	InvitePending = plan.InvitePending
	InviteExpired = plan.InviteExpired
	TokensDead    = plan.TokensDead
	TokensInert   = plan.TokensInert
	TokensAlive   = plan.TokensAlive
	TokensUnknown = plan.TokensUnknown
	PhaseRevoke   = plan.PhaseRevoke
	PhaseSeal     = plan.PhaseSeal
	PhaseDelete   = plan.PhaseDelete
)

// The token strategies and settings.
const (
	NoStrategy       = plan.NoStrategy
	Auto             = plan.Auto
	Plugin           = plan.Plugin
	Database         = plan.Database
	Regenerate       = plan.Regenerate
	Recreate         = plan.Recreate
	RevokeOrInert    = plan.RevokeOrInert
	RevokeOrRecreate = plan.RevokeOrRecreate
	RevokeOrDelete   = plan.RevokeOrDelete
)

// PlanPerson plans joiners, movers, come-backs and drift repair; see
// plan.Person.
func PlanPerson(want Want, have Account, pol Policy) Plan { return plan.Person(want, have, pol) }

// PlanLeaver plans one phase of a leaver; see plan.Leaver.
func PlanLeaver(have Account, pol Policy, phase Phase) Plan { return plan.Leaver(have, pol, phase) }

// VerifyPerson returns what a read-back still lacks; see plan.VerifyPerson.
func VerifyPerson(want Want, have Account, pol Policy) []string {
	return plan.VerifyPerson(want, have, pol)
}

// VerifyGone judges a leaver's account as it was read back; see
// plan.VerifyGone.
func VerifyGone(have Account, pol Policy) Gone { return plan.VerifyGone(have, pol) }

// ValidateLogin reports why Matomo would refuse a login; nil when it would not.
func ValidateLogin(login string) *Block { return plan.ValidateLogin(login) }

// ValidateEmail reports why Matomo would refuse an address; nil when it would
// not.
func ValidateEmail(email string) *Block { return plan.ValidateEmail(email) }

// TokenCost tells in one sentence what a strategy means for the people
// concerned.
func TokenCost(s Strategy) string { return plan.TokenCost(s) }

// KindOf returns the kind of the first Error in err's chain; "" when there is
// none.
func KindOf(err error) ErrorKind { return wire.KindOf(err) }

// WithLane returns a context whose requests travel in the lane given.
func WithLane(ctx context.Context, l Lane) context.Context { return wire.WithLane(ctx, l) }
