package bindings_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

func TestMarkDue_CreatesBindingsOnEveryTarget(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.ensure("main", "second")
		ids := f.people(3)
		f.woken = 0
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids...)
		all, err := f.BySubject(t.Context(), ids...)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 6 {
			t.Fatalf("got %d bindings, want 3 people x 2 targets", len(all))
		}
		b := all[0]
		if b.State != bindings.Pending || b.Generation != 1 || b.Observed != 0 || b.DueAt == nil ||
			b.Priority != bindings.PriorityNormal || b.Event != bindings.Joiner || !b.AcceptedAt.Equal(*b.DueAt) ||
			b.Tokens != bindings.TokensUnknown || string(b.Grants) != "[]" || b.Login != "" || b.LeftAt != nil {
			t.Errorf("new binding = %+v", b)
		}
		if f.woken != 1 {
			t.Errorf("woken %d times, want once", f.woken)
		}
	})
}

func TestMarkDue_LimitedToTargets(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.ensure("main", "second")
		id := f.people(1)[0]
		f.mark(bindings.Mark{Event: bindings.Joiner, Targets: []string{"second"}}, id)
		if b := f.of(id); b.Target != "second" {
			t.Errorf("binding on %s, want second", b.Target)
		}
	})
}

func TestMarkDue_RollsBackWithItsTransaction(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		id := f.people(1)[0]
		f.woken = 0
		boom := errors.New("boom")
		err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := f.MarkDue(ctx, tx, []string{id}, bindings.Mark{Event: bindings.Joiner}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("err = %v", err)
		}
		if all, _ := f.BySubject(t.Context(), id); len(all) != 0 || f.woken != 0 {
			t.Errorf("%d bindings, %d wake-ups after a rollback", len(all), f.woken)
		}
	})
}

func TestMarkDue_ForgetsTargetsOfARolledBackTransaction(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		ids := f.people(1)
		_ = f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := f.Ensure(ctx, tx, []bindings.TargetSpec{{Name: "main"}, {Name: "never"}}); err != nil {
				return err
			}
			if err := f.MarkDue(ctx, tx, ids, bindings.Mark{}); err != nil {
				return err
			}
			return errors.New("boom")
		})
		f.mark(bindings.Mark{Event: bindings.Joiner}, ids...) // would violate a foreign key
		f.of(ids[0])
	})
}

// folding is what a sequence of marks leaves on a binding that a pass has seen before.
func TestMarkDue_FoldsEvents(t *testing.T) {
	leaver, mover, drift := bindings.Mark{Event: bindings.Leaver}, bindings.Mark{Event: bindings.Mover}, bindings.Mark{Event: bindings.Drift, Priority: bindings.PriorityLow}
	low := bindings.Mark{Priority: bindings.PriorityLow}
	for name, c := range map[string]struct {
		marks    []bindings.Mark
		event    bindings.Event
		priority bindings.Priority
		clock    bool // the propagation clock runs
		left     bool
	}{
		"mover":                        {[]bindings.Mark{mover}, bindings.Mover, bindings.PriorityNormal, true, false},
		"leaver":                       {[]bindings.Mark{leaver}, bindings.Leaver, bindings.PriorityLeaver, true, true},
		"a leaver wins over a mover":   {[]bindings.Mark{mover, leaver}, bindings.Leaver, bindings.PriorityLeaver, true, true},
		"a leaver stays a leaver":      {[]bindings.Mark{leaver, mover}, bindings.Leaver, bindings.PriorityLeaver, true, true},
		"rules are nobody's event":     {[]bindings.Mark{low}, bindings.NoEvent, bindings.PriorityLow, false, false},
		"rules do not hide a mover":    {[]bindings.Mark{mover, low}, bindings.Mover, bindings.PriorityNormal, true, false},
		"a mover overtakes rules":      {[]bindings.Mark{low, mover}, bindings.Mover, bindings.PriorityNormal, true, false},
		"rules do not slow a leaver":   {[]bindings.Mark{leaver, low}, bindings.Leaver, bindings.PriorityLeaver, true, true},
		"drift":                        {[]bindings.Mark{drift}, bindings.Drift, bindings.PriorityLow, false, false},
		"drift does not hide a mover":  {[]bindings.Mark{mover, drift}, bindings.Mover, bindings.PriorityNormal, true, false},
		"a mover overtakes drift":      {[]bindings.Mark{drift, mover}, bindings.Mover, bindings.PriorityNormal, true, false},
		"a leaver's priority is fixed": {[]bindings.Mark{{Event: bindings.Leaver, Priority: bindings.PriorityLow}}, bindings.Leaver, bindings.PriorityLeaver, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, f *fixture) {
				id := f.joiner().Subject
				before := f.converge()
				for _, m := range c.marks {
					f.mark(m, id)
				}
				b := f.of(id)
				if b.Event != c.event || b.Priority != c.priority || b.AcceptedAt.IsZero() == c.clock || (b.LeftAt != nil) != c.left {
					t.Errorf("event %q priority %d accepted %v left %v", b.Event, b.Priority, b.AcceptedAt, b.LeftAt)
				}
				if b.Generation != before.Generation+int64(len(c.marks)) || b.DueAt == nil || b.State != bindings.Converged {
					t.Errorf("generation %d due %v state %s", b.Generation, b.DueAt, b.State)
				}
				if settled := b.UnsettledSince == nil; settled == c.clock {
					t.Errorf("unsettled since %v", b.UnsettledSince)
				}
				if moved := b.ChangedAt.After(before.ChangedAt); moved != c.clock {
					t.Errorf("changed at %v, before %v", b.ChangedAt, before.ChangedAt)
				}
			})
		})
	}
}

