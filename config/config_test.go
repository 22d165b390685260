package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/matomo-scim/bridge/config/certificate"
	"github.com/matomo-scim/bridge/config/source"
)

// minimal is the shortest file that is right.
const minimal = `
targets:
  - name: main
    url: https://matomo.example.com/
    login: bridge
    token_file: token
mapping:
  files: [mapping.ini]
`

// noEnv is an empty environment.
func noEnv(string) string { return "" }

// env is an environment of pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// write puts a file into dir and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// project is a folder with a configuration, its token and its rule file.
func project(t *testing.T, text string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "token", "0123456789abcdef\n")
	write(t, dir, "mapping.ini", "[RoleMapping]\n")
	return dir, write(t, dir, "bridge.yaml", text)
}

// ignoreSecrets leaves out what cannot be compared: places with a getenv.
var ignoreSecrets = cmpopts.IgnoreTypes(Secret{})

// problemsOf is the list behind an error.
func problemsOf(t *testing.T, err error) Problems {
	t.Helper()
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("error is %T (%v), want Problems", err, err)
	}
	return ps
}

func TestParse_FillsInDefaults(t *testing.T) {
	got, err := Parse("bridge.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path:     "bridge.yaml",
		Listen:   Listen{SCIM: ":8080", Metrics: "127.0.0.1:9464", WrongTokensPerMinute: 120, TLS: certificate.Keys{ACMEDir: "acme"}},
		SCIM:     SCIM{MaxBody: 1 << 20, MaxOperations: 1000, MaxPage: 1000, MaxFilter: 4096, Cursors: true},
		Log:      Log{Format: "auto", Level: "info"},
		Database: Database{URL: "sqlite:bridge.db"},
		Sources: []Source{{
			Name: "scim", Type: "scim", Profile: "generic", Lifecycle: true,
			JWT: source.JWT{Scopes: []string{"users", "groups", "read"}}, Journal: source.Journal{Keep: 168 * time.Hour},
		}},
		Targets: []Target{{
			Name: "main", URL: "https://matomo.example.com/", Login: "bridge", TokenFile: "token",
			Mode: "observe", Manage: "exclusive", RequestsPerMinute: 100, SignIn: "sso",
			Tokens: Tokens{Strategy: "auto", On: []TokenEvent{"deprovision", "role_change"}, Database: TokenDatabase{TLS: "auto", Action: "delete"}},
			Leavers: Leavers{
				OnInactive: "suspend", OnUnmapped: "remove_access", Tokens: "revoke_or_inert",
				DeleteAfter: 720 * time.Hour, RandomisePassword: true,
			},
		}},
		Mapping: Mapping{
			Files: []string{"mapping.ini"}, DefaultTarget: "main", LoginFrom: "userName",
			EmailFrom: []EmailFrom{"emails.primary", "emails.work", "userName"},
		},
		Guards:    Guards{MaxSuperusers: 3, MinSuperusers: 1, SuperuserSources: []string{"scim"}},
		Reconcile: Reconcile{Settle: 10 * time.Second, FullCompare: 15 * time.Minute},
		Audit:     Audit{Every: time.Hour},
	}
	if diff := cmp.Diff(want, got, ignoreSecrets); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParse_ReadsEveryKind(t *testing.T) {
	const text = `
listen: {scim: "127.0.0.1:0", metrics: "[::1]:0"}
scim: {max_body: 2097152, max_operations: 2000, max_page: 200, max_filter: 1024, cursors: false}
log: {format: json, level: debug}
database: {url: "postgres://bridge@db/bridge?sslmode=verify-full", password_env: PGPW}
sources:
  - {name: okta, type: scim, profile: strict, lifecycle: false}
  - {name: entra, profile: entra}
targets:
  - name: main
    url: http://localhost:8081/matomo
    token_env: TOKEN
    password_file: /run/secrets/pw
    login: bridge
    protected: [admin, "1234"]
    mode: enforce
    manage: additive
    requests_per_minute: 0
    sign_in: ldap
    tokens: {strategy: recreate, on: [], max_age: 365d}
    leavers:
      on_inactive: delete
      tokens: revoke_or_delete
      delete_after: never
      randomise_password: false
      delete_superusers_without_password: true
  - {name: eu, url: "http://matomo.internal/", insecure_http: true, login: b, token_file: t, leavers: {delete_after: 1d12h}}
mapping:
  files: [a.ini, b.yaml]
  default_target: eu
  login_from: email_local_part
  login_replace: {"'": "", "/": "_"}
  email_from: [userName]
  create_unmapped: true
guards: {max_superusers: 0, min_superusers: 2, superuser_sources: [okta, entra]}
reconcile: {settle: 0s, full_compare: 24h}
audit: {checkpoint_file: notes, signing_key_file: key.pem, every: 1m, journal_file: journal}
`
	c, err := Parse("bridge.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Target{
		{
			Name: "main", URL: "http://localhost:8081/matomo/", TokenEnv: "TOKEN", PasswordFile: "/run/secrets/pw",
			Login: "bridge", Protected: []string{"admin", "1234"}, Mode: ModeEnforce, Manage: ManageAdditive,
			SignIn: SignInLDAP, Tokens: Tokens{Strategy: TokensRecreate, On: []TokenEvent{}, MaxAge: 365 * 24 * time.Hour, Database: TokenDatabase{TLS: TokenTLSAuto, Action: TokenDBDelete}},
			Leavers: Leavers{
				OnInactive: InactiveDelete, OnUnmapped: UnmappedRemoveAccess, Tokens: LeaverTokensDelete,
				DeleteSuperusersWithoutPassword: true,
			},
		},
		defaultTarget(),
	}
	want[1].Name, want[1].URL, want[1].InsecureHTTP = "eu", "http://matomo.internal/", true
	want[1].Login, want[1].TokenFile = "b", "t"
	want[1].Leavers.DeleteAfter = 36 * time.Hour
	wantAudit := Audit{CheckpointFile: "notes", SigningKeyFile: "key.pem", Every: time.Minute, JournalFile: "journal"}
	if diff := cmp.Diff(wantAudit, c.Audit, ignoreSecrets); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, c.Targets, ignoreSecrets); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if want := (SCIM{MaxBody: 2 << 20, MaxOperations: 2000, MaxPage: 200, MaxFilter: 1024}); c.SCIM != want {
		t.Errorf("scim = %+v, want %+v", c.SCIM, want)
	}
	okta, entra := defaultSource(), defaultSource()
	okta.Name, okta.Profile, okta.Lifecycle = "okta", ProfileStrict, false
	entra.Name, entra.Profile = "entra", ProfileEntra
	wantSources := []Source{okta, entra}
	if diff := cmp.Diff(wantSources, c.Sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	wantMapping := Mapping{
		Files: []string{"a.ini", "b.yaml"}, DefaultTarget: "eu", LoginFrom: LoginFromLocalPart,
		LoginReplace: map[string]string{"'": "", "/": "_"}, EmailFrom: []EmailFrom{EmailFromUserName}, CreateUnmapped: true,
	}
	if diff := cmp.Diff(wantMapping, c.Mapping); diff != "" {
		t.Errorf("mapping (-want +got):\n%s", diff)
	}
	wantGuards := Guards{MaxSuperusers: 0, MinSuperusers: 2, SuperuserSources: []string{"okta", "entra"}}
	if diff := cmp.Diff(wantGuards, c.Guards); diff != "" {
		t.Errorf("guards (-want +got):\n%s", diff)
	}
}

func TestParse_DependentDefaults(t *testing.T) {
	two := strings.Replace(minimal, "mapping:", "sources: [{name: a}, {name: b}]\nmapping:", 1)
	c, err := Parse("f", []byte(two))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Guards.SuperuserSources; len(got) != 0 {
		t.Errorf("superuser_sources with two sources = %v, want none", got)
	}
	none := minimal + "guards: {superuser_sources: []}\n"
	if c, err = Parse("f", []byte(none)); err != nil {
		t.Fatal(err)
	}
	if got := c.Guards.SuperuserSources; len(got) != 0 {
		t.Errorf("superuser_sources set to [] = %v, want none", got)
	}
}

func TestParse_ErrorGivesNoConfig(t *testing.T) {
	c, err := Parse("f", []byte("nonsense: 1\n"))
	if err == nil || c != nil {
		t.Errorf("Parse = %v, %v; want nil and an error", c, err)
	}
}

func TestLoad(t *testing.T) {
	dir, path := project(t, minimal)
	c, err := Load(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.Targets[0].Token.Read()
	if err != nil || token != "0123456789abcdef" {
		t.Errorf("token = %q, %v", token, err)
	}
	if !c.Targets[0].Password.IsZero() {
		t.Errorf("password is %s, want none", c.Targets[0].Password.Source())
	}
	if want := "sqlite:" + filepath.Join(dir, "bridge.db"); c.Database.URL != want {
		t.Errorf("database.url = %q, want %q", c.Database.URL, want)
	}
	if got, want := c.Resolve(c.Mapping.Files[0]), filepath.Join(dir, "mapping.ini"); got != want {
		t.Errorf("rule file = %q, want %q", got, want)
	}
	if got := c.Resolve("/etc/x"); got != "/etc/x" {
		t.Errorf("absolute path became %q", got)
	}
}

func TestLoad_RelativeToTheFileNotTheWorkingDirectory(t *testing.T) {
	dir, _ := project(t, minimal)
	t.Chdir(filepath.Dir(dir))
	c, err := Load(filepath.Join(filepath.Base(dir), "bridge.yaml"), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dir != dir {
		t.Errorf("Dir = %q, want %q", c.Dir, dir)
	}
	if got := c.Targets[0].Token.Source(); got != "file "+filepath.Join(dir, "token") {
		t.Errorf("token comes from %s", got)
	}
}

func TestLoad_AbsoluteDatabasePathStays(t *testing.T) {
	_, path := project(t, minimal+"database: {url: 'sqlite:/var/lib/b.db'}\n")
	c, err := Load(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Database.URL != "sqlite:/var/lib/b.db" {
		t.Errorf("database.url = %q", c.Database.URL)
	}
}

func TestLoad_ReportsTextAndFilesTogether(t *testing.T) {
	dir, path := project(t, minimal+"guards: {max_superuser: 3}\n")
	if err := os.Remove(filepath.Join(dir, "mapping.ini")); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, noEnv)
	ps := problemsOf(t, err)
	var keys []string
	for _, p := range ps {
		keys = append(keys, p.Key)
	}
	if diff := cmp.Diff([]string{"mapping.files[0]", "guards.max_superuser"}, keys); diff != "" {
		t.Errorf("keys with problems (-want +got):\n%s", diff)
	}
}

func TestLoad_FileItself(t *testing.T) {
	dir := t.TempDir()
	big := write(t, dir, "big.yaml", strings.Repeat("#", maxSize+1))
	for name, tc := range map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "none.yaml"), "there is no such file\n  name the file with --config or SCIM_BRIDGE_CONFIG, or start one: matomo-scim-bridge config example > bridge.yaml"},
		"directory": {dir, "is a directory"},
		"too big":   {big, "has 1048577 bytes, more than the 1048576 a configuration may have"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(tc.path, noEnv)
			if got, want := problemsOf(t, err).Error(), tc.path+": "+tc.want; got != want {
				t.Errorf("error = %q\nwant %q", got, want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	for _, tc := range []struct{ flag, env, want string }{
		{"a.yaml", "b.yaml", "a.yaml"},
		{"", "b.yaml", "b.yaml"},
		{"", "", "bridge.yaml"},
	} {
		if got := Find(tc.flag, env(EnvPath, tc.env)); got != tc.want {
			t.Errorf("Find(%q) with %s=%q = %q, want %q", tc.flag, EnvPath, tc.env, got, tc.want)
		}
	}
}

func TestLoad_PathFromEnvironment(t *testing.T) {
	_, path := project(t, minimal)
	c, err := Load("", env(EnvPath, path))
	if err != nil {
		t.Fatal(err)
	}
	if c.Path != path {
		t.Errorf("Path = %q, want %q", c.Path, path)
	}
}
