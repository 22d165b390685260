package methods

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// Reads of the access table. Recordings 07 to 09, 39, 40 and 46.
//
// The same rows look different through each of these methods. Only
// getUsersSitesFromAccess shows the table as it is, so the bridge reads with it.

// getSitesAccessFromUser shows rows of sites that exist, in no order that a
// client may count on.
func getSitesAccessFromUser(c *api.Call) error {
	login := c.Text("userLogin")
	a, err := c.Find(login)
	if err != nil {
		return err
	}
	rows := c.RowsOf(a)
	if a.Superuser && a.Login == login {
		rows = nil
		for _, id := range c.SiteIDs() {
			rows = append(rows, model.Row{Site: id, Access: model.Admin.String()})
		}
	}
	return c.Objects(len(rows), func(o *php.Object, i int) { o.Set("site", rows[i].Site, "access", rows[i].Access) })
}

// getSitesAccessForUser lists all sites by name, with paging of its own.
func getSitesAccessForUser(c *api.Call) error {
	login := c.Text("userLogin")
	a, err := c.Find(login)
	if err != nil {
		return err
	}
	if a.Superuser && a.Login == login {
		return api.Refuse("This method should not be used with superusers.")
	}
	var sites []*model.Site
	for _, id := range c.SitesWith(model.Admin) {
		if site := c.Site(id); wantedSite(c, a, site) {
			sites = append(sites, site)
		}
	}
	slices.SortStableFunc(sites, func(x, y *model.Site) int { return cmp.Compare(php.Fold(x.Name), php.Fold(y.Name)) })
	c.Header.Set("X-Matomo-Total-Results", strconv.Itoa(len(sites)))
	if len(c.RowsOf(a)) > 0 {
		c.Header.Set("X-Matomo-Has-Some", "1")
	}
	sites = paged(c, sites)
	return c.Objects(len(sites), func(o *php.Object, i int) {
		role, capabilities := a.On(sites[i].ID)
		o.Set("idsite", sites[i].ID, "site_name", sites[i].Name, "role", cmp.Or(role, noAccess), "capabilities", capabilities)
	})
}

// wantedSite applies filter_search and filter_access.
func wantedSite(c *api.Call, a *model.Account, site *model.Site) bool {
	if !strings.Contains(php.Fold(site.Name+" "+site.URL+" "+site.Group), php.Fold(c.Text("filter_search"))) {
		return false
	}
	role, _ := a.On(site.ID)
	switch filter := c.Text("filter_access"); filter {
	case "":
		return true
	case "some":
		return role != ""
	default:
		return cmp.Or(role, noAccess) == filter
	}
}

// getUsersSitesFromAccess reads the table as it is: logins in the spelling of
// the rows (trap 5), sites that do not exist (trap 6).
func getUsersSitesFromAccess(c *api.Call) error {
	access := c.Text("access")
	if err := checkWords([]string{access}, append(model.Roles(), capabilityIDs(c)...)); err != nil {
		return err
	}
	// Matomo sorts by login and site. Rows in odd spellings are the same login to
	// MySQL, so they sort among the others, and PHP gathers them by spelling.
	type entry struct {
		login string
		sites []int
	}
	var entries []entry
	var rows []model.Row
	for _, a := range c.Accounts() {
		rows = slices.DeleteFunc(append(rows[:0], a.Rows...), func(r model.Row) bool { return r.Access != access })
		slices.SortStableFunc(rows, func(x, y model.Row) int { return cmp.Compare(x.Site, y.Site) })
		first := len(entries)
		for _, r := range rows {
			at := slices.IndexFunc(entries[first:], func(e entry) bool { return e.login == r.Login })
			if at < 0 {
				at = len(entries) - first
				entries = append(entries, entry{login: r.Login})
			}
			entries[first+at].sites = append(entries[first+at].sites, r.Site)
		}
	}
	return c.Keyed(len(entries), func(i int) string { return entries[i].login }, func(b []byte, i int) []byte {
		return php.AppendValue(b, entries[i].sites)
	})
}

