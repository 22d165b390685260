package mapping_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/mapping"
	"github.com/matomo-scim/bridge/matomo/access"
)

// The tests of this file go through the meaning of the language sentence by
// sentence; each is named after the subject of its sentence.

func TestMeaning_GroupKey_QuotedIsLiteral(t *testing.T) {
	const dn = `"cn=a, ou=b"`
	wantAccess(t, decide(t, in("cn=a, ou=b"), `group[`+dn+`] = "site:1:view"`), "1:view")
	wantAccess(t, decide(t, in("cn=a,ou=b"), `group[`+dn+`] = "site:1:view"`), "no access")
	wantAccess(t, decide(t, in("Team {site}"), `group["Team {site}"] = "site:1:view"`), "1:view")
	wantAccess(t, decide(t, in("Team 2"), `group["Team {site}"] = "site:1:view"`), "no access")
	wantAccess(t, decide(t, in(`a"b]c`), `group["a""b]c"] = "site:1:view"`), "1:view")
	wantAccess(t, decide(t, in(`a\b`), `group["a\b"] = "site:1:view"`), "1:view")
}

func TestMeaning_GroupKey_VarMakesItATemplate(t *testing.T) {
	d := decide(t, in("Matomo-9-Viewers"), `group[Matomo-{site}-Viewers] = "site:{site}:view"`)
	wantAccess(t, d, "9:view")
	if got := d.Reasons[0].Grant; got != "site:9:view" {
		t.Errorf("the reason names %q, want the grant with the capture filled in", got)
	}
}

func TestMeaning_GroupKey_TemplateInADNWithinOneValue(t *testing.T) {
	rule := `group[cn=matomo-{site}-{role},ou=groups,dc=example,dc=com] = "site:{site}:{role}"`
	wantAccess(t, decide(t, in("CN=Matomo-1-Write, OU=Groups, DC=example, DC=com"), rule), "1:write")
	wantAccess(t, decide(t, in(`cn=matomo-1\,ou=x-view,ou=groups,dc=example,dc=com`), rule), "no access")
	wantAccess(t, decide(t, in("cn=matomo-1,ou=x-view,ou=groups,dc=example,dc=com"), rule), "no access")
	brand := `group[cn={brand},ou=brands] = "site:name={brand}:view"`
	wantAccess(t, decide(t, in("cn=shop,ou=brands"), brand), "1:view")
	wantAccess(t, decide(t, in(`cn=#040453686f70,ou=brands`), brand), "1:view")
}

