package model

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// App tokens, and the cache in which the Tracking API keeps them alive.

// Token is an app token.
type Token struct {
	Owner       *Account
	ID          int
	Secret      string // Matomo keeps a hash of it
	Description string
	Created     time.Time
	LastUsed    time.Time // by the Reporting API; zero for never
	Expires     time.Time // zero: never
	SecureOnly  bool      // not accepted in a URL

	deleted bool
}

// Alive says whether the token identifies its owner. A nil token never does.
func (t *Token) Alive() bool {
	return t != nil && !t.deleted && (t.Expires.IsZero() || t.Expires.After(Now()))
}

// NewSecret returns 32 random hexadecimal digits, the form of an app token.
func NewSecret() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// AddToken gives an account a token.
func (in *Instance) AddToken(a *Account, t *Token) {
	in.tokenCount++
	t.ID, t.Owner = in.tokenCount, a
	a.Tokens = append(a.Tokens, t)
	in.tokens[t.Secret] = t
}

// Token returns the token with a secret, or nil.
func (in *Instance) Token(secret string) *Token { return in.tokens[secret] }

// DeleteTokens deletes an account's tokens, or the one with the ID if it is not
// 0, and returns how many there were. The tracker cache does not notice.
func (in *Instance) DeleteTokens(a *Account, id int) int {
	var kept []*Token
	for _, t := range a.Tokens {
		if id != 0 && t.ID != id {
			kept = append(kept, t)
			continue
		}
		t.deleted = true
		delete(in.tokens, t.Secret)
	}
	deleted := len(a.Tokens) - len(kept)
	a.Tokens = kept
	return deleted
}

// trackerCache is what the Tracking API remembers of a site: the tokens that
// may set an address or a time.
type trackerCache struct {
	built  time.Time
	tokens map[string]bool
}

// trackerTTL is Matomo's tracker_cache_file_ttl: for so long the Tracking API
// goes on accepting a token that was deleted behind its back.
const trackerTTL = 300 * time.Second

// ClearTracker forgets the tracker cache, as writes in the user management do.
func (in *Instance) ClearTracker() { in.tracker = nil }

// Tracks says whether the Tracking API accepts a token on a site: that of a
// superuser or of somebody with write or admin, as the cache knows them.
func (in *Instance) Tracks(secret string, site int) bool {
	cached, ok := in.tracker[site]
	if !ok || time.Since(cached.built) >= trackerTTL {
		cached = trackerCache{time.Now(), map[string]bool{}}
		for _, a := range in.Accounts() {
			role, _ := a.On(site)
			if !a.Superuser && RankOf(role) < Write {
				continue
			}
			for _, t := range a.Tokens {
				cached.tokens[t.Secret] = t.Alive()
			}
		}
		if in.tracker == nil {
			in.tracker = map[int]trackerCache{}
		}
		in.tracker[site] = cached
	}
	return cached.tokens[secret]
}