// getUsersAccessFromSite answers one word per login: a later row, perhaps a
// capability, overwrites an earlier one in its place.
func getUsersAccessFromSite(c *api.Call) error {
	visible := map[string]bool{}
	for _, a := range c.Visible() {
		visible[php.Fold(a.Login)] = true
	}
	var logins []string
	access := map[string]string{}
	for _, r := range c.RowsOfSite(c.Int("idSite", 0)) {
		if _, known := access[r.Login]; !known && visible[php.Fold(r.Login)] {
			logins = append(logins, r.Login)
		}
		access[r.Login] = r.Access
	}
	return c.Keyed(len(logins), func(i int) string { return logins[i] }, func(b []byte, i int) []byte {
		return php.AppendString(b, access[logins[i]])
	})
}

// getUsersWithSiteAccess answers the accounts with a row of exactly this access,
// whatever else they have there. The spelling of the row does not matter: Matomo
// looks the accounts up by login (recording 09).
func getUsersWithSiteAccess(c *api.Call) error {
	id, access := c.Int("idSite", 0), c.Text("access")
	if err := checkWords([]string{access}, append(model.Roles(), capabilityIDs(c)...)); err != nil {
		return err
	}
	list := slices.DeleteFunc(slices.Clone(c.Visible()), func(a *model.Account) bool {
		return !slices.ContainsFunc(a.Rows, func(r model.Row) bool { return r.Site == id && r.Access == access })
	})
	return c.Objects(len(list), func(o *php.Object, i int) { writeUser(c, o, list[i]) })
}

// getAvailableRoles and getAvailableCapabilities describe what setUserAccess
// takes.
func getAvailableRoles(c *api.Call) error {
	roles := [][4]string{
		{"view", "View", "A user with this role can view all reports.", "https://matomo.org/faq/general/faq_70/"},
		{"write", "Write", "Users with this role can view all content plus create, manage and delete entities such as Goals, Funnels, Heatmaps, Session Recordings and Forms for this website.", "https://matomo.org/faq/general/faq_26910"},
		{"admin", "Admin", "Users with this role can manage a website and give other users access to the website. They can also do everything the Write role can do.", "https://matomo.org/faq/general/faq_69/"},
	}
	return c.Objects(len(roles), func(o *php.Object, i int) {
		o.Set("id", roles[i][0], "name", roles[i][1], "description", roles[i][2], "helpUrl", roles[i][3])
	})
}

// getAvailableCapabilities is empty where no plugin brings any.
func getAvailableCapabilities(c *api.Call) error {
	list := capabilities(c)
	return c.Objects(len(list), func(o *php.Object, i int) {
		o.Set("id", list[i].id, "name", list[i].name, "description", list[i].description, "helpUrl", "",
			"includedInRoles", list[i].included, "category", "Tag Manager")
	})
}

// capability is a right that a plugin adds to a role; the roles in included have
// it anyway.
type capability struct {
	id, name, description string
	included              []string
}

// tagManager is the plugin that brings the capabilities.
const tagManager = "TagManager"

// capabilities are those of the Tag Manager, as recorded in 08.
func capabilities(c *api.Call) []capability {
	if !c.Plugins[tagManager] {
		return nil
	}
	return []capability{
		{"tagmanager_write", "Write", "Grants the ability to use the Tag Manager. For example create, delete, and manage containers, tags, triggers, and variables, versions, etc.", []string{"write", "admin"}},
		{"tagmanager_publish_live_container", "Publish Live Container", "Grants the ability to publish a container to the live environment.", []string{"admin"}},
		{"tagmanager_use_custom_templates", "Use Custom Templates", "Grants the ability to write HTML/JavaScript that will be executed on the website. Grant this capability only to users you trust as custom templates can be misused to steal for example sensitive information.", []string{"admin"}},
	}
}

// capabilityIDs returns their names, in the order of the error texts.
func capabilityIDs(c *api.Call) []string {
	var ids []string
	for _, known := range capabilities(c) {
		ids = append(ids, known.id)
	}
	return ids
}
