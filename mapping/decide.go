package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
)

// How a decision comes about:
//
//	groups, attributes -> matches   which rules apply (index, templates, filters)
//	matches, extras    -> apply     each grant: for this target? over? captures fit?
//	                   -> resolve   which sites; none found: Unknown, and that is all
//	resolved grants    -> put       per site: highest role, all capabilities, denied?
//	cells              -> finish    Access, WithoutSuperuser, Denied, Effective
//
// Nothing is given before everything has been gathered, because a noaccess in the
// last rule beats an admin in the first.

// Decide returns what the rules give to one person on one target. Sites are all
// sites of that target; nil means that they could not be read. The result
// depends on nothing else, and on the order of nothing in the arguments. Whoever
// decides for many people with the same sites uses For.
func Decide(r *Rules, s Subject, target string, sites []access.Site, now time.Time) Decision {
	d := Decider{rules: r, target: target, index: newSiteIndex(sites)}
	return d.Decide(s, now)
}

// Decider decides for one target with one list of sites. It is safe for use by
// several goroutines; the list must not be changed while it is in use.
type Decider struct {
	rules  *Rules
	target string
	index  *siteIndex
}

// For prepares decisions about a target; nil sites are unread.
func (r *Rules) For(target string, sites []access.Site) *Decider {
	index := newSiteIndex(sites)
	index.shared = true
	return &Decider{rules: r, target: target, index: index}
}

// Decide is the function Decide for this target and these sites.
func (d *Decider) Decide(s Subject, now time.Time) Decision {
	p := &pass{Decider: d, now: now, cells: make([]cell, len(d.index.sites))}
	matches := p.matches(s)
	p.grants = make([]resolved, 0, len(matches)+2)
	for _, m := range matches {
		p.apply(m)
	}
	p.extras(s.Extra)
	return p.finish()
}

// match is a rule that applies to the person.
type match struct {
	rule      int
	group     GroupRef
	captures  captures
	undefined bool // a user filter that is undefined: only its noaccess counts
}

// matches returns the rules that apply, in an order that does not depend on the
// order of the groups.
func (p *pass) matches(s Subject) []match {
	out := make([]match, 0, 8)
	for i, g := range s.Groups {
		if slices.Contains(s.Groups[:i], g) {
			continue
		}
		p.rules.eachMatch(g, false, func(rule int, c captures) {
			out = append(out, match{rule: rule, group: g, captures: c})
		})
	}
	for _, i := range p.rules.users {
		if t := p.rules.rules[i].matchUser(s); t != isFalse {
			out = append(out, match{rule: i, undefined: t == isUndefined})
		}
	}
	slices.SortFunc(out, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), strings.Compare(a.group.Source, b.group.Source), strings.Compare(a.group.Name, b.group.Name))
	})
	return out
}

// matchUser evaluates a rule over attributes.
func (r *rule) matchUser(s Subject) truth {
	t := r.match.filter.eval(s.Attributes)
	switch {
	case r.Ref.Source == "":
		return t
	case len(s.Sources) == 0:
		return min(t, isUndefined)
	case !slices.Contains(s.Sources, r.Ref.Source):
		return isFalse
	}
	return t
}

// eachMatch calls yield for every group rule that the name matches.
func (r *Rules) eachMatch(g GroupRef, anySource bool, yield func(rule int, c captures)) {
	var buf [256]byte
	offer := func(i int, c captures) {
		if source := r.rules[i].Ref.Source; source == "" || source == g.Source || anySource {
			yield(i, c)
		}
	}
	for _, i := range r.exact[string(appendFold(buf[:0], g.Name))] {
		offer(i, nil)
	}
	for _, i := range r.templates {
		if c, ok := r.rules[i].match.tmpl.match(g.Name, nil); ok {
			offer(i, c)
		}
	}
	if len(r.dns)+len(r.dnForms) == 0 || strings.IndexByte(g.Name, '=') < 0 {
		return
	}
	if key, ok := appendDNKey(buf[:0], g.Name); ok {
		for _, i := range r.dns[string(key)] {
			offer(i, nil)
		}
	}
	if len(r.dnForms) == 0 {
		return
	}
	rdns, ok := parseDN(g.Name)
	for _, i := range r.dnForms {
		if !ok {
			return
		}
		if c, ok := r.rules[i].match.dn.match(rdns); ok {
			offer(i, c)
		}
	}
}

