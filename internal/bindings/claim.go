package bindings

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/internal/database"
)

// A lease is a note on the row: who works on it, and until when that counts. Nobody is asked to
// give it back; when its time is over anybody may take the row, and the one who lost it writes
// nothing any more, because every write at the end of a pass asks for its own lease. The claim also
// notes the generation, so that later statements can tell whether an event came since.

// ClaimRequest says what a worker wants to lease.
type ClaimRequest struct {
	Target string
	// Lease names the worker and its pass; it must be new for each pass (database.NewID).
	Lease string
	// Limit is the most bindings to claim.
	Limit int
	// Min and Max are the range of priorities that the worker takes: leavers have a worker of their
	// own, so that nobody stands before them.
	Min, Max Priority
	// LeaseFor is how long the claim holds without Renew.
	LeaseFor time.Duration
}

// Whether a lease has run out is the one question that replicas must answer alike, so it is asked by a
// clock that they share. When something is due may differ by what their own clocks differ.

// due is what may be claimed, $3 being now.
func (s *Store) due() string {
	return `target = $1 AND priority = $2 AND due_at <= $3 AND (lease IS NULL OR lease_until <= ` + s.d.Clock("$3") + `)`
}

// claimChunk is how many bindings one transaction claims: on SQLite requests wait that long.
const claimChunk = 100

// Claim leases bindings that are due and that nobody works on: leavers first, and within a priority
// those that have waited longest. A lease that has run out is taken over. With nothing due it does
// not write. An error after some were claimed is left to the next claim, which meets it first.
func (s *Store) Claim(ctx context.Context, req ClaimRequest) ([]Binding, error) {
	if found, err := s.anyDue(ctx, req); err != nil || !found {
		return nil, err
	}
	var claimed []Binding
	for len(claimed) < req.Limit {
		limit := min(claimChunk, req.Limit-len(claimed))
		some, err := s.claimSome(ctx, req, limit, endOf(claimed))
		if err != nil && len(claimed) == 0 {
			return nil, fmt.Errorf("claim bindings of %s: %w", req.Target, err)
		}
		if claimed = append(claimed, some...); len(some) < limit {
			break
		}
	}
	return claimed, nil
}

// endOf is until when a claim holds; nil before it has a binding. All of a claim ends at one time, so that
// Renew extends it as a whole: a pass must not go on with the rest while others take the beginning.
func endOf(claimed []Binding) *time.Time {
	if len(claimed) == 0 {
		return nil
	}
	return claimed[0].LeaseUntil
}

