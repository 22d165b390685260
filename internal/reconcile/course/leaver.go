package course

import (
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/matomo"
)

// A leaver's way (DESIGN section 7), each step one pass:
//
//	left -> revoke: no access, no superuser, tokens      -> revoked (the clock stops)
//	     -> seal:   password, tokens once more, sessions -> done
//	     -> delete: after the grace period               -> gone
//
// A pass that repeats a step that is done finds nothing to change.

// leaverWork tells which step an inactive person's binding needs.
func leaverWork(b bindings.Binding, now time.Time) Work {
	switch {
	case b.Login == "":
		return WorkNone
	case b.DeleteAt != nil && !b.DeleteAt.After(now) && !Kept(b):
		return WorkDelete
	case b.State == bindings.Revoked:
		return WorkSeal
	default:
		return WorkLeave
	}
}

// sealBy bounds how long the second phase of a leaver makes way for the first phase
// of others.
const sealBy = 10 * time.Second

// MayWait reports whether a leaver's work is the second phase, each of which takes
// Matomo a password hash, and can still make way for people who left meanwhile.
func (c *Case) MayWait(now time.Time) bool {
	return c.Work == WorkSeal && c.Binding.RevokedAt != nil && now.Sub(*c.Binding.RevokedAt) < sealBy
}

// phase is the plan's word for the work.
func (w Work) phase() matomo.Phase {
	switch w {
	case WorkSeal:
		return matomo.PhaseSeal
	case WorkDelete:
		return matomo.PhaseDelete
	default:
		return matomo.PhaseRevoke
	}
}

// prepareLeaver plans the step of the leaver's way that is due.
func (r *Round) prepareLeaver(c *Case) {
	if !c.Account.Exists {
		c.concludeGone()
		return
	}
	// An intent that never became an account of ours: what stands there now
	// belongs to somebody else (I2).
	if !c.Binding.CreatedByUs && !c.Binding.Adopted && !r.addedByIntent(c) {
		c.Unbind = true
		c.conclude(bindings.Gone, ReasonLoginExists, "the account in Matomo is not ours")
		c.Verified = true
		return
	}
	c.Plan = matomo.PlanLeaver(*c.Account, r.policy, c.Work.phase())
	if c.Work != WorkDelete || !r.HasAccess(*c.Account) {
		return
	}
	// Deleting waits until what goes with the account was read and saved, which a plugin of Matomo that
	// is broken puts off for as long as it is. Nobody keeps their access until then; only a superuser
	// who cannot be demoted for want of the password can be deleted and not revoked.
	if revoke := matomo.PlanLeaver(*c.Account, r.policy, matomo.PhaseRevoke); len(revoke.Blocks) == 0 {
		c.Work, c.Plan = WorkLeave, revoke
	}
}

// addedByIntent reports whether the account is the one that a broken-off pass
// was adding for this person.
func (r *Round) addedByIntent(c *Case) bool {
	email, block := r.Identity.Email(c.Person)
	if block != nil || sameEmail(email, c.Account.Email) || c.hasIntended() {
		// A deleted user has no address left to compare with. The login was
		// free when it was bound, and nobody but us was going to add it.
		c.Created = true
		return true
	}
	return false
}

// concludeGone ends a leaver whose account does not exist in Matomo: no
// access, no token, nothing to delete.
func (c *Case) concludeGone() {
	c.conclude(bindings.Gone, "", "the account does not exist in Matomo")
	c.Unbind, c.Verified, c.Revoked, c.Tokens = true, true, true, bindings.TokensDead
}

// concludeLeaver ends a step of a leaver's way after a complete read.
func (r *Round) concludeLeaver(c *Case, account matomo.Account) {
	if !account.Exists {
		c.concludeGone()
		return
	}
	verdict := matomo.VerifyGone(account, r.policy)
	if verdict.Tokens == matomo.TokensInert && c.ended() {
		verdict.Tokens = matomo.TokensDead
	}
	switch {
	case c.Applied.Err != nil && !c.overlooked():
		c.retryLeaver(ReasonRefused, c.Applied.Err.Error())
	case !verdict.Revoked && len(c.Plan.Blocks) > 0:
		c.conclude(bindings.Blocked, blockReason(c.Plan.Blocks), detailOf(c.Plan.Blocks))
		c.Failed = true
	case !verdict.Revoked:
		c.retryLeaver(ReasonNotRevoked, "still there: "+strings.Join(verdict.Left, ", "))
		if c.Work == WorkSeal {
			c.State = bindings.Leaving // something came back between the phases: the first one again
		}
	case c.Work == WorkDelete:
		c.retryLeaver(ReasonNotDeleted, "the account still exists")
	default:
		c.Tokens = bindings.Tokens(verdict.Tokens)
		c.Verified, c.Revoked = true, true
		c.TokensEnded = !c.Binding.RevokeTokens.IsZero() // dead, or inert for want of a way
		r.advance(c, "no access, tokens "+string(verdict.Tokens))
	}
}

