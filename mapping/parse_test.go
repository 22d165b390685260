package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/mapping"
)

func TestParse_Options(t *testing.T) {
	file := []mapping.File{{Name: "m.ini", Data: []byte(lines("group[a] = site:1:view"))}}
	for want, opt := range map[string]mapping.Options{
		"no target is configured":  {},
		`default target "eu"`:      {Targets: []string{"main"}, DefaultTarget: "eu"},
		"must name its target, as": {Targets: []string{"a", "b"}},
	} {
		if _, err := mapping.Parse(file, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}

func TestParse_ZeroRulesIsAnError(t *testing.T) {
	if _, err := mapping.Parse(nil, one); err == nil {
		t.Error("no file is no error")
	}
	_, err := mapping.Parse([]mapping.File{
		{Name: "b.ini", Data: []byte("[mail]\n")},
		{Name: "a.ini", Data: []byte(lines("group[a] = site:1:view"))},
		{Name: "c.yml", Data: []byte("rules: []")},
	}, one)
	var list *mapping.ErrorList
	if !errors.As(err, &list) || len(list.Errors) != 2 || list.Errors[0].File != "b.ini" || list.Errors[1].File != "c.yml" {
		t.Errorf("error = %v, want one for each file without rules", err)
	}
}

func TestErrorList(t *testing.T) {
	_, err := mapping.Parse([]mapping.File{{Name: "m.ini", Data: []byte(lines("x", "y"))}}, one)
	var first mapping.ParseError
	if !errors.As(err, &first) || first.Line != 2 || first.Col != 1 {
		t.Errorf("first = %+v", first)
	}
	if got := strings.Count(err.Error(), "\n"); got != 1 {
		t.Errorf("two errors in %d lines: %v", got+1, err)
	}
	if got := (mapping.ParseError{File: "f", Msg: "m"}).Error(); got != "f: m" {
		t.Error(got)
	}
}

func TestRules_AllIsInOrderOfFilesAndLines(t *testing.T) {
	a := mapping.File{Name: "a.ini", Data: []byte(lines("group[1] = superuser", "group[2] = superuser"))}
	b := mapping.File{Name: "b.yaml", Data: []byte(`rules: [{group: "3", grants: [superuser]}]`)}
	for _, files := range [][]mapping.File{{a, b}, {b, a}} {
		r, err := mapping.Parse(files, one)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, rule := range r.All() {
			keys = append(keys, rule.Ref.Key)
		}
		if diff := cmp.Diff([]string{"1", "2", "3"}, keys); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRules_Matches(t *testing.T) {
	r := parse(t, many, lines(
		`group[Team {x}] = "site:1:view"`,
		`group@okta[team a] = "site:2:view"`,
		`group@ldap[TEAM A] = "site:3:view"`,
		`group[Team AB] = "site:9:view"`,
		`group[cn=a,dc=x] = "site:9:view"`,
		`group[cn={x},dc=x] = "site:9:view"`,
	))
	for g, want := range map[mapping.GroupRef][]int{
		{Source: "okta", Name: "Team A"}:     {2, 3},
		{Name: "Team A"}:                     {2, 3, 4},
		{Source: "entra", Name: "CN=A,DC=X"}: {6, 7},
		{Source: "okta", Name: "Team"}:       nil,
	} {
		var got []int
		for _, rule := range r.Matches(g) {
			got = append(got, rule.Ref.Line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", g, diff)
		}
	}
}

func TestRuleRef_IDDoesNotDependOnFileOrLine(t *testing.T) {
	id := func(opt mapping.Options, name, text string) string {
		r, err := mapping.Parse([]mapping.File{{Name: name, Data: []byte(text)}}, opt)
		if err != nil {
			t.Fatal(err)
		}
		return r.All()[0].Ref.ID
	}
	base := id(many, "a.ini", lines(`group@okta[a] = "site:1:view,site:2:view"`))
	if got := id(many, "b.ini", lines("", `group@okta[ a ] = "site:1:view , site:2:view" ; x`)); got != base {
		t.Error("the ID depends on file, line or blanks")
	}
	for _, rule := range []string{`group[a] = "site:1:view,site:2:view"`, `group@okta[A] = "site:1:view,site:2:view"`, `group@okta[a] = "site:1:view"`, `group@okta["a"] = "site:1:view,site:2:view"`} {
		if id(many, "a.ini", lines(rule)) == base {
			t.Errorf("%s has the same ID", rule)
		}
	}
}

// drawGrant draws the text of a valid grant without captures.
func drawGrant(t *rapid.T) string {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	until := pick("until", "", "", " until 2027-03-31", " until 2030-01-01T10:00+02:00", "\tuntil  2020-02-29")
	prefix := pick("target", "", "", "eu/", "*/", "main/")
	if rapid.IntRange(0, 9).Draw(t, "superuser") == 0 {
		return prefix + "superuser" + until
	}
	name := "'" + strings.ReplaceAll(rapid.StringMatching(`[A-Za-zß:,'"; {}+-]{0,5}[a-z]`).Draw(t, "name"), "'", "''") + "'"
	sites := pick("sites", "*", "1", "404", "name=Shop", "group= x y ", "name="+name, "group="+name)
	role := pick("role", "view", "write", "admin", "noaccess")
	if role != "noaccess" {
		role += pick("caps", "", "", "+b+a", "+a")
	}
	return prefix + "site:" + sites + ":" + role + until
}
