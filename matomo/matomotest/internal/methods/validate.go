package methods

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

const (
	textInitialSite   = "New users must be given access to a website, please set the 'initialIdSite' parameter."
	textLastSuperuser = " is not possible. There has to be at least one user with Super User access. Please grant Super User access to another user first."
	textBadLogin      = "Username: The username must be between 2 and 100 characters long and contain only letters, numbers, or the characters '_' or '-' or '.' or '@' or '+'"
)

// loginBytes are the bytes that Matomo's pattern allows: it lists umlauts
// without the flag for UTF-8, so it means their bytes.
const loginBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@+-ÄäÖöÜüß"

// checkLogin refuses a new login that is taken or malformed. It may be the
// person's own e-mail, but nobody else's.
func checkLogin(c *api.Call, login, email string) error {
	if c.Instance.Find(login) != nil {
		return api.Refuse("Username: Username '" + login + "' already exists.")
	}
	if c.FindEmail(login) != nil && !php.SameText(login, email) {
		return api.Refuse("Username: Username '" + login + "' already used as an email.")
	}
	if len(login) < 2 || len(login) > 100 {
		return api.Refuse(textBadLogin)
	}
	for i := range len(login) {
		if strings.IndexByte(loginBytes, login[i]) < 0 {
			return api.Refuse(textBadLogin)
		}
	}
	return nil
}

// emailPattern is what PHP's filter leaves after Matomo has escaped the
// apostrophe, the ampersand, quotes and angle brackets. The last label begins
// with a letter.
var emailPattern = regexp.MustCompile(`^[A-Za-z0-9!#$%*+/=?^_\x60{|}~-]+(\.[A-Za-z0-9!#$%*+/=?^_\x60{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

// checkEmail refuses an e-mail that is malformed, or another's e-mail or login.
// Matomo starts the text with "Email" for new accounts and "email" for changes.
func checkEmail(c *api.Call, label, email string, own *model.Account) error {
	local, _, _ := strings.Cut(email, "@")
	if len(local) > 64 || !emailPattern.MatchString(email) {
		return api.Refuse(label + `: The value "` + email + `" does not look like a valid email.`)
	}
	if other := c.FindEmail(email); other != nil && other != own {
		return api.Refuse(label + ": User with email '" + email + "' already exists.")
	}
	if other := c.Instance.Find(email); other != nil && other != own {
		return api.Refuse(label + ": Email '" + email + "' already used as a username.") // not in the recordings
	}
	return nil
}

// CheckPassword refuses a password that is too short or too long. The text for
// the short ones is off by one, as Matomo's is.
func CheckPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < 6:
		return api.Refuse("The password length must be greater than 6 characters.")
	case n > 200:
		return api.Refuse("The password length must be less than 200 characters.")
	}
	return nil
}
