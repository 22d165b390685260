package mapping

import (
	"sync"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/matomo/access"
)

// Decider decides for one target with one list of sites. It is safe for use by
// several goroutines; the list must not be changed while it is in use.
//
// What a group gives is the same for everybody in it, so a Decider works that out
// once a group: which rules its name matches, what their templates capture, and
// which sites that means. It keeps this as long as it lives, which is meant to be
// one pass over people, not the life of the program.
type Decider struct {
	rules  *Rules
	target string
	sites  *grant.Sites
	users  [][]give // what rules over attributes give, as in Rules.users; nil: made when asked for

	mu     sync.RWMutex
	groups map[GroupRef][]give // nil: nothing is kept, for a single decision
}

// For prepares decisions about a target; nil sites are unread. The result gives
// the same decisions as Decide does.
func (r *Rules) For(target string, sites []access.Site) *Decider {
	d := &Decider{rules: r, target: target, sites: grant.NewSites(sites).Share(), groups: map[GroupRef][]give{}}
	d.users = make([][]give, len(r.users))
	for i, rule := range r.users {
		d.users[i] = d.gives(nil, rule, nil)
	}
	return d
}

// give is one grant of one rule as it stands on one target: captures filled in
// and sites looked up. It depends neither on the person nor on the time, and is
// not changed once it is made.
type give struct {
	*boundGrant
	rule  int // its place among the rules
	found grant.Found
	miss  *grant.Miss // why its sites are not known
	unfit error       // why the captures do not fit; then it gives nothing
}

// ofGroup returns what the rules give to a group.
func (d *Decider) ofGroup(g GroupRef) []give {
	if d.groups == nil {
		return d.matchGroup(g)
	}
	d.mu.RLock()
	out, ok := d.groups[g]
	d.mu.RUnlock()
	if ok {
		return out
	}
	out = d.matchGroup(g) // perhaps by two goroutines at once, who come to the same
	d.mu.Lock()
	d.groups[g] = out
	d.mu.Unlock()
	return out
}

// ofUser returns what the rule over attributes with this number in Rules.users
// gives to those whom it matches.
func (d *Decider) ofUser(i int) []give {
	if d.users == nil {
		return d.gives(nil, d.rules.users[i], nil)
	}
	return d.users[i]
}

// matchGroup asks the rules about a group.
func (d *Decider) matchGroup(g GroupRef) []give {
	var out []give
	d.rules.index.Each(g.Name, func(rule int, c match.Captures) {
		if d.rules.rules[rule].of(g.Source) {
			out = d.gives(out, rule, c)
		}
	})
	return out
}

// gives appends the grants of a rule that are for this target.
func (d *Decider) gives(out []give, rule int, c match.Captures) []give {
	grants := d.rules.rules[rule].grants
	for i := range grants {
		if !grants[i].For(d.target) {
			continue
		}
		out = append(out, give{boundGrant: &grants[i], rule: rule})
		g := &out[len(out)-1]
		g.fill(c)
		g.find(d.sites)
	}
	return out
}

// fill puts captures into a grant that waits for some. The copy has an ID of its
// own, so that two groups which one template matches are not taken for one.
func (g *give) fill(c match.Captures) {
	if !g.Open() {
		return
	}
	filled, err := g.Fill(c)
	if err != nil {
		g.unfit = err
		return
	}
	bound := &boundGrant{Grant: filled, ref: g.ref, text: filled.String()}
	bound.ref.ID = hashOf(g.ref.ID, match.Fold(bound.text))
	g.boundGrant = bound
}

// find looks the sites up, if there are any to look for.
func (g *give) find(sites *grant.Sites) {
	if g.unfit == nil && !g.Superuser {
		g.found, g.miss = sites.Find(g.Site)
	}
}
