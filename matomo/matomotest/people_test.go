package matomotest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

const updateUser = "UsersManager.updateUser"

func TestSession(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, matomotest.Options{Version: version, Plugin: true})
			c.addUser("alice")
			c.grant("alice", "view", "1")
			signIn := func(password string) *matomotest.Session {
				t.Helper()
				b, err := c.s.SignIn("Alice", password)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second) // changes within the same second do not count
				return b
			}
			open := func(b *matomotest.Session, status int, login string) {
				t.Helper()
				if s, l := b.Open(); s != status || l != login {
					t.Errorf("%d %s, want %d %s", s, l, status, login)
				}
			}
			b := signIn(secret)
			open(b, http.StatusOK, "alice")
			c.grant("alice", "noaccess", "all")
			open(b, http.StatusForbidden, "alice")
			c.grant("alice", "view", "1")
			open(b, http.StatusOK, "alice")
			c.must(updateUser, "userLogin", "alice", "password", "Another-Passw0rd", "passwordConfirmation", c.s.Password())
			open(b, http.StatusForbidden, "anonymous")

			b = signIn("Another-Passw0rd")
			c.must("ScimBridge.logoutUser", "userLogin", "alice")
			open(b, http.StatusForbidden, "anonymous")

			time.Sleep(time.Second) // sessions of the second of the logout are over too
			b = signIn("Another-Passw0rd")
			c.must(updateUser, "userLogin", "alice", "email", "new@example.test", "passwordConfirmation", c.s.Password())
			c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "1", "passwordConfirmation", c.s.Password())
			open(b, http.StatusOK, "alice")
			c.must("UsersManager.deleteUser", "userLogin", "alice")
			open(b, http.StatusForbidden, "anonymous")
			c.addUser("alice")
			c.grant("alice", "view", "1")
			if b.Alive() {
				t.Error("the session of a deleted account lives on in its successor")
			}
		})
	})
}

func TestSignIn_Refuses(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.must("UsersManager.inviteUser", "userLogin", "invited", "email", "invited@example.test", "initialIdSite", "1")
	c.must(updateUser, "userLogin", "invited", "password", secret, "passwordConfirmation", c.s.Password())
	for login, password := range map[string]string{"nobody": secret, c.s.Login(): "wrong", "invited": secret, "anonymous": ""} {
		if b, err := c.s.SignIn(login, password); err == nil || b != nil {
			t.Errorf("%s signed in", login)
		}
	}
}

