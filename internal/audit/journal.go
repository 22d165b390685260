package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/matomo-scim/bridge/internal/database"
)

// No record, no grant: what cannot be recorded is not given. But taking access away must not wait
// for a database that is full or gone: while the record cannot be written, whoever left still has
// their access. So reductions, and they alone, are written to a file beside the database first, line
// by line and flushed to the disk before anything is sent. When the database works again the lines
// become entries of the record, with the time at which they happened, and the file is emptied.
//
// An entry has its id from the beginning, so a line that became an entry a moment before a crash
// does not become a second one.

// Three things that the journal is not:
//
//   - It is not a second record. Nothing reads it but Replay, and nothing is proven by it: an entry
//     that waits here is outside the chain until it is replayed.
//   - It is not a queue of work. What was done was done; what is left to do is in the rows.
//   - It is not for what gives. A grant that could be traced only to a file which is lost with the
//     machine is a grant that nobody can explain.
//
// The file is readable for its owner alone: it holds what the record holds, and evidence besides.

// Journaled is one entry that the record could not take, and what its change would have stored
// besides, such as evidence: Kind and Data are the writer's, and are given back by Replay.
type Journaled struct {
	Entry Entry
	Kind  string
	Data  json.RawMessage
}

// journalLine is one line of the file.
type journalLine struct {
	Entry json.RawMessage `json:"entry"` // the canonical text
	Kind  string          `json:"kind,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
}

// Keep stores what came with a journaled entry, in the transaction that appends the entry.
type Keep func(ctx context.Context, tx *database.Tx, kind string, data json.RawMessage) error

// Journal is the file. Its methods may be called by several goroutines, and several processes may
// use one file: each takes the file's lock.
type Journal struct {
	db   *database.DB
	path string
	keep Keep
	log  *zap.Logger

	waiting prometheus.Gauge
	written prometheus.Counter

	mu sync.Mutex // one of this process at a time: a file lock does not part goroutines
}

// NewJournal returns the journal of db in the file at path, which is created with the first line.
// keep stores what comes with entries. Metrics are registered with reg, which may be nil.
func NewJournal(db *database.DB, path string, keep Keep, log *zap.Logger, reg prometheus.Registerer) *Journal {
	return &Journal{
		db: db, path: path, keep: keep, log: log,
		waiting: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "scim_bridge_audit_journal_bytes",
			Help: "Size of the journal of revocations that the audit trail could not take yet; 0 when it has all.",
		}),
		written: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "scim_bridge_audit_journal_entries_total",
			Help: "Entries that went to the journal because the audit trail could not be written.",
		}),
	}
}

// Path is where the journal is.
func (j *Journal) Path() string { return j.path }

// Write appends entries, durably. An error means that none of them may be acted upon.
func (j *Journal) Write(entries ...Journaled) error {
	// All lines in one write and one flush: a chunk of fifty leavers costs one, not fifty.
	var lines bytes.Buffer
	now := time.Now()
	for _, e := range entries {
		text, err := encode(e.Entry, database.NewID(), now)
		if err != nil {
			return fmt.Errorf("journal %s: %w", e.Entry.Kind, err)
		}
		line, err := marshal(journalLine{Entry: text, Kind: e.Kind, Data: e.Data})
		if err != nil {
			return fmt.Errorf("journal %s: %w", e.Entry.Kind, err)
		}
		lines.Write(append(line, '\n'))
	}
	err := j.withFile(func(f *os.File) error {
		if err := finishLine(f); err != nil {
			return err
		}
		if _, err := f.Write(lines.Bytes()); err != nil {
			return err
		}
		return f.Sync()
	})
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.written.Add(float64(len(entries)))
	return nil
}

// The file is opened for each use. It is rarely needed, so nothing is gained by keeping it open, and one that
// was moved away by somebody who looked at it is simply made anew.

// withFile opens and locks the file, and shows its size afterwards.
func (j *Journal) withFile(fn func(*os.File) error) (err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f, err := openAppend(j.path, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which gives the lock back
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", j.path, err)
	}
	err = fn(f)
	if info, serr := f.Stat(); serr == nil {
		j.waiting.Set(float64(info.Size()))
	}
	return err
}

// A line is whole when its end is there. What a crash or a full disk left of one is cut off before the next is
// written, because two halves on one line would be neither.

// finishLine makes sure that what is appended begins on a line of its own.
func finishLine(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = wholeLines(f)
	return err
}

// wholeLines reads the file, and cuts off the line that a crash left unfinished: its writer was never
// told that it is there, and so has done nothing.
func wholeLines(f *os.File) ([]byte, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	if end == len(data) {
		return data, nil
	}
	return data[:end], f.Truncate(int64(end))
}

// Order is kept: lines are replayed as they were written, so an intent comes before its outcome in the chain as
// well. Their times are those of the file; the chain's order is that of sealing, and says when the record
// learned of it.

// Replay moves what the journal holds into the record and returns how many entries that were. While
// the record still cannot be written it returns that error, and the journal stays as it is. A line
// that cannot be read stops it as well: nothing is ever thrown away.
func (j *Journal) Replay(ctx context.Context) (n int, err error) {
	if info, err := os.Stat(j.path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		j.waiting.Set(0)
		return 0, nil
	}
	err = j.withFile(func(f *os.File) error {
		data, err := wholeLines(f)
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, len(data)+1)
		for number := 1; lines.Scan(); number++ {
			if err := j.replayLine(ctx, lines.Bytes()); err != nil {
				return fmt.Errorf("%s:%d: %w", j.path, number, err)
			}
			n++
		}
		// Only now, with every line committed. A crash before this replays them all once more, and each
		// finds its entry there.
		if err := f.Truncate(0); err != nil {
			return err
		}
		return f.Sync()
	})
	if err != nil {
		return n, fmt.Errorf("replay journal: %w", err)
	}
	return n, nil
}

// replayLine makes one line an entry, once. It is a transaction of its own: on SQLite requests wait
// for the one before them, and a journal may hold the leavers of a whole night.
func (j *Journal) replayLine(ctx context.Context, text []byte) error {
	var l journalLine
	var r record
	if err := errors.Join(json.Unmarshal(text, &l), json.Unmarshal(l.Entry, &r)); err != nil {
		return fmt.Errorf("this line cannot be read; move the file away to go on without it: %w", err)
	}
	at, err := time.Parse(timeFormat, r.At)
	if err != nil {
		return fmt.Errorf("this line has no time: %w", err)
	}
	return j.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		res, err := tx.Exec(ctx, `INSERT INTO audit (id, at, kind, subject, target, login, entry) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO NOTHING`, r.ID, database.Micros(at), r.Kind, r.Subject, r.Target, r.Login, string(l.Entry))
		if err != nil {
			return err
		}
		if added, err := res.RowsAffected(); err != nil || added == 0 {
			return err // it became an entry before a crash
		}
		tx.Notify(topicAppended)
		if l.Kind == "" {
			return nil
		}
		return j.keep(ctx, tx, l.Kind, l.Data)
	})
}

// replayEvery is how often a journal that holds something is tried.
const replayEvery = 10 * time.Second

// A bridge that starts on a journal from before a crash replays it at once. While the record stays broken the
// log says every few seconds what that means: it is the one state in which joiners wait and nobody sees why.

// Run replays the journal when it starts, and whenever it holds something, until ctx ends.
func (j *Journal) Run(ctx context.Context) {
	ticker := time.NewTicker(replayEvery)
	defer ticker.Stop()
	for {
		switch n, err := j.Replay(ctx); {
		case err != nil && ctx.Err() == nil:
			j.log.Error("the audit trail cannot be written: nothing is granted until it can, and revocations are kept in the journal",
				zap.String("journal", j.path), zap.Error(err))
		case n > 0:
			j.log.Info("the audit trail has what was kept in the journal", zap.Int("entries", n))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
