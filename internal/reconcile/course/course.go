// Package course decides what one person's binding needs on one target, and
// what became of it. It does no I/O: a Round holds what was read (rules, people,
// Matomo's answer, the time), a Case is one binding on its way, and package
// reconcile carries out what comes of it.
//
//	triage -> prepare -> guard -> (intent, apply, read back) -> judge -> row
//
// A case is concluded when its outcome is final: before anything was read (no
// account and nothing to give), before anything is sent (a conflict), or after
// Matomo was read back.
package course

import (
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Settings are what the configuration fixes about a target.
type Settings struct {
	Target string
	// Observe computes and shows everything and plans no write.
	Observe bool
	// Client tells which logins are protected, and which is the bridge's own.
	Client *matomo.Client
	// Policy is the fixed part of the plan's policy; what the instance can do is
	// filled in by SetSnapshot.
	Policy   matomo.Policy
	Identity Identity
	Guards   Guards
	// CreateUnmapped creates accounts for people whom no rule gives anything.
	CreateUnmapped bool
	// Settle is how long a reduction that comes from memberships waits.
	Settle time.Duration
	// DeleteAfter is how long a suspended account is kept; zero keeps it for good.
	DeleteAfter time.Duration
}

// Round is what all cases of one pass share.
type Round struct {
	Settings
	// Now is the moment that the round decides for.
	Now time.Time
	// Snapshot is what Matomo answered, nil until it was asked.
	Snapshot *matomo.Snapshot
	// GrantedSuperusers is how many people had superuser from us at the start.
	GrantedSuperusers int
	// Trip is told each time a guard holds something back; nil for nobody.
	Trip func(guard string)

	rules   *mapping.Rules
	blind   *mapping.Decider // without sites
	decider *mapping.Decider // with those of Snapshot
	policy  matomo.Policy    // with what the instance can do
}

// NewRound starts a round that decides with rules at now.
func NewRound(s Settings, rules *mapping.Rules, now time.Time) *Round {
	return &Round{Settings: s, Now: now, rules: rules, blind: rules.For(s.Target, nil)}
}

// SetSnapshot gives the round what a complete read of Matomo found.
func (r *Round) SetSnapshot(snap *matomo.Snapshot) {
	sites := snap.Sites
	if sites == nil {
		sites = []access.Site{} // read, and there is none; nil would mean unread
	}
	r.Snapshot = snap
	r.decider = r.rules.For(r.Target, sites)
	r.RefreshPolicy()
}

// RefreshPolicy looks again at what can be done: a password that Matomo refused
// in the middle of a pass is gone.
func (r *Round) RefreshPolicy() { r.policy = r.Client.Complete(r.Policy, r.Snapshot) }

// Work is what a binding needs in this pass.
type Work int

// The kinds of work.
const (
	// WorkNone: there is nothing of ours in Matomo and nothing to give.
	WorkNone Work = iota
	// WorkPerson: an active person's account and access.
	WorkPerson
	// WorkLeave: first phase of a leaver.
	WorkLeave
	// WorkSeal: second phase of a leaver.
	WorkSeal
	// WorkDelete: the grace period is over, or another person needs the login.
	WorkDelete
)

// Label names the work in audit entries and evidence.
func (w Work) Label() string {
	switch w {
	case WorkPerson:
		return "access"
	case WorkLeave:
		return "revoke"
	case WorkSeal:
		return "seal"
	case WorkDelete:
		return "delete"
	default:
		return "none"
	}
}

// Order is the place of the work in a pass: first what keeps somebody from seeing
// anything, last what has time.
func (w Work) Order() int {
	switch w {
	case WorkLeave:
		return 0
	case WorkSeal:
		return 2
	default:
		return 1
	}
}

// OfLeaver reports whether the work is a step of a leaver's way.
func (w Work) OfLeaver() bool { return w == WorkLeave || w == WorkSeal || w == WorkDelete }

// Case is one binding on its way through a pass.
type Case struct {
	Binding bindings.Binding
	Person  directory.Person
	Work    Work

	Login    string          // the bound login, or the one a new account would get
	Email    string          // empty: an account keeps the one it has
	Account  *matomo.Account // as read; nil while unknown
	Decision mapping.Decision
	Want     matomo.Want
	Plan     matomo.Plan
	// Settle is until when the reductions of the plan wait; zero when none do.
	Settle time.Time
	// Withheld is what a guard, or the person's data, took out of the plan.
	Withheld []matomo.Block
	// Applied is what became of the plan, and Found the account as read back.
	Applied matomo.Result
	Found   *matomo.Account

	Outcome
	// Concluded says that the outcome is final.
	Concluded bool
}

// Outcome is what a pass found out about one binding; Row makes the row of it.
type Outcome struct {
	State  bindings.State
	Reason string
	Detail string
	// Next is when the binding is due again; nil when nothing is planned.
	Next *time.Time
	// Failed counts as an attempt of the binding, and backs off.
	Failed bool
	// Waits: the pass did what it could, and the rest comes by itself at Next.
	Waits bool
	// Verified: Matomo was read and has everything that is wanted, so the
	// propagation clock stops.
	Verified bool
	// Agreed: Matomo was read and has everything that can be given now.
	Agreed bool

	// Unbind lets go of a login that turned out not to be ours, or is gone.
	Unbind bool
	// Created: the account exists because we added it.
	Created bool
	// CameBack: old tokens are dead and the person is an ordinary one again.
	CameBack bool
	// Revoked: a leaver was read back without access.
	Revoked bool
	Tokens  bindings.Tokens
	// TokensEnded: the tokens that somebody asked to end are dead.
	TokensEnded bool
}

// Event is what happened to the person, in people's words. Identity providers create
// somebody first and put them into a group later; whoever gets an account only then
// joins, although the last thing that was said of them is a move.
func (c *Case) Event() bindings.Event {
	if c.Binding.Event == bindings.Mover && c.Created {
		return bindings.Joiner
	}
	return c.Binding.Event
}

// Blocks is everything that was wanted and is not done: withheld by a guard, or
// left out of the plan.
func (c *Case) Blocks() []matomo.Block {
	return append(append([]matomo.Block(nil), c.Withheld...), c.Plan.Blocks...)
}

// conclude makes the outcome final.
func (c *Case) conclude(state bindings.State, reason, detail string) {
	c.State, c.Reason, c.Detail = state, reason, detail
	c.Concluded = true
}

// Retry concludes a case that must be looked at again after a back-off.
func (c *Case) Retry(reason, detail string) {
	c.conclude(bindings.Failed, reason, detail)
	c.Failed = true
}

// block concludes a case that Matomo could not hold.
func (c *Case) block(b matomo.Block) {
	c.conclude(bindings.Blocked, string(b.Reason), b.Detail)
}

// trip counts a guard that held something back.
func (r *Round) trip(guard string) {
	if r.Trip != nil {
		r.Trip(guard)
	}
}
