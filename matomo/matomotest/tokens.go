package matomotest

import (
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// token is an app token.
type token struct {
	owner       *account
	id          int
	secret      string // Matomo keeps a hash
	description string
	created     time.Time
	lastUsed    time.Time
	expires     time.Time // zero: never
	secureOnly  bool      // not in a URL
	deleted     bool
}

// alive says whether the token identifies its owner now. A nil token never
// does.
func (t *token) alive(at time.Time) bool {
	return t != nil && !t.deleted && (t.expires.IsZero() || t.expires.After(at))
}

func (s *Server) addTokenLocked(a *account, t *token) {
	s.appTokens++
	t.id, t.owner = s.appTokens, a
	a.tokens = append(a.tokens, t)
	s.tokens[t.secret] = t
}

// createAppSpecificTokenAuth needs no token, only the person's password: a
// person without any access can still mint one.
func (c *call) createAppSpecificTokenAuth() error {
	secret, err := c.mint()
	if err != nil {
		return err
	}
	return c.value(secret)
}

func (c *call) mint() (string, error) {
	s := c.s
	if s.lockedLocked(c.ip) {
		e := lockedOut()
		e.beforeDispatch = false
		return "", e
	}
	login := c.text("userLogin")
	a := s.byKey[fold(login)]
	if a == nil {
		a = s.byEmail[fold(login)]
	}
	if a == nil || !a.checkPassword(c.text("passwordConfirmation")) {
		s.failLocked(c.ip)
		return "", refuse(textWrongPassword)
	}
	if a.twoFactor {
		return "", &apiError{text: textTwoFactor, status: http.StatusUnauthorized} // on both versions
	}
	description := c.text("description")
	if n := utf8.RuneCountInString(description); n > 100 {
		return "", refuse(`Description: The value contains "` + strconv.Itoa(n) + `" characters but should contain at most 100 characters.`)
	}
	t := &token{secret: newSecret(), description: description, created: c.now, secureOnly: s.v5 && c.truth("secureOnly")}
	if hours := c.integer("expireHours", 0); hours > 0 {
		t.expires = c.now.Add(time.Duration(hours) * time.Hour)
	}
	if at, err := time.Parse(time.DateOnly, c.text("expireDate")); err == nil {
		t.expires = at
	}
	s.addTokenLocked(a, t)
	return t.secret, nil
}

// deleteTokensLocked deletes an account's tokens, or the one with the id if it
// is not 0, and returns how many there were.
func (s *Server) deleteTokensLocked(a *account, id int) int {
	kept, deleted := a.tokens[:0], 0
	for _, t := range a.tokens {
		if id != 0 && t.id != id {
			kept = append(kept, t)
			continue
		}
		t.deleted = true
		delete(s.tokens, t.secret)
		deleted++
	}
	a.tokens = kept
	return deleted
}
