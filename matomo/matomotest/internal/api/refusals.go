package api

import "net/http"

// Refusal is an error that Matomo answers: a text, and a status that only
// Matomo 5 uses, for want of rights.
type Refusal struct {
	text   string
	status int  // 0 is 200
	early  bool // raised before the API takes over: JSON or a page by the URL alone
}

// Error returns Matomo's text, unescaped.
func (e *Refusal) Error() string { return e.text }

// Refuse returns a refusal with status 200.
func Refuse(text string) *Refusal { return &Refusal{text: text} }

// NoAccess returns a refusal for want of rights: 401 on Matomo 5, 200 before.
func (c *Call) NoAccess(text string) *Refusal {
	if c.V5 {
		return &Refusal{text: text, status: http.StatusUnauthorized}
	}
	return Refuse(text)
}

// WrongPassword logs a failure and refuses.
func (c *Call) WrongPassword() *Refusal {
	c.Fail(c.rq.ip)
	return Refuse(textWrongPassword)
}

// NeedUnlocked refuses an address that has failed too often, for methods that
// take a password instead of a token.
func NeedUnlocked(c *Call) error {
	if c.LockedOut(c.rq.ip) {
		return &Refusal{text: textLocked, status: http.StatusInternalServerError}
	}
	return nil
}

// NeedSecondFactor is the answer to a right password alone, on both versions.
func NeedSecondFactor() *Refusal {
	return &Refusal{text: textTwoFactor, status: http.StatusUnauthorized}
}

// MissingParam is the refusal of a call without a parameter it needs.
func MissingParam(name string) *Refusal { return Refuse("Please specify a value for '" + name + "'.") }

// NoSuchUser is the refusal for a login that is not there.
func NoSuchUser(login string) *Refusal { return Refuse("User '" + login + "' doesn't exist.") }

// UnexpectedSite is the refusal for a site that is not there.
func UnexpectedSite(id string) *Refusal {
	return Refuse("An unexpected website was found in the request: website id was set to '" + id + "' .")
}

// badToken is how Matomo 5 refuses a token that is unknown or has expired, or
// that may not be in a URL.
func badToken(inURL bool) *Refusal {
	text := "Unable to authenticate with the provided token. It is either invalid or expired."
	if inURL {
		text = "Unable to authenticate with the provided token. It is either invalid, expired or is required to be sent as a POST parameter."
	}
	return &Refusal{text: text, status: http.StatusUnauthorized, early: true}
}

// The texts of the recordings.
const (
	textNotLoggedIn    = "You must be logged in to access this functionality."
	textNeedsSuperuser = "You can't access this resource as it requires a 'superuser' access."
	textNeedsSomeView  = "You can't access this resource as it requires view access for at least one website."
	textNeedsSomeAdmin = "You can't access this resource as it requires admin access for at least one website."
	textConfirm        = "Please enter your password to confirm this change."
	textWrongPassword  = "The current password you entered is not correct."
	textLocked         = "Too many failed logins. Please wait and try logging in again later."
	textDatabaseDown   = "SQLSTATE[HY000] [2002] Connection refused"
	textMail           = "SMTP Error: Could not connect to SMTP host. Failed to connect to server"
	textBoundVariables = "SQLSTATE[HY093]: Invalid parameter number: number of bound variables does not match number of tokens"
	textUsersDisabled  = "Creating, updating, and deleting users has been disabled."
	textNoMethod       = "The parameter 'method' isn't set in the Request, and a default value wasn't provided."
	textBadMethod      = "The method name is invalid. Expected 'module.methodName'"
	textEditAnonymous  = "The anonymous user cannot be edited or deleted. It is used by Matomo to define a user that has not logged in yet. For example, you can make your statistics public by granting the 'view' access to the 'anonymous' user."
	textTwoFactor      = "Please specify a two-factor authentication code."
)
