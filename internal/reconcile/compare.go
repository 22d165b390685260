package reconcile

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// comparePage is how many bindings a compare looks at together.
const comparePage = 500

// compareLease bounds a compare; another replica takes over after it.
const compareLease = 10 * time.Minute

// Difference is one binding whose account is not as it should be, or that is
// held back.
type Difference struct {
	// Binding and Person are the two sides the account stands between.
	Subject, Person, Login string
	State                  bindings.State
	// Steps are what would be done, and Withheld what would not, in words.
	Plan     matomo.Plan
	Withheld []matomo.Block
	Reasons  []string
	// Reason and Detail are set when there is no plan: a conflict, a block.
	Reason, Detail string
	// Settles is when reductions that wait would be done.
	Settles time.Time
}

// Comparison is what one full compare of a target found.
type Comparison struct {
	Target      string
	Differences []Difference
	// Bindings is how many were looked at.
	Bindings int
	// Drift counts the differences by kind.
	Drift map[string]int
	// Unresolved counts grants whose site could not be resolved.
	Unresolved int
}

// compareLoop runs the full compares of a target when they are due.
func (e *Engine) compareLoop(ctx context.Context, t *target) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	component := "compare/" + t.Name
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := e.compareIfDue(ctx, t); err != nil && ctx.Err() == nil {
			e.log.Warn("full compare; it is tried again", zap.String("target", t.Name), zap.Error(err))
			e.opt.Report(component, "degraded", err.Error(), "", 0)
			timer.Reset(breakerPause)
			continue
		}
		timer.Reset(pollEvery)
	}
}

// compareIfDue claims and runs the full compare when its time has come.
func (e *Engine) compareIfDue(ctx context.Context, t *target) error {
	done, _, err := t.breaker.allow(time.Now())
	if err != nil {
		return nil //nolint:nilerr // the target is paused; the compare stays due
	}
	var failure error
	defer func() { done(failure) }()
	lease := database.NewID()
	claimed, err := e.opt.Bindings.ClaimCompare(ctx, t.Name, lease, time.Now().Add(compareLease))
	if err != nil || !claimed {
		return err
	}
	next := time.Now().Add(e.opt.FullCompare)
	if _, err = e.compare(ctx, t, true); err != nil {
		failure = err
		next = time.Now().Add(breakerPause)
		e.m.runs.WithLabelValues(t.Name, "interval", "error").Inc()
	} else {
		e.m.runs.WithLabelValues(t.Name, "interval", "noop").Inc()
		e.opt.Report("compare/"+t.Name, "ok", "", "", 2*e.opt.FullCompare+compareLease)
	}
	e.account(t, 1, failure)
	if finish := e.opt.Bindings.CompareDone(context.WithoutCancel(ctx), t.Name, lease, next); finish != nil {
		return finish
	}
	return failure
}

// Compare reads the whole instance of a target once and returns everything
// that differs from what the rules want. It writes nothing.
func (e *Engine) Compare(ctx context.Context, targetName string) (*Comparison, error) {
	t, err := e.target(targetName)
	if err != nil {
		return nil, err
	}
	return e.compare(ctx, t, false)
}

// compare is one full compare. With mark it makes the bindings that differ
// due, so that the loop repairs them, and shows what it found as metrics.
func (e *Engine) compare(ctx context.Context, t *target, mark bool) (*Comparison, error) {
	p := &pass{Engine: e, t: t, trigger: "interval", now: time.Now()}
	var err error
	if p.rules, err = e.activeRules(ctx); err != nil {
		return nil, err
	}
	if mark {
		if _, err := e.opt.Bindings.FillIn(ctx, t.Name); err != nil {
			return nil, err
		}
	}
	if p.snap, err = t.Client.ReadInstance(ctx); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	p.policy = t.Client.Complete(t.Policy, p.snap)
	if p.grantedSuperusers, err = e.opt.Bindings.GrantedSuperusers(ctx, t.Name); err != nil {
		return nil, err
	}
	out := &Comparison{Target: t.Name, Drift: map[string]int{}}
	ours := map[string]bool{}
	for after := ""; ; {
		page, err := e.opt.Bindings.AllBindings(ctx, t.Name, after, comparePage)
		if err != nil {
			return nil, fmt.Errorf("bindings: %w", err)
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
		if err := p.comparePage(ctx, page, out, ours, mark); err != nil {
			return nil, err
		}
	}
	e.countUnmanaged(p, ours, out)
	if mark {
		e.showDrift(t, out)
	}
	return out, nil
}

// comparePage looks at one page of bindings.
func (p *pass) comparePage(ctx context.Context, page []bindings.Binding, out *Comparison, ours map[string]bool, mark bool) error {
	p.items = p.items[:0]
	subjects := make([]string, 0, len(page))
	for _, b := range page {
		p.items = append(p.items, &item{b: b})
		subjects = append(subjects, b.Subject)
	}
	people, err := p.opt.Directory.People(ctx, subjects)
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	for _, it := range p.items {
		it.person = people[it.b.Subject]
		p.triage(it)
		if !it.concluded {
			p.prepare(it)
		}
	}
	p.guard()
	var due []string
	for _, it := range p.items {
		out.Bindings++
		if it.b.Login != "" {
			ours[access.FoldLogin(it.b.Login)] = true
		}
		out.Unresolved += len(it.decision.Unknown)
		if p.differs(it) {
			out.add(it, p)
			due = append(due, it.b.Subject)
		}
		if it.b.Tokens == bindings.TokensInert {
			out.Drift["stale_token_risk"]++
		}
	}
	if !mark || len(due) == 0 {
		return nil
	}
	return p.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return p.opt.Bindings.MarkDue(ctx, tx, due, bindings.Mark{
			Event: bindings.Drift, Priority: bindings.PriorityLow, Targets: []string{p.t.Name},
		})
	})
}

