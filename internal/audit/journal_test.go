package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// book is a journal with what it gave to keep.
type book struct {
	*audit.Journal
	kept []string
}

func newBook(f *fixture) *book {
	f.Helper()
	b := &book{}
	keep := func(_ context.Context, _ *database.Tx, kind string, data json.RawMessage) error {
		b.kept = append(b.kept, kind+" "+string(data))
		return nil
	}
	b.Journal = audit.NewJournal(f.db, filepath.Join(f.TempDir(), "journal"), keep, zap.NewNop(), f.reg)
	return b
}

// refuse makes the audit table refuse every row, as a full disk or a lost permission does; the
// function returned makes it well again.
func (f *fixture) refuse() (heal func()) {
	f.Helper()
	if f.db.Dialect().Name() == "sqlite" {
		f.exec(`CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk full'); END`)
		return func() { f.exec(`DROP TRIGGER refuse`) }
	}
	f.exec(`CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''disk full''; END' LANGUAGE plpgsql`)
	f.exec(`CREATE TRIGGER refuse BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION refuse()`)
	return func() { f.exec(`DROP TRIGGER refuse ON audit`) }
}

func (b *book) size(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(b.Path())
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestJournal_BecomesPartOfTheRecordWhenThatWorksAgain(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := newBook(f)
		if n, err := b.Replay(t.Context()); n != 0 || err != nil {
			t.Errorf("Replay without a file = %d, %v", n, err)
		}
		heal := f.refuse()
		before := time.Now().Truncate(time.Microsecond)
		err := b.Write(
			audit.Journaled{Entry: audit.Entry{Kind: "intent.revoke", Subject: "s1", Login: "ada"}, Kind: "evidence", Data: json.RawMessage(`{"reports":[1]}`)},
			audit.Journaled{Entry: audit.Entry{Kind: "outcome.revoke", Subject: "s1", Login: "ada", Answer: "ok"}},
		)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(b.Path()); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file is %v, %v; want it for the owner alone", info.Mode(), err)
		}
		if n, err := b.Replay(t.Context()); n != 0 || err == nil || b.size(t) == 0 {
			t.Fatalf("Replay while the record is refused = %d, %v, %d bytes left", n, err, b.size(t))
		}
		if f.metric("scim_bridge_audit_journal_bytes") == 0 || f.metric("scim_bridge_audit_journal_entries_total") != 2 {
			t.Error("the metrics do not show that something waits")
		}
		heal()
		after := time.Now()
		if n, err := b.Replay(t.Context()); n != 2 || err != nil || b.size(t) != 0 {
			t.Fatalf("Replay = %d, %v, %d bytes left", n, err, b.size(t))
		}
		rows := f.rows(audit.Filter{Login: "ada"})
		if len(rows) != 2 || rows[0].Kind != "intent.revoke" || rows[1].Kind != "outcome.revoke" || rows[0].Seq != 1 {
			t.Fatalf("rows = %+v", rows)
		}
		if rows[0].At.Before(before) || rows[0].At.After(after) {
			t.Errorf("entry of %v, it happened between %v and %v", rows[0].At, before, after)
		}
		if len(b.kept) != 1 || b.kept[0] != `evidence {"reports":[1]}` {
			t.Errorf("kept %v", b.kept)
		}
		if report, err := f.Verify(t.Context()); err != nil || len(report.Problems) != 0 || report.Sealed != 2 {
			t.Errorf("Verify = %+v, %v", report, err)
		}
		if f.metric("scim_bridge_audit_journal_bytes") != 0 {
			t.Error("the metric says that something waits")
		}
	})
}

// A crash after the entry was committed and before the file was emptied replays the line again.
func TestJournal_ALineBecomesOneEntry(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := newBook(f)
		if err := b.Write(audit.Journaled{Entry: audit.Entry{Kind: "one"}, Kind: "evidence"}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(b.Path())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := os.WriteFile(b.Path(), text, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Replay(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if rows := f.rows(audit.Filter{}); len(rows) != 1 || len(b.kept) != 1 {
			t.Errorf("%d entries, kept %v", len(rows), b.kept)
		}
	})
}

func TestJournal_UnfinishedAndUnreadableLines(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := newBook(f)
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(b.Path(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(`{"entry":{"at":"20`)
		if err := b.Write(audit.Journaled{Entry: audit.Entry{Kind: "one"}}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Replay(t.Context()); n != 1 || err != nil {
			t.Errorf("after an unfinished line: Replay = %d, %v", n, err)
		}
		for _, line := range []string{"hello\n", "{}\n", `{"entry":{"id":"x","at":"yesterday"}}` + "\n"} {
			write(line)
			_, err := b.Replay(t.Context())
			if err == nil || !strings.Contains(err.Error(), b.Path()+":1") || b.size(t) != int64(len(line)) {
				t.Errorf("%q: %v, %d bytes left; want an error with its place and nothing thrown away", line, err, b.size(t))
			}
		}
	})
}

func TestJournal_CannotBeWritten(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		nowhere := audit.NewJournal(f.db, filepath.Join(t.TempDir(), "no", "such", "folder"), nil, zap.NewNop(), nil)
		if err := nowhere.Write(audit.Journaled{Entry: audit.Entry{Kind: "one"}}); err == nil {
			t.Error("a line without a file is taken for written")
		}
		b := newBook(f)
		if err := b.Write(audit.Journaled{Entry: audit.Entry{Kind: "one", After: 0.5}}); err == nil {
			t.Error("an entry that has no canonical form is taken for written")
		}
	})
}

// Writers and replays at once, through two journals on one file as two processes have them: every
// entry arrives once.
func TestJournal_ConcurrentWritersLoseNothing(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		b := newBook(f)
		other := audit.NewJournal(f.db, b.Path(), nil, zap.NewNop(), nil)
		var wg sync.WaitGroup
		for i := range 4 {
			j := []*audit.Journal{b.Journal, other}[i%2]
			wg.Go(func() {
				for k := range 10 {
					if err := j.Write(audit.Journaled{Entry: audit.Entry{Kind: "one", Detail: fmt.Sprint(i, k)}}); err != nil {
						t.Error(err)
					}
					if _, err := j.Replay(context.Background()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for _, r := range f.rows(audit.Filter{}) {
			seen[r.Detail] = true
		}
		if rows := f.rows(audit.Filter{}); len(rows) != 40 || len(seen) != 40 {
			t.Errorf("%d entries, %d different ones; want 40", len(rows), len(seen))
		}
	})
}

func TestJournal_RunReplaysAndSaysWhatItMeans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{TB: t, db: databasetest.SQLite(t), reg: prometheus.NewPedanticRegistry()}
		f.Log = audit.New(f.db, zap.NewNop(), f.reg)
		core, logs := observer.New(zapcore.InfoLevel)
		j := audit.NewJournal(f.db, filepath.Join(t.TempDir(), "journal"), nil, zap.New(core), nil)
		heal := f.refuse()
		if err := j.Write(audit.Journaled{Entry: audit.Entry{Kind: "one"}}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go j.Run(ctx)
		synctest.Wait()
		if logs.FilterMessageSnippet("nothing is granted").Len() != 1 {
			t.Errorf("log: %v", logs.All())
		}
		heal()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if len(f.rows(audit.Filter{})) != 1 || logs.FilterMessageSnippet("kept in the journal").FilterLevelExact(zapcore.InfoLevel).Len() != 1 {
			t.Errorf("%d entries, log: %v", len(f.rows(audit.Filter{})), logs.All())
		}
	})
}
