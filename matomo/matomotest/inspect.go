package matomotest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// The methods of this file look at the state or change it from the side, as
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
	LastUsed    time.Time // by the Reporting API; zero: never
	Expires     time.Time // zero: never
	SecureOnly  bool
}

// AddUser creates an account without access. It fails when login or e-mail are
// taken.
func (s *Server) AddUser(login, email, password string) error {
	s.api.Lock()
	defer s.api.Unlock()
	a := &model.Account{Login: login, Email: email, Password: model.HashPassword(password), Registered: model.Now(), PasswordChanged: model.Now()}
	if !s.api.Insert(a) {
		return errors.New("login or e-mail is taken")
	}
	return nil
}

// change runs f on an account under the lock; it reports whether the login,
// found without regard to case and accents, exists.
func (s *Server) change(login string, f func(*model.Account)) bool {
	s.api.Lock()
	defer s.api.Unlock()
	a := s.api.Find(login)
	if a == nil {
		return false
	}
	f(a)
	return true
}

// DeleteUser deletes an account with everything that Matomo deletes with it. It
// returns false if there is none, as all methods here do that name a login.
func (s *Server) DeleteUser(login string) bool { return s.change(login, s.api.Delete) }

// Grant writes access rows, without looking at those that are there.
func (s *Server) Grant(login, role string, sites ...int) bool {
	return s.change(login, func(a *model.Account) {
		for _, site := range sites {
			s.api.AddRow(a, login, site, role)
		}
		s.api.ClearTracker()
	})
}

// Revoke deletes all access rows of some sites, or of all if none is named.
func (s *Server) Revoke(login string, sites ...int) bool {
	return s.change(login, func(a *model.Account) {
		s.api.DeleteAccess(a, sites...)
		s.api.ClearTracker()
	})
}

// SetSuperuser sets or clears the superuser flag and deletes the access rows.
func (s *Server) SetSuperuser(login string, superuser bool) bool {
	return s.change(login, func(a *model.Account) {
		a.Superuser = superuser
		s.api.DeleteAccess(a)
		s.api.ClearTracker()
	})
}

// SetPassword changes a password as the person would in the settings.
func (s *Server) SetPassword(login, password string) bool {
	return s.change(login, func(a *model.Account) {
		a.Password, a.PasswordChanged = model.HashPassword(password), model.Now()
	})
}

// SetTwoFactor sets up or removes the person's second factor.
func (s *Server) SetTwoFactor(login string, on bool) bool {
	return s.change(login, func(a *model.Account) { a.TwoFactor = on })
}

// CheckPassword says whether a password is the person's.
func (s *Server) CheckPassword(login, password string) bool {
	right := false
	s.change(login, func(a *model.Account) { right = a.Knows(password) })
	return right
}

// User returns an account.
func (s *Server) User(login string) (User, bool) {
	var u User
	ok := s.change(login, func(a *model.Account) { u = export(a) })
	return u, ok
}

// Users returns all accounts in Matomo's order, "anonymous" too.
func (s *Server) Users() []User {
	s.api.Lock()
	defer s.api.Unlock()
	var list []User
	for _, a := range s.api.Accounts() {
		list = append(list, export(a))
	}
	return list
}

// export copies what tests may see of an account.
// The password stays inside; see CheckPassword.
func export(a *model.Account) User {
	u := User{
		Login: a.Login, Email: a.Email, Superuser: a.Superuser, Registered: a.Registered, PasswordChanged: a.PasswordChanged,
		LastSeen: a.LastSeen, InvitedBy: a.InvitedBy, TwoFactor: a.TwoFactor, Language: a.Language,
	}
	switch {
	case a.InviteStatus() == "expired":
		u.Invite = "expired"
	case a.Pending():
		u.Invite = "pending"
	}
	return u
}

// Rows returns the person's access rows in the order in which they were
// written, those of sites that do not exist too.
func (s *Server) Rows(login string) []Row {
	var rows []Row
	s.change(login, func(a *model.Account) {
		for _, r := range a.Rows {
			rows = append(rows, Row{r.Login, r.Site, r.Access})
		}
	})
	return rows
}

