package bindings_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func subjectsOf(claimed []bindings.Binding) []string {
	ids := make([]string, len(claimed))
	for i, b := range claimed {
		ids[i] = b.Subject
	}
	return ids
}

func TestClaim_LeaversFirstThenTheLongestWaiting(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		ids := f.people(5)
		f.mark(bindings.Mark{Priority: bindings.PriorityLow}, ids[0])
		f.mark(bindings.Mark{Event: bindings.Mover}, ids[1])
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids[2])
		f.mark(bindings.Mark{Event: bindings.Leaver}, ids[3])
		f.mark(bindings.Mark{Event: bindings.Leaver}, ids[4])
		first := f.claim("one", 3)
		if got, want := subjectsOf(first), []string{ids[3], ids[4], ids[1]}; !slices.Equal(got, want) {
			t.Errorf("first claim %v, want %v", got, want)
		}
		for _, b := range first {
			if b.Lease != "one" || b.LeaseUntil == nil || time.Until(*b.LeaseUntil) > time.Minute || b.Generation != 1 {
				t.Errorf("claimed = %+v", b)
			}
		}
		if got, want := subjectsOf(f.claim("two", 10)), []string{ids[2], ids[0]}; !slices.Equal(got, want) {
			t.Errorf("second claim %v, want %v", got, want)
		}
		if got := f.claim("three", 10); len(got) != 0 {
			t.Errorf("third claim got %v", subjectsOf(got))
		}
	})
}

// TestClaim_ManyAreClaimedInTurns: a large claim is several transactions, and loses
// neither the order nor the limit.
func TestClaim_ManyAreClaimedInTurns(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		early, leavers := f.people(120), f.people(110)
		f.mark(bindings.Mark{Event: bindings.Joiner}, early...)
		f.mark(bindings.Mark{Event: bindings.Leaver}, leavers...)
		first, second := f.claim("one", 210), f.claim("two", 210)
		if len(first) != 210 || len(second) != 20 {
			t.Fatalf("claimed %d and %d of 230", len(first), len(second))
		}
		for i, b := range first {
			if isLeaver := i < len(leavers); isLeaver != (b.Event == bindings.Leaver) {
				t.Fatalf("claim %d is of a %s: leavers come first", i, b.Event)
			}
		}
		seen := map[string]bool{}
		for _, id := range subjectsOf(append(first, second...)) {
			seen[id] = true
		}
		if len(seen) != 230 {
			t.Errorf("%d of 230 people were claimed", len(seen))
		}
	})
}

func TestClaim_RangeOfPriorities(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		ids := f.people(3)
		f.mark(bindings.Mark{Priority: bindings.PriorityLow}, ids[0])
		f.mark(bindings.Mark{Event: bindings.Mover}, ids[1])
		f.mark(bindings.Mark{Event: bindings.Leaver}, ids[2])
		claim := func(lowest, highest bindings.Priority) []string {
			got, err := f.Claim(t.Context(), bindings.ClaimRequest{
				Target: "main", Lease: database.NewID(), Limit: 10, Min: lowest, Max: highest, LeaseFor: time.Minute,
			})
			if err != nil {
				t.Fatal(err)
			}
			return subjectsOf(got)
		}
		if got := claim(bindings.PriorityLeaver, bindings.PriorityLeaver); !slices.Equal(got, ids[2:]) {
			t.Errorf("leavers = %v", got)
		}
		if got := claim(bindings.PriorityNormal, bindings.PriorityNormal); !slices.Equal(got, ids[1:2]) {
			t.Errorf("normal = %v", got)
		}
		if got := claim(bindings.PriorityLeaver, bindings.PriorityLow); !slices.Equal(got, ids[:1]) {
			t.Errorf("rest = %v", got)
		}
	})
}

func TestClaim_LeavesOtherTargetsAlone(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.ensure("main", "second")
		f.mark(bindings.Mark{Event: bindings.Joiner, Targets: []string{"second"}}, f.people(1)...)
		if got := f.claim("one", 10); len(got) != 0 {
			t.Errorf("claimed %v of another target", got)
		}
	})
}

func TestClaim_TakesOverALeaseThatRanOut(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("dead")
		if held, err := f.Renew(t.Context(), "dead", time.Now().Add(-time.Second)); err != nil || !held {
			t.Fatal(held, err)
		}
		if held, err := f.Renew(t.Context(), "dead", time.Now().Add(time.Hour)); err != nil || held {
			t.Errorf("a lease that ran out was extended: %v, %v", held, err)
		}
		if got := f.claimOne("next"); got.ID != b.ID {
			t.Errorf("claimed %s, want %s", got.ID, b.ID)
		}
		if f.observe(bindings.Outcome{Binding: b}) {
			t.Error("the worker that lost its lease could still observe")
		}
	})
}

