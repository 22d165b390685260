package audit_test

import (
	"context"
	"testing"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func appendMany(b *testing.B, db *database.DB, n int) {
	b.Helper()
	err := db.InTx(b.Context(), func(ctx context.Context, tx *database.Tx) error {
		for range n {
			e := audit.Entry{
				Kind: "user.created", Actor: "okta", Source: "okta", RequestID: database.NewID(), Subject: database.NewID(),
				After: map[string]any{"user": database.NewID(), "userName": "bjensen@example.com", "active": true, "version": 1},
			}
			if err := audit.Append(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAppend is 256 entries in one transaction.
func BenchmarkAppend(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		for b.Loop() {
			appendMany(b, db, 256)
		}
	})
}

// BenchmarkSeal seals 256 entries.
func BenchmarkSeal(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		l := audit.New(db, zap.NewNop(), nil)
		for b.Loop() {
			b.StopTimer()
			appendMany(b, db, 256)
			b.StartTimer()
			if n, err := l.Seal(b.Context()); err != nil || n != 256 {
				b.Fatal(n, err)
			}
		}
	})
}

// BenchmarkVerify checks 10,000 entries.
func BenchmarkVerify(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		l := audit.New(db, zap.NewNop(), nil)
		appendMany(b, db, 10_000)
		for b.Loop() {
			if r, err := l.Verify(b.Context()); err != nil || r.Sealed != 10_000 || len(r.Problems) != 0 {
				b.Fatal(r, err)
			}
		}
	})
}
