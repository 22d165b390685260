package bindings_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

var admin = bindings.Cause{Actor: "cli:ada", Source: "cli"}

// leaver is a person who left, whose account is suspended and waits for its deletion.
func (f *fixture) leaver() bindings.Binding {
	f.Helper()
	id := f.people(1)[0]
	f.mark(bindings.Mark{Event: bindings.Leaver, Cause: bindings.Cause{Actor: "okta", Source: "scim", RequestID: "r1"}}, id)
	binding := f.of(id).ID
	f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Bind(ctx, tx, binding, "ada", "ada") })
	b := f.claimOne(database.NewID())
	b.State, b.DeleteAt = bindings.Done, new(time.Now().Add(720*time.Hour).Truncate(time.Microsecond))
	if !f.observe(bindings.Outcome{Binding: b, Next: b.DeleteAt, Verified: true}) {
		f.Fatal("not observed")
	}
	return f.of(id)
}

// try runs fn in a transaction and returns its error.
func (f *fixture) try(fn func(ctx context.Context, tx *database.Tx) error) error {
	return f.db.InTx(f.Context(), fn)
}

func (f *fixture) keep(id string) error {
	return f.try(func(ctx context.Context, tx *database.Tx) error { return f.KeepAccount(ctx, tx, id) })
}

func (f *fixture) deleteNow(id string) error {
	return f.try(func(ctx context.Context, tx *database.Tx) error { return f.DeleteNow(ctx, tx, id, admin) })
}

func TestKeepAccount_StopsTheDeletion(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.leaver()
		if err := f.keep(b.ID); err != nil {
			t.Fatal(err)
		}
		got := f.of(b.Subject)
		if got.KeptAt == nil || got.DeleteAt != nil || got.DueAt != nil || got.Generation != b.Generation {
			t.Errorf("kept binding = %+v", got)
		}
		if err := f.deleteNow(b.ID); err != nil {
			t.Fatal(err)
		}
		got = f.claimOne("two")
		if got.KeptAt != nil || got.DeleteAt.After(time.Now()) || got.Priority != bindings.PriorityLeaver || got.Cause != admin {
			t.Errorf("binding to delete = %+v", got)
		}
	})
}

// What was asked for while a pass was under way is newer than what the pass knew: its failure, or the
// event that made it count for nothing, does not undo the request.
func TestRecord_KeepsWhatWasAskedForMeanwhile(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.leaver()
		f.mark(bindings.Mark{Event: bindings.Drift, Priority: bindings.PriorityLow}, b.Subject)
		b = f.claimOne("one")
		if err := f.deleteNow(b.ID); err != nil {
			t.Fatal(err)
		}
		asked := f.of(b.Subject).DeleteAt
		f.record(bindings.Outcome{Binding: b, DeleteWas: b.DeleteAt})
		if got := f.of(b.Subject); !got.DeleteAt.Equal(*asked) || got.DueAt.After(time.Now()) {
			t.Errorf("deleted at %v and due at %v, want now", got.DeleteAt, got.DueAt)
		}
		// Nothing asked: what the pass found counts.
		b = f.claimOne("two")
		was := b.DeleteAt
		b.DeleteAt = nil
		f.record(bindings.Outcome{Binding: b, DeleteWas: was})
		if got := f.of(b.Subject); got.DeleteAt != nil {
			t.Errorf("deleted at %v, and the pass says never", got.DeleteAt)
		}
	})
}

// A pass that is under way plans the deletion again with its outcome; that must count for nothing.
func TestKeepAccount_WhileAPassIsUnderWay(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.leaver()
		f.mark(bindings.Mark{Event: bindings.Drift, Priority: bindings.PriorityLow}, b.Subject)
		b = f.claimOne("one")
		if err := f.keep(b.ID); err != nil {
			t.Fatal(err)
		}
		if f.observe(bindings.Outcome{Binding: b, Next: b.DeleteAt, Verified: true}) {
			t.Error("the pass that knew nothing of it was believed")
		}
		if got := f.of(b.Subject); got.DueAt == nil || got.DueAt.After(time.Now()) || got.KeptAt == nil {
			t.Errorf("binding = %+v, want it due at once", got)
		}
	})
}

