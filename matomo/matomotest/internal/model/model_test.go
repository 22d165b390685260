package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/matomo/matomotest/internal/model"
	"github.com/matomo-scim/bridge/matomo/matomotest/internal/php"
)

// locked returns an instance that the test holds the lock of.
func locked() *model.Instance {
	in := model.New()
	in.Lock()
	return in
}

func add(tb rapid.TB, in *model.Instance, login string) *model.Account {
	tb.Helper()
	a := &model.Account{Login: login, Email: login + "@example.test", Registered: model.Now()}
	if !in.Insert(a) {
		tb.Fatalf("%s is taken", login)
	}
	return a
}

func logins(list []*model.Account) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Login)
	}
	return out
}

// TestAccounts_Sorted: whatever comes and goes, the list is that of the living,
// in the order of the collation.
func TestAccounts_Sorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := locked()
		alive := map[string]*model.Account{}
		names := rapid.StringMatching(`[a-cA-CäÖ1_]{1,3}`)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				login := names.Draw(t, "login")
				a := &model.Account{Login: login, Email: login + "@x.test"}
				_, taken := alive[php.Fold(login)]
				if in.Insert(a) == taken {
					t.Fatalf("insert %q: taken %v", login, taken)
				}
				if !taken {
					alive[php.Fold(login)] = a
				}
			},
			"delete": func(t *rapid.T) {
				a := in.Find(names.Draw(t, "login"))
				if a == nil {
					t.Skip("not there")
				}
				in.Delete(a)
				delete(alive, php.Fold(a.Login))
			},
			"read": func(*rapid.T) { in.Accounts() },
			"": func(t *rapid.T) {
				got := logins(in.Accounts())
				var want []string
				for _, a := range alive {
					want = append(want, a.Login)
				}
				slices.SortFunc(want, func(a, b string) int { return strings.Compare(php.Fold(a), php.Fold(b)) })
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			},
		})
	})
}

func TestInsert_Unique(t *testing.T) {
	in := locked()
	alice := add(t, in, "alice")
	for _, other := range []*model.Account{
		{Login: "ÁLICE", Email: "other@example.test"},
		{Login: "other", Email: "Alice@EXAMPLE.test"},
	} {
		if in.Insert(other) {
			t.Errorf("%s with %s was added", other.Login, other.Email)
		}
	}
	in.SetEmail(alice, "new@example.test")
	if in.FindEmail("alice@example.test") != nil || in.FindEmail("NEW@example.test") != alice {
		t.Error("the index of e-mails is stale")
	}
	if !in.Insert(&model.Account{Login: "other", Email: "alice@example.test"}) {
		t.Error("the former e-mail is still taken")
	}
}

func TestSuperusers_ByRegistration(t *testing.T) {
	in := locked()
	for i, login := range []string{"zoe", "adam", "mia"} {
		a := add(t, in, login)
		a.Superuser, a.Registered = true, time.Unix(int64(i), 0)
	}
	add(t, in, "bob")
	if got := fmt.Sprint(logins(in.Superusers())); got != "[zoe adam mia]" {
		t.Errorf("got %s", got)
	}
}

func TestDelete_Cascade(t *testing.T) {
	in := locked()
	a, su := add(t, in, "alice"), add(t, in, "root")
	su.Superuser = true
	site := in.AddSite(model.Site{Name: "One"})
	in.AddRow(a, "ALICE", site, "write")
	in.AddToken(a, &model.Token{Secret: "s"})
	in.AddReport(model.Report{Login: "alice", Site: site})
	in.AddReport(model.Report{Login: "root", Site: site})
	in.Segments = []*model.Segment{{ID: 1, Login: "Alice"}, {ID: 2, Login: "other"}}
	in.Annotations = []model.Annotation{{Login: "alice"}}
	in.SetPreference("alice", "p", "v")
	if !in.Tracks("s", site) {
		t.Fatal("the token does not track")
	}
	in.Delete(a)
	if in.Find("alice") != nil || in.FindEmail(a.Email) != nil || in.Token("s").Alive() || in.Tracks("s", site) {
		t.Error("the account or its token is left")
	}
	if len(in.RowsOfSite(site)) != 0 || len(in.Reports) != 1 || in.Segments[0].Login != "root" || in.Segments[1].Login != "other" {
		t.Errorf("rows %v, reports %d, segments %+v", in.RowsOfSite(site), len(in.Reports), in.Segments[0])
	}
	if v, ok := in.Preference("ALICE", "p"); v != "v" || !ok || len(in.Annotations) != 1 {
		t.Error("preferences or annotations went along")
	}
	in.Delete(su) // nobody is left to inherit
	if in.Segments[0].Login != "root" {
		t.Error("the segment changed hands without an heir")
	}
}

