package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/matomo/tokendb"
)

// The token database is a helper and never a condition: it is not opened at the start,
// a failure of it is no failure of the target, and it is closed with everything else.

// newTokenDB makes the token database of a target. It connects to nothing yet: one
// that is down is seen by check and at the first leaver, not at the start.
func newTokenDB(cfg *config.Config, t config.Target) (*tokendb.Store, error) {
	d := t.Tokens.Database
	opt := tokendb.Options{
		Address: d.Address, Socket: d.Socket, Database: d.Name, User: d.User, Prefix: d.TablePrefix, Action: tokendb.Action(d.Action),
	}
	if d.Socket != "" {
		opt.Socket = cfg.Resolve(d.Socket)
	}
	if !d.Password.IsZero() {
		opt.Password = d.Password.Read
	}
	var err error
	if opt.TLS, err = tokenTLS(cfg, d); err != nil {
		return nil, err
	}
	return tokendb.Open(opt)
}

// tokenTLS is how the connection to the token database is protected; nil when it is
// not.
func tokenTLS(cfg *config.Config, d config.TokenDatabase) (*tls.Config, error) {
	how := d.Protection()
	if how == config.TokenTLSNone {
		return nil, nil //nolint:nilnil // no configuration is what none means to the driver
	}
	host, _, err := net.SplitHostPort(d.Address)
	if err != nil {
		host = d.Socket // a certificate on a socket names no host; only encrypt gets along with that
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if how == config.TokenTLSEncrypt {
		out.InsecureSkipVerify = true // what encrypt says, chosen and explained in the configuration
		return out, nil
	}
	if d.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(cfg.Resolve(d.CAFile))
	if err != nil {
		return nil, fmt.Errorf("tokens.database.ca_file: %w", err)
	}
	out.RootCAs = x509.NewCertPool()
	if !out.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tokens.database.ca_file: %s holds no certificate in PEM form", d.CAFile)
	}
	return out, nil
}
