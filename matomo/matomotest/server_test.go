package matomotest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestNew_Defaults(t *testing.T) {
	s := matomotest.New(matomotest.Options{})
	if s.Version() != "5.1.2" || s.Login() != "bridge" || len(s.Token()) != 32 || s.Password() == "" {
		t.Errorf("got %s %s %s", s.Version(), s.Login(), s.Token())
	}
	var sites []string
	for _, site := range s.Sites() {
		sites = append(sites, fmt.Sprintf("%d %s %q", site.ID, site.Name, site.Group))
	}
	want := []string{`1 Site 1 "groupA"`, `2 Site 2 "groupA"`, `3 Site 3 "groupB"`, `4 Site 4 ""`, `5 Site 5 ""`}
	if diff := cmp.Diff(want, sites); diff != "" {
		t.Error(diff)
	}
	var users []string
	for _, u := range s.Users() {
		users = append(users, fmt.Sprintf("%s %s %v", u.Login, u.Email, u.Superuser))
	}
	if diff := cmp.Diff([]string{"anonymous anonymous@example.org false", "bridge bridge@example.test true"}, users); diff != "" {
		t.Error(diff)
	}
}

func TestNew_Options(t *testing.T) {
	c := dial(t, matomotest.Options{
		Version: "4.14.0", Login: "root", Email: "r@x.test", Token: "abc", Password: secret, Sites: -1, NoTagManager: true, ForgetCalls: true,
	})
	c.want(`{"value":"4.14.0"}`, "API.getMatomoVersion")
	c.want(`[]`, "UsersManager.getAvailableCapabilities")
	c.want(`[]`, "SitesManager.getAllSitesId")
	c.addUser("alice")
	c.refused("The parameter access must have one of the following values: [ view, write, admin ], 'tagmanager_write' given.",
		"UsersManager.setUserAccess", "userLogin", "alice", "access[]", "view", "access[]", "tagmanager_write", "idSites", "1")
	c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "1", "passwordConfirmation", secret)
	if calls := c.s.Calls(); len(calls) != 0 || c.s.Count("API.getMatomoVersion") != 1 || c.s.Requests() != 6 {
		t.Errorf("%d calls kept, %d requests", len(calls), c.s.Requests())
	}
	// Behaves as Matomo 4.
	if r := c.as("bad").send(t.Context(), "API.getMatomoVersion"); r.status != http.StatusOK {
		t.Errorf("a bad token: %d", r.status)
	}
}

func TestServeHTTP_Paths(t *testing.T) {
	c := dial(t, matomotest.Options{})
	for path, status := range map[string]int{
		"/?module=API&method=UsersManager.hasSuperUserAccess&format=json":                 200,
		"/index.php?module=API&method=UsersManager.hasSuperUserAccess&format=json":        200,
		"/matomo/index.php?module=API&method=UsersManager.hasSuperUserAccess&format=json": 200,
		"/matomo/?module=API&method=UsersManager.hasSuperUserAccess&format=json":          200,
		"/other.php?module=API&method=UsersManager.hasSuperUserAccess&format=json":        404,
		"/matomo.php":       200,
		"/index.php":        200,
		"/?module=CoreHome": 200,
	} {
		if r := c.post(t.Context(), path, ""); r.status != status {
			t.Errorf("%s: %d, want %d", path, r.status, status)
		}
	}
	if r := c.post(t.Context(), "/?module=CoreHome", ""); !strings.Contains(r.body, "Sign in - Matomo") {
		t.Errorf("a page of the application: %s", r.body)
	}
}

