package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// A full compare looks for what no event tells: access that was changed by hand,
// accounts that went away or came back, sites that appeared, tokens of suspended
// people. It reads the whole instance once and writes nothing to Matomo: what
// differs is made due, and the loop repairs it with a fresh read and all guards.
// The plan command is the same compare without making anything due.

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
	Target string
	// Differing is how many people differ, and Differences are they; a compare
	// that makes them due only counts.
	Differing   int
	Differences []Difference
	// Bindings is how many were looked at.
	Bindings int
	// Drift counts the differences by kind.
	Drift map[string]int
	// Actions counts the steps that would be done, by action.
	Actions map[string]int
	// Unresolved counts grants whose site could not be resolved.
	Unresolved int

	mark bool                // make what differs due
	ours map[string]struct{} // folded logins that are bound
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
		note, err := e.compareIfDue(ctx, t)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("full compare; it is tried again", zap.String("target", t.Name), zap.Error(err))
			e.opt.Report(component, "degraded", err.Error(), "look at the log", 0)
			timer.Reset(vitals.ProbePause)
			continue
		}
		e.opt.Report(component, "ok", note, "", 2*e.opt.FullCompare+compareLease)
		timer.Reset(pollEvery)
	}
}

// compareIfDue claims and runs the full compare when its time has come. Without an error nothing
// stands in its way but what note says.
func (e *Engine) compareIfDue(ctx context.Context, t *target) (note string, err error) {
	done, _, err := t.breaker.Allow(time.Now())
	if err != nil {
		return "waiting for " + t.Name + " to answer again", nil // it stays due
	}
	failure := vitals.ErrNotAsked
	defer func() { done(failure) }()
	if err := t.tokens.Notice(ctx); err != nil {
		failure = err
		return "", err
	}
	lease := database.NewID()
	claimed, err := e.opt.Bindings.ClaimCompare(ctx, t.Name, lease, time.Now().Add(compareLease))
	if err != nil || !claimed {
		return "", err
	}
	next := time.Now().Add(e.opt.FullCompare)
	_, err = e.compare(ctx, t, true)
	if err != nil {
		next = time.Now().Add(vitals.ProbePause)
		e.m.Runs.WithLabelValues(t.Name, "interval", "error").Inc()
	} else {
		e.m.Runs.WithLabelValues(t.Name, "interval", "noop").Inc()
	}
	if ctx.Err() == nil {
		failure = err
		e.account(t, passed{asked: err == nil}, err)
	}
	return "", errors.Join(err, e.opt.Bindings.CompareDone(context.WithoutCancel(ctx), t.Name, lease, next))
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
// due, so that the loop repairs them, and shows what it found as metrics; without
// it lists them. What was read stays as it is for the whole compare; bindings are
// looked at page by page, so that a large target needs little memory.
func (e *Engine) compare(ctx context.Context, t *target, mark bool) (*Comparison, error) {
	p := &pass{Engine: e, t: t, trigger: "interval"}
	rules, err := e.rules.Active(ctx)
	if err != nil {
		return nil, err
	}
	if mark {
		// People whose binding was missed while a target was new.
		if _, err := e.opt.Bindings.FillIn(ctx, t.Name); err != nil {
			return nil, err
		}
	}
	p.round = course.NewRound(e.settings(t), rules, time.Now())
	snap, err := t.Client.ReadInstance(ctx)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if mark {
		// With what was just read of Matomo's version and plugins, and before it counts
		// whose tokens can be ended.
		if err := t.tokens.Look(ctx); err != nil {
			return nil, err
		}
	}
	p.round.SetSnapshot(snap)
	if p.round.GrantedSuperusers, err = e.opt.Bindings.GrantedSuperusers(ctx, t.Name); err != nil {
		return nil, err
	}
	out := &Comparison{Target: t.Name, Drift: map[string]int{}, Actions: map[string]int{}, mark: mark, ours: make(map[string]struct{}, snap.Len())}
	for after := ""; ; {
		page, err := e.opt.Bindings.AllBindings(ctx, t.Name, after, comparePage)
		if err != nil {
			return nil, fmt.Errorf("bindings: %w", err)
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
		if err := p.comparePage(ctx, page, out); err != nil {
			return nil, err
		}
	}
	e.countUnmanaged(p, out)
	if mark {
		e.showDrift(t, out)
	}
	return out, nil
}

// comparePage looks at one page of bindings.
func (p *pass) comparePage(ctx context.Context, page []bindings.Binding, out *Comparison) error {
	p.cases = make([]*work, len(page))
	for i, b := range page {
		p.cases[i] = &work{Case: course.Case{Binding: b}}
	}
	if err := p.introduce(ctx); err != nil {
		return err
	}
	p.decide()
	revived, err := p.minted(ctx, out)
	if err != nil {
		return err
	}
	var due []string
	for _, w := range p.cases {
		out.Bindings++
		if w.Binding.Login != "" {
			out.ours[access.FoldLogin(w.Binding.Login)] = struct{}{}
		}
		out.Unresolved += len(w.Decision.Unknown)
		if w.Binding.Tokens == bindings.TokensInert || w.Binding.Tokens == bindings.TokensLive {
			out.Drift["stale_token_risk"]++
		}
		if out.mark && onItsWay(w.Binding, p.round.Now) {
			continue
		}
		if p.differs(w, out.mark) || revived[w.Binding.ID] {
			out.add(w)
			due = append(due, w.Binding.Subject)
		}
	}
	if !out.mark || len(due) == 0 {
		return nil
	}
	return p.opt.DB.InTx(ctx, func(ctx context.Context, tx *database.Tx) error {
		return p.opt.Bindings.MarkDue(ctx, tx, due, bindings.Mark{
			Event: bindings.Drift, Priority: bindings.PriorityLow, Targets: []string{p.t.Name},
		})
	})
}

// onItsWay reports whether the loop is about to look at a binding anyway: it is
// due, somebody works on it, or it backs off.
func onItsWay(b bindings.Binding, now time.Time) bool {
	return b.DueAt != nil && (!b.DueAt.After(now) || b.Attempts > 0)
}

// differs reports whether there is anything to do for a binding. While a target
// is only watched there is something to do for the loop (mark) when what it would
// tell is new, and something to show whenever a plan exists.
func (p *pass) differs(w *work, mark bool) bool {
	b := w.Binding
	if p.round.Observe && !w.Concluded {
		if !mark && w.Work == course.WorkPerson {
			return !w.Plan.Empty()
		}
		return b.State != bindings.Observed || b.Detail != course.PlanText(w.Plan, w.Blocks())
	}
	switch w.Work {
	case course.WorkLeave:
		if w.Concluded {
			break
		}
		// Suspended people stay as they are; the steps that are always planned do
		// not count.
		return b.State != bindings.Done || p.round.HasAccess(*w.Account)
	case course.WorkSeal, course.WorkDelete:
		return true
	default:
		if !w.Concluded && !w.Plan.Empty() {
			return true
		}
		if !w.Concluded {
			p.round.Judge(&w.Case, *w.Account)
		}
	}
	switch {
	case w.State == bindings.Gone:
		return b.Login != ""
	case w.Failed, b.Reason == course.ReasonLoginTaken && w.Reason == course.ReasonLoginExists:
		return false // nothing is known, or nothing new
	default:
		return w.State != b.State || w.Reason != b.Reason
	}
}

// tokenBatch is how many suspended people are asked for their tokens together.
const tokenBatch = 80

// minted returns the bindings of suspended people whose tokens have to end: who can
// still sign in, or reset the password by mail, can mint one, and those that were
// left inert can be ended once there is a way. It looks where tokens can be seen,
// and only for the loop, which ends them.
func (p *pass) minted(ctx context.Context, out *Comparison) (map[string]bool, error) {
	if !out.mark || p.round.Observe || !p.round.EndsTokens() {
		return nil, nil
	}
	var suspended []*work
	revived := map[string]bool{}
	for _, w := range p.cases {
		switch {
		case w.Work != course.WorkLeave || w.Concluded || w.Binding.State != bindings.Done:
		case w.Binding.Tokens == bindings.TokensInert:
			revived[w.Binding.ID] = true
		case p.round.SeesTokens():
			suspended = append(suspended, w)
		}
	}
	for batch := range slices.Chunk(suspended, tokenBatch) {
		logins := make([]string, len(batch))
		for i, w := range batch {
			logins[i] = w.Login
		}
		snap, err := p.t.Client.ReadTokens(ctx, logins)
		if err != nil {
			return nil, fmt.Errorf("tokens of suspended people: %w", err)
		}
		for _, w := range batch {
			if account, known := snap.Account(w.Login); known && len(account.Tokens) > 0 {
				revived[w.Binding.ID] = true
				out.Drift["stale_token_risk"]++
			}
		}
	}
	return revived, nil
}

// add notes one difference.
func (c *Comparison) add(w *work) {
	c.Differing++
	if !c.mark {
		c.Differences = append(c.Differences, differenceOf(w))
	}
	for _, kind := range vitals.DriftOf(w.Plan) {
		c.Drift[kind]++
	}
	vitals.CountActions(c.Actions, w.Plan)
}

// differenceOf describes a case for people.
func differenceOf(w *work) Difference {
	return Difference{
		Subject: w.Binding.Subject, Person: w.Person.UserName, Login: w.Login, State: w.Binding.State, Plan: w.Plan,
		Withheld: w.Blocks(), Reasons: course.ReasonTexts(w.Decision), Reason: w.Reason, Detail: w.Detail, Settles: w.Settle,
	}
}

// countUnmanaged counts what is in Matomo and not ours.
func (e *Engine) countUnmanaged(p *pass, out *Comparison) {
	classes := map[string]int{"managed": 0, "protected": 0, "unmanaged": 0}
	for account := range p.round.Snapshot.Each() {
		protected := p.t.Client.IsProtected(account.Login)
		_, managed := out.ours[access.FoldLogin(account.Login)]
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
		e.m.Superusers.WithLabelValues(p.t.Name, class).Set(float64(n))
	}
}

// showDrift sets the drift gauges to what this compare found.
func (e *Engine) showDrift(t *target, out *Comparison) {
	for _, kind := range vitals.Drifts() {
		e.m.Drift.WithLabelValues(t.Name, kind).Set(float64(out.Drift[kind]))
	}
	e.m.SetPlanned(t.Name, out.Actions)
	e.m.Unresolved.WithLabelValues(t.Name).Set(float64(out.Unresolved))
	if out.Differing > 0 {
		e.log.Info("full compare found differences", zap.String("target", t.Name), zap.Int("bindings", out.Bindings),
			zap.Int("differences", out.Differing))
	}
}

// UseRules makes the engine decide with rules instead of the active row, for
// commands that show what a changed file would do.
func (e *Engine) UseRules(rules *mapping.Rules) { e.rules.Use(rules) }
