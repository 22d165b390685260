package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/audit"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// act carries out what the pass found: bindings that need no change are
// recorded at once, the others in chunks, each applied, read back and recorded
// before the next.
func (p *pass) act(ctx context.Context) error {
	var changes []*item
	for _, it := range p.items {
		switch {
		case it.concluded:
		case p.t.Mode == Observe:
			p.concludeObserved(it)
		case it.plan.Empty():
			p.judge(it, *it.account)
		default:
			changes = append(changes, it)
		}
	}
	if err := p.record(ctx, p.items); err != nil {
		return err
	}
	for len(changes) > 0 {
		n := min(chunkSize, len(changes))
		if err := p.enforce(ctx, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// judge concludes an item from an account that was read completely.
func (p *pass) judge(it *item, account matomo.Account) {
	if it.work == workPerson {
		p.concludePerson(it, account)
		return
	}
	p.concludeLeaver(it, account)
}

// enforce makes Matomo agree for one chunk: intent, apply, read back, record.
func (p *pass) enforce(ctx context.Context, chunk []*item) error {
	chunk, err := p.stillCurrent(ctx, chunk)
	if err != nil || len(chunk) == 0 {
		return err
	}
	if err := p.saveEvidence(ctx, chunk); err != nil {
		return err
	}
	if chunk, err = p.intend(ctx, chunk); err != nil {
		return err
	}
	// What a guard or another owner took out in the intent is recorded; the
	// rest goes to Matomo.
	failure := p.apply(ctx, chunk)
	if failure == nil {
		failure = p.readBack(ctx, chunk)
	}
	if err := p.record(ctx, chunk); err != nil {
		return errors.Join(failure, err)
	}
	return failure
}

// stillCurrent gives back every binding that an event met since the claim:
// what was decided for it is old, and the person may have left meanwhile.
func (p *pass) stillCurrent(ctx context.Context, chunk []*item) ([]*item, error) {
	moved, err := p.opt.Bindings.Moved(ctx, p.lease.id)
	if err != nil || len(moved) == 0 {
		return chunk, err
	}
	kept := chunk[:0:0]
	var back []string
	for _, it := range chunk {
		if !slices.Contains(moved, it.b.ID) {
			kept = append(kept, it)
			continue
		}
		back = append(back, it.b.ID)
		it.concluded, it.out.recorded = true, true
	}
	return kept, p.opt.Bindings.Release(ctx, p.lease.id, back, p.now)
}

// saveEvidence reads what plans would delete for good where the first read did
// not carry it.
func (p *pass) saveEvidence(ctx context.Context, chunk []*item) error {
	var lacking []*item
	for _, it := range chunk {
		if it.plan.Loses && it.account.Exists && it.account.Evidence == nil {
			lacking = append(lacking, it)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	snap, err := p.fetch(ctx, lacking, true)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	for _, it := range lacking {
		if account, known := snap.Account(it.login); known {
			it.account.Evidence = account.Evidence
		}
	}
	return nil
}

// intend writes, in one transaction and before anything is sent, what is about
// to be done: the login that becomes ours, the place of a superuser, evidence,
// and the audit entry. Without it nothing is done.
func (p *pass) intend(ctx context.Context, chunk []*item) ([]*item, error) {
	var going []*item
	before := make([]item, len(chunk))
	for i, it := range chunk {
		before[i] = *it
	}
	err := p.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		going = going[:0]
		for i, it := range chunk {
			*it = before[i] // the transaction may run more than once
			ok, err := p.intendOne(ctx, tx, it)
			if err != nil {
				return err
			}
			if ok {
				going = append(going, it)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("intent: %w", err)
	}
	return going, p.record(ctx, chunk)
}

// intendOne writes the intent of one item. False means that the item was
// concluded instead: the login belongs to somebody else.
func (p *pass) intendOne(ctx context.Context, tx *database.Tx, it *item) (bool, error) {
	if it.b.Login == "" {
		err := p.opt.Bindings.Bind(ctx, tx, it.b.ID, it.login, access.FoldLogin(it.login))
		if taken, ok := errors.AsType[*bindings.LoginTakenError](err); ok {
			return false, p.loginTaken(ctx, tx, it, taken)
		}
		if err != nil {
			return false, err
		}
	}
	if it.plan.Has(matomo.Promote) {
		ok, err := p.opt.Bindings.ReserveSuperuser(ctx, tx, p.t.Name, it.b.ID, p.opt.Guards.MaxSuperusers)
		if err != nil {
			return false, err
		}
		if !ok { // another replica took the last place since guardCap looked
			p.withholdSuperuser(it)
		}
	}
	if err := p.keepEvidence(ctx, tx, it); err != nil {
		return false, err
	}
	return true, audit.Append(ctx, tx, p.intentEntry(it))
}

// keepEvidence stores what was read before a plan that deletes it.
func (p *pass) keepEvidence(ctx context.Context, tx *database.Tx, it *item) error {
	if !it.plan.Loses || it.account.Evidence == nil {
		return nil
	}
	data, err := json.Marshal(struct {
		Account  matomo.Account
		Evidence *matomo.Evidence
	}{*it.account, it.account.Evidence})
	if err != nil {
		return fmt.Errorf("evidence of %s: %w", it.login, err)
	}
	return p.opt.Bindings.SaveEvidence(ctx, tx, bindings.Evidence{
		Kind: it.work.label(), Target: p.t.Name, Login: it.account.Login, LoginKey: access.FoldLogin(it.account.Login), Data: data,
	})
}

// loginTaken concludes an item whose login another binding has. When nobody
// is behind that one any more, its deletion is brought forward and the new
// person waits for it; otherwise the first keeps the login.
func (p *pass) loginTaken(ctx context.Context, tx *database.Tx, it *item, taken *bindings.LoginTakenError) error {
	other, err := p.opt.Bindings.Get(ctx, tx, taken.BindingID)
	if err != nil {
		return err
	}
	loose, err := p.opt.Bindings.IsLoose(ctx, tx, other.Subject)
	if err != nil {
		return err
	}
	if !loose {
		it.conclude(bindings.Conflict, reasonLoginTaken, fmt.Sprintf("login %q belongs to another person", taken.Login))
		return nil
	}
	if err := p.opt.Bindings.BringDeletionForward(ctx, tx, other.ID); err != nil {
		return err
	}
	it.conclude(bindings.Pending, reasonWaitsForDelete, fmt.Sprintf("the account %q of somebody who left is deleted first", taken.Login))
	soon := p.now.Add(backoffBase)
	it.out.next, it.out.partial = &soon, true
	return nil
}

// apply sends the plans. Its error is that of the whole instance; what
// concerns one person is in the person's result.
func (p *pass) apply(ctx context.Context, chunk []*item) error {
	if len(chunk) == 0 {
		return nil
	}
	started := time.Now()
	plans := make([]matomo.Plan, len(chunk))
	for i, it := range chunk {
		plans[i] = it.plan
	}
	results := p.t.Client.Apply(matomo.WithBefore(ctx, p.lease.enough), plans)
	p.m.duration.WithLabelValues(p.t.Name, "apply").Observe(time.Since(started).Seconds())
	var failure error
	for i, it := range chunk {
		it.applied = results[i]
		p.count(it)
		if f := targetFailure(it.applied.Err); f != nil {
			failure = f
		}
		if errors.Is(it.applied.Err, errLeaseShort) {
			failure = errLeaseShort
		}
	}
	return failure
}

// count shows and logs what was done for one person: one line a change.
func (p *pass) count(it *item) {
	for _, s := range it.applied.Steps {
		result := "ok"
		if s.Err != nil {
			result = "error"
		}
		p.m.changes.WithLabelValues(p.t.Name, actionOf(s.Step), result).Inc()
		if s.Step.Kind == matomo.AddUser && s.Err == nil {
			it.out.created = true
		}
	}
	fields := []zap.Field{
		zap.String("target", p.t.Name), zap.String("login", it.login), zap.String("subject", it.b.Subject),
		zap.String("event", string(it.b.Event)), zap.String("plan", planText(it.plan, it.plan.Blocks)),
		zap.Strings("rules", rulesOf(it)),
	}
	if err := it.applied.Err; err != nil {
		p.log.Warn("change", append(fields, zap.Error(err))...)
		return
	}
	p.log.Info("change", fields...)
}

// readBack asks Matomo what is true now and concludes the chunk from that.
func (p *pass) readBack(ctx context.Context, chunk []*item) error {
	if len(chunk) == 0 {
		return nil
	}
	started := time.Now()
	snap, err := p.fetch(ctx, chunk, false)
	p.m.duration.WithLabelValues(p.t.Name, "verify").Observe(time.Since(started).Seconds())
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	for _, it := range chunk {
		account, known := snap.Account(it.login)
		if !known {
			it.retry(reasonIncomplete, "Matomo's answer does not cover the login")
			continue
		}
		it.found = &account
		p.closeComeBack(it)
		p.judge(it, account)
	}
	return nil
}

// closeComeBack notes that the gate of a come-back has passed: the old tokens
// are dead, by revoking them or with the account that was deleted.
func (p *pass) closeComeBack(it *item) {
	if it.work != workPerson || !it.want.ComeBack || it.applied.Err != nil {
		return
	}
	revoked := it.plan.Has(matomo.RevokeTokens) || it.plan.Has(matomo.DeleteUser) || it.plan.Has(matomo.AddUser)
	it.out.cameBack = revoked
	if revoked {
		it.out.tokens = bindings.TokensDead
	}
}

// intentEntry is the audit entry before a plan is sent.
func (p *pass) intentEntry(it *item) audit.Entry {
	return audit.Entry{
		Kind: "intent." + it.work.label(), Actor: "bridge", Subject: it.b.Subject, Target: p.t.Name, Login: it.login,
		Rule: firstRule(it), Before: accountFacts(*it.account), After: map[string]any{"steps": it.plan.Steps, "withheld": p.blocksOf(it), "reasons": reasonTexts(it)},
		Detail: planText(it.plan, nil),
	}
}
