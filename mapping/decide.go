package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/mapping/grant"
	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/matomo/access"
)

// How a decision comes about:
//
//	groups, attributes -> gives     what each of them gives on this target (gives.go)
//	gives, extras      -> take      over? sites unknown? Otherwise it counts
//	what counts        -> count     per site: highest role, all capabilities, denied?
//	cells              -> accesses  Access, WithoutSuperuser, Denied
//	                   -> reasons   one for each site of each grant, Effective or not
//
// Nothing is given before everything has been gathered, because a noaccess in the
// last rule beats an admin in the first.

// Decide returns what the rules give to one person on one target. Sites are all
// sites of that target; nil means that they could not be read. The result
// depends on nothing else, and on the order of nothing in the arguments. Whoever
// decides for many people with the same sites uses For.
func Decide(r *Rules, s Subject, target string, sites []access.Site, now time.Time) Decision {
	d := Decider{rules: r, target: target, sites: grant.NewSites(sites)}
	return d.Decide(s, now)
}

// Decide is the function Decide for this target and these sites.
func (d *Decider) Decide(s Subject, now time.Time) Decision {
	// The buffers are no fields of the pass: there they would move to the heap.
	var awardBuf [manyAwards]award
	var cellBuf [manySites]cell
	cells := cellBuf[:]
	if n := d.sites.Len(); n <= len(cells) {
		cells = cells[:n]
	} else {
		cells = make([]cell, n)
	}
	p := pass{Decider: d, now: now}
	all := append(d.gather(awardBuf[:0], s), d.extras(s.Extra)...)
	counted := all[:0] // never more than was looked at
	for _, a := range all {
		if p.take(a) {
			counted = append(counted, a)
		}
	}
	for _, a := range counted {
		p.count(cells, a.give)
	}
	p.accesses(cells)
	p.reasons(cells, counted)
	return p.dec
}

// What fits into these is decided without a buffer from the heap.
const (
	manyAwards = 24
	manySites  = 64
)

// award is a grant for this person, and the group that brought it: nil for a rule
// over attributes and for an extra grant.
type award struct {
	give  *give
	group *GroupRef
}

// of is the group, zero for none.
func (a award) of() GroupRef {
	if a.group == nil {
		return GroupRef{}
	}
	return *a.group
}

// cell is what was gathered for one site: small, for there is one for each site
// in each decision.
type cell struct {
	role   int8 // a rank; 0: nothing was granted
	denied bool
	caps   int32 // a place in pass.caps; 0: none
}

// roleOf turns a cell's role back.
var roleOf = [...]access.Role{1: access.View, 2: access.Write, 3: access.Admin}

// pass is one decision in the making.
type pass struct {
	*Decider
	now  time.Time
	dec  Decision
	caps [][]string // lists of capabilities; the first is empty

	results   int // how many reasons there will be
	superuser bool
	denied    bool
	denial    award // the first noaccess whose sites are known
}

// gather appends what the person's groups and attributes give, in an order that
// does not depend on the order of the groups.
func (d *Decider) gather(out []award, s Subject) []award {
	for i := range s.Groups {
		g := &s.Groups[i]
		if slices.Contains(s.Groups[:i], *g) {
			continue
		}
		gives := d.ofGroup(*g)
		for j := range gives {
			out = append(out, award{&gives[j], g})
		}
	}
	for i, rule := range d.rules.users {
		truth := d.rules.rules[rule].matchUser(s)
		if truth == match.False {
			continue
		}
		gives := d.ofUser(i)
		for j := range gives {
			if truth == match.True || gives[j].Deny() {
				out = append(out, award{&gives[j], nil})
			}
		}
	}
	slices.SortStableFunc(out, compareAwards)
	return out
}

// compareAwards orders by rule, and what several groups get from one rule by the
// groups' names. Several grants of one rule and group are equal.
func compareAwards(a, b award) int {
	if n := cmp.Compare(a.give.rule, b.give.rule); n != 0 || a.group == b.group {
		return n
	}
	return cmp.Or(strings.Compare(a.group.Source, b.group.Source), strings.Compare(a.group.Name, b.group.Name))
}

// matchUser evaluates a rule over attributes.
func (r *rule) matchUser(s Subject) match.Truth {
	t := r.filter.Eval(s.Attributes)
	switch {
	case r.Ref.Source == "":
		return t
	case len(s.Sources) == 0:
		return min(t, match.Undefined)
	case !slices.Contains(s.Sources, r.Ref.Source):
		return match.False
	}
	return t
}

// extras are the grants that come from no rule, in an order of their own.
func (d *Decider) extras(grants []Grant) []award {
	if len(grants) == 0 {
		return nil
	}
	byText := make(map[string]*Grant, len(grants))
	for i := range grants {
		if g := &grants[i]; g.For(d.target) && !g.Open() {
			byText[g.String()] = g
		}
	}
	out := make([]award, 0, len(byText))
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		ref := RuleRef{Kind: KindExtra, Key: text, ID: hashOf(KindExtra, "", "", text)}
		g := &give{boundGrant: &boundGrant{Grant: *byText[text], ref: ref, text: text}}
		g.find(d.sites)
		out = append(out, award{g, nil})
	}
	return out
}

// problem notes a problem with a grant.
func (p *pass) problem(kind ProblemKind, a award, detail string) {
	p.dec.Problems = append(p.dec.Problems, Problem{
		Kind: kind, Rule: a.give.ref, Group: a.of(), Grant: a.give.text, Target: p.target, Detail: detail,
	})
}

