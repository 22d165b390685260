package matomotest_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// Who may call what. The words stand for Matomo's texts.
var rightsTexts = map[string]string{
	"ok":        "",
	"login":     "You must be logged in to access this functionality.",
	"view":      "You can't access this resource as it requires view access for at least one website.",
	"admin":     "You can't access this resource as it requires admin access for at least one website.",
	"superuser": "You can't access this resource as it requires a 'superuser' access.",
	"view1":     "You can't access this resource as it requires 'view' access for the website id = 1.",
	"write1":    "You can't access this resource as it requires 'write' access for the website id = 1.",
	"admin1":    "You can't access this resource as it requires 'admin' access for the website id = 1.",
	"self":      "The user has to be either a Super User or the user 'carol' itself.",
	"none":      "User 'carol' doesn't exist.",
	"initial":   "New users must be given access to a website, please set the 'initialIdSite' parameter.",
	"confirm":   "Please enter your password to confirm this change.",
	"invited":   "User 'carol' doesn't exist.",
}

// rights says for each method what nobody, a viewer of site 1, an admin of site
// 1 and a superuser are told. The parameters are about carol, who is an admin of
// site 2, and site 1.
var rights = map[string]string{
	"API.getMatomoVersion":  "view ok ok ok",
	"API.getPiwikVersion":   "view ok ok ok",
	"API.getPhpVersion":     "superuser superuser superuser ok",
	"API.isPluginActivated": "view ok ok ok",

	"UsersManager.userExists":                    "login ok ok ok",
	"UsersManager.userEmailExists":               "login ok ok ok",
	"UsersManager.getUser":                       "self self self ok",
	"UsersManager.getUserByEmail":                "superuser superuser superuser ok",
	"UsersManager.getUserLoginFromUserEmail":     "login admin ok ok",
	"UsersManager.getUsers":                      "admin admin ok ok",
	"UsersManager.getUsersLogin":                 "admin admin ok ok",
	"UsersManager.getUsersPlusRole":              "admin1 admin1 ok ok",
	"UsersManager.getUsersHavingSuperUserAccess": "login ok ok ok",
	"UsersManager.hasSuperUserAccess":            "ok ok ok ok",
	"UsersManager.addUser":                       "admin admin initial ok",
	"UsersManager.updateUser":                    "self self self ok",
	"UsersManager.deleteUser":                    "admin admin none ok",
	"UsersManager.setSuperUserAccess":            "superuser superuser superuser confirm",
	"UsersManager.inviteUser":                    "admin admin initial initial",
	"UsersManager.resendInvite":                  "admin admin invited invited",
	"UsersManager.generateInviteLink":            "admin admin invited invited",
	"UsersManager.setUserPreference":             "self self self ok",
	"UsersManager.getUserPreference":             "login self self ok",

	"UsersManager.setUserAccess":            "login admin1 ok ok",
	"UsersManager.addCapabilities":          "login admin1 ok ok",
	"UsersManager.removeCapabilities":       "login admin1 ok ok",
	"UsersManager.getSitesAccessFromUser":   "superuser superuser superuser ok",
	"UsersManager.getSitesAccessForUser":    "admin admin ok ok",
	"UsersManager.getUsersSitesFromAccess":  "superuser superuser superuser ok",
	"UsersManager.getUsersAccessFromSite":   "admin1 admin1 ok ok",
	"UsersManager.getUsersWithSiteAccess":   "admin1 admin1 ok ok",
	"UsersManager.getAvailableRoles":        "admin admin ok ok",
	"UsersManager.getAvailableCapabilities": "admin admin ok ok",

	"SitesManager.getAllSites":                     "superuser superuser superuser ok",
	"SitesManager.getAllSitesId":                   "superuser superuser superuser ok",
	"SitesManager.getSitesIdWithAdminAccess":       "ok ok ok ok",
	"SitesManager.getSitesIdWithAtLeastViewAccess": "ok ok ok ok",
	"SitesManager.getSitesWithAdminAccess":         "ok ok ok ok",
	"SitesManager.getSitesWithAtLeastViewAccess":   "ok ok ok ok",
	"SitesManager.getSitesGroups":                  "superuser superuser superuser ok",
	"SitesManager.getSitesFromGroup":               "superuser superuser superuser ok",
	"SitesManager.getPatternMatchSites":            "ok ok ok ok",
	"SitesManager.getSiteFromId":                   "view1 ok ok ok",
	"SitesManager.addSite":                         "superuser superuser superuser ok",
	"SitesManager.deleteSite":                      "superuser superuser superuser ok",

	"ScheduledReports.addReport":          "login ok ok ok",
	"ScheduledReports.getReports":         "view ok ok ok",
	"Dashboard.getDashboards":             "login self self ok",
	"Dashboard.createNewDashboardForUser": "login self self ok",
	"SegmentEditor.add":                   "login ok ok ok",
	"SegmentEditor.getAll":                "view ok ok ok",
	"Annotations.add":                     "login ok ok ok",
	"Annotations.getAll":                  "view1 ok ok ok",
	"LanguagesManager.getLanguageForUser": "self self self ok",
	"LanguagesManager.setLanguageForUser": "self self self ok",
	"Goals.addGoal":                       "write1 write1 ok ok",
	"TwoFactorAuth.resetTwoFactorAuth":    "superuser superuser superuser confirm",

	"ScimBridge.getVersion":     "superuser superuser superuser ok",
	"ScimBridge.getTokens":      "superuser superuser superuser ok",
	"ScimBridge.revokeTokens":   "superuser superuser superuser ok",
	"ScimBridge.logoutUser":     "superuser superuser superuser ok",
	"TokenRevoker.revokeTokens": "superuser superuser superuser ok",
	"TokenRevoker.countTokens":  "superuser superuser superuser ok",
}

