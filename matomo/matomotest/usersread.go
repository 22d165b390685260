package matomotest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c *call) userExists() error {
	login := c.text("userLogin")
	if login != anonymousLogin {
		if err := all(c.needLogin, c.needSomeView); err != nil {
			return err
		}
	}
	return c.value(c.s.byKey[fold(login)] != nil)
}

func (c *call) userEmailExists() error {
	if err := all(c.needLogin, c.needSomeView); err != nil {
		return err
	}
	return c.value(c.s.byEmail[fold(c.text("userEmail"))] != nil)
}

func (c *call) getUser() error {
	login := c.text("userLogin")
	if err := c.needSuperuserOrSelf(login); err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	return c.object(func(o *object) { c.writeUser(o, a) })
}

func (c *call) getUserByEmail() error {
	if err := c.needSuperuser(); err != nil {
		return err
	}
	a := c.s.byEmail[fold(c.text("userEmail"))]
	if a == nil {
		return noSuchUser(c.text("userEmail"))
	}
	return c.object(func(o *object) { c.writeUser(o, a) })
}

func (c *call) getUserLoginFromUserEmail() error {
	if err := all(c.needLogin, c.needSomeAdmin); err != nil {
		return err
	}
	a := c.s.byEmail[fold(c.text("userEmail"))]
	if a == nil {
		return noSuchUser(c.text("userEmail"))
	}
	return c.value(a.login)
}

func (c *call) getUsers() error {
	users, err := c.visibleUsers()
	if err != nil {
		return err
	}
	if want := c.text("userLogins"); want != "" {
		keys := map[string]bool{}
		for login := range strings.SplitSeq(want, ",") {
			keys[fold(login)] = true
		}
		users = slices.DeleteFunc(slices.Clone(users), func(a *account) bool { return !keys[fold(a.login)] })
	}
	return c.list(len(users), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) { c.writeUser(o, users[i]) })
	})
}

func (c *call) getUsersLogin() error {
	users, err := c.visibleUsers()
	if err != nil {
		return err
	}
	return c.list(len(users), func(b []byte, i int) []byte { return appendString(b, users[i].login) })
}

// visibleUsers is everybody for a superuser, and for an admin those who have an
// access row on one of the admin's sites, and the admin. Matomo compares the
// row's login exactly here.
func (c *call) visibleUsers() ([]*account, error) {
	if err := c.needSomeAdmin(); err != nil {
		return nil, err
	}
	users := c.s.accountsLocked()
	if c.who.superuser() {
		return users, nil
	}
	mine := c.sitesWith(rankAdmin)
	return slices.DeleteFunc(slices.Clone(users), func(a *account) bool {
		return a != c.who.account && !slices.ContainsFunc(a.rows, func(r accessRow) bool {
			return r.login == a.login && slices.Contains(mine, r.site)
		})
	}), nil
}

// writeUser writes what the caller may know of an account.
func (c *call) writeUser(o *object, a *account) {
	o.set("login", a.login)
	if !c.who.superuser() {
		if a.superuser || a == c.who.account {
			o.set("email", a.email)
		}
		o.set("superuser_access", bit(a.superuser))
		o.set("invite_status", a.inviteStatus())
		return
	}
	o.set("email", a.email)
	o.set("superuser_access", bit(a.superuser))
	writeRegistration(o, a)
	if !a.lastSeen.IsZero() {
		o.set("last_seen", a.lastSeen.Format(dateTime))
	}
	o.set("invite_status", a.inviteStatus())
	o.set("uses_2fa", a.twoFactor)
}

func writeRegistration(o *object, a *account) {
	o.set("date_registered", a.registered.Format(dateTime))
	o.set("invited_by", textOrNull(a.invitedBy))
	o.set("invite_expired_at", timeOrNull(a.inviteExpires))
	o.set("invite_accept_at", timeOrNull(a.inviteAccepted))
}

func (c *call) getUsersHavingSuperUserAccess() error {
	if err := c.needLogin(); err != nil {
		return err
	}
	list := c.s.superusersLocked()
	return c.list(len(list), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) {
			o.set("login", list[i].login)
			o.set("email", list[i].email)
			o.set("superuser_access", 1)
			o.set("invite_status", list[i].inviteStatus())
			if c.who.superuser() {
				o.set("uses_2fa", list[i].twoFactor)
			}
		})
	})
}

func (c *call) hasSuperUserAccess() error { return c.value(c.who.superuser()) }

func (c *call) getUsersPlusRole() error {
	id := c.integer("idSite", 0)
	if err := c.needSite(rankAdmin, id); err != nil {
		return err
	}
	users, err := c.visibleUsers()
	if err != nil {
		return err
	}
	users = slices.DeleteFunc(slices.Clone(users), func(a *account) bool { return !c.plusRoleWants(a, id) })
	c.header.Set("X-Matomo-Total-Results", strconv.Itoa(len(users)))
	users = page2(users, c.integer("offset", 0), c.integer("limit", -1))
	return c.list(len(users), func(b []byte, i int) []byte {
		return appendObject(b, func(o *object) { c.writeUserPlusRole(o, users[i], id) })
	})
}

// plusRoleWants applies filter_search and filter_access.
func (c *call) plusRoleWants(a *account, site int) bool {
	if search := fold(c.text("filter_search")); search != "" && !strings.Contains(fold(a.login), search) && !strings.Contains(fold(a.email), search) {
		return false
	}
	role, _ := a.roleOn(site)
	switch filter := c.text("filter_access"); filter {
	case "":
		return true
	case "some":
		return a.superuser || role != ""
	case "superuser":
		return a.superuser
	default:
		return !a.superuser && cmp.Or(role, "noaccess") == filter
	}
}

func (c *call) writeUserPlusRole(o *object, a *account, site int) {
	role, capabilities := a.roleOn(site)
	role = cmp.Or(role, "noaccess")
	o.set("login", a.login)
	if c.who.superuser() || a.superuser || a == c.who.account {
		o.set("email", a.email)
	}
	o.set("superuser_access", a.superuser)
	if c.who.superuser() {
		writeRegistration(o, a)
	}
	if a.superuser {
		role = "superuser"
		if !c.who.superuser() {
			role = "admin"
		}
	}
	o.set("role", role)
	o.set("capabilities", capabilities)
	if c.who.superuser() && !a.lastSeen.IsZero() {
		o.set("last_seen", prettyDuration(c.now.Sub(a.lastSeen)))
	}
	o.set("invite_status", a.inviteStatus())
	if c.who.superuser() {
		o.set("uses_2fa", a.twoFactor)
	}
}

// page2 is the paging of the methods that have limit and offset of their own,
// before filter_limit comes.
func page2[T any](list []T, offset, limit int) []T {
	list = list[min(max(offset, 0), len(list)):]
	if limit > 0 && limit < len(list) {
		list = list[:limit]
	}
	return list
}

func prettyDuration(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

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
	return t.Format(dateTime)
}
