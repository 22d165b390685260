// Package snapshot reads accounts and their access from Matomo, everything at
// once or a few.
//
// A read is complete or an error (I1): any part that fails fails the whole, and
// an account nobody asked for is unknown rather than absent. The token is
// proven along with every read, because Matomo answers some lists with less
// than everything, and no word about it, to somebody who is no superuser.
//
// Everything is decoded while it arrives and stored compactly: the answer about
// 100,000 people is 37 MB, and reading it takes the process to some 80 MB. An
// Account is built when it is asked for.
//
// Logins are matched without regard to case and accents, as Matomo's database
// does, and reported in the spelling of UsersManager.getUsers. Access rows may
// carry any other spelling, name sites that do not exist, and stand twice for
// one site: Account tells about all three.
package snapshot
