package matomotest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// The fifteen traps of Matomo's API, one test each: that the stand-in has them.

func manyUsersOn(c *client, n int) {
	for i := range n {
		login := fmt.Sprintf("user%03d", i)
		if err := c.s.AddUser(login, login+"@example.test", secret); err != nil {
			c.t.Fatal(err)
		}
		c.s.Grant(login, "view", 1+i%5)
	}
}

func TestTrap01ListsAreCutTo100(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version, Sites: 125})
		manyUsersOn(c, 150)
		c.grant("user000", "view", "all")
		for _, tc := range []struct {
			method string
			params []string
			all    int
		}{
			{"UsersManager.getUsers", nil, 152},
			{"UsersManager.getUsersLogin", nil, 152},
			{"UsersManager.getUsersPlusRole", []string{"idSite", "1"}, 152},
			{"UsersManager.getUsersPlusRole", []string{"idSite", "1", "limit", "1000"}, 152},
			{"SitesManager.getAllSitesId", nil, 125},
			{"SitesManager.getSitesIdWithAdminAccess", nil, 125},
			{"UsersManager.getSitesAccessFromUser", []string{"userLogin", "user000"}, 125},
			{"UsersManager.getSitesAccessForUser", []string{"userLogin", "user000"}, 125},
		} {
			if got := len(list(t, c.with("").call(tc.method, tc.params...))); got != 100 {
				t.Errorf("%s without filter_limit: %d entries, want 100", tc.method, got)
			}
			if got := len(list(t, c.call(tc.method, tc.params...))); got != tc.all {
				t.Errorf("%s with filter_limit=-1: %d entries, want %d", tc.method, got, tc.all)
			}
			if got := len(list(t, c.with("&filter_limit=7&filter_offset=3").call(tc.method, tc.params...))); got != 7 {
				t.Errorf("%s with filter_limit=7: %d entries", tc.method, got)
			}
		}
		// A map whose first key is no number is not cut, and inner lists never are.
		keys, _ := keysOf(t, c.with("").call("UsersManager.getUsersSitesFromAccess", "access", "view"))
		if len(keys) != 150 {
			t.Errorf("getUsersSitesFromAccess without filter_limit: %d keys, want all 150", len(keys))
		}
	})
}

