package course

import (
	"fmt"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
)

// Triage decides what a binding needs, from the person and the binding alone.
// Those that need nothing of Matomo are concluded and never cause a request.
func (r *Round) Triage(c *Case) {
	c.Login = c.Binding.Login
	switch {
	case c.Person.Subject == "":
		// Nothing is known of the person, which is not the same as gone (I1).
		c.Retry(ReasonIncomplete, "the directory does not know the person of this binding")
		r.trip(ReasonIncomplete)
	case !c.Person.Active:
		if c.Work = leaverWork(c.Binding, r.Now); c.Work == WorkNone {
			c.concludeStranger()
		}
	case r.nothingToGive(c):
		r.concludeUnmapped(c)
	default:
		c.Work = WorkPerson
		r.identify(c)
	}
}

// concludeStranger ends a leaver who has no account of ours. That somebody else's account has
// their login goes on being said: it is not touched (I2), and what it opens stays open.
func (c *Case) concludeStranger() {
	c.conclude(bindings.Gone, "", "no account of ours")
	if c.Binding.Reason == ReasonLoginExists {
		c.conclude(bindings.Gone, ReasonLoginExists,
			"the account that Matomo has under this login is not managed here and keeps what it has: take it away in Matomo")
	}
	c.Verified = true // no access that we gave
}

// nothingToGive reports whether an active person has no account of ours and
// gets none: no rule matches, whatever the sites are.
func (r *Round) nothingToGive(c *Case) bool {
	if c.Binding.Login != "" || r.CreateUnmapped {
		return false
	}
	d := r.blind.Decide(SubjectOf(c.Person), r.Now)
	return len(d.Reasons) == 0 && len(d.Unknown) == 0
}

// concludeUnmapped ends an active person who has no account and gets none.
func (r *Round) concludeUnmapped(c *Case) {
	state := bindings.Converged
	if r.Observe {
		state = bindings.Observed
	}
	c.conclude(state, "", "no rule gives this person anything, and there is no account")
	c.Next = c.nextDecision()
	c.Verified = true
	c.CameBack = true // no account, no old token
}

// identify finds the login and the e-mail address of a person; one that Matomo
// cannot hold is blocked without asking Matomo.
func (r *Round) identify(c *Case) {
	unbound := c.Binding.Login == ""
	if unbound {
		login, block := r.Identity.Login(c.Person)
		if c.Login = login; block != nil {
			c.block(*block)
			return
		}
		if r.Client.IsProtected(c.Login) {
			c.conclude(bindings.Conflict, GuardProtected, fmt.Sprintf("login %q is protected and is never touched", c.Login))
			r.trip(GuardProtected)
			return
		}
	}
	email, block := r.Identity.Email(c.Person)
	switch {
	case block == nil:
		c.Email = email
	case unbound:
		c.block(*block)
	default: // the account keeps the address it has
		c.Withheld = append(c.Withheld, *block)
	}
}

// SubjectOf turns a person into what rules look at.
func SubjectOf(person directory.Person) mapping.Subject {
	s := mapping.Subject{Attributes: person.Attributes}
	for _, u := range person.Users {
		s.Sources = append(s.Sources, u.Source)
	}
	for _, g := range person.Groups {
		s.Groups = append(s.Groups, mapping.GroupRef{Source: g.Source, Name: g.Name})
	}
	return s
}

// DecideAnyway decides a case for people to look at that was concluded, or whose
// account was not read: then only the rules that match can be told.
func (r *Round) DecideAnyway(c *Case) {
	if c.Want.Login != "" || !c.Person.Active {
		return
	}
	d := r.blind
	if r.decider != nil {
		d = r.decider
	}
	c.Decision = d.Decide(SubjectOf(c.Person), r.Now)
}
