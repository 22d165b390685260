package bindings_test

import (
	"context"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// BenchmarkMarkDue is a group PATCH that touches 10,000 people who have bindings.
func BenchmarkMarkDue(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		f := newFixture(b, db)
		ids := f.people(10_000)
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids...)
		for b.Loop() {
			f.mark(bindings.Mark{Event: bindings.Mover}, ids...)
		}
	})
}

// BenchmarkMarkDue1 is a change of one person.
func BenchmarkMarkDue1(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		f := newFixture(b, db)
		id := f.people(1)
		for b.Loop() {
			f.mark(bindings.Mark{Event: bindings.Mover}, id...)
		}
	})
}

// BenchmarkClaim claims and observes 50 of 10,000 due bindings, as one pass does.
func BenchmarkClaim(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		f := newFixture(b, db)
		ids := f.people(10_000)
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids...)
		for b.Loop() {
			lease := database.NewID()
			got := f.claim(lease, 50)
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				for _, c := range got {
					c.State = bindings.Converged
					if _, err := f.Observe(ctx, tx, bindings.Outcome{Binding: c, Verified: true, Next: new(time.Now())}); err != nil {
						return err
					}
				}
				return nil
			})
		}
	})
}

// BenchmarkClaimNothing is the look of an idle loop.
func BenchmarkClaimNothing(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		f := newFixture(b, db)
		for b.Loop() {
			f.claim("idle", 50)
		}
	})
}

// BenchmarkActivateRules makes 10,000 bindings due for new rules.
func BenchmarkActivateRules(b *testing.B) {
	databasetest.Bench(b, func(b *testing.B, db *database.DB) {
		f := newFixture(b, db)
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(10_000)...)
		for b.Loop() {
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				return f.ActivateRules(ctx, tx, bindings.RuleSet{Hash: database.NewID()})
			})
		}
	})
}
