package model

import (
	"cmp"
	"crypto/md5" //nolint:gosec // Matomo hashes the md5 of a password, and accepts that md5 in its place
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// Anonymous is the login that stands for everybody who has not logged in. The
// account exists from the start.
const Anonymous = "anonymous"

// Account is one row of the user table with what hangs on it and goes with it.
type Account struct {
	Login, Email    string // change the e-mail through SetEmail
	Superuser       bool
	Password        Hash
	Registered      time.Time
	PasswordChanged time.Time // ends the sessions that began before
	LastSeen        time.Time // in a browser; zero for never
	InvitedBy       string
	InviteExpires   time.Time // zero: not invited
	InviteAccepted  time.Time
	TwoFactor       bool
	Language        string
	Dashboards      []string // names; the number is the place, from 1
	Rows            []Row    // oldest first
	Tokens          []*Token // oldest first

	key       string    // the folded login
	signedOut time.Time // by an administrator; ends the sessions that began before
	deleted   bool
}

// Hash stands for Matomo's bcrypt of the md5 of a password.
type Hash [sha256.Size]byte

// HashPassword hashes a password.
func HashPassword(password string) Hash {
	sum := md5.Sum([]byte(password)) //nolint:gosec // see the import
	return HashMD5(hex.EncodeToString(sum[:]))
}

// HashMD5 hashes what is the md5 of a password already.
func HashMD5(sum string) Hash { return sha256.Sum256([]byte(sum)) }

// Knows says whether a password is the person's.
func (a *Account) Knows(password string) bool { return a.Password == HashPassword(password) }

// Pending says whether the person was invited and has not accepted.
func (a *Account) Pending() bool { return !a.InviteExpires.IsZero() && a.InviteAccepted.IsZero() }

// InviteStatus is "active", "expired", or the number of whole days left.
func (a *Account) InviteStatus() any {
	if !a.Pending() {
		return "active"
	}
	left := time.Until(a.InviteExpires)
	if left < 0 {
		return "expired"
	}
	return int(math.Floor(left.Hours() / 24))
}

// accounts holds the accounts by folded login and e-mail, and in the order of
// the login.
type accounts struct {
	byLogin, byEmail map[string]*Account
	sorted, fresh    []*Account // fresh ones still have to be sorted in
	gone             bool       // sorted or fresh hold a deleted account
	rowCount         int
	lastRow          uint64
}

// Insert adds an account. It fails if the login or the e-mail is taken.
func (in *Instance) Insert(a *Account) bool {
	if in.Find(a.Login) != nil || in.FindEmail(a.Email) != nil {
		return false
	}
	a.key = php.Fold(a.Login)
	in.byLogin[a.key], in.byEmail[php.Fold(a.Email)] = a, a
	in.fresh = append(in.fresh, a)
	return true
}

// Find returns the account of a login, or nil.
func (in *Instance) Find(login string) *Account { return in.byLogin[php.Fold(login)] }

// FindEmail returns the account with an e-mail, or nil.
func (in *Instance) FindEmail(email string) *Account { return in.byEmail[php.Fold(email)] }

// SetEmail changes the e-mail and its index; that nobody else has it is for the
// caller to check. It changes the e-mail of an account.
func (in *Instance) SetEmail(a *Account, email string) {
	delete(in.byEmail, php.Fold(a.Email))
	a.Email = email
	in.byEmail[php.Fold(email)] = a
}

// Delete deletes an account with its rows, tokens, dashboards and reports.
// Segments, private ones too, go to the first superuser that is left;
// annotations and preferences stay for whoever gets the login next.
func (in *Instance) Delete(a *Account) {
	for _, t := range a.Tokens {
		delete(in.tokens, t.Secret)
	}
	in.rowCount -= len(a.Rows)
	delete(in.byLogin, a.key)
	delete(in.byEmail, php.Fold(a.Email))
	a.deleted, in.gone = true, true
	in.DeleteReports(a.Login)
	if heirs := in.Superusers(); len(heirs) > 0 {
		for _, seg := range in.Segments {
			if php.SameText(seg.Login, a.Login) {
				seg.Login = heirs[0].Login
			}
		}
	}
	in.ClearTracker()
}

// Accounts returns all accounts in the order of the login. It sorts only what
// came since the last time. The caller must not change the slice.
func (in *Instance) Accounts() []*Account {
	byLogin := func(a, b *Account) int { return cmp.Compare(a.key, b.key) }
	if in.gone {
		in.sorted, in.fresh, in.gone = alive(in.sorted), alive(in.fresh), false
	}
	if len(in.fresh) == 0 {
		return in.sorted
	}
	slices.SortFunc(in.fresh, byLogin)
	merged := make([]*Account, 0, len(in.sorted)+len(in.fresh))
	// Merging costs one pass over the list instead of sorting it again, which
	// matters when 1,000 people join 100,000.
	old, fresh := in.sorted, in.fresh
	for len(old) > 0 && len(fresh) > 0 {
		if byLogin(old[0], fresh[0]) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, fresh = append(merged, fresh[0]), fresh[1:]
		}
	}
	in.sorted, in.fresh = append(append(merged, old...), fresh...), nil
	return in.sorted
}

// alive leaves out the deleted accounts.
func alive(list []*Account) []*Account {
	return slices.DeleteFunc(slices.Clone(list), func(a *Account) bool { return a.deleted })
}

// Superusers returns the superusers in the order of their registration.
func (in *Instance) Superusers() []*Account {
	var list []*Account
	for _, a := range in.Accounts() {
		if a.Superuser {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b *Account) int { return a.Registered.Compare(b.Registered) })
	return list
}
