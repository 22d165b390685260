package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/config/extension"
	"github.com/matomo-scim/bridge/config/source"
	"github.com/matomo-scim/bridge/config/spelling"
)

// The checks of this file look at keys together and touch nothing outside the
// Config. Each says what is wrong and what to do, at the place of the value.

// The schemes of database.url.
const (
	sqliteScheme   = "sqlite:"
	postgresScheme = "postgres"
)

var (
	// Names that rules can spell: source and target in the mapping grammar.
	nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	envForm  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// What a token_auth looks like; nobody names a file or variable so.
	tokenForm = regexp.MustCompile(`^[0-9a-f]{32,}$`)
	// The characters that Matomo takes in a login.
	loginForm = regexp.MustCompile(`^[A-Za-zÄäÖöÜüß0-9_.@+-]*$`)
)

// validate reports everything that is wrong with c beyond its form.
func (c *Config) validate(r *report) {
	c.validateListen(r)
	for _, p := range c.Listen.TLS.Check() {
		r.add("listen.tls."+p.Key, p.Msg, p.Hint)
	}
	validatePlace(r, "listen", "monitor_token", c.Listen.MonitorTokenFile, c.Listen.MonitorTokenEnv)
	c.SCIM.validate(r)
	c.Database.validate(r)
	c.validateSources(r)
	for _, p := range extension.Check(c.Schemas) {
		r.add("schemas"+p.Path, p.Msg, p.Hint)
	}
	c.validateTargets(r)
	c.validateMapping(r)
	c.validateGuards(r)
	c.validateReconcile(r)
	c.Audit.validate(r)
}

// validateListen checks the form of the addresses; whether they are free shows
// when they are opened.
func (c *Config) validateListen(r *report) {
	for path, addr := range map[string]string{"listen.scim": c.Listen.SCIM, "listen.metrics": c.Listen.Metrics} {
		_, port, err := net.SplitHostPort(addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			r.add(path, fmt.Sprintf("%q is no address to listen on", addr), `write "host:port", or ":port" for every interface`)
		}
	}
	_, port, err := net.SplitHostPort(c.Listen.SCIM)
	if c.Listen.SCIM == c.Listen.Metrics && err == nil && port != "0" {
		r.add("listen.metrics", "is the same address as listen.scim", "give metrics a port of its own, one that the internet does not reach")
	}
	source.CheckProxies(c.Listen.TrustedProxies, r.below("listen.trusted_proxies"))
	r.span("listen.drain", c.Listen.Drain, 0, time.Minute)
	r.between("listen.wrong_tokens_per_minute", c.Listen.WrongTokensPerMinute, 0, 100_000)
}

// validate keeps the limits where a request fits into memory and the usual ones are
// not refused: the largest group that a provider sends at once is a megabyte.
func (s *SCIM) validate(r *report) {
	r.between("scim.max_body", s.MaxBody, 64<<10, 64<<20)
	r.between("scim.max_operations", s.MaxOperations, 10, 10_000)
	r.between("scim.max_page", s.MaxPage, 10, 10_000)
	r.between("scim.max_filter", s.MaxFilter, 256, 16<<10)
}

// validate checks the URL's form; that the server answers is for `check`.
func (d *Database) validate(r *report) {
	const path = "database.url"
	d.validatePassword(r)
	if p, ok := strings.CutPrefix(d.URL, sqliteScheme); ok {
		switch {
		case p == "" || strings.HasPrefix(p, "//"):
			r.add(path, "names no file", "write sqlite:bridge.db or sqlite:/var/lib/matomo-scim-bridge/bridge.db")
		case strings.Contains(p, ":memory:"):
			r.add(path, "a database in memory forgets who has which access", "write sqlite:PATH")
		case strings.ContainsAny(p, "?#"):
			r.add(path, "options are not supported after an SQLite path", "write sqlite:PATH")
		}
		return
	}
	u, err := url.Parse(d.URL)
	if err != nil || u.Scheme != postgresScheme && u.Scheme != "postgresql" {
		r.hideSecret(d.URL)
		r.add(path, "is neither sqlite:PATH nor postgres://USER@HOST/NAME", "")
		return
	}
	secret, has := u.User.Password()
	for _, key := range []string{"password", "sslpassword"} {
		if v := u.Query().Get(key); v != "" {
			secret, has = v, true
			r.hideSecret(url.QueryEscape(v))
		}
	}
	if has {
		r.hideSecret(secret)
		r.hideSecret(d.URL)
		r.add(path, "secrets do not stand in this file", "take the password out of the URL and say database.password_file: PATH, or database.password_env: VARIABLE")
	}
}

