// Package model is the database of the stand-in, with the caches and the mail
// beside it: what Matomo keeps, and what goes along when a row goes.
//
// It knows no HTTP and checks no rights; that is the business of the API. Where
// MySQL compares without case and accents, so does the model.
package model

import (
	"sync"
	"time"
)

// Instance is the state of one Matomo. Every method and field needs the lock
// held.
type Instance struct {
	sync.Mutex

	// Annotations and Preferences stay when their author's account goes;
	// Preferences are by folded login and name.
	Annotations []Annotation
	Preferences map[string]map[string]string
	// Segments go to another superuser, Reports go with the account or the site.
	Segments []*Segment
	Reports  []*Report
	// Mails are those sent so far; QuietUpdates is enable_update_users_email=0.
	Mails        []Mail
	QuietUpdates bool
	// NeverLock lists the addresses that the lock after failed logins spares,
	// AllowOnly those that may come in (nobody else, unless it is empty).
	NeverLock, AllowOnly []string
	// PostTokens is only_allow_secure_auth_tokens: no token in a URL.
	PostTokens bool

	accounts
	sites
	tokens     map[string]*Token
	tokenCount int
	failures   map[string][]time.Time
	reports    int
	tracker    map[int]trackerCache
}

// New returns an empty instance.
func New() *Instance {
	return &Instance{
		Preferences: map[string]map[string]string{},
		accounts:    accounts{byLogin: map[string]*Account{}, byEmail: map[string]*Account{}},
		sites:       sites{byID: map[int]*Site{}},
		tokens:      map[string]*Token{},
		failures:    map[string][]time.Time{},
	}
}

// DateTime is how Matomo writes a moment.
const DateTime = "2006-01-02 15:04:05"

// Now is the present as Matomo stores it: UTC, whole seconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Second) }

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

// Mail sends a mail.
func (in *Instance) Mail(to string, kind MailKind, login string) {
	in.Mails = append(in.Mails, Mail{to, kind, login})
}
