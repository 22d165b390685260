package directory

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// CursorKey returns the key that cursors are sealed with: 32 bytes, made when they
// are first needed and the same for ever and on every replica. Whoever reads the
// database has what a cursor could tell; so the key needs no better place.
func (s *Store) CursorKey(ctx context.Context) ([]byte, error) {
	const read = `SELECT key FROM cursor_key WHERE id = 1`
	var key []byte
	err := s.db.Reader().QueryRow(ctx, read).Scan(&key)
	if !errors.Is(err, sql.ErrNoRows) {
		return key, err
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails: crypto/rand ends the program instead
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		// Of two replicas that start at the same time one key remains.
		_, err := tx.Exec(ctx, `INSERT INTO cursor_key (id, key, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`,
			fresh, database.Micros(time.Now()))
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, read).Scan(&key)
	})
	if err != nil {
		return nil, fmt.Errorf("make cursor key: %w", err)
	}
	return key, nil
}
