package reconcile_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/internal/reconcile/trail"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// journaled gives the world's engine a journal in a file of its own.
func (w *world) journaled() *audit.Journal {
	w.tb.Helper()
	j := audit.NewJournal(w.db, filepath.Join(w.tb.TempDir(), "journal"), trail.Keep(w.bindings), zap.NewNop(), prometheus.NewRegistry())
	w.restart(func(o *reconcile.Options) { o.Trail = &trail.Trail{Bindings: w.bindings, Journal: j} })
	return j
}

// refuse makes tables refuse every row that is added to them; the function returned ends it.
func (w *world) refuse(tables ...string) (heal func()) {
	w.tb.Helper()
	sqlite := w.db.Dialect().Name() == "sqlite"
	if !sqlite {
		w.exec(`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''disk full''; END' LANGUAGE plpgsql`)
	}
	for _, table := range tables {
		if sqlite {
			w.exec(`CREATE TRIGGER refuse_` + table + ` BEFORE INSERT ON ` + table + ` BEGIN SELECT RAISE(FAIL, 'disk full'); END`)
		} else {
			w.exec(`CREATE TRIGGER refuse_` + table + ` BEFORE INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION refuse()`)
		}
	}
	return func() {
		for _, table := range tables {
			if sqlite {
				w.exec(`DROP TRIGGER refuse_` + table)
			} else {
				w.exec(`DROP TRIGGER refuse_` + table + ` ON ` + table)
			}
		}
	}
}

// No record, no grant; and whoever left does not keep their access because the record is broken.
func TestNoRecord_NothingIsGrantedAndLeaversGo(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		journal := w.journaled()
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Analysts", "Editors")
		w.drain()
		token := w.mint(ada)
		w.matomo.AddReport(matomotest.Report{Site: 1, Login: ada, Description: "weekly numbers"})
		w.leave(ada)
		w.remove("Editors", "bob@example.org")
		w.join("eve@example.org", "Analysts")
		heal := w.refuse("audit", "evidence")
		for range 4 { // each of the leaver's phases ends with the error, and then the other lane's turn
			if _, err := w.engine.Drain(w.ctx); err == nil {
				t.Fatal("a record that cannot be written is no error")
			}
		}
		w.wantAccess(ada, "")
		w.wantDead(token)
		w.wantAccess("eve@example.org", "no account")
		w.wantAccess("bob@example.org", "1:write, 2:admin") // site 3 is gone; writing a lesser role waits
		if w.logged("nothing is granted") == 0 {
			t.Error("the log does not say what it means")
		}
		if b := w.binding("eve@example.org"); b.Login != "" || b.DueAt == nil || b.Attempts != 0 {
			t.Errorf("the joiner's binding %+v, want it due and nobody's fault", b)
		}
		heal()
		if n, err := journal.Replay(t.Context()); err != nil || n < 2 {
			t.Fatalf("Replay = %d, %v", n, err)
		}
		saved := w.evidence(ada)
		if len(saved) == 0 || !strings.Contains(string(saved[0].Data), "weekly numbers") {
			t.Errorf("evidence %v, want what the revocation deleted", saved)
		}
		w.due(w.subject("bob@example.org")) // a plan of which half was done backs off
		w.drain()
		w.wantState(ada, bindings.Done, "")
		w.wantAccess("eve@example.org", "1:write, 2:view")
		w.wantAccess("bob@example.org", "1:write, 2:view")
		w.traced(ada)
		if report, err := w.audit.Verify(t.Context()); err != nil || len(report.Problems) != 0 {
			t.Errorf("Verify = %v, %v", report.Problems, err)
		}
	})
}

// With the audit table alone broken everything else of a leaver's way goes on, so that a broken record does not make
// the loop revoke the same person every second.
func TestNoRecord_ALeaverIsFinishedAndNotRevokedAgain(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.journaled()
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		heal := w.refuse("audit")
		for range 4 {
			_, _ = w.engine.Drain(w.ctx)
		}
		w.wantState(ada, bindings.Done, "")
		revoked := 0
		for _, method := range w.writes() {
			if method == "revokeTokens" {
				revoked++
			}
		}
		if revoked != 2 {
			t.Errorf("tokens were revoked %d times, want once in each phase", revoked)
		}
		heal()
	})
}

