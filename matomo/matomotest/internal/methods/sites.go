package methods

import (
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// The SitesManager. Recordings 18, 27 and 40.
//
// Everything about a site that the bridge does not read is a constant.

// writeSite writes what the caller may know of a site.
func writeSite(c *api.Call, o *php.Object, site *model.Site) {
	o.Set("idsite", site.ID, "name", site.Name, "main_url", site.URL, "ts_created", site.Created.Format(model.DateTime),
		"ecommerce", 0, "sitesearch", 1, "sitesearch_keyword_parameters", "", "sitesearch_category_parameters", "",
		"timezone", "UTC", "currency", "USD", "exclude_unknown_urls", 0, "excluded_ips", "", "excluded_parameters", "",
		"excluded_user_agents", "", "excluded_referrers", "", "group", site.Group, "type", "website", "keep_url_fragment", 0)
	if c.Caller.Superuser() {
		o.Set("creator_login", textOrNull(site.Creator))
	}
	o.Set("timezone_name", "UTC", "currency_name", "US Dollar")
}

// listSites answers the sites of some IDs that fit.
func listSites(c *api.Call, ids []int, fits func(*model.Site) bool) error {
	var list []*model.Site
	for _, id := range ids {
		if site := c.Site(id); fits(site) {
			list = append(list, site)
		}
	}
	return c.Objects(len(list), func(o *php.Object, i int) { writeSite(c, o, list[i]) })
}

// anySite fits every site.
func anySite(*model.Site) bool { return true }

// listIDs answers a plain list, cut like all lists.
func listIDs(c *api.Call, ids []int) error {
	return c.List(len(ids), func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(ids[i]), 10) })
}

// getAllSites is a map by ID in Matomo: a JSON object, unless filter_limit cuts
// it and so numbers it afresh (trap 4).
func getAllSites(c *api.Call) error {
	ids := c.SiteIDs()
	return c.Keyed(len(ids), func(i int) string { return strconv.Itoa(ids[i]) }, func(b []byte, i int) []byte {
		return php.AppendObject(b, func(o *php.Object) { writeSite(c, o, c.Site(ids[i])) })
	})
}

// getAllSitesID stays a list, however it is cut (trap 4).
func getAllSitesID(c *api.Call) error { return listIDs(c, c.SiteIDs()) }

// idsWith and sitesWith answer an empty list to whoever has no access.
func idsWith(least model.Rank) func(*api.Call) error {
	return func(c *api.Call) error { return listIDs(c, c.SitesWith(least)) }
}

// sitesWith is the same with the sites themselves.
func sitesWith(least model.Rank) func(*api.Call) error {
	return func(c *api.Call) error { return listSites(c, c.SitesWith(least), anySite) }
}

// getSitesGroups answers the groups in the order of the first site in each; the
// empty one is that of the sites in none.
func getSitesGroups(c *api.Call) error {
	var groups []string
	for _, id := range c.SiteIDs() {
		if g := c.Site(id).Group; !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return c.List(len(groups), func(b []byte, i int) []byte { return php.AppendString(b, groups[i]) })
}

// getSitesFromGroup without a group answers the sites that are in none.
func getSitesFromGroup(c *api.Call) error {
	return listSites(c, c.SiteIDs(), func(site *model.Site) bool { return php.SameText(site.Group, c.Text("group")) })
}

// getPatternMatchSites searches names, addresses and groups of the sites that
// the caller sees.
func getPatternMatchSites(c *api.Call) error {
	pattern := php.Fold(c.Text("pattern"))
	return listSites(c, c.SitesWith(model.View), func(site *model.Site) bool {
		return strings.Contains(php.Fold(site.Name), pattern) || strings.Contains(php.Fold(site.URL), pattern) || php.Fold(site.Group) == pattern
	})
}

// getSiteFromID refuses by right before it looks whether the site exists, so only
// a superuser learns of a missing one.
func getSiteFromID(c *api.Call) error {
	site := c.Site(c.Int("idSite", 0))
	if site == nil {
		return api.UnexpectedSite(c.Text("idSite"))
	}
	return c.Object(func(o *php.Object) { writeSite(c, o, site) })
}

// addSite answers the new ID. Nobody gets access to it but superusers: "all" was
// expanded when it was granted (FACTS g).
func addSite(c *api.Call) error {
	site := model.Site{Name: c.Text("siteName"), Group: c.Text("group"), Creator: c.Caller.Login(), Created: c.Now}
	if urls := c.Params["urls"].Texts(); len(urls) > 0 {
		site.URL = urls[0]
	}
	return c.Value(c.AddSite(site))
}

// deleteSite needs no password over a token (trap 15).
func deleteSite(c *api.Call) error {
	if !c.DeleteSite(c.Int("idSite", 0)) {
		return api.Refuse("website id = " + c.Text("idSite") + " not found")
	}
	return c.Success()
}