func TestMarkDue_KeepsTheClockOfTheFirstChange(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		first := f.joiner()
		f.mark(bindings.Mark{Event: bindings.Mover}, first.Subject)
		b := f.of(first.Subject)
		if !b.AcceptedAt.Equal(first.AcceptedAt) || !b.UnsettledSince.Equal(*first.UnsettledSince) {
			t.Errorf("clocks moved from %v, %v to %v, %v", first.AcceptedAt, first.UnsettledSince, b.AcceptedAt, b.UnsettledSince)
		}
		if !b.ChangedAt.After(first.ChangedAt) || !b.DueAt.After(*first.DueAt) {
			t.Errorf("changed %v due %v did not move", b.ChangedAt, b.DueAt)
		}
	})
}

func TestMarkDue_ResetsAttempts(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.joiner()
		b := f.claimOne("w")
		later := time.Now().Add(time.Hour)
		f.tx(func(ctx context.Context, tx *database.Tx) error {
			_, err := f.Record(ctx, tx, bindings.Outcome{Binding: b, Next: &later})
			return err
		})
		if got := f.of(b.Subject); got.Attempts != 1 {
			t.Fatalf("attempts = %d", got.Attempts)
		}
		f.mark(bindings.Mark{Event: bindings.Mover}, b.Subject)
		if got := f.of(b.Subject); got.Attempts != 0 || got.DueAt.After(time.Now()) {
			t.Errorf("attempts %d due %v after an event", got.Attempts, got.DueAt)
		}
	})
}

func TestMarkDue_ALeaverWhoIsBackIsStillKnownToHaveLeft(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		id := f.joiner().Subject
		f.converge()
		f.mark(bindings.Mark{Event: bindings.Leaver}, id)
		left := f.of(id).LeftAt
		f.mark(bindings.Mark{Event: bindings.Joiner}, id)
		f.mark(bindings.Mark{Event: bindings.Leaver}, id)
		if b := f.of(id); b.LeftAt == nil || !b.LeftAt.Equal(*left) {
			t.Errorf("left at %v, want the first time %v", b.LeftAt, left)
		}
	})
}

func TestMarkDue_ManyAtOnce(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		ids := f.people(1000)
		doubled := append(append([]string{}, ids...), ids[:10]...)
		f.mark(bindings.Mark{Event: bindings.Mover}, doubled...)
		f.mark(bindings.Mark{Event: bindings.Mover}, ids...)
		all, err := f.BySubject(t.Context(), ids...)
		if err != nil || len(all) != len(ids) {
			t.Fatalf("%d bindings, %v", len(all), err)
		}
		for _, b := range all {
			if b.Generation != 2 {
				t.Fatalf("generation %d of %s, want 2", b.Generation, b.Subject)
			}
		}
	})
}

func TestMarkDue_NobodyIsNothing(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.woken = 0
		f.mark(bindings.Mark{Event: bindings.Mover})
		if f.woken != 0 {
			t.Error("woken for nobody")
		}
	})
}
