package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// notary is a log with a key and a file of checkpoints.
type notary struct {
	*fixture
	*audit.Checkpoints
	file    string
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

func newNotary(f *fixture) *notary {
	f.Helper()
	private, public := newKey(f.TB)
	n := &notary{fixture: f, file: filepath.Join(f.TempDir(), "checkpoints.jsonl"), private: private, public: public}
	n.Checkpoints = audit.NewCheckpoints(f.Log, n.file, time.Hour, func() (ed25519.PrivateKey, error) { return n.private, nil }, f.reg)
	return n
}

func newKey(tb testing.TB) (ed25519.PrivateKey, ed25519.PublicKey) {
	tb.Helper()
	privatePEM, publicPEM, err := audit.NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	private, err := audit.ParsePrivateKey(privatePEM)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := audit.ParsePublicKeys(publicPEM)
	if err != nil || len(public) != 1 {
		tb.Fatal(public, err)
	}
	return private, public[0]
}

// note adds entries and writes a note about them.
func (n *notary) note(entries int) {
	n.Helper()
	n.numbered(entries)
	if wrote, err := n.Write(n.Context()); err != nil || !wrote {
		n.Fatalf("Write = %v, %v", wrote, err)
	}
}

// verify proves the chain against text.
func (n *notary) verify(text string) audit.CheckpointReport {
	n.Helper()
	report, err := n.VerifyCheckpoints(n.Context(), strings.NewReader(text), n.public)
	if err != nil {
		n.Fatal(err)
	}
	return report
}

func (n *notary) text() string {
	n.Helper()
	data, err := os.ReadFile(n.file)
	if err != nil {
		n.Fatal(err)
	}
	return string(data)
}

func TestCheckpoints_ProveAWholeChain(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		n := newNotary(f)
		if report := n.verify(""); report.Notes != 0 || len(report.Problems) != 0 {
			t.Errorf("of no notes: %+v", report)
		}
		if wrote, err := n.Write(t.Context()); err != nil || !wrote {
			t.Fatalf("about the empty chain: %v, %v", wrote, err)
		}
		n.note(3)
		if wrote, err := n.Write(t.Context()); err != nil || wrote {
			t.Errorf("a second note about the same chain: %v, %v", wrote, err)
		}
		n.note(4)
		f.numbered(2) // younger than the last note
		report := n.verify(n.text())
		if report.Notes != 3 || report.Entries != 7 || len(report.Problems) != 0 || time.Since(report.At) > time.Minute {
			t.Errorf("report = %+v", report)
		}
		if f.metric("scim_bridge_audit_checkpoint_timestamp_seconds") == 0 {
			t.Error("the metric does not say when the chain was covered")
		}
	})
}

// The key is replaced while notes are written: both public keys prove the file. The old one, which
// may be why it was replaced, signs nothing any more.
func TestCheckpoints_KeyIsReplaced(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		n := newNotary(f)
		old, oldPublic := n.private, n.public
		n.note(2)
		n.private, n.public = newKey(t)
		n.note(1)
		check := func(text string, problems int, entries int64, keys ...ed25519.PublicKey) {
			t.Helper()
			report, err := n.VerifyCheckpoints(t.Context(), strings.NewReader(text), keys...)
			if err != nil || len(report.Problems) != problems || report.Entries != entries {
				t.Errorf("%d keys: %+v, %v; want %d problems and %d entries", len(keys), report, err, problems, entries)
			}
		}
		check(n.text(), 0, 3, oldPublic, n.public)
		check(n.text(), 1, 3, n.public)
		check(n.text(), 1, 2, oldPublic)
		check(n.text(), 1, 2, n.public, oldPublic)
		n.private = old
		n.note(1)
		check(n.text(), 1, 3, oldPublic, n.public)
	})
}

