package reconcile

import (
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
func leaverWork(b bindings.Binding, now time.Time) work {
	switch {
	case b.Login == "":
		return workNone
	case b.DeleteAt != nil && !b.DeleteAt.After(now):
		return workDelete
	case b.State == bindings.Revoked:
		return workPurge
	default:
		return workLeave
	}
}

// phase is the plan's word for the work.
func (w work) phase() matomo.Phase {
	switch w {
	case workPurge:
		return matomo.PhaseSeal
	case workDelete:
		return matomo.PhaseDelete
	default:
		return matomo.PhaseRevoke
	}
}

// prepareLeaver plans the step of the leaver's way that is due.
func (p *pass) prepareLeaver(it *item) {
	if !it.account.Exists {
		p.concludeGone(it)
		return
	}
	// An intent that never became an account of ours: what stands there now
	// belongs to somebody else (I2).
	if !it.b.CreatedByUs && !it.b.Adopted && !p.addedByIntent(it) {
		it.out.unbind = true
		it.conclude(bindings.Gone, reasonLoginExists, "the account in Matomo is not ours")
		return
	}
	it.plan = matomo.PlanLeaver(*it.account, p.policy, it.work.phase())
}

// addedByIntent reports whether the account is the one that a broken-off pass
// was adding for this person.
func (p *pass) addedByIntent(it *item) bool {
	email, block := p.opt.Identity.Email(it.person)
	if block != nil || email == "" {
		// A deleted user has no address left to compare with. The login was
		// free when it was bound, and nobody but us was going to add it.
		it.out.created = true
		return true
	}
	if sameEmail(email, it.account.Email) {
		it.out.created = true
		return true
	}
	return false
}
