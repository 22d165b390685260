package matomotest

import (
	"crypto/sha256"
	"strings"
	"time"
)

func (c *call) addUser() error {
	login, email := c.text("userLogin"), c.text("email")
	if err := all(c.needSomeAdmin, c.needUsersAdmin, c.confirmIfSession); err != nil {
		return err
	}
	initial := c.integer("initialIdSite", 0)
	if !c.who.superuser() {
		if initial == 0 {
			return refuse(textInitialSite)
		}
		if err := c.needSite(rankAdmin, initial); err != nil {
			return err
		}
	}
	err := all(
		func() error { return c.s.checkLoginLocked(login, email) },
		func() error { return c.s.checkEmailLocked("Email", email, nil) },
	)
	if err != nil {
		return err
	}
	hash, err := c.newPassword()
	if err != nil {
		return err
	}
	a := &account{login: login, email: email, password: hash, registered: c.now, passwordChanged: c.now}
	if err := c.insert(a); err != nil {
		return err
	}
	if initial != 0 {
		c.s.addRowLocked(a, login, initial, roleNames[rankView])
	}
	c.s.tracker.clear()
	return c.success()
}

// insert adds an account as Matomo does: the checks were some time ago, and
// another call may have been faster (trap 7).
func (c *call) insert(a *account) error {
	if err := c.yieldLocked(); err != nil {
		return err
	}
	if c.s.insertLocked(a) != nil {
		return nil
	}
	entry, key := a.login, "PRIMARY"
	if c.s.byKey[fold(a.login)] == nil {
		entry, key = a.email, "uniq_email"
	}
	return refuse("SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '" + entry + "' for key '" + key + "'")
}

// newPassword hashes the parameter password, which _isPasswordHashed says is an
// md5 already.
func (c *call) newPassword() ([sha256.Size]byte, error) {
	password := c.text("password")
	if c.truth("_isPasswordHashed") {
		return sha256.Sum256([]byte(password)), nil
	}
	return hashPassword(password), checkNewPassword(password)
}

func (c *call) updateUser() error {
	login, email := c.text("userLogin"), c.text("email")
	err := all(
		func() error { return c.needSuperuserOrSelf(login) },
		c.needUsersAdmin,
		func() error { return notAnonymous(login) },
	)
	if err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	newPassword := c.text("password") != ""
	hash := a.password
	if newPassword {
		if hash, err = c.newPassword(); err != nil {
			return err
		}
	}
	if email == "" {
		email = a.email
	}
	newEmail := !strings.EqualFold(email, a.email)
	if newEmail {
		if err := c.s.checkEmailLocked("email", email, a); err != nil {
			return err
		}
	}
	if newEmail || newPassword {
		if err := c.confirm(); err != nil {
			return err
		}
	}
	old := a.email
	delete(c.s.byEmail, fold(old))
	a.email, a.password = email, hash
	c.s.byEmail[fold(email)] = a
	if newPassword {
		a.passwordChanged = c.now
	}
	c.s.tracker.clear()
	if err := c.notifyUpdate(a, old, newEmail, newPassword); err != nil {
		return err
	}
	return c.success()
}

// notifyUpdate mails the person. It comes after the write, and its failure is
// the method's (trap 9).
func (c *call) notifyUpdate(a *account, oldEmail string, newEmail, newPassword bool) error {
	if c.s.quietUpdates || (!newEmail && !newPassword) {
		return nil
	}
	if f, broken := c.s.faults.strike(MailError, "", c.method); broken {
		if f.Message != "" {
			return refuse(f.Message)
		}
		return refuse(textMail)
	}
	if newEmail {
		c.s.mailLocked(oldEmail, MailEmailChanged, a.login)
		c.s.mailLocked(a.email, MailEmailChanged, a.login)
	}
	if newPassword {
		c.s.mailLocked(a.email, MailPasswordChanged, a.login)
	}
	return nil
}

func notAnonymous(login string) error {
	if login == anonymousLogin {
		return refuse(textEditAnonymous)
	}
	return nil
}

