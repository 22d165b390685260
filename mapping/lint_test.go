package mapping_test

import (
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

func TestLint_CleanRules(t *testing.T) {
	r := parse(t, many, lines(
		`group[a] = "site:1:view until 2027-01-01, site:name=Shop:view, site:group=Brands:view, site:*:noaccess"`,
		`group[b {x}] = "site:name={x}:view"`,
		`group@okta[c] = "*/superuser, eu/site:404:view"`,
	))
	wantKinds(t, r.Lint(map[string][]access.Site{"main": five}, now)) // eu is unread, so not judged
}

func TestLint_SitesThatCannotBeFoundAreNamedWithTheRule(t *testing.T) {
	r := parse(t, many, lines(`group[a] = "site:404:view, site:name=twin:view"`, `group[b] = "*/site:group=Nobody:noaccess"`))
	got := r.Lint(map[string][]access.Site{"main": twins, "eu": {}}, now)
	wantKinds(t, got, mapping.UnknownSite, mapping.AmbiguousSite, mapping.EmptySiteGroup, mapping.EmptySiteGroup)
	if s := got[0].String(); s != "m.ini:2 group[a]: site:404:view: there is no site 404 (target main)" {
		t.Error(s)
	}
	if !strings.Contains(got[1].Detail, "30, 31") || got[3].Target != "eu" {
		t.Errorf("problems = %v", got)
	}
}

func TestLint_WarnsAboutUntilOnNoaccess(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:9:noaccess until 2027-03-31"`))
	got := r.Lint(map[string][]access.Site{"main": five}, now)
	wantKinds(t, got, mapping.UntilOnDeny)
	if !strings.Contains(got[0].Detail, "2027-04-01T00:00:00Z") {
		t.Errorf("detail = %s", got[0].Detail)
	}
}

func TestLint_WarnsAboutRulesAlreadyOver(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:404:view until 2026-11-23, site:1:view until 2026-11-24"`))
	wantKinds(t, r.Lint(map[string][]access.Site{"main": five}, now), mapping.Over)
}

func TestLint_RulesInSectionsThatAreNotRead(t *testing.T) {
	r := parse(t, one, "[mail]\nusername[x] = y\ngroup@okta [a] = \"superuser\"\n user[(a=b)]\ngroups[] = z\n"+lines("group[a] = superuser"))
	got := r.Lint(nil, now)
	wantKinds(t, got, mapping.UnreadRule, mapping.UnreadRule)
	if got[0].Rule.Line != 3 || got[1].Rule.Line != 4 || !strings.Contains(got[0].Detail, "[mail]") {
		t.Errorf("problems = %v", got)
	}
}

func TestLintAttributes(t *testing.T) {
	r := parse(t, one, lines(`user[(&(Department=a)(|(title=b)(department=c))(nosuch=*))] = "site:1:view"`, `group[a] = superuser`))
	got := r.LintAttributes(map[string][]string{"scim": {"department", "title"}, "ldap": {"TITLE", "sn"}})
	wantKinds(t, got, mapping.AmbiguousAttribute, mapping.UnknownAttribute)
	if !strings.Contains(got[0].Detail, "ldap, scim") || !strings.Contains(got[1].Detail, `"nosuch"`) {
		t.Errorf("problems = %v", got)
	}
}

func TestLintCapabilities(t *testing.T) {
	r := parse(t, many, lines(`group[a] = "site:1:view+tagmanager_write+nonsense, eu/site:1:view+other"`))
	got := r.LintCapabilities("main", []string{"tagmanager_write"})
	wantKinds(t, got, mapping.UnknownCapability)
	if !strings.Contains(got[0].Detail, `"nonsense"`) {
		t.Errorf("problems = %v", got)
	}
}

func TestSubjectAttributes_TheFirstSourceThatHasAnAttributeCounts(t *testing.T) {
	got := mapping.SubjectAttributes(
		map[string][]string{"Department": {"Sales"}, "title": {}},
		nil,
		map[string][]string{"department": {"HR"}, "title": {"Boss"}, "givenName": {"A", "B"}},
	)
	for name, want := range map[string]string{"department": "Sales", "title": "Boss", "givenname": "A B"} {
		if s := strings.Join(got[name], " "); s != want {
			t.Errorf("%s = %q, want %q", name, s, want)
		}
	}
	if len(got) != 3 {
		t.Errorf("attributes = %v", got)
	}
}
