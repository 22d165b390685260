package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/lease"
	"github.com/matomo-scim/bridge/matomo"
)

const (
	// claimLimit bounds one pass: one read of the whole instance serves up to
	// this many bindings.
	claimLimit = 1000
	// chunkSize bounds what is applied before it is read back and recorded.
	chunkSize = 50
	// sealChunk is the same for the second phase of leavers: as many as one request
	// to Matomo takes, because a leaver who comes next waits that long.
	sealChunk = 20
)

// The rules of a pass:
//
//   - Everything it knows it has read itself: the claim, the rules, the people,
//     Matomo's answer. Nothing is carried over from an earlier pass.
//   - An error that concerns the whole pass ends it, and what is not recorded by
//     then is given back as it was. An error of one binding is in its outcome.
//   - A binding that needs nothing of Matomo costs no request, so that a directory
//     of 100,000 people of whom 500 use Matomo is 500 people to Matomo.

// pass is one turn of the loop over the bindings of one target that are due.
type pass struct {
	*Engine
	t       *target
	trigger string
	lease   lease.Lease
	round   *course.Round
	cases   []*work
	// freed are the reasons for which nobody has to wait any more.
	freed map[string]bool
	// refused is why the audit trail took no intent; nil while it does.
	refused error
}

// work is one case with what the pass has done about its row.
type work struct {
	course.Case

	// recorded: the row is written, or somebody else's business now.
	recorded bool
	// audited: what was applied is in the audit trail.
	audited bool
	// journaled: the intent is in the journal, and outcome: so is what Matomo answered.
	journaled, outcome bool
}

// passed is how a pass went.
type passed struct {
	// claimed is how many bindings it had.
	claimed int
	// asked: Matomo answered at least one read.
	asked bool
}

// pass claims what is due in lane l and works it. An error of the target leaves
// the bindings due.
func (e *Engine) pass(ctx context.Context, t *target, l lane, trigger string) (passed, error) {
	p := &pass{Engine: e, t: t, trigger: trigger, freed: map[string]bool{}}
	p.lease.ID = database.NewID()
	lowest, highest := l.priorities()
	from := time.Now()
	claimed, err := e.opt.Bindings.Claim(ctx, bindings.ClaimRequest{
		Target: t.Name, Lease: p.lease.ID, Limit: claimLimit, Min: lowest, Max: highest, LeaseFor: lease.For,
	})
	if err != nil {
		return passed{}, fmt.Errorf("claim: %w", err)
	}
	if len(claimed) == 0 {
		return passed{}, nil
	}
	p.lease.Extend(from.Add(lease.For)) // counted from before the claim, which is the careful side
	for _, b := range claimed {
		p.cases = append(p.cases, &work{Case: course.Case{Binding: b}})
	}
	stop := p.lease.Keep(ctx, e.opt.Bindings, e.log.With(zap.String("target", t.Name)))
	defer stop()
	err = errors.Join(p.run(l.context(ctx)), p.refused, p.giveBack(ctx), p.callWaiting(ctx))
	e.m.Runs.WithLabelValues(t.Name, trigger, p.result(err)).Inc()
	return passed{claimed: len(claimed), asked: p.round != nil && p.round.Snapshot != nil}, err
}

// run takes the claimed bindings through the pass. It returns only errors that
// concern the whole pass; what concerns one binding is in its outcome.
func (p *pass) run(ctx context.Context) error {
	if err := p.meet(ctx); err != nil {
		return err
	}
	if err := p.read(ctx); err != nil {
		return err
	}
	started := time.Now()
	p.decide()
	p.m.Duration.WithLabelValues(p.t.Name, "plan").Observe(time.Since(started).Seconds())
	if !p.round.Observe {
		if err := p.claimLogins(ctx); err != nil {
			return err
		}
	}
	return p.act(ctx)
}

// meet loads rules and people and sorts the bindings by what they need.
// Bindings that need nothing of Matomo never cause a request.
func (p *pass) meet(ctx context.Context) error {
	rules, err := p.rules.Active(ctx)
	if err != nil {
		return err
	}
	// One moment for the whole pass: a decision is a function of rules, person,
	// sites and this (I6).
	p.round = course.NewRound(p.settings(p.t), rules, time.Now())
	p.round.Trip = func(guard string) { p.m.GuardTrips.WithLabelValues(p.t.Name, guard).Inc() }
	return p.introduce(ctx)
}

