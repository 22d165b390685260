package model

import (
	"slices"
	"time"
)

// Who may try to come in, and who is in: the log of failed logins and the browser
// sessions.

// Matomo locks an address after more than LockAfter failures within LockWindow.
const (
	LockAfter  = 20
	LockWindow = time.Hour
)

// Fail logs a failed login of an address.
func (in *Instance) Fail(ip string) { in.failures[ip] = append(in.failures[ip], time.Now()) }

// Failures returns how many failures of an address still count.
func (in *Instance) Failures(ip string) int {
	since := time.Now().Add(-LockWindow)
	log := in.failures[ip]
	for len(log) > 0 && !log[0].After(since) {
		log = log[1:]
	}
	in.failures[ip] = log
	return len(log)
}

// LockedOut says whether an address has failed too often.
func (in *Instance) LockedOut(ip string) bool {
	return in.Failures(ip) > LockAfter && !slices.Contains(in.NeverLock, ip)
}

// ClearFailures empties the log.
func (in *Instance) ClearFailures() { clear(in.failures) }

// Session is a browser that a person has signed in with.
type Session struct {
	owner   *Account
	started time.Time
}

// StartSession signs an account in.
func (in *Instance) StartSession(a *Account) Session {
	a.LastSeen = Now()
	return Session{a, Now()}
}

// Of returns the account that a session still stands for, or nil when it has
// ended: because the password changed or the person was logged out, measured in
// whole seconds, or because the account is gone. An account that got the same
// login within the same second revives it, as in the recording.
func (in *Instance) Of(b Session) *Account {
	a := in.Find(b.owner.Login)
	if a == nil || b.started.Before(a.PasswordChanged) || b.started.Before(a.signedOut) {
		return nil
	}
	return a
}

// LogOut ends the sessions of an account, those of this very second too: the
// plugin moves the moment that Matomo compares with to the next one.
func (in *Instance) LogOut(a *Account) { a.signedOut = Now().Add(time.Second) }