// differs reports whether the loop has anything to do for a binding that it is
// not already about to do.
func (p *pass) differs(it *item) bool {
	switch {
	case it.b.DueAt != nil && !it.b.DueAt.After(p.now):
		return false // the loop is on its way to it
	case it.concluded:
		// Somebody else's account went away, or an account of ours did.
		return it.out.state != it.b.State && it.b.State != bindings.Done && it.out.state != bindings.Gone ||
			it.out.state == bindings.Gone && it.b.Login != ""
	case it.work == workPurge:
		return true
	case it.work == workLeave:
		// Finished leavers keep their access removed; the steps that are
		// always planned do not count.
		return it.b.State != bindings.Done || !matomo.VerifyGone(*it.account, p.policy).Revoked
	case p.t.Mode == Observe:
		return it.b.Detail != planText(it.plan, p.blocksOf(it))
	default:
		return !it.plan.Empty() || it.b.State == bindings.Failed || it.b.State == bindings.Conflict ||
			(it.b.State == bindings.Blocked || it.b.State == bindings.Held) && len(p.blocksOf(it)) == 0
	}
}

// add notes one difference.
func (c *Comparison) add(it *item, p *pass) {
	c.Differences = append(c.Differences, p.differenceOf(it))
	for _, s := range it.plan.Steps {
		switch s.Kind {
		case matomo.SetAccess:
			if s.Reduces {
				c.Drift["wrong_role"]++
			} else {
				c.Drift["missing_grant"]++
			}
		case matomo.AddUser, matomo.InviteUser, matomo.Promote:
			c.Drift["missing_grant"]++
		case matomo.RemoveAccess, matomo.Demote:
			c.Drift["extra_grant"]++
		default:
		}
	}
}

// differenceOf describes an item for people.
func (p *pass) differenceOf(it *item) Difference {
	return Difference{
		Subject: it.b.Subject, Person: it.person.UserName, Login: it.login, State: it.b.State, Plan: it.plan,
		Withheld: p.blocksOf(it), Reasons: reasonTexts(it), Reason: it.out.reason, Detail: it.out.detail, Settles: it.settle,
	}
}

// countUnmanaged counts what is in Matomo and not ours.
func (e *Engine) countUnmanaged(p *pass, ours map[string]bool, out *Comparison) {
	classes := map[string]int{"managed": 0, "protected": 0, "unmanaged": 0}
	for account := range p.snap.Each() {
		protected := p.t.Client.IsProtected(account.Login)
		managed := ours[access.FoldLogin(account.Login)]
		if !managed && !protected {
			out.Drift["unmanaged_user"]++
		}
		if !account.Access.Superuser {
			continue
		}
		switch {
		case protected:
			classes["protected"]++
		case managed:
			classes["managed"]++
		default:
			classes["unmanaged"]++
			out.Drift["unmanaged_superuser"]++
		}
	}
	for class, n := range classes {
		e.m.superusers.WithLabelValues(p.t.Name, class).Set(float64(n))
	}
}

// showDrift sets the drift gauges to what this compare found.
func (e *Engine) showDrift(t *target, out *Comparison) {
	for _, kind := range allDrift {
		e.m.drift.WithLabelValues(t.Name, kind).Set(float64(out.Drift[kind]))
	}
	e.m.unresolved.WithLabelValues(t.Name).Set(float64(out.Unresolved))
	if len(out.Differences) > 0 {
		e.log.Info("full compare found differences", zap.String("target", t.Name), zap.Int("bindings", out.Bindings),
			zap.Int("differences", len(out.Differences)))
	}
}

// UseRules makes the engine decide with rules instead of the active row, for
// commands that show what a changed file would do.
func (e *Engine) UseRules(rules *mapping.Rules) {
	e.rules.mu.Lock()
	defer e.rules.mu.Unlock()
	e.rules.fixed = rules
}
