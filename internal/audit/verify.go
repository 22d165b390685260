package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// What a check can find, and what it cannot.
//
// A hash covers the text of an entry and, through the hash before it, every entry before. So a
// changed text does not have its hash any more; a text that was changed together with its hash is
// not what the next entry follows; a removed entry leaves a gap in the numbers; a removed tail ends
// before the head says. The columns beside the text are compared with it, because readers filter by
// them: an entry whose subject column was changed would be hidden from a review.
//
// Somebody who can write all rows and the head can write a whole new chain. Against that there is
// only the head hash of an earlier report, or a signed checkpoint, kept where they cannot write.

// What is not sealed yet is outside the chain: an entry that somebody adds to the table by hand is
// sealed like any other, because nothing here can tell who wrote it. What a forged entry cannot do is
// take another's place, or be older than the seal that took it up.

// Fault says what is wrong at a place of the chain.
type Fault string

// The faults.
const (
	Changed Fault = "changed" // the entry's text, or a column that repeats it, is not what was sealed
	Moved   Fault = "moved"   // the entry is whole but does not follow the one before: that was replaced, or this one moved
	Missing Fault = "missing" // no entry has this number
	Cut     Fault = "cut"     // the chain does not end where the head says

	Rewritten Fault = "rewritten" // a signed checkpoint names another hash: the chain was written anew
	Forged    Fault = "forged"    // a line of the checkpoints is not what the bridge wrote there
)

// Problem is one place where the chain is broken.
type Problem struct {
	Fault  Fault
	Seq    int64
	ID     string // of the entry at Seq; empty when there is none
	Detail string
}

// String is one line for people.
func (p Problem) String() string {
	if p.ID == "" {
		return fmt.Sprintf("%s at %d: %s", p.Fault, p.Seq, p.Detail)
	}
	return fmt.Sprintf("%s at %d (%s): %s", p.Fault, p.Seq, p.ID, p.Detail)
}

// A problem names the number and the id of an entry, so that it can be found in a backup or in an export of an
// earlier day; what stood there before only those can tell.

// Report is the result of Verify.
type Report struct {
	Sealed   int64     // entries in the chain
	Unsealed int64     // entries that wait for their seal
	Head     string    // the last hash in hex: keep it elsewhere to notice a chain that was written anew
	Problems []Problem // in the order of the chain, at most maxProblems; none when it is whole
}

const (
	// maxProblems ends a check: a table that was broken on purpose has as many problems as rows.
	maxProblems = 100
	// page is how many entries are read at a time, so that neither a check nor an export holds a
	// connection, or the memory, for the whole table.
	page = 500
)

// Verify seals what waits and goes through the whole chain. Its error is about reading; what is
// wrong with the chain is in the report.
func (l *Log) Verify(ctx context.Context) (Report, error) {
	if _, err := l.Seal(ctx); err != nil {
		return Report{}, err
	}
	return l.verify(ctx, 1)
}

// verify checks the entries from a number on, and sets the metric.
func (l *Log) verify(ctx context.Context, from int64) (Report, error) {
	// The head is read first. Sealed entries never change, so everything up to it can be checked
	// while a sealer adds more behind it.
	head, err := l.head(ctx)
	if err != nil {
		return Report{}, err
	}
	c := checker{last: link{hash: make([]byte, len(head.hash))}}
	if from > 1 {
		// The entry before is taken as it is; when it is missing, the first one shows it.
		c.last.seq = from - 1
		err := l.db.Reader().QueryRow(ctx, `SELECT hash FROM audit WHERE seq = $1`, c.last.seq).Scan(&c.last.hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return Report{}, fmt.Errorf("read audit entry %d: %w", c.last.seq, err)
		}
	}
	for !c.full() && c.last.seq < head.seq {
		n, err := l.check(ctx, &c, head.seq)
		if err != nil {
			return Report{}, err
		}
		if n == 0 {
			break
		}
	}
	if err := l.checkEnd(ctx, &c, head); err != nil {
		return Report{}, err
	}
	report := Report{Sealed: head.seq, Head: hex.EncodeToString(head.hash), Problems: c.problems}
	err = l.db.Reader().QueryRow(ctx, `SELECT COUNT(*) FROM audit WHERE seq IS NULL`).Scan(&report.Unsealed)
	if err != nil {
		return Report{}, fmt.Errorf("count unsealed audit entries: %w", err)
	}
	l.m.valid.Set(1)
	if len(report.Problems) > 0 {
		l.m.valid.Set(0)
	}
	return report, nil
}