func TestInvitation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		invite := []string{"userLogin", "bob", "email", "bob@example.test", "initialIdSite", "2"}
		c.must("UsersManager.inviteUser", append(invite, "expiryInDays", "3")...)
		status := func(want string) {
			t.Helper()
			body := c.call("UsersManager.getUser", "userLogin", "bob")
			if !strings.Contains(body, `"invite_status":`+want+",") {
				t.Errorf("want invite_status %s in %s", want, body)
			}
		}
		status("3")
		time.Sleep(36 * time.Hour)
		status("1")
		time.Sleep(36*time.Hour + time.Second)
		status(`"expired"`)
		if u, _ := c.s.User("bob"); u.Invite != "expired" || u.InvitedBy != c.s.Login() {
			t.Errorf("got %+v", u)
		}
		if err := c.s.AcceptInvite("bob", secret); err == nil {
			t.Error("accepted an expired invitation")
		}
		c.must("UsersManager.resendInvite", "userLogin", "bob")
		status("7")
		if link := c.call("UsersManager.generateInviteLink", "userLogin", "bob"); !strings.Contains(link, `http:\/\/matomo.test\/index.php?module=Login&action=acceptInvitation&token=`) {
			t.Errorf("link %s", link)
		}
		if err := c.s.AcceptInvite("bob", "short"); err == nil {
			t.Error("accepted a short password")
		}
		if err := c.s.AcceptInvite("bob", secret); err != nil {
			t.Fatal(err)
		}
		status(`"active"`)
		if _, err := c.s.SignIn("bob", secret); err != nil {
			t.Error(err)
		}
		if err := c.s.AcceptInvite("bob", secret); err == nil {
			t.Error("accepted twice")
		}
		c.refused("User 'bob' doesn't exist.", "UsersManager.resendInvite", "userLogin", "bob")
		c.refused("User 'bob' doesn't exist.", "UsersManager.generateInviteLink", "userLogin", "bob")
		want := []matomotest.Mail{
			{To: "bob@example.test", Kind: matomotest.MailInvitation, Login: "bob"},
			{To: "bob@example.test", Kind: matomotest.MailInvitation, Login: "bob"},
		}
		if diff := cmp.Diff(want, c.s.Mails()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		c.addUser("alice")
		change := func() {
			c.must(updateUser, "userLogin", "alice", "email", "new@example.test", "password", "Another-Passw0rd", "passwordConfirmation", c.s.Password())
		}
		c.s.QuietUpdates(true)
		change()
		if mails := c.s.Mails(); len(mails) != 0 {
			t.Errorf("mails %v with quiet updates", mails)
		}
		c.s.QuietUpdates(false)
		c.must(updateUser, "userLogin", "alice", "email", "alice@example.test", "passwordConfirmation", c.s.Password())
		change()
		c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "1", "passwordConfirmation", c.s.Password())
		c.must("UsersManager.deleteUser", "userLogin", "alice")
		if err := c.s.ResetPassword(c.s.Login()+"@example.test", secret); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range c.s.Mails() {
			got = append(got, fmt.Sprintf("%s %s about %s", m.To, m.Kind, m.Login))
		}
		want := []string{
			"new@example.test email_changed about alice", "alice@example.test email_changed about alice",
			"alice@example.test email_changed about alice", "new@example.test email_changed about alice",
			"new@example.test password_changed about alice",
			"new@example.test superuser_changed about alice", "bridge@example.test superuser_changed about alice",
			"bridge@example.test user_deleted about alice",
			"bridge@example.test password_reset about bridge",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestResetPassword(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice") // without any access
	token := c.mint("alice")
	if err := c.s.ResetPassword("ALICE@example.test", "Another-Passw0rd"); err != nil {
		t.Fatal(err)
	}
	if !c.s.CheckPassword("alice", "Another-Passw0rd") || !c.s.TokenAlive(token) {
		t.Error("the password is not new, or the token died with it")
	}
	c.must("UsersManager.inviteUser", "userLogin", "bob", "email", "bob@example.test", "initialIdSite", "1")
	for email, password := range map[string]string{"nobody@example.test": secret, "bob@example.test": secret, "alice@example.test": "short"} {
		if err := c.s.ResetPassword(email, password); err == nil {
			t.Errorf("reset for %s", email)
		}
	}
}

// TestTokens_OutliveEverything: only deleting the account ends a token; without
// access it is idle and can be multiplied (FACTS a and b).
func TestTokens_OutliveEverything(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version})
		c.addUser("alice")
		token := c.mint("alice")
		works := func(want bool, when string) {
			t.Helper()
			answered := refusal(c.as(token).call("API.getMatomoVersion")) == ""
			if c.s.TokenWorks(token) != want || answered != want {
				t.Errorf("%s: works %v, answered %v, want %v", when, c.s.TokenWorks(token), answered, want)
			}
		}
		works(false, "without access")
		c.grant("alice", "view", "1")
		works(true, "with access")
		c.must(updateUser, "userLogin", "alice", "password", "Another-Passw0rd", "passwordConfirmation", c.s.Password())
		works(true, "after a password change")
		c.grant("alice", "noaccess", "all")
		works(false, "revoked")
		second, err := c.s.MintToken("alice", "Another-Passw0rd")
		if err != nil {
			t.Fatal(err)
		}
		c.grant("alice", "view", "2")
		works(true, "after a come-back")
		if !c.s.TokenWorks(second) {
			t.Error("the token minted without access does not work")
		}
		c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "1", "passwordConfirmation", c.s.Password())
		works(true, "as superuser")
		c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "0", "passwordConfirmation", c.s.Password())
		works(false, "demoted")
		c.must("UsersManager.deleteUser", "userLogin", "alice")
		c.addUser("alice")
		c.grant("alice", "view", "1")
		works(false, "deleted and created again")
		if c.s.TokenAlive(token) || c.s.TokenAlive("unknown") {
			t.Error("a dead token is alive")
		}
	})
}

