package matomotest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Ranks of the roles; 0 is none of them.
const (
	rankView = iota + 1
	rankWrite
	rankAdmin
)

var roleNames = [...]string{rankView: "view", rankWrite: "write", rankAdmin: "admin"}

// roleRank returns 0 for capabilities.
func roleRank(name string) int { return max(0, slices.Index(roleNames[:], name)) }

func roleIDs() []string { return roleNames[rankView:] }

// accessRow is one row of Matomo's access table. There is no unique key, and
// the login stands as it was sent (trap 5).
type accessRow struct {
	id     uint64
	login  string
	site   int
	access string // a role or a capability
}

func (s *Server) addRowLocked(a *account, login string, site int, access string) {
	s.lastRow++
	s.rowCount++
	a.rows = append(a.rows, accessRow{s.lastRow, login, site, access})
}

// deleteRowsLocked removes an account's rows of some sites, or all if sites is
// empty.
func (s *Server) deleteRowsLocked(a *account, sites []int) {
	before := len(a.rows)
	a.rows = slices.DeleteFunc(a.rows, func(r accessRow) bool { return len(sites) == 0 || slices.Contains(sites, r.site) })
	s.rowCount -= before - len(a.rows)
}

// indexedFrom is the size of the access table from which MariaDB reads the rows
// of one login through the index, so by site, and no longer in the order they
// were written. It was seen between 14 and some 400 rows.
const indexedFrom = 100

// rowsLocked returns the account's rows of existing sites in the order in which
// MariaDB returns them.
func (s *Server) rowsLocked(a *account) []accessRow {
	rows := slices.DeleteFunc(slices.Clone(a.rows), func(r accessRow) bool { return s.sites[r.site] == nil })
	if s.rowCount > indexedFrom {
		slices.SortStableFunc(rows, func(x, y accessRow) int { return cmp.Compare(x.site, y.site) })
	}
	return rows
}

// roleOn returns the first role on a site and the capabilities there.
func (a *account) roleOn(site int) (role string, capabilities []string) {
	capabilities = []string{}
	for _, r := range a.rows {
		switch {
		case r.site != site:
		case roleRank(r.access) == 0:
			capabilities = append(capabilities, r.access)
		case role == "":
			role = r.access
		}
	}
	return role, capabilities
}

func (c *call) setUserAccess() error {
	if err := all(c.needUsersAdmin, c.needLogin); err != nil {
		return err
	}
	login, access := c.text("userLogin"), c.p["access"]
	removal := !access.isArray && access.text == "noaccess"
	if !removal {
		if err := c.checkAccess(access.texts(), append(roleIDs(), c.s.capabilityIDs()...)); err != nil {
			return err
		}
	}
	sites, err := c.adminSites()
	if err != nil {
		return err
	}
	if login == anonymousLogin && !removal && (access.isArray || access.text != "view") {
		return refuse(textAnonymousAccess)
	}
	role, capabilities, err := c.splitAccess(access, removal)
	if err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	if a.superuser && a.login == login { // an odd spelling passes in Matomo
		return refuse("The user '" + login + "' has Super User access and has already permission to access and modify all websites in Matomo. You may remove the Super User access from this user and try again.")
	}
	c.s.deleteRowsLocked(a, sites)
	if err := c.yieldLocked(); err != nil {
		return err
	}
	if removal {
		c.s.dropReportsLocked(a.login, sites)
	}
	for _, site := range sites {
		if role != "" {
			c.s.addRowLocked(a, login, site, role)
		}
	}
	for _, site := range sites {
		for _, name := range capabilities {
			c.addCapability(a, login, site, name)
		}
	}
	c.s.tracker.clear()
	return c.success()
}

// splitAccess takes the parameter apart: one role, or a list of one role and
// capabilities.
func (c *call) splitAccess(access param, removal bool) (role string, capabilities []string, err error) {
	switch {
	case removal:
		return "", nil, nil
	case !access.isArray:
		return access.text, nil, c.checkAccess(access.texts(), roleIDs())
	}
	for _, name := range access.texts() {
		switch {
		case roleRank(name) == 0:
			capabilities = append(capabilities, name)
		case role != "":
			return "", nil, refuse("Only one role can be set but multiple have been set. Use only one of: " + strings.Join(roleIDs(), ", "))
		default:
			role = name
		}
	}
	if role == "" {
		return "", nil, refuse("No role is set but one of these needs to be set: " + strings.Join(roleIDs(), ", "))
	}
	return role, capabilities, nil
}

// checkAccess refuses words that are not on the list; case matters.
func (c *call) checkAccess(words, allowed []string) error {
	for _, word := range words {
		if !slices.Contains(allowed, word) {
			return refuse("The parameter access must have one of the following values: [ " + strings.Join(allowed, ", ") + " ], '" + word + "' given.")
		}
	}
	return nil
}

// adminSites expands idSites: "all" are the sites the caller administers now,
// else numbers, of sites that exist or not.
func (c *call) adminSites() ([]int, error) {
	p := c.p["idSites"]
	var ids []int
	if !p.isArray && p.text == "all" {
		ids = slices.Clone(c.sitesWith(rankAdmin))
	} else {
		for _, text := range p.texts() {
			for piece := range strings.SplitSeq(text, ",") {
				if id, err := strconv.Atoi(strings.TrimSpace(piece)); err == nil && id > 0 && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	if len(ids) == 0 {
		return nil, refuse(textNoSites)
	}
	return ids, c.needSite(rankAdmin, ids...)
}

func (c *call) addCapabilities() error {
	if err := all(c.needUsersAdmin, c.needLogin); err != nil {
		return err
	}
	sites, err := c.adminSites()
	if err != nil {
		return err
	}
	login, names := c.text("userLogin"), c.p["capabilities"].texts()
	if login == anonymousLogin {
		return refuse(textEditAnonymous)
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	if err := c.checkAccess(names, c.s.capabilityIDs()); err != nil {
		return err
	}
	for _, site := range sites {
		if role, _ := a.roleOn(site); role == "" {
			return refuse("Unable to grant any capabilities to user " + login + " for idSite " + strconv.Itoa(site) + ". The user needs at least view access.")
		}
		for _, name := range names {
			c.addCapability(a, login, site, name)
		}
	}
	c.s.tracker.clear()
	return c.success()
}

// addCapability writes a row unless the role includes the capability or it is
// there.
func (c *call) addCapability(a *account, login string, site int, name string) {
	role, have := a.roleOn(site)
	if slices.Contains(have, name) {
		return
	}
	for _, known := range c.s.capabilities() {
		if known.id == name && slices.Contains(known.included, role) {
			return
		}
	}
	c.s.addRowLocked(a, login, site, name)
}

func (c *call) removeCapabilities() error {
	if err := all(c.needUsersAdmin, c.needLogin); err != nil {
		return err
	}
	sites, err := c.adminSites()
	if err != nil {
		return err
	}
	a, err := c.findLocked(c.text("userLogin"))
	if err != nil {
		return err
	}
	names := c.p["capabilities"].texts()
	if err := c.checkAccess(names, c.s.capabilityIDs()); err != nil {
		return err
	}
	before := len(a.rows)
	a.rows = slices.DeleteFunc(a.rows, func(r accessRow) bool {
		return slices.Contains(sites, r.site) && slices.Contains(names, r.access)
	})
	c.s.rowCount -= before - len(a.rows)
	c.s.tracker.clear()
	return c.success()
}
