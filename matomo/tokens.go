package matomo

// Strategy is a way to end another person's app tokens. No core method of Matomo 4 or later does it.
type Strategy string

// The strategies.
const (
	NoStrategy Strategy = ""           // nothing works: tokens stay inert while there is no access
	Plugin     Strategy = "plugin"     // the companion plugin's ScimBridge.revokeTokens
	Database   Strategy = "database"   // Matomo's own database, package tokendb
	Regenerate Strategy = "regenerate" // UsersManager.regenerateTokenAuth, Matomo 3 only
	Recreate   Strategy = "recreate"   // delete the account and add it again: destructive
)

// LeaverTokens is what becomes of a leaver's tokens when nothing but Recreate would end them.
type LeaverTokens string

// The leaver settings.
const (
	RevokeOrInert    LeaverTokens = "revoke_or_inert"    // they stay, see nothing, and die with the account or before a come-back
	RevokeOrRecreate LeaverTokens = "revoke_or_recreate" // the account is deleted and added again at once
	RevokeOrDelete   LeaverTokens = "revoke_or_delete"   // the account is deleted at once
)
