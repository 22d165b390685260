package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/matomo-scim/bridge/internal/sheet"
)

// An export is read page by page and written as it comes: the record may be larger than memory.
// The two formats are for two readers. JSON lines carry each text byte for byte as it was hashed, so
// that a program which shares no code with this one can follow the chain. CSV is for people; a
// spreadsheet changes what it opens, so it proves nothing.

// Format is how an export is written.
type Format string

// The formats.
const (
	JSONL Format = "jsonl" // one object a line: seq, hash, entry
	CSV   Format = "csv"   // one row an entry, for a spreadsheet
)

// columns are the head of an export as CSV.
var columns = []string{
	"seq", "at", "event", "actor", "source", "request_id", "subject", "target", "login", "rule",
	"before", "after", "answer", "detail", "id", "hash",
}

// The columns are the fields of an entry in the order in which people ask: when, what, who, whose,
// where, why, and then what it was and became. "event" is what the code calls a kind.

// Export seals what waits and writes every entry that f chooses to w, in the order of the chain. It
// returns how many there were. An error may come after some were written.
func (l *Log) Export(ctx context.Context, w io.Writer, format Format, f Filter) (n int, err error) {
	switch format {
	case JSONL:
		n, err = l.exportLines(ctx, w, f)
	case CSV:
		n, err = l.exportSheet(ctx, w, f)
	default:
		return 0, fmt.Errorf("export: no format is called %q; there are %s and %s", format, JSONL, CSV)
	}
	if err != nil {
		return n, fmt.Errorf("export audit entries: %w", err)
	}
	return n, nil
}

// exportLines writes JSON, a line an entry. It is buffered: a write for each of a million entries would take
// longer than reading them.
func (l *Log) exportLines(ctx context.Context, w io.Writer, f Filter) (n int, err error) {
	b := bufio.NewWriter(w)
	err = l.Each(ctx, f, func(r Row) error {
		// The encoder would escape what the hash does not; a text is written as it is.
		if _, err := fmt.Fprintf(b, `{"seq":%d,"hash":%q,"entry":%s}`+"\n", r.Seq, r.Hash, r.Text); err != nil {
			return err
		}
		n++
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, b.Flush()
}

// exportSheet writes CSV. Before, after and answer stay JSON in their cells: their forms differ by event, and a
// column for each field would be a hundred empty ones.
func (l *Log) exportSheet(ctx context.Context, w io.Writer, f Filter) (n int, err error) {
	t, err := sheet.New(w, columns...)
	if err != nil {
		return 0, err
	}
	err = l.Each(ctx, f, func(r Row) error {
		n++
		return t.Row(strconv.FormatInt(r.Seq, 10), r.At.Format(timeFormat), r.Kind, r.Actor, r.Source, r.RequestID, r.Subject,
			r.Target, r.Login, r.Rule, textOf(r.Before), textOf(r.After), textOf(r.Answer), r.Detail, r.ID, r.Hash)
	})
	if err != nil {
		return n, err
	}
	return n, t.Flush()
}

// textOf is a value as it was written; empty when there is none.
func textOf(v any) string {
	raw, _ := v.(json.RawMessage) // what Each returns; nil when absent
	return string(raw)
}
