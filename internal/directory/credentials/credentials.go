// Package credentials keeps the secrets with which sources authenticate: 256 random
// bits, shown once, stored as a SHA-256 hash, several live ones per source so that
// they can be rotated. Each has a set of scopes, and may have an end and addresses
// outside of which it does not work.
//
// The package says whose secret one is. What follows from scopes and addresses is
// the door's business, which alone knows the request.
package credentials

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
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

// columns are what scanCredential reads.
const columns = `id, name, source, scope, cidrs, created_at, expires_at, last_used_at, revoked_at`

// Credential is what is known of a bearer secret. The secret itself is not kept.
type Credential struct {
	// ID identifies the credential; Name is what people call it, unique among the
	// live ones.
	ID, Name string
	// Source is the name of the source that whoever holds the secret speaks for.
	Source string
	// Scopes are what it may do, CIDRs where from; no CIDR is anywhere.
	Scopes  Scopes
	CIDRs   []netip.Prefix
	Created time.Time
	// Expires, LastUsed and Revoked are nil when they do not apply. LastUsed is
	// right to about a minute.
	Expires, LastUsed, Revoked *time.Time
}

// Store is the credentials in a database. Its methods may be called concurrently.
type Store struct {
	db    *database.DB
	cache cache
}

// New returns the credentials in db.
func New(db *database.DB) *Store { return &Store{db: db} }

// CreateCredential makes a credential that may do everything from anywhere and never
// expires; see IssueCredential.
func (s *Store) CreateCredential(ctx context.Context, name, source string) (secret string, err error) {
	return s.IssueCredential(ctx, Spec{Name: name, Source: source})
}

// IssueCredential makes a credential and returns its secret, which is shown this
// once and stored as a SHA-256 hash only. A source may have several. ErrNameTaken
// when a live credential has the name; other errors say what is wrong with the
// spec.
func (s *Store) IssueCredential(ctx context.Context, spec Spec) (secret string, err error) {
	if err := spec.check(time.Now()); err != nil {
		return "", err
	}
	secret, hash := newSecret()
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return s.insert(ctx, tx, spec, hash)
	})
	if err != nil {
		return "", fmt.Errorf("create credential: %w", err)
	}
	return secret, nil
}

// RotateCredential makes a credential that may do what the live one called name
// may, from the same addresses, and has the old one expire after the overlap. Both
// work until then, so the provider can be given the new one without an outage.
// Expires is the end of the new one, nil for never. ErrUnknownCredential when there
// is no live credential of that name, ErrNameTaken when next is taken.
func (s *Store) RotateCredential(ctx context.Context, name, next string, overlap time.Duration, expires *time.Time) (
	secret string, made Spec, err error,
) {
	if overlap < 0 {
		return "", Spec{}, errors.New("the overlap cannot be negative")
	}
	secret, hash := newSecret()
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		old, err := scanCredential(tx.QueryRow(ctx, `SELECT `+columns+` FROM credentials
			WHERE name = $1 AND revoked_at IS NULL`+s.db.Dialect().ForUpdate(), name))
		if err != nil {
			return unknown(err)
		}
		made = Spec{Name: next, Source: old.Source, Scopes: old.Scopes, CIDRs: old.CIDRs, Expires: expires}
		if err := made.check(tx.Now()); err != nil {
			return err
		}
		// An end that was set before, and comes sooner, stays.
		until := tx.Now().Add(overlap)
		if old.Expires != nil && old.Expires.Before(until) {
			until = *old.Expires
		}
		if _, err := tx.Exec(ctx, `UPDATE credentials SET expires_at = $2 WHERE id = $1`, old.ID, database.Micros(until)); err != nil {
			return err
		}
		err = audit.Append(ctx, tx, audit.Entry{
			Kind: "credential.rotated", Source: old.Source, Before: map[string]string{"name": name},
			After: map[string]string{"name": next, "old_expires": until.Format(time.RFC3339)},
		})
		if err != nil {
			return err
		}
		return s.insert(ctx, tx, made, hash)
	})
	if err != nil {
		return "", Spec{}, fmt.Errorf("rotate credential: %w", err)
	}
	return secret, made, nil
}

// newSecret is a new secret and its hash.
func newSecret() (secret string, hash [sha256.Size]byte) {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	secret = SecretPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return secret, sha256.Sum256([]byte(secret))
}

// insert writes a credential and its audit entry.
func (s *Store) insert(ctx context.Context, tx *database.Tx, spec Spec, hash [sha256.Size]byte) error {
	if spec.Scopes == 0 {
		spec.Scopes = AllScopes
	}
	_, err := tx.Exec(ctx, `INSERT INTO credentials (id, name, source, hash, scope, cidrs, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, database.NewID(), spec.Name, spec.Source, hash[:], spec.Scopes.String(),
		joinCIDRs(spec.CIDRs), database.Micros(tx.Now()), database.NullMicros(spec.Expires))
	if err != nil {
		if _, ok := s.db.Dialect().IsUnique(err); ok {
			return ErrNameTaken
		}
		return err
	}
	tx.AfterCommit(s.forgetCredentials)
	after := map[string]string{"name": spec.Name, "source": spec.Source, "scopes": spec.Scopes.String()}
	if len(spec.CIDRs) > 0 {
		after["cidrs"] = joinCIDRs(spec.CIDRs)
	}
	if spec.Expires != nil {
		after["expires"] = spec.Expires.UTC().Format(time.RFC3339)
	}
	return audit.Append(ctx, tx, audit.Entry{Kind: "credential.created", Source: spec.Source, After: after})
}

// unknown turns "no row" into ErrUnknownCredential.
func unknown(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnknownCredential
	}
	return err
}

// RevokeCredential ends the live credential of that name: at once in this
// process, within two seconds in others. ErrUnknownCredential when there is none.
func (s *Store) RevokeCredential(ctx context.Context, name string) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		var source string
		err := tx.QueryRow(ctx, `UPDATE credentials SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL RETURNING source`,
			name, database.Micros(tx.Now())).Scan(&source)
		if err != nil {
			return unknown(err)
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
	var scope, cidrs string
	var created int64
	var expires, used, revoked sql.NullInt64
	dest := []any{&c.ID, &c.Name, &c.Source, &scope, &cidrs, &created, &expires, &used, &revoked}
	if err := row.Scan(append(dest, more...)...); err != nil {
		return Credential{}, err
	}
	c.Scopes = storedScopes(scope)
	c.Created = database.FromMicros(created)
	c.Expires, c.LastUsed, c.Revoked = database.FromNullMicros(expires), database.FromNullMicros(used), database.FromNullMicros(revoked)
	var err error
	if c.CIDRs, err = storedCIDRs(cidrs); err != nil {
		return Credential{}, fmt.Errorf("credential %s: %w", c.Name, err)
	}
	return c, nil
}
