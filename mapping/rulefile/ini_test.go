package rulefile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping/rulefile"
)

// Every form of a line that is a rule, and what is read of it.
func TestINI_Rules(t *testing.T) {
	for rule, want := range map[string]string{
		`group[a]=site:1:view`:                                               `2 group[a] site:1:view`,
		"\t group[ a ] \t=\t \"site:1:view\" \t; x":                          `2 group[a] site:1:view`,
		`group[a] = site:1:view ; and "more"`:                                `2 group[a] site:1:view`,
		`group[a] = site:1:view  `:                                           `2 group[a] site:1:view`,
		`group[a] = " site:1:view "`:                                         `2 group[a] site:1:view`,
		`group[a] = "site:1:view ,site:404:view"`:                            `2 group[a] site:1:view|site:404:view`,
		`group[ "a" ] = "site:1:view"`:                                       `2 group["a"] site:1:view`,
		`group["Team {x}"] = superuser`:                                      `2 group["Team {x}"] superuser`,
		`group["a""b]c = d"] = superuser`:                                    `2 group["a"b]c = d"] superuser`,
		`group["a\b"] = superuser`:                                           `2 group["a\b"] superuser`,
		`group[a]b] = superuser`:                                             `2 group[a]b] superuser`,
		`group[[a]] = superuser`:                                             `2 group[[a]] superuser`,
		`group[a;b,c=d] = superuser`:                                         `2 group[a;b,c=d] superuser`,
		`group[a "quoted" b] = superuser`:                                    `2 group[a "quoted" b] superuser`,
		`group[a]=b] = superuser`:                                            ``, // the key ends at the first ] =
		`group[cn=a,ou=b] = superuser`:                                       `2 group[cn=a,ou=b] superuser`,
		`group@okta[Contractors] = superuser`:                                `2 group@okta[Contractors] superuser`,
		`group@ok-ta_1[a] = superuser`:                                       `2 group@ok-ta_1[a] superuser`,
		`user[(&(a=b)(!(c=*)))] = site:1:view`:                               `2 user[(&(a=b)(!(c=*)))] site:1:view`,
		`user@ldap[(a=b)] = site:1:view`:                                     `2 user@ldap[(a=b)] site:1:view`,
		`group[a] = "site:name='6"" x;]':view, eu/superuser" ; c`:            `2 group[a] site:name='6"" x;]':view|eu/superuser`,
		"\n; [Nothing]\n   ; x\n\t\ngroup[a] = superuser":                    `6 group[a] superuser`,
		"group[a] = \"superuser\"\r":                                         `2 group[a] superuser`,
		"[LoginLdap_RoleMapping] ; x\ngroup[a] = superuser":                  `3 group[a] superuser`,
		"[mail]\nfoo[bar = \"\n\xff\n=\n[ rolemapping ]\ngroup[a]=superuser": `7 group[a] superuser`,
		"group[a] = \"site:1:view \t until \t 2027-01-01\"":                  `2 group[a] site:1:view until 2027-01-01`,
	} {
		rules, _, errs := read("m.ini", lines(rule))
		if want == "" {
			if len(errs) == 0 {
				t.Errorf("%q is read as %q", rule, summaries(rules))
			}
			continue
		}
		if got := summaries(rules); len(errs) > 0 || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q (%q), want %q", rule, got, errs, want)
		}
	}
}

func TestINI_Sections(t *testing.T) {
	for section, read := range map[string]bool{
		"[RoleMapping]": true, "[LoginSAML_RoleMapping]": true, "[LoginLdap_RoleMapping]": true, "[ROLEMAPPING]": true, " [ rolemapping ] ; x": true,
		"[mail]": false, "[RoleMapping2]": false, "[]": false, "[Role Mapping x]": false,
	} {
		rules := mustRead(t, "m.ini", section+"\ngroup[a] = superuser\n"+lines("group[b] = superuser"))
		if got := len(rules) == 2; got != read {
			t.Errorf("%s: read = %v", section, got)
		}
	}
}

