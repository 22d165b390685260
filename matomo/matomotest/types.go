package matomotest

import (
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/api"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// Site is a website of the instance.
type Site = model.Site

// Report is a scheduled report: Matomo mails it to its owner, if EmailMe is
// set, and to AdditionalEmails.
type Report = model.Report

// Mail is one mail that was sent.
type Mail = model.Mail

// MailKind says what a mail is about.
type MailKind = model.MailKind

// The mails Matomo sends.
const (
	MailEmailChanged     = model.MailEmailChanged     // to the old and the new address
	MailPasswordChanged  = model.MailPasswordChanged  // to the person
	MailPasswordReset    = model.MailPasswordReset    // to the person
	MailInvitation       = model.MailInvitation       // to the person
	MailUserDeleted      = model.MailUserDeleted      // to the superuser who did it
	MailSuperuserChanged = model.MailSuperuserChanged // to every superuser
)

// Fault is one misbehaviour, from when it is set until it is used up or cleared.
type Fault = api.Fault

// FaultKind names one way in which the server misbehaves.
type FaultKind = api.FaultKind

// The faults. Those of the first group strike once per HTTP request whose
// method matches; in a bulk request they strike at the member that matches,
// after the members before it have run, as a crash in the middle would.
const (
	Slow            = api.Slow            // waits Latency first
	ServerError     = api.ServerError     // answers Status, 500 by default, with a page
	TooManyRequests = api.TooManyRequests // answers 429 with RetryAfter
	CutBefore       = api.CutBefore       // breaks the connection before anything is done
	CutAfter        = api.CutAfter        // does the work and breaks the connection
	Truncated       = api.Truncated       // does the work and breaks off in the answer; whole requests only
	Maintenance     = api.Maintenance     // answers the maintenance page, 503; whole requests only
	DatabaseDown    = api.DatabaseDown    // answers 500; whole requests only
	Locked          = api.Locked          // refuses every token like the lock after failed logins
)

// These strike every call and bulk member that matches.
const (
	Refused            = api.Refused            // answers the error text Message instead
	MailError          = api.MailError          // updateUser answers an error after it has written (trap 9)
	UsersAdminDisabled = api.UsersAdminDisabled // Matomo's enable_users_admin=0
	Gap                = api.Gap                // waits Latency in the middle of a write (trap 7)
)

// ErrCut is what a client in the same process sees of a connection that broke.
var ErrCut = api.ErrCut

// Fault sets a fault and returns the function that clears it.
func (s *Server) Fault(f Fault) (remove func()) { return s.api.Faults.Set(f) }

// ClearFaults removes all faults.
func (s *Server) ClearFaults() { s.api.Faults.Clear() }
