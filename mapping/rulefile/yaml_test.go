package rulefile_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/rulefile"
)

// The forms that generators write.
func TestYAML_Forms(t *testing.T) {
	for text, want := range map[string][]string{
		"rules: [{group: a, grants: [superuser]}]":                                       {"1 group[a] superuser"},
		`{"rules": [{"group": "a", "grants": ["superuser"]}]}`:                           {"1 group[a] superuser"}, // JSON
		"---\nrules:\n- group: a\n  grants:\n  - superuser\n...\n":                       {"3 group[a] superuser"},
		"rules:\n  - grants: [superuser]\n    source: okta\n    group: a":                {"2 group@okta[a] superuser"},
		"rules:\n- user: (a=b)\n  grants: [site:1:view, 'eu/superuser']":                 {"2 user[(a=b)] site:1:view|eu/superuser"},
		"rules: [{group: '  a ', grants: [superuser]}]":                                  {"1 group[a] superuser"},
		`rules: [{group: '"Team {x}"', grants: [superuser]}]`:                            {`1 group["Team {x}"] superuser`},
		`rules: [{group: "\"a\"\"b\"", grants: [superuser]}]`:                            {`1 group["a"b"] superuser`},
		"rules: [{group: '7', grants: [superuser]}]":                                     {"1 group[7] superuser"},
		"rules: [{group: !!str 7, grants: [superuser]}]":                                 {"1 group[7] superuser"},
		"rules:\n- group: >-\n    a\n    b\n  grants: [superuser]":                       {"2 group[a b] superuser"},
		"rules:\n- {group: a, grants: [\"site:name='x, y':view\"]}":                      {"2 group[a] site:name='x, y':view"},
		"rules:\n- {group: a, grants: [site:*:view until 2027-03-31]}":                   {"2 group[a] site:*:view until 2027-03-31"},
		"\ufeffrules: [{group: a, grants: [superuser]}]":                                 {"1 group[a] superuser"},
		"rules:\r\n- {group: a, grants: [superuser]}\r\n":                                {"2 group[a] superuser"},
		"# x\nrules: # y\n# z\n- {group: a, grants: [superuser]} # w\n":                  {"4 group[a] superuser"},
		"rules:\n- {group: a, grants: [superuser]}\n\n- {group: b, grants: [superuser]}": {"2 group[a] superuser", "4 group[b] superuser"},
	} {
		rules, _, errs := read("m.yaml", text)
		if diff := cmp.Diff(want, summaries(rules)); diff != "" || len(errs) > 0 {
			t.Errorf("%s: %s (%q)", text, diff, errs)
		}
	}
}

func TestYAML_Errors(t *testing.T) {
	wantErrors(t, "m.yaml", map[string]string{
		"rules: {}":       "1:8: must be a list",
		"rules:":          "1:7: must be a list",
		"rules: x":        "1:8: must be a list",
		"[]":              "1:1: a mapping with rules",
		"x":               "1:1: a mapping with rules",
		"rules: [a]":      "1:9: a mapping with group",
		"rules: [[]]":     "1:9: a mapping with group",
		"rules: [{}]":     "1:9: either group or user",
		"rulez: []":       `1:1: unknown key "rulez"`,
		"rules: [":        "1:1: no YAML",
		"a: b: c":         "1:1: no YAML",
		"\trules: []":     "1:1: no YAML",
		"rules: []\nx:\n": `2:1: unknown key "x"`,
		"? [a]\n: b":      "1:3: unknown key",
		"rules:\n- group: a\n  group: b\n  grants: [superuser]": `3:3: stands here twice`,
		"rules: []\nrules: []":                                      `2:1: stands here twice`,
		"rules:\n- group: a\n  grant: [superuser]":                  `3:3: unknown key "grant"`,
		"rules:\n- {group: a, Source: x, grants: [superuser]}":      `2:14: unknown key "Source"`,
		"rules:\n- {group: a, user: (a=b), grants: [superuser]}":    "2:3: either group or user",
		"rules:\n- {grants: [superuser]}":                           "2:3: either group or user",
		"rules:\n- {group: a}":                                      "2:3: needs grants",
		"rules:\n- {group: 7, grants: [superuser]}":                 "2:11: must be a text",
		"rules:\n- {group: true, grants: [superuser]}":              "2:11: must be a text",
		"rules:\n- {group: 2027-03-31, grants: [superuser]}":        "2:11: must be a text",
		"rules:\n- {group: [a], grants: [superuser]}":               "2:11: must be a text",
		"rules:\n- {group: , grants: [superuser]}":                  "2:11: must be a text",
		"rules:\n- {group: ~, grants: [superuser]}":                 "2:11: must be a text",
		"rules:\n- {group: '', grants: [superuser]}":                "2:11: the key is empty",
		"rules:\n- {group: '\"\"', grants: [superuser]}":            "2:11: the key is empty",
		"rules:\n- {group: '\"a', grants: [superuser]}":             "2:11: begins with a double quote",
		"rules:\n- {group: '\"a\"b', grants: [superuser]}":          "2:11: begins with a double quote",
		"rules:\n- {group: ']a', grants: [superuser]}":              "2:11: double quotes",
		"rules:\n- {group: a, grants: superuser}":                   "2:22: must be a list",
		"rules:\n- {group: a, grants: {}}":                          "2:22: must be a list",
		"rules:\n- {group: a, grants: []}":                          "2:22: is empty",
		"rules:\n- {group: a, grants: [1]}":                         "2:23: must be a text",
		"rules:\n- {group: a, grants: [[superuser]]}":               "2:23: must be a text",
		"rules:\n- {group: a, grants: ['']}":                        "2:23: value is empty",
		"rules:\n- {group: a, grants: ['superuser,superuser']}":     "2:23: one grant an item",
		"rules:\n- {group: a, grants: [site:1:boss]}":               "2:23: is no role",
		"rules:\n- {group: a, grants: ['site:1:view\"']}":           "2:23: after a grant",
		"rules:\n- {group: a, grants: [{site: 1}]}":                 "2:23: must be a text",
		"rules:\n- {group: a, source: 1, grants: [superuser]}":      "2:22: must be a text",
		"rules:\n- {group: a, source: '', grants: [superuser]}":     "2:22: no name of a source",
		"rules:\n- {group: a, source: 'o k', grants: [superuser]}":  "2:22: no name of a source",
		"rules:\n- &x {group: a, grants: [superuser]}\n- *x":        "3:3: a mapping with",
		"rules:\n- !t {group: a, grants: [superuser]}":              "2:3: a mapping with",
		"rules:\n- {group: !t a, grants: [superuser]}":              "2:11: must be a text",
		"rules:\n- {<<: {group: a}, grants: [superuser]}":           "2:4: unknown key",
		"rules:\n- {group: a, grants: [superuser]}\n---\nrules: []": "3:1: second document",
	})
	if _, _, got := read("m.yaml", "rules:\n- {group: a, grants: [superuser]}\n--- ["); len(got) != 1 || !strings.Contains(got[0], "no YAML") {
		t.Errorf("errors = %q", got)
	}
}