func TestCreateAppSpecificTokenAuth_Options(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		c.addUser("alice")
		c.grant("alice", "view", "1")
		mint := func(params ...string) string {
			t.Helper()
			c.call("UsersManager.createAppSpecificTokenAuth", append([]string{"userLogin", "alice", "passwordConfirmation", secret, "description", "t"}, params...)...)
			tokens := c.s.Tokens("alice")
			return tokens[len(tokens)-1].Secret
		}
		hour, day, post := mint("expireHours", "1"), mint("expireDate", "2000-01-03"), mint("secureOnly", "1")
		time.Sleep(time.Hour + time.Second)
		if c.s.TokenAlive(hour) || !c.s.TokenAlive(day) {
			t.Error("an hour later: want the first dead, the second alive")
		}
		time.Sleep(48 * time.Hour)
		if c.s.TokenAlive(day) {
			t.Error("alive after its date")
		}
		if r := c.as(post).send(t.Context(), "API.getMatomoVersion"); r.status != http.StatusOK {
			t.Errorf("secure token in the body: %d", r.status)
		}
		get := c.as("").with("&token_auth="+post).send(t.Context(), "API.getMatomoVersion")
		if get.status != http.StatusUnauthorized || !strings.Contains(get.body, "required to be sent as a POST parameter") {
			t.Errorf("secure token in the URL: %d %s", get.status, get.body)
		}
		if last := c.s.Tokens("alice")[2]; !last.SecureOnly || last.LastUsed.IsZero() || last.Description != "t" {
			t.Errorf("got %+v", last)
		}
	})
}

func TestSecondFactor(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version})
		c.addUser("alice")
		c.s.SetTwoFactor("alice", true)
		if _, err := c.s.MintToken("alice", secret); err == nil {
			t.Error("minted without the second factor")
		}
		missing := map[string]string{
			matomotest.Version5: "Please enter your password to confirm this change.",
			matomotest.Version4: "Please specify a value for 'passwordConfirmation'.",
		}
		c.refused(missing[version], "TwoFactorAuth.resetTwoFactorAuth", "userLogin", "alice")
		c.must("TwoFactorAuth.resetTwoFactorAuth", "userLogin", "alice", "passwordConfirmation", c.s.Password())
		if _, err := c.s.MintToken("alice", secret); err != nil {
			t.Error(err)
		}
	})
}

// TestTracking: the Tracking API remembers tokens for 300 seconds, unless the
// user management clears its cache.
func TestTracking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{Plugin: true})
		c.addUser("alice")
		c.grant("alice", "write", "1")
		accepts := func(want bool, token, when string) {
			t.Helper()
			if c.s.TrackingAccepted(token, 1) != want {
				t.Errorf("%s: want accepted %v", when, want)
			}
			status := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[want]
			if r := c.post(t.Context(), "/matomo.php?idsite=1&rec=1&cdt=2020-01-01", "token_auth="+token); r.status != status {
				t.Errorf("%s: status %d, want %d", when, r.status, status)
			}
		}
		token := c.mint("alice")
		accepts(true, token, "with write")
		c.s.DeleteTokens("alice")
		accepts(true, token, "just deleted in the database")
		time.Sleep(299 * time.Second)
		accepts(true, token, "299 seconds later")
		time.Sleep(time.Second)
		accepts(false, token, "300 seconds later")

		token = c.mint("alice")
		accepts(false, token, "new, and not in the cache")
		c.s.ClearTrackerCache()
		accepts(true, token, "cache cleared")
		c.must("ScimBridge.logoutUser", "userLogin", "alice")
		c.call("ScimBridge.revokeTokens", "userLogin", "alice")
		accepts(false, token, "revoked by the plugin")

		token = c.mint("alice")
		c.grant("alice", "view", "1")
		accepts(false, token, "with view only")
		c.grant("alice", "noaccess", "all")
		accepts(false, token, "without access")
		accepts(true, c.token, "a superuser's")
		accepts(false, "unknown", "an unknown one")
		if r := c.post(t.Context(), "/piwik.php?idsite=1&rec=1", ""); r.status != http.StatusOK || !strings.HasPrefix(r.body, "GIF89a") {
			t.Errorf("plain tracking: %d %q", r.status, r.body)
		}
	})
}

