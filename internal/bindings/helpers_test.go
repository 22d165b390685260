package bindings_test

import (
	"context"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// fixture is a store with its bindings and a count of wake-ups.
type fixture struct {
	testing.TB
	*bindings.Store
	db    *database.DB
	woken int
}

// run runs test on both engines, with the target "main" in the configuration.
func run(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		test(t, f)
	})
}

func newFixture(tb testing.TB, db *database.DB) *fixture {
	tb.Helper()
	f := &fixture{TB: tb, Store: bindings.New(db), db: db}
	f.ensure("main")
	f.OnDue(func() { f.woken++ })
	return f
}

// tx runs fn in a transaction that must succeed.
func (f *fixture) tx(fn func(ctx context.Context, tx *database.Tx) error) {
	f.Helper()
	if err := f.db.InTx(f.Context(), fn); err != nil {
		f.Fatal(err)
	}
}

// ensure makes targets in observe mode known.
func (f *fixture) ensure(names ...string) {
	f.Helper()
	specs := make([]bindings.TargetSpec, len(names))
	for i, name := range names {
		specs[i] = bindings.TargetSpec{Name: name, URL: "https://" + name + ".example.com/", Mode: "observe"}
	}
	f.tx(func(ctx context.Context, tx *database.Tx) error { return f.Ensure(ctx, tx, specs) })
}

// people adds n subjects without bindings.
func (f *fixture) people(n int) []string {
	f.Helper()
	ids := make([]string, n)
	f.tx(func(ctx context.Context, tx *database.Tx) error {
		for i := range ids {
			ids[i] = database.NewID()
			if _, err := tx.Exec(ctx, `INSERT INTO subjects (id, created_at) VALUES ($1, $2)`, ids[i], database.Micros(tx.Now())); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

// mark makes people's bindings due.
func (f *fixture) mark(m bindings.Mark, subjects ...string) {
	f.Helper()
	f.tx(func(ctx context.Context, tx *database.Tx) error { return f.MarkDue(ctx, tx, subjects, m) })
}

// joiner is a person with a due binding on main.
func (f *fixture) joiner() bindings.Binding {
	f.Helper()
	id := f.people(1)[0]
	f.mark(bindings.Mark{Event: bindings.Joiner}, id)
	return f.of(id)
}

// of returns the only binding of a subject.
func (f *fixture) of(subject string) bindings.Binding {
	f.Helper()
	all, err := f.BySubject(f.Context(), subject)
	if err != nil || len(all) != 1 {
		f.Fatalf("BySubject(%s) = %d bindings, %v; want 1", subject, len(all), err)
	}
	return all[0]
}

// claim leases what is due on main for a minute.
func (f *fixture) claim(lease string, limit int) []bindings.Binding {
	f.Helper()
	got, err := f.Claim(f.Context(), bindings.ClaimRequest{
		Target: "main", Lease: lease, Limit: limit, Max: bindings.PriorityLow, LeaseFor: time.Minute,
	})
	if err != nil {
		f.Fatal(err)
	}
	return got
}

// claimOne leases the one binding that is due.
func (f *fixture) claimOne(lease string) bindings.Binding {
	f.Helper()
	got := f.claim(lease, 10)
	if len(got) != 1 {
		f.Fatalf("claimed %d bindings, want 1", len(got))
	}
	return got[0]
}

// observe ends a pass and says whether it counted.
func (f *fixture) observe(o bindings.Outcome) bool {
	f.Helper()
	var ok bool
	f.tx(func(ctx context.Context, tx *database.Tx) (err error) {
		ok, err = f.Observe(ctx, tx, o)
		return err
	})
	return ok
}

// converge takes a due binding through a pass that finds everything right.
func (f *fixture) converge() bindings.Binding {
	f.Helper()
	b := f.claimOne(database.NewID())
	b.State = bindings.Converged
	if !f.observe(bindings.Outcome{Binding: b, Verified: true}) {
		f.Fatal("observe did not match")
	}
	return f.of(b.Subject)
}
