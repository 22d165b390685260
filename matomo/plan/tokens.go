package plan

import "strings"

// Strategy is a way to end another person's app tokens. No core method of
// Matomo 4 or later does it.
type Strategy string

// The strategies. Auto is a setting only: TokenWays turns it into the others.
const (
	NoStrategy Strategy = ""           // nothing works: tokens stay inert while there is no access
	Auto       Strategy = "auto"       // the first that works of plugin, database, regenerate
	Plugin     Strategy = "plugin"     // the companion plugin's ScimBridge.revokeTokens
	Database   Strategy = "database"   // Matomo's own database, package tokendb
	Regenerate Strategy = "regenerate" // UsersManager.regenerateTokenAuth, Matomo 3 only
	Recreate   Strategy = "recreate"   // delete the account and add it again: destructive
)

// LeaverTokens is what becomes of a leaver's tokens when nothing but Recreate
// would end them.
type LeaverTokens string

// The leaver settings. The empty one is RevokeOrInert.
const (
	RevokeOrInert    LeaverTokens = "revoke_or_inert"    // they stay, see nothing, and die with the account or before a come-back
	RevokeOrRecreate LeaverTokens = "revoke_or_recreate" // the account is deleted and added again at once
	RevokeOrDelete   LeaverTokens = "revoke_or_delete"   // the account is deleted at once
)

// Companion is the plugin that adds the API methods Matomo lacks.
const Companion = "ScimBridge"

// Sees reports whether a strategy can list the tokens of other people, so that
// their end is proven by looking.
func (s Strategy) Sees() bool { return s == Plugin || s == Database }

// TokenWays returns the strategies without side effects that are there on an
// instance, the one to use first. setting is what the configuration asks for; one
// that it names is the only one, and used only where it works. Recreate is never
// returned: it is destructive, so plans use it only where their policy says so.
func TokenWays(setting Strategy, version string, canRevoke, hasDB bool) []Strategy {
	works := map[Strategy]bool{Plugin: canRevoke, Database: hasDB, Regenerate: strings.HasPrefix(version, "3.")}
	order := []Strategy{setting}
	if setting == Auto || setting == NoStrategy {
		order = []Strategy{Plugin, Database, Regenerate}
	}
	var out []Strategy
	for _, s := range order {
		if works[s] {
			out = append(out, s)
		}
	}
	return out
}

// TokenCost tells in one sentence what a strategy means for the people
// concerned.
func TokenCost(s Strategy) string {
	switch s {
	case Plugin:
		return "tokens end at once and can be counted; nothing else is touched"
	case Database:
		return "tokens end at once in Matomo's database; nothing else is touched"
	case Regenerate:
		return "the one token of the person is replaced at once"
	case Recreate:
		return "the account is deleted and added again: dashboards, reports, settings and 2FA are lost, segments move to another superuser"
	default:
		return "tokens of leavers cannot be ended: they see nothing while there is no access, and the account is recreated before somebody comes back"
	}
}
