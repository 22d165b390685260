package matomotest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/methods"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// What people do by themselves, at a browser or by mail.

// Session is a browser that a person has signed in with.
type Session struct {
	s       *Server
	session model.Session
}

// errSignIn is all that the login form says.
var errSignIn = errors.New("wrong username or password, or too many failed logins")

// SignIn signs a person in with login and password as the login form does. It
// fails for a wrong password, which counts as a failed login, for an address
// that is locked out and for somebody who has not accepted the invitation.
func (s *Server) SignIn(login, password string) (*Session, error) {
	s.api.Lock()
	defer s.api.Unlock()
	if s.api.LockedOut(localAddress) {
		return nil, errSignIn
	}
	a := s.api.Find(login)
	if a == nil || !a.Knows(password) || a.Pending() {
		s.api.Fail(localAddress)
		return nil, errSignIn
	}
	return &Session{s, s.api.StartSession(a)}, nil
}

// Open opens a page and returns its status and who Matomo thinks is there:
// 200 and the login; 403 and the login for a session without any access; 403 and
// "anonymous" for a session that has ended. A session ends when the password
// changes, measured in whole seconds, when the account is deleted, or when the
// companion plugin logs the person out.
func (b *Session) Open() (status int, login string) {
	b.s.api.Lock()
	defer b.s.api.Unlock()
	a := b.s.api.Of(b.session)
	switch {
	case a == nil:
		return http.StatusForbidden, model.Anonymous
	case !a.Superuser && len(b.s.api.SitesOf(a, model.View)) == 0:
		return http.StatusForbidden, a.Login
	}
	a.LastSeen = model.Now()
	return http.StatusOK, a.Login
}

// Alive says whether the session shows its owner a page.
func (b *Session) Alive() bool {
	status, _ := b.Open()
	return status == http.StatusOK
}

// ResetPassword sets a new password as the mail of "Lost your password?" lets a
// person do who reads that mailbox, with or without access.
func (s *Server) ResetPassword(email, password string) error {
	s.api.Lock()
	defer s.api.Unlock()
	a := s.api.FindEmail(email)
	if a == nil || a.Pending() {
		return fmt.Errorf("no account with the e-mail %q", email)
	}
	if err := methods.CheckPassword(password); err != nil {
		return err
	}
	a.Password, a.PasswordChanged = model.HashPassword(password), model.Now()
	s.api.Mail(a.Email, MailPasswordReset, a.Login)
	return nil
}

// AcceptInvite lets an invited person choose a password.
func (s *Server) AcceptInvite(login, password string) error {
	s.api.Lock()
	defer s.api.Unlock()
	a := s.api.Find(login)
	if a == nil || !a.Pending() || a.InviteStatus() == "expired" {
		return fmt.Errorf("no open invitation for %q", login)
	}
	if err := methods.CheckPassword(password); err != nil {
		return err
	}
	a.Password, a.PasswordChanged, a.InviteAccepted = model.HashPassword(password), model.Now(), model.Now()
	return nil
}

// MintToken makes an app token as the person would, with the password. It
// needs no access, and fails for a wrong password, which counts as a failed
// login, for an address that is locked out and for a second factor.
func (s *Server) MintToken(login, password string) (string, error) {
	s.api.Lock()
	defer s.api.Unlock()
	a := s.api.Find(login)
	switch {
	case s.api.LockedOut(localAddress):
		return "", errSignIn
	case a == nil || !a.Knows(password):
		s.api.Fail(localAddress)
		return "", errSignIn
	case a.TwoFactor:
		return "", errors.New("a two-factor authentication code is needed")
	}
	t := &model.Token{Secret: model.NewSecret(), Description: "minted", Created: model.Now()}
	s.api.AddToken(a, t)
	return t.Secret, nil
}