func TestCompanionPlugin(t *testing.T) {
	bothVersions(t, func(t *testing.T, version string) {
		c := dial(t, matomotest.Options{Version: version, Plugin: true})
		c.addUser("alice")
		c.grant("alice", "view", "1")
		first, second, third := c.mint("alice"), c.mint("alice"), c.mint("alice")
		c.want(`{"value":"1.0.0"}`, "ScimBridge.getVersion")
		c.want(`{"value":true}`, "API.isPluginActivated", "pluginName", "ScimBridge")
		tokens := c.s.Tokens("alice")
		entry := func(i int) string {
			return fmt.Sprintf(`{"id":%d,"description":"minted","date_created":"%s","last_used":null,"date_expired":null}`, tokens[i].ID, tokens[i].Created.Format(time.DateTime))
		}
		c.want("["+entry(0)+","+entry(1)+","+entry(2)+"]", "ScimBridge.getTokens", "userLogin", "ALICE")
		c.want(`{"deleted":1}`, "ScimBridge.revokeTokens", "userLogin", "alice", "idTokenAuth", fmt.Sprint(tokens[1].ID))
		if !c.s.TokenWorks(first) || c.s.TokenWorks(second) || !c.s.TokenWorks(third) {
			t.Error("want the second token dead, the others alive")
		}
		c.want(`{"deleted":0}`, "ScimBridge.revokeTokens", "userLogin", "alice", "idTokenAuth", "99999")
		for _, bad := range []string{"0", "-1", "abc", "1x", "007", "99999999999999999999"} {
			c.refused("idTokenAuth must be the id of a token, as getTokens lists it. Leave it out to end all tokens.",
				"ScimBridge.revokeTokens", "userLogin", "alice", "idTokenAuth", bad)
		}
		c.want(`{"deleted":2}`, "ScimBridge.revokeTokens", "userLogin", "alice")
		c.want(`{"deleted":0}`, "ScimBridge.revokeTokens", "userLogin", "alice")
		c.want(`[]`, "ScimBridge.getTokens", "userLogin", "alice")
		if got := c.s.Access("alice").String(); got != "1:view" {
			t.Errorf("access %s, want it untouched", got)
		}
		alice := c.as(c.mint("alice"))
		for _, method := range []string{"getTokens", "revokeTokens", "logoutUser"} {
			c.refused("User 'nobody' doesn't exist.", "ScimBridge."+method, "userLogin", "nobody")
			c.refused("Please specify a value for 'userLogin'.", "ScimBridge."+method)
			if text := refusal(c.call("ScimBridge."+method, "userLogin", "anonymous")); !strings.HasPrefix(text, "The anonymous user cannot be edited") {
				t.Errorf("%s of anonymous: %q", method, text)
			}
			alice.refused("You can't access this resource as it requires a 'superuser' access.", "ScimBridge."+method, "userLogin", "alice")
		}
	})
	c := dial(t, matomotest.Options{})
	c.want(`{"value":false}`, "API.isPluginActivated", "pluginName", "ScimBridge")
	c.refused("The plugin ScimBridge is not enabled. You can activate the plugin on Settings &gt; Plugins page in Matomo.", "ScimBridge.getVersion")
}
