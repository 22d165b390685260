package search

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/scim/filter"
	"github.com/matomo-scim/bridge/scim/schema"
)

// A cursor says behind which resource the next page begins, and nothing that the
// server would have to remember: it outlives restarts and works on every replica.
// It is sealed. The key to sort by may be a name, which does not belong into the
// log of a proxy (RFC 7644 section 7.5.2), and what cannot be read cannot be
// relied on; what was changed, or belongs to another query, does not open.

// Timeout is how long a cursor is good for. It could be for ever, since nothing is
// kept for it; a client that comes back after this has most likely been restarted
// with an old cursor, and should list again.
const Timeout = time.Hour

// KeySize is the size of the key in bytes.
const KeySize = 32

// longest is how long a cursor can be that is worth opening. The longest ones hold
// a value of a user to sort by.
const longest = 64 << 10

// Cursors makes and opens cursors. Its methods may be called concurrently.
type Cursors struct {
	read func(context.Context) ([]byte, error)

	mu   sync.Mutex // guards aead
	aead cipher.AEAD
}

// NewCursors returns cursors under the key that read gives; it is read when it is
// first needed and kept from then on. It must be the same on all replicas.
func NewCursors(read func(context.Context) ([]byte, error)) *Cursors { return &Cursors{read: read} }

// sealer returns the cipher, and makes it the first time.
func (c *Cursors) sealer(ctx context.Context) (cipher.AEAD, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aead != nil {
		return c.aead, nil
	}
	key, err := c.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	// The nonce is random and part of the cursor: replicas share no counter. 96 random
	// bits do not repeat in the number of pages that will ever be read.
	c.aead, err = cipher.NewGCMWithRandomNonce(block)
	return c.aead, err
}

// Query is what a cursor belongs to: the source, which resources were listed, and
// how.
type Query struct{ Source, Resource string }

// fingerprint is a query as additional data of the seal. Page size and projection
// are not in it: a client may change them on the way.
func (q Query) fingerprint(r Request) []byte {
	h := sha256.New()
	for _, part := range [...]string{q.Source, q.Resource, r.Filter, r.SortBy} {
		var size [8]byte // so that no two lists of parts read the same
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	if r.Descending && r.SortBy != "" {
		h.Write([]byte{1})
	}
	return h.Sum(nil)
}

// Mark is what a cursor keeps for the next page.
type Mark struct {
	directory.Position

	// Total is how many resources the first page found in all, -1 when nobody
	// counted. Counting again for each page would cost more than the page.
	Total int
}

// Seal makes the cursor of the page of a query that begins behind a place.
func (c *Cursors) Seal(ctx context.Context, q Query, r Request, m Mark) (string, error) {
	aead, err := c.sealer(ctx)
	if err != nil {
		return "", err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix())) //nolint:gosec // the time is not negative
	missing := byte(0)
	if m.Key.Missing {
		missing = 1
	}
	plain = append(plain, missing)
	plain = binary.AppendVarint(plain, int64(m.Total))
	plain = binary.AppendUvarint(plain, uint64(len(m.ID)))
	plain = append(plain, m.ID...)
	plain = append(plain, m.Key.Text...)
	sealed := aead.Seal(nil, nil, plain, q.fingerprint(r)) //nolint:gosec // the cipher makes the nonce
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open gives what the cursor of a query has kept: nil for the first page.
// A cursor that is none of ours, was changed, or was made for another query is a
// *schema.Error (invalidCursor), and one that is too old is an expiredCursor.
func (c *Cursors) Open(ctx context.Context, q Query, r Request) (*Mark, error) {
	if r.Cursor == "" {
		return nil, nil
	}
	aead, err := c.sealer(ctx)
	if err != nil {
		return nil, err
	}
	invalid := schema.Errorf(InvalidCursor, "cursor",
		"the cursor is not one of this server, or belongs to another query: filter, sortBy and sortOrder must be repeated with it")
	// One error for everything that is wrong with it: which check failed would only
	// help somebody who makes cursors up.
	if len(r.Cursor) > longest {
		return nil, invalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(r.Cursor)
	if err != nil || len(sealed) < aead.Overhead() {
		return nil, invalid
	}
	plain, err := aead.Open(nil, nil, sealed, q.fingerprint(r))
	if err != nil {
		return nil, invalid
	}
	made, m, ok := parse(plain)
	switch {
	case !ok:
		return nil, invalid
	case time.Since(made) > Timeout:
		return nil, schema.Errorf(ExpiredCursor, "cursor", "the cursor is older than %s: begin with an empty one", Timeout)
	}
	return m, nil
}

// parse takes a cursor apart. What was sealed was made by Seal, of this release or
// another one.
func parse(plain []byte) (made time.Time, m *Mark, ok bool) {
	const head = 8 + 1
	if len(plain) < head || plain[8] > 1 {
		return made, nil, false
	}
	made = time.Unix(int64(binary.BigEndian.Uint64(plain)), 0) //nolint:gosec // written by Seal
	rest := plain[head:]
	total, n := binary.Varint(rest)
	if n <= 0 || total < -1 || total > math.MaxInt32 {
		return made, nil, false
	}
	rest = rest[n:]
	size, n := binary.Uvarint(rest)
	rest = rest[max(n, 0):]
	if n <= 0 || size > uint64(len(rest)) {
		return made, nil, false
	}
	m = &Mark{Total: int(total)}
	m.ID, m.Key = string(rest[:size]), filter.Key{Missing: plain[8] == 1, Text: string(rest[size:])}
	return made, m, true
}
