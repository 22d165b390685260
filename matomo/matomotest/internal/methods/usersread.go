package methods

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// Reads of accounts. Recordings 06, 09, 10, 38 and 43.
//
// What is shown depends on who asks: a superuser sees everything, an admin the
// logins on the own sites, everybody the own account and the superusers.

// userExists finds "anonymous" for anybody, and others for whoever sees anything
// at all.
func userExists(c *api.Call) error {
	login := c.Text("userLogin")
	if login != model.Anonymous {
		if err := c.Check(api.LoggedIn, api.SomeView); err != nil {
			return err
		}
	}
	return c.Value(c.Instance.Find(login) != nil)
}

// userEmailExists compares without case, like the unique key (FACTS f).
func userEmailExists(c *api.Call) error { return c.Value(c.FindEmail(c.Text("userEmail")) != nil) }

// getUser answers the stored spelling of the login, whatever was asked.
func getUser(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	return c.Object(func(o *php.Object) { writeUser(c, o, a) })
}

// getUserByEmail refuses with the e-mail in place of the login.
func getUserByEmail(c *api.Call) error {
	a := c.FindEmail(c.Text("userEmail"))
	if a == nil {
		return api.NoSuchUser(c.Text("userEmail"))
	}
	return c.Object(func(o *php.Object) { writeUser(c, o, a) })
}

// getUserLoginFromUserEmail tells any admin, whoever the person is.
func getUserLoginFromUserEmail(c *api.Call) error {
	a := c.FindEmail(c.Text("userEmail"))
	if a == nil {
		return api.NoSuchUser(c.Text("userEmail"))
	}
	return c.Value(a.Login)
}

// getUsers answers everybody, or those of the comma list userLogins who exist.
func getUsers(c *api.Call) error {
	list := c.Visible()
	if want := c.Text("userLogins"); want != "" {
		keys := map[string]bool{}
		for login := range strings.SplitSeq(want, ",") {
			keys[php.Fold(login)] = true
		}
		list = slices.DeleteFunc(slices.Clone(list), func(a *model.Account) bool { return !keys[php.Fold(a.Login)] })
	}
	return c.Objects(len(list), func(o *php.Object, i int) { writeUser(c, o, list[i]) })
}

// getUsersLogin includes "anonymous", and those who are invited.
func getUsersLogin(c *api.Call) error {
	list := c.Visible()
	return c.List(len(list), func(b []byte, i int) []byte { return php.AppendString(b, list[i].Login) })
}

// writeUser writes what the caller may know of an account.
func writeUser(c *api.Call, o *php.Object, a *model.Account) {
	o.Set("login", a.Login)
	if !c.Caller.Superuser() {
		if a.Superuser || a == c.Caller.Account {
			o.Set("email", a.Email)
		}
		o.Set("superuser_access", bit(a.Superuser), "invite_status", a.InviteStatus())
		return
	}
	o.Set("email", a.Email, "superuser_access", bit(a.Superuser))
	writeRegistration(o, a)
	if !a.LastSeen.IsZero() {
		o.Set("last_seen", a.LastSeen.Format(model.DateTime))
	}
	o.Set("invite_status", a.InviteStatus(), "uses_2fa", a.TwoFactor)
}

// writeRegistration writes how the account came to be; null stands for not
// invited.
func writeRegistration(o *php.Object, a *model.Account) {
	o.Set("date_registered", a.Registered.Format(model.DateTime), "invited_by", textOrNull(a.InvitedBy),
		"invite_expired_at", timeOrNull(a.InviteExpires), "invite_accept_at", timeOrNull(a.InviteAccepted))
}

// getUsersHavingSuperUserAccess tells everybody who has logged in, with or
// without access.
func getUsersHavingSuperUserAccess(c *api.Call) error {
	list := c.Superusers()
	return c.Objects(len(list), func(o *php.Object, i int) {
		a := list[i]
		o.Set("login", a.Login, "email", a.Email, "superuser_access", 1, "invite_status", a.InviteStatus())
		if c.Caller.Superuser() {
			o.Set("uses_2fa", a.TwoFactor)
		}
	})
}

// hasSuperUserAccess answers on any token and so tells a dead one from a
// refused call.
func hasSuperUserAccess(c *api.Call) error { return c.Value(c.Caller.Superuser()) }

// getUsersPlusRole is the list of the user management: it has paging of its
// own, before filter_limit comes (trap 1).
func getUsersPlusRole(c *api.Call) error {
	site := c.Int("idSite", 0)
	list := slices.DeleteFunc(slices.Clone(c.Visible()), func(a *model.Account) bool { return !wanted(c, a, site) })
	c.Header.Set("X-Matomo-Total-Results", strconv.Itoa(len(list)))
	list = paged(c, list)
	return c.Objects(len(list), func(o *php.Object, i int) { writeUserPlusRole(c, o, list[i], site) })
}

// wanted applies filter_search and filter_access.
func wanted(c *api.Call, a *model.Account, site int) bool {
	search := php.Fold(c.Text("filter_search"))
	if !strings.Contains(php.Fold(a.Login), search) && !strings.Contains(php.Fold(a.Email), search) {
		return false
	}
	role, _ := a.On(site)
	switch filter := c.Text("filter_access"); filter {
	case "":
		return true
	case "some":
		return a.Superuser || role != ""
	case "superuser":
		return a.Superuser
	default:
		return !a.Superuser && cmp.Or(role, noAccess) == filter
	}
}

// writeUserPlusRole differs from writeUser in more than the role: the flag is a
// bool here, and last_seen a span of time (recording 43).
func writeUserPlusRole(c *api.Call, o *php.Object, a *model.Account, site int) {
	all := c.Caller.Superuser()
	role, capabilities := a.On(site)
	switch {
	case a.Superuser && all:
		role = "superuser"
	case a.Superuser:
		role = model.Admin.String()
	}
	o.Set("login", a.Login)
	if all || a.Superuser || a == c.Caller.Account {
		o.Set("email", a.Email)
	}
	o.Set("superuser_access", a.Superuser)
	if all {
		writeRegistration(o, a)
	}
	o.Set("role", cmp.Or(role, noAccess), "capabilities", capabilities)
	if all && !a.LastSeen.IsZero() {
		s := int(c.Now.Sub(a.LastSeen).Seconds())
		o.Set("last_seen", fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60))
	}
	o.Set("invite_status", a.InviteStatus())
	if all {
		o.Set("uses_2fa", a.TwoFactor)
	}
}

// paged applies the parameters limit and offset of the methods that have them.
func paged[T any](c *api.Call, list []T) []T {
	list = list[min(max(c.Int("offset", 0), 0), len(list)):]
	if limit := c.Int("limit", -1); limit > 0 && limit < len(list) {
		list = list[:limit]
	}
	return list
}

// noAccess is Matomo's word for no role.
const noAccess = "noaccess"

// bit is how a column of MySQL shows a bool.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// textOrNull and timeOrNull show a column without a value as null.
func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format(model.DateTime)
}
