package mapping_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
)

// example is the first block of the language's description.
const example = `[LoginSAML_RoleMapping]
group[Matomo-SuperUsers] = "superuser"
group[Matomo-Site1-Admins] = "site:1:admin"
[LoginLdap_RoleMapping]
group[cn=matomo-analysts,ou=groups,dc=example,dc=com] = "site:1:write,site:2:write"
[RoleMapping]
group[Matomo-Admins] = "site:*:admin"                              ; every site, those created later too
group[Matomo-{site}-Viewers] = "site:{site}:view"                  ; template, digits only
group[Brand {brand} {role}] = "site:name={brand}:{role}"           ; one literal site name; {role} is admin, write or view
group@okta[Contractors] = "site:2:view until 2027-03-31"           ; only from source okta; ends by itself
group[eu-analysts] = "eu/site:4:write+tagmanager_write"            ; target eu, a capability
group[auditors] = "*/site:*:view"                                  ; every target
group[marketing] = "site:name='Shop: EU':view, site:group=Brands:view"
group[no-payroll] = "site:9:noaccess"                              ; deny
user[(&(department=Sales)(!(userType=Contractor)))] = "site:7:view" ; LDAP filter over the person's attributes
`

// exampleOptions has what the example mentions.
var exampleOptions = mapping.Options{Targets: []string{"main", "eu"}, DefaultTarget: "main", Sources: []string{"okta"}}

