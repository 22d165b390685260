package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSafe(t *testing.T) {
	for cell, want := range map[string]string{
		"":                        "",
		"ada@example.org":         "ada@example.org",
		"1:write, 2:view":         "1:write, 2:view",
		"=1+1":                    "'=1+1",
		"+49 30 1234":             "'+49 30 1234",
		"-5":                      "'-5",
		"@SUM(A1)":                "'@SUM(A1)",
		"\t=1+1":                  "'\t=1+1",
		"\r\n=1+1":                "'\r\n=1+1",
		"＝HYPERLINK(\"x\",\"y\")": "'＝HYPERLINK(\"x\",\"y\")",
		"\ufeff=1+1":              "'\ufeff=1+1",
		"'=1+1":                   "'=1+1",
		" =1+1":                   " =1+1",
	} {
		if got := Safe(cell); got != want {
			t.Errorf("Safe(%q) = %q, want %q", cell, got, want)
		}
	}
}

func TestWriter_IsWhatRFC4180Says(t *testing.T) {
	var out bytes.Buffer
	w, err := New(&out, "Name", "Notes")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Row("O\"Brien", "one, two"), w.Row("=cmd|' /C calc'!A0", "a\nb"), w.Flush()); err != nil {
		t.Fatal(err)
	}
	want := "\ufeffName,Notes\r\n\"O\"\"Brien\",\"one, two\"\r\n'=cmd|' /C calc'!A0,\"a\r\nb\"\r\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// broken fails after n bytes.
type broken struct{ n int }

var errFull = errors.New("disk full")

func (b *broken) Write(p []byte) (int, error) {
	if b.n -= len(p); b.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriter_ReportsWhatCouldNotBeWritten(t *testing.T) {
	if _, err := New(&broken{}, "a"); !errors.Is(err, errFull) {
		t.Errorf("New on a full disk: %v", err)
	}
	w, err := New(&broken{n: 8}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Row(strings.Repeat("x", 100)), w.Flush()); !errors.Is(err, errFull) {
		t.Errorf("Flush on a full disk: %v", err)
	}
}

// Whatever is in a cell, a reader of CSV gets it back, and no cell begins like a formula.
func FuzzWriter(f *testing.F) {
	for _, seed := range []string{"", "=1", "a,b", "\"", "x\ny", "＝", "'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		var out bytes.Buffer
		w, err := New(&out, "head")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Row(cell, "end"), w.Flush()); err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), bom)))
		r.FieldsPerRecord = -1
		rows, err := r.ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q: %d rows, %v", out.String(), len(rows), err)
		}
		// The format has one kind of line end, so a lone CR does not survive.
		plain := strings.NewReplacer("\r", "", "\n", "")
		got := rows[1][0]
		if plain.Replace(got) != plain.Replace(Safe(cell)) {
			t.Errorf("%q came back as %q", cell, got)
		}
		if got != "" && strings.ContainsRune(dangerous, []rune(strings.TrimLeft(got, bom) + " ")[0]) {
			t.Errorf("%q begins like a formula", got)
		}
	})
}
