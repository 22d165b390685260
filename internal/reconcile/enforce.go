package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/lease"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/matomo"
)

// The order of enforcing is what makes a crash harmless. Before anything is sent,
// evidence of what will be gone and the intent are committed; after it, Matomo is
// read again and only that read concludes a case. Whatever breaks off in between
// is found by the next pass, because the row is still due, and told apart by the
// intent: the login is bound, the place is taken, the grants are remembered.

// act carries out what the pass found: bindings that need no change are
// recorded at once, the others in chunks, each applied, read back and recorded
// before the next.
func (p *pass) act(ctx context.Context) error {
	var changes []*work
	for _, w := range p.cases {
		switch {
		case w.Concluded:
		case p.round.Observe:
			p.round.JudgeObserved(&w.Case)
			p.countDryRun(w)
		case w.Plan.Empty():
			p.round.Judge(&w.Case, *w.Account)
		default:
			changes = append(changes, w)
		}
	}
	if err := p.record(ctx, p.cases); err != nil {
		return err
	}
	slices.SortStableFunc(changes, func(a, b *work) int { return a.Work.Order() - b.Work.Order() })
	for {
		var err error
		if changes, err = p.stillOurs(ctx, changes); err != nil || len(changes) == 0 {
			return err
		}
		n := together(changes)
		if changes[0].MayWait(time.Now()) {
			// Whoever left meanwhile comes first; what is not recorded here is given back.
			if waits, err := p.opt.Bindings.LeaverWaits(ctx, p.t.Name); err != nil || waits {
				return err
			}
		}
		if err := p.enforce(ctx, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
}

// A leaver counts as revoked when a read back says so, and the read back of a chunk
// comes after all of it was sent. So a chunk never mixes what takes a hundredth of a
// second with what takes a tenth.

// together is how many of changes go into the next chunk. The first phase of leavers
// has chunks of its own, so that its clock stops before anything slower is sent.
func together(changes []*work) int {
	first, most := changes[0].Work, chunkSize
	if first == course.WorkSeal {
		most = sealChunk
	}
	n := 1
	for n < min(most, len(changes)) && changes[n].Work.Order() == first.Order() {
		n++
	}
	return n
}

// stillOurs drops the cases whose lease was lost, and gives back those that an
// event met since the claim: what was decided for them is old, and the person may
// have left meanwhile, which is the business of the leavers' lane.
func (p *pass) stillOurs(ctx context.Context, cases []*work) ([]*work, error) {
	if len(cases) == 0 {
		return nil, nil
	}
	held, err := p.opt.Bindings.Held(ctx, p.lease.ID)
	if err != nil {
		return nil, err
	}
	kept := cases[:0:0]
	var back []string
	for _, w := range cases {
		moved, ours := held[w.Binding.ID]
		if ours && !moved {
			kept = append(kept, w)
			continue
		}
		w.recorded = true
		if ours {
			back = append(back, w.Binding.ID)
		}
	}
	if len(back) == 0 {
		return kept, nil
	}
	return kept, p.opt.Bindings.Release(ctx, p.lease.ID, back, time.Now())
}

// enforce makes Matomo agree for one chunk: evidence, intent, apply, read back,
// record.
func (p *pass) enforce(ctx context.Context, chunk []*work) error {
	if err := p.readEvidence(ctx, chunk); err != nil {
		return err
	}
	for _, w := range chunk {
		p.round.AwaitEvidence(&w.Case)
	}
	if err := p.record(ctx, chunk); err != nil {
		return err
	}
	chunk = slices.DeleteFunc(chunk, func(w *work) bool { return w.Concluded })
	going, err := p.intend(ctx, chunk)
	if err != nil {
		return err
	}
	// A failure of the target ends the pass, and what Matomo answered until then is
	// recorded first.
	failure := p.apply(ctx, going)
	if failure == nil {
		failure = p.readBack(ctx, going)
	}
	if err := p.record(ctx, going); err != nil {
		return errors.Join(failure, err)
	}
	return failure
}

// readEvidence reads what plans would delete for good where the first read did
// not carry it, or not all of it.
func (p *pass) readEvidence(ctx context.Context, chunk []*work) error {
	var lacking []*work
	for _, w := range chunk {
		if w.LacksEvidence() {
			lacking = append(lacking, w)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	snap, err := p.fetch(ctx, lacking, true)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	for _, w := range lacking {
		if account, known := snap.Account(w.Login); known {
			w.Account.Evidence = account.Evidence
		}
	}
	return nil
}

// apply sends the plans. Its error is that of the whole instance; what
// concerns one person is in the person's result.
func (p *pass) apply(ctx context.Context, cases []*work) error {
	if len(cases) == 0 {
		return nil
	}
	started := time.Now()
	plans := make([]matomo.Plan, len(cases))
	for i, w := range cases {
		plans[i] = w.Plan
	}
	// The lease is asked before each request: a pass that was stopped or asleep for
	// too long must not write beside whoever has taken its bindings.
	results := p.t.Client.Apply(matomo.WithBefore(ctx, p.lease.Enough), plans)
	p.m.Duration.WithLabelValues(p.t.Name, "apply").Observe(time.Since(started).Seconds())
	p.round.RefreshPolicy() // a password may have been refused
	var failure error
	for i, w := range cases {
		w.Applied = results[i]
		p.round.JudgeSent(&w.Case)
		p.count(w)
		if f := vitals.TargetFailure(w.Applied.Err); f != nil {
			failure = f
		}
		if errors.Is(w.Applied.Err, lease.ErrShort) {
			failure = lease.ErrShort
		}
	}
	return failure
}

// count shows and logs what was done for one person: one line a change.
func (p *pass) count(w *work) {
	for _, s := range w.Applied.Steps {
		result := "ok"
		if s.Err != nil {
			result = "error"
		}
		p.m.Changes.WithLabelValues(p.t.Name, vitals.ActionOf(s.Step), result).Inc()
	}
	fields := []zap.Field{
		zap.String("target", p.t.Name), zap.String("login", w.Login), zap.String("subject", w.Binding.Subject),
		zap.String("work", w.Work.Label()), zap.String("plan", course.PlanText(w.Plan, w.Plan.Blocks)),
		zap.Strings("rules", w.Rules()),
	}
	if event := w.Event(); event != bindings.NoEvent { // a second phase has none
		fields = append(fields, zap.String("event", string(event)))
	}
	if err := w.Applied.Err; err != nil {
		p.log.Warn("change", append(fields, zap.Error(err))...)
		return
	}
	p.log.Info("change", fields...)
}

// countDryRun shows what a watched target would see.
func (p *pass) countDryRun(w *work) {
	for _, s := range w.Plan.Steps {
		p.m.Changes.WithLabelValues(p.t.Name, vitals.ActionOf(s), "dry_run").Inc()
	}
}

// readBack asks Matomo what is true now and concludes the cases from that.
func (p *pass) readBack(ctx context.Context, cases []*work) error {
	if len(cases) == 0 {
		return nil
	}
	snap, err := p.fetch(ctx, cases, false)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	for _, w := range cases {
		account, known := snap.Account(w.Login)
		if !known {
			w.Retry(course.ReasonIncomplete, "Matomo's answer does not cover the login")
			continue
		}
		w.Found = &account
		p.round.Judge(&w.Case, account)
	}
	return nil
}
