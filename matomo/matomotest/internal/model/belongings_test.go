package model_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
)

// reports lists the scheduled reports as "id login site".
func reports(in *model.Instance) []string {
	var out []string
	for _, r := range in.Reports {
		out = append(out, fmt.Sprintf("%d %s %d", r.ID, r.Login, r.Site))
	}
	return out
}

// TestDeleteReports: as after setUserAccess noaccess, which names sites, and after deleteUser, which names none.
func TestDeleteReports(t *testing.T) {
	all := []string{"1 alice 1", "2 ALICE 2", "3 bob 1", "4 alice 3"}
	for _, c := range []struct {
		login string
		sites []int
		left  []string
	}{
		{"alice", []int{1}, all[1:]},
		{"Álice", []int{1, 2}, all[2:]}, // compared as MySQL does (trap 5)
		{"alice", nil, all[2:3]},
		{"alice", []int{9}, all},
		{"nobody", nil, all},
	} {
		in := locked()
		for _, r := range []model.Report{{Login: "alice", Site: 1}, {Login: "ALICE", Site: 2}, {Login: "bob", Site: 1}, {Login: "alice", Site: 3}} {
			in.AddReport(r)
		}
		in.DeleteReports(c.login, c.sites...)
		if got := reports(in); !slices.Equal(got, c.left) {
			t.Errorf("without %s on %v: %v, want %v", c.login, c.sites, got, c.left)
		}
		if id := in.AddReport(model.Report{}); id != 5 {
			t.Errorf("the number %d is used twice", id)
		}
	}
}

func TestAddReport_Created(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		then := model.Now().Add(-time.Hour)
		in.AddReport(model.Report{Created: then})
		in.AddReport(model.Report{})
		if !in.Reports[0].Created.Equal(then) || !in.Reports[1].Created.Equal(model.Now()) {
			t.Errorf("created %v and %v", in.Reports[0].Created, in.Reports[1].Created)
		}
	})
}

func TestPreferences_ByFoldedLogin(t *testing.T) {
	in := locked()
	in.SetPreference("Müller", "isLDAPUser", "1")
	in.SetPreference("MULLER", "defaultReport", "7")
	for _, c := range []struct {
		login, name, value string
		ok                 bool
	}{
		{"muller", "isLDAPUser", "1", true},
		{"müller", "defaultReport", "7", true},
		{"müller", "ISLDAPUSER", "", false},
		{"miller", "isLDAPUser", "", false},
	} {
		if value, ok := in.Preference(c.login, c.name); value != c.value || ok != c.ok {
			t.Errorf("%s of %s is %q, %v", c.name, c.login, value, ok)
		}
	}
	in.SetPreference("muller", "isLDAPUser", "")
	if value, ok := in.Preference("Müller", "isLDAPUser"); value != "" || !ok {
		t.Errorf("an empty preference is %q, %v", value, ok)
	}
}

// TestAccounts_HandedOut: an answer that is being written keeps its list, whatever comes and goes meanwhile.
func TestAccounts_HandedOut(t *testing.T) {
	in := locked()
	bob := add(t, in, "bob")
	add(t, in, "dora")
	before := in.Accounts()
	add(t, in, "carl")
	in.Delete(bob)
	add(t, in, "alice")
	if got := logins(in.Accounts()); !slices.Equal(got, []string{"alice", "carl", "dora"}) {
		t.Errorf("now %v", got)
	}
	if got := logins(before); !slices.Equal(got, []string{"bob", "dora"}) {
		t.Errorf("the list from before is %v", got)
	}
	again := add(t, in, "BOB") // the login is free again, and is another account
	if in.Find("bob") != again || in.FindEmail("bob@example.test") != again {
		t.Error("the new account is not found")
	}
}

// TestSuperusers_SameMoment: accounts of one second, as all of a test are, come in the order of their login.
func TestSuperusers_SameMoment(t *testing.T) {
	in := locked()
	for _, login := range []string{"zoe", "Adam", "mia", "Äda"} {
		a := add(t, in, login)
		a.Superuser, a.Registered = login != "mia", time.Unix(7, 0)
	}
	if got := logins(in.Superusers()); !slices.Equal(got, []string{"Äda", "Adam", "zoe"}) {
		t.Errorf("superusers %v", got)
	}
}

func TestSetEmail_OtherCase(t *testing.T) {
	in := locked()
	a := add(t, in, "alice")
	in.SetEmail(a, "ALICE@example.test")
	if in.FindEmail("alice@example.test") != a || a.Email != "ALICE@example.test" {
		t.Errorf("the address is %s, found %v", a.Email, in.FindEmail("alice@example.test"))
	}
	in.Delete(a)
	if in.FindEmail("alice@example.test") != nil {
		t.Error("the address outlived the account")
	}
}

// TestDelete_Heir: segments go to the superuser who registered first, private ones too.
func TestDelete_Heir(t *testing.T) {
	in := locked()
	for i, login := range []string{"late", "early", "alice"} {
		a := add(t, in, login)
		a.Superuser, a.Registered = login != "alice", time.Unix(int64(9-i), 0)
	}
	in.Segments = []*model.Segment{{Login: "alice", Shared: true}, {Login: "ALICE"}, {Login: "late"}}
	in.Delete(in.Find("alice"))
	in.Delete(in.Find("early"))
	for i, s := range in.Segments {
		if s.Login != "late" {
			t.Errorf("segment %d belongs to %s", i, s.Login)
		}
	}
	in = locked()
	a, b := add(t, in, "early"), add(t, in, "late")
	a.Superuser, a.Registered, b.Superuser, b.Registered = true, time.Unix(1, 0), true, time.Unix(2, 0)
	in.Segments = []*model.Segment{{Login: "nobody"}, {Login: "late"}}
	in.Delete(b)
	if in.Segments[0].Login != "nobody" || in.Segments[1].Login != "early" {
		t.Errorf("segments of %s and %s", in.Segments[0].Login, in.Segments[1].Login)
	}
}

// TestLogOut_OneAccount: ending the sessions of one person leaves everybody else's, and those that begin later.
func TestLogOut_OneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		a, b := add(t, in, "alice"), add(t, in, "bob")
		ofA, ofB := in.StartSession(a), in.StartSession(b)
		if !a.LastSeen.Equal(model.Now()) {
			t.Errorf("last seen %v", a.LastSeen)
		}
		in.LogOut(a)
		time.Sleep(time.Second)
		if in.Of(ofA) != nil || in.Of(ofB) != b || in.Of(in.StartSession(a)) != a {
			t.Error("want alice's first session ended and no other")
		}
	})
}

// TestFailures_Window: a failure counts for an hour and not a moment longer, each by itself.
func TestFailures_Window(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {20 * time.Minute, 2}, {20 * time.Minute, 3}, {20 * time.Minute, 3}, {19 * time.Minute, 4}, {time.Minute, 4}} {
			time.Sleep(step.wait)
			in.Fail("a")
			if got := in.Failures("a"); got != step.want {
				t.Errorf("%v later: %d, want %d", step.wait, got, step.want)
			}
		}
		time.Sleep(model.LockWindow)
		if got := in.Failures("a") + in.Failures("b"); got != 0 {
			t.Errorf("%d after an hour of peace", got)
		}
	})
}