// TestServeHTTP_SameAsRoundTripper compares the two ways in.
func TestServeHTTP_SameAsRoundTripper(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	over := *c
	over.base, over.rt = c.s.Start(t), http.DefaultTransport
	for _, method := range []string{"UsersManager.getUsers", "SitesManager.getAllSites", "UsersManager.nope", "UsersManager.getUser"} {
		inside, outside := c.send(t.Context(), method), over.send(t.Context(), method)
		if inside.body != outside.body || inside.status != outside.status || inside.header.Get("Content-Type") != outside.header.Get("Content-Type") {
			t.Errorf("%s: %v\nand %v", method, inside, outside)
		}
	}
	// A recorder has no connection to cut.
	c.s.Fault(matomotest.Fault{Kind: matomotest.CutBefore})
	w := httptest.NewRecorder()
	c.s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("")))
	if w.Code != http.StatusBadGateway {
		t.Errorf("cut on a recorder: %d", w.Code)
	}
}

func TestFormats(t *testing.T) {
	c := dial(t, matomotest.Options{})
	xml := func(form string) string {
		t.Helper()
		return strings.ReplaceAll(c.post(t.Context(), "/index.php", "token_auth="+c.token+"&module=API&"+form).body, "\n", "")
	}
	head := `<?xml version="1.0" encoding="utf-8" ?>`
	for _, tc := range [][2]string{
		{"method=API.getMatomoVersion", head + "<result>5.1.2</result>"},
		{"method=UsersManager.hasSuperUserAccess&format=XML", head + "<result>1</result>"},
		{"method=UsersManager.userExists&userLogin=x&format=xml", head + "<result>0</result>"},
		{"method=SitesManager.addSite&siteName=x&format=xml", head + "<result>6</result>"},
		{"method=SitesManager.deleteSite&idSite=6&format=xml", head + "<result>\t<success message=\"ok\" /></result>"},
		{"method=UsersManager.getUser&userLogin=a%26b&format=xml", head + "<result>\t<error message=\"User 'a&amp;b' doesn't exist.\" /></result>"},
		{"method=SitesManager.getAllSitesId&format=xml", head + "<result>\t<error message=\"the stand-in answers lists and maps as JSON only\" /></result>"},
		{"method=SitesManager.getAllSites&format=xml", head + "<result>\t<error message=\"the stand-in answers lists and maps as JSON only\" /></result>"},
		{"method=UsersManager.getUser&userLogin=bridge&format=xml", head + "<result>\t<error message=\"the stand-in answers lists and maps as JSON only\" /></result>"},
		{"method=UsersManager.getUserLoginFromUserEmail&userEmail=bridge@example.test", head + "<result>bridge</result>"},
	} {
		if got := xml(tc[0]); got != tc[1] {
			t.Errorf("%s:\n got %s\nwant %s", tc[0], got, tc[1])
		}
	}
}

func TestUnknownMethods(t *testing.T) {
	c := dial(t, matomotest.Options{})
	for method, text := range map[string]string{
		"":                    "The parameter 'method' isn't set in the Request, and a default value wasn't provided.",
		"garbage":             "The method name is invalid. Expected 'module.methodName'",
		"Goals.nope":          `The method 'nope' does not exist or is not available in the module '\Piwik\Plugins\Goals\API'.`,
		"VisitsSummary.get":   "The plugin VisitsSummary is not enabled. You can activate the plugin on Settings &gt; Plugins page in Matomo.",
		"TokenRevoker.revoke": "The plugin TokenRevoker is not enabled. You can activate the plugin on Settings &gt; Plugins page in Matomo.",
	} {
		c.refused(text, method)
	}
	c.want(`[]`, "API.getBulkRequest", "urls", "method=API.getMatomoVersion")
}