// Without a journal, or with one that cannot be written, nothing is sent: what would be lost is on no record.
func TestNoRecord_WithoutAJournalNothingIsSent(t *testing.T) {
	for name, set := range map[string]func(w *world){
		"none":    func(*world) {},
		"nowhere": func(w *world) { w.nowhere() },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *database.DB) {
				w := newWorld(t, db, withPlugin())
				set(w)
				w.join(ada, "Analysts")
				w.drain()
				w.leave(ada)
				heal := w.refuse("audit")
				w.matomo.ResetCalls()
				if _, err := w.engine.Drain(w.ctx); err == nil {
					t.Fatal("no error")
				}
				if writes := w.writes(); len(writes) != 0 {
					t.Errorf("writes %v", writes)
				}
				heal()
				w.drain()
				w.wantAccess(ada, "")
			})
		})
	}
}

// nowhere gives the engine a journal that cannot be written.
func (w *world) nowhere() {
	j := audit.NewJournal(w.db, filepath.Join(w.tb.TempDir(), "no", "folder"), nil, zap.NewNop(), nil)
	w.restart(func(o *reconcile.Options) { o.Trail = &trail.Trail{Bindings: w.bindings, Journal: j} })
}

// Whatever happens while the record is broken: nobody gets anything that they had not, and afterwards Matomo and the
// record are as if it had never been (I3, I9).
func TestNoRecord_Property(t *testing.T) {
	property(t, func(r *rapid.T, w *world) {
		journal := w.journaled()
		groups := map[string][]string{}
		for _, name := range []string{"a@example.org", "b@example.org", "c@example.org"} {
			groups[name] = someGroups(r, "groups")
			w.join(name, groups[name]...)
		}
		w.drain()
		before := w.matomo.Snapshot()
		left := map[string]bool{}
		for name := range groups {
			switch rapid.SampledFrom([]string{"leave", "move", "stay"}).Draw(r, "event") {
			case "leave":
				w.leave(name)
				left[name] = true
			case "move":
				w.regroup(r, name, groups[name], someGroups(r, "new groups"))
			}
		}
		heal := w.refuse(rapid.SampledFrom([][]string{{"audit"}, {"audit", "evidence", "removals"}}).Draw(r, "broken")...)
		for range 2 {
			_, _ = w.engine.Drain(w.ctx)
		}
		for _, change := range before.Changes(w.matomo.Snapshot()) {
			if strings.Contains(change, "+") {
				w.tb.Errorf("given without a record: %s", change)
			}
		}
		for name := range left {
			if !w.matomo.Access(name).Empty() {
				w.tb.Errorf("%s left and has %s", name, w.matomo.Access(name))
			}
		}
		heal()
		if _, err := journal.Replay(w.ctx); err != nil {
			w.tb.Fatal(err)
		}
		w.drain()
		for name := range groups {
			w.traced(name)
		}
	}, withPlugin(), withGuards(10, 0))
}

// What is sent names who asked for it: credential, source and request; what the bridge does by itself names the bridge.
func TestTrail_NamesWhoAsked(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.Grant(ada, "view", 4)
		w.compare()
		w.leave(ada)
		w.drain()
		var got []string
		for _, kind := range []string{"intent.", "outcome."} {
			for _, e := range w.entries(w.subject(ada), kind) {
				got = append(got, strings.Join([]string{e.Kind, e.Actor, e.Source, e.RequestID}, " "))
			}
		}
		want := []string{
			"intent.access test scim r1", "intent.access bridge  ", "intent.revoke test scim r1", "intent.seal test scim r1",
			"outcome.access test scim r1", "outcome.access bridge  ", "outcome.revoke test scim r1", "outcome.seal test scim r1",
		}
		if !slices.Equal(got, want) {
			t.Errorf("entries\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// The hash of the evidence is in the chain, so that evidence cannot be changed unnoticed.
func TestTrail_EvidenceIsPartOfTheChain(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		saved := w.evidence(ada)[0]
		var after struct {
			Evidence struct{ ID, SHA256 string }
		}
		remarshal(t, w.entries(w.subject(ada), "intent.revoke")[0].After, &after)
		if after.Evidence.ID != saved.ID || after.Evidence.SHA256 != sha(saved.Data) {
			t.Errorf("the entry names %+v, the evidence is %s with %s", after.Evidence, saved.ID, sha(saved.Data))
		}
		if !json.Valid(saved.Data) {
			t.Errorf("evidence %s", saved.Data)
		}
	})
}
