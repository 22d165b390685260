package tokendb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/go-sql-driver/mysql"

	"github.com/matomo-scim/bridge/matomo"
)

// What a failure means is decided here, once. Somebody has to mend StoreRefused,
// and it is told apart because only then may a leaver's tokens be dealt with in
// another way; StoreDown passes, and waiting costs nothing that cannot be undone.

// secretError says that the password cannot be read.
type secretError struct{ err error }

// Error names the place, never what is in it.
func (e *secretError) Error() string { return "password: " + e.err.Error() }

// Unwrap returns why.
func (e *secretError) Unwrap() error { return e.err }

// Numbers of the servers' errors, the same in MySQL and MariaDB.
var (
	// Access denied for the user, for the user without a password, from this host.
	refusedLogin = []uint16{1045, 1698, 1130}
	// Access denied to the database, unknown database, table or column denied,
	// table or column gone, server or transaction read only, privilege missing.
	refusedWork = []uint16{1044, 1049, 1142, 1143, 1146, 1054, 1290, 1836, 1792, 1227}
	// Of those, the ones of a server that takes no writes.
	readOnly = []uint16{1290, 1836, 1792}
)

// number is the server's error number in err, 0 when the server did not speak.
func number(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

// isRefusedLogin reports whether the server refused user and password.
func isRefusedLogin(err error) bool { return slices.Contains(refusedLogin, number(err)) }

// classify makes a matomo error of what the driver or the server said. what names
// the operation. Nothing secret is in it: the server names user and host, never
// the password, and no statement carries a hash.
func classify(what string, err error) *matomo.Error {
	e := &matomo.Error{Kind: matomo.StoreDown, Method: "token database " + what, Message: err.Error(), Err: err}
	var setup *setupError
	var secret *secretError
	var cert *tls.CertificateVerificationError
	var host x509.HostnameError
	switch n := number(err); {
	case errors.As(err, &setup), errors.As(err, &secret), errors.As(err, &cert), errors.As(err, &host),
		errors.Is(err, errRefused), errors.Is(err, mysql.ErrNoTLS),
		slices.Contains(refusedLogin, n):
		e.Kind = matomo.StoreRefused
	case slices.Contains(readOnly, n):
		e.Kind, e.Message = matomo.StoreRefused, "the server takes no writes (a replica?): "+err.Error()
	case slices.Contains(refusedWork, n):
		e.Kind = matomo.StoreRefused
	}
	return e
}
