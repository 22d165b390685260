package matomotest

import (
	"cmp"
	"crypto/md5" //nolint:gosec // Matomo hashes the md5 of a password, and accepts that md5 in its place
	"crypto/sha256"
	"encoding/hex"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// account is one row of Matomo's user table with what hangs on it and goes with
// it.
type account struct {
	login, email    string
	superuser       bool
	password        [sha256.Size]byte
	registered      time.Time
	passwordChanged time.Time // ends the sessions started before
	loggedOut       int       // sessions up to this number were ended by the plugin
	lastSeen        time.Time // of a browser login
	invitedBy       string
	inviteExpires   time.Time // zero: not invited
	inviteAccepted  time.Time
	twoFactor       bool
	language        string
	dashboards      []dashboard
	rows            []accessRow // oldest first
	tokens          []*token
	deleted         bool
}

// userTable holds the accounts by login and by e-mail, both folded, and in the
// order of the login.
type userTable struct {
	byKey, byEmail map[string]*account
	sorted, fresh  []*account // fresh ones still have to be sorted in
	gone           bool       // sorted or fresh hold a deleted account
	tokens         map[string]*token
	rowCount       int
	lastRow        uint64
}

// insertLocked adds an account, or returns nil if its login or e-mail is taken.
func (s *Server) insertLocked(a *account) *account {
	key, mail := fold(a.login), fold(a.email)
	if s.byKey[key] != nil || s.byEmail[mail] != nil {
		return nil
	}
	s.byKey[key], s.byEmail[mail] = a, a
	s.fresh = append(s.fresh, a)
	return a
}

// removeLocked deletes an account with its rows and tokens.
func (s *Server) removeLocked(a *account) {
	for _, t := range a.tokens {
		delete(s.tokens, t.secret)
	}
	s.rowCount -= len(a.rows)
	delete(s.byKey, fold(a.login))
	delete(s.byEmail, fold(a.email))
	a.deleted, s.gone = true, true
}

// accountsLocked returns all accounts as Matomo sorts them. It sorts only what
// is new since the last time.
func (s *Server) accountsLocked() []*account {
	byLogin := func(a, b *account) int { return cmp.Compare(fold(a.login), fold(b.login)) }
	if s.gone {
		alive := func(list []*account) []*account {
			return slices.DeleteFunc(list, func(a *account) bool { return a.deleted })
		}
		s.sorted, s.fresh, s.gone = alive(s.sorted), alive(s.fresh), false
	}
	if len(s.fresh) == 0 {
		return s.sorted
	}
	slices.SortFunc(s.fresh, byLogin)
	merged := make([]*account, 0, len(s.sorted)+len(s.fresh))
	old, fresh := s.sorted, s.fresh
	for len(old) > 0 && len(fresh) > 0 {
		if byLogin(old[0], fresh[0]) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, fresh = append(merged, fresh[0]), fresh[1:]
		}
	}
	s.sorted, s.fresh = append(append(merged, old...), fresh...), nil
	return s.sorted
}

// superusersLocked returns the superusers in the order of their registration.
func (s *Server) superusersLocked() []*account {
	var list []*account
	for _, a := range s.accountsLocked() {
		if a.superuser {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b *account) int { return a.registered.Compare(b.registered) })
	return list
}

// hashPassword stands for Matomo's bcrypt of the md5.
func hashPassword(password string) [sha256.Size]byte {
	sum := md5.Sum([]byte(password)) //nolint:gosec // see the import
	return sha256.Sum256([]byte(hex.EncodeToString(sum[:])))
}

func (a *account) checkPassword(password string) bool { return a.password == hashPassword(password) }

func (a *account) pending() bool { return !a.inviteExpires.IsZero() && a.inviteAccepted.IsZero() }

// inviteStatus is "active", "expired", or the whole days left to accept.
func (a *account) inviteStatus() any {
	if !a.pending() {
		return "active"
	}
	left := time.Until(a.inviteExpires)
	if left < 0 {
		return "expired"
	}
	return int(math.Floor(left.Hours() / 24))
}

// loginBytes are the bytes Matomo's pattern allows: it lists umlauts without
// the flag for UTF-8, so it means their bytes.
const loginBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@+-ÄäÖöÜüß"

// checkLoginLocked refuses a login that is malformed or taken.
func (s *Server) checkLoginLocked(login, email string) error {
	if s.byKey[fold(login)] != nil {
		return refuse("Username: Username '" + login + "' already exists.")
	}
	if other := s.byEmail[fold(login)]; other != nil && fold(login) != fold(email) {
		return refuse("Username: Username '" + login + "' already used as an email.")
	}
	if len(login) < 2 || len(login) > 100 {
		return refuse(textBadLogin)
	}
	for i := range len(login) {
		if strings.IndexByte(loginBytes, login[i]) < 0 {
			return refuse(textBadLogin)
		}
	}
	return nil
}

// emailPattern is what PHP's filter leaves after Matomo has escaped the
// apostrophe, the ampersand, quotes and angle brackets.
var emailPattern = regexp.MustCompile(`^[A-Za-z0-9!#$%*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%*+/=?^_{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

// checkEmailLocked refuses an e-mail that is malformed or another's. Matomo
// starts the text with "Email" or "email".
func (s *Server) checkEmailLocked(label, email string, own *account) error {
	local, _, _ := strings.Cut(email, "@")
	if len(local) > 64 || !emailPattern.MatchString(email) {
		return refuse(label + `: The value "` + email + `" does not look like a valid email.`)
	}
	if other := s.byEmail[fold(email)]; other != nil && other != own {
		return refuse(label + ": User with email '" + email + "' already exists.")
	}
	if other := s.byKey[fold(email)]; other != nil && other != own {
		return refuse(label + ": Email '" + email + "' already used as a username.")
	}
	return nil
}

func checkNewPassword(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < 6:
		return refuse("The password length must be greater than 6 characters.")
	case n > 200:
		return refuse("The password length must be less than 200 characters.")
	}
	return nil
}

// findLocked returns the account of a login, whatever its case and accents, or
// Matomo's refusal. Like Matomo's check it needs a caller who sees anything at
// all.
func (c *call) findLocked(login string) (*account, error) {
	if login != anonymousLogin {
		if err := all(c.needLogin, c.needSomeView); err != nil {
			return nil, err
		}
	}
	a := c.s.byKey[fold(login)]
	if a == nil {
		return nil, noSuchUser(login)
	}
	return a, nil
}
