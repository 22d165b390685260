package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
)

// Three things are written after the fact. What Matomo answered (recordSent) is
// true by itself. What the pass concluded becomes the row: Observe when the pass
// saw the newest generation, else Record, which keeps the facts and leaves the
// binding due. What became free calls those who wait for it.

// recordChunk is how many cases one transaction records: on SQLite requests wait
// that long.
const recordChunk = 100

// record writes what was sent, concluded or not, and the outcomes of all
// concluded cases that are not recorded yet.
func (p *pass) record(ctx context.Context, cases []*work) error {
	for chunk := range slices.Chunk(cases, recordChunk) {
		if err := p.recordTogether(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// recordTogether records cases in one transaction.
func (p *pass) recordTogether(ctx context.Context, cases []*work) error {
	var sent, open []*work
	for _, w := range cases {
		if w.recorded {
			continue
		}
		if len(w.Applied.Steps) > 0 && !w.audited {
			sent = append(sent, w)
		}
		if w.Concluded {
			open = append(open, w)
		}
	}
	if len(open) == 0 && len(sent) == 0 {
		return nil
	}
	if err := p.journal(sent); err != nil {
		return err
	}
	seen := make([]bool, len(open))
	// Not cancelled when the service stops: what was done is on record.
	err := p.opt.DB.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *database.Tx) error {
		for _, w := range sent {
			if err := p.recordSent(ctx, tx, w); err != nil {
				return err
			}
		}
		for i, w := range open {
			var err error
			if seen[i], err = p.recordOne(ctx, tx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for _, w := range sent {
		w.audited = true
	}
	for i, w := range open {
		w.recorded = true
		p.measure(w, seen[i])
	}
	return nil
}

// An outcome that is only in memory is gone with the process, and Matomo's answer with it.

// journal writes the outcomes of those whose intent is in the journal to it as well, before the rest
// is tried: the record may still refuse them, and then nothing else would say what Matomo answered.
func (p *pass) journal(sent []*work) error {
	var cases []*course.Case
	for _, w := range sent {
		if w.journaled && !w.outcome {
			cases = append(cases, &w.Case)
			w.outcome = true
		}
	}
	if len(cases) == 0 {
		return nil
	}
	return p.opt.Trail.OutcomesWithoutRecord(cases)
}

// recordSent writes what Matomo's answers say by themselves: it is true also when
// nothing can be read back.
func (p *pass) recordSent(ctx context.Context, tx *database.Tx, w *work) error {
	if !w.journaled {
		if err := p.opt.Trail.Outcome(ctx, tx, &w.Case); err != nil {
			return err
		}
	}
	if w.LostAll() {
		kind := bindings.ByGroup
		if w.Work.OfLeaver() {
			kind = bindings.ByLeaver
		}
		if err := p.opt.Bindings.RecordRemoval(ctx, tx, kind, w.Binding, tx.Now()); err != nil {
			return err
		}
	}
	// The gate of a come-back is recorded even if a later step failed: with nothing
	// but recreate it would be another deletion of the account each time.
	facts := bindings.Facts{CameBack: w.CameBack}
	if w.Created {
		facts.CreatedByUs = &w.Created
	}
	if w.CameBack {
		facts.Tokens = &w.Tokens
	}
	ours, err := p.opt.Bindings.RecordFacts(ctx, tx, w.Binding.ID, p.lease.ID, facts)
	if err != nil || !ours || !w.Unbind {
		return err
	}
	return p.opt.Bindings.Unbind(ctx, tx, w.Binding.ID)
}

// recordOne writes one binding. True means that the pass saw the newest
// generation; otherwise the binding stays due and only the facts are kept.
func (p *pass) recordOne(ctx context.Context, tx *database.Tx, w *work) (bool, error) {
	out, err := p.round.Row(&w.Case, tx.Now())
	if err != nil {
		return false, err
	}
	ours := false
	seen := !w.Failed && !w.Waits
	if seen {
		if seen, err = p.opt.Bindings.Observe(ctx, tx, out); err != nil {
			return false, err
		}
		ours = seen
	}
	if !seen {
		if ours, err = p.opt.Bindings.Record(ctx, tx, out); err != nil {
			return false, err
		}
	}
	if !ours {
		return false, nil // whoever has the lease now writes newer facts
	}
	if w.Unbind {
		if err := p.opt.Bindings.Unbind(ctx, tx, w.Binding.ID); err != nil {
			return false, err
		}
	}
	if w.Unbind {
		p.freed[course.ReasonWaitsForDelete] = true
	}
	if w.Binding.Superuser && !out.Superuser {
		p.freed[course.GuardCap] = true
	}
	return seen, nil
}

// callWaiting makes those due at once who waited for what the pass gave free: a
// login, or the place of a superuser. Should it be lost, the next full compare
// finds them.
func (p *pass) callWaiting(ctx context.Context) error {
	if len(p.freed) == 0 {
		return nil
	}
	err := p.opt.DB.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *database.Tx) error {
		for reason := range p.freed {
			if err := p.opt.Bindings.DueFor(ctx, tx, p.t.Name, reason); err != nil {
				return err
			}
		}
		return nil
	})
	clear(p.freed)
	return err
}

// measure shows a recorded outcome: the propagation of a verified change, what
// leavers leave behind, and leavers who cannot be worked.
func (p *pass) measure(w *work, observed bool) {
	b := w.Binding
	if observed && w.Verified && w.Account != nil && !p.round.Observe && !b.AcceptedAt.IsZero() && isPersons(b.Event) {
		p.m.Propagation.WithLabelValues(string(w.Event()), p.t.Name).Observe(time.Since(b.AcceptedAt).Seconds())
	}
	// Once when it begins, not with every retry.
	if w.State == bindings.Blocked && (b.State != bindings.Blocked || b.Reason != w.Reason) {
		p.m.Changes.WithLabelValues(p.t.Name, vitals.BlockedAction(&w.Case), "blocked").Inc()
	}
	if p.round.TokensLeft(&w.Case) {
		p.m.TokensLeft.WithLabelValues(p.t.Name).Inc()
	}
	if !w.Work.OfLeaver() {
		return
	}
	if w.Revoked && b.RevokedAt == nil && w.Account != nil && w.Account.Evidence != nil {
		p.m.StillMailed.WithLabelValues(p.t.Name).Add(float64(len(w.Account.Evidence.MailedBy)))
	}
	if w.Failed && !w.Revoked {
		p.log.Error("a leaver may still have access", zap.String("target", p.t.Name), zap.String("login", w.Login),
			zap.String("subject", b.Subject), zap.String("reason", w.Reason), zap.String("detail", w.Detail))
	}
}

// isPersons reports whether the propagation of an event is measured.
func isPersons(e bindings.Event) bool { return e != bindings.NoEvent && e != bindings.Drift }
