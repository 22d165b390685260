package grant

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/matomo-scim/bridge/mapping/match"
	"github.com/matomo-scim/bridge/matomo/access"
)

// MissKind says why the sites of a grant could not be found.
type MissKind string

// The kinds of Miss. None of them is an error of the rule: sites come and go in
// Matomo while the rules stay.
const (
	UnknownSite    MissKind = "unknown_site"     // no site has this ID or name
	AmbiguousSite  MissKind = "ambiguous_site"   // several sites have this name
	EmptySiteGroup MissKind = "empty_site_group" // no site is in this group
	UnreadSites    MissKind = "unread_sites"     // the list of sites could not be read
)

// Miss is why the sites of a selector could not be found, for machines and for
// people.
type Miss struct {
	Kind   MissKind
	Detail string
}

// Found are the sites of a selector, as places in a Sites. The zero value is no
// site.
type Found struct {
	from, to int   // all places in this range
	list     []int // or these, if there are any
}

// Len is how many sites were found.
func (f Found) Len() int {
	if f.list != nil {
		return len(f.list)
	}
	return f.to - f.from
}

// At is the place of the one with this number, which is less than Len.
func (f Found) At(i int) int {
	if f.list != nil {
		return f.list[i]
	}
	return f.from + i
}

// Sites are the sites of one Matomo, in order of their IDs, each ID once. It is
// safe for use by several goroutines.
type Sites struct {
	unread bool
	sites  []access.Site

	// The maps pay only when more than one person is decided for; without Share
	// names are looked for one by one.
	shared bool
	once   sync.Once
	names  map[string][]int // folded name -> places
	groups map[string][]int
}

// NewSites takes the sites of one target, which must not be changed while they
// are in use; nil means that they could not be read.
func NewSites(sites []access.Site) *Sites {
	for i := 1; i < len(sites); i++ {
		if sites[i-1].ID >= sites[i].ID {
			return &Sites{sites: sortedSites(sites)}
		}
	}
	return &Sites{unread: sites == nil, sites: sites}
}

// Share prepares for many calls of Find: names will be looked up in a map, which
// is made when the first one is asked for. It is called before Find is, and
// returns x.
func (x *Sites) Share() *Sites {
	x.shared = true
	return x
}

// Len is how many sites there are.
func (x *Sites) Len() int { return len(x.sites) }

// ID is that of the site at a place.
func (x *Sites) ID(place int) access.SiteID { return x.sites[place].ID }

// sortedSites returns a sorted copy in which each ID stands once.
func sortedSites(sites []access.Site) []access.Site {
	sorted := slices.SortedFunc(slices.Values(sites), func(a, b access.Site) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
	})
	return slices.CompactFunc(sorted, func(a, b access.Site) bool { return a.ID == b.ID })
}

// Names are compared without regard to case, and a name that fits two sites fits
// none. An exact spelling is deliberately not preferred: a grant for "shop" must
// not wander to another site the day somebody creates one named "Shop".

// siteKey is the form in which names of sites and of their groups are compared:
// without regard to case or to white space around them.
func siteKey(s string) string { return match.Fold(strings.TrimSpace(s)) }

// build fills the maps.
func (x *Sites) build() {
	x.names, x.groups = make(map[string][]int, len(x.sites)), map[string][]int{}
	for i, s := range x.sites {
		name, group := siteKey(s.Name), siteKey(s.Group)
		x.names[name] = append(x.names[name], i)
		x.groups[group] = append(x.groups[group], i)
	}
}

// named returns the places of the sites with this name, or in this group.
func (x *Sites) named(kind SelectorKind, text string) []int {
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
		if match.Equal(strings.TrimSpace(s), key) {
			found = append(found, i)
		}
	}
	return found
}

// Find returns the sites of a selector that has no variable left, or why they
// cannot be named for certain. Every site of a Matomo without any is found: they
// are none.
func (x *Sites) Find(s Selector) (Found, *Miss) {
	if x.unread {
		return Found{}, &Miss{UnreadSites, "the list of sites could not be read"}
	}
	switch s.Kind {
	case SelectAll:
		return Found{to: len(x.sites)}, nil
	case SelectID:
		i, ok := slices.BinarySearchFunc(x.sites, s.ID, func(e access.Site, id access.SiteID) int { return cmp.Compare(e.ID, id) })
		if !ok {
			return Found{}, &Miss{UnknownSite, "there is no site " + strconv.Itoa(int(s.ID))}
		}
		return Found{from: i, to: i + 1}, nil
	case SelectName:
		found := x.named(s.Kind, s.Text)
		switch {
		case len(found) == 0:
			return Found{}, &Miss{UnknownSite, fmt.Sprintf("no site is named %q", s.Text)}
		case len(found) > 1:
			return Found{}, &Miss{AmbiguousSite, fmt.Sprintf("%d sites are named %q: %s; use an ID", len(found), s.Text, x.ids(found))}
		}
		return Found{list: found}, nil
	case SelectGroup:
		found := x.named(s.Kind, s.Text)
		if len(found) == 0 {
			return Found{}, &Miss{EmptySiteGroup, fmt.Sprintf("no site is in the group %q", s.Text)}
		}
		return Found{list: found}, nil
	case SelectNone:
	}
	return Found{}, nil
}

// ids lists the IDs at these places.
func (x *Sites) ids(places []int) string {
	parts := make([]string, len(places))
	for j, i := range places {
		parts[j] = strconv.Itoa(int(x.sites[i].ID))
	}
	return strings.Join(parts, ", ")
}
