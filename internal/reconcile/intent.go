package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/trail"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// An intent answers what a crash would otherwise ask. The account exists and nobody
// knows who added it: the login was bound before it was sent (I2). Superuser was
// given to one more than allowed: the place was taken under a lock before it was
// sent. A report is gone: its evidence was committed before the site was taken away.
// And no audit, no grant: the entry is part of the same transaction.

// intend writes, in one transaction and before anything is sent, what is about
// to be done: the login that becomes ours, the place of a superuser, what is
// granted, evidence, and the audit entry. Without it nothing is done. It returns
// the cases that go on; the others are recorded.
func (p *pass) intend(ctx context.Context, chunk []*work) ([]*work, error) {
	going, err := p.intendTogether(ctx, chunk)
	if err != nil {
		if going, err = p.withoutRecord(ctx, chunk, err); err != nil {
			return nil, fmt.Errorf("intent: %w", err)
		}
	}
	left := slices.DeleteFunc(slices.Clone(chunk), func(w *work) bool { return slices.Contains(going, w) })
	if _, err := p.stillOurs(ctx, left); err != nil {
		return nil, err
	}
	return going, p.record(ctx, chunk)
}

// withoutRecord goes on with what only takes away after the record has refused the intents: they are
// in the journal, and everybody else waits. What can be written of the intents besides is written; a
// database that takes nothing at all holds up no leaver. cause is returned when nothing may be sent.
func (p *pass) withoutRecord(ctx context.Context, chunk []*work, cause error) ([]*work, error) {
	if p.opt.Trail.Journal == nil || ctx.Err() != nil {
		return nil, cause
	}
	p.refused = cause
	var going []*work
	var cases []*course.Case
	for _, w := range chunk {
		if !w.Concluded && trail.OnlyTakes(&w.Case) {
			going, cases = append(going, w), append(cases, &w.Case)
		}
	}
	if len(going) == 0 {
		return nil, nil // the next chunk may hold some
	}
	if err := p.opt.Trail.WithoutRecord(cases, cause); err != nil {
		return nil, err
	}
	p.log.Error("the audit trail cannot be written: nothing is granted, and revocations go on with the journal",
		zap.String("target", p.t.Name), zap.Int("revocations", len(going)), zap.Error(cause))
	for _, w := range going {
		w.journaled = true
	}
	// The rest of the intent (the state, whose lease it is) goes into the rows if they can be written, so
	// that a table which refuses entries does not make the loop revoke the same people every second.
	if kept, err := p.intendTogether(ctx, going); err == nil {
		return kept, nil
	}
	return going, nil
}

// intendTogether writes intents in one transaction.
func (p *pass) intendTogether(ctx context.Context, chunk []*work) ([]*work, error) {
	var going []*work
	before := make([]work, len(chunk))
	for i, w := range chunk {
		before[i] = *w
	}
	err := p.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		going = going[:0]
		for i, w := range chunk {
			*w = before[i] // the transaction may run more than once
			ok, err := p.intendOne(ctx, tx, w)
			if err != nil {
				return err
			}
			if ok {
				going = append(going, w)
			} else {
				w.Binding = before[i].Binding // nothing of the intent counts
			}
		}
		return nil
	})
	if err != nil {
		for i, w := range chunk {
			*w = before[i] // nothing of it was kept
		}
	}
	return going, err
}

// The steps of an intent, each of which may end it: the facts first, which tell
// whether the row is still as it was claimed, because nothing may be written to one
// that is not; then the superuser's place, because a login must not be bound for a
// plan that is not sent; then the login; evidence and audit last. All of it is one
// transaction, so that none of it is there without the rest.

// intendOne writes the intent of one case. False means that the login belongs to
// somebody else or the last place of a superuser is taken, which concludes the case;
// or that another worker has the binding or an event has come.
func (p *pass) intendOne(ctx context.Context, tx *database.Tx, w *work) (bool, error) {
	if ours, err := p.remember(ctx, tx, w); err != nil || !ours {
		return false, err
	}
	if ok, err := p.reserve(ctx, tx, w); err != nil || !ok {
		return false, err
	}
	if w.Binding.Login == "" {
		err := p.opt.Bindings.Bind(ctx, tx, w.Binding.ID, w.Login, access.FoldLogin(w.Login))
		if taken, ok := errors.AsType[*bindings.LoginTakenError](err); ok {
			return false, p.loginTaken(ctx, tx, w, taken.BindingID)
		}
		if err != nil {
			return false, err
		}
	}
	if w.journaled {
		return true, nil
	}
	return true, p.opt.Trail.Intent(ctx, tx, &w.Case)
}

