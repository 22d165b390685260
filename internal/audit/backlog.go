package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// Backlog is how far the sealer has come.
type Backlog struct {
	Sealed  int64      // entries in the chain
	Waiting int64      // entries without a place in it
	Oldest  *time.Time // when the first of those was written; nil when none waits
}

// A sealer that hangs is silent, and an idle one is too. What tells them apart is not a sign
// of life but an entry that waits.

// Backlog looks without sealing anything: entries that wait for longer than a moment mean that
// nobody seals.
func (l *Log) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var oldest sql.NullInt64
	err := l.db.Reader().QueryRow(ctx, `SELECT (SELECT seq FROM audit_head WHERE id = 1), COUNT(*), MIN(at) FROM audit WHERE seq IS NULL`).
		Scan(&b.Sealed, &b.Waiting, &oldest)
	if err != nil {
		return Backlog{}, fmt.Errorf("audit backlog: %w", err)
	}
	b.Oldest = database.FromNullMicros(oldest)
	return b, nil
}
