package matomotest

import "slices"

// FailedLogins returns the number of failures of an address that still count.
// In-process clients come from 127.0.0.1.
func (s *Server) FailedLogins(ip string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lockedLocked(ip)
	return len(s.failures[ip])
}

// IsLocked says whether an address is locked out after too many failures.
func (s *Server) IsLocked(ip string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lockedLocked(ip)
}

// ClearFailedLogins empties the log of failures, as the console command
// login:unblock-blocked-ips does.
func (s *Server) ClearFailedLogins() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.failures)
}

// NeverLock sets the addresses that the lock after failed logins spares.
func (s *Server) NeverLock(ips ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.neverLock = slices.Clone(ips)
}

// AllowOnly sets Matomo's login_allowlist_ip: other addresses are refused. No
// address at all lifts the restriction.
func (s *Server) AllowOnly(ips ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowedIPs = slices.Clone(ips)
}

// RequirePostTokens sets only_allow_secure_auth_tokens of Matomo 5: a token in
// a URL is refused. Matomo 4 does not have it.
func (s *Server) RequirePostTokens(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.postTokens = on
}
