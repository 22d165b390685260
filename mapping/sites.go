package mapping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/matomo-scim/bridge/matomo/access"
)

// siteIndex finds sites by what grants say about them. It is safe for use by
// several goroutines.
type siteIndex struct {
	unread bool
	sites  []access.Site // in order of ID, each ID once

	// The maps pay only when more than one decision uses the index; until shared
	// is set, names are looked for one by one.
	shared bool
	once   sync.Once
	names  map[string][]int // folded name -> indices into sites
	groups map[string][]int
}

// newSiteIndex takes the sites of one target; nil means that they are unread.
func newSiteIndex(sites []access.Site) *siteIndex {
	for i := 1; i < len(sites); i++ {
		if sites[i-1].ID >= sites[i].ID {
			return &siteIndex{sites: sortedSites(sites)}
		}
	}
	return &siteIndex{unread: sites == nil, sites: sites}
}

// sortedSites returns a sorted copy in which each ID stands once.
func sortedSites(sites []access.Site) []access.Site {
	sorted := slices.SortedFunc(slices.Values(sites), func(a, b access.Site) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
	})
	return slices.CompactFunc(sorted, func(a, b access.Site) bool { return a.ID == b.ID })
}

// build fills the maps.
func (x *siteIndex) build() {
	x.names, x.groups = make(map[string][]int, len(x.sites)), map[string][]int{}
	for i, s := range x.sites {
		name, group := siteKey(s.Name), siteKey(s.Group)
		x.names[name] = append(x.names[name], i)
		x.groups[group] = append(x.groups[group], i)
	}
}

// named returns the indices of the sites with this name, or in this group.
func (x *siteIndex) named(kind SelectorKind, text string) []int {
	key := siteKey(text)
	if x.shared {
		x.once.Do(x.build)
		if kind == SelectName {
			return x.names[key]
		}
		return x.groups[key]
	}
	var found []int
	for i := range x.sites {
		s := x.sites[i].Name
		if kind == SelectGroup {
			s = x.sites[i].Group
		}
		s = strings.TrimSpace(s)
		if n, ok := skipFolded(s, key); ok && n == len(s) {
			found = append(found, i)
		}
	}
	return found
}

// Names are compared without regard to case, and a name that fits two sites fits
// none. An exact spelling is deliberately not preferred: a grant for "shop" must
// not wander to another site the day somebody creates one named "Shop".

// siteKey is the form in which names of sites and of their groups are compared:
// without regard to case or to white space around them.
func siteKey(s string) string { return fold(strings.TrimSpace(s)) }

// resolution is the result of resolving a selector.
type resolution struct {
	all   bool  // every site of the index
	index []int // otherwise: indices into siteIndex.sites
	kind  ProblemKind
	why   string // what is wrong; empty: resolved
}

// resolve finds the sites of a selector that has no variable left.
func (x *siteIndex) resolve(s Selector) resolution {
	if x.unread {
		return resolution{kind: UnreadSites, why: "the list of sites could not be read"}
	}
	switch s.Kind {
	case SelectAll:
		return resolution{all: true}
	case SelectID:
		i, ok := slices.BinarySearchFunc(x.sites, s.ID, func(e access.Site, id access.SiteID) int { return cmp.Compare(e.ID, id) })
		if !ok {
			return resolution{kind: UnknownSite, why: "there is no site " + strconv.Itoa(int(s.ID))}
		}
		return resolution{index: []int{i}}
	case SelectName:
		found := x.named(s.Kind, s.Text)
		switch {
		case len(found) == 0:
			return resolution{kind: UnknownSite, why: fmt.Sprintf("no site is named %q", s.Text)}
		case len(found) > 1:
			return resolution{kind: AmbiguousSite, why: fmt.Sprintf("%d sites are named %q: %s; use an ID", len(found), s.Text, x.ids(found))}
		}
		return resolution{index: found}
	case SelectGroup:
		found := x.named(s.Kind, s.Text)
		if len(found) == 0 {
			return resolution{kind: EmptySiteGroup, why: fmt.Sprintf("no site is in the group %q", s.Text)}
		}
		return resolution{index: found}
	case SelectNone:
	}
	return resolution{}
}

// ids lists the IDs at these indices.
func (x *siteIndex) ids(index []int) string {
	parts := make([]string, len(index))
	for j, i := range index {
		parts[j] = strconv.Itoa(int(x.sites[i].ID))
	}
	return strings.Join(parts, ", ")
}