func TestKeepAccount_RefusesWhatIsTooLateOrNoLeaver(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.leaver()
		if err := f.deleteNow(b.ID); err != nil {
			t.Fatal(err)
		}
		f.claimOne("deleting")
		if err := f.keep(b.ID); !errors.Is(err, bindings.ErrDeleting) {
			t.Errorf("keep while it is being deleted: %v", err)
		}
		active := f.joiner()
		if err := f.keep(active.ID); !errors.Is(err, bindings.ErrNotLeft) {
			t.Errorf("keep of somebody active: %v", err)
		}
		if err := f.deleteNow(active.ID); !errors.Is(err, bindings.ErrNotLeft) {
			t.Errorf("deletion of somebody active: %v", err)
		}
		for _, err := range []error{f.keep("none"), f.deleteNow("none")} {
			if !errors.Is(err, bindings.ErrNotFound) {
				t.Errorf("of nobody: %v", err)
			}
		}
	})
}

// A loose binding has nobody behind it, whether or not its source has a say about who left.
func TestDeleteNow_OfALooseBinding(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.joiner()
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE subjects SET orphaned_at = 1 WHERE id = $1`, b.Subject)
			return err
		})
		if err := f.deleteNow(b.ID); err != nil {
			t.Fatal(err)
		}
		if got := f.of(b.Subject); got.DeleteAt == nil {
			t.Errorf("binding = %+v", got)
		}
	})
}

func TestLeavers_AreThoseWhoLeft(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.leaver()
		f.joiner()
		for _, gone := range []bool{false, true} {
			all, err := f.Leavers(t.Context(), "main", gone)
			if err != nil || len(all) != 1 || all[0].ID != b.ID {
				t.Errorf("leavers = %v, %v", all, err)
			}
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Unbind(ctx, tx, b.ID) })
		if all, err := f.Leavers(t.Context(), "main", false); err != nil || len(all) != 0 {
			t.Errorf("leavers with an account = %v, %v", all, err)
		}
		if all, err := f.Leavers(t.Context(), "main", true); err != nil || len(all) != 1 {
			t.Errorf("leavers with those who are gone = %v, %v", all, err)
		}
	})
}

func TestRequestTokens_AddsUpAndIsForgottenWhenDone(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.joiner()
		request := func(r bindings.TokenRequest) error {
			return f.try(func(ctx context.Context, tx *database.Tx) error { return f.RequestTokens(ctx, tx, b.ID, r, admin) })
		}
		if err := request(bindings.TokenRequest{IDs: []int{7}}); !errors.Is(err, bindings.ErrNotFound) {
			t.Errorf("without a login: %v", err)
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Bind(ctx, tx, b.ID, "ada", "ada") })
		for _, ids := range [][]int{{7}, {3, 7}} {
			if err := request(bindings.TokenRequest{IDs: ids}); err != nil {
				t.Fatal(err)
			}
		}
		got := f.claimOne("one")
		if diff := cmp.Diff(bindings.TokenRequest{IDs: []int{3, 7}}, got.RevokeTokens); diff != "" || got.Cause != admin {
			t.Errorf("cause %v, request (-want +got):\n%s", got.Cause, diff)
		}
		// Somebody asks for more while the pass is under way: its outcome does not cover that.
		if err := request(bindings.TokenRequest{All: true}); err != nil {
			t.Fatal(err)
		}
		if f.observe(bindings.Outcome{Binding: got, TokensEnded: true}) {
			t.Error("the older pass was believed")
		}
		if err := f.Release(t.Context(), got.Lease, []string{got.ID}, time.Now()); err != nil {
			t.Fatal(err)
		}
		got = f.claimOne("two")
		if !got.RevokeTokens.All {
			t.Errorf("request = %v, want everything", got.RevokeTokens)
		}
		f.observe(bindings.Outcome{Binding: got})
		if got = f.of(b.Subject); got.RevokeTokens.IsZero() {
			t.Error("the request was forgotten without being done")
		}
		f.mark(bindings.Mark{Event: bindings.Drift}, b.Subject)
		f.observe(bindings.Outcome{Binding: f.claimOne("three"), TokensEnded: true})
		if got = f.of(b.Subject); !got.RevokeTokens.IsZero() {
			t.Errorf("request = %v after it was done", got.RevokeTokens)
		}
	})
}

// A policy asks in nobody's name: it neither hides who asked for what is not verified yet, nor borrows an old name.
func TestRequestTokens_OfAPolicy(t *testing.T) {
	okta := bindings.Cause{Actor: "okta", RequestID: "r1"}
	run(t, func(t *testing.T, f *fixture) {
		id := f.people(1)[0]
		f.mark(bindings.Mark{Event: bindings.Joiner, Cause: okta}, id)
		binding := f.of(id).ID
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Bind(ctx, tx, binding, "ada", "ada") })
		ask := func() bindings.Cause {
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				return f.RequestTokens(ctx, tx, binding, bindings.TokenRequest{IDs: []int{1}}, bindings.Cause{})
			})
			return f.of(id).Cause
		}
		if got := ask(); got != okta {
			t.Errorf("cause %v while the joiner is not verified, want %v", got, okta)
		}
		f.observe(bindings.Outcome{Binding: f.claimOne("one"), Verified: true})
		if got := ask(); !got.IsZero() {
			t.Errorf("cause %v, want nobody", got)
		}
	})
}

func TestClaimTokens_OneAtATime(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		claim := func(next time.Time) (ok bool) {
			f.tx(func(ctx context.Context, tx *database.Tx) (err error) {
				ok, err = f.ClaimTokens(ctx, tx, "main", next)
				return err
			})
			return ok
		}
		if !claim(time.Now().Add(time.Hour)) || claim(time.Now().Add(time.Hour)) {
			t.Error("the turn was not taken once")
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE targets SET tokens_due_at = 1`)
			return err
		})
		if !claim(time.Now()) {
			t.Error("the turn was not taken when it came")
		}
	})
}