// validatePassword checks where PostgreSQL's password comes from.
func (d *Database) validatePassword(r *report) {
	validatePlace(r, "database", "password", d.PasswordFile, d.PasswordEnv)
	if strings.HasPrefix(d.URL, sqliteScheme) && d.PasswordFile+d.PasswordEnv != "" {
		r.add("database", "SQLite has no password", "remove password_file and password_env, or name a postgres:// database")
	}
}

// validateSources wants at least one, each with its own name.
func (c *Config) validateSources(r *report) {
	if len(c.Sources) == 0 {
		r.add("sources", "there is no source", "name one, or remove the key: the default is one source called scim")
	}
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Name
		c.Sources[i].validate(r, fmt.Sprintf("sources[%d]", i))
	}
	validateNames(r, "sources", names)
	c.validateIssuers(r)
}

// validateNames checks that list entries have names that rules can spell, each
// its own: names that differ in case alone would be mixed up by people.
func validateNames(r *report, list string, names []string) {
	first := map[string]int{}
	for i, name := range names {
		path := fmt.Sprintf("%s[%d].name", list, i)
		folded := strings.ToLower(name)
		at, twice := first[folded]
		switch {
		case name == "":
			r.add(path, "the name is missing", "rules, metrics and the audit log use it: say name: NAME")
		case !nameForm.MatchString(name):
			r.add(path, fmt.Sprintf("%q is no name", name), "start with a letter, go on with letters, digits, _ and -")
		case twice:
			r.add(path, fmt.Sprintf("%q is already the name of %s[%d]", name, list, at), "give each its own name; case makes no difference")
		default:
			first[folded] = i
		}
	}
}

// validateTargets wants at least one, each with its own name and right in itself.
func (c *Config) validateTargets(r *report) {
	if len(c.Targets) == 0 {
		r.add("targets", "there is no Matomo to manage", "say targets: with name, url, login and token_file")
	}
	names := make([]string, len(c.Targets))
	for i := range c.Targets {
		names[i] = c.Targets[i].Name
		c.Targets[i].validate(r, fmt.Sprintf("targets[%d]", i))
	}
	validateNames(r, "targets", names)
}

// validate checks one target; path is where it stands in the list.
func (t *Target) validate(r *report, path string) {
	t.validateURL(r, path+".url")
	if t.Login == "" {
		r.add(path+".login", "the login is missing", "say whose token it is: the superuser made for the bridge, which is then never touched")
	}
	if t.TokenFile == "" && t.TokenEnv == "" {
		r.add(path+".token_file", "the token is missing", "say token_file: PATH (or token_env: VARIABLE) with the token_auth of that superuser")
	}
	validatePlace(r, path, "token", t.TokenFile, t.TokenEnv)
	validatePlace(r, path, "password", t.PasswordFile, t.PasswordEnv)
	for i, login := range t.Protected {
		if login == "" {
			r.add(fmt.Sprintf("%s.protected[%d]", path, i), "this login is empty", "remove it")
		}
	}
	r.between(path+".requests_per_minute", t.RequestsPerMinute, 0, 100_000)
	t.Tokens.validate(r, path+".tokens")
}

// validateURL checks the address of a Matomo and gives it a trailing slash.
func (t *Target) validateURL(r *report, path string) {
	const example = "write it as in the browser, up to the folder: https://matomo.example.com/"
	if t.URL == "" {
		r.add(path, "the address of Matomo is missing", example)
		return
	}
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		r.add(path, "is not an http or https address", example)
		return
	case u.User != nil:
		r.hideSecret(t.URL)
		r.add(path, "secrets do not stand in this file", "take user and password out of the address")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.HasSuffix(u.Path, ".php"):
		r.add(path, "is the address of a page", example)
	case u.Scheme == "http" && !t.InsecureHTTP && !source.IsLoopback(u.Hostname()):
		r.add(path, "the token would cross the network unencrypted",
			"use https; only where the network itself is trusted, set insecure_http: true")
	}
	if !strings.HasSuffix(t.URL, "/") {
		t.URL += "/"
	}
}

// validatePlace checks the two keys that say where a secret is.
func validatePlace(r *report, path, what, file, env string) {
	for key, v := range map[string]string{what + "_file": file, what + "_env": env} {
		if tokenForm.MatchString(v) {
			r.hideSecret(v)
			r.add(join(path, key), "this looks like the "+what+" itself",
				fmt.Sprintf("write it to a file that only the bridge can read (chmod 600) and name that file: %s_file: PATH", what))
		}
	}
	if file != "" && env != "" {
		r.add(join(path, what+"_env"), fmt.Sprintf("%s_file is set too", what), "keep one of the two")
	} else if env != "" && !envForm.MatchString(env) {
		r.hideSecret(env)
		r.add(join(path, what+"_env"), "is not the name of an environment variable", "letters, digits and _, like MATOMO_"+strings.ToUpper(what))
	}
}