// aboutCarol has every parameter that a method of rights needs.
var aboutCarol = []string{
	"userLogin", "carol", "login", "carol", "userEmail", "carol@example.test", "email", "carol@example.test", "idSite", "1", "idSites", "1",
	"access", "view", "capabilities", "tagmanager_write", "hasSuperUserAccess", "0", "pluginName", "ScimBridge",
	"preferenceName", "p", "preferenceValue", "v", "pattern", "Site", "siteName", "New", "languageCode", "de",
	"name", "n", "definition", "browserCode==FF", "date", "2026-01-01", "note", "n", "matchAttribute", "url", "patternType", "contains",
	"description", "d", "period", "day", "hour", "1", "reportType", "email", "reportFormat", "html", "reports[]", "x", "parameters[emailMe]", "1",
}

func TestRights(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		for _, method := range slices.Sorted(maps.Keys(rights)) {
			for i, want := range strings.Fields(rights[method]) {
				c := dial(t, matomotest.Options{Version: version, Plugin: true, TokenRevoker: true})
				c.addUser("carol")
				c.grant("carol", "view", "1")
				c.grant("carol", "admin", "2")
				who := map[int]string{1: "view", 2: "admin"}[i]
				caller := c
				switch i {
				case 0:
					caller = c.as("")
				case 1, 2:
					c.addUser("caller")
					c.grant("caller", who, "1")
					caller = c.as(c.mint("caller"))
				}
				params := aboutCarol
				if method == "UsersManager.addUser" {
					params = []string{"userLogin", "new", "email", "new@example.test", "password", secret}
				}
				if method == "TwoFactorAuth.resetTwoFactorAuth" && version == matomotest.Version4 {
					continue // asks for the password first: TestSecondFactor
				}
				r := caller.send(t.Context(), method, params...)
				if got := refusal(r.body); got != rightsTexts[want] {
					t.Errorf("%s as %d: %q, want %q", method, i, got, rightsTexts[want])
				}
				lacking := !slices.Contains([]string{"ok", "initial", "confirm", "invited"}, want)
				status := http.StatusOK
				if lacking && version == matomotest.Version5 {
					status = http.StatusUnauthorized
				}
				if r.status != status {
					t.Errorf("%s as %d: status %d, want %d", method, i, r.status, status)
				}
			}
		}
	})
}