// current reports whether a grant holds now, and notes when that changes.
func (p *pass) current(a award) bool {
	until := a.give.Until
	if until.IsZero() {
		return true
	}
	if a.give.Over(p.now) {
		p.problem(Over, a, "over since "+until.UTC().Format(time.RFC3339))
		return false
	}
	if p.dec.ValidUntil.IsZero() || until.Before(p.dec.ValidUntil) {
		p.dec.ValidUntil = until
	}
	return true
}

// take looks at one grant and reports whether it counts.
func (p *pass) take(a award) bool {
	g := a.give
	switch {
	case !p.current(a):
		return false
	case g.unfit != nil:
		p.problem(CaptureUnfit, a, fmt.Sprintf("for the group %q %s: nothing is granted", a.of().Name, g.unfit))
		return false
	case g.miss != nil:
		p.unknown(a)
		return false
	case g.Superuser:
		if source := a.of().Source; g.ref.Kind != KindExtra && !p.rules.opt.mayConferSuperuser(source) {
			p.problem(SuperuserSource, a, fmt.Sprintf("groups of source %q may not confer superuser (guards.superuser_sources)", source))
			return false
		}
		p.superuser = true
		p.results++
	case g.Deny() && !p.denied:
		p.denied, p.denial = true, a
	}
	p.results += g.found.Len()
	return true
}

// unknown notes a grant whose sites could not be found.
func (p *pass) unknown(a award) {
	g := a.give
	p.problem(ProblemKind(g.miss.Kind), a, g.miss.Detail)
	p.dec.Unknown = append(p.dec.Unknown, UnknownGrant{
		Rule: g.ref, Group: a.of(), Grant: g.text, Kind: ProblemKind(g.miss.Kind),
		Role: g.Role, Capabilities: g.Capabilities, Deny: g.Deny(),
	})
	p.dec.HoldAdditions = p.dec.HoldAdditions || g.Deny()
}

// count adds a grant to the cells of its sites; superuser has none.
func (p *pass) count(cells []cell, g *give) {
	deny, rank := g.Deny(), int8(g.Role.Rank()) //nolint:gosec // a rank is at most 3
	for i := range g.found.Len() {
		c := &cells[g.found.At(i)]
		if deny {
			c.denied = true
			continue
		}
		c.role = max(c.role, rank)
		if len(g.Capabilities) > 0 {
			p.addCapabilities(c, g.Capabilities)
		}
	}
}

// addCapabilities adds to those of a cell.
func (p *pass) addCapabilities(c *cell, caps []string) {
	if c.caps > 0 {
		p.caps[c.caps] = access.Capabilities(slices.Concat(p.caps[c.caps], caps)...)
		return
	}
	if p.caps == nil {
		p.caps = make([][]string, 1, 4)
	}
	c.caps = int32(len(p.caps)) //nolint:gosec // there is one list a site at most
	p.caps = append(p.caps, caps)
}

// accesses turns the cells into what the person gets.
func (p *pass) accesses(cells []cell) {
	d, granted := &p.dec, 0
	for i := range cells {
		switch c := &cells[i]; {
		case c.denied:
			d.Denied = append(d.Denied, p.sites.ID(i))
		case c.role > 0:
			granted++
		}
	}
	// Two maps, because what a decision returns is the caller's to change.
	d.WithoutSuperuser.Sites = make(map[access.SiteID]access.SiteAccess, granted)
	asSuperuser := p.superuser && !p.denied
	if asSuperuser {
		d.Access.Superuser = true
	} else {
		d.Access.Sites = make(map[access.SiteID]access.SiteAccess, granted)
	}
	for i := range cells {
		c := &cells[i]
		if c.denied || c.role == 0 {
			continue
		}
		s := access.SiteAccess{Role: roleOf[c.role]}
		if c.caps > 0 {
			s.Capabilities = p.caps[c.caps]
		}
		d.WithoutSuperuser.Sites[p.sites.ID(i)] = s
		if !asSuperuser {
			d.Access.Sites[p.sites.ID(i)] = s
		}
	}
	if p.superuser && !asSuperuser {
		d.SuperuserDenied = true
		p.problem(Contradiction, p.denial,
			"the person would be superuser, whom Matomo cannot deny a site: superuser is withheld and the site access given instead")
	}
}

// reasons lists what counted.
func (p *pass) reasons(cells []cell, counted []award) {
	if p.results == 0 {
		return
	}
	p.dec.Reasons = make([]Reason, 0, p.results)
	for _, a := range counted {
		g := a.give
		r := Reason{Rule: &g.ref, Group: a.of(), User: g.ref.Kind == KindUser, Grant: g.text, Role: g.Role, Capabilities: g.Capabilities}
		if g.Superuser {
			r.Effective = !p.dec.SuperuserDenied
			p.dec.Reasons = append(p.dec.Reasons, r)
		}
		for i := range g.found.Len() {
			place := g.found.At(i)
			r.Site, r.Effective = p.sites.ID(place), cells[place].shows(g)
			p.dec.Reasons = append(p.dec.Reasons, r)
		}
	}
}

// shows reports whether the grant is seen in the cell when everything has been
// counted: it denies, or it is not denied and has the highest role or a
// capability.
func (c *cell) shows(g *give) bool {
	if g.Deny() {
		return true
	}
	return !c.denied && (roleOf[c.role] == g.Role || len(g.Capabilities) > 0)
}
