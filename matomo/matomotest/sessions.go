package matomotest

import (
	"errors"
	"net/http"
	"time"
)

// Session is a browser that a person has signed in with.
type Session struct {
	s       *Server
	owner   *account
	login   string
	number  int
	started time.Time
}

// SignIn signs a person in with login and password as the login form does. It
// fails for a wrong password, which counts as a failed login, for an address
// that is locked out and for somebody who has not accepted the invitation.
func (s *Server) SignIn(login, password string) (*Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lockedLocked(localAddress) {
		return nil, errors.New(textLocked)
	}
	a := s.byKey[fold(login)]
	if a == nil || !a.checkPassword(password) || a.pending() {
		s.failLocked(localAddress)
		return nil, errors.New("wrong Username and password combination")
	}
	s.sessions++
	a.lastSeen = now()
	return &Session{s: s, owner: a, login: a.login, number: s.sessions, started: now()}, nil
}

// localAddress is where people at a browser and in-process clients come from.
const localAddress = "127.0.0.1"

// Open opens a page and returns its status and who Matomo thinks is there:
// 200 and the login; 403 and the login for a session without any access; 403 and
// "anonymous" for a session that has ended. A session ends when the password
// changes, measured in whole seconds, when the account is deleted, or when the
// companion plugin logs the person out.
func (b *Session) Open() (status int, login string) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	a := b.s.byKey[fold(b.login)]
	if a == nil || b.started.Before(a.passwordChanged) || (a == b.owner && b.number <= a.loggedOut) {
		return http.StatusForbidden, anonymousLogin
	}
	c := &call{s: b.s, who: caller{account: a, login: a.login}}
	if c.needSomeView() != nil {
		return http.StatusForbidden, a.login
	}
	a.lastSeen = now()
	return http.StatusOK, a.login
}

// Alive says whether the session shows its owner a page.
func (b *Session) Alive() bool {
	status, _ := b.Open()
	return status == http.StatusOK
}

// ResetPassword sets a new password as the mail of "Lost your password?" lets a
// person do who reads that mailbox, with or without access.
func (s *Server) ResetPassword(email, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byEmail[fold(email)]
	if a == nil || a.pending() {
		return noSuchUser(email)
	}
	if err := checkNewPassword(password); err != nil {
		return err
	}
	a.password, a.passwordChanged = hashPassword(password), now()
	s.mailLocked(a.email, MailPasswordReset, a.login)
	return nil
}

// AcceptInvite lets an invited person choose a password.
func (s *Server) AcceptInvite(login, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byKey[fold(login)]
	if a == nil || a.inviteStatus() == "expired" || !a.pending() {
		return noSuchUser(login)
	}
	if err := checkNewPassword(password); err != nil {
		return err
	}
	a.password, a.passwordChanged, a.inviteAccepted = hashPassword(password), now(), now()
	return nil
}

// MailKind says what a mail is about.
type MailKind string

// The mails Matomo sends.
const (
	MailEmailChanged     MailKind = "email_changed"     // to the old and the new address
	MailPasswordChanged  MailKind = "password_changed"  // to the person
	MailPasswordReset    MailKind = "password_reset"    // to the person
	MailInvitation       MailKind = "invitation"        // to the person
	MailUserDeleted      MailKind = "user_deleted"      // to the superuser who did it
	MailSuperuserChanged MailKind = "superuser_changed" // to every superuser
)

// Mail is one mail that was sent.
type Mail struct {
	To    string
	Kind  MailKind
	Login string // whom it is about
}

func (s *Server) mailLocked(to string, kind MailKind, login string) {
	s.mails = append(s.mails, Mail{to, kind, login})
}

// Mails returns the mails sent so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// QuietUpdates switches off the mails about changed passwords and e-mails, as
// Matomo's setting enable_update_users_email=0 does.
func (s *Server) QuietUpdates(quiet bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quietUpdates = quiet
}
