package methods

import (
	"strings"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// Writes to accounts. Recordings 02 to 05, 11, 12, 17, 26, 30 and 31.
//
// Each follows Matomo's order: rights (in the table), what is malformed or taken,
// the password of the caller where it is asked for, the write, the mails. No
// method here writes access for a site without going through model.AddRow.

// addUser adds an account without access. An admin who is no superuser has to
// name one of the own sites.
func addUser(c *api.Call) error {
	site := c.Int("initialIdSite", 0)
	if !c.Caller.Superuser() {
		if site == 0 {
			return api.Refuse(textInitialSite)
		}
		if err := c.NeedSites(model.Admin, site); err != nil {
			return err
		}
	}
	a := &model.Account{Login: c.Text("userLogin"), Email: c.Text("email"), Registered: c.Now, PasswordChanged: c.Now}
	if err := checkAccount(c, a); err != nil {
		return err
	}
	var err error
	if a.Password, err = newPassword(c); err != nil {
		return err
	}
	if err := insert(c, a); err != nil {
		return err
	}
	if site != 0 {
		c.AddRow(a, a.Login, site, model.View.String())
	}
	return c.Success()
}

// checkAccount refuses a login or an e-mail that is malformed or taken.
func checkAccount(c *api.Call, a *model.Account) error {
	if err := checkLogin(c, a.Login, a.Email); err != nil {
		return err
	}
	return checkEmail(c, "Email", a.Email, nil)
}

// insert adds an account as Matomo does: the checks were some time ago, and
// another call may have been faster (trap 7).
func insert(c *api.Call, a *model.Account) error {
	if err := c.Yield(); err != nil {
		return err
	}
	c.ClearTracker()
	if c.Insert(a) {
		return nil
	}
	entry, key := a.Login, "PRIMARY"
	if c.Instance.Find(a.Login) == nil {
		entry, key = a.Email, "uniq_email"
	}
	return api.Refuse("SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '" + entry + "' for key '" + key + "'")
}

// newPassword hashes the parameter password, which _isPasswordHashed says is an
// md5 already.
func newPassword(c *api.Call) (model.Hash, error) {
	password := c.Text("password")
	if c.True("_isPasswordHashed") {
		return model.HashMD5(password), nil
	}
	return model.HashPassword(password), CheckPassword(password)
}

// updateUser changes e-mail and password. It writes first and mails then, and
// the failure of the mail is its own (trap 9).
func updateUser(c *api.Call) error {
	a, err := c.Find(c.Text("userLogin"))
	if err != nil {
		return err
	}
	// Matomo checks everything it was given before it asks for the password, so
	// a mistake in the new values is told even without one.
	hash, email, old := a.Password, c.Text("email"), a.Email
	newSecret := c.Text("password") != ""
	if newSecret {
		if hash, err = newPassword(c); err != nil {
			return err
		}
	}
	if email == "" {
		email = old
	}
	// A change of case alone is written, without a password and without a mail
	// (recording 12).
	newEmail := !strings.EqualFold(email, old)
	if newEmail {
		if err := checkEmail(c, "email", email, a); err != nil {
			return err
		}
	}
	if newEmail || newSecret {
		if err := api.Confirm(c); err != nil {
			return err
		}
	}
	c.SetEmail(a, email)
	if newSecret {
		a.Password, a.PasswordChanged = hash, c.Now
	}
	c.ClearTracker()
	if err := notify(c, a, old, newEmail, newSecret); err != nil {
		return err
	}
	return c.Success()
}

// notify mails a person about changes of the account.
func notify(c *api.Call, a *model.Account, oldEmail string, newEmail, newSecret bool) error {
	if c.QuietUpdates || (!newEmail && !newSecret) {
		return nil
	}
	if err := c.MailFails(); err != nil {
		return err
	}
	if newEmail {
		c.Mail(oldEmail, model.MailEmailChanged, a.Login)
		c.Mail(a.Email, model.MailEmailChanged, a.Login)
	}
	if newSecret {
		c.Mail(a.Email, model.MailPasswordChanged, a.Login)
	}
	return nil
}

// deleteUser deletes an account. An admin who is no superuser may take back an
// invitation, no more.
func deleteUser(c *api.Call) error {
	login := c.Text("userLogin")
	a, err := c.Find(login)
	if err != nil {
		return err
	}
	if !c.Caller.Superuser() && (!c.Caller.Is(a.InvitedBy) || !a.Pending()) {
		return c.NoAccess(api.NoSuchUser(login).Error())
	}
	if onlySuperuser(c, a, login) {
		return api.Refuse("Deleting user '" + login + "'" + textLastSuperuser)
	}
	c.Delete(a)
	c.Mail(c.Caller.Account.Email, model.MailUserDeleted, a.Login)
	return c.Success()
}

// onlySuperuser compares the login letter by letter, as Matomo does.
func onlySuperuser(c *api.Call, a *model.Account, login string) bool {
	return a.Superuser && a.Login == login && len(c.Superusers()) == 1
}

// setSuperUserAccess grants or takes the flag, and the access rows go either
// way (trap 8).
func setSuperUserAccess(c *api.Call) error {
	login := c.Text("userLogin")
	a, err := c.Find(login)
	if err != nil {
		return err
	}
	// The rows go even if nothing changes (recording 11).
	grant := c.True("hasSuperUserAccess")
	if !grant && onlySuperuser(c, a, login) {
		return api.Refuse("Removing the Super User access from user '" + login + "'" + textLastSuperuser)
	}
	c.DeleteAccess(a)
	a.Superuser = grant
	c.ClearTracker()
	for _, su := range c.Superusers() {
		c.Mail(su.Email, model.MailSuperuserChanged, a.Login)
	}
	return c.Success()
}

// inviteUser adds an account that waits for its person to accept.
func inviteUser(c *api.Call) error {
	site := c.Int("initialIdSite", 0)
	if site == 0 {
		return api.Refuse(textInitialSite)
	}
	if err := c.NeedSites(model.Admin, site); err != nil {
		return err
	}
	if c.Site(site) == nil {
		return api.UnexpectedSite(c.Text("initialIdSite"))
	}
	a := &model.Account{
		Login: c.Text("userLogin"), Email: c.Text("email"), Registered: c.Now,
		InvitedBy: c.Caller.Login(), InviteExpires: inviteEnd(c),
	}
	if err := checkAccount(c, a); err != nil {
		return err
	}
	if err := insert(c, a); err != nil {
		return err
	}
	c.AddRow(a, a.Login, site, model.View.String())
	c.Mail(a.Email, model.MailInvitation, a.Login)
	return c.Success()
}

// inviteEnd is a week from now unless the call says otherwise.
func inviteEnd(c *api.Call) time.Time { return c.Now.AddDate(0, 0, c.Int("expiryInDays", 7)) }

// renewInvite finds a login whose invitation is open and prolongs it.
func renewInvite(c *api.Call) (*model.Account, error) {
	a := c.Instance.Find(c.Text("userLogin"))
	if a == nil || !a.Pending() || (!c.Caller.Superuser() && !c.Caller.Is(a.InvitedBy)) {
		return nil, api.NoSuchUser(c.Text("userLogin"))
	}
	a.InviteExpires = inviteEnd(c)
	return a, nil
}

// resendInvite mails once more; for everybody else the login does not exist.
func resendInvite(c *api.Call) error {
	a, err := renewInvite(c)
	if err != nil {
		return err
	}
	c.Mail(a.Email, model.MailInvitation, a.Login)
	return c.Success()
}

// generateInviteLink makes the link of the mail without the mail.
func generateInviteLink(c *api.Call) error {
	if _, err := renewInvite(c); err != nil {
		return err
	}
	return c.Value("http://" + c.Host() + "/index.php?module=Login&action=acceptInvitation&token=" + model.NewSecret())
}

// resetTwoFactor succeeds for logins that do not exist, too.
func resetTwoFactor(c *api.Call) error {
	if a := c.Instance.Find(c.Text("userLogin")); a != nil {
		a.TwoFactor = false
	}
	return c.Success()
}
