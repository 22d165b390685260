package course

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Reasons that this package gives besides those of the plan. They are a closed
// set; those of guards label metrics too.
const (
	ReasonLoginExists    = "login_exists"       // Matomo has the login, and it is not ours
	ReasonLoginTaken     = "login_taken"        // another person here has it
	ReasonWaitsForDelete = "waits_for_deletion" // the account of somebody who left is deleted first
	ReasonIncomplete     = "incomplete_source"  // something was not read
	ReasonSettling       = "settling"           // a reduction waits for more changes
	ReasonRefused        = "refused"            // Matomo said no
	ReasonNotApplied     = "not_applied"        // Matomo said yes, and it is not so
	ReasonTokensLive     = "tokens_not_revoked" //nolint:gosec // a reason: access changed, and old tokens are alive
	ReasonNotRevoked     = "not_revoked"        // a leaver still has something
	ReasonNotDeleted     = "not_deleted"        // the account still exists
	ReasonPassword       = "needs_password"     // matomo.PasswordNeeded
	GuardProtected       = "protected"          // a login that is never touched
	GuardCap             = "superuser_cap"      // guards.max_superusers
	GuardFloor           = "min_superusers"     // guards.min_superusers
	GuardIncomplete      = ReasonIncomplete     // I1
)

// Prepare decides and plans one case on what was read.
func (r *Round) Prepare(c *Case) {
	account, known := r.Snapshot.Account(c.Login)
	if !known {
		// The read did not cover the login; nothing may be concluded from that (I1).
		c.Retry(ReasonIncomplete, fmt.Sprintf("Matomo's answer does not cover login %q", c.Login))
		r.trip(ReasonIncomplete)
		return
	}
	c.Account = &account
	if c.Work == WorkPerson {
		r.preparePerson(c)
		return
	}
	r.prepareLeaver(c)
}

// preparePerson decides what an active person gets and plans it.
func (r *Round) preparePerson(c *Case) {
	if !r.owns(c) {
		return
	}
	c.Decision = r.decider.Decide(SubjectOf(c.Person), r.Now)
	if !c.Account.Exists && c.Decision.Access.Empty() && !r.CreateUnmapped {
		r.concludeUnmapped(c)
		return
	}
	recorded := originsOf(c.Binding)
	c.Want = matomo.Want{
		Login:            c.Login,
		Email:            c.Email,
		Create:           true,
		Access:           c.Decision.Access,
		WithoutSuperuser: c.Decision.WithoutSuperuser,
		Keep:             c.Decision.Keep(recorded),
		HoldAdditions:    c.Decision.HoldAdditions,
		Granted:          grantedBy(recorded),
		ComeBack:         r.oldTokens(c),
		Adopted:          c.Binding.Adopted && len(recorded) == 0, // we have given nothing yet
		Drift:            c.Binding.Event == bindings.Drift || c.Binding.Event == bindings.NoEvent,
		EndTokens:        c.Binding.RevokeTokens.All,
		EndTokenIDs:      c.Binding.RevokeTokens.IDs,
	}
	r.replan(c)
}

// oldTokens reports whether tokens from before have to die before anything is
// granted: the person left meanwhile (I10), or an earlier pass changed access and
// could not end them.
func (r *Round) oldTokens(c *Case) bool {
	return c.Binding.LeftAt != nil || c.Binding.Tokens == bindings.TokensLive && r.policy.Tokens != matomo.NoStrategy
}

// replan plans the case anew after its want has changed.
func (r *Round) replan(c *Case) {
	c.Plan = matomo.PlanPerson(c.Want, *c.Account, r.policy)
	c.Settle = r.settleOf(c)
	if !c.Settle.IsZero() {
		c.Plan = c.Plan.Additions()
	}
}

// settleOf tells until when the plan's reductions wait. Only reductions that
// come from memberships do: rules, times and drift do not move people about.
func (r *Round) settleOf(c *Case) (until time.Time) {
	if c.Binding.UnsettledSince == nil || r.Observe || !c.Plan.Reduces() {
		return until
	}
	return settleUntil(*c.Binding.UnsettledSince, c.Binding.ChangedAt, r.Now, r.Settle)
}

// owns makes sure that the account is ours to change (I2). A login that
// exists without a binding of ours is a conflict. A login that we were about
// to add when the last pass broke off is ours when it carries the e-mail
// address we were adding it with, or what we were about to give: the person may
// have another address by now.
func (r *Round) owns(c *Case) bool {
	if !c.Account.Exists {
		return true
	}
	if c.Binding.Login == "" {
		c.conclude(bindings.Conflict, ReasonLoginExists, fmt.Sprintf(
			"Matomo already has an account %q that is not managed here: it stays as it is, also when the person leaves; deleted in Matomo, it is made anew", c.Account.Login))
		return false
	}
	if c.Binding.CreatedByUs || c.Binding.Adopted {
		return true
	}
	if sameEmail(c.Email, c.Account.Email) || c.hasIntended() {
		c.Created = true
		return true
	}
	c.Unbind = true
	c.conclude(bindings.Conflict, ReasonLoginExists, fmt.Sprintf(
		"account %q appeared in Matomo with another e-mail address while it was being added; it is not managed here", c.Account.Login))
	return false
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

// Intended is what the binding records before the plan is sent: what it had
// from us, and what it is about to get. Whatever becomes of the pass, nothing
// that we gave is ever taken for somebody else's.
func (c *Case) Intended() ([]byte, error) {
	origins := originsOf(c.Binding)
	return encodeOrigins(append(origins, c.Decision.Origins()...))
}

// hasIntended reports whether the account has access, and none but what the intent of a pass that broke
// off was about to give: Matomo may have got as far as a part of it.
func (c *Case) hasIntended() bool {
	intended := grantedBy(originsOf(c.Binding))
	for id, has := range c.Account.Access.Sites {
		gives := intended.Sites[id]
		more := func(name string) bool { return !slices.Contains(gives.Capabilities, name) }
		if has.Role != gives.Role || slices.ContainsFunc(has.Capabilities, more) {
			return false
		}
	}
	if c.Account.Access.Superuser {
		return intended.Superuser
	}
	return len(c.Account.Access.Sites) > 0
}

// encodeOrigins writes origins as originsOf reads them, each once.
func encodeOrigins(origins []mapping.GrantOrigin) ([]byte, error) {
	seen := make(map[string]bool, len(origins))
	kept := make([]json.RawMessage, 0, len(origins))
	for _, o := range origins {
		data, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("record grants: %w", err)
		}
		if !seen[string(data)] {
			seen[string(data)] = true
			kept = append(kept, data)
		}
	}
	return json.Marshal(kept)
}

// sameEmail compares two addresses as Matomo does; an empty one equals none.
func sameEmail(a, b string) bool { return a != "" && strings.EqualFold(a, b) }