func TestINI_Errors(t *testing.T) {
	wantErrors(t, "m.ini", map[string]string{
		// Lines.
		"group[a] = x":                              "1:1: before any section",
		"x\n" + lines("group[a] = superuser"):       "1:1: before any section",
		lines("hello"):                              "2:1: no rule, section or comment",
		lines("  hello"):                            "2:3: no rule, section or comment",
		lines("# comment"):                          "2:1: comments begin with ;",
		lines(`Group[a] = "superuser"`):             "2:1: no rule",
		lines(`groups[a] = "superuser"`):            "2:1: no rule",
		lines(`group [a] = "superuser"`):            "2:1: no rule",
		lines(`group`):                              "2:1: no rule",
		lines(`user = x`):                           "2:1: no rule",
		lines(`group[a] "superuser"`):               "2:7: the key has no end",
		lines(`group[a = "superuser"`):              "2:7: the key has no end",
		lines(`group[`):                             "2:7: the key has no end",
		lines(`group[a]`):                           "2:7: the key has no end",
		lines(`group[] = "superuser"`):              "2:7: the key is empty",
		lines(`group[  ] = "superuser"`):            "2:9: the key is empty",
		lines(`group[""] = "superuser"`):            "2:7: the key is empty",
		lines(`group[]a] = "superuser"`):            "2:7: double quotes",
		lines(`group["a] = "superuser"`):            "2:7: double quotes must be followed by",
		lines(`group["a"b] = "superuser"`):          "2:7: double quotes must be followed by",
		lines(`group["a"]`):                         "2:7: double quotes must be followed by",
		lines(`group@[a] = "superuser"`):            "2:7: name of a source",
		lines(`group@scim = "superuser"`):           "2:11: [ is wanted",
		lines(`group@scim [a] = "superuser"`):       "2:11: [ is wanted",
		lines(`group@1x[a] = "superuser"`):          "2:7: name of a source",
		lines("group[a\x00] = superuser"):           "2:8: U+0000",
		lines("group[ä\xff] = superuser"):           "2:8: no UTF-8",
		lines("group[a] = superuser\rgroup[b] = x"): "2:21: U+000D",
		lines("group[a\ufdd0{x}] = superuser"):      "2:8: U+FDD0",
		"[RoleMapping":                              "1:1: must end with ]",
		"[mail]\n [RoleMapping\n[x]":                "2:2: must end with ]",
		"[RoleMapping] group[a] = superuser":        "1:15: behind a section",
		"[mail] x":                                  "1:8: behind a section",
		"[LoginLdap_RolesMapping]\ngroup[a] = x":    "1:1: unknown section [LoginLdap_RolesMapping]",
		"[GROUPMAPPING]":                            "1:1: unknown section",
		"\xff\xfeg\x00":                             "1:1: UTF-16",
		"\xfe\xff\x00g":                             "1:1: UTF-16",
		// Values. What is wrong inside a grant is the business of package grant.
		lines(`group[a] =`):                        "2:11: value is empty",
		lines(`group[a] = ""`):                     "2:13: value is empty",
		lines(`group[a] = ; x`):                    "2:12: value is empty",
		lines(`group[a] = "superuser`):             "2:12: never closed",
		lines(`group[a] = "superuser" x`):          "2:24: behind the value",
		lines(`group[a] = "superuser"superuser`):   "2:23: behind the value",
		lines(`group[a] = "superuser"" ; x`):       "2:23: behind the value",
		lines(`group[a] = superuser"`):             "2:21: double quote inside",
		lines(`group[a] = site:name="x":view`):     "2:22: double quote inside",
		lines(`group[a] = "superuser,"`):           "2:23: a grant is missing",
		lines(`group[a] = superuser, ; x`):         "2:23: a grant is missing",
		lines(`group[a] = "site:1:boss"`):          "2:20: is no role",
		lines(`group[Größe→] = "site:1:bäss"`):     "2:25: is no role", // columns count characters
		lines(`user[(a=ä)] = site:1:view+ ; x`):    "2:27: capability",
		lines("; Größe", "", `group[a] = nothing`): "4:12: is no grant",
	})
}

func TestINI_AllErrorsAtOnce(t *testing.T) {
	_, _, got := read("m.ini", lines(
		`group[a] = "site:1:boss, site:x:view, nothing"`,
		`group[b] = "site:1:view"`,
		`grup[c] = "site:1:view"`,
		`group@[d] = "superuser"`,
		`[broken`,
		`group[e] = "superuser" x`,
	))
	places := make([]string, len(got))
	for i, e := range got {
		places[i], _, _ = strings.Cut(e, " ")
	}
	want := []string{"2:20:", "2:31:", "2:39:", "4:1:", "5:7:", "6:1:", "7:24:"}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("%s\n%s", diff, strings.Join(got, "\n"))
	}
}

