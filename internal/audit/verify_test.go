package audit_test

import (
	"context"
	"crypto/sha256"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/audit"
)

func TestRun_FindsATamperedEndWhenItStarts(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(5)
		f.exec(`UPDATE audit SET kind = 'x' WHERE seq = 5`)
		core, logs := observer.New(zapcore.WarnLevel)
		reg := prometheus.NewPedanticRegistry()
		f.Log, f.reg = audit.New(f.db, zap.New(core), reg), reg
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			f.Run(ctx)
			close(done)
		}()
		for logs.FilterMessageSnippet("the audit chain is broken").Len() == 0 {
			runtime.Gosched()
		}
		cancel()
		<-done
		if f.metric("scim_bridge_audit_chain_valid") != 0 {
			t.Error("the metric says that the chain is whole")
		}
	})
}

func TestVerify_FindsTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tamper string
		want   []audit.Problem // without detail
	}{
		"untouched":         {`SELECT 1`, nil},
		"changed text":      {`UPDATE audit SET entry = replace(entry, 'entry 5', 'entry x') WHERE seq = 5`, []audit.Problem{{Fault: audit.Changed, Seq: 5}}},
		"changed subject":   {`UPDATE audit SET subject = 'somebody' WHERE seq = 5`, []audit.Problem{{Fault: audit.Changed, Seq: 5}}},
		"changed time":      {`UPDATE audit SET at = at + 1 WHERE seq = 5`, []audit.Problem{{Fault: audit.Changed, Seq: 5}}},
		"changed last text": {`UPDATE audit SET entry = replace(entry, 'entry', 'eintrag') WHERE seq = 10`, []audit.Problem{{Fault: audit.Changed, Seq: 10}}},
		"removed":           {`DELETE FROM audit WHERE seq = 5`, []audit.Problem{{Fault: audit.Missing, Seq: 5}}},
		"removed first":     {`DELETE FROM audit WHERE seq = 1`, []audit.Problem{{Fault: audit.Missing, Seq: 1}}},
		"removed last":      {`DELETE FROM audit WHERE seq = 10`, []audit.Problem{{Fault: audit.Cut, Seq: 10}}},
		"removed all":       {`DELETE FROM audit`, []audit.Problem{{Fault: audit.Cut, Seq: 1}}},
		"removed tail":      {`DELETE FROM audit WHERE seq > 7`, []audit.Problem{{Fault: audit.Cut, Seq: 8}}},
		"two places":        {`DELETE FROM audit WHERE seq IN (3, 6)`, []audit.Problem{{Fault: audit.Missing, Seq: 3}, {Fault: audit.Missing, Seq: 6}}},
		"unsealed again":    {`UPDATE audit SET seq = NULL WHERE seq = 5`, []audit.Problem{{Fault: audit.Missing, Seq: 5}}},
		"renumbered tail": {
			`UPDATE audit SET seq = seq + 1 WHERE seq = 10`,
			[]audit.Problem{{Fault: audit.Cut, Seq: 10}, {Fault: audit.Cut, Seq: 11}},
		},
		"inserted behind the end": {
			`INSERT INTO audit (id, at, kind, subject, target, login, entry, seq, prev, hash)
				SELECT 'forged', at, kind, subject, target, login, entry, 11, hash, hash FROM audit WHERE seq = 10`,
			[]audit.Problem{{Fault: audit.Cut, Seq: 11}},
		},
		"replaced by an inserted one": {
			`INSERT INTO audit (id, at, kind, subject, target, login, entry, seq, prev, hash)
				SELECT 'forged', at, kind, subject, target, login, replace(entry, 'entry 5', 'entry x'), -5, prev, hash FROM audit WHERE seq = 5;
			DELETE FROM audit WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = -5`,
			[]audit.Problem{{Fault: audit.Changed, Seq: 5}},
		},
		"head set back": {
			`UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit WHERE seq = 8)`,
			[]audit.Problem{{Fault: audit.Cut, Seq: 9}},
		},
		"another head": {`UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE seq = 8)`, []audit.Problem{{Fault: audit.Cut, Seq: 10}}},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, f *fixture) {
				f.numbered(10)
				ids := map[int64]string{}
				for _, r := range f.rows(audit.Filter{}) {
					ids[r.Seq] = r.ID
				}
				for statement := range strings.SplitSeq(c.tamper, ";") {
					f.exec(statement)
				}
				report, err := f.Verify(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var got []audit.Problem
				for _, p := range report.Problems {
					if p.ID != "" && p.ID != ids[p.Seq] && p.ID != "forged" {
						t.Errorf("problem names %s, entry %d was %s", p.ID, p.Seq, ids[p.Seq])
					}
					if p.Fault == audit.Changed && p.ID == "" {
						t.Errorf("problem does not name the entry: %v", p)
					}
					got = append(got, audit.Problem{Fault: p.Fault, Seq: p.Seq})
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("problems (-want +got):\n%s", diff)
				}
				valid := f.metric("scim_bridge_audit_chain_valid")
				if (valid == 1) != (c.want == nil) {
					t.Errorf("chain valid = %v", valid)
				}
			})
		})
	}
}

func TestVerify_FindsReordering(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(10)
		f.exec(`UPDATE audit SET seq = 1000 WHERE seq = 5`)
		f.exec(`UPDATE audit SET seq = 5 WHERE seq = 6`)
		f.exec(`UPDATE audit SET seq = 6 WHERE seq = 1000`)
		report, err := f.Verify(t.Context())
		if err != nil || len(report.Problems) == 0 || report.Problems[0].Fault != audit.Moved || report.Problems[0].Seq != 5 {
			t.Errorf("Verify = %v, %v", report.Problems, err)
		}
	})
}

// Somebody who can write to the database and knows how hashes are made can write a new chain. Only
// a head that was kept elsewhere tells.
func TestVerify_AChainWrittenAnewHasAnotherHead(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(5)
		before, err := f.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.exec(`DELETE FROM audit WHERE seq = 5`)
		f.exec(`UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)`)
		f.numbered(1)
		after, err := f.Verify(t.Context())
		if err != nil || len(after.Problems) != 0 || after.Sealed != before.Sealed || after.Head == before.Head {
			t.Errorf("before %+v, after %+v, %v", before, after, err)
		}
	})
}

func TestVerify_FindsAnEntryReplacedWithItsOwnHash(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(10)
		other := f.rows(audit.Filter{Limit: 1})[0]
		text := strings.Replace(string(other.Text), "entry 1", "entry x", 1)
		hash := sha256.Sum256(append(make([]byte, 32), text...))
		f.exec(`UPDATE audit SET entry = $1, hash = $2 WHERE seq = 1`, text, hash[:])
		report, err := f.Verify(t.Context())
		if err != nil || len(report.Problems) != 1 || report.Problems[0].Fault != audit.Moved || report.Problems[0].Seq != 2 ||
			!strings.Contains(report.Problems[0].String(), other.ID) {
			t.Errorf("Verify = %v, %v; want entry 2 not to follow %s", report.Problems, err, other.ID)
		}
	})
}

func TestVerify_StopsAtManyProblems(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(150)
		f.exec(`UPDATE audit SET kind = 'x'`)
		report, err := f.Verify(t.Context())
		if err != nil || len(report.Problems) != 100 {
			t.Errorf("%d problems, %v", len(report.Problems), err)
		}
	})
}
