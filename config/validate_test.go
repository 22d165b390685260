package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidate_Refuses(t *testing.T) {
	with := func(from, to string) string { return strings.Replace(minimal, from, to, 1) }
	second := func(rest string) string {
		return with("mapping:", "  - {name: eu, url: 'https://eu.example.com', login: b, token_file: t"+rest+"}\nmapping:")
	}
	for name, tc := range map[string]struct {
		text string
		want []string
		hint string // of the first; empty: not compared
	}{
		"checkpoints without a key": {
			minimal + "audit: {checkpoint_file: notes}",
			[]string{"9:26 audit.checkpoint_file: checkpoints need a key to sign them with"},
			"make one with: matomo-scim-bridge audit key FILE, and name it as signing_key_file",
		},
		"a key without checkpoints": {
			minimal + "audit: {signing_key_file: key.pem}",
			[]string{"9:27 audit.signing_key_file: there is nothing to sign"},
			"say where to write checkpoints with checkpoint_file, or remove the key",
		},
		"checkpoints over the key": {
			minimal + "audit: {checkpoint_file: key.pem, signing_key_file: key.pem}",
			[]string{"9:26 audit.checkpoint_file: is the same file as another one"},
			"",
		},
		"checkpoints all the time": {
			minimal + "audit: {every: 1s}",
			[]string{"9:16 audit.every: 1s is out of range"},
			"use a duration from 1m to 24h",
		},
		"tokens of a moment": {
			with("token_file: token", "token_file: token\n    tokens: {max_age: 1h}"),
			[]string{"7:23 targets[0].tokens.max_age: 1h is out of range"},
			"use a duration from 24h to 87600h",
		},
		"no port": {
			minimal + "listen: {scim: localhost}",
			[]string{`9:16 listen.scim: "localhost" is no address to listen on`},
			`write "host:port", or ":port" for every interface`,
		},
		"limits of requests": {
			minimal + "scim: {max_body: 65535, max_operations: 9, max_page: 10001, max_filter: 255}",
			[]string{
				"9:18 scim.max_body: 65535 is out of range", "9:41 scim.max_operations: 9 is out of range",
				"9:54 scim.max_page: 10001 is out of range", "9:73 scim.max_filter: 255 is out of range",
			},
			"use a number from 65536 to 67108864",
		},
		"port by name": {
			minimal + "listen: {metrics: ':http'}",
			[]string{`9:19 listen.metrics: ":http" is no address to listen on`},
			"",
		},
		"port too high": {
			minimal + "listen: {metrics: ':65536'}",
			[]string{`9:19 listen.metrics: ":65536" is no address to listen on`},
			"",
		},
		"drain too long": {
			minimal + "listen: {drain: 61s}",
			[]string{"9:17 listen.drain: 1m1s is out of range"},
			"use a duration from 0s to 1m",
		},
		"one address for both": {
			minimal + "listen: {metrics: ':8080'}",
			[]string{"9:19 listen.metrics: is the same address as listen.scim"},
			"",
		},
		"certificate without a key": {
			minimal + "listen: {tls: {cert_file: c.pem}}",
			[]string{"9:27 listen.tls.cert_file: there is no key for it"},
			"say key_file: PATH",
		},
		"key without a certificate": {
			minimal + "listen: {tls: {key_file: k.pem}}",
			[]string{"9:26 listen.tls.key_file: there is no certificate for it"},
			"say cert_file: PATH",
		},
		"two certificates": {
			minimal + "listen: {tls: {cert_file: c.pem, key_file: k.pem, acme_hosts: [scim.example.com]}}",
			[]string{"9:63 listen.tls.acme_hosts: cert_file is set too"},
			"",
		},
		"hosts of a certificate": {
			minimal + "listen: {tls: {acme_hosts: [scim.example.com, 'https://x', localhost, scim.example.com], acme_url: 'http://acme'}}",
			[]string{
				`9:47 listen.tls.acme_hosts[1]: "https://x" is no name of a host`, `9:60 listen.tls.acme_hosts[2]: "localhost" is no name of a host`,
				`9:71 listen.tls.acme_hosts[3]: "scim.example.com" is already in the list`, "9:100 listen.tls.acme_url: is no https address",
			},
			"",
		},
		"two monitor tokens": {
			minimal + "listen: {monitor_token_file: a, monitor_token_env: B}",
			[]string{"9:52 listen.monitor_token_env: monitor_token_file is set too"},
			"keep one of the two",
		},
		"no database file": {
			minimal + "database: {url: 'sqlite:'}",
			[]string{"9:17 database.url: names no file"},
			"",
		},
		"sqlite with slashes": {
			minimal + "database: {url: 'sqlite://x'}",
			[]string{"9:17 database.url: names no file"},
			"",
		},
		"database in memory": {
			minimal + "database: {url: 'sqlite::memory:'}",
			[]string{"9:17 database.url: a database in memory forgets who has which access"},
			"",
		},
		"sqlite options": {
			minimal + "database: {url: 'sqlite:b.db?mode=ro'}",
			[]string{"9:17 database.url: options are not supported after an SQLite path"},
			"",
		},
		"other database": {
			minimal + "database: {url: 'mysql://h/d'}",
			[]string{"9:17 database.url: is neither sqlite:PATH nor postgres://USER@HOST/NAME"},
			"",
		},
		"password in database url": {
			minimal + "database: {url: 'postgres://u:p@h/d'}",
			[]string{"9:17 database.url: secrets do not stand in this file"},
			"take the password out of the URL and say database.password_file: PATH, or database.password_env: VARIABLE",
		},
		"password for sqlite": {
			minimal + "database: {password_env: X}",
			[]string{"9:11 database: SQLite has no password"},
			"",
		},
		"two database passwords": {
			minimal + "database: {url: 'postgres://h/d', password_env: X, password_file: x}",
			[]string{"9:49 database.password_env: password_file is set too"},
			"",
		},
		"sources but none": {
			minimal + "sources: []",
			[]string{"9:10 sources: there is no source"},
			"",
		},
		"source without name": {
			minimal + "sources: [{profile: entra}]",
			[]string{"9:11 sources[0].name: the name is missing"},
			"",
		},
		"source name no rule spells": {
			minimal + "sources: [{name: my okta}]",
			[]string{`9:18 sources[0].name: "my okta" is no name`},
			"start with a letter, go on with letters, digits, _ and -",
		},
		"source name twice": {
			minimal + "sources: [{name: a}, {name: A}]",
			[]string{`9:29 sources[1].name: "A" is already the name of sources[0]`},
			"",
		},
		"no target": {
			"targets: []\nmapping: {files: [a]}",
			[]string{"1:10 targets: there is no Matomo to manage"},
			"",
		},
		"target without anything": {
			"targets: [{}]\nmapping: {files: [a]}",
			[]string{"1:11 targets[0].url: the address of Matomo is missing", "1:11 targets[0].login: the login is missing", "1:11 targets[0].token_file: the token is missing", "1:11 targets[0].name: the name is missing"},
			"",
		},
		"target name twice": {
			with("mapping:", "  - {name: main, url: 'https://eu.example.com', login: b, token_file: t}\nmapping:\n  default_target: main"),
			[]string{`7:12 targets[1].name: "main" is already the name of targets[0]`},
			"",
		},
		"no scheme": {
			with("https://", ""),
			[]string{"4:10 targets[0].url: is not an http or https address"},
			"",
		},
		"other scheme": {
			with("https://", "ftp://"),
			[]string{"4:10 targets[0].url: is not an http or https address"},
			"",
		},
		"no host": {
			with("https://matomo.example.com/", "'https:///x'"),
			[]string{"4:10 targets[0].url: is not an http or https address"},
			"",
		},
		"port is no number": {
			with(".com/", ".com:port/"),
			[]string{"4:10 targets[0].url: is not an http or https address"},
			"",
		},
		"user in address": {
			with("https://", "https://me@"),
			[]string{"4:10 targets[0].url: secrets do not stand in this file"},
			"",
		},
		"page": {
			with(".com/", ".com/index.php"),
			[]string{"4:10 targets[0].url: is the address of a page"},
			"write it as in the browser, up to the folder: https://matomo.example.com/",
		},
		"query": {
			with(".com/", ".com/?module=Login"),
			[]string{"4:10 targets[0].url: is the address of a page"},
			"",
		},
		"http": {
			with("https://", "http://"),
			[]string{"4:10 targets[0].url: the token would cross the network unencrypted"},
			"use https; only where the network itself is trusted, set insecure_http: true",
		},
		"http to a private address": {
			with("https://matomo.example.com", "http://10.0.0.1"),
			[]string{"4:10 targets[0].url: the token would cross the network unencrypted"},
			"",
		},
		"http to a lookalike": {
			with("https://matomo.example.com", "http://localhost.example.com"),
			[]string{"4:10 targets[0].url: the token would cross the network unencrypted"},
			"",
		},
		"two places for a token": {
			with("login:", "token_env: T\n    login:"),
			[]string{"5:16 targets[0].token_env: token_file is set too"},
			"keep one of the two",
		},
		"two places for a password": {
			with("login:", "password_env: T\n    password_file: t\n    login:"),
			[]string{"5:19 targets[0].password_env: password_file is set too"},
			"",
		},
		"variable with a dash": {
			with("token_file: token", "token_env: MY-TOKEN"),
			[]string{"6:16 targets[0].token_env: is not the name of an environment variable"},
			"letters, digits and _, like MATOMO_TOKEN",
		},
		"token as the file": {
			with("token_file: token", "token_file: 0123456789abcdef0123456789abcdef"),
			[]string{"6:17 targets[0].token_file: this looks like the token itself"},
			"",
		},
		"empty protected login": {
			with("login:", "protected: [admin, '']\n    login:"),
			[]string{"5:24 targets[0].protected[1]: this login is empty"},
			"",
		},
		"negative rate": {
			with("login:", "requests_per_minute: -1\n    login:"),
			[]string{"5:26 targets[0].requests_per_minute: -1 is out of range"},
			"use a number from 0 to 100000",
		},
		"token event twice": {
			with("login:", "tokens: {on: [deprovision, deprovision]}\n    login:"),
			[]string{`5:32 targets[0].tokens.on[1]: "deprovision" is already in the list`},
			"",
		},
		"no rule files": {
			with("[mapping.ini]", "[]"),
			[]string{"8:10 mapping.files: there is no rule file"},
			"",
		},
		"empty rule file name": {
			with("[mapping.ini]", "[a, '']"),
			[]string{"8:14 mapping.files[1]: this name is empty"},
			"",
		},
		"rule file twice": {
			with("[mapping.ini]", "[a, a]"),
			[]string{"8:14 mapping.files[1]: is already in the list"},
			"",
		},
		"two targets, no default": {
			second(""),
			[]string{"9:3 mapping.default_target: is needed with more than one target"},
			"say which one a rule without a prefix means: main, eu",
		},
		"default target unknown": {
			minimal + "  default_target: other",
			[]string{`9:19 mapping.default_target: there is no target "other"`},
			"the targets are: main",
		},
		"default target in caps": {
			minimal + "  default_target: Main",
			[]string{`9:19 mapping.default_target: there is no target "Main"`},
			"",
		},
		"no place for e-mail": {
			minimal + "  email_from: []",
			[]string{"9:15 mapping.email_from: names no place"},
			"",
		},
		"same place for e-mail": {
			minimal + "  email_from: [userName, userName]",
			[]string{`9:26 mapping.email_from[1]: "userName" is already in the list`},
			"",
		},
		"replaces a word": {
			minimal + "  login_replace: {ab: c}",
			[]string{`9:23 mapping.login_replace["ab"]: replaces more than one character`},
			"",
		},
		"replaces nothing": {
			minimal + "  login_replace: {'': c}",
			[]string{`9:23 mapping.login_replace[""]: replaces more than one character`},
			"",
		},
		"replaces by a bad one": {
			minimal + `  login_replace: {"'": " "}`,
			[]string{`9:24 mapping.login_replace["'"]: Matomo refuses " " in a login`},
			"it takes letters, digits and _ . @ + - only",
		},
		"negative superusers": {
			minimal + "guards: {max_superusers: -1}",
			[]string{"9:26 guards.max_superusers: -1 is out of range"},
			"",
		},
		"negative floor": {
			minimal + "guards: {min_superusers: -1}",
			[]string{"9:26 guards.min_superusers: -1 is out of range"},
			"",
		},
		"superusers from nowhere": {
			minimal + "guards: {superuser_sources: [okta]}",
			[]string{`9:30 guards.superuser_sources[0]: there is no source "okta"`},
			"the sources are: scim",
		},
		"superusers twice": {
			minimal + "guards: {superuser_sources: [scim, scim]}",
			[]string{`9:36 guards.superuser_sources[1]: "scim" is already in the list`},
			"",
		},
		"settle too long": {
			minimal + "reconcile: {settle: 61s}",
			[]string{"9:21 reconcile.settle: 1m1s is out of range"},
			"use a duration from 0s to 1m",
		},
		"compare too often": {
			minimal + "reconcile: {full_compare: 59s}",
			[]string{"9:27 reconcile.full_compare: 59s is out of range"},
			"",
		},
		"compare too rarely": {
			minimal + "reconcile: {full_compare: 2d}",
			[]string{"9:27 reconcile.full_compare: 48h is out of range"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ps := wrong(t, tc.text)
			if diff := cmp.Diff(tc.want, brief(ps)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if tc.hint != "" && ps[0].Hint != tc.hint {
				t.Errorf("hint = %q, want %q", ps[0].Hint, tc.hint)
			}
		})
	}
}

func TestValidate_Accepts(t *testing.T) {
	with := func(from, to string) string { return strings.Replace(minimal, from, to, 1) }
	for name, text := range map[string]string{
		"http to localhost":         with("https://matomo.example.com", "http://LocalHost:8080/x"),
		"http to 127.1.2.3":         with("https://matomo.example.com", "http://127.1.2.3"),
		"http to IPv6 loopback":     with("https://matomo.example.com", "http://[::1]:80"),
		"http by request":           with("https://matomo.example.com/", "http://matomo.internal/\n    insecure_http: true"),
		"insecure_http with https":  with("login:", "insecure_http: true\n    login:"),
		"two ports of choice":       minimal + "listen: {scim: ':0', metrics: ':0'}\n",
		"postgresql scheme":         minimal + "database: {url: 'postgresql://u@h:5432/d'}\n",
		"postgres with password":    minimal + "database: {url: 'postgres://u@h/d', password_file: x}\n",
		"postgres with passfile":    minimal + "database: {url: 'postgres://u@h/d?passfile=/run/secrets/pgpass'}\n",
		"two targets and a default": with("mapping:", "  - {name: eu, url: 'https://eu.example.com', login: b, token_file: t}\nmapping:\n  default_target: eu"),
		"limits as they are":        minimal + "reconcile: {settle: 1m, full_compare: 1m}\nguards: {max_superusers: 0, min_superusers: 0}\n",
		"umlauts in replacements":   minimal + "  login_replace: {ø: ö, ' ': '.'}\n",
	} {
		if _, err := Parse("f", []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the declarations of schemas get wrong is shown where it stands.
func TestValidate_Schemas(t *testing.T) {
	_, err := Parse("f", []byte(minimal+`schemas:
  - id: urn:example:acme:2.0:User
    name: AcmeUser
    attributes:
      - {name: costUnit, type: text}
      - name: department
      - {name: desk, typ: complex}
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`f:13:32: schemas[0].attributes[0].type: "text" is no type here`,
		`f:14:15: schemas[0].attributes[1].name: "department" is an attribute of the standard already`,
		`f:15:22: schemas[0].attributes[2].typ: unknown key`, "did you mean type?",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}
