package course

import (
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
)

// Row turns what the pass found into the binding's row. now is when it is
// written: passes may last longer than a back-off.
func (r *Round) Row(c *Case, now time.Time) (bindings.Outcome, error) {
	out := bindings.Outcome{Binding: c.Binding, DeleteWas: c.Binding.DeleteAt, Next: c.Next, Verified: c.Verified, Waits: c.Waits, TokensEnded: c.TokensEnded}
	out.State, out.Reason, out.Detail = c.State, c.Reason, c.Detail
	out.CreatedByUs = c.Binding.CreatedByUs || c.Created
	if c.Tokens != "" {
		out.Tokens = c.Tokens
	}
	if c.Unbind {
		out.CreatedByUs, out.Adopted, out.Superuser, out.Grants = false, false, false, nil
	}
	if c.Failed {
		next := now.Add(backoff(c.Binding.Attempts+1, nil))
		out.Next = &next
	}
	switch {
	case r.Observe || c.Person.Subject == "":
	case c.Person.Active:
		return out, r.personFacts(c, &out)
	default:
		r.leaverFacts(c, &out, now)
	}
	return out, nil
}

// personFacts are what an active person's binding remembers.
func (r *Round) personFacts(c *Case, out *bindings.Outcome) error {
	if c.CameBack {
		out.LeftAt = nil
	}
	// Nobody who is active waits for deletion. The next leave counts anew.
	out.RevokedAt, out.DeleteAt = nil, nil
	if c.Found != nil {
		// Ours is the superuser that a rule gives, and the one that a guard keeps: it counts also
		// when Matomo refused another step of the plan.
		out.Superuser = c.Found.Access.Superuser && (c.Want.Access.Superuser || c.Binding.Superuser)
	}
	if !c.Agreed {
		return nil
	}
	grants, err := encodeOrigins(c.Decision.Record(originsOf(c.Binding)))
	if err != nil {
		return err
	}
	out.Grants = grants
	out.ValidUntil = c.nextDecision()
	return nil
}

// leaverFacts are what a leaver's binding remembers.
func (r *Round) leaverFacts(c *Case, out *bindings.Outcome, now time.Time) {
	if out.LeftAt == nil {
		out.LeftAt = &now // left before this binding existed
	}
	if !c.Revoked {
		return
	}
	if out.RevokedAt == nil {
		out.RevokedAt = &now
	}
	out.Superuser, out.Grants = false, nil
	if c.State == bindings.Gone {
		out.DeleteAt = nil
		return
	}
	switch {
	case keptFor(c.Binding, *out.LeftAt):
		out.DeleteAt = nil
	case out.DeleteAt == nil && r.DeleteAfter > 0:
		at := leftSince(c.Binding, *out.LeftAt).Add(r.DeleteAfter)
		out.DeleteAt = &at
	}
	out.Urgent = c.State == bindings.Revoked
	if c.State == bindings.Done {
		out.Next = out.DeleteAt
	}
}

// Kept reports whether an admin keeps a leaver's account for the leave that is worked.
func Kept(b bindings.Binding) bool { return b.LeftAt != nil && keptFor(b, *b.LeftAt) }

// keptFor reports whether the account is kept for the leave that began at leftAt: a person who came
// back and left again is a new leaver, whose deletion nobody has stopped.
func keptFor(b bindings.Binding, leftAt time.Time) bool {
	return b.KeptAt != nil && !b.KeptAt.Before(leftSince(b, leftAt))
}

// leftSince is when the leave began that is being worked: LeftAt may be older
// when somebody came back, was given nothing, and left again.
func leftSince(b bindings.Binding, leftAt time.Time) time.Time {
	if b.Event == bindings.Leaver && b.AcceptedAt.After(leftAt) {
		return b.AcceptedAt
	}
	return leftAt
}