// A rule whose grants are wrong is returned all the same, so that its key is
// checked in the same run.
func TestINI_RuleWithBadGrantsIsReturned(t *testing.T) {
	rules, _, errs := read("m.ini", lines(`group[{a}{b}] = "site:1:boss, superuser"`, `group[ = superuser`))
	if diff := cmp.Diff([]string{"2 group[{a}{b}] superuser"}, summaries(rules)); diff != "" || len(errs) != 2 {
		t.Errorf("%s (%q)", diff, errs)
	}
}

func TestINI_Places(t *testing.T) {
	r := mustRead(t, "m.ini", lines("", ` user@okta[ (ä=b) ] = "site:1:view, superuser" ; x`))[0]
	got := []rulefile.Position{r.SourceAt, r.KeyAt, r.Grants[0].At, r.Grants[1].At}
	want := []rulefile.Position{{Line: 3, Col: 7}, {Line: 3, Col: 13}, {Line: 3, Col: 24}, {Line: 3, Col: 37}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Line != 3 || r.File != "m.ini" || r.Key != "(ä=b)" {
		t.Errorf("rule = %+v", r)
	}
	bare := mustRead(t, "m.ini", lines(`group["a"] = superuser`))[0]
	if bare.Key != `"a"` || bare.Text != "a" || !bare.Quoted || bare.SourceAt != (rulefile.Position{Line: 2, Col: 6}) {
		t.Errorf("rule = %+v", bare)
	}
}

func TestINI_Strays(t *testing.T) {
	_, strays, errs := read("m.ini", "[mail]\nusername[x] = y\ngroup@okta [a] = \"superuser\"\n user[(a=b)]\ngroups[] = z\n; group[x]\n[y]\ngroup[b]\n"+lines("group[a] = superuser"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := []rulefile.Stray{
		{File: "m.ini", Line: 3, Kind: "group", Text: `group@okta [a] = "superuser"`, Section: "mail"},
		{File: "m.ini", Line: 4, Kind: "user", Text: "user[(a=b)]", Section: "mail"},
		{File: "m.ini", Line: 8, Kind: "group", Text: "group[b]", Section: "y"},
	}
	if diff := cmp.Diff(want, strays); diff != "" {
		t.Error(diff)
	}
}

func TestINI_LineEndingsAndByteOrderMark(t *testing.T) {
	text := lines(`group[a] = "superuser"`, "; x", "user[(a=b)] = site:1:view")
	want := summaries(mustRead(t, "m.ini", text))
	for name, other := range map[string]string{
		"CRLF":                  strings.ReplaceAll(text, "\n", "\r\n"),
		"byte order mark":       "\ufeff" + text,
		"no end of line at all": strings.TrimSuffix(text, "\n"),
		"mixed":                 strings.Replace(text, "\n", "\r\n", 1),
	} {
		if diff := cmp.Diff(want, summaries(mustRead(t, "m.ini", other))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Each line stands for itself: a broken one takes no other along.
func TestINI_AnErrorHidesNothingElse(t *testing.T) {
	good := []string{`group[a] = "superuser"`, `user@okta[(a=b)] = site:1:view ; x`, `group["b"] = site:*:admin`}
	bad := []string{`group[a = x`, `group["a] = superuser`, `group[a] = "superuser`, `x`, `group@[a] = superuser`, `group[a] = superuser"`}
	rapid.Check(t, func(t *rapid.T) {
		var all []string
		var want []string
		broken := 0
		for range rapid.IntRange(1, 8).Draw(t, "lines") {
			if rapid.Bool().Draw(t, "good") {
				line := rapid.SampledFrom(good).Draw(t, "rule")
				all = append(all, line)
				want = append(want, line)
				continue
			}
			all = append(all, rapid.SampledFrom(bad).Draw(t, "broken"))
			broken++
		}
		rules, _, errs := read("m.ini", lines(all...))
		clean, _, _ := read("m.ini", lines(want...))
		rules = slices.DeleteFunc(rules, func(r rulefile.Rule) bool { return slices.Contains(bad, all[r.Line-2]) })
		if len(rules) != len(want) || broken > 0 && len(errs) != broken {
			t.Fatalf("%d rules of %d, %d errors of %d: %q", len(rules), len(want), len(errs), broken, errs)
		}
		for i := range rules {
			rules[i].Line = clean[i].Line
			if summary(rules[i]) != summary(clean[i]) {
				t.Fatalf("%q became %q", summary(clean[i]), summary(rules[i]))
			}
		}
	})
}