// introduce fetches the people behind the cases and triages them.
func (p *pass) introduce(ctx context.Context) error {
	subjects := make([]string, len(p.cases))
	for i, w := range p.cases {
		subjects[i] = w.Binding.Subject
	}
	people, err := p.opt.Directory.People(ctx, subjects)
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	for _, w := range p.cases {
		w.Person = people[w.Binding.Subject]
		p.round.Triage(&w.Case)
	}
	return nil
}

// decide plans all open cases and takes them past the guards.
func (p *pass) decide() {
	open := make([]*course.Case, 0, len(p.cases))
	for _, w := range p.cases {
		if !w.Concluded {
			p.round.Prepare(&w.Case)
			open = append(open, &w.Case)
		}
	}
	if left, broken := p.round.Guard(open); broken && p.lease.ID != "" {
		p.log.Error("a leaver takes the number of superusers below guards.min_superusers; leavers are never kept",
			zap.String("target", p.t.Name), zap.Int("superusers_left", left))
	}
}

// read asks Matomo once for everything the pass needs. An incomplete answer is
// an error, so that nothing is ever decided on it (I1).
func (p *pass) read(ctx context.Context) error {
	var open []*work
	for _, w := range p.cases {
		if !w.Concluded {
			open = append(open, w)
		}
	}
	if len(open) == 0 {
		return nil
	}
	snap, err := p.fetch(ctx, open, true)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	p.round.SetSnapshot(snap)
	p.round.GrantedSuperusers, err = p.opt.Bindings.GrantedSuperusers(ctx, p.t.Name)
	return err
}

// wholeReadFrom is the number of people from which one read of the whole
// instance costs less than asking for each of them.
const wholeReadFrom = 200

// fetch is one timed read of the accounts of cases. With evidence it carries
// what a removal would delete for good.
func (p *pass) fetch(ctx context.Context, cases []*work, evidence bool) (*matomo.Snapshot, error) {
	started := time.Now()
	phase := "verify"
	if evidence {
		phase = "observe"
	}
	defer func() {
		p.m.Duration.WithLabelValues(p.t.Name, phase).Observe(time.Since(started).Seconds())
	}()
	if len(cases) >= wholeReadFrom {
		return p.t.Client.ReadInstance(ctx) // carries no evidence and no tokens: those are read by chunk
	}
	opt := matomo.Read{Tokens: true}
	logins := make([]string, 0, len(cases))
	for _, w := range cases {
		logins = append(logins, w.Login)
		// Rows of sites that do not exist show in the maps alone, which is where a
		// full compare saw them.
		opt.Orphans = opt.Orphans || w.Work.OfLeaver() || w.Binding.Event == bindings.Drift
		if evidence && w.Binding.Login != "" {
			opt.Evidence = max(opt.Evidence, evidenceFor(w))
		}
	}
	return p.t.Client.ReadAccounts(ctx, logins, opt)
}

// evidenceFor is what has to be saved before the plan may run: reports before a
// site is taken away, everything before an account is deleted. What a leaver has
// is saved at once, and looked at again when the time of the account is over.
func evidenceFor(w *work) matomo.EvidenceLevel {
	switch {
	case w.Work == course.WorkDelete, w.Plan.Has(matomo.DeleteUser):
		return matomo.EvidenceAccount
	case w.Binding.LeftAt != nil:
		return matomo.EvidenceAll
	}
	return matomo.EvidenceReports
}

// result is the label of how a pass ended.
func (p *pass) result(err error) string {
	if err != nil {
		return "error"
	}
	applied, blocked := 0, 0
	for _, w := range p.cases {
		switch {
		case w.State == bindings.Blocked || w.State == bindings.Failed || w.State == bindings.Held:
			blocked++
		case len(w.Applied.Steps) > 0:
			applied++
		}
	}
	switch {
	case applied > 0 && blocked > 0:
		return "partial"
	case applied > 0:
		return "applied"
	case blocked > 0:
		return "blocked"
	}
	return "noop"
}

// giveBackWithin bounds giving leases back, also when the service is stopping:
// one that is not given back makes the next service wait for its end.
const giveBackWithin = 5 * time.Second

// giveBack ends the leases of bindings that were not recorded. They stay due as
// they were: a failure of the target is not theirs.
func (p *pass) giveBack(ctx context.Context) error {
	var rest []string
	for _, w := range p.cases {
		if !w.recorded {
			rest = append(rest, w.Binding.ID)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackWithin)
	defer cancel()
	if err := p.opt.Bindings.Release(ctx, p.lease.ID, rest, time.Now()); err != nil {
		return fmt.Errorf("give back leases: %w", err)
	}
	return nil
}
