package snapshot

import (
	"iter"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/plan"
)

// Snapshot is what one complete read of an instance found. There is no partial
// one: a read that failed anywhere returns an error and no snapshot (I1).
//
// It is stored compactly (100,000 accounts with a million access rows take some
// 40 MB), so Account values are built when they are asked for. A Snapshot is
// immutable and safe for concurrent use once it is returned.
type Snapshot struct {
	At           time.Time // when the read began
	Version      string    // Matomo's version, such as 5.1.2
	Sites        []access.Site
	Capabilities []plan.Capability
	CanRevoke    bool // the companion plugin is active
	Whole        bool // every account of the instance, not only those asked for
	// TokenTrouble says which strategies should have shown tokens and did not. What
	// they do not show is unknown; the rest of the read is complete all the same,
	// so that a token strategy that fails never keeps access from being removed.
	TokenTrouble map[plan.Strategy]error

	accounts []compact
	index    map[string]int32 // access.FoldLogin -> position in accounts
	rows     []row            // sorted by account, site, level
	starts   []int32          // rows of account i are rows[starts[i]:starts[i+1]]
	levels   []string         // view, write, admin, then capability IDs
	isSite   map[access.SiteID]bool
	orphans  bool // access maps were read, which show orphan rows
	extra    map[int32]extra
	strays   int

	superusers []string // of a snapshot that is not Whole
}

// compact is one account without its access.
type compact struct {
	login, email         string
	registered, lastSeen int64 // unix seconds; 0 unknown
	flags                uint8
}

// Bits of compact.flags.
const (
	flagExists uint8 = 1 << iota
	flagSuperuser
	flagPending
	flagExpired
	flag2FA
)

// row is one access row of Matomo.
type row struct {
	account int32
	site    int32
	level   int16 // position in Snapshot.levels
}

// extra is what only small reads carry.
type extra struct {
	tokens      []plan.Token
	tokensKnown bool
	evidence    *plan.Evidence
}

// Len returns the number of accounts that exist in the snapshot.
func (s *Snapshot) Len() int {
	n := 0
	for i := range s.accounts {
		if s.accounts[i].flags&flagExists != 0 {
			n++
		}
	}
	return n
}

// Account returns what was read about a login, in any spelling. known is false
// when this snapshot cannot tell, because the login was not asked for. A login
// that is known not to exist comes back with Exists unset.
func (s *Snapshot) Account(login string) (a plan.Account, known bool) {
	i, ok := s.index[access.FoldLogin(login)]
	if !ok {
		return plan.Account{Login: login, OrphansKnown: s.orphans, TokensKnown: s.Whole}, s.Whole
	}
	return s.build(i), true
}

// Each yields every account that exists, in Matomo's order. The value is the
// caller's to keep.
func (s *Snapshot) Each() iter.Seq[plan.Account] {
	return func(yield func(plan.Account) bool) {
		for i := range s.accounts {
			if s.accounts[i].flags&flagExists != 0 && !yield(s.build(int32(i))) {
				return
			}
		}
	}
}

// Superusers returns the logins of all superusers that can sign in (no pending
// invitation), in Matomo's order, whichever accounts the snapshot was asked
// for.
func (s *Snapshot) Superusers() []string {
	if !s.Whole {
		return s.superusers
	}
	var out []string
	for _, a := range s.accounts {
		if a.flags&flagSuperuser != 0 && a.flags&(flagPending|flagExpired) == 0 {
			out = append(out, a.login)
		}
	}
	return out
}

// SiteIDs returns the IDs of the sites that exist, ascending: what Policy.Sites
// wants.
func (s *Snapshot) SiteIDs() []access.SiteID {
	out := make([]access.SiteID, len(s.Sites))
	for i, site := range s.Sites {
		out[i] = site.ID
	}
	slices.Sort(out)
	return out
}

// Strays returns the number of access rows whose login is no account's.
func (s *Snapshot) Strays() int { return s.strays }

