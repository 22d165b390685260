package matomo

import "context"

// Invalidator ends app tokens past Matomo's API (strategy Database). Matomo's
// tracker goes on accepting an ended token for up to 300 s unless its cache is
// cleared, so Apply sends a setUserAccess that changes nothing after Revoke.
//
// Revoke ends every app token of login, in any spelling, and returns how many
// there were. It succeeds when there was none, and when the login does not
// exist. Either all tokens are ended or none. Tokens lists those that still
// work. Both may be called concurrently, and return *Error of kind Unreachable
// when the database does not answer.
type Invalidator interface {
	Revoke(ctx context.Context, login string) (ended int, err error)
	Tokens(ctx context.Context, login string) ([]Token, error)
}

// Complete fills in what only client and snapshot know: the sites and
// capabilities that exist, the protected logins, whether there is a usable
// password, and which token strategy works. pol.Tokens is the configured
// setting on the way in.
func (c *Client) Complete(pol Policy, s *Snapshot) Policy {
	pol.Sites, pol.Capabilities = s.SiteIDs(), s.Capabilities
	pol.Protected = c.protection().Protected
	pol.HasPassword = c.HasPassword()
	pol.Tokens = ChooseTokens(pol.Tokens, s.Version, s.CanRevoke, c.opt.TokenDB != nil)
	pol.CanLogout = s.CanRevoke
	return pol
}
