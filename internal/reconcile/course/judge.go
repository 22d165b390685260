package course

import (
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/matomo"
)

// Judge concludes a case from an account that was read completely: before the
// plan when there is nothing to do, after it otherwise.
func (r *Round) Judge(c *Case, account matomo.Account) {
	if c.Work == WorkPerson {
		r.concludePerson(c, account)
		return
	}
	r.concludeLeaver(c, account)
}

// JudgeObserved concludes a case of a target that is only watched: what would
// be done is recorded and shown.
func (r *Round) JudgeObserved(c *Case) {
	c.conclude(bindings.Observed, blockReason(c.Blocks()), PlanText(c.Plan, c.Blocks()))
	c.Next = c.nextDecision()
	c.Verified = true // the clock of a change that is never made does not run
}

// JudgeSent notes what the answers to a plan say by themselves, whether or not a
// read back follows: an account that is ours now, a login that is not, tokens
// that are dead.
func (r *Round) JudgeSent(c *Case) {
	if c.did(matomo.AddUser) || c.did(matomo.InviteUser) {
		c.Created = true
	}
	c.Unbind = c.addRefused(false)
	if c.Work != WorkPerson || !c.Want.ComeBack {
		return
	}
	// The gate of a come-back has passed: the old tokens are dead, by revoking
	// them or with the account that was deleted or never came to be.
	if c.did(matomo.RevokeTokens) || c.did(matomo.AddUser) || c.did(matomo.InviteUser) {
		c.CameBack, c.Tokens = true, bindings.TokensDead
	}
}

// addRefused reports whether the account that was to be added is known not to have
// come to be: Matomo said so, or answered with some error and a read back shows
// none (absent). The login is then free for others: an account that somebody else
// creates later must never be taken for ours (I2).
func (c *Case) addRefused(absent bool) bool {
	if c.Account == nil || c.Account.Exists || c.Binding.CreatedByUs || c.Binding.Adopted {
		return false
	}
	for _, s := range c.Applied.Steps {
		if s.Step.Kind == matomo.AddUser || s.Step.Kind == matomo.InviteUser {
			return s.Err != nil && (absent || !s.Uncertain)
		}
	}
	return false
}

// concludePerson ends an active person after a complete read: account is what
// Matomo holds now.
func (r *Round) concludePerson(c *Case, account matomo.Account) {
	want := c.Want
	want.ComeBack = want.ComeBack && !c.CameBack
	if c.TokensEnded = c.requestDone(account); c.TokensEnded {
		want.EndTokens, want.EndTokenIDs = false, nil
	}
	rest := matomo.PlanPerson(want, account, r.policy)
	if !c.Settle.IsZero() {
		rest = rest.Additions()
	}
	blocks := append(append([]matomo.Block(nil), c.Withheld...), rest.Blocks...)
	switch {
	case !rest.Empty():
		c.Unbind = c.Unbind || !account.Exists && c.addRefused(true)
		c.concludeUnfinished(rest, blocks)
		return
	case c.tokensSurvived():
		c.Retry(ReasonTokensLive, "access is as it should be; tokens made before the change could not be ended")
		c.Tokens = bindings.TokensLive
		return
	}
	c.Found = &account
	c.Agreed = c.Settle.IsZero()
	c.Next = c.nextDecision()
	switch held := heldReason(blocks); {
	case !c.Settle.IsZero():
		c.conclude(bindings.Pending, ReasonSettling, "access that no group gives any more is removed at "+c.Settle.UTC().Format(time.RFC3339))
		c.Waits = true
		c.Next = &c.Settle
	case held != "":
		c.conclude(bindings.Held, held, detailOf(blocks))
	case len(blocks) > 0:
		c.conclude(bindings.Blocked, blockReason(blocks), detailOf(blocks))
	default:
		c.conclude(bindings.Converged, "", accessText(account))
		c.Verified = true
	}
}

