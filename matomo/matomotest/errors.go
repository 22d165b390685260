package matomotest

import (
	"net/http"
	"strings"
)

// apiError is a refusal by Matomo: a text, and a status that only Matomo 5
// uses for refusals of access.
type apiError struct {
	text   string
	status int // 0 is 200
	// beforeDispatch marks what is raised before the API takes over: it looks
	// only at the URL to choose between JSON and a page (trap 11).
	beforeDispatch bool
}

// Error implements error.
func (e *apiError) Error() string { return e.text }

func refuse(text string) *apiError { return &apiError{text: text} }

// noAccess is a refusal for want of rights: 401 on Matomo 5, 200 before.
func (s *Server) noAccess(text string) *apiError {
	e := &apiError{text: text}
	if s.v5 {
		e.status = http.StatusUnauthorized
	}
	return e
}

// The texts of the recordings.
const (
	textNotLoggedIn     = "You must be logged in to access this functionality."
	textNeedsSuperuser  = "You can't access this resource as it requires a 'superuser' access."
	textNeedsSomeView   = "You can't access this resource as it requires view access for at least one website."
	textNeedsSomeAdmin  = "You can't access this resource as it requires admin access for at least one website."
	textConfirm         = "Please enter your password to confirm this change."
	textWrongPassword   = "The current password you entered is not correct."
	textLocked          = "Too many failed logins. Please wait and try logging in again later."
	textBadToken        = "Unable to authenticate with the provided token. It is either invalid or expired."
	textBadTokenInURL   = "Unable to authenticate with the provided token. It is either invalid, expired or is required to be sent as a POST parameter."
	textDatabaseDown    = "SQLSTATE[HY000] [2002] Connection refused"
	textMail            = "SMTP Error: Could not connect to SMTP host. Failed to connect to server"
	textBoundVariables  = "SQLSTATE[HY093]: Invalid parameter number: number of bound variables does not match number of tokens"
	textUsersDisabled   = "Creating, updating, and deleting users has been disabled."
	textNoMethod        = "The parameter 'method' isn't set in the Request, and a default value wasn't provided."
	textBadMethod       = "The method name is invalid. Expected 'module.methodName'"
	textInitialSite     = "New users must be given access to a website, please set the 'initialIdSite' parameter."
	textEditAnonymous   = "The anonymous user cannot be edited or deleted. It is used by Matomo to define a user that has not logged in yet. For example, you can make your statistics public by granting the 'view' access to the 'anonymous' user."
	textAnonymousAccess = "You can only set access noaccess or view access to the 'anonymous' user."
	textNoSites         = "Specify at least one website ID in &idSites="
	textTwoFactor       = "Please specify a two-factor authentication code."
	textLastSuperuser   = " is not possible. There has to be at least one user with Super User access. Please grant Super User access to another user first."
	textBadLogin        = "Username: The username must be between 2 and 100 characters long and contain only letters, numbers, or the characters '_' or '-' or '.' or '@' or '+'"
)

func missingParam(name string) *apiError {
	return refuse("Please specify a value for '" + name + "'.")
}

func noSuchUser(login string) *apiError { return refuse("User '" + login + "' doesn't exist.") }

func unexpectedSite(id string) *apiError {
	return refuse("An unexpected website was found in the request: website id was set to '" + id + "' .")
}

// lockedOut is the answer to every authenticated call of an address with too
// many failures.
func lockedOut() *apiError {
	return &apiError{text: textLocked, status: http.StatusInternalServerError, beforeDispatch: true}
}

// htmlEntities escapes an error text as Matomo does outside a bulk request:
// the apostrophe stays.
func htmlEntities(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(text)
}
