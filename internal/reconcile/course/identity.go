package course

import (
	"sort"
	"strings"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/matomo"
)

// Identity says how a person becomes a Matomo account: which of their
// attributes is the login and where the e-mail address comes from. The zero
// value takes the userName and the e-mail sources of DefaultEmailFrom.
type Identity struct {
	// LoginFrom is userName, email, email_local_part or externalId.
	LoginFrom string
	// LoginReplace maps characters Matomo refuses in a login to what stands
	// for them.
	LoginReplace map[string]string
	// EmailFrom lists emails.primary, emails.work and userName in the order in
	// which they are tried.
	EmailFrom []string
}

// DefaultEmailFrom is the order in which a person's e-mail address is looked
// for when the configuration names none.
func DefaultEmailFrom() []string { return []string{"emails.primary", "emails.work", "userName"} }

// Login returns the Matomo login for p. An account keeps the login it was
// created with, so this is asked only while a binding has none. A block says
// why Matomo could not hold the login.
func (i Identity) Login(p directory.Person) (string, *matomo.Block) {
	var login string
	switch i.LoginFrom {
	case "email":
		login = i.pickEmail(p)
	case "email_local_part":
		login, _, _ = strings.Cut(i.pickEmail(p), "@")
	case "externalId":
		login = p.ExternalID
	default:
		login = p.UserName
	}
	login = i.replace(login)
	return login, matomo.ValidateLogin(login)
}

// Email returns the e-mail address for p's account. The block's reason is
// email_missing when no source has one, email_invalid when Matomo refuses it.
func (i Identity) Email(p directory.Person) (string, *matomo.Block) {
	email := i.pickEmail(p)
	if email == "" {
		return "", &matomo.Block{Reason: matomo.EmailMissing, Detail: "none of the person's attributes gives an e-mail address"}
	}
	return email, matomo.ValidateEmail(email)
}

// pickEmail returns the first address of the configured sources; a userName
// counts only when it looks like an address.
func (i Identity) pickEmail(p directory.Person) string {
	from := i.EmailFrom
	if len(from) == 0 {
		from = DefaultEmailFrom()
	}
	for _, source := range from {
		value := ""
		switch source {
		case "emails.primary":
			value = p.PrimaryEmail
		case "emails.work":
			value = p.WorkEmail
		case "userName":
			if strings.Contains(p.UserName, "@") {
				value = p.UserName
			}
		}
		if value = strings.TrimSpace(value); value != "" {
			return value
		}
	}
	return ""
}

// replace applies LoginReplace, longer keys first, so that the result does not
// depend on the order of a map.
func (i Identity) replace(login string) string {
	if len(i.LoginReplace) == 0 {
		return login
	}
	keys := make([]string, 0, len(i.LoginReplace))
	for k := range i.LoginReplace {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(a, b int) bool {
		if len(keys[a]) != len(keys[b]) {
			return len(keys[a]) > len(keys[b])
		}
		return keys[a] < keys[b]
	})
	pairs := make([]string, 0, 2*len(keys))
	for _, k := range keys {
		pairs = append(pairs, k, i.LoginReplace[k])
	}
	return strings.NewReplacer(pairs...).Replace(login)
}
