package config

// The closed sets of words in the file. Each type lists its words in values, in
// the order in which messages name them; the decoder refuses everything else.
type enum interface{ values() []string }

// words turns constants of an enum into what values returns.
func words[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// LogFormat is how log lines look.
type LogFormat string

// The log formats.
const (
	LogAuto    LogFormat = "auto"    // console on a terminal, JSON otherwise
	LogJSON    LogFormat = "json"    // one JSON object a line
	LogConsole LogFormat = "console" // for people
)

func (LogFormat) values() []string { return words(LogAuto, LogJSON, LogConsole) }

// LogLevel is the least severe level that is written, in zap's words.
type LogLevel string

// The log levels.
const (
	LevelDebug LogLevel = "debug"
	LevelInfo  LogLevel = "info"
	LevelWarn  LogLevel = "warn"
	LevelError LogLevel = "error"
)

func (LogLevel) values() []string { return words(LevelDebug, LevelInfo, LevelWarn, LevelError) }

// SourceType is the kind of door a source comes through.
type SourceType string

// The source types.
const (
	SourceSCIM SourceType = "scim" // an identity provider that pushes over SCIM 2.0
)

func (SourceType) values() []string { return words(SourceSCIM) }

// Profile is the dialect of SCIM that a source speaks.
type Profile string

// The profiles.
const (
	ProfileGeneric Profile = "generic" // tolerant; fits Okta and most others
	ProfileEntra   Profile = "entra"   // Microsoft Entra ID
	ProfileStrict  Profile = "strict"  // RFC 7643 and 7644 to the letter
)

func (Profile) values() []string { return words(ProfileGeneric, ProfileEntra, ProfileStrict) }

// Mode says whether a target is written to.
type Mode string

// The modes.
const (
	ModeObserve Mode = "observe" // everything is computed and shown, nothing is written
	ModeEnforce Mode = "enforce" // Matomo is made to agree
)

func (Mode) values() []string { return words(ModeObserve, ModeEnforce) }

// Manage says what happens to access that no rule gives: an admin may have
// granted it by hand before, or beside, the bridge.
type Manage string

// The ways to manage.
const (
	ManageExclusive Manage = "exclusive" // it is removed
	ManageAdditive  Manage = "additive"  // only what the bridge granted is ever removed
)

func (Manage) values() []string { return words(ManageExclusive, ManageAdditive) }

// SignIn is how a new person first signs in to Matomo.
type SignIn string

// The ways to sign in.
const (
	SignInSSO    SignIn = "sso"    // through single sign-on; the password is random
	SignInReset  SignIn = "reset"  // through "Lost your password?" and their e-mail
	SignInLDAP   SignIn = "ldap"   // through LoginLdap
	SignInInvite SignIn = "invite" // through Matomo's invitation mail
)

func (SignIn) values() []string { return words(SignInSSO, SignInReset, SignInLDAP, SignInInvite) }

// TokenStrategy is how another person's API tokens are invalidated. Matomo has
// no call for it since version 4, so each way has its price.
type TokenStrategy string

// The token strategies.
const (
	TokensAuto     TokenStrategy = "auto"     // the first that works and destroys nothing
	TokensPlugin   TokenStrategy = "plugin"   // the companion plugin in Matomo
	TokensDatabase TokenStrategy = "database" // Matomo's own database

	// TokensRegenerate is Matomo 3's own call, which later versions lack.
	TokensRegenerate TokenStrategy = "regenerate"

	TokensRecreate TokenStrategy = "recreate" // delete the account and add it again
	TokensNone     TokenStrategy = "none"     // never; tokens stay inert
)

func (TokenStrategy) values() []string {
	return words(TokensAuto, TokensPlugin, TokensDatabase, TokensRegenerate, TokensRecreate, TokensNone)
}

// TokenEvent is an occasion on which tokens are invalidated.
type TokenEvent string

// The occasions.
const (
	TokensOnDeprovision TokenEvent = "deprovision" // the person left
	TokensOnRoleChange  TokenEvent = "role_change" // the person's access became less, more or other

	// TokensOnDecrease is only when something was taken away.
	TokensOnDecrease TokenEvent = "privilege_decrease"
)

func (TokenEvent) values() []string {
	return words(TokensOnDeprovision, TokensOnRoleChange, TokensOnDecrease)
}

// OnInactive is what becomes of the account of a person who left.
type OnInactive string

// What may become of it.
const (
	InactiveSuspend OnInactive = "suspend" // no access, no tokens, no password that works
	InactiveDelete  OnInactive = "delete"  // the same, and the account is deleted at once
)

func (OnInactive) values() []string { return words(InactiveSuspend, InactiveDelete) }

// OnUnmapped is what becomes of a person's access when the last rule that gave
// it no longer matches.
type OnUnmapped string

// What may become of it.
const (
	UnmappedRemoveAccess OnUnmapped = "remove_access" // it goes; password and account stay
)

func (OnUnmapped) values() []string { return words(UnmappedRemoveAccess) }

// LeaverTokens is what happens to a leaver's tokens when they cannot be revoked
// without destroying something.
type LeaverTokens string

// What may happen to them.
const (
	LeaverTokensInert    LeaverTokens = "revoke_or_inert"    //nolint:gosec // no token: they authenticate, but see nothing
	LeaverTokensRecreate LeaverTokens = "revoke_or_recreate" //nolint:gosec // no token: the account is deleted and added again
	LeaverTokensDelete   LeaverTokens = "revoke_or_delete"   // the account is deleted at once
)

func (LeaverTokens) values() []string {
	return words(LeaverTokensInert, LeaverTokensRecreate, LeaverTokensDelete)
}

// LoginFrom names the SCIM attribute that becomes the Matomo login. It counts
// once: a login cannot be renamed in Matomo.
type LoginFrom string

// The attributes.
const (
	LoginFromUserName   LoginFrom = "userName"
	LoginFromEmail      LoginFrom = "email"
	LoginFromLocalPart  LoginFrom = "email_local_part" // what stands before the @
	LoginFromExternalID LoginFrom = "externalId"
)

func (LoginFrom) values() []string {
	return words(LoginFromUserName, LoginFromEmail, LoginFromLocalPart, LoginFromExternalID)
}

// EmailFrom names a place where a person's e-mail address may stand.
type EmailFrom string

// The places.
const (
	EmailFromPrimary  EmailFrom = "emails.primary"
	EmailFromWork     EmailFrom = "emails.work"
	EmailFromUserName EmailFrom = "userName" // when it looks like an address
)

func (EmailFrom) values() []string {
	return words(EmailFromPrimary, EmailFromWork, EmailFromUserName)
}