// claimSome leases up to limit bindings in one transaction, until the given time or for as long as req says.
func (s *Store) claimSome(ctx context.Context, req ClaimRequest, limit int, until *time.Time) ([]Binding, error) {
	var claimed []Binding
	err := s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		claimed = nil
		if req.Max > PriorityLeaver {
			if err := tx.Lock(ctx, claimKey); err != nil {
				return err
			}
		}
		for p := max(req.Min, PriorityLeaver); p <= min(req.Max, PriorityLow) && len(claimed) < limit; p++ {
			end := until
			if end == nil {
				end = endOf(claimed)
			}
			some, err := s.claim(ctx, tx, req, p, limit-len(claimed), end)
			if err != nil {
				return err
			}
			claimed = append(claimed, some...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// How many superusers are left is known only to whoever works on all of those that may be demoted: two
// passes that take one each would both see the other's and leave none. So one pass at a time has the
// superusers of a target, and it reads Matomo after the one before has given them back. People who left
// wait for nobody.

// claimKey is the advisory lock under which replicas claim one after the other, so that they see each
// other's superusers.
const claimKey = 0x5c1b_a0d2

// alone is the condition of a binding that may be claimed beside those of other leases than $5.
func (s *Store) alone(p Priority) string {
	if p == PriorityLeaver {
		return ""
	}
	return ` AND (NOT superuser OR NOT EXISTS (SELECT 1 FROM bindings AS other WHERE other.target = $1 AND other.superuser
		AND other.lease IS NOT NULL AND other.lease <> $5 AND other.lease_until > ` + s.d.Clock("$3") + `))`
}

// claim leases up to limit bindings of one priority. One priority a statement lets the index give
// them in order of due_at, whatever waits for later in the priorities before.
func (s *Store) claim(ctx context.Context, tx *database.Tx, req ClaimRequest, p Priority, limit int, until *time.Time) ([]Binding, error) {
	rows, err := tx.Query(ctx, `WITH claimable AS MATERIALIZED (SELECT id FROM bindings WHERE `+s.due()+s.alone(p)+
		` ORDER BY due_at LIMIT $4`+s.d.SkipLocked()+`)
		UPDATE bindings SET lease = $5, lease_until = COALESCE(CAST($6 AS BIGINT), `+s.d.Clock("$3")+` + $7), claimed = generation
		WHERE id IN (SELECT id FROM claimable) RETURNING `+columns,
		req.Target, int64(p), database.Micros(tx.Now()), limit, req.Lease, database.NullMicros(until), req.LeaseFor.Microseconds())
	some, err := scanAll(rows, err, scan)
	slices.SortFunc(some, func(a, b Binding) int {
		return cmp.Or(a.DueAt.Compare(*b.DueAt), cmp.Compare(a.ID, b.ID))
	})
	return some, err
}

// anyDue looks without writing, so that an idle loop costs the writer nothing.
func (s *Store) anyDue(ctx context.Context, req ClaimRequest) (bool, error) {
	now := database.Micros(time.Now())
	for p := max(req.Min, PriorityLeaver); p <= min(req.Max, PriorityLow); p++ {
		var found bool
		err := s.db.Reader().QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM bindings WHERE `+s.due()+`)`, req.Target, int64(p), now).Scan(&found)
		if err != nil {
			return false, fmt.Errorf("look for due bindings: %w", err)
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

// NextDue returns when the next binding of the target with a priority from lowest to highest can be
// claimed; false when none waits. The loop sleeps until then unless OnDue wakes it.
func (s *Store) NextDue(ctx context.Context, target string, lowest, highest Priority) (time.Time, bool, error) {
	var next *time.Time
	for p := max(lowest, PriorityLeaver); p <= min(highest, PriorityLow); p++ {
		free, err := s.minTime(ctx, `SELECT MIN(due_at) FROM bindings WHERE target = $1 AND priority = $2 AND due_at IS NOT NULL
			AND lease IS NULL`, target, int64(p))
		if err != nil {
			return time.Time{}, false, fmt.Errorf("next due binding: %w", err)
		}
		leased, err := s.minTime(ctx, `SELECT MIN(lease_until) FROM bindings WHERE lease IS NOT NULL AND target = $1 AND priority = $2
			AND due_at IS NOT NULL`, target, int64(p))
		if err != nil {
			return time.Time{}, false, fmt.Errorf("next free lease: %w", err)
		}
		next = earliest(next, earliest(free, leased))
	}
	if next == nil {
		return time.Time{}, false, nil
	}
	return *next, true, nil
}

func (s *Store) minTime(ctx context.Context, query string, args ...any) (*time.Time, error) {
	var at sql.NullInt64
	err := s.db.Reader().QueryRow(ctx, query, args...).Scan(&at)
	return database.FromNullMicros(at), err
}

// Renew extends every claim of lease. It returns false when there is none left to extend: the lease
// has run out, and from that moment another worker may have taken the bindings.
func (s *Store) Renew(ctx context.Context, lease string, until time.Time) (held bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE bindings SET lease_until = `+s.d.Clock("$1")+` + (CAST($2 AS BIGINT) - $1)
			WHERE lease = $3 AND lease_until > `+s.d.Clock("$1"), database.Micros(tx.Now()), database.Micros(until), lease)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		held = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("renew lease: %w", err)
	}
	return held, nil
}

// Release gives claimed bindings back for a reason that is not theirs (the target does not answer,
// the program stops): they become due at next and their attempts stay. A binding that an event met
// since the claim stays due now. Bindings that lease has lost are left alone.
func (s *Store) Release(ctx context.Context, lease string, ids []string, next time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE bindings SET due_at = CASE WHEN generation = claimed THEN $1 ELSE due_at END,
			lease = NULL, lease_until = NULL, claimed = NULL WHERE lease = $2 AND `+s.d.In("id", "$3"),
			database.Micros(next), lease, s.d.Strings(ids))
		if err == nil {
			tx.AfterCommit(s.onDue)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("release %d bindings: %w", len(ids), err)
	}
	return nil
}
