package plan

import (
	"strings"
)

// Limits of Matomo's columns and checks, in bytes.
const (
	loginMin = 2
	loginMax = 100
	emailMax = 100
	localMax = 64
	labelMax = 63
)

// loginLetters are the letters beyond ASCII that Matomo's login check allows.
const loginLetters = "ÄäÖöÜüß"

// ValidateLogin reports why Matomo would refuse a login: LoginInvalid, or nil
// when it would not. Matomo wants 2 to 100 bytes of letters, digits, the
// letters ÄäÖöÜüß and _ . @ + - (measured on 5.1.2 and 4.16.1).
func ValidateLogin(login string) *Block {
	if len(login) < loginMin || len(login) > loginMax {
		return &Block{LoginInvalid, "a login has 2 to 100 bytes"}
	}
	for _, r := range login {
		if !alphanumeric(r) && !strings.ContainsRune("_.@+-"+loginLetters, r) {
			return &Block{LoginInvalid, "a login may hold letters, digits and _ . @ + - only, not " + quote(r)}
		}
	}
	return nil
}

// ValidateEmail reports why Matomo would refuse an address: EmailMissing or
// EmailInvalid, or nil when it would not. Matomo escapes what it is sent before
// PHP's address check sees it, so ' & < > " never pass; nor does anything but
// ASCII. An instance may limit the domains besides, which only its answer
// tells.
func ValidateEmail(email string) *Block {
	if email == "" {
		return &Block{EmailMissing, "Matomo needs an e-mail address for an account"}
	}
	local, domain, ok := cutLast(email, '@')
	if !ok || len(email) > emailMax || len(local) > localMax || !dotAtom(local) || !hostname(domain) {
		return &Block{EmailInvalid, "Matomo does not accept this e-mail address"}
	}
	return nil
}

// cutLast splits s at the last sep.
func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// dotAtom reports whether s is the plain form of a local part, less the
// characters that Matomo's escaping breaks.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !alphanumeric(r) && !strings.ContainsRune("!#$%*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// hostname reports whether s is a domain of at least two labels whose last
// begins with a letter.
func hostname(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > labelMax || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, r := range l {
			if !alphanumeric(r) && r != '-' {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return last[0] > '9'
}

// alphanumeric reports whether r is an ASCII letter or digit.
func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// quote shows one character of a refused login.
func quote(r rune) string {
	switch r {
	case ' ':
		return "a space"
	case '\t', '\n', '\r', 0:
		return "a control character"
	default:
		return "'" + string(r) + "'"
	}
}
