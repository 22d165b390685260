package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
)

// Explaining is a pass that stops before it acts: the same people, rules, read,
// plan and guards, for one binding and without a lease. Nothing is written, not even
// a metric of a guard.

// Explanation is everything that leads from a person to their access on one
// target.
type Explanation struct {
	Target string
	Mode   Mode
	// Person is what the sources say.
	Person directory.Person
	// Binding is what the bridge remembers.
	Binding bindings.Binding
	// Login is the bound login, or the one an account would get.
	Login string
	// Account is what Matomo holds now; nil when it was not asked or did not
	// answer, and then ReadError says why.
	Account   *matomo.Account
	ReadError error
	// Decision is what the rules give.
	Decision mapping.Decision
	// Reasons are the decision's reasons in words, and Problems its problems.
	Reasons []string
	// Plan is what would be done now, Withheld what would not, and Settles
	// until when reductions wait.
	Plan     matomo.Plan
	Withheld []matomo.Block
	Settles  time.Time
	// Reason and Detail tell why there is no plan.
	Reason, Detail string
}

// Explain returns an explanation for each target the subject has a binding on.
// It writes nothing.
func (e *Engine) Explain(ctx context.Context, subject string) ([]Explanation, error) {
	found, err := e.opt.Bindings.BySubject(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("bindings: %w", err)
	}
	out := make([]Explanation, 0, len(found))
	for _, b := range found {
		t, err := e.target(b.Target)
		if err != nil {
			continue // a target that the configuration no longer has
		}
		x, err := e.explain(ctx, t, b)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// explain takes one binding through a pass up to the guards.
func (e *Engine) explain(ctx context.Context, t *target, b bindings.Binding) (Explanation, error) {
	w := &work{Case: course.Case{Binding: b}}
	p := &pass{Engine: e, t: t, trigger: "manual", cases: []*work{w}}
	x := Explanation{Target: t.Name, Mode: t.Mode, Binding: b}
	if err := p.meet(ctx); err != nil {
		return x, err
	}
	p.round.Trip = nil // nothing is held back by looking
	if x.ReadError = p.read(ctx); x.ReadError == nil {
		p.decide()
	}
	p.round.DecideAnyway(&w.Case)
	x.Person, x.Login, x.Account = w.Person, w.Login, w.Account
	x.Decision, x.Reasons = w.Decision, course.ReasonTexts(w.Decision)
	if !p.settled(w) {
		x.Plan = w.Plan
	}
	x.Withheld, x.Settles = w.Blocks(), w.Settle
	x.Reason, x.Detail = w.Reason, w.Detail
	return x, nil
}

// settled reports whether a leaver is finished: the steps that are planned for
// everybody who left would change nothing any more.
func (p *pass) settled(w *work) bool {
	return w.Work == course.WorkLeave && w.Binding.State == bindings.Done && w.Account != nil && !p.round.HasAccess(*w.Account)
}

// MarkDifferences reads every target once and makes every binding that differs
// due, so that the loop, or Drain, brings Matomo in line.
func (e *Engine) MarkDifferences(ctx context.Context) error {
	for _, t := range e.targets {
		if _, err := e.compare(ctx, t, true); err != nil {
			return fmt.Errorf("target %s: %w", t.Name, err)
		}
	}
	return nil
}