// reserve takes the place of a superuser. Another replica may have taken the
// last one since the guard looked: then the case is decided anew, at once.
func (p *pass) reserve(ctx context.Context, tx *database.Tx, w *work) (bool, error) {
	if !w.Plan.Has(matomo.Promote) {
		return true, nil
	}
	ok, err := p.opt.Bindings.ReserveSuperuser(ctx, tx, p.t.Name, w.Binding.ID, p.opt.Guards.MaxSuperusers)
	if err != nil || ok {
		w.Binding.Superuser = w.Binding.Superuser || ok // until Matomo is seen to say otherwise
		return ok, err
	}
	w.Postpone(course.GuardCap, "the last place of a superuser was taken meanwhile", tx.Now())
	return false, nil
}

// remember writes the facts that must not be lost whatever becomes of the pass.
// False means that the lease is, or that an event has come.
func (p *pass) remember(ctx context.Context, tx *database.Tx, w *work) (bool, error) {
	// Since stillOurs looked, evidence was read perhaps, and whoever is to be deleted may have come back.
	facts := bindings.Facts{Unmoved: true}
	if w.Work == course.WorkPerson {
		// With additive managing only what is remembered as ours is ever taken away,
		// so it is remembered before it is given.
		grants, err := w.Intended()
		if err != nil {
			return false, err
		}
		w.Binding.Grants, facts.Grants = grants, grants
	}
	if w.Work == course.WorkLeave {
		facts.State = new(bindings.Leaving)
	}
	return p.opt.Bindings.RecordFacts(ctx, tx, w.Binding.ID, p.lease.ID, facts)
}

// loginTaken concludes a case whose login another binding has. When nobody
// is behind that one any more, its deletion is brought forward and the new
// person waits for it; otherwise the first keeps the login.
func (p *pass) loginTaken(ctx context.Context, tx *database.Tx, w *work, id string) error {
	other, err := p.opt.Bindings.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	loose, err := p.opt.Bindings.IsLoose(ctx, tx, other.Subject)
	if err != nil {
		return err
	}
	if !loose {
		w.Conflict(course.ReasonLoginTaken, fmt.Sprintf("login %q belongs to another person", other.Login))
		return nil
	}
	if course.Kept(other) {
		w.Conflict(course.ReasonLoginTaken, fmt.Sprintf("login %q belongs to somebody who left and whose account is kept (leaver keep)", other.Login))
		return nil
	}
	w.Postpone(course.ReasonWaitsForDelete, fmt.Sprintf("the account %q of somebody who left is deleted first", other.Login),
		tx.Now().Add(deletionSoon))
	if other.DeleteAt != nil && !other.DeleteAt.After(tx.Now()) {
		return nil // on its way already
	}
	return p.opt.Bindings.DeleteNow(ctx, tx, other.ID, bindings.Cause{})
}

// claimLogins looks whose the accounts are that stand in the way of somebody who
// has none: those of people here are theirs, not strangers'.
func (p *pass) claimLogins(ctx context.Context) error {
	// Rare enough for a look at each: a rehire, or two people who derive one login.
	for _, w := range p.cases {
		if w.State != bindings.Conflict || w.Reason != course.ReasonLoginExists || w.Binding.Login != "" {
			continue
		}
		other, err := p.opt.Bindings.ByLogin(ctx, p.t.Name, access.FoldLogin(w.Login))
		if errors.Is(err, bindings.ErrNotFound) {
			continue
		}
		if err == nil {
			err = p.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error { return p.loginTaken(ctx, tx, w, other.ID) })
		}
		if err != nil {
			return fmt.Errorf("owner of login: %w", err)
		}
	}
	return nil
}

// deletionSoon is when a person who waits for a deletion is looked at again if
// nothing says earlier that it is done.
const deletionSoon = vitals.ProbePause
