package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func TestEach_Filters(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.append(
			audit.Entry{Kind: "user_create", Subject: "s1", Target: "", Login: ""},
			audit.Entry{Kind: "grant", Subject: "s1", Target: "main", Login: "a"},
			audit.Entry{Kind: "grant", Subject: "s2", Target: "main", Login: "b"},
			audit.Entry{Kind: "grant", Subject: "s2", Target: "second", Login: "b"},
		)
		all := f.rows(audit.Filter{})
		for name, c := range map[string]struct {
			filter audit.Filter
			want   []int64
		}{
			"all":      {audit.Filter{}, []int64{1, 2, 3, 4}},
			"subject":  {audit.Filter{Subject: "s1"}, []int64{1, 2}},
			"login":    {audit.Filter{Login: "b"}, []int64{3, 4}},
			"target":   {audit.Filter{Target: "second"}, []int64{4}},
			"kind":     {audit.Filter{Kind: "grant", Subject: "s1"}, []int64{2}},
			"after":    {audit.Filter{After: 2}, []int64{3, 4}},
			"limit":    {audit.Filter{Limit: 2}, []int64{1, 2}},
			"since":    {audit.Filter{Since: all[2].At}, []int64{3, 4}},
			"until":    {audit.Filter{Until: all[2].At}, []int64{1, 2}},
			"nobody":   {audit.Filter{Subject: "s3"}, nil},
			"last one": {audit.Filter{After: 3, Limit: 5}, []int64{4}},
		} {
			var got []int64
			for _, r := range f.rows(c.filter) {
				got = append(got, r.Seq)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestEach_PagesAndStops(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		err := f.db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			for range 1100 {
				if err := audit.Append(ctx, tx, audit.Entry{Kind: "user_create"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(f.rows(audit.Filter{})); got != 1100 {
			t.Errorf("%d rows", got)
		}
		boom, n := errors.New("boom"), 0
		err = f.Each(t.Context(), audit.Filter{}, func(audit.Row) error {
			if n++; n == 700 {
				return boom
			}
			return nil
		})
		if !errors.Is(err, boom) || n != 700 {
			t.Errorf("stopped at %d with %v", n, err)
		}
	})
}

func TestLog_ReadOnly(t *testing.T) {
	for _, e := range databasetest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			address := e.Address(t)
			f := &fixture{TB: t, db: databasetest.Open(t, address, database.Options{}), reg: prometheus.NewRegistry()}
			f.Log = audit.New(f.db, zap.NewNop(), f.reg)
			f.numbered(2)
			f.append(audit.Entry{Kind: "waiting"})

			f.db = databasetest.Open(t, address, database.Options{ReadOnly: true})
			f.Log = audit.New(f.db, zap.NewNop(), nil)
			rows := f.rows(audit.Filter{})
			if len(rows) != 3 || rows[2].Seq != 0 || rows[2].Kind != "waiting" || rows[2].Hash != "" {
				t.Errorf("rows = %+v", rows)
			}
			if rows = f.rows(audit.Filter{Limit: 2}); len(rows) != 2 {
				t.Errorf("limit 2 gives %d rows", len(rows))
			}
			report, err := f.Verify(t.Context())
			if err != nil || report.Sealed != 2 || report.Unsealed != 1 || len(report.Problems) != 0 {
				t.Errorf("Verify = %+v, %v", report, err)
			}
		})
	}
}

// What an export gives is enough to check the chain without this program's code.
func TestEach_AnExportCanBeChecked(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(20)
		prev := make([]byte, sha256.Size)
		n := int64(0)
		for _, r := range f.rows(audit.Filter{}) {
			sum := sha256.Sum256(append(slices.Clone(prev), r.Text...))
			if n++; r.Seq != n || r.Hash != hex.EncodeToString(sum[:]) {
				t.Fatalf("entry %d has number %d and hash %s", n, r.Seq, r.Hash)
			}
			prev = sum[:]
		}
		report, err := f.Verify(t.Context())
		if err != nil || report.Head != hex.EncodeToString(prev) || n != 20 {
			t.Errorf("%d entries, head %s, %v", n, report.Head, err)
		}
	})
}

func TestEach_EndsWithItsContext(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Each(ctx, audit.Filter{}, func(audit.Row) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		if _, err := f.Verify(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		if f.metric("scim_bridge_audit_chain_valid") != 1 {
			t.Error("a check that could not run says that the chain is broken")
		}
	})
}
