package bindings_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

// filled is a binding with every field that a pass decides.
func filled(b bindings.Binding) bindings.Binding {
	at := func(hours int) *time.Time {
		return new(time.Date(2026, 11, 24, hours, 0, 0, 1000, time.UTC))
	}
	b.State, b.Reason, b.Detail = bindings.Blocked, "email_taken", "for people"
	b.Grants, b.Superuser, b.Adopted, b.CreatedByUs, b.Tokens = []byte(`[{"site":1}]`), true, true, true, bindings.TokensInert
	b.LeftAt, b.RevokedAt, b.DeleteAt, b.ValidUntil, b.HoldUntil = at(1), at(2), at(3), at(4), at(5)
	b.OrphanSource, b.OrphanExternalID = "okta", "00u1"
	return b
}

func TestObserve_WritesTheOutcome(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := filled(f.claimOne("one"))
		next := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
		if !f.observe(bindings.Outcome{Binding: b, Next: &next, Verified: true}) {
			t.Fatal("did not match")
		}
		want := b
		want.Observed, want.DueAt, want.Priority = b.Generation, &next, bindings.PriorityNormal
		want.Lease, want.LeaseUntil, want.UnsettledSince = "", nil, nil
		want.Event, want.AcceptedAt = bindings.NoEvent, time.Time{}
		if diff := cmp.Diff(want, f.of(b.Subject)); diff != "" {
			t.Errorf("binding (-want +got):\n%s", diff)
		}
	})
}

func TestObserve_UnverifiedKeepsTheClock(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		before := f.joiner()
		b := f.claimOne("one")
		b.State = bindings.Held
		f.observe(bindings.Outcome{Binding: b, Urgent: true, Next: new(time.Now())})
		got := f.of(b.Subject)
		if got.Event != bindings.Joiner || !got.AcceptedAt.Equal(before.AcceptedAt) || got.Priority != bindings.PriorityLeaver || got.Observed != 1 {
			t.Errorf("binding = %+v", got)
		}
	})
}

// The row is the queue: an event between claim and observe is never lost.
func TestObserve_AnEventMeanwhileWins(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := filled(f.claimOne("one"))
		f.mark(bindings.Mark{Event: bindings.Mover}, b.Subject)
		before := f.of(b.Subject)
		if f.observe(bindings.Outcome{Binding: b, Verified: true}) {
			t.Error("matched an older generation")
		}
		if diff := cmp.Diff(before, f.of(b.Subject)); diff != "" {
			t.Errorf("something was written (-before +after):\n%s", diff)
		}

		f.record(bindings.Outcome{Binding: b, Next: new(time.Now().Add(time.Hour))})
		got := f.of(b.Subject)
		want := b
		want.Generation, want.Observed, want.DueAt, want.ChangedAt = 2, 0, before.DueAt, before.ChangedAt
		want.Lease, want.LeaseUntil, want.Event = "", nil, bindings.Mover
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("facts are not kept (-want +got):\n%s", diff)
		}
		if again := f.claimOne("two"); again.Generation != 2 {
			t.Errorf("claimed generation %d", again.Generation)
		}
	})
}

// record ends a pass that did not reach its end.
func (f *fixture) record(o bindings.Outcome) bool {
	f.Helper()
	var ok bool
	f.tx(func(ctx context.Context, tx *database.Tx) (err error) {
		ok, err = f.Record(ctx, tx, o)
		return err
	})
	return ok
}

func TestObserve_ALostLeaseWritesNothing(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		b.Lease = "another"
		before := f.of(b.Subject)
		if f.observe(bindings.Outcome{Binding: b}) || f.record(bindings.Outcome{Binding: b}) {
			t.Error("matched without the lease")
		}
		if diff := cmp.Diff(before, f.of(b.Subject)); diff != "" {
			t.Errorf("something was written (-before +after):\n%s", diff)
		}
	})
}

func TestRecord_BacksOff(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		for attempt := 1; attempt <= 3; attempt++ {
			b := f.claimOne(database.NewID())
			b.State, b.Reason = bindings.Failed, "refused"
			next := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
			f.record(bindings.Outcome{Binding: b, Next: &next})
			if got := f.of(b.Subject); got.Attempts != attempt || !got.DueAt.Equal(next) || got.State != bindings.Failed || got.Observed != 0 || got.Lease != "" {
				t.Errorf("attempt %d: %+v", attempt, got)
			}
		}
		f.converge()
		if b, _ := f.AllBindings(t.Context(), "main", "", 1); b[0].Attempts != 0 {
			t.Errorf("attempts = %d after a pass that worked", b[0].Attempts)
		}
	})
}

// A leave that came during the pass is newer than what the pass knew.
func TestRecord_KeepsALeaveThatCameMeanwhile(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		f.mark(bindings.Mark{Event: bindings.Leaver}, b.Subject)
		f.record(bindings.Outcome{Binding: b})
		if f.of(b.Subject).LeftAt == nil {
			t.Error("the leave was forgotten")
		}
	})
}

