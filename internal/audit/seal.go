package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/database"
)

// How the chain grows.
//
// Entries are committed by requests that know nothing of each other. If each took the end of the
// chain they would wait in line for one row, and a request's speed would be that of the slowest.
// So an entry is committed without a place, and a sealer gives places afterwards:
//
//   - One sealer at a time: on SQLite because there is one writer, on PostgreSQL under an advisory
//     lock that ends with the transaction, so a sealer that dies holds up nobody.
//   - It sees only what is committed. An entry that commits late on PostgreSQL, with an id older
//     than others that are sealed already, gets its place in a later seal. The chain's order is the
//     order of sealing; the time of an entry is in its text.
//   - The places of a batch and the head are one transaction. A crash leaves entries unsealed, and
//     the next seal takes them.
//
// What an attacker can do between commit and seal is bounded by sealEvery.

const (
	// sealEvery is the least time between two seals in the background: a seal is a transaction of
	// its own, and so costs a flush.
	sealEvery = 100 * time.Millisecond
	// sealBatch is how many entries one transaction seals. On SQLite requests wait that long.
	sealBatch = 100
	// sealKey is the advisory lock under which replicas seal one after the other.
	sealKey = 0x5c1b_a0d1
	// tail is how many entries Run checks when it starts.
	tail = 1000
)

// Log seals and reads the audit entries of one store. Its methods may be called by several
// goroutines, and several processes may have a Log on one store.
type Log struct {
	db   *database.DB
	log  *zap.Logger
	m    *metrics
	wake chan struct{} // has a value when something was appended since the last seal
}

// New returns the log of db. Metrics are registered with reg, which may be nil.
func New(db *database.DB, log *zap.Logger, reg prometheus.Registerer) *Log {
	l := &Log{db: db, log: log, m: newMetrics(reg), wake: make(chan struct{}, 1)}
	db.Listen(topicAppended, func() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	})
	db.Listen(topicFailed, l.m.failures.Inc)
	return l
}

// Run seals what is appended, within about 100 ms, until ctx ends; then once more. When it starts
// it checks the last entries of the chain. What another process appends is sealed with the next
// entry of this one, or by whoever reads.
func (l *Log) Run(ctx context.Context) {
	l.checkTail(ctx)
	l.sealAndLog(ctx)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			l.sealAndLog(context.WithoutCancel(ctx))
			return
		case <-pause.C: // the last seal is long enough ago
		}
		select {
		case <-ctx.Done():
			l.sealAndLog(context.WithoutCancel(ctx))
			return
		case <-l.wake:
		}
		l.sealAndLog(ctx)
		pause.Reset(sealEvery)
	}
}

// checkTail sets the chain metric from the last entries, so that it says something before anybody
// verifies everything.
func (l *Log) checkTail(ctx context.Context) {
	head, err := l.head(ctx)
	if err != nil {
		l.log.Warn("audit head", zap.Error(err))
		return
	}
	report, err := l.verify(ctx, max(1, head.seq-tail))
	switch {
	case err != nil:
		l.log.Warn("check the end of the audit chain", zap.Error(err))
	case len(report.Problems) > 0:
		l.log.Error("the audit chain is broken: run audit verify", zap.Stringer("first", report.Problems[0]))
	}
}

func (l *Log) sealAndLog(ctx context.Context) {
	if _, err := l.Seal(ctx); err != nil && ctx.Err() == nil {
		l.log.Warn("seal audit entries", zap.Error(err))
	}
}

// Seal gives every committed entry without a place its place in the chain, and returns how many.
// A store that is open read-only is left as it is: its writer seals.
func (l *Log) Seal(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := l.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			n, err = l.seal(ctx, tx)
			return err
		})
		switch {
		case errors.Is(err, database.ErrReadOnly):
			// A command that only looks. Its report says how much is unsealed.
			return 0, nil
		case err != nil:
			l.m.failures.Inc()
			return total, fmt.Errorf("seal audit entries: %w", err)
		}
		l.m.entries.Add(float64(n))
		if total += n; n < sealBatch {
			return total, nil
		}
	}
}