func TestCalls(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.s.ResetCalls()
	c.call("API.getBulkRequest", "passwordConfirmation", c.s.Password(),
		"urls[]", "method=UsersManager.setUserAccess&userLogin=alice&access[]=view&access[]=tagmanager_write&idSites=1,2",
		"urls[]", "method=UsersManager.updateUser&userLogin=nobody&password="+secret)
	c.as("").call("UsersManager.hasSuperUserAccess")
	want := []matomotest.Call{
		{
			Method: "UsersManager.setUserAccess", Member: true, Request: 1, Login: "bridge",
			Params: map[string]string{"userLogin": "alice", "access": "view,tagmanager_write", "idSites": "1,2", "filter_limit": "-1"},
		},
		{
			Method: "UsersManager.updateUser", Member: true, Request: 1, Login: "bridge", Refused: "User 'nobody' doesn't exist.",
			Params: map[string]string{"userLogin": "nobody", "filter_limit": "-1"},
		},
		{Method: "API.getBulkRequest", Request: 1, Login: "bridge", Params: map[string]string{"filter_limit": "-1"}},
		{Method: "UsersManager.hasSuperUserAccess", Request: 2, Login: "anonymous", Params: map[string]string{"filter_limit": "-1"}},
	}
	got := c.s.Calls()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got[0].Params["userLogin"] = "changed"
	if c.s.Calls()[0].Params["userLogin"] != "alice" {
		t.Error("Calls hands out its own maps")
	}
	if text := fmt.Sprint(c.s.Calls()); strings.Contains(text, secret) || strings.Contains(text, c.token) || strings.Contains(text, c.s.Password()) {
		t.Error("a secret is in the log")
	}
	if c.s.Requests() != 2 || c.s.Count("UsersManager.updateUser") != 1 || c.s.Count("UsersManager.addUser") != 0 {
		t.Error("the counters are wrong")
	}
}

func TestSnapshot_Changes(t *testing.T) {
	c := dial(t, matomotest.Options{})
	for _, login := range []string{"alice", "bob", "carol"} {
		c.addUser(login)
	}
	c.grant("alice", "view", "1,2")
	c.s.Grant("bob", "view", 3)
	c.s.Grant("bob", "view", 3)
	token := c.s.Tokens("bridge")[0].ID
	before := c.s.Snapshot()
	if got := before.Changes(c.s.Snapshot()); len(got) != 0 {
		t.Errorf("changes %v without any", got)
	}
	c.grant("alice", "write", "2")
	c.grant("ALICE", "admin", "4")
	c.grant("bob", "view", "3")
	c.s.SetSuperuser("carol", true)
	c.s.DeleteTokens("bridge")
	c.s.AddSite("Site 6", "")
	if err := c.s.AddUser("dora", "dora@example.test", secret); err != nil {
		t.Fatal(err)
	}
	c.s.Grant("dora", "view", 5)
	after := c.s.Snapshot()
	want := []string{
		"alice: + 2:write", "alice: + 4:admin (ALICE)", "alice: - 2:view",
		"bob: - 3:view", // one of two
		fmt.Sprintf("bridge: - token %d", token),
		"carol: superuser",
		"dora: + 5:view", "dora: added",
		"sites: [1 2 3 4 5 6]",
	}
	if diff := cmp.Diff(want, before.Changes(after)); diff != "" {
		t.Error(diff)
	}
	back := after.Changes(before)
	for _, line := range []string{"alice: + 2:view", "carol: no superuser", "dora: deleted", "sites: [1 2 3 4 5]"} {
		if !strings.Contains(strings.Join(back, "\n"), line) {
			t.Errorf("%q is missing in %v", line, back)
		}
	}
}

// TestSnapshot_Person: what happens to one person shows.
func TestSnapshot_Person(t *testing.T) {
	was := matomotest.Snapshot{People: map[string]matomotest.Person{"alice": {Email: "a@x.test", Invite: "pending", Tokens: []int{1}}}}
	is := matomotest.Snapshot{People: map[string]matomotest.Person{"alice": {Email: "b@x.test", PasswordChanged: time.Unix(1, 0), Tokens: []int{2}}}}
	want := []string{"alice: + token 2", "alice: - token 1", "alice: e-mail b@x.test", "alice: invitation", "alice: password"}
	if diff := cmp.Diff(want, was.Changes(is)); diff != "" {
		t.Error(diff)
	}
}

