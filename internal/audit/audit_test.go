package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// fixture is a store with its log.
type fixture struct {
	testing.TB
	*audit.Log
	db  *database.DB
	reg *prometheus.Registry
}

func run(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		reg := prometheus.NewPedanticRegistry()
		test(t, &fixture{TB: t, Log: audit.New(db, zap.NewNop(), reg), db: db, reg: reg})
	})
}

// append writes entries, each in a transaction of its own.
func (f *fixture) append(entries ...audit.Entry) {
	f.Helper()
	for _, e := range entries {
		if err := f.db.InTx(f.Context(), func(ctx context.Context, tx *database.Tx) error { return audit.Append(ctx, tx, e) }); err != nil {
			f.Fatal(err)
		}
	}
}

// numbered writes n entries and seals them.
func (f *fixture) numbered(n int) {
	f.Helper()
	for i := range n {
		f.append(audit.Entry{Kind: "user_update", Subject: fmt.Sprint("subject", i%3), Detail: fmt.Sprint("entry ", i+1)})
	}
	if _, err := f.Seal(f.Context()); err != nil {
		f.Fatal(err)
	}
}

// rows returns what a filter chooses.
func (f *fixture) rows(filter audit.Filter) []audit.Row {
	f.Helper()
	var all []audit.Row
	if err := f.Each(f.Context(), filter, func(r audit.Row) error { all = append(all, r); return nil }); err != nil {
		f.Fatal(err)
	}
	return all
}

// exec changes the store behind the log's back.
func (f *fixture) exec(query string, args ...any) {
	f.Helper()
	err := f.db.InTx(f.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

// gauge reads one metric without labels.
func (f *fixture) metric(name string) float64 {
	f.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		f.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	f.Fatalf("no metric %s", name)
	return 0
}

func TestAppend_KeepsEverything(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		before := time.Now().Truncate(time.Microsecond)
		e := audit.Entry{
			Kind: "grant", Actor: "okta", Source: "scim", RequestID: "r1", Subject: "s1", Target: "main", Login: "bjensen",
			Rule: "mapping.ini:12", Detail: "a <b> & ü",
		}
		withValues := e
		withValues.Before = map[string]any{"z": 1, "a": []string{"x"}}
		withValues.After = struct {
			Z bool `json:"z"`
			A *int `json:"a"`
		}{Z: true}
		withValues.Answer = "success"
		f.append(withValues)
		rows := f.rows(audit.Filter{})
		if len(rows) != 1 {
			t.Fatalf("%d rows", len(rows))
		}
		r := rows[0]
		want := e
		want.Before, want.After, want.Answer = json.RawMessage(`{"a":["x"],"z":1}`), json.RawMessage(`{"a":null,"z":true}`), json.RawMessage(`"success"`)
		if diff := cmp.Diff(want, r.Entry); diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
		if r.Seq != 1 || len(r.Hash) != 64 || r.At.Before(before) || r.At.After(time.Now()) || r.At.Location() != time.UTC {
			t.Errorf("row = %+v", r)
		}
		text := fmt.Sprintf(`{"actor":"okta","after":{"a":null,"z":true},"answer":"success","at":%q,"before":{"a":["x"],"z":1},`+
			`"detail":"a <b> & ü","id":%q,"kind":"grant","login":"bjensen","request_id":"r1","rule":"mapping.ini:12","source":"scim",`+
			`"subject":"s1","target":"main"}`, r.At.Format("2006-01-02T15:04:05.000000Z"), r.ID)
		if diff := cmp.Diff(text, string(r.Text)); diff != "" {
			t.Errorf("canonical text (-want +got):\n%s", diff)
		}
	})
}

func TestAppend_IsPartOfTheTransaction(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		boom := errors.New("boom")
		err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := audit.Append(ctx, tx, audit.Entry{Kind: "user_create"}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) || len(f.rows(audit.Filter{})) != 0 {
			t.Errorf("err = %v, %d rows", err, len(f.rows(audit.Filter{})))
		}
	})
}

func TestAppend_RefusesFractions(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		for _, v := range []any{0.5, map[string]any{"deep": []any{1e30}}, json.Number("1.0"), json.RawMessage(`{"a":1E2}`), func() {}} {
			err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				return audit.Append(ctx, tx, audit.Entry{Kind: "user_create", After: v})
			})
			if err == nil || !strings.Contains(err.Error(), "audit user_create: after") {
				t.Errorf("Append(%v) = %v", v, err)
			}
		}
		if got := f.metric("scim_bridge_audit_write_failures_total"); got < 5 {
			t.Errorf("failures = %v, want 5", got)
		}
	})
}