// TestRights_MissingParameters: the first that is missing is named, before any
// right is looked at.
func TestRights_MissingParameters(t *testing.T) {
	c := dial(t, matomotest.Options{Plugin: true}).as("")
	for method, names := range map[string]string{
		"UsersManager.addUser":                    "userLogin password email",
		"UsersManager.setUserAccess":              "userLogin access idSites",
		"UsersManager.addCapabilities":            "userLogin capabilities idSites",
		"UsersManager.setSuperUserAccess":         "userLogin hasSuperUserAccess",
		"UsersManager.createAppSpecificTokenAuth": "userLogin passwordConfirmation description",
		"UsersManager.getUsersPlusRole":           "idSite",
		"UsersManager.setUserPreference":          "userLogin preferenceName preferenceValue",
		"SitesManager.deleteSite":                 "idSite",
		"ScimBridge.revokeTokens":                 "userLogin",
		"API.isPluginActivated":                   "pluginName",
		"API.getBulkRequest":                      "urls",
	} {
		var given []string
		for name := range strings.FieldsSeq(names) {
			c.refused("Please specify a value for '"+name+"'.", method, given...)
			c.refused("Please specify a value for '"+name+"'.", method, append(given, name, " ")...)
			given = append(given, name, "x")
		}
	}
}

// TestRights_Anonymous: what everybody may see, a bad token may not (FACTS h).
func TestRights_Anonymous(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version})
		c.grant("anonymous", "view", "1")
		c.as("").want(`[1]`, "SitesManager.getSitesIdWithAtLeastViewAccess")
		c.as("anonymous").want(`{"value":"`+version+`"}`, "API.getMatomoVersion")
		c.as("").refused("You must be logged in to access this functionality.", "UsersManager.userExists", "userLogin", "bridge")
		c.as("").want(`{"value":true}`, "UsersManager.userExists", "userLogin", "anonymous")
		bad := c.as("00000000000000000000000000000000").send(t.Context(), "SitesManager.getSitesIdWithAtLeastViewAccess")
		if version == matomotest.Version4 && bad.body != `[]` {
			t.Errorf("bad token on Matomo 4: %s", bad.body)
		}
		if version == matomotest.Version5 && bad.status != http.StatusUnauthorized {
			t.Errorf("bad token on Matomo 5: %d", bad.status)
		}
	})
}