// concludeUnfinished ends a case whose account does not agree after all.
func (c *Case) concludeUnfinished(rest matomo.Plan, blocks []matomo.Block) {
	err := c.Applied.Err
	if err == nil {
		c.Retry(ReasonNotApplied, "Matomo's answer was a success and the account still lacks: "+PlanText(rest, blocks))
		return
	}
	reason := matomo.BlockedReason(err)
	if reason == "" {
		c.Retry(ReasonRefused, err.Error())
		return
	}
	// Tried again, ever more rarely, and at once when the user changes.
	c.conclude(bindings.Blocked, string(reason), err.Error())
	c.Failed = true
}

// tokensSurvived reports whether tokens should have ended with a change of access
// and did not: nothing in the account shows it later, so it is remembered.
func (c *Case) tokensSurvived() bool {
	return c.Plan.Has(matomo.RevokeTokens) && !c.did(matomo.RevokeTokens) && len(c.Applied.Steps) > 0
}

// A request is done when its tokens are seen to be gone, or when each call that ends some succeeded where none
// can be seen. Until then it stays on the row, whatever else the pass achieved.

// requestDone reports whether the tokens that somebody asked to end are dead: each step that ends some
// succeeded, or none of them is left to be seen.
func (c *Case) requestDone(account matomo.Account) bool {
	request := c.Binding.RevokeTokens
	if request.IsZero() {
		return false
	}
	if account.TokensKnown {
		return !slices.ContainsFunc(account.Tokens, func(t matomo.Token) bool { return request.All || slices.Contains(request.IDs, t.ID) })
	}
	for _, s := range c.Applied.Steps {
		if s.Step.Kind == matomo.RevokeTokens && s.Err != nil {
			return false
		}
	}
	return c.did(matomo.RevokeTokens)
}

// nextDecision is when time alone changes what the person should have.
func (c *Case) nextDecision() *time.Time {
	if c.Decision.ValidUntil.IsZero() {
		return nil
	}
	at := c.Decision.ValidUntil
	return &at
}

// heldReason is the reason of the first block that a guard set, "" when none
// did.
func heldReason(blocks []matomo.Block) string {
	for _, b := range blocks {
		if b.Reason == GuardCap || b.Reason == GuardFloor || b.Reason == matomo.AdditionsHeld {
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
	out := make([]string, len(blocks))
	for i, b := range blocks {
		out[i] = b.Detail
	}
	return strings.Join(out, "; ")
}

// Postpone ends a case that has to wait for something else until next.
func (c *Case) Postpone(reason, detail string, next time.Time) {
	c.conclude(bindings.Pending, reason, detail)
	c.Next, c.Waits = &next, true
}

// Conflict ends a case whose login is somebody else's.
func (c *Case) Conflict(reason, detail string) { c.conclude(bindings.Conflict, reason, detail) }

// Deletes reports whether the plan takes away what Matomo deletes for good:
// scheduled reports go with the access to their site, everything with the account.
func (c *Case) Deletes() bool {
	return c.Plan.Has(matomo.RemoveAccess) || c.Plan.Has(matomo.Demote) || c.Plan.Has(matomo.DeleteUser)
}

// LostAll reports whether the plan took a person's whole access away and at least
// one of its removals succeeded: it counts for the removal budgets.
func (c *Case) LostAll() bool {
	return c.Plan.LosesAll && (c.did(matomo.RemoveAccess) || c.did(matomo.Demote) || c.did(matomo.DeleteUser))
}

// TokensLeft reports whether tokens should have ended and nothing here can end
// them without harm: at a change of access that tokens.on names, and the first time
// that a leaver's access is seen to be gone.
func (r *Round) TokensLeft(c *Case) bool {
	switch {
	case r.policy.Tokens != matomo.NoStrategy:
		return false
	case c.Work.OfLeaver():
		return c.Revoked && c.Binding.RevokedAt == nil && c.Tokens == bindings.TokensInert
	default:
		return c.Agreed && c.Plan.TokensStay
	}
}