// check reads one page after what was checked, up to the number end.
func (l *Log) check(ctx context.Context, c *checker, end int64) (int, error) {
	rows, err := l.db.Reader().Query(ctx, `SELECT seq, id, at, kind, subject, target, login, entry, prev, hash FROM audit
		WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`, c.last.seq, end, page)
	if err != nil {
		return 0, fmt.Errorf("read audit entries: %w", err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next() && !c.full(); n++ {
		var s stored
		if err := rows.Scan(&s.seq, &s.id, &s.at, &s.kind, &s.subject, &s.target, &s.login, &s.entry, &s.prev, &s.hash); err != nil {
			return 0, fmt.Errorf("read audit entry: %w", err)
		}
		c.entry(s)
	}
	return n, rows.Err()
}

// checkEnd compares the end of the chain with the head, and looks for entries beyond it.
func (l *Log) checkEnd(ctx context.Context, c *checker, head link) error {
	if c.full() {
		return nil
	}
	switch {
	case c.last.seq < head.seq:
		c.problem(Problem{Fault: Cut, Seq: c.last.seq + 1, Detail: fmt.Sprintf("the head says that the chain ends at %d", head.seq)})
	case !c.last.same(head):
		c.problem(Problem{Fault: Cut, Seq: head.seq, ID: c.id, Detail: "the last entry is not the one that the head names"})
	}
	// A sealer may have gone on since; then the head has too.
	var beyond sql.NullInt64
	err := l.db.Reader().QueryRow(ctx, `SELECT MAX(seq) FROM audit WHERE seq IS NOT NULL`).Scan(&beyond)
	if err != nil {
		return fmt.Errorf("read last audit entry: %w", err)
	}
	now, err := l.head(ctx)
	if err == nil && beyond.Int64 > now.seq {
		c.problem(Problem{Fault: Cut, Seq: now.seq + 1, Detail: fmt.Sprintf("entries up to %d are beyond the head", beyond.Int64)})
	}
	return err
}

// stored is one row of the chain.
type stored struct {
	link
	id, kind, subject, target, login, entry string
	at                                      int64
	prev                                    []byte
}

// checker follows a chain. After a problem it goes on from what is stored, so that one broken entry
// is one problem.
type checker struct {
	last     link
	id       string // of the last entry
	problems []Problem
}

func (c *checker) full() bool { return len(c.problems) >= maxProblems }

func (c *checker) problem(p Problem) { c.problems = append(c.problems, p) }

// entry checks the next entry.
func (c *checker) entry(s stored) {
	follows := s.seq == c.last.seq+1
	if !follows {
		c.problem(Problem{
			Fault: Missing, Seq: c.last.seq + 1,
			Detail: fmt.Sprintf("the entries from %d to %d are gone", c.last.seq+1, s.seq-1),
		})
	}
	// Does the text have the hash that is stored beside it? Then the entry is whole, and what
	// remains is whether it stands where it was sealed.
	own := link{seq: s.seq - 1, hash: s.prev}.next([]byte(s.entry))
	switch {
	case !own.same(s.link):
		c.problem(Problem{Fault: Changed, Seq: s.seq, ID: s.id, Detail: "its text does not have the hash that was sealed"})
	case follows && !bytes.Equal(s.prev, c.last.hash):
		c.problem(Problem{
			Fault: Moved, Seq: s.seq, ID: s.id,
			Detail: fmt.Sprintf("it does not follow entry %d (%s): that was replaced, or this one moved", c.last.seq, c.id),
		})
	default:
		if column := s.differs(); column != "" {
			c.problem(Problem{Fault: Changed, Seq: s.seq, ID: s.id, Detail: "column " + column + " is not what the text says"})
		}
	}
	c.last, c.id = s.link, s.id
}

// differs names a column that does not repeat the text, through which a reader's filter would miss
// the entry.
func (s stored) differs() string {
	var r record
	if err := json.Unmarshal([]byte(s.entry), &r); err != nil {
		return "entry"
	}
	at, err := time.Parse(timeFormat, r.At)
	switch {
	case s.id != r.ID:
		return "id"
	case err != nil || database.Micros(at) != s.at:
		return "at"
	case s.kind != r.Kind:
		return "kind"
	case s.subject != r.Subject:
		return "subject"
	case s.target != r.Target:
		return "target"
	case s.login != r.Login:
		return "login"
	}
	return ""
}