// TestRights_AdminsView: an admin sees those who have a row on the own sites,
// and no e-mails.
func TestRights_AdminsView(t *testing.T) {
	c := dial(t, matomotest.Options{})
	for _, login := range []string{"alice", "bob", "carol", "dora"} {
		c.addUser(login)
	}
	c.grant("alice", "admin", "1,2")
	c.grant("bob", "view", "2")
	c.grant("CAROL", "view", "2") // the spelling hides her
	c.grant("dora", "view", "3")
	alice := c.as(c.mint("alice"))
	alice.want(`["alice","bob"]`, "UsersManager.getUsersLogin")
	alice.want(`[{"login":"alice","email":"alice@example.test","superuser_access":0,"invite_status":"active"},{"login":"bob","superuser_access":0,"invite_status":"active"}]`,
		"UsersManager.getUsers")
	alice.want(`[{"login":"bob","superuser_access":0,"invite_status":"active"}]`, "UsersManager.getUsers", "userLogins", "BOB,dora")
	alice.want(`{"alice":"admin","bob":"view"}`, "UsersManager.getUsersAccessFromSite", "idSite", "2")
	alice.want(`[{"login":"alice","email":"alice@example.test","superuser_access":false,"role":"admin","capabilities":[],"invite_status":"active"},`+
		`{"login":"bob","superuser_access":false,"role":"view","capabilities":[],"invite_status":"active"}]`, "UsersManager.getUsersPlusRole", "idSite", "2")
	alice.want(`[{"idsite":1,"site_name":"Site 1","role":"noaccess","capabilities":[]},{"idsite":2,"site_name":"Site 2","role":"view","capabilities":[]}]`,
		"UsersManager.getSitesAccessForUser", "userLogin", "bob")
	alice.want(`[1,2]`, "SitesManager.getSitesIdWithAdminAccess")

	// She may grant on her sites, invite there and take the invitation back.
	alice.grant("bob", "write", "all")
	if got := c.s.Access("bob").String(); got != "1:write, 2:write" {
		t.Errorf("bob has %s", got)
	}
	alice.refused("You can't access this resource as it requires 'admin' access for the website id = 3.", "UsersManager.setUserAccess", "userLogin", "bob", "access", "view", "idSites", "1,3")
	alice.must("UsersManager.addUser", "userLogin", "new", "email", "new@example.test", "password", secret, "initialIdSite", "1")
	alice.refused("You can't access this resource as it requires 'admin' access for the website id = 3.", "UsersManager.addUser",
		"userLogin", "new3", "email", "new3@example.test", "password", secret, "initialIdSite", "3")
	alice.must("UsersManager.inviteUser", "userLogin", "guest", "email", "guest@example.test", "initialIdSite", "1")
	alice.refused("User 'new' doesn't exist.", "UsersManager.deleteUser", "userLogin", "new")
	alice.must("UsersManager.resendInvite", "userLogin", "guest")
	alice.must("UsersManager.deleteUser", "userLogin", "guest")
}

func TestGetUsersPlusRole_Filters(t *testing.T) {
	c := dial(t, matomotest.Options{})
	for _, login := range []string{"alice", "bob", "carol"} {
		c.addUser(login)
	}
	c.grant("alice", "view", "1")
	c.must("UsersManager.setUserAccess", "userLogin", "bob", "access[]", "write", "access[]", "tagmanager_publish_live_container", "idSites", "1")
	logins := func(params ...string) string {
		t.Helper()
		r := c.send(t.Context(), "UsersManager.getUsersPlusRole", append([]string{"idSite", "1"}, params...)...)
		var got []string
		for _, entry := range list(t, r.body) {
			u, _ := entry.(map[string]any)
			got = append(got, u["login"].(string))
		}
		return strings.Join(got, " ") + " of " + r.header.Get("X-Matomo-Total-Results")
	}
	for want, params := range map[string][]string{
		"alice anonymous bob bridge carol of 5": nil,
		"alice bob bridge of 3":                 {"filter_access", "some"},
		"bridge of 1":                           {"filter_access", "superuser"},
		"bob of 1":                              {"filter_access", "write"},
		"anonymous carol of 2":                  {"filter_access", "noaccess"},
		"carol of 1":                            {"filter_search", "CAROL@"},
		"anonymous bob of 5":                    {"limit", "2", "offset", "1"},
		"carol of 5":                            {"limit", "9", "offset", "4"},
		" of 5":                                 {"limit", "9", "offset", "40"},
	} {
		if got := logins(params...); got != want {
			t.Errorf("%v: %q, want %q", params, got, want)
		}
	}
	sites := func(want string, params ...string) {
		t.Helper()
		var got []string
		for _, entry := range list(t, c.call("UsersManager.getSitesAccessForUser", append([]string{"userLogin", "bob"}, params...)...)) {
			site, _ := entry.(map[string]any)
			got = append(got, site["site_name"].(string)+":"+site["role"].(string))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %v, want %s", params, got, want)
		}
	}
	sites("Site 1:write", "filter_access", "some")
	sites("Site 2:noaccess Site 3:noaccess Site 4:noaccess Site 5:noaccess", "filter_access", "noaccess")
	sites("Site 3:noaccess", "filter_search", "groupB")
	sites("Site 2:noaccess", "filter_search", "site2.example", "limit", "3")
}
