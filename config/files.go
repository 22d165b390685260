package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/matomo-scim/bridge/config/certificate"
	"github.com/matomo-scim/bridge/config/secret"
)

// secretsDir is where container engines mount secrets, readable as they see fit.
const secretsDir = "/run/secrets"

// fileRules is what the file checks know about the machine; tests set their own.
type fileRules struct {
	// memoryOnly reports whether a file lives in memory, as mounted secrets do.
	memoryOnly func(path string) bool
	secretsDir string
}

// bindSecrets turns the keys that name secrets into Secrets.
func (c *Config) bindSecrets(getenv func(string) string) {
	bind := func(file, env string) Secret {
		switch {
		case file != "":
			return secret.File(c.Resolve(file))
		case env != "":
			return secret.Env(env, getenv)
		default:
			return Secret{}
		}
	}
	c.Listen.MonitorToken = bind(c.Listen.MonitorTokenFile, c.Listen.MonitorTokenEnv)
	c.Database.Password = bind(c.Database.PasswordFile, c.Database.PasswordEnv)
	c.Audit.SigningKey = bind(c.Audit.SigningKeyFile, "")
	for i := range c.Targets {
		t := &c.Targets[i]
		t.Token = bind(t.TokenFile, t.TokenEnv)
		t.Password = bind(t.PasswordFile, t.PasswordEnv)
		t.Tokens.Database.Password = bind(t.Tokens.Database.PasswordFile, t.Tokens.Database.PasswordEnv)
	}
}

// checkFiles reports secrets that cannot be read or that others can, and rule
// files that are not there.
func (c *Config) checkFiles(r *report, rules fileRules) {
	c.checkDatabase(r, rules)
	rules.checkSecret(r, "listen.monitor_token", c.Listen.MonitorToken)
	c.checkCertificate(r, rules)
	rules.checkSecret(r, "audit.signing_key", c.Audit.SigningKey)
	for i := range c.Targets {
		path := fmt.Sprintf("targets[%d]", i)
		rules.checkSecret(r, path+".token", c.Targets[i].Token)
		rules.checkSecret(r, path+".password", c.Targets[i].Password)
		rules.checkSecret(r, path+".tokens.database.password", c.Targets[i].Tokens.Database.Password)
	}
	for i, name := range c.Mapping.Files {
		path, file := fmt.Sprintf("mapping.files[%d]", i), c.Resolve(name)
		info, err := os.Stat(file)
		switch {
		case name == "":
		case err != nil:
			r.add(path, fmt.Sprintf("%s: %s", file, secret.PathError(err)), "relative names start at the folder of this file")
		case info.IsDir():
			r.add(path, file+" is a folder", "name the files one by one")
		}
	}
}

// checkDatabase reports a password of the database that cannot be used.
func (c *Config) checkDatabase(r *report, rules fileRules) {
	rules.checkSecret(r, "database.password", c.Database.Password)
}

// checkCertificate reports a certificate that cannot be served. A key is a secret.
func (c *Config) checkCertificate(r *report, rules fileRules) {
	t := c.Listen.TLS.Resolved(c.Resolve)
	if _, err := t.Roots(); err != nil {
		r.add("listen.tls.acme_ca_file", secret.PathError(err), "name the certificate of the authority's own CA, in PEM")
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return
	}
	rules.checkSecret(r, "listen.tls.key", secret.File(t.KeyFile))
	if err := certificate.Load(t.CertFile, t.KeyFile); err != nil {
		r.add("listen.tls.cert_file", secret.PathError(err), "name a certificate in PEM, and the key that belongs to it")
	}
}

// checkSecret reports a secret that cannot be used. key is its path in the file
// without _file or _env.
func (f fileRules) checkSecret(r *report, key string, s Secret) {
	switch {
	case s.IsZero():
		return
	case s.Path() == "":
		if _, err := s.Read(); err != nil {
			r.add(key+"_env", err.Error(), "set it for the bridge's process, or use "+key[strings.LastIndex(key, ".")+1:]+"_file")
		}
		return
	}
	key += "_file"
	info, err := os.Stat(s.Path())
	if err == nil && info.IsDir() {
		err = fmt.Errorf("is a folder")
	}
	if err != nil {
		r.add(key, fmt.Sprintf("%s: %s", s.Path(), secret.PathError(err)), "relative names start at the folder of this file")
		return
	}
	if msg := f.exposed(s.Path(), info.Mode().Perm()); msg != "" {
		r.add(key, s.Path()+" "+msg, "chmod 600 "+s.Path())
		return
	}
	if _, err := s.Read(); err != nil {
		r.add(key, err.Error(), "")
	}
}

// exposed says who else can get at a secret's file; empty when nobody can.
// Mounted secrets may be readable: their folder is what keeps others out.
func (f fileRules) exposed(path string, perm fs.FileMode) string {
	const othersWrite, othersRead = 0o022, 0o044
	switch {
	case perm&othersWrite != 0:
		return fmt.Sprintf("can be changed by others (mode %04o)", perm)
	case perm&othersRead == 0 || f.isMounted(path):
		return ""
	default:
		return fmt.Sprintf("can be read by others (mode %04o)", perm)
	}
}

// isMounted reports whether a file is a secret that the platform mounted: it
// lives in memory, or where container engines put secrets. Links are followed.
func (f fileRules) isMounted(path string) bool {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	return f.memoryOnly(target) || strings.HasPrefix(target, f.secretsDir+"/")
}