// build makes the Account at position i.
func (s *Snapshot) build(i int32) plan.Account {
	c := s.accounts[i]
	a := plan.Account{
		Login: c.login, Email: c.email, Exists: c.flags&flagExists != 0, Uses2FA: c.flags&flag2FA != 0,
		Registered: fromUnix(c.registered), LastSeen: fromUnix(c.lastSeen), OrphansKnown: s.orphans,
	}
	switch {
	case c.flags&flagPending != 0:
		a.Invite = plan.InvitePending
	case c.flags&flagExpired != 0:
		a.Invite = plan.InviteExpired
	}
	x := s.extra[i]
	a.Tokens, a.TokensKnown, a.Evidence = x.tokens, x.tokensKnown || !a.Exists, x.evidence
	if c.flags&flagSuperuser != 0 {
		// Matomo keeps no rows for superusers; asked by person it invents admin
		// on every site.
		a.Access.Superuser = true
		return a
	}
	rows := s.rows[s.starts[i]:s.starts[i+1]]
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].site == rows[0].site {
			n++
		}
		s.addSite(&a, rows[:n])
		rows = rows[n:]
	}
	return a
}

// addSite folds the rows of one site into a: the highest role counts, and more
// than one role row is remembered.
func (s *Snapshot) addSite(a *plan.Account, rows []row) {
	id := access.SiteID(rows[0].site)
	if !s.isSite[id] {
		a.Orphans = append(a.Orphans, id)
		return
	}
	var sa access.SiteAccess
	roles := 0
	for k, r := range rows {
		if k > 0 && r.level == rows[k-1].level {
			continue // the same row under two spellings of the login
		}
		name := s.levels[r.level]
		if role, ok := access.ParseRole(name); ok {
			roles++
			sa.Role = access.Higher(sa.Role, role)
		} else {
			sa.Capabilities = append(sa.Capabilities, name)
		}
	}
	if roles > 1 {
		a.Doubled = append(a.Doubled, id)
	}
	if roles == 0 {
		sa.Role = access.NoAccess // a capability row without a role: Matomo shows nothing, the row must still go
		a.Doubled = append(a.Doubled, id)
	}
	sa.Capabilities = access.Capabilities(sa.Capabilities...)
	if a.Access.Sites == nil {
		a.Access.Sites = make(map[access.SiteID]access.SiteAccess)
	}
	a.Access.Sites[id] = sa
}

// newSnapshot starts an empty one that knows the levels of access.
func newSnapshot(at time.Time, caps []plan.Capability) *Snapshot {
	s := &Snapshot{At: at, Capabilities: caps, index: make(map[string]int32), isSite: make(map[access.SiteID]bool)}
	s.levels = []string{string(access.View), string(access.Write), string(access.Admin)}
	for _, c := range caps {
		s.levels = append(s.levels, c.ID)
	}
	return s
}

// addAccount adds one account of getUsers; a second one with the same folded
// login is ignored.
func (s *Snapshot) addAccount(c compact) {
	key := access.FoldLogin(c.login)
	if key == c.login {
		key = c.login // share the memory
	}
	if _, ok := s.index[key]; ok {
		return
	}
	s.index[key] = int32(len(s.accounts)) //nolint:gosec // far fewer than 2^31 accounts
	s.accounts = append(s.accounts, c)
}

// addRow adds one access row; a login nobody has is counted and dropped.
func (s *Snapshot) addRow(login string, site access.SiteID, level int) {
	// Nearly every row has the login as getUsers spells it: look that up before
	// folding.
	i, ok := s.index[login]
	if !ok {
		if i, ok = s.index[access.FoldLogin(login)]; !ok {
			s.strays++
			return
		}
	}
	s.rows = append(s.rows, row{account: i, site: int32(site), level: int16(level)}) //nolint:gosec // site IDs are INT UNSIGNED in Matomo, levels a handful
}

// finish sorts what was added, so that build can find it.
func (s *Snapshot) finish() {
	for _, site := range s.Sites {
		s.isSite[site.ID] = true
	}
	slices.SortFunc(s.Sites, func(a, b access.Site) int { return int(a.ID) - int(b.ID) })
	slices.SortFunc(s.rows, func(a, b row) int {
		switch {
		case a.account != b.account:
			return int(a.account) - int(b.account)
		case a.site != b.site:
			return int(a.site) - int(b.site)
		default:
			return int(a.level) - int(b.level)
		}
	})
	s.starts = make([]int32, len(s.accounts)+1)
	k := 0
	for i := range s.accounts {
		s.starts[i] = int32(k)
		for k < len(s.rows) && int(s.rows[k].account) == i {
			k++
		}
	}
	s.starts[len(s.accounts)] = int32(k)
}

// fromUnix turns stored seconds back into a time; 0 is the zero time.
func fromUnix(sec int64) time.Time {
	if sec == 0 {
		return time.Time{}
	}
	return time.Unix(sec, 0).UTC()
}