func TestRecordFacts(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		facts := func(lease string, facts bindings.Facts) (ok bool) {
			f.tx(func(ctx context.Context, tx *database.Tx) (err error) {
				ok, err = f.RecordFacts(ctx, tx, b.ID, lease, facts)
				return err
			})
			return ok
		}
		at := time.Now().Truncate(time.Microsecond).UTC()
		all := bindings.Facts{
			CreatedByUs: new(true), Adopted: new(true), Superuser: new(true), Grants: []byte(`[1]`), Tokens: new(bindings.TokensDead),
			LeftAt: &at, RevokedAt: &at, DeleteAt: &at,
		}
		if facts("another", all) {
			t.Error("written without the lease")
		}
		if !facts("one", all) || !facts("one", bindings.Facts{}) {
			t.Error("not written")
		}
		want := b
		want.CreatedByUs, want.Adopted, want.Superuser, want.Grants, want.Tokens = true, true, true, []byte(`[1]`), bindings.TokensDead
		want.LeftAt, want.RevokedAt, want.DeleteAt = &at, &at, &at
		if diff := cmp.Diff(want, f.of(b.Subject)); diff != "" {
			t.Errorf("binding (-want +got):\n%s", diff)
		}

		if !facts("one", bindings.Facts{CameBack: true}) {
			t.Error("not written")
		}
		if got := f.of(b.Subject); got.LeftAt != nil || got.RevokedAt != nil || got.DeleteAt != nil {
			t.Errorf("come-back leaves %v, %v, %v", got.LeftAt, got.RevokedAt, got.DeleteAt)
		}
		f.mark(bindings.Mark{Event: bindings.Leaver}, b.Subject)
		facts("one", bindings.Facts{CameBack: true})
		if f.of(b.Subject).LeftAt == nil {
			t.Error("a come-back hid the leave that came after it")
		}
	})
}

func TestBind(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		one, two := f.joiner(), f.joiner()
		bind := func(id, login, key string) error {
			return f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error { return f.Bind(ctx, tx, id, login, key) })
		}
		if err := errors.Join(bind(one.ID, "Müller", "muller"), bind(one.ID, "Müller", "muller")); err != nil {
			t.Fatal(err)
		}
		var taken *bindings.LoginTakenError
		err := bind(two.ID, "MULLER", "muller")
		if !errors.As(err, &taken) || taken.BindingID != one.ID || taken.Target != "main" || taken.Login != "MULLER" {
			t.Errorf("err = %v", err)
		}
		if got := f.of(two.Subject); got.Login != "" {
			t.Errorf("login = %s", got.Login)
		}
		if err := bind("none", "x", "x"); !errors.Is(err, bindings.ErrNotFound) {
			t.Errorf("err = %v", err)
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Unbind(ctx, tx, one.ID) })
		if err := bind(two.ID, "MULLER", "muller"); err != nil {
			t.Errorf("after unbind: %v", err)
		}
	})
}

func TestBind_TheSameLoginOnAnotherTarget(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.ensure("main", "second")
		id := f.people(1)[0]
		f.mark(bindings.Mark{Event: bindings.Joiner}, id)
		both, _ := f.BySubject(t.Context(), id)
		for _, b := range both {
			f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Bind(ctx, tx, b.ID, "a", "a") })
		}
	})
}

// Of many who want a login at once, one gets it and the others learn who.
func TestBind_Race(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(8)...)
		all := f.claim("one", 10)
		errs := make([]error, len(all))
		var wg sync.WaitGroup
		for i, b := range all {
			wg.Go(func() {
				errs[i] = f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
					return f.Bind(ctx, tx, b.ID, "wanted", "wanted")
				})
			})
		}
		wg.Wait()
		owner, err := f.ByLogin(t.Context(), "main", "wanted")
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range errs {
			var taken *bindings.LoginTakenError
			switch {
			case all[i].ID == owner.ID && err != nil:
				t.Errorf("the owner got %v", err)
			case all[i].ID != owner.ID && (!errors.As(err, &taken) || taken.BindingID != owner.ID):
				t.Errorf("another got %v", err)
			}
		}
	})
}

// An intent is not written for a binding that an event has met since the claim: what is about to be sent is old.
func TestRecordFacts_Unmoved(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		write := func() (ok bool) {
			f.tx(func(ctx context.Context, tx *database.Tx) (err error) {
				ok, err = f.RecordFacts(ctx, tx, b.ID, "one", bindings.Facts{Unmoved: true, Grants: []byte(`[1]`)})
				return err
			})
			return ok
		}
		if !write() {
			t.Error("refused without an event")
		}
		f.mark(bindings.Mark{Event: bindings.Leaver}, b.Subject)
		if write() {
			t.Error("written after the person left")
		}
	})
}

// Those for whom something was found that only a person can change are listed, and nobody else.
func TestStuck(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		want := map[bindings.State]bool{bindings.Held: true, bindings.Blocked: true, bindings.Conflict: true, bindings.Failed: true}
		f.ensure("main", "eu")
		for _, state := range bindings.States() {
			id := f.people(1)[0]
			f.mark(bindings.Mark{Event: bindings.Joiner, Targets: []string{"main"}}, id)
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE bindings SET state = $1 WHERE subject_id = $2`, string(state), id)
				return err
			})
		}
		got, err := f.Stuck(t.Context(), "main")
		if err != nil || len(got) != len(want) {
			t.Errorf("%d are stuck, %v; want %d", len(got), err, len(want))
		}
		for _, b := range got {
			if !want[b.State] {
				t.Errorf("%s is stuck", b.State)
			}
		}
		if got, err := f.Stuck(t.Context(), "eu"); err != nil || len(got) > 0 {
			t.Errorf("on another target: %v, %v", got, err)
		}
	})
}
