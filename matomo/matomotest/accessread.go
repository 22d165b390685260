package matomotest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

func (c *call) getSitesAccessFromUser() error {
	login := c.text("userLogin")
	if err := c.needSuperuser(); err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	rows := c.s.rowsLocked(a)
	if a.superuser && a.login == login {
		rows = nil
		for _, id := range c.s.siteIDs {
			rows = append(rows, accessRow{site: id, access: roleNames[rankAdmin]})
		}
	}
	return c.list(len(rows), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			o.set("site", rows[i].site)
			o.set("access", rows[i].access)
		})
	})
}

func (c *call) getSitesAccessForUser() error {
	login := c.text("userLogin")
	if err := c.needSomeAdmin(); err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	if a.superuser && a.login == login {
		return refuse("This method should not be used with superusers.")
	}
	var sites []*Site
	for _, id := range c.sitesWith(rankAdmin) {
		if site := c.s.sites[id]; c.forUserWants(a, site) {
			sites = append(sites, site)
		}
	}
	slices.SortStableFunc(sites, func(x, y *Site) int { return cmp.Compare(fold(x.Name), fold(y.Name)) })
	c.header.Set("X-Matomo-Total-Results", strconv.Itoa(len(sites)))
	if len(c.s.rowsLocked(a)) > 0 {
		c.header.Set("X-Matomo-Has-Some", "1")
	}
	sites = page2(sites, c.integer("offset", 0), c.integer("limit", -1))
	return c.list(len(sites), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			role, capabilities := a.roleOn(sites[i].ID)
			o.set("idsite", sites[i].ID)
			o.set("site_name", sites[i].Name)
			o.set("role", cmp.Or(role, "noaccess"))
			o.set("capabilities", capabilities)
		})
	})
}

// forUserWants applies filter_search and filter_access.
func (c *call) forUserWants(a *account, site *Site) bool {
	search := fold(c.text("filter_search"))
	if search != "" && !strings.Contains(fold(site.Name+" "+site.URL+" "+site.Group), search) {
		return false
	}
	role, _ := a.roleOn(site.ID)
	switch filter := c.text("filter_access"); filter {
	case "":
		return true
	case "some":
		return role != ""
	default:
		return cmp.Or(role, "noaccess") == filter
	}
}

// getUsersSitesFromAccess reads the table as it is: logins in the spelling of
// the rows (trap 5), sites that do not exist (trap 6).
func (c *call) getUsersSitesFromAccess() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	access := c.text("access")
	if err := c.checkAccess([]string{access}, append(roleIDs(), c.s.capabilityIDs()...)); err != nil {
		return err
	}
	type entry struct {
		login string
		sites []int
	}
	var entries []entry
	var rows []accessRow
	for _, a := range c.s.accountsLocked() {
		rows = rows[:0]
		for _, r := range a.rows {
			if r.access == access {
				rows = append(rows, r)
			}
		}
		slices.SortStableFunc(rows, func(x, y accessRow) int { return cmp.Compare(x.site, y.site) })
		first := len(entries)
		for _, r := range rows {
			at := slices.IndexFunc(entries[first:], func(e entry) bool { return e.login == r.login })
			if at < 0 {
				at = len(entries) - first
				entries = append(entries, entry{login: r.login})
			}
			entries[first+at].sites = append(entries[first+at].sites, r.site)
		}
	}
	return c.keyed(len(entries), func(i int) string { return entries[i].login }, func(b []byte, i int) []byte {
		b = append(b, '[')
		for j, id := range entries[i].sites {
			if j > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(id), 10)
		}
		return append(b, ']')
	})
}

// siteRows returns the rows of a site in the order they were written.
func (s *Server) siteRows(id int) []accessRow {
	var rows []accessRow
	for _, a := range s.accountsLocked() {
		for _, r := range a.rows {
			if r.site == id {
				rows = append(rows, r)
			}
		}
	}
	slices.SortFunc(rows, func(x, y accessRow) int { return cmp.Compare(x.id, y.id) })
	return rows
}

