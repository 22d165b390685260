package wire

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says what an answer of Matomo, or its silence, means. The set is
// closed: it is a metric label.
type ErrorKind string

// The kinds. "Target" kinds concern the whole instance (see Error.Target), the
// others one login.
const (
	BadToken       ErrorKind = "bad_token"       // target: the token is invalid, expired, or no superuser's (before Matomo 5 these look alike)
	NoPermission   ErrorKind = "no_permission"   // target: the token is good but its owner is no superuser
	WrongPassword  ErrorKind = "wrong_password"  // target: passwordConfirmation refused; the secret is not used again until it changes
	NeedsPassword  ErrorKind = "needs_password"  // target: Matomo asks for the password and none is configured
	SecretMissing  ErrorKind = "secret_missing"  // target: the token or password cannot be read here
	LockedOut      ErrorKind = "locked_out"      // target, transient: too many failed logins from our address
	Maintenance    ErrorKind = "maintenance"     // target, transient: maintenance page
	RateLimited    ErrorKind = "rate_limited"    // target, transient: HTTP 429
	Unreachable    ErrorKind = "unreachable"     // target, transient: no answer, or it broke off
	ServerFailure  ErrorKind = "server"          // target, transient: HTTP 5xx or a database error
	Malformed      ErrorKind = "malformed"       // target, transient: an answer that is not what this method answers
	Redirected     ErrorKind = "redirected"      // target: the configured URL answers with a redirect
	IPRefused      ErrorKind = "ip_refused"      // target: our address is not on login_allowlist_ip
	UsersDisabled  ErrorKind = "disabled"        // target: enable_users_admin=0
	UnknownMethod  ErrorKind = "unknown_method"  // the method or its plugin does not exist there
	UserMissing    ErrorKind = "user_missing"    // the login does not exist
	DuplicateLogin ErrorKind = "duplicate_login" // the login is taken, or is another person's e-mail
	DuplicateEmail ErrorKind = "duplicate_email" // the e-mail is taken, or is another person's login
	Validation     ErrorKind = "validation"      // a value Matomo does not accept
	LastSuperuser  ErrorKind = "last_superuser"  // the only superuser cannot be demoted or deleted
	IsSuperuser    ErrorKind = "is_superuser"    // site access cannot be set for a superuser
	StoreDown      ErrorKind = "store_down"      // transient: the token database does not answer; Matomo itself may
	StoreRefused   ErrorKind = "store_refused"   // the token database does not do as asked until somebody mends it
	Protected      ErrorKind = "protected"       // refused here: a protected login
	Skipped        ErrorKind = "skipped"         // not sent: an earlier step it depends on did not succeed
	Refused        ErrorKind = "refused"         // any other refusal; may have happened after the write (mail errors of updateUser)
)

// Error is what every call returns when Matomo did not do as asked. It never
// holds a secret.
type Error struct {
	Kind       ErrorKind
	Method     string        // Matomo method, such as UsersManager.addUser
	Message    string        // Matomo's own words, or ours when Matomo said nothing
	Status     int           // HTTP status; 0 when there was no answer, or for a member of a bulk request
	RetryAfter time.Duration // what the Retry-After header asked for; 0 when absent
	Err        error         // cause; may be nil
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Method + ": " + string(e.Kind)
	if e.Status != 0 && e.Status != 200 {
		s += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether the same call may succeed later without anybody
// doing something.
func (e *Error) Transient() bool {
	switch e.Kind {
	case LockedOut, Maintenance, RateLimited, Unreachable, ServerFailure, Malformed, Refused, Skipped, StoreDown:
		return true
	default:
		return false
	}
}

// Target reports whether the failure concerns the whole instance, so that it
// belongs to the target's breaker and not to the attempts of one binding.
// Everything stays due.
func (e *Error) Target() bool {
	switch e.Kind {
	case BadToken, NoPermission, WrongPassword, NeedsPassword, SecretMissing, LockedOut, Maintenance, RateLimited,
		Unreachable, ServerFailure, Malformed, Redirected, IPRefused, UsersDisabled:
		return true
	default:
		return false
	}
}

// Uncertain reports whether the call may have changed Matomo although it
// failed, so that only a read tells.
func (e *Error) Uncertain() bool {
	switch e.Kind {
	case Unreachable, ServerFailure, Malformed, Refused, StoreDown:
		return true
	default:
		return false
	}
}

// KindOf returns the kind of the first Error in err's chain; "" when there is
// none.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}
