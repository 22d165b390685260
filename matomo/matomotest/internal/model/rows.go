package model

import (
	"cmp"
	"slices"
)

// The access table. Its columns are the login, the site and a word, and nothing
// keeps a row from being there twice, in two spellings, or for no site at all.

// Rank orders the roles; what is no role has rank 0.
type Rank int

// The roles.
const (
	View Rank = iota + 1
	Write
	Admin
)

// String is Matomo's word for the role.
func (r Rank) String() string { return [...]string{View: "view", Write: "write", Admin: "admin"}[r] }

// Roles returns Matomo's words for the roles, lowest first.
func Roles() []string { return []string{View.String(), Write.String(), Admin.String()} }

// RankOf returns the rank of a word; capabilities have none.
func RankOf(access string) Rank { return Rank(slices.Index(Roles(), access) + 1) }

// Row is one row of the access table. There is no unique key, and the login
// stands as it was sent (trap 5).
type Row struct {
	Login  string
	Site   int
	Access string // a role or a capability

	id uint64
}

// AddRow writes a row, whatever rows there are and whether the site exists.
func (in *Instance) AddRow(a *Account, login string, site int, access string) {
	in.lastRow++
	in.rowCount++
	a.Rows = append(a.Rows, Row{login, site, access, in.lastRow})
}

// DeleteRows removes an account's rows that match.
func (in *Instance) DeleteRows(a *Account, match func(Row) bool) {
	before := len(a.Rows)
	a.Rows = slices.DeleteFunc(a.Rows, match)
	in.rowCount -= before - len(a.Rows)
}

// DeleteAccess removes an account's rows of some sites, of all if none is named.
func (in *Instance) DeleteAccess(a *Account, sites ...int) {
	in.DeleteRows(a, func(r Row) bool { return len(sites) == 0 || slices.Contains(sites, r.Site) })
}

// indexedFrom is the size of the access table from which MariaDB reads the rows
// of one login through the index, so by site, and no longer in the order in
// which they were written. It was seen to change between 14 and some 400 rows.
const indexedFrom = 100

// RowsOf returns the account's rows of existing sites in the order in which
// MariaDB returns them.
func (in *Instance) RowsOf(a *Account) []Row {
	rows := slices.DeleteFunc(slices.Clone(a.Rows), func(r Row) bool { return in.Site(r.Site) == nil })
	if in.rowCount > indexedFrom {
		slices.SortStableFunc(rows, func(x, y Row) int { return cmp.Compare(x.Site, y.Site) })
	}
	return rows
}

// RowsOfSite returns the rows of a site in the order in which they were written.
func (in *Instance) RowsOfSite(id int) []Row {
	var rows []Row
	for _, a := range in.Accounts() {
		for _, r := range a.Rows {
			if r.Site == id {
				rows = append(rows, r)
			}
		}
	}
	slices.SortFunc(rows, func(x, y Row) int { return cmp.Compare(x.id, y.id) })
	return rows
}

// On returns the account's first role on a site, "" for none, and the
// capabilities there.
func (a *Account) On(site int) (role string, capabilities []string) {
	capabilities = []string{}
	for _, r := range a.Rows {
		switch {
		case r.Site != site:
		case RankOf(r.Access) == 0:
			capabilities = append(capabilities, r.Access)
		case role == "":
			role = r.Access
		}
	}
	return role, capabilities
}

// SitesOf returns the existing sites, in order, on which the account has at
// least a role.
func (in *Instance) SitesOf(a *Account, least Rank) []int {
	if a.Superuser {
		return in.SiteIDs()
	}
	var ids []int
	for _, r := range a.Rows {
		if RankOf(r.Access) >= least && in.Site(r.Site) != nil {
			ids = append(ids, r.Site)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
