// Package credentials keeps the bearer secrets with which sources authenticate:
// 256 random bits, shown once, stored as a SHA-256 hash, several live ones per
// source so that they can be rotated.
package credentials

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory/membership"
)

// SecretPrefix begins every secret, so that scanners of repositories and logs
// recognise one.
const SecretPrefix = "scimb_"

// secretBytes is how much randomness a secret holds: 256 bits.
const secretBytes = 32

// What Authenticate answers to a secret that does not open the door.
var (
	// ErrUnknownCredential says that no live credential has the secret.
	ErrUnknownCredential = errors.New("unknown credential")
	// ErrExpiredCredential says that the credential's time is over.
	ErrExpiredCredential = errors.New("expired credential")
	// ErrNameTaken says that a live credential has the name already.
	ErrNameTaken = errors.New("a credential of this name exists")
)

const (
	credentialsFresh = 2 * time.Second        // how long a revocation by another process may go unnoticed
	credentialsRetry = 250 * time.Millisecond // how often an unknown secret may cause a look at the database
	credentialsTouch = time.Minute            // how exact last_used is
	columns          = `id, name, source, created_at, expires_at, last_used_at, revoked_at`
)

// Credential is what is known of a bearer secret. The secret itself is not kept.
type Credential struct {
	// ID identifies the credential; Name is what people call it, unique among the
	// live ones.
	ID, Name string
	// Source is the name of the source that whoever holds the secret speaks for.
	Source  string
	Created time.Time
	// Expires, LastUsed and Revoked are nil when they do not apply. LastUsed is
	// right to about a minute.
	Expires, LastUsed, Revoked *time.Time
}

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

// Store is the credentials in a database. Its methods may be called concurrently.
type Store struct {
	db    *database.DB
	cache cache
}

// New returns the credentials in db.
func New(db *database.DB) *Store { return &Store{db: db} }

// CreateCredential makes a credential for a source and returns its secret, which
// is shown this once and stored as a SHA-256 hash only. A source may have
// several. ErrNameTaken when a live credential has the name.
func (s *Store) CreateCredential(ctx context.Context, name, source string) (secret string, err error) {
	if strings.TrimSpace(name) == "" || strings.TrimSpace(source) == "" {
		return "", errors.New("a credential needs a name and a source")
	}
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	secret = SecretPrefix + base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(secret))
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO credentials (id, name, source, hash, scope, created_at) VALUES ($1, $2, $3, $4, 'scim', $5)`,
			database.NewID(), name, source, hash[:], database.Micros(tx.Now()))
		if err != nil {
			if _, ok := s.db.Dialect().IsUnique(err); ok {
				return ErrNameTaken
			}
			return err
		}
		tx.AfterCommit(s.forgetCredentials)
		return audit.Append(ctx, tx, audit.Entry{
			Kind: "credential.created", Source: source, After: map[string]string{"name": name, "source": source},
		})
	})
	if err != nil {
		return "", fmt.Errorf("create credential: %w", err)
	}
	return secret, nil
}

// RevokeCredential ends the live credential of that name: at once in this
// process, within two seconds in others. ErrUnknownCredential when there is none.
func (s *Store) RevokeCredential(ctx context.Context, name string) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		var source string
		err := tx.QueryRow(ctx, `UPDATE credentials SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL RETURNING source`,
			name, database.Micros(tx.Now())).Scan(&source)
		if err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return ErrUnknownCredential
			}
			return err
		}
		// Not before the commit: a request in between would load the old state.
		tx.AfterCommit(s.forgetCredentials)
		return audit.Append(ctx, tx, audit.Entry{
			Kind: "credential.revoked", Source: source, Before: map[string]string{"name": name, "source": source},
		})
	})
	if err != nil {
		return fmt.Errorf("revoke credential: %w", err)
	}
	return nil
}

// ListCredentials returns all credentials, revoked ones too, by name and age.
func (s *Store) ListCredentials(ctx context.Context) ([]Credential, error) {
	var out []Credential
	err := membership.EachRow(ctx, s.db.Reader(), func(rows *sql.Rows) error {
		c, err := scanCredential(rows)
		out = append(out, c)
		return err
	}, `SELECT `+columns+` FROM credentials ORDER BY name, created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	return out, nil
}

