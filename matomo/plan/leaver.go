package plan

import "github.com/matomo-scim/bridge/matomo/access"

// Phase is one part of a leaver's way out.
type Phase string

// The phases of a leaver.
const (
	PhaseRevoke Phase = "revoke" // no superuser, no access, tokens: as fast as it goes
	PhaseSeal   Phase = "seal"   // random password, tokens once more, sessions
	PhaseDelete Phase = "delete" // the account itself
)

// Leaver plans one phase of a leaver. An account that is gone needs nothing.
// Every phase may be planned and applied again at any time with the same end.
//
//	phase    account                    steps
//	revoke   pending or expired invite  delete
//	revoke   any other                  demote, remove all access, revoke tokens
//	revoke   ... no way to revoke       demote, remove all access, and by LeaverTokens: nothing | delete, add | delete
//	revoke   superuser, no password     revoke tokens and block; or delete, where the policy allows that
//	seal     any                        random password, revoke tokens, log out
//	delete   any                        delete
//
// Access is always removed in so many words, even when no row is left: only
// that ends the scheduled reports which Matomo would go on mailing. Sites given
// to everybody through `anonymous` are beyond this.
func Leaver(have Account, pol Policy, phase Phase) Plan {
	b := &planner{have: have, pol: pol, plan: Plan{Login: have.Login}}
	if pol.Protects(have.Login) {
		b.block(IsProtected, "the login is protected")
		return b.plan
	}
	if !have.Exists {
		return b.plan
	}
	switch phase {
	case PhaseRevoke:
		b.revoke()
	case PhaseSeal:
		b.seal()
	case PhaseDelete:
		b.delete("the time a suspended account is kept is over")
	}
	b.plan.Loses = b.plan.Reduces()
	b.plan.LosesAll = b.plan.Loses && !have.Access.Empty()
	return b.plan
}

// revoke plans phase 1: everything that keeps the person from seeing anything,
// fastest first. Nothing here waits for an answer, so all of it fits into one
// request.
func (b *planner) revoke() {
	if b.have.Invite != NotInvited {
		b.delete("the person left before answering the invitation")
		return
	}
	if b.have.Access.Superuser && !b.pol.HasPassword {
		b.revokeStuckSuperuser()
		return
	}
	if b.have.Access.Superuser {
		b.step(Step{Kind: Demote, NeedsPassword: true, Reduces: true, Why: "the person left"})
	}
	b.removeAll("the person left", b.have.Orphans)
	switch {
	case b.pol.KeepAtLeaving:
		return
	case b.pol.Tokens != NoStrategy:
		b.revokeTokens("the person left")
		return
	}
	switch b.pol.LeaverTokens {
	case RevokeOrRecreate:
		b.recreate()
	case RevokeOrDelete:
		b.delete("the person left and nothing else ends the tokens")
	case RevokeOrInert:
	}
}

// revokeStuckSuperuser does what can be done about a superuser who left while
// there is no password: Matomo refuses to change a superuser's sites, and only
// deleting needs no password.
func (b *planner) revokeStuckSuperuser() {
	switch {
	case b.pol.DeleteSuperusersWithoutPassword, b.pol.Tokens == NoStrategy && b.pol.LeaverTokens == RevokeOrDelete && !b.pol.KeepAtLeaving:
		b.delete("the person left as superuser and there is no password to demote them")
	case b.pol.Tokens != NoStrategy && !b.pol.KeepAtLeaving:
		b.revokeTokens("the person left")
		b.block(PasswordNeeded, "superuser can be withdrawn only with the password")
	default:
		b.block(PasswordNeeded, "superuser can be withdrawn only with the password")
	}
}

// seal plans phase 2. The password comes first: a suspended person can make new
// tokens with it until it changes, so tokens are ended after it once more.
func (b *planner) seal() {
	if b.pol.RandomisePassword {
		if b.pol.HasPassword {
			b.step(Step{Kind: RandomPassword, NeedsPassword: true, Reduces: true, Why: "ends browser sessions and stops new tokens"})
		} else {
			b.block(PasswordNeeded, "the person's password can be changed only with the bridge's")
		}
	}
	if b.pol.Tokens != NoStrategy && !b.pol.KeepAtLeaving {
		b.revokeTokens("tokens made between the two phases")
	}
	if b.pol.CanLogout {
		b.step(Step{Kind: Logout, Reduces: true, Why: "ends browser sessions"})
	}
}

// revokeTokens ends the tokens of somebody who will have no access.
func (b *planner) revokeTokens(why string) {
	s := b.tokenStep(why, access.Access{})
	s.Reduces = true
	b.step(s)
}

// delete plans the end of the account. It needs no password, and no gate: it is
// the last step, or adding follows, which fails by itself while the login
// exists.
func (b *planner) delete(why string) {
	b.step(Step{Kind: DeleteUser, Destructive: true, Reduces: true, Why: why})
}

// recreate deletes the account and adds it again, without access and without
// its tokens.
func (b *planner) recreate() {
	if block := ValidateEmail(b.have.Email); block != nil {
		b.plan.Blocks = append(b.plan.Blocks, *block)
		return
	}
	b.delete("the person left and nothing else ends the tokens")
	b.step(Step{Kind: AddUser, Email: b.have.Email, Strategy: Recreate, Gate: true, Why: "the same login without tokens, kept until it is deleted"})
}
