// Package config reads the bridge's one YAML file.
//
// It is strict on purpose. The file decides who gets access to what, so a
// misspelt key that is silently ignored is worse than a bridge that does not
// start. Unknown keys, keys written twice, wrong types, values out of range, a
// second document: everything wrong is collected and reported at once, each
// with file, line, column, the line itself and what to do about it (Problems).
//
// Three steps, apart from each other so that each can be tested alone:
//
//  1. decoding: YAML nodes into Config, over the defaults of defaults.go;
//  2. checking: what the keys mean together (validate.go), without any I/O;
//  3. files: secrets and rule files exist and are safe to use (files.go).
//
// Parse does the first two, Load all three. Secrets never stand in the file:
// the file names where they are, and Secret reads them again at each use, so
// that a rotated token needs no restart.
//
// Only internal/app and cmd import this package; everything else takes its own
// options.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/matomo-scim/bridge/config/certificate"
	"github.com/matomo-scim/bridge/config/extension"
	"github.com/matomo-scim/bridge/config/secret"
	"github.com/matomo-scim/bridge/config/source"
)

// EnvPath is the environment variable that names the configuration file when
// no --config was given.
const EnvPath = "SCIM_BRIDGE_CONFIG"

// DefaultPath is read when neither --config nor EnvPath is set.
const DefaultPath = "bridge.yaml"

// Secret is a place where a secret is kept: see secret.Secret.
type Secret = secret.Secret

// maxSize bounds the file: the largest sensible one has a few hundred lines.
const maxSize = 1 << 20

// Config is the whole file with defaults filled in. The yaml tags are the keys;
// the tag `live` marks what a reload takes over without a restart (package changes).
type Config struct {
	Listen    Listen             `yaml:"listen"`
	SCIM      SCIM               `yaml:"scim"`
	Log       Log                `yaml:"log"`
	Database  Database           `yaml:"database"`
	Sources   []Source           `yaml:"sources"`
	Schemas   []extension.Schema `yaml:"schemas"`
	Targets   []Target           `yaml:"targets"`
	Mapping   Mapping            `yaml:"mapping"`
	Guards    Guards             `yaml:"guards"`
	Reconcile Reconcile          `yaml:"reconcile"`
	Audit     Audit              `yaml:"audit"`

	// Path is the file this came from, as it was named; Dir its absolute
	// folder, which relative paths in the file start from.
	Path string `yaml:"-"`
	Dir  string `yaml:"-"`
}

// Listen holds the addresses the bridge answers on, each host:port or :port.
type Listen struct {
	// SCIM is the identity provider's door, with /healthz and /readyz.
	SCIM string `yaml:"scim"`
	// TLS is what SCIM is served with; plain HTTP when it is empty.
	TLS certificate.Keys `yaml:"tls"`
	// MonitorTokenFile or MonitorTokenEnv, at most one, names the place of what
	// monitoring sends as bearer token when it comes from another host.
	MonitorTokenFile string `yaml:"monitor_token_file"`
	MonitorTokenEnv  string `yaml:"monitor_token_env"`
	// Metrics serves /metrics and /health, which are not for the world.
	Metrics string `yaml:"metrics"`
	// Drain is how long SCIM goes on answering after it was told to stop, with /readyz
	// saying 503, so that a load balancer sends nothing more before the listener closes.
	Drain time.Duration `yaml:"drain"`
	// TrustedProxies are the address blocks of proxies that say where a request
	// really comes from.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// PublicDiscovery answers ServiceProviderConfig, Schemas and ResourceTypes
	// without a credential.
	PublicDiscovery bool `yaml:"public_discovery"`
	// WrongTokensPerMinute is how many an address may send before it is slowed
	// down; 0 is no limit.
	WrongTokensPerMinute int `yaml:"wrong_tokens_per_minute"`

	// MonitorToken is that place; zero when none is configured.
	MonitorToken Secret `yaml:"-"`
}

// SCIM bounds what one request of an identity provider may ask. What is beyond is
// refused with an answer that names the limit.
type SCIM struct {
	// MaxBody is the largest body in bytes.
	MaxBody int `yaml:"max_body"`
	// MaxOperations is how many operations a PATCH or a bulk request may have.
	MaxOperations int `yaml:"max_operations"`
	// MaxPage is the largest page of a listing, and the one for who asks for none.
	MaxPage int `yaml:"max_page"`
	// MaxFilter is the longest filter in bytes.
	MaxFilter int `yaml:"max_filter"`
	// Cursors lets listings be paged by cursor (RFC 9865), and announces it.
	Cursors bool `yaml:"cursors"`
}

// Log says how the bridge writes its log.
type Log struct {
	Format LogFormat `yaml:"format"`
	Level  LogLevel  `yaml:"level"`
}