// CountCredentials returns how many live credentials there are: not revoked, not
// expired.
func (s *Store) CountCredentials(ctx context.Context) (int, error) {
	var n int
	err := s.db.Reader().QueryRow(ctx, `SELECT COUNT(*) FROM credentials WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)`,
		database.Micros(time.Now())).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count credentials: %w", err)
	}
	return n, nil
}

// scanCredential reads columns and whatever follows them.
func scanCredential(row interface{ Scan(dest ...any) error }, more ...any) (Credential, error) {
	var c Credential
	var created int64
	var expires, used, revoked sql.NullInt64
	err := row.Scan(append([]any{&c.ID, &c.Name, &c.Source, &created, &expires, &used, &revoked}, more...)...)
	c.Created = database.FromMicros(created)
	c.Expires, c.LastUsed, c.Revoked = database.FromNullMicros(expires), database.FromNullMicros(used), database.FromNullMicros(revoked)
	return c, err
}

// Authenticate returns the live credential whose secret this is,
// ErrUnknownCredential or ErrExpiredCredential. The secret's hash is compared
// with every live one in constant time.
func (s *Store) Authenticate(ctx context.Context, secret string) (Credential, error) {
	if len(secret) != len(SecretPrefix)+base64.RawURLEncoding.EncodedLen(secretBytes) || !strings.HasPrefix(secret, SecretPrefix) {
		return Credential{}, ErrUnknownCredential
	}
	// A plain hash is enough: nobody guesses 256 random bits, so there is nothing
	// for a slow one to slow down.
	hash := sha256.Sum256([]byte(secret))
	now := time.Now()
	c, touch, err := s.findCredential(ctx, hash, now)
	if err != nil {
		return Credential{}, err
	}
	if c.Expires != nil && !now.Before(*c.Expires) {
		return Credential{}, ErrExpiredCredential
	}
	if touch {
		s.touchCredential(ctx, c.ID)
	}
	return c, nil
}

// findCredential looks the hash up in the cache, which it loads when it is old,
// or when the hash is not in it. It says whether last_used_at is to be written.
func (s *Store) findCredential(ctx context.Context, hash [sha256.Size]byte, now time.Time) (Credential, bool, error) {
	cache := &s.cache
	cache.mu.Lock()
	defer cache.mu.Unlock()
	for _, fresh := range [...]time.Duration{credentialsFresh, credentialsRetry} {
		if age := now.Sub(cache.loaded); age >= fresh {
			if err := s.loadCredentialsLocked(ctx, now); err != nil {
				return Credential{}, false, err
			}
		}
		if i := matchCredential(cache.live, hash); i >= 0 {
			c := cache.live[i].Credential
			// Noted before it is written: a hundred requests at once write once.
			touch := now.Sub(cache.used[c.ID]) >= credentialsTouch
			if touch {
				cache.used[c.ID] = now
			}
			return c, touch, nil
		}
	}
	return Credential{}, false, ErrUnknownCredential
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
	if s.cache.used == nil {
		s.cache.used = map[string]time.Time{}
	}
	return nil
}

// forgetCredentials makes the next request read them anew.
func (s *Store) forgetCredentials() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	s.cache.live, s.cache.loaded = nil, time.Time{}
}

// touchCredential writes last_used_at. A database that cannot take it does not
// keep anybody out: the next attempt comes in a minute.
func (s *Store) touchCredential(ctx context.Context, id string) {
	_ = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE credentials SET last_used_at = $2 WHERE id = $1`, id, database.Micros(tx.Now()))
		return err
	})
}