func (c *call) deleteUser() error {
	login := c.text("userLogin")
	err := all(c.needSomeAdmin, c.needUsersAdmin, c.confirmIfSession, func() error { return notAnonymous(login) })
	if err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	if !c.who.superuser() && (a.invitedBy != c.who.login || !a.pending()) {
		return c.s.noAccess(noSuchUser(login).text) // an admin may take back an invitation, no more
	}
	if c.s.isOnlySuperuserLocked(a, login) {
		return refuse("Deleting user '" + login + "'" + textLastSuperuser)
	}
	c.s.removeLocked(a)
	c.s.dropBelongingsLocked(a)
	c.s.tracker.clear()
	if c.who.account != nil {
		c.s.mailLocked(c.who.account.email, MailUserDeleted, a.login)
	}
	return c.success()
}

// isOnlySuperuserLocked compares the login exactly, as Matomo does.
func (s *Server) isOnlySuperuserLocked(a *account, login string) bool {
	return a.superuser && a.login == login && len(s.superusersLocked()) == 1
}

func (c *call) setSuperUserAccess() error {
	login := c.text("userLogin")
	err := all(c.needSuperuser, c.needUsersAdmin, func() error { return notAnonymous(login) }, c.confirm)
	if err != nil {
		return err
	}
	a, err := c.findLocked(login)
	if err != nil {
		return err
	}
	grant := c.truth("hasSuperUserAccess")
	if !grant && c.s.isOnlySuperuserLocked(a, login) {
		return refuse("Removing the Super User access from user '" + login + "'" + textLastSuperuser)
	}
	c.s.deleteRowsLocked(a, nil)
	a.superuser = grant
	c.s.tracker.clear()
	for _, su := range c.s.superusersLocked() {
		c.s.mailLocked(su.email, MailSuperuserChanged, a.login)
	}
	return c.success()
}

func (c *call) inviteUser() error {
	login, email := c.text("userLogin"), c.text("email")
	if err := all(c.needSomeAdmin, c.needUsersAdmin, c.confirmIfSession); err != nil {
		return err
	}
	site := c.integer("initialIdSite", 0)
	if site == 0 {
		return refuse(textInitialSite)
	}
	if err := c.needSite(rankAdmin, site); err != nil {
		return err
	}
	if c.s.sites[site] == nil {
		return unexpectedSite(c.text("initialIdSite"))
	}
	err := all(
		func() error { return c.s.checkLoginLocked(login, email) },
		func() error { return c.s.checkEmailLocked("Email", email, nil) },
	)
	if err != nil {
		return err
	}
	a := &account{login: login, email: email, registered: c.now, invitedBy: c.who.login, inviteExpires: c.inviteEnd()}
	if err := c.insert(a); err != nil {
		return err
	}
	c.s.addRowLocked(a, login, site, roleNames[rankView])
	c.s.tracker.clear()
	c.s.mailLocked(email, MailInvitation, login)
	return c.success()
}

func (c *call) inviteEnd() time.Time { return c.now.AddDate(0, 0, c.integer("expiryInDays", 7)) }

// invited finds a login whose invitation is open.
func (c *call) invited() (*account, error) {
	if err := c.needSomeAdmin(); err != nil {
		return nil, err
	}
	a := c.s.byKey[fold(c.text("userLogin"))]
	if a == nil || !a.pending() || (!c.who.superuser() && a.invitedBy != c.who.login) {
		return nil, noSuchUser(c.text("userLogin"))
	}
	return a, nil
}

func (c *call) resendInvite() error {
	a, err := c.invited()
	if err != nil {
		return err
	}
	a.inviteExpires = c.inviteEnd()
	c.s.mailLocked(a.email, MailInvitation, a.login)
	return c.success()
}

func (c *call) generateInviteLink() error {
	a, err := c.invited()
	if err != nil {
		return err
	}
	a.inviteExpires = c.inviteEnd()
	return c.value("http://" + c.rq.host + "/index.php?module=Login&action=acceptInvitation&token=" + newSecret())
}

func (c *call) resetTwoFactorAuth() error {
	if err := all(c.needSuperuser, c.confirm); err != nil {
		return err
	}
	if a := c.s.byKey[fold(c.text("userLogin"))]; a != nil {
		a.twoFactor = false
	}
	return c.success()
}