func TestClaim_EachBindingOnce(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(200)...)
		var mu sync.Mutex // guards seen
		seen := map[string]int{}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for {
					got, err := f.Claim(t.Context(), bindings.ClaimRequest{
						Target: "main", Lease: database.NewID(), Limit: 7, Max: bindings.PriorityLow, LeaseFor: time.Minute,
					})
					if err != nil {
						t.Error(err)
						return
					}
					if len(got) == 0 {
						return
					}
					mu.Lock()
					for _, b := range got {
						seen[b.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
		// A worker may find what is left locked by others and stop; nothing is lost by that.
		if rest := f.claim("rest", 200); len(seen)+len(rest) != 200 {
			t.Errorf("%d claimed and %d left, want 200", len(seen), len(rest))
		}
	})
}

func TestRenew_KeepsTheLease(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("one")
		until := time.Now().Add(time.Hour).Truncate(time.Microsecond)
		if held, err := f.Renew(t.Context(), "one", until); err != nil || !held {
			t.Fatal(held, err)
		}
		if held, err := f.Renew(t.Context(), "other", time.Now()); err != nil || held {
			t.Fatal(held, err)
		}
		// By the clock of the store, which reads a moment later.
		if got := f.of(b.Subject).LeaseUntil; got.Before(until) || got.After(time.Now().Add(time.Hour)) {
			t.Errorf("lease until %v, want %v", got, until)
		}
	})
}

func TestRelease_GivesBack(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(3)...)
		got := f.claim("one", 10)
		f.mark(bindings.Mark{Event: bindings.Leaver}, got[1].Subject)
		f.woken = 0
		later := time.Now().Add(time.Hour).Truncate(time.Microsecond)
		if err := f.Release(t.Context(), "one", []string{got[0].ID, got[1].ID}, later); err != nil {
			t.Fatal(err)
		}
		waiting, changed, kept := f.of(got[0].Subject), f.of(got[1].Subject), f.of(got[2].Subject)
		if waiting.Lease != "" || !waiting.DueAt.Equal(later) || waiting.Attempts != 0 {
			t.Errorf("given back: %+v", waiting)
		}
		if changed.Lease != "" || changed.DueAt.After(time.Now()) {
			t.Errorf("an event came, and it is due at %v", changed.DueAt)
		}
		if kept.Lease != "one" {
			t.Errorf("not given back: %+v", kept)
		}
		if f.woken == 0 {
			t.Error("nobody was woken")
		}
		if err := f.Release(t.Context(), "other", []string{kept.ID}, later); err != nil || f.of(kept.Subject).Lease != "one" {
			t.Errorf("another's lease was released: %v", err)
		}
	})
}

func TestNextDue(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		next := func(lowest, highest bindings.Priority) (time.Time, bool) {
			t.Helper()
			at, ok, err := f.NextDue(t.Context(), "main", lowest, highest)
			if err != nil {
				t.Fatal(err)
			}
			return at, ok
		}
		if at, ok := next(bindings.PriorityLeaver, bindings.PriorityLow); ok {
			t.Errorf("nothing is due, and next is %v", at)
		}
		b := f.joiner()
		if at, ok := next(bindings.PriorityNormal, bindings.PriorityLow); !ok || !at.Equal(*b.DueAt) {
			t.Errorf("next = %v, %v; want %v", at, ok, b.DueAt)
		}
		if at, ok := next(bindings.PriorityLeaver, bindings.PriorityLeaver); ok {
			t.Errorf("no leaver is due, and next is %v", at)
		}
		claimed := f.claimOne("one")
		if at, ok := next(bindings.PriorityNormal, bindings.PriorityLow); !ok || !at.Equal(*claimed.LeaseUntil) {
			t.Errorf("next = %v, %v; want the end of the lease %v", at, ok, claimed.LeaseUntil)
		}
		f.observe(bindings.Outcome{Binding: claimed})
		if at, ok := next(bindings.PriorityLeaver, bindings.PriorityLow); ok {
			t.Errorf("nothing is due, and next is %v", at)
		}
	})
}

func TestDueAndUnverifiedLeavers(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		ids := f.people(4)
		if due, err := f.Due(t.Context(), "main"); err != nil || due.N != 0 || due.Oldest != nil {
			t.Errorf("due = %+v, %v", due, err)
		}
		f.mark(bindings.Mark{Event: bindings.Mover}, ids[0])
		f.mark(bindings.Mark{Event: bindings.Leaver}, ids[1])
		f.mark(bindings.Mark{Event: bindings.Leaver}, ids[2])
		f.mark(bindings.Mark{Priority: bindings.PriorityLow}, ids[3])
		due, err := f.Due(t.Context(), "main")
		if err != nil || due.N != 4 || !due.Oldest.Equal(*f.of(ids[0]).DueAt) {
			t.Errorf("due = %+v, %v", due, err)
		}
		left, err := f.UnverifiedLeavers(t.Context(), "main")
		if err != nil || left.N != 2 || !left.Oldest.Equal(f.of(ids[1]).AcceptedAt) {
			t.Errorf("leavers = %+v, %v", left, err)
		}
		b := f.claim("one", 1)[0]
		b.State = bindings.Held
		f.observe(bindings.Outcome{Binding: b})
		if left, _ = f.UnverifiedLeavers(t.Context(), "main"); left.N != 2 {
			t.Error("a held leaver is not unverified any more")
		}
		b = f.claim("two", 1)[0]
		b.State = bindings.Revoked
		f.observe(bindings.Outcome{Binding: b, Verified: true})
		if left, _ = f.UnverifiedLeavers(t.Context(), "main"); left.N != 1 {
			t.Errorf("%d leavers after one was verified, want the held one", left.N)
		}
	})
}