// validateMapping checks what the rules need and how a login is made. What the
// rule files say is for the mapping package.
func (c *Config) validateMapping(r *report) {
	m := &c.Mapping
	if len(m.Files) == 0 {
		r.add("mapping.files", "there is no rule file", "say mapping: {files: [mapping.ini]}; without rules nobody has access")
	}
	for i, f := range m.Files {
		path := fmt.Sprintf("mapping.files[%d]", i)
		if f == "" {
			r.add(path, "this name is empty", "remove it")
		} else if at := slices.Index(m.Files, f); at < i {
			r.add(path, "is already in the list", "name each file once")
		}
	}
	c.validateDefaultTarget(r)
	if len(m.EmailFrom) == 0 {
		r.add("mapping.email_from", "names no place", "name at least one, or remove the key")
	}
	validateUnique(r, "mapping.email_from", m.EmailFrom)
	for from, to := range m.LoginReplace {
		path := "mapping.login_replace[" + strconv.Quote(from) + "]"
		if utf8.RuneCountInString(from) != 1 {
			r.add(path, "replaces more than one character", "write one character a pair, so that their order makes no difference")
		} else if !loginForm.MatchString(to) {
			r.add(path, fmt.Sprintf("Matomo refuses %q in a login", to), "it takes letters, digits and _ . @ + - only")
		}
	}
}

// validateDefaultTarget wants one when there is a choice.
func (c *Config) validateDefaultTarget(r *report) {
	const path = "mapping.default_target"
	names := make([]string, len(c.Targets))
	for i := range c.Targets {
		names[i] = c.Targets[i].Name
	}
	switch name := c.Mapping.DefaultTarget; {
	case len(names) == 0 || name != "" && slices.Contains(names, name):
	case name == "" && len(names) > 1:
		r.add(path, "is needed with more than one target", "say which one a rule without a prefix means: "+strings.Join(names, ", "))
	case name != "":
		r.add(path, fmt.Sprintf("there is no target %q", name), "the targets are: "+strings.Join(names, ", "))
	}
}

// validateGuards checks limits and that superusers come from a known source: a
// misspelt name would withhold superuser from everybody.
func (c *Config) validateGuards(r *report) {
	r.between("guards.max_superusers", c.Guards.MaxSuperusers, 0, 10_000)
	r.between("guards.min_superusers", c.Guards.MinSuperusers, 0, 10_000)
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Name
	}
	for i, name := range c.Guards.SuperuserSources {
		if !slices.Contains(names, name) {
			r.add(fmt.Sprintf("guards.superuser_sources[%d]", i), fmt.Sprintf("there is no source %q", name), "the sources are: "+strings.Join(names, ", "))
		}
	}
	validateUnique(r, "guards.superuser_sources", c.Guards.SuperuserSources)
}

// validateReconcile keeps the pace within what the loop is made for.
func (c *Config) validateReconcile(r *report) {
	r.span("reconcile.settle", c.Reconcile.Settle, 0, time.Minute)
	r.span("reconcile.full_compare", c.Reconcile.FullCompare, time.Minute, 24*time.Hour)
}

// validate wants a key for notes and notes for a key: one without the other is
// a file that somebody believes in and that is not there.
func (a *Audit) validate(r *report) {
	r.span("audit.every", a.Every, time.Minute, 24*time.Hour)
	switch {
	case a.CheckpointFile != "" && a.SigningKeyFile == "":
		r.add("audit.checkpoint_file", "checkpoints need a key to sign them with", "make one with: matomo-scim-bridge audit key FILE, and name it as signing_key_file")
	case a.CheckpointFile == "" && a.SigningKeyFile != "":
		r.add("audit.signing_key_file", "there is nothing to sign", "say where to write checkpoints with checkpoint_file, or remove the key")
	case a.CheckpointFile != "" && (a.CheckpointFile == a.SigningKeyFile || a.CheckpointFile == a.JournalFile):
		r.add("audit.checkpoint_file", "is the same file as another one", "give each a file of its own")
	}
}

// span reports a duration that is out of range.
func (r *report) span(path string, v, lo, hi time.Duration) {
	if v < lo || v > hi {
		r.add(path, spelling.Duration(v)+" is out of range", fmt.Sprintf("use a duration from %s to %s", spelling.Duration(lo), spelling.Duration(hi)))
	}
}

// validateUnique reports what a list names twice.
func validateUnique[T ~string](r *report, path string, list []T) {
	for i, v := range list {
		if slices.Index(list, v) < i {
			r.add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%q is already in the list", string(v)), "name it once")
		}
	}
}
