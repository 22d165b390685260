package methods

import (
	"slices"
	"strconv"
	"strings"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// Writes to the access table. Recordings 07, 08, 27, 46, 47 and 50.
//
// Here are most of the traps: what is written is what was sent, not what exists,
// and two calls for one person can cross.

// setUserAccess deletes the rows of the named sites and inserts new ones,
// without a transaction (trap 7), in the spelling of the login that was sent
// (trap 5), for sites that exist or not (trap 6).
func setUserAccess(c *api.Call) error {
	login, access := c.Text("userLogin"), c.Params["access"]
	removal := !access.IsArray && access.Text == noAccess
	if !removal {
		if err := checkWords(access.Texts(), append(model.Roles(), capabilityIDs(c)...)); err != nil {
			return err
		}
	}
	sites, err := adminSites(c)
	if err != nil {
		return err
	}
	if login == model.Anonymous && !removal && (access.IsArray || access.Text != model.View.String()) {
		return api.Refuse("You can only set access noaccess or view access to the 'anonymous' user.")
	}
	role, capabilities, err := splitAccess(access, removal)
	if err != nil {
		return err
	}
	a, err := c.Find(login)
	if err != nil {
		return err
	}
	if a.Superuser && a.Login == login { // an odd spelling passes in Matomo
		return api.Refuse("The user '" + login + "' has Super User access and has already permission to access and modify all websites in Matomo. You may remove the Super User access from this user and try again.")
	}
	// Capabilities of the named sites go with the role.
	c.DeleteAccess(a, sites...)
	if err := c.Yield(); err != nil {
		return err
	}
	if removal { // for good; a demotion or a lower role leaves them
		c.DeleteReports(a.Login, sites...)
	}
	for _, site := range sites {
		if role != "" {
			c.AddRow(a, login, site, role)
		}
	}
	// All roles come before all capabilities, so that is the order of the rows.
	for _, site := range sites {
		for _, name := range capabilities {
			addCapability(c, a, site, name)
		}
	}
	c.ClearTracker()
	return c.Success()
}

// splitAccess takes the parameter apart: one role, or a list of one role and
// capabilities.
func splitAccess(access php.Param, removal bool) (role string, capabilities []string, err error) {
	roles := strings.Join(model.Roles(), ", ")
	switch {
	case removal:
		return "", nil, nil
	case !access.IsArray:
		return access.Text, nil, checkWords(access.Texts(), model.Roles())
	}
	for _, word := range access.Texts() {
		switch {
		case model.RankOf(word) == 0:
			capabilities = append(capabilities, word)
		case role != "":
			return "", nil, api.Refuse("Only one role can be set but multiple have been set. Use only one of: " + roles)
		default:
			role = word
		}
	}
	if role == "" {
		return "", nil, api.Refuse("No role is set but one of these needs to be set: " + roles)
	}
	return role, capabilities, nil
}

// checkWords refuses words that are not on the list; case matters.
func checkWords(words, allowed []string) error {
	for _, word := range words {
		if !slices.Contains(allowed, word) {
			return api.Refuse("The parameter access must have one of the following values: [ " + strings.Join(allowed, ", ") + " ], '" + word + "' given.")
		}
	}
	return nil
}

// adminSites expands the parameter idSites: "all" are the sites that the caller
// administers now, else numbers, each once.
func adminSites(c *api.Call) ([]int, error) {
	p := c.Params["idSites"]
	// Only the lone word means all sites; in a list it is no number and is passed
	// over, like 0 and whatever else is not a site.
	var ids []int
	if !p.IsArray && p.Text == "all" {
		ids = slices.Clone(c.SitesWith(model.Admin))
	} else {
		for _, text := range p.Texts() {
			for piece := range strings.SplitSeq(text, ",") {
				if id, err := strconv.Atoi(strings.TrimSpace(piece)); err == nil && id > 0 && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	if len(ids) == 0 {
		return nil, api.Refuse("Specify at least one website ID in &idSites=")
	}
	return ids, c.NeedSites(model.Admin, ids...)
}

// target reads the parameters that both methods about capabilities have.
func target(c *api.Call) (a *model.Account, capabilities []string, sites []int, err error) {
	if sites, err = adminSites(c); err != nil {
		return nil, nil, nil, err
	}
	if a, err = c.Find(c.Text("userLogin")); err != nil {
		return nil, nil, nil, err
	}
	capabilities = c.Params["capabilities"].Texts()
	return a, capabilities, sites, checkWords(capabilities, capabilityIDs(c))
}

// addCapabilities stops at the first site on which the person has no role.
func addCapabilities(c *api.Call) error {
	a, capabilities, sites, err := target(c)
	if err != nil {
		return err
	}
	for _, site := range sites {
		if role, _ := a.On(site); role == "" {
			return api.Refuse("Unable to grant any capabilities to user " + c.Text("userLogin") + " for idSite " + strconv.Itoa(site) + ". The user needs at least view access.")
		}
		for _, name := range capabilities {
			addCapability(c, a, site, name)
		}
	}
	c.ClearTracker()
	return c.Success()
}

// addCapability writes a row, unless there is one or the role includes the
// capability.
func addCapability(c *api.Call, a *model.Account, site int, name string) {
	role, have := a.On(site)
	included := slices.ContainsFunc(capabilities(c), func(known capability) bool {
		return known.id == name && slices.Contains(known.included, role)
	})
	if !included && !slices.Contains(have, name) {
		c.AddRow(a, c.Text("userLogin"), site, name)
	}
}

// removeCapabilities deletes rows; what a role includes stays with the role, and
// a row that is not there is no error.
func removeCapabilities(c *api.Call) error {
	a, capabilities, sites, err := target(c)
	if err != nil {
		return err
	}
	c.DeleteRows(a, func(r model.Row) bool {
		return slices.Contains(sites, r.Site) && slices.Contains(capabilities, r.Access)
	})
	c.ClearTracker()
	return c.Success()
}
