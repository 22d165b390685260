package bindings_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

func TestMoved(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(3)...)
		claimed := f.claim("one", 10)
		if moved, err := f.Moved(t.Context(), "one"); err != nil || len(moved) != 0 {
			t.Errorf("moved = %v, %v", moved, err)
		}
		f.mark(bindings.Mark{Event: bindings.Leaver}, claimed[1].Subject)
		moved, err := f.Moved(t.Context(), "one")
		if err != nil || !slices.Equal(moved, []string{claimed[1].ID}) {
			t.Errorf("moved = %v, %v", moved, err)
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

func TestBringDeletionForward(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		b.State, b.DeleteAt = bindings.Done, new(time.Now().Add(720*time.Hour))
		f.observe(bindings.Outcome{Binding: b, Next: b.DeleteAt, Verified: true})
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.BringDeletionForward(ctx, tx, b.ID) })
		if got := f.claimOne("two"); got.DeleteAt.After(time.Now()) || got.Generation != 2 || got.Priority != bindings.PriorityLeaver {
			t.Errorf("binding = %+v", got)
		}
		err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error { return f.BringDeletionForward(ctx, tx, "none") })
		if !errors.Is(err, bindings.ErrNotFound) {
			t.Errorf("err = %v", err)
		}
	})
}
