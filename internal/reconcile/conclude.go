package reconcile

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/matomo"
)

// outcome is what a pass found out about one binding; it becomes the row.
type outcome struct {
	state  bindings.State
	reason string
	detail string
	// next is when the binding is due again; nil when nothing is planned.
	next *time.Time
	// failed counts as an attempt of the binding.
	failed bool
	// verified: Matomo was read and agrees, so the propagation clock stops.
	verified bool
	// partial: the change is not finished (settling), so the clocks go on.
	partial bool

	// unbind lets go of a login that turned out not to be ours, or is gone.
	unbind bool
	// created: the account exists because we added it.
	created bool
	// cameBack: old tokens are dead and the person is an ordinary one again.
	cameBack bool
	revoked  bool
	tokens   bindings.Tokens

	recorded bool
}

// conclude ends an item without any change in Matomo.
func (it *item) conclude(state bindings.State, reason, detail string) {
	it.out.state, it.out.reason, it.out.detail = state, reason, detail
	it.concluded = true
}

// retry ends an item that must be looked at again after a back-off.
func (it *item) retry(reason, detail string) {
	it.conclude(bindings.Failed, reason, detail)
	it.out.failed = true
}

// concludeWithoutAccount ends a leaver who never had an account of ours.
func (p *pass) concludeWithoutAccount(it *item) {
	it.conclude(bindings.Gone, "", "no account of ours")
}

// concludeUnmapped ends an active person who has no account and gets none.
func (p *pass) concludeUnmapped(it *item) {
	state := bindings.Converged
	if p.t.Mode == Observe {
		state = bindings.Observed
	}
	it.conclude(state, "", "no rule gives this person anything, and there is no account")
	it.out.cameBack = true // no account, no old token
}

// concludeGone ends a leaver whose account does not exist in Matomo: no
// access, no token, nothing to delete.
func (p *pass) concludeGone(it *item) {
	it.conclude(bindings.Gone, "", "the account does not exist in Matomo")
	it.out.unbind, it.out.verified, it.out.tokens, it.out.revoked = true, true, bindings.TokensDead, true
}

// concludeObserved ends an item of a target that is only watched: what would
// be done is recorded and shown.
func (p *pass) concludeObserved(it *item) {
	it.conclude(bindings.Observed, blockReason(p.blocksOf(it)), planText(it.plan, p.blocksOf(it)))
	it.out.next = p.nextDecision(it)
	for _, s := range it.plan.Steps {
		p.m.changes.WithLabelValues(p.t.Name, actionOf(s), "dry_run").Inc()
	}
}

// concludePerson ends an active person after a complete read: account is what
// Matomo holds now.
func (p *pass) concludePerson(it *item, account matomo.Account) {
	// The come-back is over once its gate has passed; the read-back is judged
	// as any other account.
	want := it.want
	if it.out.cameBack {
		want.ComeBack = false
	}
	rest := matomo.PlanPerson(want, account, p.policy)
	if !it.settle.IsZero() {
		rest = rest.Additions()
	}
	blocks := append(append([]matomo.Block(nil), it.withheld...), rest.Blocks...)
	if !rest.Empty() {
		p.concludeUnfinished(it, rest, blocks)
		return
	}
	it.out.next = p.nextDecision(it)
	switch reason := blockReason(blocks); {
	case !it.settle.IsZero():
		it.conclude(bindings.Pending, "settling", "access that no group gives any more is removed at "+it.settle.UTC().Format(time.RFC3339))
		it.out.partial = true
		it.out.next = &it.settle
	case heldReason(blocks) != "":
		it.conclude(bindings.Held, heldReason(blocks), detailOf(blocks))
	case reason != "":
		it.conclude(bindings.Blocked, reason, detailOf(blocks))
	default:
		it.conclude(bindings.Converged, "", accessText(account))
	}
	it.out.verified = !it.out.partial
}

// concludeUnfinished ends an item whose account does not agree after all.
func (p *pass) concludeUnfinished(it *item, rest matomo.Plan, blocks []matomo.Block) {
	if err := it.applied.Err; err != nil {
		if reason := matomo.BlockedReason(err); reason != "" {
			it.conclude(bindings.Blocked, string(reason), err.Error())
			it.out.failed = true // tried again, ever more rarely, and at once when the user changes
			return
		}
		it.retry("refused", err.Error())
		return
	}
	it.retry("not_applied", "Matomo's answer was a success and the account still lacks: "+planText(rest, blocks))
}

