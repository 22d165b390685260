package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/audit"
)

// What the JSON lines give is enough to follow the chain with nothing but SHA-256: the text of an
// entry is, byte for byte, what was hashed.
func TestExport_JSONLinesProveTheChain(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.append(audit.Entry{Kind: "odd", Detail: "<a> & \"b\" \u2028 ü", After: map[string]any{"z": 1, "a": []int{2}}})
		f.numbered(5)
		var out bytes.Buffer
		n, err := f.Export(t.Context(), &out, audit.JSONL, audit.Filter{})
		if err != nil || n != 6 {
			t.Fatalf("Export = %d, %v", n, err)
		}
		hash := make([]byte, sha256.Size)
		seq := int64(0)
		for text := range strings.Lines(out.String()) {
			var l struct {
				Seq   int64
				Hash  string
				Entry json.RawMessage
			}
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(slices.Concat(hash, l.Entry))
			if seq++; l.Seq != seq || l.Hash != hex.EncodeToString(sum[:]) {
				t.Fatalf("line %d: seq %d, hash %s", seq, l.Seq, l.Hash)
			}
			hash = sum[:]
		}
		report, err := f.Verify(t.Context())
		if err != nil || report.Head != hex.EncodeToString(hash) {
			t.Errorf("head %s, the lines end at %x (%v)", report.Head, hash, err)
		}
	})
}

func TestExport_SheetIsSafeAndComplete(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.append(audit.Entry{
			Kind: "user.created", Actor: "okta", Source: "scim", RequestID: "r1", Subject: "s1", Login: "=cmd()",
			Rule: "mapping.ini:2", Before: nil, After: map[string]any{"userName": "ada"}, Answer: "ok", Detail: "+1",
		})
		var out bytes.Buffer
		n, err := f.Export(t.Context(), &out, audit.CSV, audit.Filter{Since: f.rows(audit.Filter{})[0].At})
		if err != nil || n != 1 {
			t.Fatalf("Export = %d, %v", n, err)
		}
		text := strings.TrimPrefix(out.String(), "\ufeff")
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) != 2 || text == out.String() {
			t.Fatalf("%d rows, %v, in\n%s", len(rows), err, out.String())
		}
		got := map[string]string{}
		for i, name := range rows[0] {
			got[name] = rows[1][i]
		}
		for name, want := range map[string]string{
			"seq": "1", "event": "user.created", "actor": "okta", "source": "scim", "request_id": "r1", "subject": "s1", "login": "'=cmd()",
			"rule": "mapping.ini:2", "before": "", "after": `{"userName":"ada"}`, "answer": `"ok"`, "detail": "'+1",
		} {
			if got[name] != want {
				t.Errorf("%s = %q, want %q", name, got[name], want)
			}
		}
	})
}

type brokenPipe struct{}

var errPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestExport_Fails(t *testing.T) {
	run(t, func(t *testing.T, f *fixture) {
		f.numbered(3)
		for _, format := range []audit.Format{audit.JSONL, audit.CSV} {
			if _, err := f.Export(t.Context(), brokenPipe{}, format, audit.Filter{}); !errors.Is(err, errPipe) {
				t.Errorf("%s into a broken pipe: %v", format, err)
			}
		}
		if _, err := f.Export(t.Context(), &bytes.Buffer{}, "xml", audit.Filter{}); err == nil || !strings.Contains(err.Error(), "jsonl") {
			t.Errorf("an unknown format: %v", err)
		}
	})
}
