package config

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/matomo-scim/bridge/config/source"
)

// Tokens have a file of their own because they may need a second server, with
// everything that goes with one: an address, a user, a password, encryption.

// Tokens says how API tokens of people who lost access are made useless.
type Tokens struct {
	Strategy TokenStrategy `yaml:"strategy"`
	// On lists the occasions; empty means never.
	On []TokenEvent `yaml:"on"`
	// MaxAge is how old a token may become before it is revoked; 0 (written
	// "never") lets them live.
	MaxAge time.Duration `yaml:"max_age" never:"true"`
	// Database is where Matomo keeps its tokens; not configured when nothing but
	// its defaults is there.
	Database TokenDatabase `yaml:"database"`
}

// TokenDatabase is Matomo's own database, of which the bridge touches the table of
// tokens alone.
type TokenDatabase struct {
	// Address is host:port, Socket the path of a unix socket; one of the two.
	Address string `yaml:"address"`
	Socket  string `yaml:"socket"`
	// Name is that of the database, User that of a user made for the bridge.
	Name string `yaml:"name"`
	User string `yaml:"user"`
	// PasswordFile or PasswordEnv, at most one, names the place of its password.
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	// TablePrefix is that of Matomo's tables; empty finds it out.
	TablePrefix string        `yaml:"table_prefix"`
	TLS         TokenTLS      `yaml:"tls"`
	CAFile      string        `yaml:"ca_file"`
	Action      TokenDBAction `yaml:"action"`

	// Password is the place of the password; zero when none is configured.
	Password Secret `yaml:"-"`
}

// TokenTLS is how the connection to the token database is protected.
type TokenTLS string

// The ways.
const (
	TokenTLSAuto    TokenTLS = "auto"    // verify, except on this machine, where none
	TokenTLSVerify  TokenTLS = "verify"  // encrypted, and the server's certificate is checked
	TokenTLSEncrypt TokenTLS = "encrypt" // encrypted, whoever the server is
	TokenTLSNone    TokenTLS = "none"    // in the clear
)

func (TokenTLS) values() []string {
	return words(TokenTLSAuto, TokenTLSVerify, TokenTLSEncrypt, TokenTLSNone)
}

// TokenDBAction is how a token ends in the database.
type TokenDBAction string

// The actions.
const (
	TokenDBDelete TokenDBAction = "delete" // the row goes
	TokenDBExpire TokenDBAction = "expire" // its date of expiry is set to the past
)

func (TokenDBAction) values() []string { return words(TokenDBDelete, TokenDBExpire) }

// prefixForm is what Matomo takes as tables_prefix.
var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_]*$`)

// IsZero reports whether no token database is configured.
func (d TokenDatabase) IsZero() bool {
	return d.Address+d.Socket+d.Name+d.User+d.PasswordFile+d.PasswordEnv+d.TablePrefix+d.CAFile == ""
}

// Protection is TLS with auto resolved: the password is not sent in the clear, but the
// names of people and of their tokens would be.
func (d TokenDatabase) Protection() TokenTLS {
	if d.TLS != TokenTLSAuto {
		return d.TLS
	}
	host, _, err := net.SplitHostPort(d.Address)
	if d.Socket != "" || err == nil && source.IsLoopback(host) {
		return TokenTLSNone
	}
	return TokenTLSVerify
}

// validate checks what stands below tokens; path is where that is. A database that no
// strategy uses is refused like a strategy without its database: either is a setting
// that somebody believes to be in force.
func (t *Tokens) validate(r *report, path string) {
	validateUnique(r, path+".on", t.On)
	if t.MaxAge != 0 {
		// Younger ones would end while somebody is setting up what uses them.
		r.span(path+".max_age", t.MaxAge, 24*time.Hour, 10*365*24*time.Hour)
	}
	if t.Database.IsZero() {
		if t.Strategy == TokensDatabase {
			r.add(path+".strategy", "there is no token database", "say where it is under database, or use auto")
		}
		return
	}
	t.Database.validate(r, path+".database")
	if t.Strategy != TokensAuto && t.Strategy != TokensDatabase {
		r.add(path+".database", fmt.Sprintf("is not used with strategy %s", t.Strategy), "say strategy: auto or database, or remove it")
	}
}

// validate checks the token database; path is where it stands.
func (d *TokenDatabase) validate(r *report, path string) {
	const example = "say address: host:3306, or socket: /run/mysqld/mysqld.sock"
	switch {
	case (d.Address == "") == (d.Socket == ""):
		r.add(path+".address", "one of address and socket is needed", example)
	case d.Address != "":
		host, port, err := net.SplitHostPort(d.Address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil || host == "" {
			r.add(path+".address", fmt.Sprintf("%q is no address", d.Address), example)
		}
	}
	if d.Name == "" {
		r.add(path+".name", "the name of Matomo's database is missing", "it is dbname under [database] in Matomo's config.ini.php")
	}
	if d.User == "" {
		r.add(path+".user", "the database user is missing", "make one that may touch the table of tokens alone: docs/matomo.md has the statements")
	}
	if !prefixForm.MatchString(d.TablePrefix) {
		r.add(path+".table_prefix", fmt.Sprintf("%q is no prefix of tables", d.TablePrefix), "it is tables_prefix under [database] in Matomo's config.ini.php, such as matomo_")
	}
	if d.CAFile != "" && d.Protection() != TokenTLSVerify {
		r.add(path+".ca_file", "is used with tls: verify alone", "say tls: verify, or remove it")
	}
	validatePlace(r, path, "password", d.PasswordFile, d.PasswordEnv)
}
