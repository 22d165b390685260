package model

import (
	"slices"
	"time"
)

// Site is a website of the instance.
type Site struct {
	ID      int // given by AddSite
	Name    string
	URL     string
	Group   string
	Creator string // login, empty for nobody
	Created time.Time
	Goals   int // how many there are
}

// sites holds the websites by ID.
type sites struct {
	byID map[int]*Site
	ids  []int // in order; replaced, never changed in place
	last int
}

// AddSite adds a website and returns its ID. IDs are not used twice.
func (in *Instance) AddSite(site Site) int {
	in.last++
	site.ID = in.last
	if site.Created.IsZero() {
		site.Created = Now()
	}
	in.byID[site.ID] = &site
	in.ids = append(slices.Clone(in.ids), site.ID)
	return site.ID
}

// Site returns a website, or nil.
func (in *Instance) Site(id int) *Site { return in.byID[id] }

// SiteIDs returns the IDs in order. The caller must not change the slice.
func (in *Instance) SiteIDs() []int { return in.ids }

// DeleteSite removes a website with its access rows (trap 15) and reports. It
// fails if there is none.
func (in *Instance) DeleteSite(id int) bool {
	if in.byID[id] == nil {
		return false
	}
	delete(in.byID, id)
	in.ids = slices.DeleteFunc(slices.Clone(in.ids), func(other int) bool { return other == id })
	for _, a := range in.Accounts() {
		in.DeleteAccess(a, id)
	}
	in.Reports = slices.DeleteFunc(in.Reports, func(r *Report) bool { return r.Site == id })
	in.ClearTracker()
	return true
}