func TestRows(t *testing.T) {
	in := locked()
	a := add(t, in, "alice")
	for range 3 {
		in.AddSite(model.Site{})
	}
	for _, r := range []struct {
		site   int
		access string
	}{{3, "view"}, {1, "admin"}, {9, "write"}, {1, "tagmanager_write"}, {1, "view"}} {
		in.AddRow(a, "alice", r.site, r.access)
	}
	written := func(rows []model.Row) (out string) {
		for _, r := range rows {
			out += fmt.Sprintf("%d:%s ", r.Site, r.Access)
		}
		return strings.TrimSpace(out)
	}
	if got := written(in.RowsOf(a)); got != "3:view 1:admin 1:tagmanager_write 1:view" {
		t.Errorf("small table: %s", got)
	}
	if role, capabilities := a.On(1); role != "admin" || !slices.Equal(capabilities, []string{"tagmanager_write"}) {
		t.Errorf("on site 1: %s %v", role, capabilities)
	}
	if role, capabilities := a.On(2); role != "" || len(capabilities) != 0 {
		t.Errorf("on site 2: %s %v", role, capabilities)
	}
	for rank, want := range map[model.Rank]string{model.View: "[1 3]", model.Write: "[1]", model.Admin: "[1]"} {
		if got := fmt.Sprint(in.SitesOf(a, rank)); got != want {
			t.Errorf("sites with %s: %s, want %s", rank, got, want)
		}
	}
	// In a big table the index decides.
	other := add(t, in, "other")
	for i := range 200 {
		in.AddRow(other, "other", i, "view")
	}
	if got := written(in.RowsOf(a)); got != "1:admin 1:tagmanager_write 1:view 3:view" {
		t.Errorf("big table: %s", got)
	}
	if got := written(in.RowsOfSite(1)); got != "1:admin 1:tagmanager_write 1:view 1:view" {
		t.Errorf("of site 1: %s", got)
	}
	in.DeleteAccess(other)
	in.DeleteAccess(a, 1, 9)
	if got := written(in.RowsOf(a)); got != "3:view" {
		t.Errorf("after deleting: %s", got)
	}
	a.Superuser = true
	if got := fmt.Sprint(in.SitesOf(a, model.Admin)); got != "[1 2 3]" {
		t.Errorf("a superuser's sites: %s", got)
	}
}

func TestRankOf(t *testing.T) {
	for word, want := range map[string]model.Rank{"view": model.View, "write": model.Write, "admin": model.Admin, "View": 0, "superuser": 0, "noaccess": 0, "": 0} {
		if got := model.RankOf(word); got != want {
			t.Errorf("%q has rank %d, want %d", word, got, want)
		}
	}
}

func TestPasswords(t *testing.T) {
	a := &model.Account{Password: model.HashPassword("secret")}
	if !a.Knows("secret") || a.Knows("Secret") || a.Knows("") {
		t.Error("the password is not compared")
	}
	// The md5 in place of the password, as _isPasswordHashed allows.
	a.Password = model.HashMD5("5ebe2294ecd0e0f08eab7690d2a6ee69")
	if !a.Knows("secret") {
		t.Error("the md5 of the password is another password")
	}
}

func TestInviteStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &model.Account{}
		if got := a.InviteStatus(); got != "active" || a.Pending() {
			t.Errorf("not invited: %v", got)
		}
		a.InviteExpires = model.Now().AddDate(0, 0, 2)
		for _, step := range []struct {
			wait time.Duration
			want any
		}{{0, 2}, {time.Second, 1}, {24*time.Hour - time.Second, 1}, {24 * time.Hour, 0}, {time.Second, "expired"}} {
			time.Sleep(step.wait)
			if got := a.InviteStatus(); got != step.want {
				t.Errorf("%v later: %v, want %v", step.wait, got, step.want)
			}
		}
		a.InviteAccepted = model.Now()
		if got := a.InviteStatus(); got != "active" {
			t.Errorf("accepted: %v", got)
		}
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		a := add(t, in, "alice")
		for i, expires := range []time.Time{{}, model.Now().Add(time.Hour), {}} {
			in.AddToken(a, &model.Token{Secret: fmt.Sprint(i), Expires: expires})
		}
		alive := func() (out string) {
			for i := range 3 {
				if in.Token(fmt.Sprint(i)).Alive() {
					out += fmt.Sprint(i)
				}
			}
			return out
		}
		if got := alive(); got != "012" {
			t.Errorf("at first %s", got)
		}
		time.Sleep(time.Hour)
		if got := alive(); got != "02" {
			t.Errorf("an hour later %s", got)
		}
		third := in.Token("2")
		if n := in.DeleteTokens(a, third.ID); n != 1 || alive() != "0" || third.Alive() {
			t.Errorf("deleted %d, alive %s", n, alive())
		}
		if n := in.DeleteTokens(a, 0); n != 2 || alive() != "" || len(a.Tokens) != 0 {
			t.Errorf("deleted %d, alive %s", n, alive())
		}
	})
}