// Access returns the person's access on sites that exist. Where a race left two
// roles on a site, the higher one counts, as it does in Matomo.
func (s *Server) Access(login string) access.Access {
	got := access.Access{Sites: map[access.SiteID]access.SiteAccess{}}
	s.change(login, func(a *model.Account) {
		got.Superuser = a.Superuser
		for _, r := range s.api.RowsOf(a) {
			at := got.Sites[access.SiteID(r.Site)]
			if role, ok := access.ParseRole(r.Access); ok {
				at.Role = access.Higher(at.Role, role)
			} else {
				at.Capabilities = access.Capabilities(append(slices.Clone(at.Capabilities), r.Access)...)
			}
			got.Sites[access.SiteID(r.Site)] = at
		}
	})
	return got
}

// Sites returns the sites in the order of their IDs.
func (s *Server) Sites() []Site {
	s.api.Lock()
	defer s.api.Unlock()
	var list []Site
	for _, id := range s.api.SiteIDs() {
		list = append(list, *s.api.Site(id))
	}
	return list
}

// AddSite adds a website and returns its ID. Its URL is made of the name.
func (s *Server) AddSite(name, group string) int {
	s.api.Lock()
	defer s.api.Unlock()
	host := strings.ToLower(strings.ReplaceAll(name, " ", ""))
	return s.api.AddSite(Site{Name: name, Group: group, URL: "http://" + host + ".test"})
}

// DeleteSite deletes a website with its access rows and reports.
func (s *Server) DeleteSite(id int) bool {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.DeleteSite(id)
}

// Tokens returns the person's tokens, oldest first.
func (s *Server) Tokens(login string) []Token {
	var list []Token
	s.change(login, func(a *model.Account) {
		for _, t := range a.Tokens {
			list = append(list, Token{t.ID, t.Secret, t.Description, t.Created, t.LastUsed, t.Expires, t.SecureOnly})
		}
	})
	return list
}

// TokenAlive says whether a token still identifies somebody, with or without
// access.
func (s *Server) TokenAlive(secret string) bool {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.Token(secret).Alive()
}

// TokenWorks says whether a token gets an answer from API.getMatomoVersion: it
// is alive and its owner has some access.
func (s *Server) TokenWorks(secret string) bool {
	s.api.Lock()
	defer s.api.Unlock()
	t := s.api.Token(secret)
	return t.Alive() && (t.Owner.Superuser || len(s.api.SitesOf(t.Owner, model.View)) > 0)
}

// TrackingAccepted says whether the Tracking API accepts a token for a site's
// protected parameters now. It fills the tracker cache as a tracking request
// does.
func (s *Server) TrackingAccepted(secret string, site int) bool {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.Tracks(secret, site)
}

// DeleteTokens deletes the rows of the person's tokens in the database, past
// the tracker cache, and returns how many there were.
func (s *Server) DeleteTokens(login string) int {
	n := 0
	s.change(login, func(a *model.Account) { n = s.api.DeleteTokens(a, 0) })
	return n
}

// ExpireTokens sets the expiry of the person's tokens in the database; the zero
// time takes it back.
func (s *Server) ExpireTokens(login string, at time.Time) bool {
	return s.change(login, func(a *model.Account) {
		for _, t := range a.Tokens {
			t.Expires = at
		}
	})
}

// AgeToken makes the person's youngest token as old as age.
func (s *Server) AgeToken(login string, age time.Duration) bool {
	return s.change(login, func(a *model.Account) {
		if n := len(a.Tokens); n > 0 {
			a.Tokens[n-1].Created = model.Now().Add(-age)
		}
	})
}

// ClearTrackerCache does what every write in the user management does.
func (s *Server) ClearTrackerCache() {
	s.api.Lock()
	defer s.api.Unlock()
	s.api.ClearTracker()
}

// AddReport schedules a report and returns its ID.
func (s *Server) AddReport(r Report) int {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.AddReport(r)
}

// Reports returns the scheduled reports.
func (s *Server) Reports() []Report {
	s.api.Lock()
	defer s.api.Unlock()
	var list []Report
	for _, r := range s.api.Reports {
		list = append(list, *r)
	}
	return list
}

// SegmentOwners returns who owns each segment, by its name.
func (s *Server) SegmentOwners() map[string]string {
	s.api.Lock()
	defer s.api.Unlock()
	owners := map[string]string{}
	for _, seg := range s.api.Segments {
		owners[seg.Name] = seg.Login
	}
	return owners
}

// Preference returns a preference of a login, which outlives the account, and
// whether there is one.
func (s *Server) Preference(login, name string) (string, bool) {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.Preference(login, name)
}