func TestExample_ParsesAsItStands(t *testing.T) {
	r := parse(t, exampleOptions, example)
	var got []string
	for _, rule := range r.All() {
		texts := make([]string, 0, len(rule.Grants))
		for _, g := range rule.Grants {
			texts = append(texts, g.String())
		}
		got = append(got, rule.Ref.String()+" "+strings.Join(texts, "|"))
	}
	want := []string{
		"m.ini:2 group[Matomo-SuperUsers] superuser",
		"m.ini:3 group[Matomo-Site1-Admins] site:1:admin",
		"m.ini:5 group[cn=matomo-analysts,ou=groups,dc=example,dc=com] site:1:write|site:2:write",
		"m.ini:7 group[Matomo-Admins] site:*:admin",
		"m.ini:8 group[Matomo-{site}-Viewers] site:{site}:view",
		"m.ini:9 group[Brand {brand} {role}] site:name={brand}:{role}",
		"m.ini:10 group@okta[Contractors] site:2:view until 2027-03-31",
		"m.ini:11 group[eu-analysts] eu/site:4:write+tagmanager_write",
		"m.ini:12 group[auditors] */site:*:view",
		"m.ini:13 group[marketing] site:name='Shop: EU':view|site:group=Brands:view",
		"m.ini:14 group[no-payroll] site:9:noaccess",
		"m.ini:15 user[(&(department=Sales)(!(userType=Contractor)))] site:7:view",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The two configurations of the access guide, with their other sections, joined
// into one config.ini.php as an administrator would have it.
func TestAccessGuide_ParsesVerbatim(t *testing.T) {
	for _, name := range []string{"testdata/saml.ini", "testdata/ldap.ini"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for form, text := range map[string]string{
			"as it is":          string(data),
			"with CRLF and BOM": "\ufeff" + strings.ReplaceAll(string(data), "\n", "\r\n"),
			"in config.ini.php": "; <?php exit; ?> DO NOT REMOVE THIS LINE\n" + string(data),
		} {
			r := parse(t, one, text)
			superusers, site1 := "Matomo-SuperUsers", "Matomo-Site1-Viewers"
			want := "1:view"
			if strings.Contains(name, "ldap") {
				superusers, site1 = "CN=matomo-admins, OU=groups, DC=example, DC=com", "cn=matomo-analysts,ou=groups,dc=example,dc=com"
				want = "1:write, 2:write"
			}
			wantAccess(t, mapping.Decide(r, in(superusers), "main", five, now), "superuser")
			wantAccess(t, mapping.Decide(r, in(site1), "main", five, now), want)
			if t.Failed() {
				t.Fatalf("%s %s", name, form)
			}
		}
	}
}

// What only the configuration, or the key and the grants together, make wrong.
// Errors of form are tested where the files are read.
func TestParse_ErrorsOfMeaning(t *testing.T) {
	for text, want := range map[string]string{
		// Captures.
		lines(`group[a] = "site:{x}:view"`):         "2:13: does not occur in the key",
		lines(`group[{x}] = "site:1:{role}"`):       "2:15: does not occur in the key",
		lines(`group["{x}"] = "site:{x}:view"`):     "2:17: does not occur in the key",
		lines(`user[(a={x})] = "site:{x}:view"`):    "2:18: does not occur in the key",
		lines(`group[{x}] = "site:name=a{x}:view"`): "2:15: whole name",
		// Keys.
		lines(`group[{a}{b}] = "site:1:view"`):                             "2:7: directly",
		lines(`group[{a}-{a}] = "site:1:view"`):                            "2:7: twice",
		lines(`group[{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}-{i}]=superuser`):      "2:7: more than 8 variables",
		lines(`group[cn={a}+cn=b,dc=x] = "site:1:view"`):                   "2:7: one attribute type twice",
		lines(`group[{a}=b,dc=x] = "site:1:view"`):                         "2:7: inside a value",
		lines(`user[a=b] = "site:1:view"`):                                 "2:6: no LDAP filter",
		lines(`user[(&)] = "site:1:view"`):                                 "2:6: need something to combine",
		lines(`user@scim[( a=b)] = "site:1:view"`):                         "2:11: no attribute name",
		lines(`user[(a=` + strings.Repeat("x", 5000) + `)] = site:1:view`): "2:6: longer than 4096 bytes",
		// Sources, targets and power.
		lines(`group@okta[a] = "site:1:view"`):          `2:7: unknown source "okta"; the sources are: scim`,
		lines(`group[a] = "site:1:view, us/superuser"`): `2:26: unknown target "us"; the targets are: main`,
		lines(`group[t-{x}] = "superuser"`):             "2:17: superuser needs an exact group",
		lines(`group[cn={x},dc=y] = "superuser"`):       "2:23: superuser needs an exact group",
		lines(`user[(a=b)] = "superuser"`):              "2:16: superuser needs an exact group",
	} {
		wantError(t, one, text, want)
	}
	for yaml, want := range map[string]string{
		"rules:\n- {group: \"a\\0b\", grants: [superuser]}":        "2:11: U+0000",
		"rules:\n- {group: \"{x}\\uFDD0\", grants: [site:1:view]}": "2:11: U+FDD0",
		"rules:\n- {group: a, source: ok, grants: [superuser]}":    `2:22: unknown source "ok"`,
		"rules:\n- {user: a, grants: [site:1:view]}":               "2:10: no LDAP filter",
		"rules:\n- {group: a, grants: [us/superuser]}":             `2:23: unknown target "us"`,
	} {
		at, msg, _ := strings.Cut(want, " ")
		got := parseErrors(t, one, "m.yaml", yaml)
		if len(got) != 1 || !strings.HasPrefix(got[0], at) || !strings.Contains(got[0], msg) {
			t.Errorf("errors = %q, want one at %s with %q, for\n%s", got, at, msg, yaml)
		}
	}
}

func TestParse_AllErrorsAtOnce(t *testing.T) {
	got := parseErrors(t, one, "m.ini", lines(
		`group[a] = "site:1:boss, site:x:view, nothing"`,
		`group[b] = "site:1:view"`,
		`grup[c] = "site:1:view"`,
		`group@okta[{d}] = "superuser, us/site:{e}:view"`,
	))
	var places []string
	for _, e := range got {
		place, _, _ := strings.Cut(e, " ")
		places = append(places, place)
	}
	want := []string{"2:20:", "2:31:", "2:39:", "4:1:", "5:7:", "5:20:", "5:31:", "5:31:"}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("%s\n%s", diff, strings.Join(got, "\n"))
	}
}

// blocks are the pieces of rules on a page: in INI, and in YAML where they begin with rules.
var blocks = regexp.MustCompile("(?m)^( *)```(ini|yaml)\n((?s:.*?))^ *```$")

// The examples of every page are what they say they are.
func TestDocs_ExamplesParse(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]int{}
	for _, page := range append(pages, "../README.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range blocks.FindAllStringSubmatch(string(data), -1) {
			text := strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n")
			if m[2] == "yaml" && !strings.HasPrefix(text, "\nrules:") {
				continue // a piece of bridge.yaml; config's tests read it
			}
			read[m[2]]++
			if _, err := mapping.Parse([]mapping.File{{Name: "docs." + m[2], Data: []byte(text)}}, exampleOptions); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if read["ini"] < 2 || read["yaml"] < 1 {
		t.Errorf("only these were read: %v", read)
	}
}

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
