package methods_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func post(t *testing.T, s *matomotest.Server, path, form string) string {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://matomo.test"+path, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.RoundTripper().RoundTrip(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func withAlice(t *testing.T) *matomotest.Server {
	t.Helper()
	s := matomotest.New(matomotest.Options{})
	if err := s.AddUser("alice", "alice@example.test", "Some-Passw0rd1"); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSetUserAccess_Forms: every way to name sites and roles, and what becomes
// of it on top of view on sites 1 and 2.
func TestSetUserAccess_Forms(t *testing.T) {
	const roles = "The parameter access must have one of the following values: [ view, write, admin, tagmanager_write, tagmanager_publish_live_container, tagmanager_use_custom_templates ], "
	for form, want := range map[string]string{
		"access=write&idSites=1":                             "1:write, 2:view",
		"access=write&idSites[]=1&idSites[]=3":               "1:write, 2:view, 3:write",
		"access=write&idSites= 1 , 2 ":                       "1:write, 2:write",
		"access=write&idSites=1,0,-2,x":                      "1:write, 2:view",
		"access=admin&idSites=all":                           "1:admin, 2:admin, 3:admin, 4:admin, 5:admin",
		"access=noaccess&idSites=all":                        "no access",
		"access=noaccess&idSites=2":                          "1:view",
		"access[]=view&idSites=2":                            "1:view, 2:view",
		"access[]=tagmanager_write&access[]=view&idSites=2":  "1:view, 2:view+tagmanager_write",
		"access[]=write&access[]=tagmanager_write&idSites=2": "1:view, 2:write", // the role includes it
		"access[]=admin&access[]=tagmanager_use_custom_templates&access[]=tagmanager_write&idSites=2":    "1:view, 2:admin",
		"access[]=view&access[]=tagmanager_write&access[]=tagmanager_publish_live_container&idSites=1,2": "1:view+tagmanager_publish_live_container+tagmanager_write, 2:view+tagmanager_publish_live_container+tagmanager_write",
		"access=View&idSites=1":                  roles + "'View' given.",
		"access[]=noaccess&idSites=1":            roles + "'noaccess' given.",
		"access[]=view&access[]=admin&idSites=1": "Only one role can be set but multiple have been set. Use only one of: view, write, admin",
		"access[]=tagmanager_write&idSites=1":    "No role is set but one of these needs to be set: view, write, admin",
		"access=tagmanager_write&idSites=1":      "The parameter access must have one of the following values: [ view, write, admin ], 'tagmanager_write' given.",
		"access=view&idSites=ALL":                "Specify at least one website ID in &amp;idSites=",
		"access=view&idSites[]=all":              "Specify at least one website ID in &amp;idSites=",
	} {
		s := withAlice(t)
		s.Grant("alice", "view", 1, 2)
		answer := call(t, s, "UsersManager.setUserAccess", "userLogin=alice&"+form)
		got := s.Access("alice").String()
		if answer != ok {
			got = strings.TrimSuffix(strings.TrimPrefix(answer, `{"result":"error","message":"`), `"}`)
			if after := s.Access("alice").String(); after != "1:view, 2:view" {
				t.Errorf("%s was refused and left %s", form, after)
			}
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", form, got, want)
		}
	}
}

func TestSetUserAccess_Anonymous(t *testing.T) {
	s := withAlice(t)
	text := `{"result":"error","message":"You can only set access noaccess or view access to the 'anonymous' user."}`
	for form, want := range map[string]string{"access=view": ok, "access=noaccess": ok, "access=write": text, "access=admin": text, "access[]=view": text} {
		if got := call(t, s, "UsersManager.setUserAccess", "userLogin=anonymous&idSites=1&"+form); got != want {
			t.Errorf("%s: %s", form, got)
		}
	}
}

// TestSuperuser_OddSpelling: Matomo compares logins letter by letter where it
// protects superusers.
func TestSuperuser_OddSpelling(t *testing.T) {
	s := withAlice(t)
	if got := call(t, s, "UsersManager.setUserAccess", "userLogin=bridge&access=view&idSites=1"); !strings.Contains(got, "has Super User access") {
		t.Error(got)
	}
	if got := call(t, s, "UsersManager.setUserAccess", "userLogin=BRIDGE&access=view&idSites=1"); got != ok || len(s.Rows("bridge")) != 1 {
		t.Errorf("%s, rows %v", got, s.Rows("bridge"))
	}
	if got := call(t, s, "UsersManager.deleteUser", "userLogin=bridge"); !strings.Contains(got, "Deleting user 'bridge' is not possible") {
		t.Error(got)
	}
	s.SetSuperuser("alice", true)
	if got := call(t, s, "UsersManager.deleteUser", "userLogin=bridge"); got != ok {
		t.Error(got)
	}
}

func TestCapabilities(t *testing.T) {
	s := withAlice(t)
	s.Grant("alice", "view", 1, 2)
	for _, step := range []struct{ method, form, answer, access string }{
		{"addCapabilities", "capabilities=tagmanager_write&idSites=1", "", "1:view+tagmanager_write, 2:view"},
		{"addCapabilities", "capabilities=tagmanager_write&idSites=1", "", "1:view+tagmanager_write, 2:view"},
		{"addCapabilities", "capabilities[]=tagmanager_write&capabilities[]=tagmanager_use_custom_templates&idSites=2", "", "1:view+tagmanager_write, 2:view+tagmanager_use_custom_templates+tagmanager_write"},
		{"addCapabilities", "capabilities=view&idSites=1", "'view' given.", "1:view+tagmanager_write, 2:view+tagmanager_use_custom_templates+tagmanager_write"},
		{"addCapabilities", "capabilities=tagmanager_write&idSites=4", "The user needs at least view access.", "1:view+tagmanager_write, 2:view+tagmanager_use_custom_templates+tagmanager_write"},
		{"removeCapabilities", "capabilities=tagmanager_write&idSites=all", "", "1:view, 2:view+tagmanager_use_custom_templates"},
		{"removeCapabilities", "capabilities=tagmanager_write&idSites=1", "", "1:view, 2:view+tagmanager_use_custom_templates"},
		{"removeCapabilities", "capabilities=nonsense&idSites=1", "'nonsense' given.", "1:view, 2:view+tagmanager_use_custom_templates"},
		{"removeCapabilities", "capabilities=tagmanager_write&idSites=x", "Specify at least one website ID", "1:view, 2:view+tagmanager_use_custom_templates"},
	} {
		got := call(t, s, "UsersManager."+step.method, "userLogin=alice&"+step.form)
		if (step.answer == "") != (got == ok) || !strings.Contains(got, step.answer) {
			t.Errorf("%s %s: %s", step.method, step.form, got)
		}
		if after := s.Access("alice").String(); after != step.access {
			t.Errorf("%s %s left %s, want %s", step.method, step.form, after, step.access)
		}
	}
	if got := len(s.Rows("alice")); got != 3 {
		t.Errorf("%d rows, want 3: nothing is written twice", got)
	}
	if got := call(t, s, "UsersManager.addCapabilities", "userLogin=anonymous&idSites=1&capabilities=tagmanager_write"); got == ok {
		t.Error("anonymous got a capability")
	}
}

// TestGetUsersAccessFromSite: one word per login, the last one written, in the
// place of the first.
func TestGetUsersAccessFromSite(t *testing.T) {
	s := withAlice(t)
	if err := s.AddUser("bob", "bob@example.test", "Some-Passw0rd1"); err != nil {
		t.Fatal(err)
	}
	s.Grant("bob", "view", 1)
	s.Grant("alice", "write", 1)
	s.Grant("bob", "tagmanager_write", 1)
	s.Grant("BOB", "admin", 1)
	if got, want := call(t, s, "UsersManager.getUsersAccessFromSite", "idSite=1"), `{"bob":"tagmanager_write","alice":"write","BOB":"admin"}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for access, want := range map[string]string{"view": `"login":"bob"`, "admin": `"login":"bob"`, "write": `"login":"alice"`} {
		got := call(t, s, "UsersManager.getUsersWithSiteAccess", "idSite=1&access="+access)
		if !strings.Contains(got, want) || strings.Count(got, `"login"`) != 1 {
			t.Errorf("with %s: %s", access, got)
		}
	}
	if got := call(t, s, "UsersManager.getUsersWithSiteAccess", "idSite=2&access=view"); got != `[]` {
		t.Errorf("on site 2: %s", got)
	}
}

func TestSitesManager(t *testing.T) {
	s := withAlice(t)
	for _, step := range []struct{ method, form, want string }{
		{"getSitesGroups", "", `["groupA","groupB",""]`},
		{"addSite", "siteName=Shop&urls[]=https://shop.test&urls[]=https://www.shop.test&group=groupC", `{"value":6}`},
		{"getSitesGroups", "", `["groupA","groupB","","groupC"]`},
		{"deleteSite", "idSite=6&force_api_session=1", `{"result":"error","message":"Please enter your password to confirm this change."}`},
		{"deleteSite", "idSite=6&force_api_session=1&passwordConfirmation=" + s.Password(), ok},
		{"getSiteFromId", "idSite=6", `{"result":"error","message":"An unexpected website was found in the request: website id was set to '6' ."}`},
		{"getAllSitesId", "", `[1,2,3,4,5]`},
	} {
		if got := call(t, s, "SitesManager."+step.method, step.form); got != step.want {
			t.Errorf("%s %s: %s, want %s", step.method, step.form, got, step.want)
		}
	}
	if got := call(t, s, "SitesManager.getPatternMatchSites", "pattern=SITE2.example"); !strings.Contains(got, `"idsite":2,`) || strings.Count(got, "idsite") != 1 {
		t.Errorf("pattern: %s", got)
	}
	if got := call(t, s, "SitesManager.getSitesFromGroup", "group=GROUPa"); strings.Count(got, "idsite") != 2 {
		t.Errorf("group: %s", got)
	}
}

// TestBelongings that are not in the recordings.
func TestBelongings(t *testing.T) {
	s := withAlice(t)
	s.Grant("alice", "view", 1)
	token, err := s.MintToken("alice", "Some-Passw0rd1")
	if err != nil {
		t.Fatal(err)
	}
	as := func(method, form string) string {
		t.Helper()
		return post(t, s, "/?module=API&format=JSON&filter_limit=-1&method="+method, "token_auth="+token+"&"+form)
	}
	for _, step := range []struct{ method, form, want string }{
		{"LanguagesManager.setLanguageForUser", "login=alice&languageCode=de", `{"value":true}`},
		{"LanguagesManager.getLanguageForUser", "login=alice", `{"value":"de"}`},
		{"Annotations.add", "idSite=1&date=2026-01-01&note=mine&starred=1", `{"date":"2026-01-01","note":"mine","starred":1,"user":"alice","idNote":0,"canEditOrDelete":true}`},
		{"Annotations.getAll", "idSite=1", `{"1":[{"date":"2026-01-01","note":"mine","starred":1,"user":"alice","idNote":0,"canEditOrDelete":true}]}`},
		{"Dashboard.createNewDashboardForUser", "login=alice&dashboardName=A", `{"value":1}`},
		{"Dashboard.createNewDashboardForUser", "login=alice&dashboardName=B", `{"value":2}`},
		{"UsersManager.getUserPreference", "preferenceName=x", `{"value":false}`},
		{"SegmentEditor.add", "name=s&definition=d&idSite=1&enabledAllUsers=1", `{"result":"error","message":"enabledAllUsers=1 requires Super User access"}`},
	} {
		if got := as(step.method, step.form); got != step.want {
			t.Errorf("%s %s: %s, want %s", step.method, step.form, got, step.want)
		}
	}
	if got := as("Dashboard.getDashboards", ""); !strings.HasPrefix(got, `[{"name":"A","id":1,`) || !strings.Contains(got, `{"name":"B","id":2,`) {
		t.Errorf("dashboards: %s", got)
	}
	// An admin of the site may edit others' annotations, and notes count by site.
	if got := call(t, s, "Annotations.add", "idSite=1&date=2026-01-02&note=x"); !strings.Contains(got, `"idNote":1,`) {
		t.Errorf("second note: %s", got)
	}
	if got := call(t, s, "Annotations.getAll", "idSite=1"); strings.Count(got, `"canEditOrDelete":true`) != 2 {
		t.Errorf("as superuser: %s", got)
	}
	if got := call(t, s, "Goals.addGoal", "idSite=99&name=g&matchAttribute=url&pattern=x&patternType=contains"); !strings.Contains(got, "unexpected website") {
		t.Errorf("goal on no site: %s", got)
	}
	if u, _ := s.User("alice"); u.Language != "de" {
		t.Errorf("language %q", u.Language)
	}
}
