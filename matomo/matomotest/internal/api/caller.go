package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// Caller is who makes a call.
type Caller struct {
	// Account is that of "anonymous" without a token, and nil for a bad token
	// on Matomo 4, which has not even the rights of anonymous.
	Account *model.Account
}

// Superuser says whether the caller may do everything.
func (w Caller) Superuser() bool { return w.Account != nil && w.Account.Superuser }

// Anonymous says whether nobody has logged in.
func (w Caller) Anonymous() bool { return w.Account == nil || w.Account.Login == model.Anonymous }

// Login returns the caller's login, "anonymous" for nobody.
func (w Caller) Login() string {
	if w.Account == nil {
		return model.Anonymous
	}
	return w.Account.Login
}

// Is says whether the login is the caller's, letter by letter.
func (w Caller) Is(login string) bool { return !w.Anonymous() && w.Account.Login == login }

// identify finds out who sends the request. What it refuses is refused before
// the API takes over.
func (c *Call) identify() error {
	if _, down := c.Faults.strike(DatabaseDown, "", c.Method); down {
		return &Refusal{text: textDatabaseDown, status: http.StatusInternalServerError, early: true}
	}
	c.Lock()
	defer c.Unlock()
	// A token in the body wins, and only one in the URL can be refused for being
	// there.
	if !c.rq.body["token_auth"].Empty() {
		return c.identifyBy(c.rq.body["token_auth"].Text, false)
	}
	return c.identifyBy(c.rq.query["token_auth"].Text, true)
}

// identifyBy finds the caller by a token. The address of a request with a token
// is checked against the log of failures; one without is not.
func (c *Call) identifyBy(secret string, inURL bool) error {
	c.Caller.Account = c.Instance.Find(model.Anonymous)
	if secret != "" && secret != model.Anonymous {
		// The lock comes first: even a right token is refused, and the attempt is
		// not counted again (recording 37).
		if _, locked := c.Faults.strike(Locked, "", c.Method); locked || c.LockedOut(c.rq.ip) {
			return &Refusal{text: textLocked, status: http.StatusInternalServerError, early: true}
		}
		t := c.Token(secret)
		if !t.Alive() || (inURL && c.V5 && (c.PostTokens || t.SecureOnly)) {
			c.Fail(c.rq.ip)
			if c.V5 {
				return badToken(inURL)
			}
			// Matomo 4 goes on with no rights at all, so every method answers in
			// its own way, lists with nothing (recording 49).
			t = &model.Token{} // nobody's
		}
		t.LastUsed = c.Now
		c.Caller.Account = t.Owner
	}
	if len(c.AllowOnly) > 0 && !slices.Contains(c.AllowOnly, c.rq.ip) {
		return c.NoAccess("You cannot use this Matomo as your IP " + c.rq.ip + " is not allowed.")
	}
	return nil
}

// SitesWith returns the existing sites, in order, on which the caller has at
// least a role. The caller must not change the slice.
func (c *Call) SitesWith(least model.Rank) []int {
	if c.Caller.Account == nil {
		return nil
	}
	return c.SitesOf(c.Caller.Account, least)
}

// The checks below are written into the table of methods. Each answers the
// text that Matomo has for it; where a method needs two, the order is Matomo's.

// Superuser asks for a superuser.
func Superuser(c *Call) error {
	if !c.Caller.Superuser() {
		return c.NoAccess(textNeedsSuperuser)
	}
	return nil
}

// LoggedIn asks for anybody with a good token.
func LoggedIn(c *Call) error {
	if c.Caller.Anonymous() {
		return c.NoAccess(textNotLoggedIn)
	}
	return nil
}

// SomeView asks for a role on any site.
func SomeView(c *Call) error {
	if !c.Caller.Superuser() && len(c.SitesWith(model.View)) == 0 {
		return c.NoAccess(textNeedsSomeView)
	}
	return nil
}

// SomeAdmin asks for admin on any site.
func SomeAdmin(c *Call) error {
	if !c.Caller.Superuser() && len(c.SitesWith(model.Admin)) == 0 {
		return c.NoAccess(textNeedsSomeAdmin)
	}
	return nil
}

// OnSite asks for a role on the site that parameter idSite names.
func OnSite(least model.Rank) Check {
	return func(c *Call) error { return c.NeedSites(least, c.Int("idSite", 0)) }
}

// NeedSites asks for a role on sites; a superuser has it on sites that do not
// exist, too (trap 6).
func (c *Call) NeedSites(least model.Rank, ids ...int) error {
	if c.Caller.Superuser() {
		return nil
	}
	have := c.SitesWith(least)
	for _, id := range ids {
		if !slices.Contains(have, id) {
			return c.NoAccess("You can't access this resource as it requires '" + least.String() + "' access for the website id = " + strconv.Itoa(id) + ".")
		}
	}
	return nil
}

// SuperuserOrSelf asks for a superuser or the person whom the parameter names.
func SuperuserOrSelf(param string) Check {
	return func(c *Call) error {
		login := c.Text(param)
		if c.Caller.Superuser() || c.Caller.Is(login) {
			return nil
		}
		return c.NoAccess("The user has to be either a Super User or the user '" + login + "' itself.")
	}
}

// NotAnonymous refuses changes of the account of everybody.
func NotAnonymous(c *Call) error {
	if c.Text("userLogin") == model.Anonymous {
		return Refuse(textEditAnonymous)
	}
	return nil
}

// NotAnonymousAnySpelling does so however the login is written: the core's methods
// compare the parameter, the companion plugin the account that was found.
func NotAnonymousAnySpelling(c *Call) error {
	if a := c.Instance.Find(c.Text("userLogin")); a != nil && a.Login == model.Anonymous {
		return Refuse(textEditAnonymous)
	}
	return nil
}

// UsersAdmin asks for Matomo's setting enable_users_admin.
func UsersAdmin(c *Call) error {
	if _, off := c.Faults.strike(UsersAdminDisabled, "", c.Method); off {
		return Refuse(textUsersDisabled)
	}
	return nil
}

// Confirm asks for the caller's own password.
func Confirm(c *Call) error {
	switch given := c.Text("passwordConfirmation"); {
	case given == "":
		return Refuse(textConfirm)
	case c.Caller.Account == nil || !c.Caller.Account.Knows(given):
		return c.WrongPassword()
	}
	return nil
}

// ConfirmSession asks for the password only on behalf of a browser session.
func ConfirmSession(c *Call) error {
	if !c.True("force_api_session") {
		return nil
	}
	return Confirm(c)
}