// The cause is that of the change that is not verified yet: what the bridge finds by itself does not
// hide who asked, and nothing hides who made somebody a leaver.
func TestMarkDue_KeepsTheCause(t *testing.T) {
	okta, entra := bindings.Cause{Actor: "okta", RequestID: "r1"}, bindings.Cause{Actor: "entra", RequestID: "r2"}
	run(t, func(t *testing.T, f *fixture) {
		id := f.people(1)[0]
		for _, step := range []struct {
			mark bindings.Mark
			want bindings.Cause
		}{
			{bindings.Mark{Event: bindings.Joiner, Cause: okta}, okta},
			{bindings.Mark{Event: bindings.Drift}, okta},
			{bindings.Mark{Event: bindings.Mover, Cause: entra}, entra},
			{bindings.Mark{Event: bindings.Leaver, Cause: okta}, okta},
			{bindings.Mark{Event: bindings.Mover, Cause: entra}, okta},
		} {
			f.mark(step.mark, id)
			if got := f.of(id).Cause; got != step.want {
				t.Errorf("after %v: cause %v, want %v", step.mark, got, step.want)
			}
		}
		f.observe(bindings.Outcome{Binding: f.claimOne("one"), Verified: true})
		f.mark(bindings.Mark{Event: bindings.Drift}, id)
		if got := f.of(id).Cause; !got.IsZero() {
			t.Errorf("cause of a drift = %v, want nobody", got)
		}
	})
}

// What is written is what is read, and a request is never lost by adding another.
func TestTokenRequest_Property(t *testing.T) {
	f := newFixture(t, databasetest.SQLite(t))
	rapid.Check(t, func(rt *rapid.T) {
		b := f.joiner()
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Bind(ctx, tx, b.ID, b.ID, b.ID) })
		all, want := false, map[int]bool{}
		for range rapid.IntRange(1, 4).Draw(rt, "requests") {
			r := bindings.TokenRequest{All: rapid.IntRange(0, 9).Draw(rt, "all") == 0}
			if !r.All {
				r.IDs = rapid.SliceOfN(rapid.IntRange(1, 9), 1, 4).Draw(rt, "ids")
			}
			all = all || r.All
			for _, id := range r.IDs {
				want[id] = true
			}
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				return f.RequestTokens(ctx, tx, b.ID, r, bindings.Cause{})
			})
		}
		got := f.of(b.Subject).RevokeTokens
		if got.All != all {
			rt.Fatalf("all = %v, want %v", got.All, all)
		}
		if !all && len(got.IDs) != len(want) {
			rt.Fatalf("ids = %v, want %v", got.IDs, want)
		}
		for _, id := range got.IDs {
			if !want[id] {
				rt.Fatalf("id %d was never asked for", id)
			}
		}
	})
}
