package matomotest

import "slices"

// FailedLogins returns the number of failures of an address that still count.
// Clients in the process come from 127.0.0.1.
func (s *Server) FailedLogins(ip string) int {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.Failures(ip)
}

// LockedOut says whether an address is locked out after too many failures.
func (s *Server) LockedOut(ip string) bool {
	s.api.Lock()
	defer s.api.Unlock()
	return s.api.LockedOut(ip)
}

// ClearFailedLogins empties the log of failures, as the console command
// login:unblock-blocked-ips does.
func (s *Server) ClearFailedLogins() {
	s.api.Lock()
	defer s.api.Unlock()
	s.api.ClearFailures()
}

// NeverLock sets the addresses that the lock after failed logins spares.
func (s *Server) NeverLock(ips ...string) {
	s.api.Lock()
	defer s.api.Unlock()
	s.api.NeverLock = slices.Clone(ips)
}

// AllowOnly sets Matomo's login_allowlist_ip: other addresses are refused. No
// address at all lifts the restriction.
func (s *Server) AllowOnly(ips ...string) {
	s.api.Lock()
	defer s.api.Unlock()
	s.api.AllowOnly = slices.Clone(ips)
}

// RequirePostTokens sets only_allow_secure_auth_tokens of Matomo 5: a token in
// a URL is refused. Matomo 4 does not have it.
func (s *Server) RequirePostTokens(on bool) {
	s.api.Lock()
	defer s.api.Unlock()
	s.api.PostTokens = on
}

// QuietUpdates switches off the mails about changed passwords and e-mails, as
// Matomo's setting enable_update_users_email=0 does.
func (s *Server) QuietUpdates(quiet bool) {
	s.api.Lock()
	defer s.api.Unlock()
	s.api.QuietUpdates = quiet
}

// Mails returns the mails sent so far.
func (s *Server) Mails() []Mail {
	s.api.Lock()
	defer s.api.Unlock()
	return slices.Clone(s.api.Mails)
}
