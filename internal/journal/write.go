package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/database"
)

// One goroutine writes, so entries are in the order in which their requests ended, and a
// burst costs a few transactions instead of one for each request. It writes beside the
// requests, in transactions of its own: on SQLite they share the commits of others.

const (
	gatherFor = 100 * time.Millisecond // how long entries wait for others
	gatherMax = 64                     // entries of one transaction
	sweepWait = time.Hour              // how often old entries are removed
	lastWrite = 5 * time.Second        // how long the end of the service waits for what is queued
)

// Run writes what was recorded until ctx is done, and then what still waits.
func (j *Journal) Run(ctx context.Context) {
	sweep := time.NewTicker(sweepWait)
	defer sweep.Stop()
	j.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			for batch := j.waiting(nil); len(batch) > 0; batch = j.waiting(nil) {
				j.write(last, batch)
			}
			return
		case <-sweep.C:
			j.sweep(ctx)
		case e := <-j.queue:
			// The first of a burst waits a moment, so that they share a commit.
			select {
			case <-ctx.Done():
			case <-time.After(gatherFor):
			}
			// Not cut off by the end of the service: what was taken from the queue is
			// nowhere else.
			j.write(context.WithoutCancel(ctx), j.waiting([]*Entry{e}))
		}
	}
}

// waiting adds what waits to a batch, up to gatherMax.
func (j *Journal) waiting(batch []*Entry) []*Entry {
	for len(batch) < gatherMax {
		select {
		case e := <-j.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// write stores entries and removes those that are too many. What cannot be stored is
// lost: a journal that insists would become the reason for an outage.
func (j *Journal) write(ctx context.Context, batch []*Entry) {
	touched := map[string]bool{}
	for _, e := range batch {
		e.complete()
		touched[e.Source] = true
	}
	err := j.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		for left := batch; len(left) > 0; {
			n := database.Chunk(len(left))
			if err := insert(ctx, tx, left[:n]); err != nil {
				return err
			}
			left = left[n:]
		}
		for _, source := range slices.Sorted(maps.Keys(touched)) {
			// The row after the last one to keep, and all that are older.
			_, err := tx.Exec(ctx, `DELETE FROM journal WHERE source = $1 AND id <= (
				SELECT id FROM journal WHERE source = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`, source, j.sources[source].Requests)
			if err != nil {
				return fmt.Errorf("trim: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		j.dropped.Add(float64(len(batch)))
		j.log.Warn("write the request journal; these requests are not in it", zap.Int("requests", len(batch)), zap.Error(err))
	}
}

// complete makes the texts of an entry fit to be stored.
func (e *Entry) complete() {
	e.Path = shownPath(e.Path)
	e.AnswerBody = e.answered.shown()
	if e.RequestBody == "" { // it was read to its end
		e.RequestBody = e.sent.shown()
	}
	for _, text := range []*string{&e.UserAgent, &e.Method, &e.Attribute, &e.Detail, &e.Credential, &e.SCIMType} {
		*text = clean(*text, maxText)
	}
}

// insert writes rows.
func insert(ctx context.Context, tx *database.Tx, entries []*Entry) error {
	var args []any
	for _, e := range entries {
		args = append(args, e.ID, e.Source, database.Micros(e.At), e.RequestID, e.Credential, e.Address, e.UserAgent, e.Method,
			e.Path, e.Status, e.Took.Microseconds(), e.SCIMType, e.Attribute, e.Detail, e.RequestBody, e.AnswerBody)
	}
	_, err := tx.Exec(ctx, `INSERT INTO journal (`+columns+`) VALUES `+database.Values(len(entries), 16, 1), args...)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return nil
}

// sweep removes what is too old, and what a source left behind whose journal is off.
func (j *Journal) sweep(ctx context.Context) {
	err := j.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		dia := j.db.Dialect()
		names := slices.Sorted(maps.Keys(j.sources))
		if _, err := tx.Exec(ctx, `DELETE FROM journal WHERE NOT `+dia.In("source", "$1"), dia.Strings(names)); err != nil {
			return err
		}
		for _, name := range names {
			keep := j.sources[name].Keep
			if keep <= 0 {
				continue
			}
			_, err := tx.Exec(ctx, `DELETE FROM journal WHERE source = $1 AND at < $2`, name, database.Micros(tx.Now().Add(-keep)))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		j.log.Warn("remove old entries of the request journal; it is tried again in an hour", zap.Error(err))
	}
}