// cell is what was gathered for one site. The role is a rank, -1 for none.
type cell struct {
	role   int8
	denied bool
	caps   []string
}

// roleOf turns a cell's role back; 0 means that nothing was granted.
var roleOf = [...]access.Role{1: access.View, 2: access.Write, 3: access.Admin}

// pass is one decision in the making.
type pass struct {
	*Decider
	now   time.Time
	dec   Decision
	cells []cell // by index of the site

	// The grants that count, and how many reasons they will make.
	grants  []resolved
	reasons int

	superuser bool
	denied    bool   // a noaccess matched and its sites are known
	denial    origin // the first one
}

// resolved is a grant whose sites were found.
type resolved struct {
	*Grant
	origin
	sites resolution
}

// apply adds the grants of one matching rule.
func (p *pass) apply(m match) {
	r := &p.rules.rules[m.rule]
	for i := range r.grants {
		g := &r.grants[i]
		if !g.For(p.target) || m.undefined && !g.Deny() {
			continue
		}
		src := origin{ref: &g.ref, group: m.group, user: r.Ref.Kind == KindUser, text: g.text}
		if len(g.vars()) == 0 {
			p.grant(&g.Grant, src)
			continue
		}
		filled, why := g.fill(m.captures)
		if why != "" {
			if p.current(&g.Grant, src) {
				p.problem(CaptureUnfit, src, fmt.Sprintf("for the group %q %s: nothing is granted", m.group.Name, why))
			}
			continue
		}
		ref := g.ref
		src.text = filled.String()
		ref.ID = hashOf(g.ref.ID, fold(src.text))
		src.ref = &ref
		p.grant(&filled, src)
	}
}

// extras adds grants that come from no rule.
func (p *pass) extras(grants []Grant) {
	if len(grants) == 0 {
		return
	}
	byText := make(map[string]*Grant, len(grants))
	for i := range grants {
		if g := &grants[i]; g.For(p.target) && len(g.vars()) == 0 {
			byText[g.String()] = g
		}
	}
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		ref := &RuleRef{Kind: KindExtra, Key: text, ID: hashOf(KindExtra, "", "", text)}
		p.grant(byText[text], origin{ref: ref, text: text})
	}
}

// origin is where a grant comes from.
type origin struct {
	ref   *RuleRef
	group GroupRef
	user  bool
	text  string
}

// problem notes a problem with a grant.
func (p *pass) problem(kind ProblemKind, src origin, detail string) {
	p.dec.Problems = append(p.dec.Problems, Problem{Kind: kind, Rule: *src.ref, Group: src.group, Grant: src.text, Target: p.target, Detail: detail})
}

// current reports whether a grant holds now, and notes when that changes.
func (p *pass) current(g *Grant, src origin) bool {
	if g.Until.IsZero() {
		return true
	}
	if g.Over(p.now) {
		p.problem(Over, src, "over since "+g.Until.UTC().Format(time.RFC3339))
		return false
	}
	if p.dec.ValidUntil.IsZero() || g.Until.Before(p.dec.ValidUntil) {
		p.dec.ValidUntil = g.Until
	}
	return true
}

// grant adds one grant without variables.
func (p *pass) grant(g *Grant, src origin) {
	if !p.current(g, src) {
		return
	}
	if g.Superuser {
		if src.ref.Kind != KindExtra && !p.rules.opt.mayConferSuperuser(src.group.Source) {
			p.problem(SuperuserSource, src, fmt.Sprintf("groups of source %q may not confer superuser (guards.superuser_sources)", src.group.Source))
			return
		}
		p.superuser = true
		p.grants = append(p.grants, resolved{g, src, resolution{}})
		p.reasons++
		return
	}
	res := p.index.resolve(g.Site)
	if res.why != "" {
		p.unknown(g, src, res)
		return
	}
	if g.Deny() && !p.denied {
		p.denied, p.denial = true, src
	}
	p.grants = append(p.grants, resolved{g, src, res})
	p.reasons += len(res.index)
	if res.all {
		p.reasons += len(p.cells)
	}
}

