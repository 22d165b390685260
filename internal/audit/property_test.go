package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// values draws what an entry may carry, nested.
func values() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), toAny[bool]), rapid.Map(rapid.Int64(), toAny[int64]), rapid.Map(rapid.String(), toAny[string]),
	)
	list := rapid.Map(rapid.SliceOfN(leaf, 0, 4), toAny[[]any])
	object := rapid.Map(rapid.MapOfN(rapid.String(), rapid.OneOf(leaf, list), 0, 4), toAny[map[string]any])
	return rapid.OneOf(leaf, list, object, rapid.Map(rapid.MapOfN(rapid.String(), object, 0, 3), toAny[map[string]any]))
}

func toAny[T any](v T) any { return v }

// What was appended comes back with the same meaning, its text is canonical (encoding what it says
// again gives the same text), and the chain over it is whole.
func TestAppend_AnyValue(t *testing.T) {
	db := databasetest.SQLite(t)
	l := audit.New(db, zap.NewNop(), nil)
	last := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		v := values().Draw(rt, "value")
		e := audit.Entry{Kind: "any", Detail: rapid.String().Draw(rt, "detail"), After: v}
		err := db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error { return audit.Append(ctx, tx, e) })
		if err != nil {
			rt.Fatal(err)
		}
		var got []audit.Row
		if err := l.Each(t.Context(), audit.Filter{After: last}, func(r audit.Row) error { got = append(got, r); return nil }); err != nil {
			rt.Fatal(err)
		}
		if len(got) != 1 || got[0].Seq != last+1 {
			rt.Fatalf("rows = %+v", got)
		}
		last = got[0].Seq
		want, err := json.Marshal(v)
		if err != nil {
			rt.Fatal(err)
		}
		have := []byte("null")
		if raw, ok := got[0].After.(json.RawMessage); ok {
			have = raw
		}
		if again := encodeSorted(rt, want); !bytes.Equal(encodeSorted(rt, have), again) {
			rt.Errorf("value %s came back as %s", again, have)
		}
		if again := encodeSorted(rt, got[0].Text); !bytes.Equal(again, got[0].Text) {
			rt.Errorf("text is not canonical:\n%s\n%s", got[0].Text, again)
		}
	})
	report, err := l.Verify(t.Context())
	if err != nil || len(report.Problems) != 0 || report.Sealed != last {
		t.Errorf("Verify = %+v, %v", report, err)
	}
}

// encodeSorted encodes what text says with sorted keys.
func encodeSorted(t *rapid.T, text []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// Any change behind the log's back is found, wherever it is, and nothing is reported without one.
func TestVerify_FindsAnyTampering(t *testing.T) {
	tampering := map[string]string{
		"text":     `UPDATE audit SET entry = entry || ' ' WHERE seq = $1`,
		"kind":     `UPDATE audit SET kind = 'other' WHERE seq = $1`,
		"login":    `UPDATE audit SET login = 'other' WHERE seq = $1`,
		"hash":     `UPDATE audit SET hash = prev WHERE seq = $1`,
		"prev":     `UPDATE audit SET prev = hash WHERE seq = $1`,
		"id":       `UPDATE audit SET id = '0' WHERE seq = $1`,
		"remove":   `DELETE FROM audit WHERE seq = $1`,
		"tail":     `DELETE FROM audit WHERE seq >= $1`,
		"head":     `UPDATE audit_head SET seq = $1 - 1`,
		"headhash": `UPDATE audit_head SET hash = (SELECT prev FROM audit WHERE seq = $1)`,
		"copy":     `UPDATE audit SET entry = (SELECT entry FROM audit WHERE seq = 1) || '' WHERE seq = $1 + 1`,
	}
	f := &fixture{TB: t, db: databasetest.SQLite(t), reg: prometheus.NewRegistry()}
	f.Log = audit.New(f.db, zap.NewNop(), f.reg)
	rapid.Check(t, func(rt *rapid.T) {
		f.exec(`DELETE FROM audit`)
		f.exec(`UPDATE audit_head SET seq = 0, hash = $1`, make([]byte, 32))
		n := rapid.IntRange(1, 20).Draw(rt, "entries")
		f.inOneGo(n)
		report, err := f.Verify(t.Context())
		if err != nil || len(report.Problems) != 0 {
			rt.Fatalf("untouched: %+v, %v", report, err)
		}
		how := rapid.SampledFrom([]string{"text", "kind", "login", "hash", "prev", "id", "remove", "tail", "head", "headhash", "copy"}).Draw(rt, "how")
		at := rapid.IntRange(1, n).Draw(rt, "at")
		if how == "copy" && at == n {
			return // nothing there to overwrite
		}
		f.exec(tampering[how], at)
		if report, err = f.Verify(t.Context()); err != nil || len(report.Problems) == 0 {
			rt.Errorf("%s at %d of %d was not found: %+v, %v", how, at, n, report, err)
		}
		for _, p := range report.Problems {
			if p.Seq < 0 || p.Seq > int64(n)+1 || p.Detail == "" || p.String() == "" {
				rt.Errorf("problem = %+v", p)
			}
		}
	})
}

// inOneGo writes n entries in one transaction and seals them.
func (f *fixture) inOneGo(n int) {
	f.Helper()
	err := f.db.InTx(f.Context(), func(ctx context.Context, tx *database.Tx) error {
		for i := range n {
			if err := audit.Append(ctx, tx, audit.Entry{Kind: "user_update", Subject: "s", Detail: fmt.Sprint("entry ", i+1)}); err != nil {
				return err
			}
		}
		return nil
	})
	if _, serr := f.Seal(f.Context()); err != nil || serr != nil {
		f.Fatal(err, serr)
	}
}

func TestProblem_String(t *testing.T) {
	for want, p := range map[string]audit.Problem{
		"missing at 5: gone":           {Fault: audit.Missing, Seq: 5, Detail: "gone"},
		"changed at 7 (id-7): altered": {Fault: audit.Changed, Seq: 7, ID: "id-7", Detail: "altered"},
	} {
		if got := fmt.Sprint(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Everything that goes wrong with the store is an error of the caller, never a wrong report.
func TestLog_ErrorsOfTheStore(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(3)
		f.append(audit.Entry{Kind: "waiting"})
		if err := f.db.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := f.Seal(t.Context()); err == nil || n != 0 {
			t.Errorf("Seal = %d, %v", n, err)
		}
		if report, err := f.Verify(t.Context()); err == nil {
			t.Errorf("Verify = %+v", report)
		}
		if err := f.Each(t.Context(), audit.Filter{}, func(audit.Row) error { return nil }); err == nil {
			t.Error("Each says nothing")
		}
		if got := f.metric("scim_bridge_audit_write_failures_total"); got != 3 {
			t.Errorf("failures = %v, want one for each seal", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		f.Run(ctx) // ends, though nothing works
	})
}
