// Package certificate is the part of the configuration that says where the certificate of
// the SCIM listener comes from: two files, or an ACME authority. It knows what these keys mean
// together and nothing of the rest of the file.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
)

// Keys are the keys of listen.tls; empty means plain HTTP.
type Keys struct {
	// CertFile is a chain in PEM, the bridge's own certificate first; KeyFile its
	// key. They are read again when they change.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ACMEHosts are the names to get certificates for. The authority must reach
	// the SCIM listener at port 443 under each.
	ACMEHosts []string `yaml:"acme_hosts"`
	// ACMEEmail is told when a certificate is about to end; may be empty.
	ACMEEmail string `yaml:"acme_email"`
	// ACMEDir keeps account and certificates between restarts.
	ACMEDir string `yaml:"acme_dir"`
	// ACMEURL is the authority's directory; empty means Let's Encrypt.
	ACMEURL string `yaml:"acme_url"`
	// ACMECAFile holds, in PEM, whom to trust when the authority itself is asked;
	// empty means whom this host trusts.
	ACMECAFile string `yaml:"acme_ca_file"`
}

// Enabled reports whether the listener speaks TLS.
func (k Keys) Enabled() bool { return k.CertFile != "" || len(k.ACMEHosts) > 0 }

// Problem is something wrong at one key, with what to do about it.
type Problem struct{ Key, Msg, Hint string }

// hostForm is a name under which a host is reached: dots between letters, digits and dashes.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$`)

// Check wants a certificate from one place, and all of it. It touches no file.
func (k Keys) Check() []Problem {
	var out []Problem
	add := func(key, msg, hint string) { out = append(out, Problem{key, msg, hint}) }
	switch {
	case k.CertFile != "" && len(k.ACMEHosts) > 0:
		add("acme_hosts", "cert_file is set too", "keep one of the two: a certificate of your own, or one from an ACME authority")
	case k.CertFile != "" && k.KeyFile == "":
		add("cert_file", "there is no key for it", "say key_file: PATH")
	case k.CertFile == "" && k.KeyFile != "":
		add("key_file", "there is no certificate for it", "say cert_file: PATH")
	}
	for i, host := range k.ACMEHosts {
		at := fmt.Sprintf("acme_hosts[%d]", i)
		if !hostForm.MatchString(host) {
			add(at, fmt.Sprintf("%q is no name of a host", host), "write it as in the address that the identity provider uses: scim.example.com")
		}
		if slices.Index(k.ACMEHosts, host) < i {
			add(at, fmt.Sprintf("%q is already in the list", host), "name it once")
		}
	}
	if k.ACMEURL != "" {
		if u, err := url.Parse(k.ACMEURL); err != nil || u.Scheme != "https" || u.Host == "" {
			add("acme_url", "is no https address", "remove the key for Let's Encrypt")
		}
	}
	if k.ACMECAFile != "" && k.ACMEURL == "" {
		add("acme_ca_file", "is used with acme_url alone", "say acme_url: https://..., or remove it")
	}
	return out
}

// Resolved is k with every path that is set as resolve makes it.
func (k Keys) Resolved(resolve func(string) string) Keys {
	for _, path := range []*string{&k.CertFile, &k.KeyFile, &k.ACMEDir, &k.ACMECAFile} {
		if *path != "" {
			*path = resolve(*path)
		}
	}
	return k
}

// Roots reads acme_ca_file; nil means whom this host trusts.
func (k Keys) Roots() (*x509.CertPool, error) {
	if k.ACMECAFile == "" {
		return nil, nil //nolint:nilnil // the absence of a pool has this meaning in crypto/tls
	}
	text, err := os.ReadFile(k.ACMECAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: holds no certificate in PEM", k.ACMECAFile)
	}
	return roots, nil
}

// Load says why two files cannot be served; nil when they are a pair.
func Load(certFile, keyFile string) error {
	_, err := tls.LoadX509KeyPair(certFile, keyFile)
	return err
}
