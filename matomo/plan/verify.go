package plan

// TokenState says what is known about the app tokens of somebody who should
// have none that works.
type TokenState string

// The token states.
const (
	TokensDead    TokenState = "dead"    // seen: none is left; or the account is gone
	TokensInert   TokenState = "inert"   // they cannot be ended or seen here; without access they show nothing
	TokensAlive   TokenState = "live"    // seen: at least one is left
	TokensUnknown TokenState = "unknown" // they could be seen, and were not
)

// Gone is what a read-back says about a leaver.
type Gone struct {
	Revoked bool       // no access anywhere, no superuser, tokens dead or inert: the propagation clock stops
	Tokens  TokenState // dead, inert, live, unknown
	Left    []string   // what is still there, in words; empty when Revoked
}

// VerifyGone judges a leaver's account as it was read back (I7). Orphan rows
// count: read with Read.Orphans. Tokens count where they can be seen: read with
// Read.Tokens.
func VerifyGone(have Account, pol Policy) Gone {
	g := Gone{Tokens: tokenState(have, pol)}
	if have.Exists {
		if have.Access.Superuser {
			g.Left = append(g.Left, "superuser")
		}
		for _, id := range have.Access.SiteIDs() {
			g.Left = append(g.Left, "site "+JoinSites(append(have.Orphans[:0:0], id))+": "+have.Access.Sites[id].String())
		}
		if len(have.Orphans) > 0 {
			g.Left = append(g.Left, "rows for sites that do not exist: "+JoinSites(have.Orphans))
		}
		if !have.OrphansKnown {
			g.Left = append(g.Left, "rows for sites that do not exist were not read")
		}
	}
	switch g.Tokens {
	case TokensAlive:
		g.Left = append(g.Left, "live tokens")
	case TokensUnknown:
		g.Left = append(g.Left, "tokens were not read")
	case TokensDead, TokensInert:
	}
	g.Revoked = len(g.Left) == 0
	return g
}

// tokenState classifies the tokens of an account.
func tokenState(have Account, pol Policy) TokenState {
	switch {
	case !have.Exists:
		return TokensDead
	case have.TokensKnown && len(have.Tokens) > 0 && (pol.Tokens == NoStrategy || pol.KeepAtLeaving):
		return TokensInert // seen, and nothing may or can end them
	case have.TokensKnown && len(have.Tokens) > 0:
		return TokensAlive
	case have.TokensKnown:
		return TokensDead
	case pol.Tokens.Sees() && !pol.KeepAtLeaving:
		return TokensUnknown
	default:
		return TokensInert
	}
}

// VerifyPerson returns what a read-back still lacks compared with what is
// wanted, one line each; empty when it agrees. Tokens and blocked parts do not
// count.
func VerifyPerson(want Want, have Account, pol Policy) []string {
	want.ComeBack, pol.RevokeOnRoleChange, pol.RevokeOnDecrease = false, false, false
	var out []string
	for _, s := range Person(want, have, pol).Steps {
		out = append(out, s.String())
	}
	return out
}