func TestSeal_NumbersAndLinks(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.append(make([]audit.Entry, 3)...)
		if n, err := f.Seal(t.Context()); n != 3 || err != nil {
			t.Fatalf("Seal = %d, %v", n, err)
		}
		f.append(make([]audit.Entry, 300)...)
		if n, err := f.Seal(t.Context()); n != 300 || err != nil {
			t.Fatalf("Seal = %d, %v; want more than a batch", n, err)
		}
		if n, err := f.Seal(t.Context()); n != 0 || err != nil {
			t.Fatalf("Seal = %d, %v; want nothing left", n, err)
		}
		for i, r := range f.rows(audit.Filter{}) {
			if r.Seq != int64(i+1) {
				t.Fatalf("row %d has number %d", i, r.Seq)
			}
		}
		report, err := f.Verify(t.Context())
		if err != nil || report.Sealed != 303 || report.Unsealed != 0 || len(report.Problems) != 0 {
			t.Fatalf("Verify = %+v, %v", report, err)
		}
		if rows := f.rows(audit.Filter{After: 302}); rows[0].Hash != report.Head {
			t.Errorf("last hash %s, head %s", rows[0].Hash, report.Head)
		}
		if got := f.metric("scim_bridge_audit_entries_total"); got != 303 {
			t.Errorf("entries = %v", got)
		}
	})
}

func TestSeal_ConcurrentSealersMakeOneChain(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		errs := make(chan error)
		for range 4 {
			go func() {
				for range 25 {
					err := f.db.InTx(context.Background(), func(ctx context.Context, tx *database.Tx) error {
						return audit.Append(ctx, tx, audit.Entry{Kind: "user_create"})
					})
					if _, serr := f.Seal(context.Background()); serr != nil || err != nil {
						errs <- errors.Join(err, serr)
						return
					}
				}
				errs <- nil
			}()
		}
		for range 4 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		report, err := f.Verify(t.Context())
		if err != nil || report.Sealed != 100 || len(report.Problems) != 0 {
			t.Errorf("Verify = %+v, %v", report, err)
		}
	})
}

func TestRun_SealsAtOnceAndThenAtMostEvery100ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{TB: t, db: databasetest.SQLite(t), reg: prometheus.NewPedanticRegistry()}
		f.Log = audit.New(f.db, zap.NewNop(), f.reg)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		f.append(audit.Entry{Kind: "before the start"})
		go func() {
			f.Run(ctx)
			close(stopped)
		}()
		sealed := func(when string, want float64) {
			t.Helper()
			synctest.Wait()
			if got := f.metric("scim_bridge_audit_entries_total"); got != want {
				t.Errorf("%s: %v sealed, want %v", when, got, want)
			}
		}
		sealed("at the start", 1)
		time.Sleep(time.Hour)
		f.append(audit.Entry{Kind: "one"})
		sealed("after a quiet hour", 2)
		f.append(audit.Entry{Kind: "two"}, audit.Entry{Kind: "three"})
		sealed("right after a seal", 2)
		time.Sleep(99 * time.Millisecond)
		sealed("99 ms after a seal", 2)
		time.Sleep(time.Millisecond)
		sealed("100 ms after a seal", 4)
		f.append(audit.Entry{Kind: "four"})
		cancel()
		<-stopped
		sealed("at the end", 5)
		f.append(audit.Entry{Kind: "five"})
		if r := f.rows(audit.Filter{Kind: "five"}); len(r) != 1 || r[0].Seq != 6 {
			t.Errorf("a reader got %+v, want what waited to be sealed first", r)
		}
	})
}

func TestMetrics_Lint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	audit.New(databasetest.SQLite(t), zap.NewNop(), reg)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// An entry that commits after younger ones were sealed gets its place, and loses nobody else's.
func TestSeal_ALateCommit(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		if db.Dialect().Name() == "sqlite" {
			return // one writer: nothing commits late
		}
		l := audit.New(db, zap.NewNop(), nil)
		another := func() error {
			err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				return audit.Append(ctx, tx, audit.Entry{Kind: "young"})
			})
			_, serr := l.Seal(t.Context())
			return errors.Join(err, serr)
		}
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := audit.Append(ctx, tx, audit.Entry{Kind: "late"}); err != nil {
				return err
			}
			return another()
		})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		err = l.Each(t.Context(), audit.Filter{}, func(r audit.Row) error { kinds = append(kinds, r.Kind); return nil })
		if diff := cmp.Diff([]string{"young", "late"}, kinds); err != nil || diff != "" {
			t.Errorf("chain: %v\n%s", err, diff)
		}
		if report, err := l.Verify(t.Context()); err != nil || len(report.Problems) != 0 {
			t.Errorf("Verify = %+v, %v", report, err)
		}
	})
}
