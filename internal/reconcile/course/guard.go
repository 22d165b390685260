package course

import (
	"fmt"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Guards are the limits between plan and apply.
type Guards struct {
	// MaxSuperusers bounds the superusers the bridge granted on a target.
	MaxSuperusers int
	// MinSuperusers is the number of superusers besides the bridge's login
	// below which nobody but an explicit leaver is demoted.
	MinSuperusers int
}

// Guard is the one choke point between plan and apply, whatever the door: what
// it withholds is taken out of the wanted state and planned anew, so that the
// rest of a plan goes on. Ownership and protection are checked before a plan
// exists (identify, owns); here are the limits that look at all plans at once.
//
// It returns how many superusers besides the bridge's are left when leavers take
// their number below the floor: they are never kept, and somebody has to know.
// broken is false otherwise.
func (r *Round) Guard(cases []*Case) (left int, broken bool) {
	if r.Snapshot == nil {
		return 0, false
	}
	left, broken = r.guardFloor(cases)
	r.guardCap(cases)
	return left, broken
}

// guardCap lets superuser be given only while fewer than MaxSuperusers have it
// from us; those who have it keep it. The places are counted again when they
// are taken, in the transaction of the intent.
func (r *Round) guardCap(cases []*Case) {
	free := r.Guards.MaxSuperusers - r.GrantedSuperusers
	for _, c := range cases {
		if c.Concluded || !c.Plan.Has(matomo.Promote) || c.Binding.Superuser {
			continue // has a place already, or wants none
		}
		if free > 0 {
			free--
			continue
		}
		r.WithholdSuperuser(c)
	}
}

// WithholdSuperuser gives the site access instead.
func (r *Round) WithholdSuperuser(c *Case) {
	c.Withheld = append(c.Withheld, matomo.Block{Reason: GuardCap, Detail: fmt.Sprintf(
		"superuser withheld: guards.max_superusers is %d and that many have it; the site access is given instead", r.Guards.MaxSuperusers)})
	r.trip(GuardCap)
	c.Want.Access = c.Want.WithoutSuperuser
	r.replan(c)
}

// guardFloor keeps at least MinSuperusers besides the bridge's own login: who
// would be demoted below that stays superuser. An explicit leaver is never kept.
func (r *Round) guardFloor(cases []*Case) (int, bool) {
	left, leaves := r.otherSuperusers(), false
	for _, c := range cases {
		if !c.Concluded && c.Work.OfLeaver() && c.losesSuperuser() {
			delete(left, access.FoldLogin(c.Login))
			leaves = true
		}
	}
	for _, c := range cases {
		if c.Concluded || c.Work != WorkPerson || !c.Plan.Has(matomo.Demote) {
			continue
		}
		if len(left) > r.Guards.MinSuperusers {
			delete(left, access.FoldLogin(c.Login))
			continue
		}
		r.keepSuperuser(c)
	}
	broken := leaves && len(left) < r.Guards.MinSuperusers
	if broken {
		r.trip(GuardFloor)
	}
	return len(left), broken
}

// keepSuperuser leaves superuser with somebody whom no rule gives it.
func (r *Round) keepSuperuser(c *Case) {
	c.Withheld = append(c.Withheld, matomo.Block{Reason: GuardFloor, Detail: fmt.Sprintf(
		"stays superuser: guards.min_superusers is %d and no more than that are left", r.Guards.MinSuperusers)})
	r.trip(GuardFloor)
	c.Want.Keep.Superuser = true
	r.replan(c)
}

// losesSuperuser reports whether the plan takes superuser away, with or without
// the account.
func (c *Case) losesSuperuser() bool {
	return c.Account != nil && c.Account.Access.Superuser && (c.Plan.Has(matomo.Demote) || c.Plan.Has(matomo.DeleteUser))
}

// otherSuperusers are the folded logins of all superusers but the bridge's own.
func (r *Round) otherSuperusers() map[string]bool {
	own := access.FoldLogin(r.Client.Login())
	left := map[string]bool{}
	for _, login := range r.Snapshot.Superusers() {
		if key := access.FoldLogin(login); key != own {
			left[key] = true
		}
	}
	return left
}
