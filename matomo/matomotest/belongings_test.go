package matomotest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// TestNoaccessDeletesReports and a demotion does not (ADAPTER, Plan order).
func TestNoaccessDeletesReports(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.s.SetSuperuser("alice", true)
	one := c.s.AddReport(matomotest.Report{Login: "alice", Site: 1, EmailMe: true})
	two := c.s.AddReport(matomotest.Report{Login: "alice", Site: 2})
	other := c.s.AddReport(matomotest.Report{Login: "bridge", Site: 1, AdditionalEmails: []string{"alice@example.test"}})
	c.must("UsersManager.setSuperUserAccess", "userLogin", "alice", "hasSuperUserAccess", "0", "passwordConfirmation", c.s.Password())
	ids := func() string {
		var ids []int
		for _, r := range c.s.Reports() {
			ids = append(ids, r.ID)
		}
		return fmt.Sprint(ids)
	}
	if got, want := ids(), fmt.Sprint([]int{one, two, other}); got != want {
		t.Errorf("after the demotion: reports %s, want %s", got, want)
	}
	c.grant("alice", "noaccess", "1")
	if got, want := ids(), fmt.Sprint([]int{two, other}); got != want {
		t.Errorf("after noaccess on site 1: reports %s, want %s", got, want)
	}
	c.grant("alice", "noaccess", "all")
	if got, want := ids(), fmt.Sprint([]int{other}); got != want {
		t.Errorf("after noaccess on all: reports %s, want %s", got, want)
	}
}

func TestReports(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.grant("alice", "view", "1")
	alice := c.as(c.mint("alice"))
	report := []string{
		"idSite", "1", "description", "mine", "period", "week", "hour", "3", "reportType", "email", "reportFormat", "html",
		"reports[]", "VisitsSummary_get", "parameters[emailMe]", "1", "parameters[additionalEmails][0]", "a@x.test", "parameters[additionalEmails][1]", "b@x.test",
	}
	alice.want(`{"value":1}`, "ScheduledReports.addReport", report...)
	got := c.s.Reports()[0]
	want := matomotest.Report{
		ID: 1, Site: 1, Login: "alice", Description: "mine", Period: "week", Hour: 3, Type: "email", Format: "html",
		Reports: []string{"VisitsSummary_get"}, EmailMe: true, AdditionalEmails: []string{"a@x.test", "b@x.test"}, Created: got.Created,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if body := c.call("ScheduledReports.getReports", "idSite", "1"); !strings.Contains(body, `"additionalEmails":["a@x.test","b@x.test"]`) {
		t.Errorf("recipients are missing in %s", body)
	}
	c.want(`[]`, "ScheduledReports.getReports", "idSite", "2")
	c.want(`[]`, "ScheduledReports.getReports", "ifSuperUserReturnOnlySuperUserReports", "1")
	c.refused("Requested report couldn't be found.", "ScheduledReports.getReports", "idReport", "9")

	// The superuser strips a recipient; a stranger may not.
	c.addUser("bob")
	c.grant("bob", "view", "1")
	bob := c.as(c.mint("bob"))
	bob.want(`[]`, "ScheduledReports.getReports")
	stripped := append([]string{"idReport", "1"}, report[:len(report)-2]...)
	bob.refused("Requested report couldn't be found.", "ScheduledReports.updateReport", stripped...)
	bob.refused("Requested report couldn't be found.", "ScheduledReports.deleteReport", "idReport", "1")
	c.must("ScheduledReports.updateReport", stripped...)
	if got := c.s.Reports()[0]; got.Login != "alice" || len(got.AdditionalEmails) != 1 {
		t.Errorf("after the update: %+v", got)
	}
	alice.must("ScheduledReports.deleteReport", "idReport", "1")
	if got := c.s.Reports(); len(got) != 0 {
		t.Errorf("still there: %+v", got)
	}
}

// TestDeleteUser_Heirs: segments go to the first superuser that is left.
func TestDeleteUser_Heirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, matomotest.Options{})
		time.Sleep(time.Second)
		for _, login := range []string{"aaron", "zoe", "alice"} {
			c.addUser(login)
			time.Sleep(time.Second)
		}
		c.grant("alice", "view", "1")
		alice := c.as(c.mint("alice"))
		alice.want(`{"value":"1"}`, "SegmentEditor.add", "name", "private", "definition", "browserCode==FF", "idSite", "1")
		c.s.SetSuperuser("zoe", true)
		c.s.SetSuperuser("aaron", true)
		c.must("UsersManager.deleteUser", "userLogin", "alice")
		if got := c.s.SegmentOwners()["private"]; got != "bridge" {
			t.Errorf("the segment went to %s, want the superuser registered first", got)
		}
		// The heir may be somebody else than whoever deletes.
		c.as(c.mint("zoe")).must("UsersManager.deleteUser", "userLogin", "bridge")
		if got := c.s.SegmentOwners()["private"]; got != "aaron" {
			t.Errorf("the segment went to %s, want aaron", got)
		}
	})
}

func TestPreferences(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.must("UsersManager.setUserPreference", "userLogin", "ldap.user", "preferenceName", "isLDAPUser", "preferenceValue", "1")
	if v, ok := c.s.Preference("LDAP.user", "isLDAPUser"); v != "1" || !ok {
		t.Errorf("got %q %v", v, ok)
	}
	if _, ok := c.s.Preference("ldap.user", "other"); ok {
		t.Error("found a preference that was never set")
	}
	c.want(`{"value":false}`, "UsersManager.getUserPreference", "preferenceName", "isLDAPUser")
	c.want(`{"value":"1"}`, "UsersManager.getUserPreference", "preferenceName", "isLDAPUser", "userLogin", "ldap.user")
}

func TestAccess(t *testing.T) {
	c := dial(t, matomotest.Options{})
	c.addUser("alice")
	c.s.Grant("alice", "view", 1, 2, 999)
	c.s.Grant("ALICE", "admin", 2)
	c.s.Grant("alice", "tagmanager_write", 1)
	c.s.Grant("alice", "tagmanager_publish_live_container", 1)
	want := access.Access{Sites: map[access.SiteID]access.SiteAccess{
		1: {Role: access.View, Capabilities: []string{"tagmanager_publish_live_container", "tagmanager_write"}},
		2: {Role: access.Admin},
	}}
	if got := c.s.Access("alice"); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := c.s.Access("nobody"); !got.Empty() {
		t.Errorf("nobody has %v", got)
	}
	c.s.Revoke("alice", 1)
	c.s.Revoke("alice", 999)
	if got := c.s.Access("alice").String(); got != "2:admin" {
		t.Errorf("after Revoke: %s", got)
	}
	if c.s.Revoke("nobody") || c.s.Grant("nobody", "view", 1) || c.s.DeleteUser("nobody") || c.s.SetPassword("nobody", secret) {
		t.Error("changed somebody who does not exist")
	}
	if err := c.s.AddUser("alicia", "ALICE@example.test", secret); err == nil {
		t.Error("added a second account with the e-mail")
	}
	if !c.s.SetPassword("alice", "Another-Passw0rd") || !c.s.CheckPassword("ALICE", "Another-Passw0rd") || c.s.CheckPassword("nobody", secret) {
		t.Error("the password was not set")
	}
	if !c.s.DeleteUser("alice") {
		t.Error("not deleted")
	}
	if _, err := c.s.SignIn("alice", "Another-Passw0rd"); err == nil || errors.Is(err, matomotest.ErrCut) {
		t.Errorf("signed in after deletion: %v", err)
	}
}