// ended reports whether tokens that nobody can see are known to have ended: the
// account was deleted with them a moment ago, or Matomo 3 replaced the only one.
func (c *Case) ended() bool {
	return c.recreated() || c.did(matomo.RevokeTokens) || c.Work == WorkSeal && c.Binding.Tokens == bindings.TokensDead
}

// advance ends a phase that succeeded.
func (r *Round) advance(c *Case, detail string) {
	switch {
	case c.Work == WorkLeave && c.Binding.State == bindings.Done && c.Binding.Tokens == bindings.TokensInert && !r.HasAccess(*c.Account):
		// Only the tokens were left, until something could end them: the password is
		// random already, and another mail about it would be no use.
		c.conclude(bindings.Done, "", detail)
	case c.Work == WorkLeave:
		c.conclude(bindings.Revoked, "", detail)
		now := r.Now
		c.Next = &now // the second phase follows at once
	case len(c.Plan.Blocks) > 0: // a step that needs the password waits for it
		c.conclude(bindings.Revoked, blockReason(c.Plan.Blocks), detailOf(c.Plan.Blocks))
		c.Failed = true
	default:
		c.conclude(bindings.Done, "", detail)
	}
}

// retryLeaver ends a step that failed; the leaver is as far as before.
func (c *Case) retryLeaver(reason, detail string) {
	c.Retry(reason, detail)
	switch c.Work {
	case WorkDelete:
		c.State = bindings.Done
		if c.Binding.RevokedAt == nil {
			c.State = bindings.Leaving
		}
	case WorkSeal:
		c.State = bindings.Revoked
	default:
		c.State = bindings.Leaving
	}
}

// mailTries is how often a password change that Matomo answered with an error is
// sent again.
const mailTries = 2

// overlooked reports whether the error of a step stands for nothing that is left
// to do. Matomo answers updateUser with an error after it has written when its
// mail about the change fails; a password cannot be read back, so after some
// tries it counts as set.
func (c *Case) overlooked() bool {
	for _, s := range c.Applied.Steps {
		switch {
		case s.Err == nil:
		case s.Step.Kind == matomo.RandomPassword && matomo.KindOf(s.Err) == matomo.Refused && c.Binding.Attempts >= mailTries:
		default:
			return false
		}
	}
	return true
}

// recreated reports whether the plan deleted the account and added it again.
func (c *Case) recreated() bool {
	return c.did(matomo.DeleteUser) && c.did(matomo.AddUser)
}

// did reports whether a step of kind k succeeded.
func (c *Case) did(k matomo.StepKind) bool {
	for _, s := range c.Applied.Steps {
		if s.Step.Kind == k && s.Sent && s.Err == nil {
			return true
		}
	}
	return false
}

// HasAccess reports whether somebody who should have none still has access, as
// far as a read without tokens tells.
func (r *Round) HasAccess(account matomo.Account) bool {
	blind := r.policy
	blind.Tokens = matomo.NoStrategy
	return account.Exists && !matomo.VerifyGone(account, blind).Revoked
}

// Where tokens are seen, their end is proven by looking; where they can merely be
// ended, by Matomo's answer.

// SeesTokens reports whether the tokens of other people can be seen here, and those
// of leavers are to end.
func (r *Round) SeesTokens() bool {
	return r.EndsTokens() && (r.policy.Tokens.Sees() || slices.ContainsFunc(r.policy.TokenFallback, matomo.Strategy.Sees))
}

// EndsTokens reports whether the tokens of leavers can be ended here without harm,
// and are to end.
func (r *Round) EndsTokens() bool {
	return r.policy.Tokens != matomo.NoStrategy && !r.policy.KeepAtLeaving
}