func TestMeaning_GroupKey_DNComparedAsParsedNames(t *testing.T) {
	const rule = `group[cn=matomo-analysts,ou=Web  Team,dc=example] = "site:1:view"`
	for name, want := range map[string]string{
		"cn=matomo-analysts,ou=Web Team,dc=example":       "1:view",
		"CN=MATOMO-Analysts, OU=web team , DC=EXAMPLE":    "1:view",
		`cn=matomo\2danalysts,ou=Web\20Team,dc=example`:   "1:view",
		"cn=matomo-analysts,ou=Web Team,dc=example,dc=x":  "no access",
		"ou=Web Team,dc=example":                          "no access",
		"cn=matomo-analysts,dc=example,ou=Web Team":       "no access",
		"cn=matomo-analysts+uid=1,ou=Web Team,dc=example": "no access",
		`cn=matomo-analysts\,ou=Web Team,dc=example`:      "no access",
		"cn=matomo-analysts;ou=Web Team;dc=example":       "no access",
	} {
		if got := decide(t, in(name), rule).Access.String(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	wantAccess(t, decide(t, in("uid=1+cn=a,dc=x"), `group[CN=A + UID=1, DC=X] = "site:1:view"`), "1:view")
	wantAccess(t, decide(t, in(`cn=a\,b`), `group[cn=a\2Cb] = "site:1:view"`), "1:view")
}

func TestMeaning_GroupKey_OtherwiseItIsText(t *testing.T) {
	for _, key := range []string{"Matomo-Admins", "a=b,c", "Team A = B", "50% = half", "a;b,c=d", "[x]", "a]b", "{Site}", "{1}", "{}", "="} {
		wantAccess(t, decide(t, in(strings.ToUpper(key)), "group["+key+`] = "site:1:view"`), "1:view")
		wantAccess(t, decide(t, in(key+"x"), "group["+key+`] = "site:1:view"`), "no access")
	}
}

func TestMeaning_TextAndTemplatesMatchTheWholeNameWithoutRegardToCase(t *testing.T) {
	wantAccess(t, decide(t, in("MATOMO-straße ÄÖ"), `group[Matomo-Straße äö] = "site:1:view"`), "1:view")
	wantAccess(t, decide(t, in("mATOMO-1-vIEWERS"), `group[Matomo-{site}-Viewers] = "site:{site}:view"`), "1:view")
	for _, name := range []string{"xMatomo-1-Viewers", "Matomo-1-Viewers ", "Matomo-1-Viewer", "Matomo--Viewers", "Matomo-1-Viewers-Viewers", ""} {
		wantAccess(t, decide(t, in(name), `group[Matomo-{site}-Viewers] = "site:{site}:view"`), "no access")
	}
}

func TestMeaning_StarInAKeyIsAnOrdinaryCharacter(t *testing.T) {
	wantAccess(t, decide(t, in("Matomo-Admins"), `group[Matomo-*] = "site:1:view"`, `group[*] = "site:2:view"`), "no access")
	wantAccess(t, decide(t, in("matomo-*"), `group[Matomo-*] = "site:1:view"`), "1:view")
}

func TestMeaning_OneNeverMatchesEleven(t *testing.T) {
	wantAccess(t, decide(t, in("Site 11"), `group[Site 1] = "site:2:view"`), "no access")
	wantAccess(t, decide(t, in("Site 1"), `group[Site 11] = "site:2:view"`), "no access")
	wantAccess(t, decide(t, in("Site-11"), `group[Site-{site}] = "site:{site}:view"`), "11:view")
	wantAccess(t, decide(t, in("Site-1"), `group[Site-{site}] = "site:{site}:view"`), "1:view")
}

func TestMeaning_Capture_CannotContainTheLiteralOnEitherSide(t *testing.T) {
	rule := `group[Brand {brand} {role}] = "site:name={brand}:{role}"`
	wantAccess(t, decide(t, in("Brand Shop write"), rule), "1:write")
	d := decide(t, in("Brand Shop EU write"), rule)
	wantAccess(t, d, "no access")
	wantKinds(t, d.Problems, mapping.CaptureUnfit) // brand is Shop, role is "EU write"
	wantAccess(t, decide(t, in("X1X-view"), `group[x{site}-view] = "site:{site}:view"`), "no access")
	wantAccess(t, decide(t, in("X1-view"), `group[x{site}-view] = "site:{site}:view"`), "1:view")
}

func TestMeaning_Capture_AtTheKeysEndRunsToTheEnd(t *testing.T) {
	wantAccess(t, decide(t, in("Brand Shop: EU"), `group[Brand {brand}] = "site:name={brand}:view"`), "3:view")
	wantAccess(t, decide(t, in("Brand "), `group[Brand {brand}] = "site:1:view"`), "no access")
}

func TestMeaning_Capture_FillsOneFieldAndIsNeverParsedAgain(t *testing.T) {
	sites := append([]access.Site{{ID: 20, Name: "x:admin,superuser"}, {ID: 21, Name: "*"}, {ID: 22, Name: "{role}"}}, five...)
	r := parse(t, one, lines(`group[S/{name}] = "site:name={name}:view"`))
	for name, want := range map[string]string{
		"S/x:admin,superuser": "20:view",
		"S/*":                 "21:view",
		"S/{role}":            "22:view",
		"S/1":                 "no access",
		"S/group=Brands":      "no access",
	} {
		wantAccess(t, mapping.Decide(r, in(name), "main", sites, now), want)
	}
}

func TestMeaning_Capture_SiteTakesDigitsOnly(t *testing.T) {
	for name, want := range map[string]string{
		"V-9": "9:view", "V-*": "no access", "V-09": "no access", "V-0": "no access", "V-+9": "no access", "V- 9": "no access",
		"V-٩": "no access", "V-99999999999999999999": "no access", "V-1:admin": "no access", "V-name=Shop": "no access", "V-1,9": "no access",
	} {
		d := decide(t, in(name), `group[V-{site}] = "site:{site}:view"`)
		wantAccess(t, d, want)
		if want == "no access" {
			wantKinds(t, d.Problems, mapping.CaptureUnfit)
		}
	}
}

func TestMeaning_Capture_SiteNameAndGroupTakeOneLiteralName(t *testing.T) {
	wantAccess(t, decide(t, in("G brands"), `group[G {g}] = "site:group={g}:view"`), "1:view, 2:view")
	wantAccess(t, decide(t, in("N payroll"), `group[N {n}] = "site:name={n}:view"`), "9:view")
}

func TestMeaning_Capture_RoleMayBeAdminWriteOrView(t *testing.T) {
	for name, want := range map[string]string{
		"R Admin": "1:admin", "R write": "1:write", "R VIEW": "1:view",
		"R noaccess": "no access", "R superuser": "no access", "R view+x": "no access", "R ": "no access", "R Admins": "no access",
	} {
		wantAccess(t, decide(t, in(name), `group[R {role}] = "site:1:{role}"`), want)
	}
}

func TestMeaning_Capture_NeverBecomesATargetOrACapability(t *testing.T) {
	for _, grant := range []string{"{x}/site:1:view", "site:1:view+{x}", "{x}", "site:1:view until {x}", "site:name=a{x}:view", "site:name=a{x}b:view"} {
		wantError(t, one, lines(`group[G {x}] = "`+grant+`"`), "2:")
	}
}

func TestMeaning_Capture_ThatDoesNotFitGrantsNothingAndIsReported(t *testing.T) {
	d := decide(t, in("V-x"), `group[V-{site}] = "site:{site}:view, site:2:view"`)
	wantAccess(t, d, "2:view")
	wantKinds(t, d.Problems, mapping.CaptureUnfit)
	if p := d.Problems[0]; p.Rule.Line != 2 || p.Group.Name != "V-x" || !strings.Contains(p.Detail, `"x"`) {
		t.Errorf("problem = %+v", p)
	}
}

func TestMeaning_AllMatchingRulesAddUp_TheHighestRoleWins(t *testing.T) {
	d := decide(t, in("a", "b"),
		`group[a] = "site:1:view, site:2:admin"`,
		`group[b] = "site:1:write, site:2:view"`,
		`group[a] = "site:3:view"`)
	wantAccess(t, d, "1:write, 2:admin, 3:view")
	effective := map[string]bool{}
	for _, r := range d.Reasons {
		effective[r.Grant] = r.Effective
	}
	want := map[string]bool{"site:1:view": false, "site:2:admin": true, "site:1:write": true, "site:2:view": false, "site:3:view": true}
	if diff := cmp.Diff(want, effective); diff != "" {
		t.Error("effective:", diff)
	}
}

func TestMeaning_Capabilities_OfAllRulesAddUp(t *testing.T) {
	wantAccess(t, decide(t, in("a", "b"),
		`group[a] = "site:1:view+tagmanager_write+tagmanager_use_custom_templates"`,
		`group[b] = "site:1:write+tagmanager_publish_live_container+tagmanager_write"`,
	), "1:write+tagmanager_publish_live_container+tagmanager_use_custom_templates+tagmanager_write")
}

func TestMeaning_NoaccessBeatsThemAllForItsSites(t *testing.T) {
	d := decide(t, in("a", "no-payroll"), `group[a] = "site:*:admin"`, `group[no-payroll] = "site:9:noaccess"`)
	wantAccess(t, d, "1:admin, 2:admin, 3:admin, 11:admin")
	if diff := cmp.Diff([]access.SiteID{9}, d.Denied); diff != "" {
		t.Error("denied:", diff)
	}
	for _, r := range d.Reasons {
		if want := r.Site != 9 || r.Role == access.NoAccess; r.Effective != want {
			t.Errorf("effective = %v for %+v", r.Effective, r)
		}
	}
	wantAccess(t, decide(t, in("a"), `group[a] = "site:*:admin, site:*:noaccess"`), "no access")
}

func TestMeaning_NoaccessWithholdsSuperuser(t *testing.T) {
	d := decide(t, in("root", "no-payroll", "v"), `group[root] = "superuser"`, `group[no-payroll] = "site:9:noaccess"`, `group[v] = "site:1:view, site:9:view"`)
	wantAccess(t, d, "1:view")
	if !d.SuperuserDenied || !d.Access.Equal(d.WithoutSuperuser) {
		t.Errorf("decision = %+v", d)
	}
	wantKinds(t, d.Problems, mapping.Contradiction)
	if got := d.Problems[0].Rule.Line; got != 3 {
		t.Errorf("the contradiction names line %d, want that of the noaccess", got)
	}
	if d.Reasons[0].Effective {
		t.Error("the superuser grant counts as effective")
	}
}

func TestMeaning_Superuser_OnlyFromExactMatchers(t *testing.T) {
	for _, key := range []string{"Admins", `"{x} Admins"`, "cn=admins,dc=example"} {
		wantAccess(t, decide(t, in(strings.Trim(key, `"`)), "group["+key+`] = "superuser"`), "superuser")
	}
	for _, key := range []string{"group[Team {x}]", "group[cn={x},dc=example]", "user[(department=IT)]"} {
		wantError(t, one, lines(key+` = "superuser"`), "2: exact group")
	}
}

func TestMeaning_Superuser_OnlyFromSuperuserSources(t *testing.T) {
	wantError(t, many, lines(`group@ldap[root] = "superuser"`), `2:21: source "ldap" may not confer superuser`)
	none := one
	none.SuperuserSources = []string{}
	wantError(t, none, lines(`group[root] = "superuser"`), "2:16: may not confer superuser")
	r := parse(t, many, lines(`group@okta[root] = "superuser"`))
	wantAccess(t, mapping.Decide(r, from("okta", "root"), "main", five, now), "superuser")
	wantAccess(t, mapping.Decide(r, from("ldap", "root"), "main", five, now), "no access")
	// A group of a source that the configuration does not know.
	d := mapping.Decide(parse(t, one, lines(`group[root] = "superuser"`)), from("other", "root"), "main", five, now)
	wantAccess(t, d, "no access")
	wantKinds(t, d.Problems, mapping.SuperuserSource)
}

func TestMeaning_Superuser_WithSeveralSourcesTheRuleMustNameItsSource(t *testing.T) {
	wantError(t, many, lines(`group[root] = "superuser"`), "2:16: must name its source")
	wantError(t, many, lines(`group[all] = "site:*:admin"`), "2:15: must name its source")
	wantError(t, many, lines(`group[all {role}] = "site:*:{role}"`), "2:22: must name its source")
	wantError(t, many, lines(`user[(a=b)] = "eu/site:*:admin"`), "2:16: must name its source")
	parse(t, many, lines(`group[all] = "site:*:write, site:1:admin"`, `group@ldap[all] = "site:*:admin"`, `user@ldap[(a=b)] = "site:*:admin"`))
	parse(t, one, lines(`group[all] = "site:*:admin"`, `group[root] = "superuser"`))
	noGuard := many
	noGuard.SuperuserSources = nil
	wantError(t, noGuard, lines(`group@okta[root] = "superuser"`), "2: no source may confer superuser")
}

func TestMeaning_ASuperuserKeepsNoSiteRoles_TheDecisionStillCarriesThem(t *testing.T) {
	d := decide(t, in("root", "v"), `group[root] = "superuser"`, `group[v] = "site:1:view"`)
	wantAccess(t, d, "superuser")
	if len(d.Access.Sites) != 0 || d.SuperuserDenied {
		t.Errorf("access = %+v", d.Access)
	}
	if got := d.WithoutSuperuser.String(); got != "1:view" {
		t.Errorf("without superuser: %s", got)
	}
}

func TestMeaning_Target_NoPrefixMeansTheDefaultTarget(t *testing.T) {
	r := parse(t, many, lines(`group[a] = "site:1:view, eu/site:2:view, */site:3:view"`))
	for target, want := range map[string]string{"main": "1:view, 3:view", "eu": "2:view, 3:view", "other": "3:view"} {
		wantAccess(t, mapping.Decide(r, from("okta", "a"), target, five, now), want)
	}
}

func TestMeaning_Target_WithSeveralAndNoDefaultSuchAGrantIsAnError(t *testing.T) {
	opt := many
	opt.DefaultTarget = ""
	wantError(t, opt, lines(`group[a] = "eu/site:1:view, site:2:view"`), "2:29: main/site:2:view")
}

func TestMeaning_Target_UnknownIsAnError(t *testing.T) {
	wantError(t, many, lines(`group[a] = "us/site:1:view"`), `2:13: unknown target "us"`)
	wantError(t, many, lines(`group[a] = "EU/site:1:view"`), `2:13: unknown target "EU"`)
}

func TestMeaning_Source_OnlyItsGroupsMatch(t *testing.T) {
	r := parse(t, many, lines(`group@okta[Contractors] = "site:2:view"`, `group[Contractors] = "site:1:view"`))
	wantAccess(t, mapping.Decide(r, from("okta", "Contractors"), "main", five, now), "1:view, 2:view")
	wantAccess(t, mapping.Decide(r, from("ldap", "Contractors"), "main", five, now), "1:view")
	wantError(t, many, lines(`group@saml[x] = "site:2:view"`), `2:7: unknown source "saml"`)
	wantError(t, many, lines(`group@Okta[x] = "site:2:view"`), `2:7: unknown source "Okta"`)
}

func TestMeaning_AllSites_ThoseCreatedLaterToo(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:*:view"`))
	wantAccess(t, mapping.Decide(r, in("a"), "main", five[:2], now), "1:view, 2:view")
	wantAccess(t, mapping.Decide(r, in("a"), "main", five[:3], now), "1:view, 2:view, 3:view")
	d := mapping.Decide(r, in("a"), "main", []access.Site{}, now)
	wantAccess(t, d, "no access")
	if len(d.Unknown) != 0 {
		t.Error("a Matomo without sites is known, not unknown")
	}
}

func TestMeaning_NoMatchingRule_NoAccess(t *testing.T) {
	d := decide(t, in("x"), `group[a] = "site:1:view"`)
	wantAccess(t, d, "no access")
	if len(d.Reasons)+len(d.Problems)+len(d.Unknown) != 0 || d.HoldAdditions || !d.ValidUntil.IsZero() {
		t.Errorf("decision = %+v", d)
	}
	wantAccess(t, decide(t, mapping.Subject{}, `group[a] = "site:1:view"`), "no access")
}

func TestMeaning_SectionNamesCarryNoMeaning(t *testing.T) {
	for _, section := range []string{"LoginSAML_RoleMapping", "LoginLdap_RoleMapping", "RoleMapping", "ROLEMAPPING", " loginsaml_rolemapping "} {
		r := parse(t, one, "["+section+"]\ngroup[a] = site:1:view\n")
		wantAccess(t, mapping.Decide(r, in("a"), "main", five, now), "1:view")
	}
}

func TestMeaning_Until_HoldsThroughTheDay(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:2:view until 2027-03-31"`))
	end := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
	d := mapping.Decide(r, in("a"), "main", five, end.Add(-time.Nanosecond))
	wantAccess(t, d, "2:view")
	if !d.ValidUntil.Equal(end) {
		t.Errorf("valid until %v, want %v", d.ValidUntil, end)
	}
	d = mapping.Decide(r, in("a"), "main", five, end)
	wantAccess(t, d, "no access")
	wantKinds(t, d.Problems, mapping.Over)
	if !d.ValidUntil.IsZero() {
		t.Errorf("valid until %v, want no end", d.ValidUntil)
	}
}

func TestMeaning_Until_BindsToTheOneGrantBeforeIt(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:1:view, site:2:view until 2027-03-31, site:3:view"`))
	wantAccess(t, mapping.Decide(r, in("a"), "main", five, now.AddDate(1, 0, 0)), "1:view, 3:view")
}

func TestMeaning_Until_WithATimeNeedsAZone(t *testing.T) {
	r := parse(t, one, lines(`group[a] = "site:2:view until 2027-03-31T18:30+02:00"`))
	end := time.Date(2027, 3, 31, 16, 30, 0, 0, time.UTC)
	wantAccess(t, mapping.Decide(r, in("a"), "main", five, end.Add(-1)), "2:view")
	wantAccess(t, mapping.Decide(r, in("a"), "main", five, end), "no access")
	parse(t, one, lines(`group[a] = "superuser until 2027-03-31T18:30:59Z"`))
	wantError(t, one, lines(`group[a] = "site:2:view until 2027-03-31T18:30"`), "2:31: has no time zone")
	for _, when := range []string{"2027-02-30", "2027-3-31", "31.03.2027", "2027-03-31T24:00Z", "2027-03-31T6:00Z", "2027-03-31 18:00", "tomorrow", "", "0000-12-31", "2027-03-31T18:00:00.5Z"} {
		if got := parseErrors(t, one, "m.ini", lines(`group[a] = "site:2:view until `+when+`"`)); len(got) != 1 {
			t.Errorf("until %q: errors %q", when, got)
		}
	}
}

func TestMeaning_Until_DecideReturnsWhenTheDecisionChangesNext(t *testing.T) {
	d := decide(t, in("a"), `group[a] = "site:1:view until 2028-01-01, site:2:noaccess until 2027-05-05, site:3:view until 2020-01-01"`,
		`group[b] = "site:1:view until 2026-12-31"`)
	if want := time.Date(2027, 5, 6, 0, 0, 0, 0, time.UTC); !d.ValidUntil.Equal(want) {
		t.Errorf("valid until %v, want %v", d.ValidUntil, want)
	}
}

func TestMeaning_User_AnyValueOfAMultiValuedAttributeMatches(t *testing.T) {
	s := person("emails.value", "a@x.test", "emails.value", "b@y.test")
	wantAccess(t, decide(t, s, `user[(emails.value=*@Y.test)] = "site:7:view, site:1:view"`), "1:view")
	wantAccess(t, decide(t, s, `user[(emails.value=b@x.test)] = "site:1:view"`), "no access")
}

func TestMeaning_User_NamesLoseTheirCase(t *testing.T) {
	s := person("name.familyName", "Meier")
	wantAccess(t, decide(t, s, `user[(NAME.familyname=MEIER)] = "site:1:view"`), "1:view")
}

func TestMeaning_User_UndefinedGrantsNothing(t *testing.T) {
	s := person("department", "Sales")
	for filter, want := range map[string]string{
		"(department=sales)":                         "1:view",
		"(!(userType=Contractor))":                   "no access", // NOT Undefined is Undefined
		"(userType=*)":                               "no access",
		"(!(userType=*))":                            "no access", // a present item on an absent attribute, too
		"(&(department=Sales)(!(userType=x)))":       "no access",
		"(|(department=Sales)(!(userType=x)))":       "1:view",
		"(&(department=HR)(!(userType=x)))":          "no access",
		"(!(&(department=HR)(userType=x)))":          "1:view", // FALSE and Undefined is FALSE
		"(!(|(department=Sales)(userType=x)))":       "no access",
		"(&(!(department=HR))(department>=Sa))":      "1:view",
		"(department~=SALES)":                        "1:view",
		"(&(department=S*l*s)(!(department=*x*)))":   "1:view",
		`(department=\53ales)`:                       "1:view",
		"(|(costCenter>=5)(costCenter<=5)(title=a))": "no access",
	} {
		if got := decide(t, s, "user["+filter+`] = "site:1:view"`).Access.String(); got != want {
			t.Errorf("%s: %s, want %s", filter, got, want)
		}
	}
}

func TestMeaning_User_ForNoaccessUndefinedCountsAsAMatch(t *testing.T) {
	d := decide(t, in("all"), `group[all] = "site:*:view"`, `user[(userType=Contractor)] = "site:9:noaccess, site:1:admin"`)
	wantAccess(t, d, "1:view, 2:view, 3:view, 11:view")
	employee := person("userType", "Employee")
	employee.Groups = in("all").Groups
	d = decide(t, employee, `group[all] = "site:*:view"`, `user[(userType=Contractor)] = "site:9:noaccess"`)
	wantAccess(t, d, "1:view, 2:view, 3:view, 9:view, 11:view")
}

func TestMeaning_User_OfASource(t *testing.T) {
	r := parse(t, many, lines(`user@ldap[(department=Sales)] = "site:1:view"`))
	s := person("department", "Sales")
	for want, sources := range map[string][]string{"1:view": {"okta", "ldap"}, "no access": {"okta"}} {
		s.Sources = sources
		wantAccess(t, mapping.Decide(r, s, "main", five, now), want)
	}
	s.Sources = nil
	wantAccess(t, mapping.Decide(r, s, "main", five, now), "no access")
}

func TestMeaning_User_ExtensibleMatchIsAnError(t *testing.T) {
	for _, filter := range []string{"(cn:caseExactMatch:=Fred)", "(cn:=Fred)", "(:dn:2.4.6.8.10:=x)", "(o:dn:=x)"} {
		wantError(t, one, lines("user["+filter+`] = "site:1:view"`), "2:6: extensible match")
	}
}

// person makes a subject of attribute names and values in turn.
func person(pairs ...string) mapping.Subject {
	attrs := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		attrs[pairs[i]] = append(attrs[pairs[i]], pairs[i+1])
	}
	return mapping.Subject{Attributes: mapping.SubjectAttributes(attrs)}
}
