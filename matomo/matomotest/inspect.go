package matomotest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
)

// Methods of this file look at the state or change it from the side, as
// somebody with the database or the settings page would. None of them shows up
// in Calls, and a fault touches none of them.

// User is one account as the user table has it.
type User struct {
	Login, Email    string
	Superuser       bool
	Registered      time.Time
	PasswordChanged time.Time
	LastSeen        time.Time // zero: never in a browser
	Invite          string    // "", "pending" or "expired"
	InvitedBy       string
	TwoFactor       bool
	Language        string
}

// Row is one row of the access table: a role or a capability on a site, in the
// spelling of the login that it was written with.
type Row struct {
	Login  string
	Site   int
	Access string
}

// Token is one app token.
type Token struct {
	ID          int
	Secret      string
	Description string
	Created     time.Time
	LastUsed    time.Time
	Expires     time.Time // zero: never
	SecureOnly  bool
}

// AddUser creates an account without access. It fails when login or e-mail are
// taken.
func (s *Server) AddUser(login, email, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &account{login: login, email: email, password: hashPassword(password), registered: now(), passwordChanged: now()}
	if s.insertLocked(a) == nil {
		return errors.New("login or e-mail is taken")
	}
	return nil
}

// change runs f on an account under the lock; it reports whether the login
// exists.
func (s *Server) change(login string, f func(*account)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byKey[fold(login)]
	if a == nil {
		return false
	}
	f(a)
	return true
}

// DeleteUser deletes an account with everything that Matomo deletes with it.
func (s *Server) DeleteUser(login string) bool {
	return s.change(login, func(a *account) {
		s.removeLocked(a)
		s.dropBelongingsLocked(a)
		s.tracker.clear()
	})
}

// Grant writes access rows, without looking at those that are there.
func (s *Server) Grant(login, role string, sites ...int) bool {
	return s.change(login, func(a *account) {
		for _, site := range sites {
			s.addRowLocked(a, login, site, role)
		}
		s.tracker.clear()
	})
}

// Revoke deletes all access rows of some sites, or of all if none is named.
func (s *Server) Revoke(login string, sites ...int) bool {
	return s.change(login, func(a *account) {
		s.deleteRowsLocked(a, sites)
		s.tracker.clear()
	})
}

// SetSuperuser sets or clears the superuser flag and deletes the access rows.
func (s *Server) SetSuperuser(login string, superuser bool) bool {
	return s.change(login, func(a *account) {
		a.superuser = superuser
		s.deleteRowsLocked(a, nil)
		s.tracker.clear()
	})
}

// SetPassword changes a password as the person would in the settings.
func (s *Server) SetPassword(login, password string) bool {
	return s.change(login, func(a *account) { a.password, a.passwordChanged = hashPassword(password), now() })
}

// SetTwoFactor sets up or removes the person's second factor.
func (s *Server) SetTwoFactor(login string, on bool) bool {
	return s.change(login, func(a *account) { a.twoFactor = on })
}

// CheckPassword says whether a password is the person's.
func (s *Server) CheckPassword(login, password string) bool {
	right := false
	s.change(login, func(a *account) { right = a.checkPassword(password) })
	return right
}

// User returns an account, found without regard to case and accents.
func (s *Server) User(login string) (User, bool) {
	var u User
	ok := s.change(login, func(a *account) { u = a.export() })
	return u, ok
}

// Users returns all accounts in Matomo's order, "anonymous" too.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]User, 0, len(s.byKey))
	for _, a := range s.accountsLocked() {
		list = append(list, a.export())
	}
	return list
}

func (a *account) export() User {
	u := User{
		Login: a.login, Email: a.email, Superuser: a.superuser, Registered: a.registered, PasswordChanged: a.passwordChanged,
		LastSeen: a.lastSeen, InvitedBy: a.invitedBy, TwoFactor: a.twoFactor, Language: a.language,
	}
	if a.pending() {
		u.Invite = "pending"
		if a.inviteStatus() == "expired" {
			u.Invite = "expired"
		}
	}
	return u
}

// Rows returns the person's access rows in the order they were written, those
// of sites that do not exist too.
func (s *Server) Rows(login string) []Row {
	var rows []Row
	s.change(login, func(a *account) {
		for _, r := range a.rows {
			rows = append(rows, Row{r.login, r.site, r.access})
		}
	})
	return rows
}

