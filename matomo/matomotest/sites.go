package matomotest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Site is a website of the instance.
type Site struct {
	ID      int // given by the server
	Name    string
	URL     string
	Group   string
	Creator string // login, empty for none
	Created time.Time
	goals   int
}

type siteTable struct {
	sites    map[int]*Site
	siteIDs  []int // in order; replaced, never changed in place
	lastSite int
}

func (s *Server) addSiteLocked(site *Site) int {
	s.lastSite++
	site.ID = s.lastSite
	if site.Created.IsZero() {
		site.Created = now()
	}
	s.sites[site.ID] = site
	s.siteIDs = append(slices.Clone(s.siteIDs), site.ID)
	return site.ID
}

// deleteSiteLocked removes a site with its access rows (trap 15) and reports.
func (s *Server) deleteSiteLocked(id int) bool {
	if s.sites[id] == nil {
		return false
	}
	delete(s.sites, id)
	s.siteIDs = slices.DeleteFunc(slices.Clone(s.siteIDs), func(other int) bool { return other == id })
	for _, a := range s.accountsLocked() {
		s.deleteRowsLocked(a, []int{id})
	}
	s.reports = slices.DeleteFunc(s.reports, func(r *Report) bool { return r.Site == id })
	s.tracker.clear()
	return true
}

// writeSite writes what the caller may know of a site.
func (c *call) writeSite(o *object, site *Site) {
	o.set("idsite", site.ID)
	o.set("name", site.Name)
	o.set("main_url", site.URL)
	o.set("ts_created", site.Created.Format(dateTime))
	o.set("ecommerce", 0)
	o.set("sitesearch", 1)
	o.set("sitesearch_keyword_parameters", "")
	o.set("sitesearch_category_parameters", "")
	o.set("timezone", "UTC")
	o.set("currency", "USD")
	o.set("exclude_unknown_urls", 0)
	for _, name := range []string{"excluded_ips", "excluded_parameters", "excluded_user_agents", "excluded_referrers"} {
		o.set(name, "")
	}
	o.set("group", site.Group)
	o.set("type", "website")
	o.set("keep_url_fragment", 0)
	if c.who.superuser() {
		o.set("creator_login", textOrNull(site.Creator))
	}
	o.set("timezone_name", "UTC")
	o.set("currency_name", "US Dollar")
}

// siteList answers the sites of some ids that fit.
func (c *call) siteList(ids []int, fits func(*Site) bool) error {
	var sites []*Site
	for _, id := range ids {
		if site := c.s.sites[id]; fits == nil || fits(site) {
			sites = append(sites, site)
		}
	}
	return c.list(len(sites), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) { c.writeSite(o, sites[i]) })
	})
}

func (c *call) idList(ids []int) error {
	return c.list(len(ids), func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(ids[i]), 10) })
}

// getAllSites is a map by id in Matomo: a JSON object, unless filter_limit cuts
// it and so numbers it afresh (trap 4).
func (c *call) getAllSites() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	ids := c.s.siteIDs
	return c.keyed(len(ids), func(i int) string { return strconv.Itoa(ids[i]) }, func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) { c.writeSite(o, c.s.sites[ids[i]]) })
	})
}

func (c *call) getAllSitesID() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	return c.idList(c.s.siteIDs)
}

func (c *call) getSitesIDWithAdminAccess() error { return c.idList(c.sitesWith(rankAdmin)) }

func (c *call) getSitesIDWithAtLeastViewAccess() error { return c.idList(c.sitesWith(rankView)) }

func (c *call) getSitesWithAdminAccess() error { return c.siteList(c.sitesWith(rankAdmin), nil) }

func (c *call) getSitesWithAtLeastViewAccess() error { return c.siteList(c.sitesWith(rankView), nil) }

func (c *call) getSitesGroups() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	var groups []string
	for _, id := range c.s.siteIDs {
		if g := c.s.sites[id].Group; !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return c.list(len(groups), func(b []byte, i int) []byte { return appendString(b, groups[i]) })
}

func (c *call) getSitesFromGroup() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	group := fold(c.text("group"))
	return c.siteList(c.s.siteIDs, func(site *Site) bool { return fold(site.Group) == group })
}

func (c *call) getPatternMatchSites() error {
	pattern := fold(c.text("pattern"))
	return c.siteList(c.sitesWith(rankView), func(site *Site) bool {
		return strings.Contains(fold(site.Name), pattern) || strings.Contains(fold(site.URL), pattern) || fold(site.Group) == pattern
	})
}

func (c *call) getSiteFromID() error {
	id := c.integer("idSite", 0)
	if err := c.needSite(rankView, id); err != nil {
		return err
	}
	site := c.s.sites[id]
	if site == nil {
		return unexpectedSite(c.text("idSite"))
	}
	return c.object(func(o *object) { c.writeSite(o, site) })
}

func (c *call) addSite() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	site := &Site{Name: c.text("siteName"), Group: c.text("group"), Creator: c.who.login, Created: c.now}
	if urls := c.p["urls"].texts(); len(urls) > 0 {
		site.URL = urls[0]
	}
	return c.value(c.s.addSiteLocked(site))
}

func (c *call) deleteSite() error {
	if err := all(c.needSuperuser, c.confirmIfSession); err != nil {
		return err
	}
	if !c.s.deleteSiteLocked(c.integer("idSite", 0)) {
		return refuse("website id = " + c.text("idSite") + " not found")
	}
	return c.success()
}
