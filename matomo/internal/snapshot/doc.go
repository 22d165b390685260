// Package snapshot reads accounts and their access from Matomo, everything at once or a few.
//
// A read is complete or an error (I1). It is decoded while it arrives and stored compactly, because the answer about
// 100,000 people is 37 MB. Logins are matched without regard to case and accents and reported in the spelling of
// UsersManager.getUsers.
package snapshot
