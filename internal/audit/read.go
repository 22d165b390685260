package audit

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// Reading returns the text that was hashed and what it says. Columns only filter; nothing that a
// reader sees comes from a column that the hash does not cover, but the number and the hash itself.

// Filter chooses entries; empty fields choose all.
type Filter struct {
	Subject string // everything about one person, on all targets
	Target  string
	Login   string // as Matomo spells it
	Kind    string
	Since   time.Time // from this time on
	Until   time.Time // before this time
	After   int64     // only entries with a higher number
	Limit   int       // at most so many; 0 for all
}

// Row is one entry as it was written.
type Row struct {
	ID   string
	At   time.Time
	Seq  int64  // its place in the chain; 0 while it waits for its seal
	Hash string // in hex; empty while it waits
	Entry
	Text json.RawMessage // the canonical text that was hashed
}

// Each seals what waits and calls fn for every entry that f chooses, in the order of the chain; what
// could not be sealed because the store is open read-only comes last. An error of fn ends it and is
// returned.
func (l *Log) Each(ctx context.Context, f Filter, fn func(Row) error) error {
	if _, err := l.Seal(ctx); err != nil {
		return err
	}
	left := f.Limit
	for after := f.After; ; {
		rows, err := l.page(ctx, f, "seq > "+strconv.FormatInt(after, 10), "seq", left)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := fn(r); err != nil {
				return err
			}
			after = r.Seq
		}
		if left -= len(rows); f.Limit > 0 && left == 0 {
			return nil
		}
		if len(rows) < page {
			break
		}
	}
	return l.eachUnsealed(ctx, f, left, fn)
}

// eachUnsealed goes through the entries that wait, which are few.
func (l *Log) eachUnsealed(ctx context.Context, f Filter, left int, fn func(Row) error) error {
	rows, err := l.page(ctx, f, "seq IS NULL", "id", left)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// page reads up to a page of entries that meet f and condition, not more than left unless that is 0.
func (l *Log) page(ctx context.Context, f Filter, condition, order string, left int) ([]Row, error) {
	where, args := f.where()
	limit := page
	if left > 0 {
		limit = min(limit, left)
	}
	rows, err := l.db.Reader().Query(ctx, `SELECT id, at, seq, hash, entry FROM audit WHERE `+condition+where+
		` ORDER BY `+order+` LIMIT `+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, fmt.Errorf("read audit entries: %w", err)
	}
	defer rows.Close()
	var all []Row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, fmt.Errorf("read audit entry: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// where is the part of a filter that columns answer.
func (f Filter) where() (string, []any) {
	var b strings.Builder
	var args []any
	add := func(condition string, arg any) {
		args = append(args, arg)
		b.WriteString(" AND " + condition + " $" + strconv.Itoa(len(args)))
	}
	for _, c := range []struct{ column, value string }{
		{"subject", f.Subject}, {"target", f.Target}, {"login", f.Login}, {"kind", f.Kind},
	} {
		if c.value != "" {
			add(c.column+" <> '' AND "+c.column+" =", c.value) // both, for the partial indexes
		}
	}
	if !f.Since.IsZero() {
		add("at >=", database.Micros(f.Since))
	}
	if !f.Until.IsZero() {
		add("at <", database.Micros(f.Until))
	}
	return b.String(), args
}

// scanRow reads one entry. Before, After and Answer come back as the raw JSON of the text: whoever
// wants more than to show them knows their type.
func scanRow(rows *sql.Rows) (Row, error) {
	var (
		r    Row
		at   int64
		seq  sql.NullInt64
		hash []byte
		text []byte
		rec  record
	)
	if err := rows.Scan(&r.ID, &at, &seq, &hash, &text); err != nil {
		return Row{}, err
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		return Row{}, fmt.Errorf("entry %s: %w", r.ID, err)
	}
	r.At, r.Seq, r.Hash, r.Text = database.FromMicros(at), seq.Int64, hex.EncodeToString(hash), text
	r.Entry = Entry{
		Kind: rec.Kind, Actor: rec.Actor, Source: rec.Source, RequestID: rec.RequestID, Subject: rec.Subject,
		Target: rec.Target, Login: rec.Login, Rule: rec.Rule, Detail: rec.Detail,
	}
	for _, v := range []struct {
		to   *any
		from json.RawMessage
	}{{&r.Before, rec.Before}, {&r.After, rec.After}, {&r.Answer, rec.Answer}} {
		if v.from != nil {
			*v.to = v.from
		}
	}
	return r, nil
}
