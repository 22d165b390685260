package matomotest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

const anonymousLogin = "anonymous"

// Matomo locks an address after more than lockAfter failures within lockWindow.
const (
	lockAfter  = 20
	lockWindow = time.Hour
)

// security is the part of the state that decides who may come in.
type security struct {
	failures   map[string][]time.Time // failed logins by address, oldest first
	neverLock  []string
	allowedIPs []string // empty: everybody
	postTokens bool     // only_allow_secure_auth_tokens
	sessions   int      // sessions opened so far
	appTokens  int      // app tokens minted so far
}

// caller is who makes a call.
type caller struct {
	account *account // nil for nobody, or a bad token on Matomo 4
	login   string   // "anonymous" without a token
}

func (w caller) superuser() bool { return w.account != nil && w.account.superuser }

func (w caller) anonymous() bool { return w.account == nil || w.account.login == anonymousLogin }

// authenticate finds out who sends the request. What it refuses is refused
// before the API takes over.
func (c *call) authenticate() error {
	s := c.s
	if _, down := s.faults.strike(DatabaseDown, "", c.method); down {
		return &apiError{text: textDatabaseDown, status: http.StatusInternalServerError, beforeDispatch: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.rq.body["token_auth"].empty() {
		return c.identifyLocked(c.rq.body["token_auth"].text, false)
	}
	return c.identifyLocked(c.rq.query["token_auth"].text, true)
}

// identifyLocked sets who from a token. The address of a request with a token
// is checked against the log of failures; one without is not.
func (c *call) identifyLocked(secret string, inURL bool) error {
	s := c.s
	c.who = caller{account: s.byKey[fold(anonymousLogin)], login: anonymousLogin}
	if secret != "" && secret != anonymousLogin {
		if _, locked := s.faults.strike(Locked, "", c.method); locked || s.lockedLocked(c.ip) {
			return lockedOut()
		}
		t := s.tokens[secret]
		if !t.alive(c.now) || (inURL && s.v5 && (s.postTokens || t.secureOnly)) {
			s.failLocked(c.ip)
			if s.v5 {
				text := textBadToken
				if inURL {
					text = textBadTokenInURL
				}
				return &apiError{text: text, status: http.StatusUnauthorized, beforeDispatch: true}
			}
			c.who.account = nil // not even what anonymous may see
		} else {
			t.lastUsed = c.now
			c.who = caller{account: t.owner, login: t.owner.login}
		}
	}
	if len(s.allowedIPs) > 0 && !slices.Contains(s.allowedIPs, c.ip) {
		return s.noAccess("You cannot use this Matomo as your IP " + c.ip + " is not allowed.")
	}
	return nil
}

// failLocked logs a failed login of an address.
func (s *Server) failLocked(ip string) { s.failures[ip] = append(s.failures[ip], time.Now()) }

// lockedLocked says whether an address is locked out, and forgets what is older
// than the window.
func (s *Server) lockedLocked(ip string) bool {
	if slices.Contains(s.neverLock, ip) {
		return false
	}
	since := time.Now().Add(-lockWindow)
	log := s.failures[ip]
	for len(log) > 0 && !log[0].After(since) {
		log = log[1:]
	}
	s.failures[ip] = log
	return len(log) > lockAfter
}

// confirm checks the caller's own password.
func (c *call) confirm() error {
	given := c.text("passwordConfirmation")
	if given == "" {
		return refuse(textConfirm)
	}
	if c.who.account == nil || !c.who.account.checkPassword(given) {
		c.s.failLocked(c.ip)
		return refuse(textWrongPassword)
	}
	return nil
}

// confirmIfSession asks for the password only on behalf of a browser session.
func (c *call) confirmIfSession() error {
	if !c.truth("force_api_session") {
		return nil
	}
	return c.confirm()
}

// The checks of rights. Each returns the refusal that Matomo answers.

func (c *call) needSuperuser() error {
	if !c.who.superuser() {
		return c.s.noAccess(textNeedsSuperuser)
	}
	return nil
}

func (c *call) needLogin() error {
	if c.who.anonymous() {
		return c.s.noAccess(textNotLoggedIn)
	}
	return nil
}

func (c *call) needSomeView() error {
	if len(c.sitesWith(rankView)) == 0 && !c.who.superuser() {
		return c.s.noAccess(textNeedsSomeView)
	}
	return nil
}

func (c *call) needSomeAdmin() error {
	if len(c.sitesWith(rankAdmin)) == 0 && !c.who.superuser() {
		return c.s.noAccess(textNeedsSomeAdmin)
	}
	return nil
}

// needSite checks the rights on sites; a superuser has them on sites that do
// not exist, too (trap 6).
func (c *call) needSite(rank int, ids ...int) error {
	if c.who.superuser() {
		return nil
	}
	have := c.sitesWith(rank)
	for _, id := range ids {
		if !slices.Contains(have, id) {
			return c.s.noAccess("You can't access this resource as it requires '" + roleNames[rank] + "' access for the website id = " + strconv.Itoa(id) + ".")
		}
	}
	return nil
}

func (c *call) needSuperuserOrSelf(login string) error {
	if c.who.superuser() || (!c.who.anonymous() && c.who.login == login) {
		return nil
	}
	return c.s.noAccess("The user has to be either a Super User or the user '" + login + "' itself.")
}

// needUsersAdmin is Matomo's switch enable_users_admin.
func (c *call) needUsersAdmin() error {
	if _, off := c.s.faults.strike(UsersAdminDisabled, "", c.method); off {
		return refuse(textUsersDisabled)
	}
	return nil
}

// sitesWith returns the existing sites, in order, on which the caller has at
// least the rank.
func (c *call) sitesWith(rank int) []int {
	if c.who.superuser() {
		return c.s.siteIDs
	}
	if c.who.account == nil {
		return nil
	}
	var ids []int
	for _, r := range c.who.account.rows {
		if roleRank(r.access) >= rank && c.s.sites[r.site] != nil {
			ids = append(ids, r.site)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// all runs checks until one refuses.
func all(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}
