package plan

import (
	"slices"

	"github.com/matomo-scim/bridge/matomo/access"
)

// known returns a without sites and capabilities the instance does not have,
// without empty entries, and without capabilities that the role implies (Matomo
// stores no row for those, so they would differ for ever). Sites is not nil.
func (b *planner) known(a access.Access) access.Access {
	out := access.Access{Superuser: a.Superuser, Sites: make(map[access.SiteID]access.SiteAccess, len(a.Sites))}
	for id, s := range a.Sites {
		if s.Role.Rank() <= 0 || !contains(b.pol.Sites, id) {
			continue
		}
		var caps []string
		for _, name := range s.Capabilities {
			for _, c := range b.pol.Capabilities {
				if c.ID == name && !c.includedIn(s.Role) {
					caps = append(caps, name)
				}
			}
		}
		out.Sites[id] = access.SiteAccess{Role: s.Role, Capabilities: access.Capabilities(caps...)}
	}
	return out
}

// has returns what the account has in the form of known. It is computed once,
// and again after the plan changed it.
func (b *planner) has() access.Access {
	if b.hasKnown.Sites == nil {
		b.hasKnown = b.known(b.have.Access)
	}
	return b.hasKnown
}

// contains looks id up in an ascending list.
func contains(sorted []access.SiteID, id access.SiteID) bool {
	_, ok := slices.BinarySearch(sorted, id)
	return ok
}

// full returns the capabilities of s and those its role implies.
func (b *planner) full(s access.SiteAccess) []string {
	caps := slices.Clone(s.Capabilities)
	for _, c := range b.pol.Capabilities {
		if c.includedIn(s.Role) {
			caps = append(caps, c.ID)
		}
	}
	return caps
}

// lower returns, per site, what x and y both allow.
func (b *planner) lower(x, y access.Access) access.Access {
	out := access.Access{Sites: make(map[access.SiteID]access.SiteAccess, len(x.Sites))}
	for id, s := range x.Sites {
		o, ok := y.Sites[id]
		if !ok {
			continue
		}
		caps := access.Capabilities(intersect(b.full(s), b.full(o))...)
		if o.Role.Rank() < s.Role.Rank() {
			s.Role = o.Role
		}
		s.Capabilities = caps
		out.Sites[id] = s
	}
	return b.known(out)
}

// raise adds every site of floor to sites, so that nothing of floor is missing
// from it.
func raise(sites, floor map[access.SiteID]access.SiteAccess) {
	for id, s := range floor {
		if have, ok := sites[id]; ok {
			s = access.MergeSite(have, s)
		}
		sites[id] = s
	}
}

// notOurs returns the part of the account's access that the recorded grants do
// not explain: what somebody else gave, and additive managing leaves. A role
// above the one we recorded was raised by somebody else; one at or below it is
// ours.
func (b *planner) notOurs() access.Access {
	out := access.Access{Sites: make(map[access.SiteID]access.SiteAccess)}
	for id, h := range b.has().Sites {
		g, ok := b.want.Granted.Sites[id]
		if !ok {
			out.Sites[id] = h
			continue
		}
		rest := access.SiteAccess{Capabilities: access.Capabilities(subtract(h.Capabilities, b.full(g))...)}
		switch {
		case h.Role.Rank() > g.Role.Rank():
			rest.Role = h.Role
		case len(rest.Capabilities) > 0:
			rest.Role = access.View // a capability cannot stand without a role
		default:
			continue
		}
		out.Sites[id] = rest
	}
	return out
}

// mayRemove reports whether a row nobody asked for may go: always, or with
// additive managing when we granted the site.
func (b *planner) mayRemove(id access.SiteID) bool {
	_, ours := b.want.Granted.Sites[id]
	return ours || b.pol.Manage != Additive
}

// reduces reports whether going from h to w takes anything away. A capability
// that the new role implies is not lost.
func (b *planner) reduces(h, w access.SiteAccess) bool {
	return w.Role.Rank() < h.Role.Rank() || len(subtract(h.Capabilities, b.full(w))) > 0
}

// without returns the IDs that a has no access to, ascending.
func without(ids []access.SiteID, a access.Access) []access.SiteID {
	var out []access.SiteID
	for _, id := range ids {
		if a.Sites[id].Role.Rank() <= 0 {
			out = append(out, id)
		}
	}
	return out
}

// intersect returns what a and b share, in a's order.
func intersect(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

// subtract returns what a has and b has not, in a's order.
func subtract(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// Protects reports whether login is never touched.
func (pol Policy) Protects(login string) bool {
	key := access.FoldLogin(login)
	return key == "anonymous" || slices.ContainsFunc(pol.Protected, func(p string) bool { return access.FoldLogin(p) == key })
}
