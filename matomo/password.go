package matomo

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
)

// proofLast is how long a password counts as proven, so that several steps may
// rely on it in one request. With a wrong one each of them would be a failed
// login, and twenty lock our address out.
const proofLast = 5 * time.Minute

// randomPassword makes a password nobody knows: 52 letters and digits, 250
// bits. No character of it can be misread by Matomo's bulk requests.
func randomPassword() string { return rand.Text() + strings.ToLower(rand.Text()) }

// ProbeToken asks whether the token is a superuser's. It answers nil, or an
// Error of kind BadToken or NoPermission.
func (c *Client) ProbeToken(ctx context.Context) error {
	_, err := c.ReadAccounts(ctx, nil, Read{})
	return err
}

// ProvePassword asks Matomo to judge the password without a write: withdrawing
// superuser from a login that does not exist is refused for that reason only
// once the password was right. A wrong one is an Error of kind WrongPassword,
// and counts as one failed login with Matomo.
func (c *Client) ProvePassword(ctx context.Context) error {
	k := superuserCall("nobody-"+strings.ToLower(rand.Text()), "0")
	err := c.conn.Single(ctx, k, true)
	if KindOf(err) == UserMissing {
		return nil
	}
	return err
}

// ensureProven proves the password unless that was done lately.
func (c *Client) ensureProven(ctx context.Context) error {
	if c.conn.ProvenWithin(proofLast) {
		return nil
	}
	return c.ProvePassword(ctx)
}