// Access returns the person's access on sites that exist. Where a race left two
// roles on a site, the higher one counts, as it does in Matomo.
func (s *Server) Access(login string) access.Access {
	got := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	s.change(login, func(a *account) {
		got.Superuser = a.superuser
		for _, r := range a.rows {
			if s.sites[r.site] == nil {
				continue
			}
			at := got.Sites[access.SiteID(r.site)]
			if role, ok := access.ParseRole(r.access); ok {
				at.Role = access.Higher(at.Role, role)
			} else {
				at.Capabilities = access.Capabilities(append(slices.Clone(at.Capabilities), r.access)...)
			}
			got.Sites[access.SiteID(r.site)] = at
		}
	})
	return got
}

// Sites returns the sites in the order of their IDs.
func (s *Server) Sites() []Site {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Site, 0, len(s.siteIDs))
	for _, id := range s.siteIDs {
		list = append(list, *s.sites[id])
	}
	return list
}

// AddSite adds a website and returns its ID. Its URL is made of the name.
func (s *Server) AddSite(name, group string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addSiteLocked(&Site{Name: name, Group: group, URL: "http://" + strings.ToLower(strings.ReplaceAll(name, " ", "")) + ".test"})
}

// DeleteSite deletes a website with its access rows and reports.
func (s *Server) DeleteSite(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deleteSiteLocked(id)
}

// MintToken makes an app token as the person would, with the password. It
// needs no access and fails as createAppSpecificTokenAuth does.
func (s *Server) MintToken(login, password string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{
		s: s, ip: localAddress, now: now(),
		p: params{"userLogin": {text: login}, "passwordConfirmation": {text: password}, "description": {text: "minted"}},
	}
	secret, err := c.mint()
	return secret, err
}

// Tokens returns the person's tokens, oldest first.
func (s *Server) Tokens(login string) []Token {
	var list []Token
	s.change(login, func(a *account) {
		for _, t := range a.tokens {
			list = append(list, Token{t.id, t.secret, t.description, t.created, t.lastUsed, t.expires, t.secureOnly})
		}
	})
	return list
}

// TokenAlive says whether a token still identifies somebody, with or without
// access.
func (s *Server) TokenAlive(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[secret].alive(now())
}

// TokenWorks says whether a token gets an answer from API.getMatomoVersion: it
// is alive and its owner has some access.
func (s *Server) TokenWorks(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[secret]
	if !t.alive(now()) {
		return false
	}
	c := &call{s: s, who: caller{account: t.owner, login: t.owner.login}}
	return c.needSomeView() == nil
}

// TrackingAccepted says whether the Tracking API accepts a token for a site's
// protected parameters now. It fills the tracker cache as a tracking request
// does.
func (s *Server) TrackingAccepted(secret string, site int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trackingLocked(secret, site)
}

// DeleteTokens deletes the rows of the person's tokens in the database, past
// the tracker cache, and returns how many there were.
func (s *Server) DeleteTokens(login string) int {
	n := 0
	s.change(login, func(a *account) { n = s.deleteTokensLocked(a, 0) })
	return n
}

// ExpireTokens sets the expiry of the person's tokens in the database; the zero
// time takes it back.
func (s *Server) ExpireTokens(login string, at time.Time) bool {
	return s.change(login, func(a *account) {
		for _, t := range a.tokens {
			t.expires = at
		}
	})
}

// ClearTrackerCache does what a write in the user management does.
func (s *Server) ClearTrackerCache() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracker.clear()
}

// AddReport schedules a report and returns its ID.
func (s *Server) AddReport(r Report) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastReport++
	r.ID = s.lastReport
	if r.Created.IsZero() {
		r.Created = now()
	}
	s.reports = append(s.reports, &r)
	return r.ID
}

// Reports returns the scheduled reports.
func (s *Server) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Report
	for _, r := range s.reports {
		list = append(list, *r)
	}
	return list
}

// SegmentOwners returns who owns each segment, by its name.
func (s *Server) SegmentOwners() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	owners := map[string]string{}
	for _, seg := range s.segments {
		owners[seg.name] = seg.login
	}
	return owners
}

// Preference returns a preference of a login, which outlives the account.
func (s *Server) Preference(login, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.preferences[fold(login)][name]
}
