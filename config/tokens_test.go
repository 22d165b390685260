package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withTokens is minimal with a line below its target.
func withTokens(tokens string) string {
	return strings.Replace(minimal, "login:", "tokens: "+tokens+"\n    login:", 1)
}

func TestTokens_Reads(t *testing.T) {
	const text = "{strategy: database, on: [deprovision, privilege_decrease], database: {address: 'db.example.com:3306', name: matomo, user: bridge, " +
		"password_env: DBPW, table_prefix: piwik_, tls: encrypt, action: expire}}"
	c, err := Parse("f", []byte(withTokens(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := Tokens{
		Strategy: TokensDatabase, On: []TokenEvent{TokensOnDeprovision, TokensOnDecrease},
		Database: TokenDatabase{
			Address: "db.example.com:3306", Name: "matomo", User: "bridge", PasswordEnv: "DBPW", TablePrefix: "piwik_",
			TLS: TokenTLSEncrypt, Action: TokenDBExpire,
		},
	}
	if diff := cmp.Diff(want, c.Targets[0].Tokens, ignoreSecrets); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	if c.Targets[0].Tokens.Database.IsZero() || !defaultTarget().Tokens.Database.IsZero() {
		t.Error("what is configured and what is not are mixed up")
	}
}

func TestTokens_Refuses(t *testing.T) {
	const rest = "name: m, user: u"
	for name, tc := range map[string]struct {
		text string
		want []string
		hint string
	}{
		"strategy without a database": {
			"{strategy: database}",
			[]string{"5:24 targets[0].tokens.strategy: there is no token database"},
			"say where it is under database, or use auto",
		},
		"half a database": {
			"{database: {password_env: PW}}",
			[]string{
				"5:24 targets[0].tokens.database.address: one of address and socket is needed",
				"5:24 targets[0].tokens.database.name: the name of Matomo's database is missing",
				"5:24 targets[0].tokens.database.user: the database user is missing",
			},
			"say address: host:3306, or socket: /run/mysqld/mysqld.sock",
		},
		"address and socket": {
			"{database: {address: 'a:1', socket: /s, " + rest + "}}",
			[]string{"5:34 targets[0].tokens.database.address: one of address and socket is needed"},
			"",
		},
		"address without a port": {
			"{database: {address: db, " + rest + "}}",
			[]string{`5:34 targets[0].tokens.database.address: "db" is no address`},
			"",
		},
		"a prefix that is none": {
			"{database: {socket: /s, table_prefix: 'a`; DROP', " + rest + "}}",
			[]string{"5:51 targets[0].tokens.database.table_prefix: \"a`; DROP\" is no prefix of tables"},
			"",
		},
		"certificates for nothing": {
			"{database: {socket: /s, ca_file: ca.pem, " + rest + "}}",
			[]string{"5:46 targets[0].tokens.database.ca_file: is used with tls: verify alone"},
			"say tls: verify, or remove it",
		},
		"password in the file": {
			"{database: {socket: /s, password: hunter2, " + rest + "}}",
			[]string{"5:37 targets[0].tokens.database.password: secrets do not stand in this file"},
			"",
		},
		"password twice": {
			"{database: {socket: /s, password_file: f, password_env: E, " + rest + "}}",
			[]string{"5:69 targets[0].tokens.database.password_env: password_file is set too"},
			"",
		},
		"unknown action": {
			"{database: {socket: /s, action: truncate, " + rest + "}}",
			[]string{`5:45 targets[0].tokens.database.action: "truncate" is not known here`},
			"",
		},
		"a database that nobody asks": {
			"{strategy: plugin, database: {socket: /s, " + rest + "}}",
			[]string{"5:42 targets[0].tokens.database: is not used with strategy plugin"},
			"say strategy: auto or database, or remove it",
		},
		"unknown occasion": {
			"{on: [promotion]}",
			[]string{`5:19 targets[0].tokens.on[0]: "promotion" is not known here`},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			problems := wrong(t, withTokens(tc.text))
			if diff := cmp.Diff(tc.want, brief(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(problems.Error(), "hunter2") {
				t.Error("the password is in the message")
			}
			if tc.hint != "" && problems[0].Hint != tc.hint {
				t.Errorf("hint %q, want %q", problems[0].Hint, tc.hint)
			}
		})
	}
}

func TestTokenDatabase_Protection(t *testing.T) {
	for _, tc := range []struct {
		address, socket string
		tls, want       TokenTLS
	}{
		{"db.example.com:3306", "", TokenTLSAuto, TokenTLSVerify},
		{"127.0.0.1:3306", "", TokenTLSAuto, TokenTLSNone},
		{"[::1]:3306", "", TokenTLSAuto, TokenTLSNone},
		{"localhost:3306", "", TokenTLSAuto, TokenTLSNone},
		{"", "/run/mysqld.sock", TokenTLSAuto, TokenTLSNone},
		{"127.0.0.1:3306", "", TokenTLSVerify, TokenTLSVerify},
		{"db:3306", "", TokenTLSNone, TokenTLSNone},
	} {
		d := TokenDatabase{Address: tc.address, Socket: tc.socket, TLS: tc.tls}
		if got := d.Protection(); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc, got, tc.want)
		}
	}
}

// The password's file is looked at when the configuration is loaded, and read at
// each use.
func TestTokenDatabase_Password(t *testing.T) {
	dir, path := project(t, withTokens("{database: {address: 'db:3306', name: m, user: u, password_file: dbpw}}"))
	_, err := Load(path, noEnv)
	if want := "tokens.database.password_file: " + filepath.Join(dir, "dbpw"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	write(t, dir, "dbpw", "first\n")
	c, err := Load(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second"} {
		write(t, dir, "dbpw", want+"\n")
		if got, err := c.Targets[0].Tokens.Database.Password.Read(); got != want || err != nil {
			t.Errorf("password %q, %v; want %q", got, err, want)
		}
	}
}
