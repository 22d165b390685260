package credentials

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// Every request asks whose secret it has, so the answer comes from memory: the live
// credentials, read again every two seconds. Secrets that nobody has cannot make the
// database busy: they cause four looks a second, however many come.

const (
	credentialsFresh = 2 * time.Second        // how long a revocation by another process may go unnoticed
	credentialsRetry = 250 * time.Millisecond // how often an unknown secret may cause a look at the database
	credentialsTouch = time.Minute            // how exact last_used is
)

// cache holds the live credentials for a short time.
type cache struct {
	mu     sync.Mutex // guards the fields below
	live   []liveCredential
	loaded time.Time
	used   map[string]time.Time // by id: when last_used_at was last written
}

type liveCredential struct {
	Credential

	hash [sha256.Size]byte
}

// Authenticate returns the live credential whose secret this is,
// ErrUnknownCredential, or the credential with ErrExpiredCredential. The secret's
// hash is compared with every live one in constant time. Whoever lets the request
// in tells it with UseCredential.
func (s *Store) Authenticate(ctx context.Context, secret string) (Credential, error) {
	if len(secret) != len(SecretPrefix)+base64.RawURLEncoding.EncodedLen(secretBytes) || !strings.HasPrefix(secret, SecretPrefix) {
		return Credential{}, ErrUnknownCredential
	}
	// A plain hash is enough: nobody guesses 256 random bits, so there is nothing
	// for a slow one to slow down.
	hash := sha256.Sum256([]byte(secret))
	now := time.Now()
	c, err := s.findCredential(ctx, hash, now)
	if err != nil {
		return Credential{}, err
	}
	if c.Expires != nil && !now.Before(*c.Expires) {
		return c, ErrExpiredCredential
	}
	return c, nil
}

// findCredential looks the hash up in the cache, which it loads when it is old,
// or when the hash is not in it.
func (s *Store) findCredential(ctx context.Context, hash [sha256.Size]byte, now time.Time) (Credential, error) {
	cache := &s.cache
	cache.mu.Lock()
	defer cache.mu.Unlock()
	for _, fresh := range [...]time.Duration{credentialsFresh, credentialsRetry} {
		if age := now.Sub(cache.loaded); age >= fresh {
			if err := s.loadCredentialsLocked(ctx, now); err != nil {
				return Credential{}, err
			}
		}
		if i := matchCredential(cache.live, hash); i >= 0 {
			return cache.live[i].Credential, nil
		}
	}
	return Credential{}, ErrUnknownCredential
}

// matchCredential returns the position of the hash, -1 when it is not there. It
// looks at all of them.
func matchCredential(live []liveCredential, hash [sha256.Size]byte) int {
	at := -1
	for i := range live {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(live[i].hash[:], hash[:]), i, at)
	}
	return at
}

// loadCredentialsLocked reads the live credentials; the cache's mutex is held.
func (s *Store) loadCredentialsLocked(ctx context.Context, now time.Time) error {
	var live []liveCredential
	err := membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
		var hash []byte
		c, err := scanCredential(rows, &hash)
		if err != nil {
			return err
		}
		l := liveCredential{Credential: c}
		if copy(l.hash[:], hash) == len(l.hash) && len(hash) == len(l.hash) {
			live = append(live, l)
		}
		return nil
	}, `SELECT `+columns+`, hash FROM credentials WHERE revoked_at IS NULL`)
	if err != nil {
		return fmt.Errorf("load credentials: %w", err)
	}
	s.cache.live, s.cache.loaded = live, now
	return nil
}

// forgetCredentials makes the next request read them anew.
func (s *Store) forgetCredentials() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.live, s.cache.loaded = nil, time.Time{}
}

// UseCredential notes that a request was let in with the credential: last_used_at is
// written at most once a minute, and at once only the first time. A database that
// cannot take it does not keep anybody out: the next attempt comes in a minute.
func (s *Store) UseCredential(ctx context.Context, id string) {
	if !s.cache.touch(id, time.Now()) {
		return
	}
	_ = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE credentials SET last_used_at = $2 WHERE id = $1`, id, database.Micros(tx.Now()))
		return err
	})
}

// touch says whether it is time to write last_used_at. It is noted before it is
// written: a hundred requests at once write once.
func (c *cache) touch(id string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.used[id]) < credentialsTouch {
		return false
	}
	if c.used == nil {
		c.used = map[string]time.Time{}
	}
	c.used[id] = now
	return true
}
