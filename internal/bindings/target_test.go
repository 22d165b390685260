package bindings_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

func (f *fixture) targets() []string {
	f.Helper()
	all, err := f.Targets(f.Context(), f.db.Reader())
	if err != nil {
		f.Fatal(err)
	}
	var names []string
	for _, target := range all {
		names = append(names, target.Name+" "+target.Mode)
	}
	return names
}

func TestEnsure_ANewTargetGetsEverybody(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		ids := f.people(3)
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids...)
		orphan := f.people(1)[0]
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE subjects SET orphaned_at = 1 WHERE id = $1`, orphan)
			return err
		})
		f.woken = 0
		f.ensure("main", "second")
		got, err := f.AllBindings(t.Context(), "second", "", 10)
		if err != nil || len(got) != 3 {
			t.Fatalf("%d bindings on the new target, %v", len(got), err)
		}
		for _, b := range got {
			if b.Priority != bindings.PriorityLow || b.DueAt == nil || b.Event != bindings.NoEvent || !b.AcceptedAt.IsZero() {
				t.Errorf("binding = %+v", b)
			}
		}
		if f.woken == 0 {
			t.Error("nobody was woken")
		}
	})
}

func TestEnsure_IsIdempotent(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.converge()
		f.woken = 0
		f.ensure("main")
		if diff := cmp.Diff(b, f.of(b.Subject)); diff != "" || f.woken != 0 {
			t.Errorf("woken %d times, binding:\n%s", f.woken, diff)
		}
	})
}

func TestEnsure_AChangedModeMakesDue(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.converge()
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			return f.Ensure(ctx, tx, []bindings.TargetSpec{{Name: "main", Mode: "enforce", URL: "https://new.example.com/"}})
		})
		got := f.of(b.Subject)
		if got.DueAt == nil || got.Generation != b.Generation+1 || got.Priority != bindings.PriorityLow {
			t.Errorf("binding = %+v", got)
		}
		if diff := cmp.Diff([]string{"main enforce"}, f.targets()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEnsure_RetiresAndBringsBack(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.ensure("main", "second")
		f.ensure("main")
		if diff := cmp.Diff([]string{"main observe"}, f.targets()); diff != "" {
			t.Error(diff)
		}
		b := f.joiner() // gets no binding on second
		f.ensure("main", "second")
		if all, _ := f.BySubject(t.Context(), b.Subject); len(all) != 2 {
			t.Errorf("%d bindings after the target came back", len(all))
		}
		f.ensure()
		if got := f.targets(); got != nil {
			t.Errorf("targets = %v", got)
		}
	})
}

func TestFillIn_FindsWhoWasMissed(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		if n, err := f.FillIn(t.Context(), "main"); n != 0 || err != nil {
			t.Errorf("FillIn = %d, %v", n, err)
		}
		missed := f.people(2)
		if n, err := f.FillIn(t.Context(), "main"); n != 2 || err != nil {
			t.Errorf("FillIn = %d, %v", n, err)
		}
		if b := f.of(missed[0]); b.Priority != bindings.PriorityLow || b.DueAt == nil {
			t.Errorf("binding = %+v", b)
		}
	})
}

func TestCompare_OneAtATime(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		claim := func(lease string, until time.Time) bool {
			t.Helper()
			ok, err := f.ClaimCompare(t.Context(), "main", lease, until)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		soon := time.Now().Add(time.Minute)
		if !claim("one", soon) {
			t.Fatal("a new target is not due")
		}
		if claim("two", soon) {
			t.Error("two compares at once")
		}
		if !claim("one", time.Now().Add(-time.Second)) {
			t.Error("a lease cannot be renewed by its holder")
		}
		if !claim("two", soon) {
			t.Error("a lease that ran out is not taken over")
		}
		next := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
		if err := f.CompareDone(t.Context(), "main", "one", time.Now()); err != nil {
			t.Fatal(err)
		}
		if claim("three", soon) {
			t.Error("a worker that lost its lease ended the compare of another")
		}
		if err := f.CompareDone(t.Context(), "main", "two", next); err != nil {
			t.Fatal(err)
		}
		if claim("three", soon) {
			t.Error("due before its time")
		}
		if all, err := f.Targets(t.Context(), f.db.Reader()); err != nil || !all[0].CompareDueAt.Equal(next) {
			t.Errorf("targets = %+v, %v", all, err)
		}
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.CompareNow(ctx, tx, "main") })
		if !claim("three", soon) {
			t.Error("not due after CompareNow")
		}
		// Asked for while it runs: it stays due.
		f.tx(func(ctx context.Context, tx *database.Tx) error { return f.CompareNow(ctx, tx, "main") })
		if err := f.CompareDone(t.Context(), "main", "three", next); err != nil || !claim("four", soon) {
			t.Errorf("a compare that was asked for meanwhile is lost: %v", err)
		}
		err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error { return f.CompareNow(ctx, tx, "none") })
		if !errors.Is(err, bindings.ErrNotFound) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestActivateRules(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		if r, err := f.ActiveRules(t.Context()); err != nil || r.Hash != "" {
			t.Errorf("before the first: %+v, %v", r, err)
		}
		f.joiner()
		converged := f.converge()
		gone := f.joiner()
		b := f.claimOne("one")
		b.State = bindings.Gone
		f.observe(bindings.Outcome{Binding: b, Verified: true})

		activate := func(hash string) {
			t.Helper()
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				return f.ActivateRules(ctx, tx, bindings.RuleSet{Hash: hash, Text: "text of " + hash, Origin: "mapping.ini"})
			})
		}
		activate("a")
		r, err := f.ActiveRules(t.Context())
		if err != nil || r.Hash != "a" || r.Text != "text of a" || r.Origin != "mapping.ini" || r.ID == "" || time.Since(r.ActivatedAt) > time.Minute {
			t.Errorf("active = %+v, %v", r, err)
		}
		got := f.of(converged.Subject)
		if got.DueAt == nil || got.Priority != bindings.PriorityLow || got.Generation != converged.Generation+1 || got.Event != bindings.NoEvent || !got.AcceptedAt.IsZero() {
			t.Errorf("binding = %+v", got)
		}
		if f.of(gone.Subject).DueAt != nil {
			t.Error("an account that does not exist is due for new rules")
		}
		activate("a")
		if again := f.of(converged.Subject); again.Generation != got.Generation {
			t.Error("the same rules made bindings due")
		}
		activate("b")
		if r, _ := f.ActiveRules(t.Context()); r.Hash != "b" {
			t.Errorf("active = %+v", r)
		}
		activate("a")
		if r, _ := f.ActiveRules(t.Context()); r.Hash != "a" {
			t.Errorf("active = %+v: rules cannot go back", r)
		}
	})
}

func TestActivateRules_LowDoesNotSlowWhatIsUrgent(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		id := f.joiner().Subject
		f.mark(bindings.Mark{Event: bindings.Leaver}, id)
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			return f.ActivateRules(ctx, tx, bindings.RuleSet{Hash: "a"})
		})
		if b := f.of(id); b.Priority != bindings.PriorityLeaver || b.Event != bindings.Leaver {
			t.Errorf("binding = %+v", b)
		}
	})
}

func TestActivateRules_ReplicasTogether(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		for round := range 3 {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
						return f.ActivateRules(ctx, tx, bindings.RuleSet{Hash: string(rune('a' + round))})
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		if r, err := f.ActiveRules(t.Context()); err != nil || r.Hash != "c" {
			t.Errorf("active = %+v, %v", r, err)
		}
		var n int
		if err := f.db.Reader().QueryRow(t.Context(), `SELECT COUNT(*) FROM rule_sets`).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d rule sets, %v; want each activated once", n, err)
		}
	})
}

// Somebody who comes back is worked while the row still says that they have left: a pass that began
// with the rules of before must not end as if it had seen the new ones.
func TestActivateRules_DuringThePassOfAComeBack(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := f.leaver()
		f.mark(bindings.Mark{Event: bindings.Joiner}, b.Subject)
		b = f.claimOne("one")
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			return f.ActivateRules(ctx, tx, bindings.RuleSet{Hash: "a"})
		})
		b.State = bindings.Converged
		if f.observe(bindings.Outcome{Binding: b, Verified: true}) {
			t.Error("the pass that knew nothing of the new rules was believed")
		}
	})
}

// Somebody new who arrives while rules are being activated is not passed over: who is worked before
// the commit is due after it, and who is not is worked with the new rules.
func TestActivateRules_NobodyArrivesInBetween(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		if f.db.Dialect().Name() == "sqlite" {
			return // one writer: nothing is in between
		}
		f.OnDue(func() {}) // two of them at once
		activated, through, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		activate := func(ctx context.Context, tx *database.Tx) error {
			if err := f.ActivateRules(ctx, tx, bindings.RuleSet{Hash: "a"}); err != nil {
				return err
			}
			close(activated)
			// Until the newcomer is through, or waits for this transaction.
			for waiting := 0; waiting == 0; {
				select {
				case <-through:
					return nil
				default:
				}
				err := f.db.Reader().QueryRow(ctx, `SELECT COUNT(*) FROM pg_locks, pg_sleep(0.001) WHERE NOT granted`).Scan(&waiting)
				if err != nil {
					return err
				}
			}
			return nil
		}
		go func() { ended <- f.db.InTx(t.Context(), activate) }()
		select {
		case <-activated:
		case err := <-ended:
			t.Fatal(err)
		}
		id := f.people(1)[0]
		f.mark(bindings.Mark{Event: bindings.Joiner}, id)
		b := f.claimOne("one")
		rules, err := f.ActiveRules(t.Context())
		b.State = bindings.Converged
		f.observe(bindings.Outcome{Binding: b, Verified: true})
		close(through)
		if err := errors.Join(err, <-ended); err != nil {
			t.Fatal(err)
		}
		if b := f.of(id); rules.Hash != "a" && b.DueAt == nil {
			t.Errorf("binding %+v was decided with rules %q and is not due", b, rules.Hash)
		}
	})
}

func TestRemovals(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		now := time.Now()
		one, two := bindings.Binding{ID: "1", Target: "main"}, bindings.Binding{ID: "2", Target: "main"}
		other := bindings.Binding{ID: "3", Target: "second"}
		for _, r := range []struct {
			kind bindings.RemovalKind
			b    bindings.Binding
			ago  time.Duration
		}{
			{bindings.ByGroup, one, time.Hour},
			{bindings.ByGroup, one, time.Minute},
			{bindings.ByGroup, two, 25 * time.Hour},
			{bindings.ByLeaver, two, time.Minute},
			{bindings.ByGroup, other, time.Minute},
		} {
			f.tx(func(ctx context.Context, tx *database.Tx) error {
				return f.RecordRemoval(ctx, tx, r.kind, r.b, now.Add(-r.ago))
			})
		}
		for _, c := range []struct {
			kind   bindings.RemovalKind
			target string
			window time.Duration
			want   int
		}{
			{bindings.ByGroup, "main", 24 * time.Hour, 1},
			{bindings.ByGroup, "main", 48 * time.Hour, 2},
			{bindings.ByGroup, "main", time.Second, 0},
			{bindings.ByLeaver, "main", 24 * time.Hour, 1},
			{bindings.ByGroup, "second", 24 * time.Hour, 1},
		} {
			n, err := f.CountRemovals(t.Context(), f.db.Reader(), c.kind, c.target, now.Add(-c.window))
			if err != nil || n != c.want {
				t.Errorf("%s on %s in %v: %d, %v; want %d", c.kind, c.target, c.window, n, err, c.want)
			}
		}
	})
}

func TestEvidence(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		e := bindings.Evidence{Kind: "reports", Target: "main", Login: "BJensen", LoginKey: "bjensen", Data: json.RawMessage(`[{"id":1}]`)}
		second := e
		second.Kind = "account"
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			return errors.Join(f.SaveEvidence(ctx, tx, e), f.SaveEvidence(ctx, tx, second))
		})
		got, err := f.EvidenceOf(t.Context(), f.db.Reader(), "main", "bjensen")
		if err != nil || len(got) != 2 || got[0].Kind != "reports" || got[1].Kind != "account" || string(got[0].Data) != `[{"id":1}]` ||
			got[0].Login != "BJensen" || got[0].ID == "" || time.Since(got[0].SavedAt) > time.Minute {
			t.Errorf("evidence = %+v, %v", got, err)
		}
		if got, err := f.EvidenceOf(t.Context(), f.db.Reader(), "main", "other"); err != nil || got != nil {
			t.Errorf("evidence = %+v, %v", got, err)
		}
	})
}
