package reconcile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Reasons that this package gives besides those of the plan.
const (
	reasonLoginExists    = "login_exists"
	reasonLoginTaken     = "login_taken"
	reasonCap            = matomo.Reason("superuser_cap")
	reasonFloor          = matomo.Reason("superuser_floor")
	reasonHeldByDeny     = "unknown_site"
	reasonIncomplete     = "incomplete_source"
	reasonWaitsForDelete = "waits_for_deletion"
)

// prepare decides and plans one item on what was read.
func (p *pass) prepare(it *item) {
	account, known := p.snap.Account(it.login)
	if !known {
		// The read did not cover the login; nothing may be concluded from that (I1).
		it.retry(reasonIncomplete, fmt.Sprintf("Matomo's answer does not cover login %q", it.login))
		return
	}
	it.account = &account
	if it.work == workPerson {
		p.preparePerson(it)
		return
	}
	p.prepareLeaver(it)
}

// preparePerson decides what an active person gets and plans it.
func (p *pass) preparePerson(it *item) {
	if !p.owns(it) {
		return
	}
	it.decision = mapping.Decide(p.rules, subjectOf(it.person), p.t.Name, p.snap.Sites, p.now)
	origins := originsOf(it.b)
	if !it.account.Exists && it.decision.Access.Empty() && !p.opt.CreateUnmapped {
		p.concludeUnmapped(it)
		return
	}
	it.want = matomo.Want{
		Login:            it.login,
		Email:            it.email,
		Create:           true,
		Access:           it.decision.Access,
		WithoutSuperuser: it.decision.WithoutSuperuser,
		Keep:             it.decision.Keep(origins),
		HoldAdditions:    it.decision.HoldAdditions,
		Granted:          grantedBy(origins),
		ComeBack:         it.b.LeftAt != nil,
		Drift:            it.b.Event == bindings.Drift || it.b.Event == bindings.NoEvent,
	}
	p.replan(it)
}

// replan plans the item anew after its want has changed.
func (p *pass) replan(it *item) {
	it.plan = matomo.PlanPerson(it.want, *it.account, p.policy)
	it.settle = p.settleOf(it)
	if !it.settle.IsZero() {
		it.plan = it.plan.Additions()
	}
}

// settleOf tells until when the plan's reductions wait. Only reductions that
// come from memberships do: rules, times and drift do not move people about.
func (p *pass) settleOf(it *item) (until time.Time) {
	if it.b.UnsettledSince == nil || !it.plan.Reduces() {
		return until
	}
	return settleUntil(*it.b.UnsettledSince, it.b.ChangedAt, p.now, p.opt.Settle)
}

// owns makes sure that the account is ours to change (I2). A login that
// exists without a binding of ours is a conflict. A login that we were about
// to add when the last pass broke off is ours when it carries the e-mail
// address we were adding it with.
func (p *pass) owns(it *item) bool {
	if !it.account.Exists {
		return true
	}
	if it.b.Login == "" {
		it.conclude(bindings.Conflict, reasonLoginExists, fmt.Sprintf(
			"Matomo already has an account %q that is not managed here; it is taken over only by the adopt command", it.account.Login))
		return false
	}
	if it.b.CreatedByUs || it.b.Adopted {
		return true
	}
	if sameEmail(it.email, it.account.Email) && it.account.Invite != matomo.InviteExpired {
		it.out.created = true
		return true
	}
	it.out.unbind = true
	it.conclude(bindings.Conflict, reasonLoginExists, fmt.Sprintf(
		"account %q appeared in Matomo with another e-mail address while it was being added; it is not managed here", it.account.Login))
	return false
}

// subjectOf turns a person into what rules look at.
func subjectOf(person directory.Person) mapping.Subject {
	s := mapping.Subject{Attributes: person.Attributes}
	for _, g := range person.Groups {
		s.Groups = append(s.Groups, mapping.GroupRef{Source: g.Source, Name: g.Name})
	}
	return s
}

// originsOf reads what the binding recorded as granted, and by which rule.
func originsOf(b bindings.Binding) []mapping.GrantOrigin {
	var origins []mapping.GrantOrigin
	if len(b.Grants) == 0 {
		return nil
	}
	if err := json.Unmarshal(b.Grants, &origins); err != nil {
		return nil // written by us alone; an unreadable record grants and keeps nothing
	}
	return origins
}

// grantedBy is the access that recorded grants add up to.
func grantedBy(origins []mapping.GrantOrigin) access.Access {
	var out access.Access
	for _, o := range origins {
		if o.Superuser {
			out.Superuser = true
			continue
		}
		out = access.Merge(out, access.Access{Sites: map[access.SiteID]access.SiteAccess{
			o.Site: {Role: o.Role, Capabilities: o.Capabilities},
		}})
	}
	return out
}

// recordOrigins is what the binding records after a pass: the origins of this
// decision, and the earlier ones of rules that cannot be resolved just now, so
// that they keep what they gave until they can.
func recordOrigins(d mapping.Decision, earlier []mapping.GrantOrigin) []mapping.GrantOrigin {
	origins := d.Origins()
	for _, o := range earlier {
		unknown := slices.ContainsFunc(d.Unknown, func(u mapping.UnknownGrant) bool { return u.Rule.ID == o.Rule })
		if unknown && !slices.ContainsFunc(origins, func(n mapping.GrantOrigin) bool { return n.Rule == o.Rule && n.Site == o.Site }) {
			origins = append(origins, o)
		}
	}
	return origins
}

// sameEmail compares two addresses as Matomo does; an empty one equals none.
func sameEmail(a, b string) bool { return a != "" && strings.EqualFold(a, b) }