// TestServer_Concurrently hammers one server from many sides; the race detector
// watches.
func TestServer_Concurrently(t *testing.T) {
	c := dial(t, matomotest.Options{Plugin: true})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			login := fmt.Sprintf("user%d", i)
			c.call("UsersManager.addUser", "userLogin", login, "email", login+"@example.test", "password", secret)
			for j := range 10 {
				c.call("UsersManager.setUserAccess", "userLogin", login, "access", []string{"view", "write", "noaccess"}[j%3], "idSites", "all")
				c.call("API.getBulkRequest", "urls[]", "method=UsersManager.getUsers", "urls[]", "method=UsersManager.getUsersSitesFromAccess&access=view")
				token, err := c.s.MintToken(login, secret)
				if err != nil {
					t.Error(err)
				}
				c.s.TokenWorks(token)
				c.s.TrackingAccepted(token, 1)
				c.s.Fault(matomotest.Fault{Kind: matomotest.Slow, Method: "none"})()
				c.s.Snapshot()
				c.s.Calls()
				c.s.Users()
				c.s.Mails()
			}
			c.call("UsersManager.deleteUser", "userLogin", login)
		})
	}
	wg.Wait()
	if users := c.s.Users(); len(users) != 2 {
		t.Errorf("%d users are left, want 2", len(users))
	}
	if got := len(c.s.Rows("user0")); got != 0 {
		t.Errorf("%d rows are left", got)
	}
}

// crowd returns a server with n users who have view on two sites each.
func crowd(tb testing.TB, n int) *matomotest.Server {
	tb.Helper()
	s := matomotest.New(matomotest.Options{ForgetCalls: true, Sites: 50})
	for i := range n {
		login := fmt.Sprintf("user%06d", (i*7919)%n) // out of order
		if err := s.AddUser(login, login+"@example.test", "x"); err != nil {
			tb.Fatal(err)
		}
		s.Grant(login, "view", 1+i%50, 1+(i+1)%50)
	}
	return s
}

func readInstance(s *matomotest.Server) (io.ReadCloser, error) {
	body := "token_auth=" + s.Token() + "&urls[]=method%3DUsersManager.getUsers"
	for _, role := range []string{"view", "write", "admin"} {
		body += "&urls[]=method%3DUsersManager.getUsersSitesFromAccess%26access%3D" + role
	}
	rq := httptest.NewRequest(http.MethodPost, "http://matomo.test/?module=API&method=API.getBulkRequest&format=JSON&filter_limit=-1", strings.NewReader(body))
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.RoundTripper().RoundTrip(rq)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func TestServer_Crowd(t *testing.T) {
	const n = 5000
	s := crowd(t, n)
	body, err := readInstance(s)
	if err != nil {
		t.Fatal(err)
	}
	var members []json.RawMessage
	if err := json.NewDecoder(body).Decode(&members); err != nil {
		t.Fatal(err)
	}
	if got := len(list(t, string(members[0]))); got != n+2 {
		t.Errorf("%d users, want %d", got, n+2)
	}
	keys, _ := keysOf(t, string(members[1]))
	if len(keys) != n || keys[0] != "user000000" || keys[n-1] != fmt.Sprintf("user%06d", n-1) {
		t.Errorf("%d logins from %s to %s", len(keys), keys[0], keys[len(keys)-1])
	}
}

func BenchmarkReadInstance(b *testing.B) {
	for _, n := range []int{2000, 100_000} {
		b.Run(fmt.Sprintf("%d_users", n), func(b *testing.B) {
			s := crowd(b, n)
			b.ReportAllocs()
			for b.Loop() {
				body, err := readInstance(s)
				if err != nil {
					b.Fatal(err)
				}
				size, err := io.Copy(io.Discard, body)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(size)
			}
		})
	}
}

func BenchmarkSetUserAccess(b *testing.B) {
	s := crowd(b, 100_000)
	form := []byte("token_auth=" + s.Token() + "&userLogin=user050000&access=write&idSites=1,2,3")
	b.ReportAllocs()
	for b.Loop() {
		rq := httptest.NewRequest(http.MethodPost, "http://matomo.test/?module=API&method=UsersManager.setUserAccess&format=JSON", bytes.NewReader(form))
		rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.RoundTripper().RoundTrip(rq)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}
