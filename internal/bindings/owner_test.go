package bindings_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

func TestHeld_TellsWhoMovedAndForgetsTheLost(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(3)...)
		claimed := f.claim("one", 10)
		want := map[string]bool{claimed[0].ID: false, claimed[1].ID: false, claimed[2].ID: false}
		if held, err := f.Held(t.Context(), "one"); err != nil || !maps.Equal(held, want) {
			t.Errorf("held = %v, %v", held, err)
		}
		f.mark(bindings.Mark{Event: bindings.Leaver}, claimed[1].Subject)
		f.observe(bindings.Outcome{Binding: claimed[2]})
		want = map[string]bool{claimed[0].ID: false, claimed[1].ID: true}
		if held, err := f.Held(t.Context(), "one"); err != nil || !maps.Equal(held, want) {
			t.Errorf("held = %v, %v, want %v", held, err, want)
		}
	})
}

func TestDueFor_WakesThoseWhoWaitForTheReason(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(2)...)
		claimed := f.claim("one", 10)
		for i, reason := range []string{"needs_password", "email_taken"} {
			b := claimed[i]
			b.State, b.Reason = bindings.Blocked, reason
			f.observe(bindings.Outcome{Binding: b})
		}
		if reasons, err := f.Reasons(t.Context()); err != nil || reasons[bindings.WaitReason{Target: "main", Reason: "needs_password"}] != 1 {
			t.Errorf("reasons = %v, %v", reasons, err)
		}
		f.woken = 0
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.DueFor(ctx, tx, "main", "needs_password") })
		if got := f.claim("two", 10); len(got) != 1 || got[0].ID != claimed[0].ID {
			t.Errorf("claimed %v, want the one that waits for the password", got)
		}
		if f.woken == 0 {
			t.Error("nobody was woken")
		}
	})
}

func TestRecord_CountsNoAttemptOfWhoWaits(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		later := time.Now().Add(time.Minute).Truncate(time.Microsecond)
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			leaving := bindings.Leaving
			if ok, err := f.RecordFacts(ctx, tx, b.ID, "one", bindings.Facts{State: &leaving}); err != nil || !ok {
				t.Errorf("facts: %v, %v", ok, err)
			}
			return nil
		})
		if got := f.of(b.Subject); got.State != bindings.Leaving {
			t.Errorf("state %s, want leaving", got.State)
		}
		b.State = bindings.Pending
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			_, err := f.Record(ctx, tx, bindings.Outcome{Binding: b, Next: &later, Waits: true})
			return err
		})
		if got := f.of(b.Subject); got.Attempts != 0 || got.DueAt == nil || !got.DueAt.Equal(later) {
			t.Errorf("attempts %d, due %v; want none, %v", got.Attempts, got.DueAt, later)
		}
	})
}

func TestReserveSuperuser_NeverMoreThanTheLimit(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(6)...)
		all := f.claim("one", 10)
		var granted atomic.Int32
		reserve := func(b bindings.Binding) (ok bool) {
			err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
				ok, err = f.ReserveSuperuser(ctx, tx, b.Target, b.ID, 3)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			return ok
		}
		var wg sync.WaitGroup
		for _, b := range all {
			wg.Go(func() {
				if reserve(b) {
					granted.Add(1)
				}
			})
		}
		wg.Wait()
		n, err := f.GrantedSuperusers(t.Context(), "main")
		if err != nil || n != 3 || granted.Load() != 3 {
			t.Errorf("%d granted, %d noted, %v", granted.Load(), n, err)
		}
		for _, b := range all {
			if ok := reserve(b); ok != f.of(b.Subject).Superuser {
				t.Errorf("second try = %v: who has a place keeps it, and nobody else gets one", ok)
			}
		}
	})
}

func TestIsLoose(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		id := f.people(1)[0]
		if loose, err := f.IsLoose(t.Context(), f.db.Reader(), id); err != nil || loose {
			t.Errorf("loose = %v, %v", loose, err)
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE subjects SET orphaned_at = 1 WHERE id = $1`, id)
			return err
		})
		if loose, err := f.IsLoose(t.Context(), f.db.Reader(), id); err != nil || !loose {
			t.Errorf("loose = %v, %v", loose, err)
		}
		if _, err := f.IsLoose(t.Context(), f.db.Reader(), "none"); !errors.Is(err, bindings.ErrNotFound) {
			t.Errorf("err = %v", err)
		}
	})
}
