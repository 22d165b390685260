package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
)

// yamlExample says the same as example.
const yamlExample = `# generated
rules:
  - {group: Matomo-SuperUsers, grants: [superuser]}
  - {group: Matomo-Site1-Admins, grants: ["site:1:admin"]}
  - group: cn=matomo-analysts,ou=groups,dc=example,dc=com
    grants:
      - site:1:write
      - site:2:write
  - {group: Matomo-Admins, grants: ["site:*:admin"]}
  - {group: "Matomo-{site}-Viewers", grants: ["site:{site}:view"]}
  - {group: "Brand {brand} {role}", grants: ["site:name={brand}:{role}"]}
  - {group: Contractors, source: okta, grants: [site:2:view until 2027-03-31]}
  - {group: eu-analysts, grants: [eu/site:4:write+tagmanager_write]}
  - {group: auditors, grants: ["*/site:*:view"]}
  - {group: marketing, grants: ["site:name='Shop: EU':view", "site:group=Brands:view"]}
  - {group: no-payroll, grants: ["site:9:noaccess"]}
  - {user: (&(department=Sales)(!(userType=Contractor))), grants: ["site:7:view"]}
`

func parseYAML(t testing.TB, opt mapping.Options, text string) *mapping.Rules {
	t.Helper()
	r, err := mapping.Parse([]mapping.File{{Name: "m.yaml", Data: []byte(text)}}, opt)
	if err != nil {
		t.Fatalf("parse:\n%v\n%s", err, text)
	}
	return r
}

func TestYAML_SameStringsSameMeaning(t *testing.T) {
	fromINI, fromYAML := parse(t, exampleOptions, example).All(), parseYAML(t, exampleOptions, yamlExample).All()
	if len(fromINI) != len(fromYAML) {
		t.Fatalf("%d rules, want %d", len(fromYAML), len(fromINI))
	}
	for i := range fromINI {
		a, b := fromINI[i].Ref, fromYAML[i].Ref
		a.File, a.Line, b.File, b.Line = "", 0, "", 0
		if diff := cmp.Diff(a, b); diff != "" {
			t.Error(diff)
		}
	}
}

func TestYAML_QuotedKey(t *testing.T) {
	r := parseYAML(t, one, `rules: [{group: '"Team {x}"', grants: ["site:1:view"]}]`)
	wantAccess(t, mapping.Decide(r, in("team {x}"), "main", five, now), "1:view")
}

func TestYAML_LinesOfRules(t *testing.T) {
	r := parseYAML(t, one, "rules:\n  - group: a\n    grants: [superuser]\n\n  - grants: [superuser]\n    group: b\n")
	if got := []int{r.All()[0].Ref.Line, r.All()[1].Ref.Line}; !cmp.Equal(got, []int{2, 5}) {
		t.Errorf("lines = %v", got)
	}
}

func TestYAML_Errors(t *testing.T) {
	for text, want := range map[string]string{
		"":                "1:1: no rule in this file",
		"rules: []":       "1:1: no rule in this file",
		"{}":              "1:1: no rule in this file",
		"rules: {}":       "1:8: must be a list",
		"rules:":          "1:7: must be a list",
		"[]":              "1:1: a mapping with rules",
		"x":               "1:1: a mapping with rules",
		"rules: [a]":      "1:9: a mapping with group",
		"rules: [{}]":     "1:9: either group or user",
		"rulez: []":       `1:1: unknown key "rulez"`,
		"rules: [":        "1:1: no YAML",
		"a: b: c":         "1:1: no YAML",
		"rules: []\nx:\n": `2:1: unknown key "x"`,
		"rules:\n- group: a\n  group: b\n  grants: [superuser]": `3:3: stands here twice`,
		"rules: []\nrules: []":                                      `2:1: stands here twice`,
		"rules:\n- group: a\n  grant: [superuser]":                  `3:3: unknown key "grant"`,
		"rules:\n- {group: a, user: (a=b), grants: [superuser]}":    "2:3: either group or user",
		"rules:\n- {group: a}":                                      "2:3: needs grants",
		"rules:\n- {group: 7, grants: [superuser]}":                 "2:11: must be a text",
		"rules:\n- {group: [a], grants: [superuser]}":               "2:11: must be a text",
		"rules:\n- {group: , grants: [superuser]}":                  "2:11: must be a text",
		"rules:\n- {group: '', grants: [superuser]}":                "2:11: the key is empty",
		"rules:\n- {group: '\"a', grants: [superuser]}":             "2:11: begins with a double quote",
		"rules:\n- {group: '\"a\"b', grants: [superuser]}":          "2:11: begins with a double quote",
		"rules:\n- {group: ']a', grants: [superuser]}":              "2:11: double quotes",
		"rules:\n- {group: \"a\\0b\", grants: [superuser]}":         "2:11: U+0000",
		"rules:\n- {group: \"{x}\\uFDD0\", grants: [site:1:view]}":  "2:11: U+FDD0",
		"rules:\n- {group: a, grants: superuser}":                   "2:22: must be a list",
		"rules:\n- {group: a, grants: []}":                          "2:22: is empty",
		"rules:\n- {group: a, grants: [1]}":                         "2:23: must be a text",
		"rules:\n- {group: a, grants: ['']}":                        "2:23: value is empty",
		"rules:\n- {group: a, grants: ['superuser,superuser']}":     "2:23: one grant an item",
		"rules:\n- {group: a, grants: [site:1:boss]}":               "2:23: is no role",
		"rules:\n- {group: a, grants: ['site:1:view\"']}":           "2:23: after a grant",
		"rules:\n- {group: a, source: 1, grants: [superuser]}":      "2:22: must be a text",
		"rules:\n- {group: a, source: '', grants: [superuser]}":     "2:22: no name of a source",
		"rules:\n- {group: a, source: ok, grants: [superuser]}":     `2:22: unknown source "ok"`,
		"rules:\n- {user: a, grants: [site:1:view]}":                "2:10: no LDAP filter",
		"rules:\n- &x {group: a, grants: [superuser]}\n- *x":        "3:3: a mapping with",
		"rules:\n- !t {group: a, grants: [superuser]}":              "2:3: a mapping with",
		"rules:\n- {group: !t a, grants: [superuser]}":              "2:11: must be a text",
		"rules:\n- {group: a, grants: [superuser]}\n---\nrules: []": "3:1: second document",
		"rules:\n- {group: a, grants: [superuser]}\n--- [":          "no YAML",
	} {
		got := parseErrors(t, one, "m.yaml", text)
		at, msg, _ := strings.Cut(want, " ")
		if at == "no" {
			at, msg = "", want
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], at) || !strings.Contains(got[0], msg) {
			t.Errorf("errors = %q, want one at %s with %q, for\n%s", got, at, msg, text)
		}
	}
}

func TestYAML_AllErrorsAtOnce(t *testing.T) {
	got := parseErrors(t, one, "m.yml", "rules:\n- {group: a, grants: [x, superuser, y]}\n- {user: z, grants: [w]}\n- 5\n")
	if len(got) != 5 {
		t.Errorf("errors = %q", got)
	}
}
