package wire

import (
	"html"
	"net/http"
	"strings"
)

// sign is one way Matomo says something: a piece of its message, and what it
// means. English: requests ask for language=en.
type sign struct {
	text string
	kind ErrorKind
}

// signs are looked through in order; the first that occurs decides. Every text
// was recorded on 5.1.2 and 4.16.1.
var signs = []sign{ //nolint:gochecknoglobals // a table that nothing writes
	{"Unable to authenticate with the provided token", BadToken},
	{"Too many failed logins", LockedOut},
	{"undergoing maintenance", Maintenance},
	{"You cannot use this Matomo as your IP", IPRefused},
	{"The current password you entered is not correct", WrongPassword},
	{"Please enter your password to confirm this change", NeedsPassword},
	{"Creating, updating, and deleting users has been disabled", UsersDisabled},
	{"You must be logged in", NoPermission},
	{"You can't access this resource as it requires", NoPermission},
	{"The user has to be either a Super User", NoPermission},
	{"does not exist or is not available in the module", UnknownMethod},
	{"is not enabled. You can activate the plugin", UnknownMethod},
	{"There has to be at least one user with Super User access", LastSuperuser},
	{"has Super User access and has already permission", IsSuperuser},
	{"for key 'uniq_email'", DuplicateEmail},
	{"for key 'PRIMARY'", DuplicateLogin},
	{"User with email", DuplicateEmail},
	{"already used as a username", DuplicateEmail},
	{"already used as an email", DuplicateLogin},
	{"already exists.", DuplicateLogin},
	{"doesn't exist.", UserMissing},
	{"does not look like a valid email", Validation},
	{"The username must be between", Validation},
	{"The password length must be", Validation},
	{"Please specify a value for", Validation},
	{"The parameter access must have one of", Validation},
	{"No role is set but one of these", Validation},
	{"Only one role can be set", Validation},
	{"Specify at least one website ID", Validation},
	{"An unexpected website was found", Validation},
	{"New users must be given access to a website", Validation},
	{"The anonymous user cannot be edited or deleted", Validation},
	{"SQLSTATE[HY000]", ServerFailure},
}

// duplicateKey begins what the database says when two calls add the same login
// at once.
const duplicateKey = "1062 Duplicate entry"

// classify turns a refusal into an Error. status is 0 for a member of a bulk
// request.
//
// Matomo has no error codes. Its words decide first, because before version 5
// nearly every refusal comes with HTTP 200; the status decides only about what
// Matomo itself did not say: proxies, maintenance pages, crashes.
func classify(method string, status int, message string) *Error {
	message = html.UnescapeString(strings.TrimSpace(message))
	e := &Error{Kind: Refused, Method: method, Message: message, Status: status}
	for _, s := range signs {
		if strings.Contains(message, s.text) {
			e.Kind = s.kind
			return e
		}
	}
	switch {
	case strings.Contains(message, duplicateKey):
		e.Kind = DuplicateLogin
	case status == http.StatusTooManyRequests:
		e.Kind = RateLimited
	case status >= 300 && status < 400:
		e.Kind = Redirected
	case status == http.StatusServiceUnavailable:
		e.Kind = Maintenance
	case status >= 500:
		e.Kind = ServerFailure
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Kind = NoPermission
	case status >= 400:
		e.Kind = Malformed
	}
	return e
}

// pageText shortens an HTML error page to what it says: its content box, else
// its title, at most 300 bytes.
func pageText(page string) string {
	if i := strings.Index(page, `class="content"`); i >= 0 {
		page = page[i+len(`class="content"`):]
		_, page, _ = strings.Cut(page, ">")
	} else if _, rest, ok := strings.Cut(page, "<title>"); ok {
		page, _, _ = strings.Cut(rest, "</title>")
	}
	var b strings.Builder
	depth := 0
	for _, r := range page {
		switch {
		case r == '<':
			depth++
		case r == '>' && depth > 0:
			depth--
			b.WriteByte(' ')
		case depth == 0:
			b.WriteRune(r)
		}
		if b.Len() > 1200 {
			break
		}
	}
	text := strings.Join(strings.Fields(html.UnescapeString(b.String())), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "")
	}
	return text
}