// The case for which checkpoints exist: the chain is whole, and is not the one that was.
func TestCheckpoints_FindAChainWrittenAnew(t *testing.T) {
	for name, tamper := range map[string]func(f *fixture){
		"written anew": func(f *fixture) {
			f.exec(`DELETE FROM audit WHERE seq = 5`)
			f.exec(`UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)`)
			f.numbered(1)
		},
		"cut": func(f *fixture) {
			f.exec(`DELETE FROM audit WHERE seq = 5`)
			f.exec(`UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, f *fixture) {
				n := newNotary(f)
				n.note(4)
				n.note(1)
				tamper(f)
				whole, err := f.Verify(t.Context())
				if err != nil || len(whole.Problems) != 0 {
					t.Fatalf("the chain by itself: %v, %v; want it whole", whole.Problems, err)
				}
				want := map[string]audit.Fault{"written anew": audit.Rewritten, "cut": audit.Cut}[name]
				report := n.verify(n.text())
				if len(report.Problems) != 1 || report.Problems[0].Fault != want || report.Problems[0].Seq != 5 || report.Entries != 4 {
					t.Errorf("report = %+v, want entry 5 %s", report, want)
				}
			})
		})
	}
}

func TestCheckpoints_FindNotesThatTheBridgeDidNotWrite(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		n := newNotary(f)
		for range 4 {
			n.note(2)
		}
		lines := strings.SplitAfter(n.text(), "\n")
		stranger := newNotary(&fixture{TB: f.TB, Log: f.Log, db: f.db, reg: prometheus.NewPedanticRegistry()})
		stranger.note(1)
		// The last digit before the padding has four bits that a lax decoder ignores.
		spareBits := strings.NewReplacer("A==", "B==", "Q==", "R==", "g==", "h==", "w==", "x==")
		for name, c := range map[string]struct {
			text string
			line string // that is named
		}{
			"one taken out":        {lines[0] + lines[2] + lines[3], "line 2"},
			"first taken out":      {lines[1] + lines[2], "line 1"},
			"two exchanged":        {lines[0] + lines[2] + lines[1] + lines[3], "line 2"},
			"one twice":            {lines[0] + lines[0] + lines[1], "line 2"},
			"another number":       {strings.Replace(lines[0], `"entries":2`, `"entries":1`, 1), "line 1"},
			"another time":         {strings.Replace(lines[0], `"at":"2`, `"at":"3`, 1), "line 1"},
			"no signature":         {lines[0][:strings.Index(lines[0], `,"signature"`)] + "}\n", "line 1"},
			"somebody else's":      {lines[0] + stranger.text(), "line 2"},
			"text of another kind": {"hello\n" + lines[0], "line 1"},
			"base64's spare bits":  {spareBits.Replace(lines[0]), "line 1"},
			"a line end in base64": {strings.Replace(lines[0], `=="`, `==\n"`, 1), "line 1"},
			"an addition":          {strings.Replace(lines[0], "{", `{"note":"x",`, 1), "line 1"},
		} {
			report := n.verify(c.text)
			if len(report.Problems) == 0 || report.Problems[0].Fault != audit.Forged || !strings.Contains(report.Problems[0].Detail, c.line+" ") {
				t.Errorf("%s: %v, want %s forged", name, report.Problems, c.line)
			}
		}
		// What a crash left of a line is no note and no forgery.
		if report := n.verify(lines[0] + lines[1][:30]); len(report.Problems) != 0 || report.Notes != 1 {
			t.Errorf("an unfinished line: %+v", report)
		}
	})
}

// Any change to any byte of the file is found.
func TestCheckpoints_AnyByteCounts(t *testing.T) {
	f := &fixture{TB: t, db: databasetest.SQLite(t), reg: prometheus.NewPedanticRegistry()}
	f.Log = audit.New(f.db, zap.NewNop(), nil)
	n := newNotary(f)
	n.note(2)
	n.note(2)
	whole := []byte(n.text())
	rapid.Check(t, func(rt *rapid.T) {
		text := bytes.Clone(whole)
		at := rapid.IntRange(0, len(text)-2).Draw(rt, "at") // the last line end makes an unfinished line
		text[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
		if report := n.verify(string(text)); len(report.Problems) == 0 {
			rt.Errorf("byte %d may be %q", at, text[at])
		}
	})
}

func TestCheckpoints_GoOnAfterACrashInTheMiddleOfALine(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		n := newNotary(f)
		n.note(2)
		before := n.text()
		if err := os.WriteFile(n.file, []byte(before+before[:40]), 0o600); err != nil {
			t.Fatal(err)
		}
		n.note(2)
		if report := n.verify(n.text()); report.Notes != 2 || len(report.Problems) != 0 || !strings.HasPrefix(n.text(), before) {
			t.Errorf("report = %+v", report)
		}
	})
}

func TestCheckpoints_RunWritesAtItsPaceAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{TB: t, db: databasetest.SQLite(t), reg: prometheus.NewPedanticRegistry()}
		f.Log = audit.New(f.db, zap.NewNop(), nil)
		n := newNotary(f)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		f.numbered(1)
		go func() {
			n.Run(ctx)
			close(done)
		}()
		notes := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if got := strings.Count(n.text(), "\n"); got != want {
				t.Errorf("%s: %d notes, want %d", when, got, want)
			}
		}
		notes("at the start", 1)
		f.numbered(1)
		time.Sleep(59 * time.Minute)
		notes("before the hour", 1)
		time.Sleep(2 * time.Minute)
		notes("after the hour", 2)
		time.Sleep(3 * time.Hour)
		notes("after quiet hours", 2)
		f.numbered(1)
		cancel()
		<-done
		notes("at the end", 3)
	})
}

func TestCheckpoints_FailuresAreCountedAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{TB: t, db: databasetest.SQLite(t), reg: prometheus.NewPedanticRegistry()}
		f.Log = audit.New(f.db, zap.NewNop(), nil)
		private, _ := newKey(t)
		var healed atomic.Bool
		file := filepath.Join(t.TempDir(), "notes")
		c := audit.NewCheckpoints(f.Log, file, time.Hour, func() (ed25519.PrivateKey, error) {
			if !healed.Load() {
				return nil, errors.New("no key")
			}
			return private, nil
		}, f.reg)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.Run(ctx)
		synctest.Wait()
		if f.metric("scim_bridge_audit_checkpoint_failures_total") != 1 {
			t.Error("the failure is not counted")
		}
		healed.Store(true)
		time.Sleep(time.Hour + time.Second)
		if _, err := os.Stat(file); err != nil {
			t.Errorf("not tried again: %v", err)
		}
	})
}

func TestParseKeys_RefuseWhatIsNone(t *testing.T) {
	private, public, err := audit.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "damaged": bytes.Replace(private, []byte("M"), []byte("!"), 1)} {
		if _, err := audit.ParsePrivateKey(text); err == nil {
			t.Errorf("private key of %s: no error", name)
		}
		if _, err := audit.ParsePublicKeys(text); err == nil {
			t.Errorf("public key of %s: no error", name)
		}
		if _, err := audit.ParsePublicKeys(append(bytes.Clone(public), text...)); err == nil && text != nil {
			t.Errorf("public key, then %s: no error", name)
		}
	}
	if _, err := audit.ParsePrivateKey(public); err == nil {
		t.Error("a public key is taken for a private one")
	}
	if _, err := audit.ParsePublicKeys(private); err == nil {
		t.Error("a private key is taken for a public one")
	}
}