// concludeLeaver ends a step of a leaver's way after a complete read.
func (p *pass) concludeLeaver(it *item, account matomo.Account) {
	if !account.Exists {
		p.concludeGone(it)
		return
	}
	if it.plan.Empty() && len(it.plan.Blocks) > 0 {
		it.conclude(bindings.Blocked, blockReason(it.plan.Blocks), detailOf(it.plan.Blocks))
		it.out.failed = true
		return
	}
	if err := it.applied.Err; err != nil && matomo.KindOf(err) != matomo.Refused {
		it.retry("refused", err.Error())
		it.out.state = p.leaverStateSoFar(it)
		return
	}
	verdict := matomo.VerifyGone(account, p.policy)
	if !verdict.Revoked {
		it.retry("not_revoked", "still there: "+strings.Join(verdict.Left, ", "))
		it.out.state = p.leaverStateSoFar(it)
		return
	}
	it.out.tokens = bindings.Tokens(verdict.Tokens)
	detail := "no access, tokens " + string(verdict.Tokens)
	it.out.verified = true
	it.out.revoked = true
	if it.work == workLeave {
		it.conclude(bindings.Revoked, "", detail)
		now := p.now
		it.out.next = &now // the second phase follows at once
		return
	}
	if it.work == workPurge {
		p.concludeSealed(it, detail)
		return
	}
	it.retry("not_deleted", "the account still exists")
	it.out.state = bindings.Done
}

// concludeSealed ends the second phase; a step that needs the password waits
// for it.
func (p *pass) concludeSealed(it *item, detail string) {
	if len(it.plan.Blocks) > 0 {
		it.conclude(bindings.Revoked, blockReason(it.plan.Blocks), detailOf(it.plan.Blocks))
		it.out.failed = true
		return
	}
	it.conclude(bindings.Done, "", detail)
	if it.b.LeftAt != nil && p.t.DeleteAfter > 0 {
		at := it.b.LeftAt.Add(p.t.DeleteAfter)
		it.out.next = &at
	}
}

// leaverStateSoFar is the state of a leaver whose step failed.
func (p *pass) leaverStateSoFar(it *item) bindings.State {
	switch {
	case it.work == workDelete:
		return bindings.Done
	case it.work == workPurge:
		return bindings.Revoked
	default:
		return bindings.Leaving
	}
}

// nextDecision is when time alone changes what the person should have.
func (p *pass) nextDecision(it *item) *time.Time {
	if it.decision.ValidUntil.IsZero() {
		return nil
	}
	at := it.decision.ValidUntil
	return &at
}

// blocksOf is everything that was wanted and is not done: withheld by a guard,
// or left out of the plan.
func (p *pass) blocksOf(it *item) []matomo.Block {
	return append(append([]matomo.Block(nil), it.withheld...), it.plan.Blocks...)
}

// heldReason is the reason of the first block that a guard set, "" when none
// did.
func heldReason(blocks []matomo.Block) string {
	for _, b := range blocks {
		if b.Reason == reasonCap || b.Reason == reasonFloor || b.Reason == matomo.AdditionsHeld {
			return string(b.Reason)
		}
	}
	return ""
}

// blockReason is the reason that a binding is blocked with: the first one.
func blockReason(blocks []matomo.Block) string {
	if len(blocks) == 0 {
		return ""
	}
	return string(blocks[0].Reason)
}

// detailOf joins what blocks say.
func detailOf(blocks []matomo.Block) string {
	var out []string
	for _, b := range blocks {
		out = append(out, b.Detail)
	}
	return strings.Join(out, "; ")
}

// planText is a plan in one line, for a binding's detail and for people.
func planText(plan matomo.Plan, blocks []matomo.Block) string {
	var parts []string
	for _, s := range plan.Steps {
		parts = append(parts, s.String())
	}
	for _, b := range blocks {
		parts = append(parts, fmt.Sprintf("not: %s (%s)", b.Detail, b.Reason))
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, "; ")
}

// accessText is an account's access in one line.
func accessText(account matomo.Account) string {
	if !account.Exists {
		return "no account"
	}
	return account.Access.String()
}

// actionOf is the label under which a step is counted.
func actionOf(s matomo.Step) string {
	switch s.Kind {
	case matomo.AddUser, matomo.InviteUser:
		return "user_create"
	case matomo.DeleteUser:
		return "user_delete"
	case matomo.RevokeTokens:
		return "token_revoke"
	case matomo.Demote:
		return "superuser_revoke"
	case matomo.Promote:
		return "superuser_grant"
	case matomo.RemoveAccess:
		return "revoke"
	case matomo.SetAccess:
		return "grant"
	case matomo.Logout:
		return "session_logout"
	case matomo.RandomPassword:
		return "user_suspend"
	default:
		return "user_update"
	}
}

// grantsJSON is what the binding records of what this decision gave.
func grantsJSON(it *item) ([]byte, error) {
	data, err := json.Marshal(recordOrigins(it.decision, originsOf(it.b)))
	if err != nil {
		return nil, fmt.Errorf("record grants: %w", err)
	}
	return data, nil
}
