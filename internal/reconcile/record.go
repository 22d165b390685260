package reconcile

import (
	"context"
	"fmt"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo"
)

// record writes the outcomes of all concluded items that are not recorded yet,
// and the audit entries of what was applied, in one transaction.
func (p *pass) record(ctx context.Context, items []*item) error {
	var open []*item
	for _, it := range items {
		if it.concluded && !it.out.recorded {
			open = append(open, it)
		}
	}
	// What was sent must be on record even when the read-back failed.
	var sent []*item
	for _, it := range items {
		if len(it.applied.Steps) > 0 && !it.audited {
			sent = append(sent, it)
		}
	}
	if len(open) == 0 && len(sent) == 0 {
		return nil
	}
	var seen []bool
	err := p.opt.DB.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *database.Tx) error {
		seen = seen[:0]
		for _, it := range sent {
			if err := audit.Append(ctx, tx, p.outcomeEntry(it)); err != nil {
				return err
			}
		}
		for _, it := range open {
			ok, err := p.recordOne(ctx, tx, it)
			if err != nil {
				return err
			}
			seen = append(seen, ok)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for _, it := range sent {
		it.audited = true
	}
	for i, it := range open {
		it.out.recorded = true
		p.measure(it, seen[i])
	}
	return nil
}

// recordOne writes one binding. True means that the pass saw the newest
// generation; otherwise the binding stays due and only the facts are kept.
func (p *pass) recordOne(ctx context.Context, tx *database.Tx, it *item) (bool, error) {
	out, err := p.outcomeOf(it)
	if err != nil {
		return false, err
	}
	if it.plan.LosesAll && it.out.verified && len(it.applied.Steps) > 0 {
		kind := bindings.ByGroup
		if it.work != workPerson {
			kind = bindings.ByLeaver
		}
		if err := p.opt.Bindings.RecordRemoval(ctx, tx, kind, it.b, tx.Now()); err != nil {
			return false, err
		}
	}
	if it.out.unbind {
		if err := p.opt.Bindings.Unbind(ctx, tx, it.b.ID); err != nil {
			return false, err
		}
	}
	if it.out.failed || it.out.partial {
		_, err := p.opt.Bindings.Record(ctx, tx, out)
		return false, err
	}
	ok, err := p.opt.Bindings.Observe(ctx, tx, out)
	if err != nil || ok {
		return ok, err
	}
	_, err = p.opt.Bindings.Record(ctx, tx, out)
	return false, err
}

// outcomeOf turns what the pass found into the row.
func (p *pass) outcomeOf(it *item) (bindings.Outcome, error) {
	out := bindings.Outcome{Binding: it.b, Next: it.out.next, Verified: it.out.verified || p.t.Mode == Observe}
	out.State, out.Reason, out.Detail = it.out.state, it.out.reason, it.out.detail
	out.CreatedByUs = it.b.CreatedByUs || it.out.created
	if it.out.tokens != "" {
		out.Tokens = it.out.tokens
	}
	if it.out.unbind {
		out.CreatedByUs, out.Adopted, out.Superuser = false, false, false
	}
	if it.out.failed {
		next := p.now.Add(backoff(it.b.Attempts+1, nil))
		out.Next = &next
	}
	switch {
	case p.t.Mode == Observe:
	case it.work == workPerson && it.account != nil:
		return out, p.personFacts(it, &out)
	case it.work != workPerson:
		p.leaverFacts(it, &out)
	}
	return out, nil
}

// personFacts are what an active person's binding remembers.
func (p *pass) personFacts(it *item, out *bindings.Outcome) error {
	if it.out.cameBack {
		out.LeftAt = nil
	}
	if out.LeftAt == nil {
		out.RevokedAt, out.DeleteAt = nil, nil
	}
	if !it.out.verified {
		return nil
	}
	grants, err := grantsJSON(it)
	if err != nil {
		return err
	}
	out.Grants = grants
	out.Superuser = it.want.Access.Superuser && !p.withheldSuperuser(it)
	out.ValidUntil = p.nextDecision(it)
	return nil
}

// withheldSuperuser reports whether superuser was wanted and not given.
func (p *pass) withheldSuperuser(it *item) bool {
	for _, b := range p.blocksOf(it) {
		if b.Reason == reasonCap || b.Reason == matomo.PasswordNeeded && it.plan.Has(matomo.Promote) {
			return true
		}
	}
	return false
}

// leaverFacts are what a leaver's binding remembers.
func (p *pass) leaverFacts(it *item, out *bindings.Outcome) {
	if out.LeftAt == nil {
		at := p.now // left before this binding existed
		out.LeftAt = &at
	}
	if !it.out.revoked {
		return
	}
	if out.RevokedAt == nil {
		at := p.now
		out.RevokedAt = &at
	}
	out.Superuser, out.Grants = false, nil
	out.Urgent = it.out.state == bindings.Revoked
	if out.DeleteAt == nil && p.t.DeleteAfter > 0 && it.out.state != bindings.Gone {
		at := out.LeftAt.Add(p.t.DeleteAfter)
		out.DeleteAt = &at
	}
	if it.out.state == bindings.Done {
		out.Next = out.DeleteAt
	}
	if it.out.state == bindings.Gone {
		out.DeleteAt = nil
	}
}

// measure stops the propagation clock of a verified change.
func (p *pass) measure(it *item, observed bool) {
	if !observed || !it.out.verified || it.b.AcceptedAt.IsZero() || it.b.Event == bindings.NoEvent || it.account == nil {
		return
	}
	p.m.propagation.WithLabelValues(string(it.b.Event), p.t.Name).Observe(p.sinceAccepted(it).Seconds())
}

// outcomeEntry is the audit entry of what was sent, with Matomo's answers.
func (p *pass) outcomeEntry(it *item) audit.Entry {
	answers := make([]map[string]any, 0, len(it.applied.Steps))
	for _, s := range it.applied.Steps {
		a := map[string]any{"step": s.Step.String(), "why": s.Step.Why, "answer": "ok"}
		if s.Err != nil {
			a["answer"] = s.Err.Error()
		}
		answers = append(answers, a)
	}
	e := audit.Entry{
		Kind: "outcome." + it.work.label(), Actor: "bridge", Subject: it.b.Subject, Target: p.t.Name, Login: it.login,
		Rule: firstRule(it), Answer: answers, Detail: string(it.out.state),
	}
	if it.out.detail != "" {
		e.Detail += ": " + it.out.detail
	}
	if it.found != nil {
		e.After = accountFacts(*it.found)
	}
	return e
}