// getUsersAccessFromSite answers one word per login: a later row, perhaps a
// capability, overwrites an earlier one in its place.
func (c *call) getUsersAccessFromSite() error {
	id := c.integer("idSite", 0)
	if err := c.needSite(rankAdmin, id); err != nil {
		return err
	}
	var logins []string
	access := map[string]string{}
	for _, r := range c.s.siteRows(id) {
		if _, known := access[r.login]; !known {
			logins = append(logins, r.login)
		}
		access[r.login] = r.access
	}
	return c.keyed(len(logins), func(i int) string { return logins[i] }, func(b []byte, i int) []byte {
		return appendString(b, access[logins[i]])
	})
}

func (c *call) getUsersWithSiteAccess() error {
	id, access := c.integer("idSite", 0), c.text("access")
	if err := c.needSite(rankAdmin, id); err != nil {
		return err
	}
	if err := c.checkAccess([]string{access}, append(roleIDs(), c.s.capabilityIDs()...)); err != nil {
		return err
	}
	users, err := c.visibleUsers()
	if err != nil {
		return err
	}
	users = slices.DeleteFunc(slices.Clone(users), func(a *account) bool {
		return !slices.ContainsFunc(a.rows, func(r accessRow) bool { return r.site == id && r.access == access })
	})
	return c.list(len(users), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) { c.writeUser(o, users[i]) })
	})
}

func (c *call) getAvailableRoles() error {
	if err := c.needSomeAdmin(); err != nil {
		return err
	}
	roles := []struct{ id, name, description, help string }{
		{"view", "View", "A user with this role can view all reports.", "https://matomo.org/faq/general/faq_70/"},
		{"write", "Write", "Users with this role can view all content plus create, manage and delete entities such as Goals, Funnels, Heatmaps, Session Recordings and Forms for this website.", "https://matomo.org/faq/general/faq_26910"},
		{"admin", "Admin", "Users with this role can manage a website and give other users access to the website. They can also do everything the Write role can do.", "https://matomo.org/faq/general/faq_69/"},
	}
	return c.list(len(roles), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			o.set("id", roles[i].id)
			o.set("name", roles[i].name)
			o.set("description", roles[i].description)
			o.set("helpUrl", roles[i].help)
		})
	})
}

func (c *call) getAvailableCapabilities() error {
	if err := c.needSomeAdmin(); err != nil {
		return err
	}
	list := c.s.capabilities()
	return c.list(len(list), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			o.set("id", list[i].id)
			o.set("name", list[i].name)
			o.set("description", list[i].description)
			o.set("helpUrl", "")
			o.set("includedInRoles", list[i].included)
			o.set("category", "Tag Manager")
		})
	})
}

// capability is a right that a plugin adds to a role.
type capability struct {
	id, name, description string
	included              []string // the roles that have it anyway
}

// capabilities are those of the Tag Manager, if it is there.
func (s *Server) capabilities() []capability {
	if s.opt.NoTagManager {
		return nil
	}
	return []capability{
		{"tagmanager_write", "Write", "Grants the ability to use the Tag Manager. For example create, delete, and manage containers, tags, triggers, and variables, versions, etc.", []string{"write", "admin"}},
		{"tagmanager_publish_live_container", "Publish Live Container", "Grants the ability to publish a container to the live environment.", []string{"admin"}},
		{"tagmanager_use_custom_templates", "Use Custom Templates", "Grants the ability to write HTML/JavaScript that will be executed on the website. Grant this capability only to users you trust as custom templates can be misused to steal for example sensitive information.", []string{"admin"}},
	}
}

func (s *Server) capabilityIDs() []string {
	var ids []string
	for _, known := range s.capabilities() {
		ids = append(ids, known.id)
	}
	return ids
}
