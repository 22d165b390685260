package mapping_test

import (
	"os"
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

func TestINI_Accepts(t *testing.T) {
	for name, rule := range map[string]string{
		"no blanks":                  `group[a]=site:1:view`,
		"blanks everywhere":          "\t group[ a ] \t=\t \"site:1:view\" \t; x",
		"unquoted until ;":           `group[a] = site:1:view ; and "more"`,
		"unquoted until end of line": `group[a] = site:1:view  `,
		"blanks inside the quotes":   `group[a] = " site:1:view "`,
		"several grants":             `group[a] = "site:1:view ,site:404:view"`,
		"a quoted key":               `group[ "a" ] = "site:1:view"`,
		"a quote inside a name":      `group[a] = "site:1:view,site:name='6"" x;]':view"`,
		"comments and empty lines":   "\n; [Nothing]\n   ; x\n\t\ngroup[a] = site:1:view",
		"CRLF":                       "group[a] = \"site:1:view\"\r",
		"comment behind a section":   "[RoleMapping] ; x\ngroup[a] = site:1:view",
		"other sections":             "[mail]\nfoo[bar = \"\n\xff\n=\n[RoleMapping]\ngroup[a] = site:1:view",
		"long blanks before until":   "group[a] = \"site:1:view \t until \t 2027-01-01\"",
	} {
		t.Run(name, func(t *testing.T) {
			wantAccess(t, decide(t, in("a"), rule), "1:view")
		})
	}
}

func TestINI_Errors(t *testing.T) {
	for text, want := range map[string]string{
		// Lines.
		"group[a] = x":                              "1:1: before any section",
		lines("hello"):                              "2:1: no rule, section or comment",
		lines("# comment"):                          "2:1: comments begin with ;",
		lines(`Group[a] = "superuser"`):             "2:1: no rule",
		lines(`groups[a] = "superuser"`):            "2:1: no rule",
		lines(`group [a] = "superuser"`):            "2:1: no rule",
		lines(`group[a] "superuser"`):               "2:7: the key has no end",
		lines(`group[a = "superuser"`):              "2:7: the key has no end",
		lines(`group[] = "superuser"`):              "2:7: the key is empty",
		lines(`group[""] = "superuser"`):            "2:7: the key is empty",
		lines(`group[]a] = "superuser"`):            "2:7: double quotes",
		lines(`group["a] = "superuser"`):            "2:7: double quotes must be followed by",
		lines(`group["a"b] = "superuser"`):          "2:7: double quotes must be followed by",
		lines(`group@[a] = "superuser"`):            "2:7: name of a source",
		lines(`group@scim = "superuser"`):           "2:11: [ is wanted",
		lines(`group@1x[a] = "superuser"`):          "2:7: name of a source",
		lines("group[a\x00] = superuser"):           "2:8: U+0000",
		lines("group[ä\xff] = superuser"):           "2:8: no UTF-8",
		lines("group[a] = superuser\rgroup[b] = x"): "2:21: U+000D",
		lines("group[a\ufdd0{x}] = superuser"):      "2:8: U+FDD0",
		"[RoleMapping":                              "1:1: must end with ]",
		"[mail]\n [RoleMapping\n[x]":                "2:2: must end with ]",
		"[RoleMapping] group[a] = superuser":        "1:15: behind a section",
		"[LoginLdap_RolesMapping]\ngroup[a] = x":    "1:1: unknown section [LoginLdap_RolesMapping]",
		"[GROUPMAPPING]":                            "1:1: unknown section",
		"":                                          "1:1: no rule in this file",
		"[RoleMapping]\n":                           "1:1: no rule in this file",
		"[mail]\ngroup[a] = superuser":              "1:1: no rule in this file",
		"\xff\xfeg\x00":                             "1:1: UTF-16",
		// Values.
		lines(`group[a] =`):                          "2:11: value is empty",
		lines(`group[a] = ""`):                       "2:13: value is empty",
		lines(`group[a] = ; x`):                      "2:12: value is empty",
		lines(`group[a] = "superuser`):               "2:12: never closed",
		lines(`group[a] = "superuser" x`):            "2:24: behind the value",
		lines(`group[a] = "superuser"superuser`):     "2:23: behind the value",
		lines(`group[a] = superuser"`):               "2:21: double quote inside",
		lines(`group[a] = "superuser,"`):             "2:23: a grant is missing",
		lines(`group[a] = "superuser,,superuser"`):   "2:23: a grant is missing",
		lines(`group[a] = "superuser superuser"`):    "2:23: after a grant",
		lines(`group[a] = "superuserx"`):             "2:13: is no grant",
		lines(`group[a] = "Superuser"`):              "2:13: is no grant",
		lines(`group[a] = "superuser+x"`):            "2:22: after a grant",
		lines(`group[a] = "view"`):                   "2:13: is no grant",
		lines(`group[a] = "1:view"`):                 "2:13: is no grant",
		lines(`group[a] = "eu /site:1:view"`):        "2:13: is no grant",
		lines(`group[a] = "{t}/site:1:view"`):        "2:13: is no grant",
		lines(`group[a] = "site::view"`):             "2:18: names no site",
		lines(`group[a] = "site:01:view"`):           "2:18: names no site",
		lines(`group[a] = "site:0:view"`):            "2:18: names no site",
		lines(`group[a] = "site:-1:view"`):           "2:18: names no site",
		lines(`group[a] = "site:1x:view"`):           "2:19: a colon and a role",
		lines(`group[a] = "site: 1:view"`):           "2:18: names no site",
		lines(`group[a] = "site:all:view"`):          "2:18: names no site",
		lines(`group[a] = "site:99999999999:view"`):  "2:18: names no site",
		lines(`group[a] = "site:name=:view"`):        "2:23: name is missing",
		lines(`group[a] = "site:name='':view"`):      "2:23: name is missing",
		lines(`group[a] = "site:group= :view"`):      "2:25: name is missing",
		lines(`group[a] = "site:name=Bob's:view"`):   "2:26: single quotes",
		lines(`group[a] = "site:name='Bob:view"`):    "2:23: single quote is never closed",
		lines(`group[a] = "site:name='a'b:view"`):    "2:26: a colon and a role",
		lines(`group[a] = "site:1:"`):                "2:20: is no role",
		lines(`group[a] = "site:1"`):                 "2:19: a colon and a role",
		lines(`group[a] = "site:1:View"`):            "2:20: is no role",
		lines(`group[a] = "site:1:superuser"`):       "2:20: is no role",
		lines(`group[a] = "site:1:viewer"`):          "2:20: is no role",
		lines(`group[a] = "site:1:view+"`):           "2:25: name of a capability",
		lines(`group[a] = "site:1:view+1x"`):         "2:25: name of a capability",
		lines(`group[a] = "site:1:view+a b"`):        "2:27: after a grant",
		lines(`group[a] = "site:1:noaccess+x"`):      "2:28: noaccess takes no capability",
		lines(`group[a] = "site:1:viewuntil 2027"`):  "2:20: is no role",
		lines(`group[a] = "site:1:view until"`):      "2:30: date is wanted",
		lines(`group[a] = "site:1:view Until 2027"`): "2:25: after a grant",
		lines(`group[a] = "site:{x}:view"`):          "2:13: does not occur in the key",
		lines(`group[{x}] = "site:1:{role}"`):        "2:15: does not occur in the key",
		lines(`group["{x}"] = "site:{x}:view"`):      "2:17: does not occur in the key",
		lines(`user[(a={x})] = "site:{x}:view"`):     "2:18: does not occur in the key",
		lines(`group[{x}] = "site:name=a{x}:view"`):  "2:15: whole name",
		// Keys with captures.
		lines(`group[{a}{b}] = "site:1:view"`):                             "2:7: directly",
		lines(`group[{a}-{a}] = "site:1:view"`):                            "2:7: twice",
		lines(`group[{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}-{i}]=superuser`):      "2:7: more than 8 variables",
		lines(`group[cn={a}+cn=b,dc=x] = "site:1:view"`):                   "2:7: one attribute type twice",
		lines(`group[{a}=b,dc=x] = "site:1:view"`):                         "2:7: inside a value",
		lines(`group[cn={a}\ef\b7\90,dc=x] = "site:1:view"`):               "2:7: beside a variable",
		lines(`user[(a=b] = "site:1:view"`):                                "2:6: unexpected end",
		lines(`user[a=b] = "site:1:view"`):                                 "2:6: does not start",
		lines(`user[(a=b)x] = "site:1:view"`):                              "2:6: extra at end",
		lines(`user[(!a=b)] = "site:1:view"`):                              "2:6: parentheses",
		lines(`user[((a=b))] = "site:1:view"`):                             "2:6: parentheses",
		lines(`user[(a=(b)] = "site:1:view"`):                              "2:6: parentheses",
		lines(`user[(&)] = "site:1:view"`):                                 "2:6: need something to combine",
		lines(`user[( a=b)] = "site:1:view"`):                              "2:6: no attribute name",
		lines(`user[(=b)] = "site:1:view"`):                                "2:6: attribute name is missing",
		lines(`user[(a=\zz)] = "site:1:view"`):                             "2:6: escape",
		lines(`user[()] = "site:1:view"`):                                  "2:6: no LDAP filter",
		lines(`user[(a=` + strings.Repeat("x", 5000) + `)] = site:1:view`): "2:6: longer than 4096 bytes",
	} {
		wantError(t, one, text, want)
	}
}

func TestINI_AllErrorsAtOnce(t *testing.T) {
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

func TestINI_ColumnsCountCharacters(t *testing.T) {
	wantError(t, one, lines(`group[Größe→] = "site:1:bäss"`), "2:25: is no role")
}

// The examples of the administrator's page are what they say they are.
func TestDocs_ExamplesParse(t *testing.T) {
	data, err := os.ReadFile("../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for i, part := range strings.Split(string(data), "```") {
		form, text, _ := strings.Cut(part, "\n")
		if i%2 == 0 {
			continue
		}
		blocks++
		if _, err := mapping.Parse([]mapping.File{{Name: "docs." + form, Data: []byte(text)}}, exampleOptions); err != nil {
			t.Error(err)
		}
	}
	if blocks != 2 {
		t.Errorf("%d examples", blocks)
	}
}
