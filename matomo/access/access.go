// Package access holds Matomo's words for who may see what: roles, sites and
// the access of one person on one Matomo instance.
//
// It is the vocabulary that the rule language (mapping) and the Matomo client
// (matomo) share, so it knows neither of them: values only, no I/O, no state.
// A person's Access is either superuser, or one role (and perhaps capabilities)
// per site; a site that is not in the map is a site without access.
package access

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// SiteID is Matomo's idSite: a positive number that is never reused.
type SiteID int

// Site is one website as SitesManager.getAllSites reports it. Group is Matomo's
// free-text site group and often empty.
type Site struct {
	ID    SiteID
	Name  string
	Group string
}

// Role is what somebody may do on one site.
type Role string

// The roles of Matomo, from least to most.
const (
	NoAccess Role = "noaccess" // only ever a wish to take access away; Matomo stores no row for it
	View     Role = "view"     // see reports
	Write    Role = "write"    // and change goals, segments and the like
	Admin    Role = "admin"    // and give others access to the site
)

// Rank orders roles: noaccess 0, view 1, write 2, admin 3, anything else -1.
func (r Role) Rank() int {
	switch r {
	case NoAccess:
		return 0
	case View:
		return 1
	case Write:
		return 2
	case Admin:
		return 3
	default:
		return -1
	}
}

// ParseRole returns the role with exactly this name; false if there is none.
func ParseRole(s string) (Role, bool) {
	r := Role(s)
	return r, r.Rank() >= 0
}

// Higher returns the role that allows more; a when both are equal.
func Higher(a, b Role) Role {
	if b.Rank() > a.Rank() {
		return b
	}
	return a
}

// SiteAccess is the access of one person on one site. Capabilities are Matomo's
// extra rights (UsersManager.getAvailableCapabilities), sorted and unique as
// Capabilities returns them.
type SiteAccess struct {
	Role         Role     `json:"role"`
	Capabilities []string `json:"capabilities,omitempty"`
}

// Equal reports whether both allow the same.
func (s SiteAccess) Equal(o SiteAccess) bool {
	return s.Role == o.Role && slices.Equal(s.Capabilities, o.Capabilities)
}

// String is the notation of the rule language: "view+tagmanager_write".
func (s SiteAccess) String() string {
	return strings.Join(append([]string{string(s.Role)}, s.Capabilities...), "+")
}

// Capabilities brings a list of capability names into the form that this
// package expects: sorted, unique, nil when empty. The list given is not changed.
func Capabilities(names ...string) []string {
	if len(names) == 0 {
		return nil
	}
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}

// Access is what one person may do on one Matomo instance. Matomo keeps no site
// roles for a superuser, so there Sites is normally empty. The zero value is no
// access. A nil map and an empty one mean the same, as do a missing site and
// the role noaccess.
type Access struct {
	Superuser bool                  `json:"superuser,omitempty"`
	Sites     map[SiteID]SiteAccess `json:"sites,omitempty"`
}

// Clone returns a copy that shares nothing with a.
func (a Access) Clone() Access {
	out := Access{Superuser: a.Superuser}
	if a.Sites != nil {
		out.Sites = make(map[SiteID]SiteAccess, len(a.Sites))
		for id, s := range a.Sites {
			out.Sites[id] = SiteAccess{Role: s.Role, Capabilities: slices.Clone(s.Capabilities)}
		}
	}
	return out
}

// Equal reports whether a and b allow the same.
func (a Access) Equal(b Access) bool {
	return a.Superuser == b.Superuser && coveredBy(a, b) && coveredBy(b, a)
}

// coveredBy reports whether every site of a is in b with the same access.
func coveredBy(a, b Access) bool {
	for id, s := range a.Sites {
		if s.Role.Rank() <= 0 {
			continue
		}
		if !s.Equal(b.Sites[id]) {
			return false
		}
	}
	return true
}

// Empty reports whether a allows nothing at all.
func (a Access) Empty() bool {
	if a.Superuser {
		return false
	}
	for _, s := range a.Sites {
		if s.Role.Rank() > 0 {
			return false
		}
	}
	return true
}

// SiteIDs returns the sites on which a has a role above noaccess, in order.
func (a Access) SiteIDs() []SiteID {
	ids := make([]SiteID, 0, len(a.Sites))
	for id, s := range a.Sites {
		if s.Role.Rank() > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// String is for people and logs: "superuser", "1:admin, 2:view+tagmanager_write"
// (with both, superuser first), or "no access".
func (a Access) String() string {
	var parts []string
	if a.Superuser {
		parts = append(parts, "superuser")
	}
	for _, id := range a.SiteIDs() {
		parts = append(parts, strconv.Itoa(int(id))+":"+a.Sites[id].String())
	}
	if len(parts) == 0 {
		return "no access"
	}
	return strings.Join(parts, ", ")
}

// Merge adds two accesses up: superuser if either is, and per site the higher
// role with the capabilities of both. Neither argument is changed. It is
// commutative, associative and idempotent, so the order of rules cannot matter.
func Merge(a, b Access) Access {
	out := a.Clone()
	out.Superuser = a.Superuser || b.Superuser
	if out.Sites == nil && len(b.Sites) > 0 {
		out.Sites = make(map[SiteID]SiteAccess, len(b.Sites))
	}
	for id, s := range b.Sites {
		have, ok := out.Sites[id]
		if !ok {
			have = SiteAccess{Role: s.Role}
		}
		out.Sites[id] = MergeSite(have, s)
	}
	return out
}

// MergeSite is Merge for one site.
func MergeSite(a, b SiteAccess) SiteAccess {
	out := SiteAccess{Role: Higher(a.Role, b.Role)}
	switch {
	case len(b.Capabilities) == 0:
		out.Capabilities = slices.Clone(a.Capabilities)
	case len(a.Capabilities) == 0:
		out.Capabilities = slices.Clone(b.Capabilities)
	default:
		out.Capabilities = Capabilities(slices.Concat(a.Capabilities, b.Capabilities)...)
	}
	return out
}

// SiteChange is one site on which two accesses differ. For a grant Have is the
// zero value, for a removal Want is.
type SiteChange struct {
	Site SiteID
	Have SiteAccess
	Want SiteAccess
}

// DiffSites compares site by site what somebody has with what they should have:
// sites to grant, sites whose role or capabilities change, sites to remove, each
// in order of their IDs. The superuser flag is the caller's business.
func DiffSites(have, want Access) (grants, changes, removals []SiteChange) {
	ids := maps.Clone(have.Sites)
	if ids == nil {
		ids = make(map[SiteID]SiteAccess, len(want.Sites))
	}
	maps.Copy(ids, want.Sites)
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		h, w := have.Sites[id], want.Sites[id]
		had, wanted := h.Role.Rank() > 0, w.Role.Rank() > 0
		switch {
		case !had && !wanted:
		case !had:
			grants = append(grants, SiteChange{Site: id, Want: w})
		case !wanted:
			removals = append(removals, SiteChange{Site: id, Have: h})
		case !h.Equal(w):
			changes = append(changes, SiteChange{Site: id, Have: h, Want: w})
		}
	}
	return grants, changes, removals
}