func TestCounts(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.ensure("main", "second")
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(3)...)
		b := f.claim("one", 1)[0]
		b.State = bindings.Converged
		f.observe(bindings.Outcome{Binding: b})
		got, err := f.Counts(t.Context())
		want := []bindings.Count{{Target: "main", State: bindings.Converged, N: 1}, {Target: "main", State: bindings.Pending, N: 2}, {Target: "second", State: bindings.Pending, N: 3}}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("counts = %v, %v", got, err)
		}
		for _, c := range got {
			if !slices.Contains(bindings.States(), c.State) {
				t.Errorf("%s is not in States", c.State)
			}
		}
	})
}

func TestLookUps(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(5)...)
		var all []bindings.Binding
		for after := ""; ; {
			page, err := f.AllBindings(t.Context(), "main", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
			after = page[len(page)-1].ID
		}
		if len(all) != 5 || !slices.IsSortedFunc(all, func(a, b bindings.Binding) int { return compare(a.ID, b.ID) }) {
			t.Fatalf("%d bindings in pages", len(all))
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			return f.Bind(ctx, tx, all[2].ID, "BJensen", "bjensen")
		})
		b, err := f.ByLogin(t.Context(), "main", "bjensen")
		if err != nil || b.ID != all[2].ID || b.Login != "BJensen" || b.LoginKey != "bjensen" {
			t.Errorf("ByLogin = %+v, %v", b, err)
		}
		if _, err := f.ByLogin(t.Context(), "second", "bjensen"); err != bindings.ErrNotFound { //nolint:errorlint // the bare value is promised
			t.Errorf("err = %v", err)
		}
		if b, err := f.Get(t.Context(), f.db.Reader(), all[1].ID); err != nil || b.ID != all[1].ID {
			t.Errorf("Get = %+v, %v", b, err)
		}
		if _, err := f.Get(t.Context(), f.db.Reader(), "none"); err != bindings.ErrNotFound { //nolint:errorlint // the bare value is promised
			t.Errorf("err = %v", err)
		}
	})
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Only somebody whose first step nobody has taken waits: not who is being worked, not
// who waits for the second step, and nobody of another target.
func TestLeaverWaits(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		waits := func(want bool) {
			t.Helper()
			got, err := f.LeaverWaits(t.Context(), "main")
			if err != nil || got != want {
				t.Errorf("waits %t, %v; want %t", got, err, want)
			}
		}
		ids := f.people(2)
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids[0])
		waits(false)
		f.mark(bindings.Mark{Event: bindings.Leaver}, ids[1])
		waits(true)
		if other, err := f.LeaverWaits(t.Context(), "other"); err != nil || other {
			t.Errorf("on another target: %t, %v", other, err)
		}
		claimed := f.claim("one", 1)
		waits(false)
		b := claimed[0]
		b.State = bindings.Revoked
		now := time.Now()
		f.observe(bindings.Outcome{Binding: b, Next: &now, Urgent: true})
		waits(false)
	})
}

// However many transactions a claim takes, it ends at one time: Renew extends all of it or nothing, and a pass
// never goes on with the rest while others may take the beginning.
func TestClaim_EndsAtOneTime(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.mark(bindings.Mark{Event: bindings.Joiner}, f.people(250)...)
		got := f.claim("one", 1000)
		if len(got) != 250 {
			t.Fatalf("claimed %d, want 250", len(got))
		}
		for i, b := range got {
			if !b.LeaseUntil.Equal(*got[0].LeaseUntil) {
				t.Fatalf("binding %d is leased until %v, the first until %v", i, b.LeaseUntil, got[0].LeaseUntil)
			}
		}
	})
}

// Replicas whose clocks differ, by any number of years, do not take each other's leases: the store's clock says when
// one has run out.
func TestClaim_ClocksMayDiffer(t *testing.T) {
	for _, e := range databasetest.Engines() {
		if e.Name == "sqlite" {
			continue // one process, one clock
		}
		address := e.Address(t)
		ahead := newFixture(t, databasetest.Open(t, address, database.Options{}))
		synctest.Test(t, func(t *testing.T) { // in the year 2000
			behind := newFixture(t, databasetest.Open(t, address, database.Options{}))
			b := behind.joiner()
			if got := behind.claimOne("behind"); got.ID != b.ID {
				t.Fatalf("claimed %s, want %s", got.ID, b.ID)
			}
			if held, err := behind.Renew(t.Context(), "behind", time.Now().Add(time.Minute)); err != nil || !held {
				t.Errorf("renewed %v, %v", held, err)
			}
		})
		if got := ahead.claim("ahead", 10); len(got) != 0 {
			t.Errorf("took the lease of %s, which is renewed", got[0].Lease)
		}
	}
}