// Database says where the bridge keeps its own state.
type Database struct {
	// URL is sqlite:PATH or postgres://user@host/name, never with a password.
	// After Load an SQLite path is absolute.
	URL string `yaml:"url"`
	// PasswordFile and PasswordEnv name the place of PostgreSQL's password; at
	// most one is set. It is read for each new connection.
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`

	// Password is that place; zero when neither is set or before Load.
	Password Secret `yaml:"-"`
}

// Source is one identity provider that pushes users and groups.
type Source struct {
	// Name is what rules, credentials and the audit log call it: a letter, then
	// letters, digits, _ and -.
	Name string     `yaml:"name"`
	Type SourceType `yaml:"type"`
	// Profile is the dialect of SCIM it speaks.
	Profile Profile `yaml:"profile"`
	// Lifecycle says whether this source decides who is active: a person is a
	// leaver as soon as one source with it says so.
	Lifecycle bool `yaml:"lifecycle"`
	// StrictMembers refuses groups with members that nobody has, instead of
	// keeping these aside until they arrive.
	StrictMembers bool `yaml:"strict_members"`
	// RequestsPerSecond is the most that one of its credentials may make; 0 is no
	// limit.
	RequestsPerSecond int `yaml:"requests_per_second"`
	// Basic also lets it sign in with HTTP Basic.
	Basic bool `yaml:"basic"`
	// JWT lets it sign in with tokens of its own issuer.
	JWT     source.JWT     `yaml:"jwt"`
	Journal source.Journal `yaml:"journal"`
}

// Target is one Matomo instance.
type Target struct {
	// Name is what rules, metrics and the audit log call it, formed as a
	// source's name.
	Name string `yaml:"name"`
	// URL is http or https, with a trailing slash after Parse and never with a
	// user, a query or a page in it.
	URL string `yaml:"url"`
	// TokenFile or TokenEnv, one of the two, names the place of the token_auth;
	// PasswordFile or PasswordEnv, at most one, that of the password.
	TokenFile    string `yaml:"token_file"`
	TokenEnv     string `yaml:"token_env"`
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	// Login is the superuser whose token it is; never touched, as are the
	// Protected ones and Matomo's own anonymous.
	Login     string   `yaml:"login"`
	Protected []string `yaml:"protected" live:"true"`
	Mode      Mode     `yaml:"mode"`
	Manage    Manage   `yaml:"manage"`
	// RequestsPerMinute is the most that is sent to this Matomo; 0 is no limit.
	RequestsPerMinute int     `yaml:"requests_per_minute"`
	SignIn            SignIn  `yaml:"sign_in"`
	Tokens            Tokens  `yaml:"tokens"`
	Leavers           Leavers `yaml:"leavers"`
	// InsecureHTTP allows http:// to a host that is not this machine.
	InsecureHTTP bool `yaml:"insecure_http"`

	// Token is the token_auth of Login; Password that superuser's password,
	// zero when none is configured.
	Token    Secret `yaml:"-"`
	Password Secret `yaml:"-"`
}

// Leavers says what happens to the Matomo account of a person who left.
type Leavers struct {
	OnInactive OnInactive `yaml:"on_inactive"`
	// OnUnmapped is about people who have not left, but to whom no rule gives
	// anything any more.
	OnUnmapped OnUnmapped `yaml:"on_unmapped"`
	// Tokens is the way out where no strategy of Target.Tokens works without
	// destroying something.
	Tokens LeaverTokens `yaml:"tokens"`
	// DeleteAfter is how long a suspended account is kept; 0 (written "never")
	// keeps it for good.
	DeleteAfter time.Duration `yaml:"delete_after" never:"true"`
	// RandomisePassword ends sessions and stops new tokens from being made; it
	// needs the target's password.
	RandomisePassword bool `yaml:"randomise_password"`
	// DeleteSuperusersWithoutPassword deletes a superuser who left when the
	// bridge has no password to demote them with; otherwise they wait.
	DeleteSuperusersWithoutPassword bool `yaml:"delete_superusers_without_password"`
}

// Mapping says which rules apply and how a person becomes a Matomo account.
type Mapping struct {
	// Files are as written; Config.Resolve gives the path to open.
	Files []string `yaml:"files" live:"true"`
	// DefaultTarget is where a grant without a prefix goes: one of Targets.
	DefaultTarget string    `yaml:"default_target" live:"true"`
	LoginFrom     LoginFrom `yaml:"login_from"`
	// LoginReplace maps one character each to what replaces it in a login, so
	// the order of the pairs makes no difference.
	LoginReplace map[string]string `yaml:"login_replace"`
	// EmailFrom is tried in this order; never empty after Parse.
	EmailFrom []EmailFrom `yaml:"email_from"`
	// CreateUnmapped also creates accounts for people whom no rule gives anything.
	CreateUnmapped bool `yaml:"create_unmapped"`
}

// Guards hold back what would do most damage.
type Guards struct {
	// MaxSuperusers counts those the bridge made on a target.
	MaxSuperusers int `yaml:"max_superusers" live:"true"`
	// MinSuperusers counts active ones other than the bridge's own login.
	MinSuperusers int `yaml:"min_superusers" live:"true"`
	// SuperuserSources names the sources whose groups may make superusers; empty
	// means none.
	SuperuserSources []string `yaml:"superuser_sources" live:"true"`
}

// Reconcile paces the loop that makes Matomo agree.
type Reconcile struct {
	// Settle is how long a loss of access through groups waits for a move to
	// complete: 0 to a minute.
	Settle time.Duration `yaml:"settle"`
	// FullCompare is the time between comparisons with Matomo as a whole: a
	// minute to a day.
	FullCompare time.Duration `yaml:"full_compare"`
}

// Audit says what is kept of the record outside the database.
type Audit struct {
	// CheckpointFile takes signed notes of how long the record was, made with the
	// private key in SigningKeyFile; empty: none are written. After Load both are
	// absolute.
	CheckpointFile string `yaml:"checkpoint_file"`
	SigningKeyFile string `yaml:"signing_key_file"`
	// Every is the time between two notes: a minute to a day.
	Every time.Duration `yaml:"every"`
	// JournalFile takes revocations while the record cannot be written; empty:
	// beside the database, or beside the configuration with PostgreSQL.
	JournalFile string `yaml:"journal_file"`

	// SigningKey is the place of the private key; zero when none is configured.
	SigningKey Secret `yaml:"-"`
}

// Find says which file to read: the flag, else the environment, else
// DefaultPath in the working directory.
func Find(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if p := getenv(EnvPath); p != "" {
		return p
	}
	return DefaultPath
}

// Parse decodes and checks data without touching any file. name is used in
// messages only. The error is Problems; with one the Config is nil.
func Parse(name string, data []byte) (*Config, error) {
	c, r := parse(name, data)
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Load reads the file at path (empty: as Find says) and checks it together with
// the files it names. getenv is os.Getenv or a test's; secrets from the
// environment go through it at each use. The error is Problems.
func Load(path string, getenv func(string) string) (*Config, error) {
	return load(path, getenv, (*Config).checkFiles)
}

// LoadForDatabase is Load for commands that work on the database alone, such as a backup: of
// the files that are named only the database's password is looked at. Where systemd hands
// secrets to the service, nobody else sees them.
func LoadForDatabase(path string, getenv func(string) string) (*Config, error) {
	return load(path, getenv, (*Config).checkDatabase)
}

// load reads the file at path; check looks at the files it names.
func load(path string, getenv func(string) string, check func(*Config, *report, fileRules)) (*Config, error) {
	path = Find(path, getenv)
	data, err := readLimited(path)
	if err != nil {
		return nil, Problems{fileProblem(path, err)}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Problems{fileProblem(path, err)}
	}
	c, r := parse(path, data)
	c.Dir = dir
	c.bindSecrets(getenv)
	check(c, r, fileRules{memoryOnly: memoryOnly, secretsDir: secretsDir})
	if err := r.err(); err != nil {
		return nil, err
	}
	if p, ok := strings.CutPrefix(c.Database.URL, sqliteScheme); ok {
		c.Database.URL = sqliteScheme + c.Resolve(p)
	}
	c.Audit.resolve(c)
	return c, nil
}

// Resolve turns a path from the file into one to open: relative ones start at
// the folder of the configuration file.
func (c *Config) Resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.Dir, path)
}

// The journal has a place whether or not somebody thought of it: it is needed on the day when nobody has time
// to configure anything. Beside the database it is on a disk that is written to anyway, and is found by
// whoever restores that.

// resolve makes paths absolute and gives the journal its place.
func (a *Audit) resolve(c *Config) {
	for _, path := range []*string{&a.CheckpointFile, &a.SigningKeyFile, &a.JournalFile} {
		if *path != "" {
			*path = c.Resolve(*path)
		}
	}
	if a.JournalFile != "" {
		return
	}
	a.JournalFile = c.Resolve("audit-journal.jsonl")
	if p, ok := strings.CutPrefix(c.Database.URL, sqliteScheme); ok {
		a.JournalFile = p + ".audit-journal" // SQLite's own journal is called -journal
	}
}

// parse is Parse with the report still open, for Load to add to. The Config is
// never nil, but only to be used when the report is empty.
func parse(name string, data []byte) (*Config, *report) {
	c := defaults()
	c.Path = name
	r := newReport(name, data)
	if decode(data, c, r) {
		c.fillDependent()
		c.validate(r)
	}
	return c, r
}

// readLimited reads a file of at most maxSize bytes.
func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("has %d bytes, more than the %d a configuration may have", info.Size(), maxSize)
	}
	return os.ReadFile(path)
}

// fileProblem words why the configuration itself cannot be read.
func fileProblem(path string, err error) Problem {
	p := Problem{File: path, Msg: secret.PathError(err)}
	if errors.Is(err, fs.ErrNotExist) {
		p.Hint = "name the file with --config or " + EnvPath + ", or start one: matomo-scim-bridge config example > " + DefaultPath
	}
	return p
}