func TestTracks_RemembersWhatExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		a := add(t, in, "alice")
		in.AddRow(a, "alice", 1, "admin")
		in.AddToken(a, &model.Token{Secret: "s", Expires: model.Now().Add(time.Minute)})
		if !in.Tracks("s", 1) || in.Tracks("s", 2) {
			t.Error("want the token on site 1 alone")
		}
		time.Sleep(2 * time.Minute)
		if !in.Tracks("s", 1) {
			t.Error("the cache noticed the end of the token")
		}
		time.Sleep(3 * time.Minute)
		if in.Tracks("s", 1) {
			t.Error("the cache is older than 300 seconds")
		}
	})
}

func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		for range model.LockAfter {
			in.Fail("a")
			time.Sleep(time.Minute)
		}
		if in.LockedOut("a") || in.LockedOut("b") {
			t.Error("locked too early")
		}
		in.Fail("a")
		if !in.LockedOut("a") || in.LockedOut("b") {
			t.Error("not locked, or another address is")
		}
		in.NeverLock = []string{"a"}
		if in.LockedOut("a") {
			t.Error("locked in spite of the allow list")
		}
		in.NeverLock = nil
		time.Sleep(model.LockWindow - model.LockAfter*time.Minute)
		if in.LockedOut("a") || in.Failures("a") != model.LockAfter {
			t.Errorf("the first failure still counts: %d", in.Failures("a"))
		}
		in.ClearFailures()
		if in.Failures("a") != 0 {
			t.Error("not cleared")
		}
	})
}

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := locked()
		a := add(t, in, "alice")
		first := in.StartSession(a)
		in.LogOut(a)
		early := in.StartSession(a)
		if in.Of(first) != nil || in.Of(early) != nil {
			t.Error("want every session of this second ended")
		}
		time.Sleep(time.Second)
		second := in.StartSession(a)
		if in.Of(early) != nil || in.Of(second) != a {
			t.Error("want what began before ended, and the person able to sign in again")
		}
		a.PasswordChanged = model.Now() // in the same second
		if in.Of(second) != a {
			t.Error("a change within the same second ended the session")
		}
		time.Sleep(time.Second)
		a.PasswordChanged = model.Now()
		if in.Of(second) != nil {
			t.Error("the session outlived the password")
		}
		third := in.StartSession(a)
		in.Delete(a)
		if in.Of(third) != nil {
			t.Error("the session outlived the account")
		}
		again := add(t, in, "alice")
		if in.Of(third) != again {
			t.Error("within the same second the successor has the session, as recorded")
		}
	})
}

func TestSites(t *testing.T) {
	in := locked()
	a := add(t, in, "alice")
	for i := range 3 {
		if id := in.AddSite(model.Site{Name: fmt.Sprint(i)}); id != i+1 {
			t.Errorf("site %d has ID %d", i, id)
		}
	}
	ids := in.SiteIDs()
	in.AddRow(a, "alice", 2, "view")
	in.AddReport(model.Report{Login: "alice", Site: 2})
	if !in.DeleteSite(2) || in.DeleteSite(2) || in.Site(2) != nil || len(a.Rows) != 0 || len(in.Reports) != 0 {
		t.Error("not deleted with rows and reports")
	}
	if fmt.Sprint(ids) != "[1 2 3]" || fmt.Sprint(in.SiteIDs()) != "[1 3]" || in.AddSite(model.Site{}) != 4 {
		t.Errorf("the list handed out before is %v, now %v", ids, in.SiteIDs())
	}
}

func TestMails(t *testing.T) {
	in := locked()
	in.Mail("a@x.test", model.MailInvitation, "alice")
	if diff := cmp.Diff([]model.Mail{{To: "a@x.test", Kind: "invitation", Login: "alice"}}, in.Mails); diff != "" {
		t.Error(diff)
	}
}

func TestNewSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		s := model.NewSecret()
		if len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "" || seen[s] {
			t.Fatalf("%q is no new token", s)
		}
		seen[s] = true
	}
}
