package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
)

const (
	// claimLimit bounds one pass: one read of the whole instance serves up to
	// this many bindings.
	claimLimit = 1000
	// chunkSize bounds what is applied before it is read back and recorded.
	chunkSize = 50
)

// pass is one turn of the loop over the bindings of one target that are due.
type pass struct {
	*Engine
	t       *target
	lane    lane
	trigger string
	now     time.Time
	lease   lease
	rules   *mapping.Rules
	items   []*item
	// snap is what Matomo answered, nil until it was asked; policy is the
	// target's policy with what the instance can do filled in.
	snap   *matomo.Snapshot
	policy matomo.Policy
	// grantedSuperusers is how many have superuser from us at the start.
	grantedSuperusers int
}

// item is one binding on its way through a pass.
type item struct {
	b      bindings.Binding
	person directory.Person
	work   work

	login    string // the bound login, or the one a new account would get
	email    string
	account  *matomo.Account // as read; nil while unknown
	decision mapping.Decision
	want     matomo.Want
	plan     matomo.Plan
	// settle is until when the reductions of the plan wait; zero when none do.
	settle time.Time
	// withheld is what a guard took out of the plan.
	withheld []matomo.Block
	applied  matomo.Result
	found    *matomo.Account // as read back

	out       outcome
	concluded bool // out is final
	audited   bool // what was applied is in the audit trail
}

// work is what a binding needs in this pass.
type work int

const (
	// workNone: there is nothing of ours in Matomo and nothing to give.
	workNone work = iota
	// workPerson: an active person's account and access.
	workPerson
	// workLeave: first phase of a leaver.
	workLeave
	// workPurge: second phase of a leaver.
	workPurge
	// workDelete: the grace period is over, or another person needs the login.
	workDelete
)

// label names the work in audit entries and evidence.
func (w work) label() string {
	switch w {
	case workPerson:
		return "access"
	case workLeave:
		return "revoke"
	case workPurge:
		return "seal"
	case workDelete:
		return "delete"
	default:
		return "none"
	}
}

// pass claims what is due in lane l and works it. The number is that of the
// bindings it claimed; an error of the target leaves them due.
func (e *Engine) pass(ctx context.Context, t *target, l lane, trigger string) (int, error) {
	p := &pass{Engine: e, t: t, lane: l, trigger: trigger, now: time.Now()}
	p.lease.id = database.NewID()
	lowest, highest := l.priorities()
	claimed, err := e.opt.Bindings.Claim(ctx, bindings.ClaimRequest{
		Target: t.Name, Lease: p.lease.id, Limit: claimLimit, Min: lowest, Max: highest, LeaseFor: leaseFor,
	})
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	if len(claimed) == 0 {
		return 0, nil
	}
	p.lease.extend(p.now.Add(leaseFor))
	for _, b := range claimed {
		p.items = append(p.items, &item{b: b})
	}
	stop := p.keepLease(ctx)
	defer stop()
	err = p.run(l.context(ctx))
	if giveBack := p.giveBack(ctx, err); giveBack != nil {
		err = errors.Join(err, giveBack)
	}
	e.m.runs.WithLabelValues(t.Name, trigger, p.result(err)).Inc()
	return len(claimed), err
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
	for _, it := range p.items {
		if !it.concluded {
			p.prepare(it)
		}
	}
	p.guard()
	p.m.duration.WithLabelValues(p.t.Name, "plan").Observe(time.Since(started).Seconds())
	return p.act(ctx)
}

// meet loads rules and people and sorts the bindings by what they need.
// Bindings that need nothing of Matomo never cause a request.
func (p *pass) meet(ctx context.Context) error {
	rules, err := p.activeRules(ctx)
	if err != nil {
		return err
	}
	p.rules = rules
	subjects := make([]string, len(p.items))
	for i, it := range p.items {
		subjects[i] = it.b.Subject
	}
	people, err := p.opt.Directory.People(ctx, subjects)
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	for _, it := range p.items {
		it.person = people[it.b.Subject]
		p.triage(it)
	}
	return nil
}

// triage decides what a binding needs, from the person and the binding alone.
func (p *pass) triage(it *item) {
	it.login = it.b.Login
	switch {
	case !it.person.Active:
		it.work = leaverWork(it.b, p.now)
		if it.work == workNone {
			p.concludeWithoutAccount(it)
		}
	case p.nothingToGive(it):
		p.concludeUnmapped(it)
	default:
		it.work = workPerson
		p.identify(it)
	}
}

