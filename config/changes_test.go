package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanged(t *testing.T) {
	base := minimal + "sources: [{name: okta}, {name: entra}]\nguards: {max_superusers: 3}\n"
	for name, tc := range map[string]struct {
		from, to string
		want     []Change
	}{
		"nothing":       {"x", "x", nil},
		"comment":       {"guards:", "# hello\nguards:", nil},
		"empty list":    {"login:", "protected: []\n    login:", nil},
		"default named": {"login:", "mode: observe\n    login:", nil},
		"protected":     {"login:", "protected: [root]\n    login:", []Change{{"targets[main].protected", true}}},
		"guard":         {"max_superusers: 3", "max_superusers: 4", []Change{{"guards.max_superusers", true}}},
		"sources of superusers": {
			"max_superusers: 3", "max_superusers: 3, superuser_sources: [okta]",
			[]Change{{"guards.superuser_sources", true}},
		},
		"rule files": {"[mapping.ini]", "[mapping.ini, b.yaml]", []Change{{"mapping.files", true}}},
		"mode":       {"login:", "mode: enforce\n    login:", []Change{{"targets[main].mode", false}}},
		"below":      {"login:", "leavers: {delete_after: never}\n    login:", []Change{{"targets[main].leavers.delete_after", false}}},
		"several": {
			"guards:", "log: {level: debug}\nreconcile: {settle: 1s}\nguards:",
			[]Change{{"log.level", false}, {"reconcile.settle", false}},
		},
		"source added":   {"{name: okta}", "{name: new}, {name: okta}", []Change{{"sources[new]", false}}},
		"source removed": {"{name: okta}, ", "", []Change{{"sources[okta]", false}, {"guards.superuser_sources", true}}},
		"source moved":   {"{name: okta}, {name: entra}", "{name: entra}, {name: okta}", nil},
		"source changed": {"{name: entra}", "{name: entra, profile: entra}", []Change{{"sources[entra].profile", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			running, err := Parse("f", []byte(base))
			if err != nil {
				t.Fatal(err)
			}
			next, err := Parse("f", []byte(strings.Replace(base, tc.from, tc.to, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, Changed(running, next)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// Where a secret comes from is a change; what it says now is not.
func TestChanged_Secrets(t *testing.T) {
	dir, path := project(t, minimal)
	running, err := Load(path, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "token", "rotated")
	next, err := Load(path, env("X", "y"))
	if err != nil {
		t.Fatal(err)
	}
	if got := Changed(running, next); got != nil {
		t.Errorf("a rotated token is a change: %v", got)
	}
	write(t, dir, "other", "x")
	write(t, dir, "bridge.yaml", strings.Replace(minimal, "token_file: token", "token_file: other", 1))
	if next, err = Load(path, noEnv); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Change{{"targets[main].token_file", false}}, Changed(running, next)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