// link is the end of a chain.
type link struct {
	seq  int64
	hash []byte
}

// next is the link that a text makes after l.
func (l link) next(text []byte) link {
	// The hash before has a fixed length, so no two pairs of hash and text run together alike.
	h := sha256.New()
	h.Write(l.hash)
	h.Write(text)
	return link{seq: l.seq + 1, hash: h.Sum(nil)}
}

// sealed is one entry that is to be written with its place: prev is the hash of the entry before
// it, the link its own number and hash.
type sealed struct {
	id   string
	prev []byte
	link
}

// seal seals one batch. Entries are taken in the order of their ids, which is the order in which
// they were made.
func (l *Log) seal(ctx context.Context, tx *database.Tx) (int, error) {
	if err := tx.Lock(ctx, sealKey); err != nil {
		return 0, err
	}
	var head link
	if err := tx.QueryRow(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&head.seq, &head.hash); err != nil {
		return 0, fmt.Errorf("read head: %w", err)
	}
	batch, err := unsealed(ctx, tx, head)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	if l.db.Dialect().Name() == "postgres" {
		err = writeArrays(ctx, tx, batch)
	} else {
		err = writeRows(ctx, tx, batch)
	}
	if err != nil {
		return 0, fmt.Errorf("write seals: %w", err)
	}
	last := batch[len(batch)-1]
	if _, err := tx.Exec(ctx, `UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1`, last.seq, last.hash); err != nil {
		return 0, fmt.Errorf("write head: %w", err)
	}
	return len(batch), nil
}

// unsealed links the oldest entries that have no place yet to head.
func unsealed(ctx context.Context, tx *database.Tx, head link) ([]sealed, error) {
	rows, err := tx.Query(ctx, `SELECT id, entry FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1`, sealBatch)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	defer rows.Close()
	var batch []sealed
	for rows.Next() {
		var id string
		var text sql.RawBytes
		if err := rows.Scan(&id, &text); err != nil {
			return nil, fmt.Errorf("read entry: %w", err)
		}
		prev := head.hash
		head = head.next(text)
		batch = append(batch, sealed{id: id, prev: prev, link: head})
	}
	return batch, rows.Err()
}

// writeRows writes seals one by one, which is fastest where there is no network.
func writeRows(ctx context.Context, tx *database.Tx, batch []sealed) error {
	for _, s := range batch {
		if _, err := tx.Exec(ctx, `UPDATE audit SET seq = $1, prev = $2, hash = $3 WHERE id = $4`, s.seq, s.prev, s.hash, s.id); err != nil {
			return err
		}
	}
	return nil
}

// writeArrays writes all seals in one statement of PostgreSQL.
func writeArrays(ctx context.Context, tx *database.Tx, batch []sealed) error {
	ids, seqs := make([]string, len(batch)), make([]int64, len(batch))
	prevs, hashes := make([][]byte, len(batch)), make([][]byte, len(batch))
	for i, s := range batch {
		ids[i], seqs[i], prevs[i], hashes[i] = s.id, s.seq, s.prev, s.hash
	}
	_, err := tx.Exec(ctx, `UPDATE audit SET seq = s.seq, prev = s.prev, hash = s.hash
		FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[]) AS s(id, seq, prev, hash) WHERE audit.id = s.id`,
		ids, seqs, prevs, hashes)
	return err
}

// head reads the end of the chain.
func (l *Log) head(ctx context.Context) (link, error) {
	var head link
	err := l.db.Reader().QueryRow(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&head.seq, &head.hash)
	if err != nil {
		return link{}, fmt.Errorf("read audit head: %w", err)
	}
	return head, nil
}

// same says whether two links are one.
func (l link) same(other link) bool { return l.seq == other.seq && bytes.Equal(l.hash, other.hash) }
