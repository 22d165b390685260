package changes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/config/changes"
)

// minimal is the least that works.
const minimal = `
targets:
  - name: main
    url: https://matomo.example.com/
    login: bridge
    token_file: token
mapping:
  files: [mapping.ini]
`

// keysOnly compares which keys changed, not the values.
var keysOnly = cmpopts.IgnoreFields(changes.Change{}, "From", "To")

func TestChanged(t *testing.T) {
	base := minimal + "sources: [{name: okta}, {name: entra}]\nguards: {max_superusers: 3}\n"
	for name, tc := range map[string]struct {
		from, to string
		want     []changes.Change
	}{
		"nothing":       {"x", "x", nil},
		"comment":       {"guards:", "# hello\nguards:", nil},
		"empty list":    {"login:", "protected: []\n    login:", nil},
		"default named": {"login:", "mode: observe\n    login:", nil},
		"protected":     {"login:", "protected: [root]\n    login:", []changes.Change{{Key: "targets[main].protected", Live: true}}},
		"guard":         {"max_superusers: 3", "max_superusers: 4", []changes.Change{{Key: "guards.max_superusers", Live: true}}},
		"sources of superusers": {
			"max_superusers: 3", "max_superusers: 3, superuser_sources: [okta]",
			[]changes.Change{{Key: "guards.superuser_sources", Live: true}},
		},
		"rule files": {"[mapping.ini]", "[mapping.ini, b.yaml]", []changes.Change{{Key: "mapping.files", Live: true}}},
		"mode":       {"login:", "mode: enforce\n    login:", []changes.Change{{Key: "targets[main].mode"}}},
		"below":      {"login:", "leavers: {delete_after: never}\n    login:", []changes.Change{{Key: "targets[main].leavers.delete_after"}}},
		"several": {
			"guards:", "log: {level: debug}\nreconcile: {settle: 1s}\nguards:",
			[]changes.Change{{Key: "log.level"}, {Key: "reconcile.settle"}},
		},
		"source added":   {"{name: okta}", "{name: new}, {name: okta}", []changes.Change{{Key: "sources[new]"}}},
		"source removed": {"{name: okta}, ", "", []changes.Change{{Key: "sources[okta]"}, {Key: "guards.superuser_sources", Live: true}}},
		"source moved":   {"{name: okta}, {name: entra}", "{name: entra}, {name: okta}", nil},
		"source changed": {"{name: entra}", "{name: entra, profile: entra}", []changes.Change{{Key: "sources[entra].profile"}}},
	} {
		t.Run(name, func(t *testing.T) {
			running, err := config.Parse("f", []byte(base))
			if err != nil {
				t.Fatal(err)
			}
			next, err := config.Parse("f", []byte(strings.Replace(base, tc.from, tc.to, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, changes.Changed(running, next), keysOnly); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// Where a secret comes from is a change; what it says now is not.
func TestChanged_Secrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bridge.yaml")
	write(t, dir, "bridge.yaml", minimal)
	write(t, dir, "token", "secret")
	write(t, dir, "mapping.ini", "[RoleMapping]\n")
	running, err := config.Load(path, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "token", "rotated")
	next, err := config.Load(path, func(string) string { return "y" })
	if err != nil {
		t.Fatal(err)
	}
	if got := changes.Changed(running, next); got != nil {
		t.Errorf("a rotated token is a change: %v", got)
	}
	write(t, dir, "other", "x")
	write(t, dir, "bridge.yaml", strings.Replace(minimal, "token_file: token", "token_file: other", 1))
	if next, err = config.Load(path, os.Getenv); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]changes.Change{{Key: "targets[main].token_file"}}, changes.Changed(running, next), keysOnly); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// What is logged of a change is what the file says, on one line.
func TestChange_String(t *testing.T) {
	base := minimal + "sources: [{name: okta}]\nguards: {max_superusers: 3}\n"
	next := strings.NewReplacer("max_superusers: 3", "max_superusers: 4", "{name: okta}", "{name: entra}",
		"login: bridge", "login: bridge\n    protected: [root, admin]").Replace(base) + "reconcile: {settle: 1m}\n"
	from, to := mustParse(t, base), mustParse(t, next)
	var got []string
	for _, c := range changes.Changed(from, to) {
		got = append(got, c.String())
	}
	want := []string{
		"sources[okta]: removed", "sources[entra]: added", `targets[main].protected: null -> ["root","admin"]`,
		"guards.max_superusers: 3 -> 4", `guards.superuser_sources: ["okta"] -> ["entra"]`, "reconcile.settle: 10s -> 1m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// A reload takes over what is live and nothing else, and leaves both sides alone.
func TestWithLive(t *testing.T) {
	base := minimal + "sources: [{name: okta}]\nguards: {max_superusers: 3}\n"
	running := mustParse(t, base)
	next := mustParse(t, strings.NewReplacer("max_superusers: 3", "max_superusers: 4", "[mapping.ini]", "[other.ini]",
		"login: bridge", "login: bridge\n    mode: enforce\n    protected: [root]").Replace(base)+"reconcile: {settle: 1m}\n")
	got := changes.WithLive(running, next)
	if diff := cmp.Diff(mustParse(t, base), running, cmpopts.IgnoreTypes(config.Secret{})); diff != "" {
		t.Errorf("the running configuration was changed:\n%s", diff)
	}
	var live, left []string
	for _, c := range changes.Changed(running, got) {
		live = append(live, c.Key)
	}
	for _, c := range changes.Changed(got, next) {
		left = append(left, c.Key)
	}
	if diff := cmp.Diff([]string{"targets[main].protected", "mapping.files", "guards.max_superusers"}, live); diff != "" {
		t.Errorf("taken over (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"targets[main].mode", "reconcile.settle"}, left); diff != "" {
		t.Errorf("left for a restart (-want +got):\n%s", diff)
	}
	// A target that is new in the file is not there before the restart.
	more := mustParse(t, strings.Replace(minimal, "targets:", "targets:\n  - {name: eu, url: \"https://eu.example.com/\", login: b, token_file: token}", 1)+"  default_target: main\n")
	if out := changes.WithLive(running, more); len(out.Targets) != 1 {
		t.Errorf("%d targets, want the running one", len(out.Targets))
	}
}

// mustParse reads text that is right.
func mustParse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