// unknown notes a grant whose sites could not be found.
func (p *pass) unknown(g *Grant, src origin, res resolution) {
	p.problem(res.kind, src, res.why)
	p.dec.Unknown = append(p.dec.Unknown, UnknownGrant{
		Rule: *src.ref, Group: src.group, Grant: src.text, Kind: res.kind,
		Role: g.Role, Capabilities: g.Capabilities, Deny: g.Deny(),
	})
	p.dec.HoldAdditions = p.dec.HoldAdditions || g.Deny()
}

// put adds a grant to the cells of its sites and gives its reasons.
func (p *pass) put(g resolved) {
	reason := Reason{Rule: *g.ref, Group: g.group, User: g.user, Grant: g.text, Role: g.Role, Capabilities: g.Capabilities}
	if g.Superuser {
		p.dec.Reasons = append(p.dec.Reasons, reason)
		return
	}
	if g.sites.all {
		for i := range p.cells {
			p.putSite(i, g.Grant, &reason)
		}
		return
	}
	for _, i := range g.sites.index {
		p.putSite(i, g.Grant, &reason)
	}
}

// putSite is put for one site.
func (p *pass) putSite(i int, g *Grant, reason *Reason) {
	c := &p.cells[i]
	if g.Deny() {
		c.denied = true
	} else {
		c.role = max(c.role, int8(g.Role.Rank())) //nolint:gosec // a rank is at most 3
		switch {
		case len(g.Capabilities) == 0:
		case len(c.caps) == 0:
			c.caps = g.Capabilities
		default:
			c.caps = access.Capabilities(slices.Concat(c.caps, g.Capabilities)...)
		}
	}
	reason.Site = p.index.sites[i].ID
	p.dec.Reasons = append(p.dec.Reasons, *reason)
}

// finish turns what was gathered into the decision.
func (p *pass) finish() Decision {
	d := &p.dec
	if p.reasons > 0 {
		d.Reasons = make([]Reason, 0, p.reasons)
	}
	for _, g := range p.grants {
		p.put(g)
	}
	granted := 0
	for i := range p.cells {
		switch c := &p.cells[i]; {
		case c.denied:
			d.Denied = append(d.Denied, p.index.sites[i].ID)
		case c.role > 0:
			granted++
		}
	}
	sites := make(map[access.SiteID]access.SiteAccess, granted)
	for i := range p.cells {
		if c := &p.cells[i]; !c.denied && c.role > 0 {
			sites[p.index.sites[i].ID] = access.SiteAccess{Role: roleOf[c.role], Capabilities: c.caps}
		}
	}
	d.WithoutSuperuser = access.Access{Sites: sites}
	switch {
	case p.superuser && p.denied:
		d.SuperuserDenied = true
		p.problem(Contradiction, p.denial,
			"the person would be superuser, whom Matomo cannot deny a site: superuser is withheld and the site access given instead")
		d.Access = access.Access{Sites: maps.Clone(sites)}
	case p.superuser:
		d.Access = access.Access{Superuser: true}
	default:
		d.Access = access.Access{Sites: maps.Clone(sites)}
	}
	for i := range d.Reasons {
		r := &d.Reasons[i]
		r.Effective = p.effective(r)
	}
	return *d
}

// effective says whether a reason counts in the result.
func (p *pass) effective(r *Reason) bool {
	if r.Site == 0 {
		return !p.dec.SuperuserDenied
	}
	if r.Role == access.NoAccess {
		return true
	}
	s, ok := p.dec.WithoutSuperuser.Sites[r.Site]
	return ok && (s.Role == r.Role || len(r.Capabilities) > 0)
}