// nothingToGive reports whether an active person has no account of ours and
// gets none: no rule matches, whatever the sites are.
func (p *pass) nothingToGive(it *item) bool {
	if it.b.Login != "" || p.opt.CreateUnmapped {
		return false
	}
	d := mapping.Decide(p.rules, subjectOf(it.person), p.t.Name, nil, p.now)
	return len(d.Reasons) == 0 && len(d.Unknown) == 0
}

// identify finds the login and the e-mail address of a person; one that Matomo
// cannot hold is blocked without asking Matomo.
func (p *pass) identify(it *item) {
	var block *matomo.Block
	if it.b.Login == "" {
		if it.login, block = p.opt.Identity.Login(it.person); block != nil {
			it.block(block.Reason, block.Detail)
			return
		}
		if p.t.Client.IsProtected(it.login) {
			it.conclude(bindings.Conflict, "protected", fmt.Sprintf("login %q is protected and is never touched", it.login))
			p.m.guardTrips.WithLabelValues(p.t.Name, "protected").Inc()
			return
		}
	}
	if it.email, block = p.opt.Identity.Email(it.person); block == nil {
		return
	}
	it.email = "" // an account keeps the address it has
	if it.b.Login == "" {
		it.block(block.Reason, block.Detail)
		return
	}
	it.withheld = append(it.withheld, *block)
}

// block concludes an item that Matomo could not hold.
func (it *item) block(reason matomo.Reason, detail string) {
	it.conclude(bindings.Blocked, string(reason), detail)
}

// read asks Matomo once for everything the pass needs. An incomplete answer is
// an error, so that nothing is ever decided on it (I1).
func (p *pass) read(ctx context.Context) error {
	var open []*item
	for _, it := range p.items {
		if !it.concluded {
			open = append(open, it)
		}
	}
	if len(open) == 0 {
		return nil
	}
	snap, err := p.fetch(ctx, open, true)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	p.snap, p.policy = snap, p.t.Client.Complete(p.t.Policy, snap)
	p.grantedSuperusers, err = p.opt.Bindings.GrantedSuperusers(ctx, p.t.Name)
	return err
}

// wholeReadFrom is the number of people from which one read of the whole
// instance costs less than asking for each of them.
const wholeReadFrom = 200

// fetch is one timed read of the accounts of items. With evidence it carries
// what a removal would delete for good.
func (p *pass) fetch(ctx context.Context, items []*item, evidence bool) (*matomo.Snapshot, error) {
	started := time.Now()
	defer func() {
		p.m.duration.WithLabelValues(p.t.Name, "observe").Observe(time.Since(started).Seconds())
	}()
	if len(items) >= wholeReadFrom {
		return p.t.Client.ReadInstance(ctx)
	}
	opt := matomo.Read{Tokens: true}
	logins := make([]string, 0, len(items))
	for _, it := range items {
		logins = append(logins, it.login)
		opt.Orphans = opt.Orphans || it.work != workPerson
		if evidence && it.b.Login != "" {
			opt.Evidence = max(opt.Evidence, evidenceFor(it))
		}
	}
	return p.t.Client.ReadAccounts(ctx, logins, opt)
}

// evidenceFor is what has to be saved before the item's plan may run: reports
// before a site is taken away, everything before an account is deleted.
func evidenceFor(it *item) matomo.EvidenceLevel {
	if it.work == workDelete || it.b.LeftAt != nil {
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
	for _, it := range p.items {
		switch {
		case it.out.state == bindings.Blocked || it.out.state == bindings.Failed || it.out.state == bindings.Held:
			blocked++
		case len(it.applied.Steps) > 0:
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

// giveBack ends the leases of bindings that were not concluded. They stay due
// as they were: a failure of the target is not theirs.
func (p *pass) giveBack(ctx context.Context, cause error) error {
	var rest []string
	for _, it := range p.items {
		if !it.out.recorded {
			rest = append(rest, it.b.ID)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	// Also when the service is stopping: a lease that is not given back makes
	// the next one wait for its end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := p.opt.Bindings.Release(ctx, p.lease.id, rest, p.now); err != nil {
		return fmt.Errorf("give back leases: %w", err)
	}
	if cause == nil {
		p.log.Debug("bindings given back", zap.Int("count", len(rest)))
	}
	return nil
}