func TestTrap02NumericLoginFirst(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("1234")
	c.grant("1234", "view", "3")
	// Alone it becomes element 0 of a list: the login is lost altogether.
	c.with("").want(`[[3]]`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.addUser("bob")
	c.grant("bob", "view", "1,2")
	c.with("").want(`{"0":[3],"bob":[1,2]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.want(`{"1234":[3],"bob":[1,2]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	// "007" is numeric, so the map is cut, but it is no integer key.
	c.addUser("007")
	c.grant("007", "view", "5")
	c.with("").want(`{"007":[5],"0":[3],"bob":[1,2]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	manyUsersOn(c, 120)
	keys, _ := keysOf(t, c.with("").call("UsersManager.getUsersSitesFromAccess", "access", "view"))
	if len(keys) != 100 {
		t.Errorf("with a numeric login first: %d keys, want 100", len(keys))
	}
}

func TestTrap03BulkResultsAreCut(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	bulk := func(n int) []string {
		var params []string
		for i := range n {
			params = append(params, fmt.Sprintf("urls[%d]", i), fmt.Sprintf("method=UsersManager.setUserAccess&userLogin=alice&access=view&idSites=%d", 100+i))
		}
		return params
	}
	if got := len(list(t, c.with("").call("API.getBulkRequest", bulk(300)...))); got != 100 {
		t.Errorf("%d results, want 100", got)
	}
	if got := len(c.s.Rows("alice")); got != 300 {
		t.Errorf("%d members ran, want all 300", got)
	}
	if got := len(list(t, c.call("API.getBulkRequest", bulk(300)...))); got != 300 {
		t.Errorf("with filter_limit=-1 %d results, want 300", got)
	}
	// A window that begins later still holds whole results.
	c.with("&filter_limit=2&filter_offset=1").want(`[{"value":true},{"value":"5.1.2"}]`, "API.getBulkRequest",
		"urls[]", "method=API.getMatomoVersion", "urls[]", "method=UsersManager.hasSuperUserAccess",
		"urls[]", "method=API.getMatomoVersion", "urls[]", "method=API.getMatomoVersion")
	c.with("&filter_limit=0").want(`[]`, "API.getBulkRequest", "urls[]", "method=API.getMatomoVersion")
	c.with("&filter_limit=5&filter_offset=9").want(`[]`, "API.getBulkRequest", "urls[]", "method=API.getMatomoVersion")

	// max_input_vars: what comes after 1,000 variables is not there.
	many := members("UsersManager.getUsersLogin")
	last := c.post(t.Context(), "/index.php?module=API&format=JSON&method=API.getBulkRequest&filter_limit=-1", many+"&token_auth="+c.token)
	results := list(t, last.body)
	if text := fmt.Sprint(results[0]); len(results) != 1000 || !strings.Contains(text, "requires admin access") {
		t.Errorf("token last: %d results, first %s", len(results), text)
	}
	first := c.post(t.Context(), "/index.php?module=API&format=JSON&method=API.getBulkRequest&filter_limit=-1", "token_auth="+c.token+"&"+many)
	if results := list(t, first.body); len(results) != 999 || fmt.Sprint(results[0]) != "[alice anonymous bridge]" {
		t.Errorf("token first: %d results, first %v", len(results), results[0])
	}
}

func TestTrap04Shapes(t *testing.T) {
	c := dial(t, matomotest.Options{Sites: 2})
	c.want(`[]`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.want(`[]`, "UsersManager.getUsersAccessFromSite", "idSite", "1")
	for query, wantList := range map[string]bool{"": true, "&filter_limit=-1": false} {
		keys, isList := keysOf(t, c.with(query).call("SitesManager.getAllSites"))
		if isList != wantList || len(keys) != 2 || (!isList && keys[0] != "1") {
			t.Errorf("getAllSites with %q: list %v, keys %v", query, isList, keys)
		}
	}
	c.want(`[1,2]`, "SitesManager.getAllSitesId")
	c.want(`{"value":"5.1.2"}`, "API.getMatomoVersion")
	c.want(`{"value":false}`, "UsersManager.userExists", "userLogin", "nobody")

	// Error texts are escaped outside a bulk request and not inside.
	c.want(`{"result":"error","message":"Email: The value &quot;a&amp;b&quot; does not look like a valid email."}`,
		"UsersManager.addUser", "userLogin", "abc", "password", secret, "email", "a&b")
	c.want(`[{"result":"error","message":"Email: The value \"a&b\" does not look like a valid email."}]`,
		"API.getBulkRequest", "urls[]", "method=UsersManager.addUser&userLogin=abc&email=a%26b&password="+secret)
}

func TestTrap05LoginIsStoredAsSent(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.grant("alice", "view", "1,2")
	c.grant("ALICE", "write", "2")
	c.want(`{"alice":[1]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.want(`{"ALICE":[2]}`, "UsersManager.getUsersSitesFromAccess", "access", "write")
	c.want(`[{"site":1,"access":"view"},{"site":2,"access":"write"}]`, "UsersManager.getSitesAccessFromUser", "userLogin", "alice")
	c.grant("álice", "view", "3")
	c.want(`{"alice":[1],"\u00e1lice":[3]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.grant("alice", "noaccess", "all")
	c.want(`[]`, "UsersManager.getUsersSitesFromAccess", "access", "view")
}

func TestTrap06SitesThatDoNotExist(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.grant("alice", "view", "1,999")
	c.want(`{"alice":[1,999]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.want(`[{"site":1,"access":"view"}]`, "UsersManager.getSitesAccessFromUser", "userLogin", "alice")
	// "all" covers what exists, so the orphan stays.
	c.grant("alice", "noaccess", "all")
	c.want(`{"alice":[999]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	c.grant("alice", "noaccess", "999")
	c.want(`[]`, "UsersManager.getUsersSitesFromAccess", "access", "view")
}

func TestTrap07WritesAreNotAtomic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		c.addUser("alice")
		c.s.Fault(matomotest.Fault{Kind: matomotest.Gap, Latency: time.Second})
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				role := []string{"view", "admin"}[i%2]
				if got := c.call("UsersManager.setUserAccess", "userLogin", "alice", "access", role, "idSites", "1"); got != success {
					t.Errorf("parallel write: %s", got)
				}
			})
		}
		wg.Wait()
		var roles []string
		for _, row := range c.s.Rows("alice") {
			roles = append(roles, row.Access)
		}
		slices.Sort(roles)
		if got := slices.Compact(slices.Clone(roles)); len(roles) < 2 || !slices.Equal(got, []string{"admin", "view"}) {
			t.Errorf("parallel writes left %v, want both roles on one site", roles)
		}

		answers := make([]string, 6)
		for i := range answers {
			wg.Go(func() {
				answers[i] = refusal(c.call("UsersManager.addUser", "userLogin", "race", "password", secret, "email", fmt.Sprintf("r%d@example.test", i)))
			})
		}
		wg.Wait()
		slices.Sort(answers)
		duplicate := "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'race' for key 'PRIMARY'"
		if answers[0] != "" || !slices.Equal(answers[1:], slices.Repeat([]string{duplicate}, 5)) {
			t.Errorf("parallel addUser: %q", answers)
		}
	})
	c := dial(t, matomotest.Options{})
	c.addUser("bob")
	c.must("UsersManager.setUserAccess", "userLogin", "bob", "access[]", "view", "access[]", "tagmanager_write", "idSites", "1,2")
	c.grant("bob", "view", "1")
	c.want(`[{"site":2,"access":"view"},{"site":2,"access":"tagmanager_write"},{"site":1,"access":"view"}]`,
		"UsersManager.getSitesAccessFromUser", "userLogin", "bob")
}

func TestTrap08TheWordFalseGrants(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	for value, want := range map[string]bool{"1": true, "0": false, "false": true, "no": true} {
		c.s.SetSuperuser("alice", !want)
		c.s.Grant("alice", "view", 1)
		c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", value, "passwordConfirmation", c.s.Password())
		if got := c.s.Access("alice"); got.Superuser != want || len(got.Sites) != 0 {
			t.Errorf("hasSuperUserAccess=%s: %v, want superuser %v and no rows", value, got, want)
		}
	}
}

func TestTrap09UpdateUserFailsAfterWriting(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.s.Fault(matomotest.Fault{Kind: matomotest.MailError})
	text := "SMTP Error: Could not connect to SMTP host. Failed to connect to server"
	c.refused(text, "UsersManager.updateUser", "userLogin", "alice", "email", "new@example.test", "passwordConfirmation", c.s.Password())
	c.refused(text, "UsersManager.updateUser", "userLogin", "alice", "password", "Another-Passw0rd", "passwordConfirmation", c.s.Password())
	if u, _ := c.s.User("alice"); u.Email != "new@example.test" || !c.s.CheckPassword("alice", "Another-Passw0rd") {
		t.Errorf("not written: %+v", u)
	}
	// No other method fails on mail.
	c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "1", "passwordConfirmation", c.s.Password())
	c.must("UsersManager.inviteUser", "userLogin", "bob", "email", "bob@example.test", "initialIdSite", "1")
	c.must("UsersManager.deleteUser", "userLogin", "alice")
}

func TestTrap10TheBridgeLocksItselfOut(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, matomotest.Options{Version: version})
			wrong := []string{"userLogin", "nobody", "hasSuperUserAccess", "0", "passwordConfirmation", "wrong"}
			for range 21 {
				c.refused("The current password you entered is not correct.", "UsersManager.setSuperUserAccess", wrong...)
			}
			for _, method := range []string{"UsersManager.setSuperUserAccess", "API.getMatomoVersion"} {
				r := c.send(t.Context(), method, wrong...)
				if r.status != http.StatusInternalServerError || refusal(r.body) != "Too many failed logins. Please wait and try logging in again later." {
					t.Errorf("%s while locked: %d %s", method, r.status, r.body)
				}
			}
			if r := c.as("").send(t.Context(), "UsersManager.hasSuperUserAccess"); r.status != http.StatusOK {
				t.Errorf("without a token while locked: %d", r.status)
			}
			if _, err := c.s.SignIn(c.s.Login(), c.s.Password()); err == nil {
				t.Error("signed in while locked")
			}
			if _, err := c.s.MintToken(c.s.Login(), c.s.Password()); err == nil {
				t.Error("minted a token while locked")
			}
			c.s.NeverLock("127.0.0.1")
			c.want(`{"value":true}`, "UsersManager.hasSuperUserAccess")
			c.s.NeverLock()
			if !c.s.LockedOut("127.0.0.1") || c.s.LockedOut("10.0.0.1") {
				t.Error("the lock is not on the address alone")
			}
			time.Sleep(time.Hour)
			c.want(`{"value":true}`, "UsersManager.hasSuperUserAccess")
			if n := c.s.FailedLogins("127.0.0.1"); n != 0 {
				t.Errorf("%d failures after an hour", n)
			}
		})
	})
}

// TestTrap10WhatCounts: tokens and passwords that are wrong, wherever they are.
func TestTrap10WhatCounts(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version})
		c.addUser("alice")
		for i, fail := range []func(){
			func() { c.as("00000000000000000000000000000000").call("API.getMatomoVersion") },
			func() {
				c.call("UsersManager.createAppSpecificTokenAuth", "userLogin", "alice", "passwordConfirmation", "wrong", "description", "t")
			},
			func() {
				c.call("UsersManager.createAppSpecificTokenAuth", "userLogin", "nobody", "passwordConfirmation", "wrong", "description", "t")
			},
			func() {
				c.call("API.getBulkRequest", "passwordConfirmation", "wrong", "urls[]", "method=UsersManager.setSuperUserAccess&userLogin=x&hasSuperUserAccess=0")
			},
			func() { _, _ = c.s.SignIn("alice", "wrong") },
			func() { _, _ = c.s.MintToken("alice", "wrong") },
		} {
			before := c.s.FailedLogins("127.0.0.1")
			fail()
			if got := c.s.FailedLogins("127.0.0.1") - before; got != 1 {
				t.Errorf("failure %d counted %d times", i, got)
			}
		}
		c.s.ClearFailedLogins()
		c.call("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "1") // missing is not wrong
		c.as("").call("API.getMatomoVersion")
		if n := c.s.FailedLogins("127.0.0.1"); n != 0 {
			t.Errorf("%d failures, want none", n)
		}
	})
}

func TestTrap11ErrorsLookAtTheURL(t *testing.T) {
	c := dial(t, matomotest.Options{})
	bad := "&token_auth=00000000000000000000000000000000"
	for _, tc := range []struct {
		path, form, contentType string
	}{
		{"/index.php", "module=API&method=API.getMatomoVersion&format=JSON" + bad, "text/html; charset=utf-8"},
		{"/index.php?module=API", "method=API.getMatomoVersion&format=JSON" + bad, "text/html; charset=utf-8"},
		{"/index.php?module=API&method=API.getMatomoVersion&format=JSON", bad, "application/json; charset=utf-8"},
		{"/?module=API&method=API.getMatomoVersion&format=json", bad, "application/json; charset=utf-8"},
		{"/index.php?module=API&method=API.getMatomoVersion", "format=JSON" + bad, "text/xml; charset=utf-8"},
	} {
		r := c.post(t.Context(), tc.path, tc.form)
		if got := r.header.Get("Content-Type"); r.status != http.StatusUnauthorized || got != tc.contentType {
			t.Errorf("%s with %s: %d %s, want 401 %s", tc.path, tc.form, r.status, got, tc.contentType)
		}
	}
}

func TestTrap12NoBearerNoJSON(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version})
		for name, tc := range map[string]struct{ path, contentType, body, want string }{
			"bearer": {"/index.php?module=API&format=JSON&method=API.getMatomoVersion", "application/x-www-form-urlencoded", "", "requires view access"},
			"json":   {"/index.php", "application/json", `{"module":"API","method":"API.getMatomoVersion"}`, "Sign in - Matomo"},
		} {
			rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			rq.Header.Set("Content-Type", tc.contentType)
			rq.Header.Set("Authorization", "Bearer "+c.token)
			resp, err := c.rt.RoundTrip(rq)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 1000)
			n, _ := resp.Body.Read(buf)
			_ = resp.Body.Close()
			if !strings.Contains(string(buf[:n]), tc.want) {
				t.Errorf("%s: %s", name, buf[:n])
			}
		}
	})
}

func TestTrap13MembersAreDecodedTwiceBefore5(t *testing.T) {
	member := "method=UsersManager.addUser&userLogin=amp&email=amp%40example.test&password=Sup3r-long%26email%3Dinjected%40example.test"
	for version, email := range map[string]string{matomotest.Version5: "amp@example.test", matomotest.Version4: "injected@example.test"} {
		c := dial(t, matomotest.Options{Version: version})
		c.want("["+success+"]", "API.getBulkRequest", "urls[]", member)
		if u, _ := c.s.User("amp"); u.Email != email {
			t.Errorf("Matomo %s: e-mail %q, want %q", version, u.Email, email)
		}
	}
	// An escaped plus survives on both.
	for _, version := range []string{matomotest.Version5, matomotest.Version4} {
		c := dial(t, matomotest.Options{Version: version})
		c.want("["+success+"]", "API.getBulkRequest", "urls[]", "method=UsersManager.addUser&userLogin=a%2Bb&email=ab%40example.test&password="+secret)
		if _, ok := c.s.User("a+b"); !ok {
			t.Errorf("Matomo %s: the plus was lost", version)
		}
	}
}

func TestTrap14MembersInherit(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version})
		c.addUser("alice")
		c.addUser("bob")
		c.want("["+success+","+success+"]", "API.getBulkRequest", "passwordConfirmation", c.s.Password(), "hasSuperUserAccess", "1",
			"urls[]", "method=UsersManager.setSuperUserAccess&userLogin=alice", "urls[]", "method=UsersManager.setSuperUserAccess&userLogin=bob&hasSuperUserAccess=0")
		if !c.s.Access("alice").Superuser || c.s.Access("bob").Superuser {
			t.Error("alice should have inherited the grant, bob overridden it")
		}
		// A nested bulk is skipped, and so is a member that inherits the method.
		c.want(`[{"value":true}]`, "API.getBulkRequest", "urls[]", "method=API.getBulkRequest&urls[]=method%3DAPI.getMatomoVersion",
			"urls[]", "userLogin=alice", "urls[]", "method=UsersManager.hasSuperUserAccess")
		// The outer token decides.
		alice := c.mint("alice")
		c.s.SetSuperuser("alice", false)
		c.want(`[{"value":true}]`, "API.getBulkRequest", "urls[]", "method=UsersManager.hasSuperUserAccess&token_auth="+alice)
		c.as("").want(`[{"value":true},{"value":false}]`, "API.getBulkRequest",
			"urls[]", "method=UsersManager.hasSuperUserAccess&token_auth="+c.token, "urls[]", "method=UsersManager.hasSuperUserAccess")
	})
}

func TestTrap15DeleteSiteNeedsNoPassword(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.grant("alice", "view", "1,2")
	c.s.AddReport(matomotest.Report{Login: "alice", Site: 2})
	c.must("SitesManager.deleteSite", "idSite", "2")
	c.want(`{"alice":[1]}`, "UsersManager.getUsersSitesFromAccess", "access", "view")
	if reports := c.s.Reports(); len(reports) != 0 {
		t.Errorf("reports of the site are left: %+v", reports)
	}
	c.refused("website id = 2 not found", "SitesManager.deleteSite", "idSite", "2")
	if id := c.s.AddSite("New", ""); id != 6 {
		t.Errorf("the next site is %d, want 6: IDs are not used twice", id)
	}
}