func TestYAML_AllErrorsAtOnce(t *testing.T) {
	_, _, got := read("m.yml", "rules:\n- {group: a, grants: [x, superuser, y]}\n- {user: z, grants: [w]}\n- 5\n- {group: '', source: 1, grants: 2}\n")
	want := []string{"2:23:", "2:37:", "3:22:", "4:3:", "5:11:", "5:23:", "5:34:"}
	places := make([]string, len(got))
	for i, e := range got {
		places[i], _, _ = strings.Cut(e, " ")
	}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("%s\n%s", diff, strings.Join(got, "\n"))
	}
}

func TestYAML_Places(t *testing.T) {
	r := mustRead(t, "m.yaml", "rules:\n  - group: a\n    source: okta\n    grants:\n      - superuser\n      - site:1:view\n")[0]
	got := []rulefile.Position{r.KeyAt, r.SourceAt, r.Grants[0].At, r.Grants[1].At}
	want := []rulefile.Position{{Line: 2, Col: 12}, {Line: 3, Col: 13}, {Line: 5, Col: 9}, {Line: 6, Col: 9}}
	if diff := cmp.Diff(want, got); diff != "" || r.Line != 2 {
		t.Errorf("line %d, %s", r.Line, diff)
	}
}

// The same rules in both forms are the same rules.
func TestYAML_SaysTheSameAsINI(t *testing.T) {
	grants := []string{"superuser", "site:1:view", "eu/site:*:admin", "site:name='Shop: EU':view", "site:{x}:{y}+a+b", "*/site:group=B r:noaccess until 2027-03-31"}
	keys := []string{"a", "Matomo-{x}", `"Team {x}"`, `"a""b"`, "cn=a,ou=b", "a;b,c=d", "(&(a=b)(c=*))", "ä: #x", "[a]", "- a", "1", "~"}
	rapid.Check(t, func(t *rapid.T) {
		var ini []string
		var yaml strings.Builder
		yaml.WriteString("rules:\n")
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			kind, key := rapid.SampledFrom([]string{"group", "user"}).Draw(t, "kind"), rapid.SampledFrom(keys).Draw(t, "key")
			list := rapid.SliceOfN(rapid.SampledFrom(grants), 1, 3).Draw(t, "grants")
			source := rapid.SampledFrom([]string{"", "okta"}).Draw(t, "source")
			_, _ = fmt.Fprintf(&yaml, "- %s: %s\n", kind, strconv.Quote(key))
			if source != "" {
				_, _ = fmt.Fprintf(&yaml, "  source: %s\n", source)
				source = "@" + source
			}
			yaml.WriteString("  grants:\n")
			for _, g := range list {
				_, _ = fmt.Fprintf(&yaml, "  - %s\n", strconv.Quote(g))
			}
			ini = append(ini, fmt.Sprintf("%s%s[%s] = \"%s\"", kind, source, key, strings.Join(list, ", ")))
		}
		a, _, errsA := read("m.ini", lines(ini...))
		b, _, errsB := read("m.yaml", yaml.String())
		if len(errsA)+len(errsB) > 0 || len(a) != len(b) {
			t.Fatalf("%q %q\n%s", errsA, errsB, yaml.String())
		}
		for i := range a {
			a[i].Line, b[i].Line = 0, 0
			if summary(a[i]) != summary(b[i]) || a[i].Key != b[i].Key {
				t.Fatalf("%s in INI, %s in YAML", summary(a[i]), summary(b[i]))
			}
		}
	})
}
