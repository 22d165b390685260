package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// guard is the one choke point between plan and apply, whatever the door: what
// it withholds is taken out of the wanted state and planned anew, so that the
// rest of a plan goes on. Ownership and protection are checked before a plan
// exists (identify, owns); here are the limits that look at all plans at once.
func (p *pass) guard() {
	p.guardFloor()
	p.guardCap()
}

// guardCap lets superuser be given only while fewer than MaxSuperusers have it
// from us; those who have it keep it. The places are counted again when they
// are taken, in the transaction of the intent.
func (p *pass) guardCap() {
	free := p.opt.Guards.MaxSuperusers - p.grantedSuperusers
	for _, it := range p.items {
		if it.concluded || !it.plan.Has(matomo.Promote) {
			continue
		}
		if it.b.Superuser { // has a place already
			continue
		}
		if free > 0 {
			free--
			continue
		}
		p.withholdSuperuser(it)
	}
}

// withholdSuperuser gives the site access instead.
func (p *pass) withholdSuperuser(it *item) {
	it.withheld = append(it.withheld, matomo.Block{Reason: reasonCap, Detail: fmt.Sprintf(
		"superuser withheld: guards.max_superusers is %d and that many have it; the site access is given instead", p.opt.Guards.MaxSuperusers)})
	p.m.guardTrips.WithLabelValues(p.t.Name, "superuser_cap").Inc()
	it.want.Access = it.want.WithoutSuperuser
	p.replan(it)
}

// guardFloor keeps at least MinSuperusers besides the bridge's own login: who
// would be demoted below that stays superuser. An explicit leaver is never
// kept; the gauge and the log tell when the floor is broken by one.
func (p *pass) guardFloor() {
	if p.snap == nil {
		return
	}
	left := p.otherSuperusers()
	for _, it := range p.items {
		if !it.concluded && it.work != workPerson && it.plan.Has(matomo.Demote) {
			delete(left, access.FoldLogin(it.login))
		}
	}
	for _, it := range p.items {
		if it.concluded || it.work != workPerson || !it.plan.Has(matomo.Demote) {
			continue
		}
		if len(left) > p.opt.Guards.MinSuperusers {
			delete(left, access.FoldLogin(it.login))
			continue
		}
		it.withheld = append(it.withheld, matomo.Block{Reason: reasonFloor, Detail: fmt.Sprintf(
			"stays superuser: guards.min_superusers is %d and no more than that are left", p.opt.Guards.MinSuperusers)})
		p.m.guardTrips.WithLabelValues(p.t.Name, "min_superusers").Inc()
		it.want.Keep.Superuser = true
		p.replan(it)
	}
	if len(left) < p.opt.Guards.MinSuperusers && p.demotesLeaver() {
		p.m.guardTrips.WithLabelValues(p.t.Name, "min_superusers").Inc()
		p.log.Error("a leaver takes the number of superusers below guards.min_superusers; leavers are never kept",
			zap.String("target", p.t.Name), zap.Int("superusers_left", len(left)))
	}
}

// otherSuperusers are the folded logins of all superusers but the bridge's own.
func (p *pass) otherSuperusers() map[string]bool {
	left := map[string]bool{}
	for _, login := range p.snap.Superusers() {
		if !strings.EqualFold(login, p.t.Client.Login()) {
			left[access.FoldLogin(login)] = true
		}
	}
	return left
}

// demotesLeaver reports whether a leaver loses superuser in this pass.
func (p *pass) demotesLeaver() bool {
	return slices.ContainsFunc(p.items, func(it *item) bool {
		return !it.concluded && it.work != workPerson && it.plan.Has(matomo.Demote)
	})
}
