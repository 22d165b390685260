package matomo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// The traps of Matomo's API by their number in the project's list of measured facts. Each test fails when the client walks
// into that trap.

func copyAll(w io.Writer, rc io.ReadCloser) (int64, error) {
	defer rc.Close()
	return io.Copy(w, rc)
}

func TestTrap01_ListsAreNotCutAt100(t *testing.T) {
	eachVersion(t, matomotest.Options{Sites: 130}, func(t *testing.T, b *bench) {
		for i := range 150 {
			b.add(t, fmt.Sprintf("user%03d", i))
		}
		b.Grant("user149", "view", slices.Collect(func(yield func(int) bool) {
			for i := range 130 {
				if !yield(i + 1) {
					return
				}
			}
		})...)
		s, err := b.c.ReadInstance(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if s.Len() != 152 || len(s.Sites) != 130 {
			t.Errorf("%d accounts and %d sites, want 152 and 130", s.Len(), len(s.Sites))
		}
		for _, a := range []matomo.Account{b.account(t, "user149", matomo.Read{}), b.account(t, "user149", matomo.Read{Orphans: true})} {
			if len(a.Access.Sites) != 130 {
				t.Errorf("%d sites of one person, want 130", len(a.Access.Sites))
			}
		}
	})
}

func TestTrap02_NumericLoginKeepsItsName(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "1234", "alice")
		b.Grant("1234", "admin", 3)
		s, err := b.c.ReadInstance(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		a, _ := s.Account("1234")
		if !a.Access.Equal(sites("3:admin")) || s.Strays() != 0 {
			t.Errorf("1234 has %s, %d strays", a.Access, s.Strays())
		}
	})
}

func TestTrap03_BulkRequestsStaySmall(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		var plans []matomo.Plan
		for i := range 230 {
			login := fmt.Sprintf("user%03d", i)
			b.add(t, login)
			plans = append(plans, matomo.Plan{Login: login, Steps: []matomo.Step{{Kind: matomo.SetAccess, Login: login, Role: access.View, Sites: ids(1)}}})
		}
		b.ResetCalls()
		for _, r := range b.c.Apply(context.Background(), plans) {
			mustOK(t, r)
		}
		perRequest := map[int]int{}
		for _, c := range b.Calls() {
			if c.Method == "UsersManager.setUserAccess" {
				perRequest[c.Request]++
			}
		}
		if got := slices.Sorted(valuesOf(perRequest)); !slices.Equal(got, []int{30, 100, 100}) {
			t.Errorf("members per request = %v", got)
		}
		if body := b.wire.last().body; !strings.HasPrefix(body, "token_auth=") {
			t.Error("the token is not the first parameter")
		}
	})
}

func valuesOf(m map[int]int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func TestTrap04_ShapesOfAnswers(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		s, err := b.c.ReadInstance(context.Background()) // nobody has access: empty maps are lists; sites are a map
		if err != nil {
			t.Fatal(err)
		}
		want := []access.Site{
			{ID: 1, Name: "Site 1", Group: "groupA"},
			{ID: 2, Name: "Site 2", Group: "groupA"},
			{ID: 3, Name: "Site 3", Group: "groupB"},
			{ID: 4, Name: "Site 4"},
			{ID: 5, Name: "Site 5"},
		}
		if diff := cmp.Diff(want, s.Sites); diff != "" {
			t.Errorf("sites (-want +got):\n%s", diff)
		}
		b.add(t, "result", "message") // logins that look like the keys of an error
		b.Grant("result", "view", 1)
		b.Grant("message", "view", 2)
		if s, err = b.c.ReadInstance(context.Background()); err != nil {
			t.Fatal(err)
		}
		for login, expected := range map[string]string{"result": "1:view", "message": "2:view"} {
			if a, _ := s.Account(login); !a.Access.Equal(sites(expected)) {
				t.Errorf("%s has %s", login, a.Access)
			}
		}
		err = b.c.Apply(context.Background(), []matomo.Plan{{Steps: []matomo.Step{{Kind: matomo.AddUser, Login: "newbie", Email: "no-mail"}}}})[0].Err
		if e := wantKind(t, err, matomo.Validation); strings.Contains(e.Error(), "&quot;") {
			t.Errorf("entities in %q", e.Error())
		}
	})
}

func TestTrap05_OddSpellings(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "müller")
		b.Grant("alice", "view", 1)
		raw := matomo.Plan{Steps: []matomo.Step{
			{Kind: matomo.SetAccess, Login: "ÁLICE", Role: access.Admin, Sites: ids(2)},
			{Kind: matomo.SetAccess, Login: "MULLER", Role: access.View, Sites: ids(3)},
		}}
		mustOK(t, b.c.Apply(context.Background(), []matomo.Plan{raw})[0]) // somebody who does not know the trap
		for _, opt := range []matomo.Read{{}, {Orphans: true}} {
			s := b.accounts(t, opt, "Alice", "Müller")
			a, _ := s.Account("ALICE")
			if a.Login != "alice" || !a.Access.Equal(sites("1:view 2:admin")) {
				t.Errorf("%+v: %s has %s", opt, a.Login, a.Access)
			}
			if m, _ := s.Account("muller"); m.Login != "müller" || !m.Access.Equal(sites("3:view")) {
				t.Errorf("%+v: %s has %s", opt, m.Login, m.Access)
			}
		}
		mustOK(t, b.bring(t, person("ALICE", "1:view 2:admin 3:view", mail("alice@example.test"))))
		for _, c := range b.Calls() {
			if c.Method == "UsersManager.setUserAccess" && c.Params["idSites"] == "3" && c.Params["access"] == "view" && c.Params["userLogin"] == "ALICE" {
				t.Error("a login went out in another spelling than Matomo's")
			}
		}
	})
}

func TestTrap06_SitesThatDoNotExist(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice")
		b.Grant("alice", "view", 1, 999)
		if a := b.account(t, "alice", matomo.Read{Orphans: true}); !slices.Equal(a.Orphans, ids(999)) || !a.Access.Equal(sites("1:view")) {
			t.Errorf("orphans %v, access %s", a.Orphans, a.Access)
		}
		if a := b.account(t, "alice", matomo.Read{}); a.OrphansKnown {
			t.Error("getSitesAccessFromUser hides orphans, and yet they are known")
		}
		mustOK(t, b.bring(t, person("alice", "1:view 2:view 777:admin")))
		mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
		if rows := b.Rows("alice"); len(rows) != 0 {
			t.Errorf("rows left: %v", rows)
		}
		for _, c := range b.Calls() {
			if strings.Contains(c.Params["idSites"], "777") {
				t.Errorf("a site that does not exist was sent: %v", c.Params)
			}
		}
	})
}

func TestTrap07_OneWriterPerLogin(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "bob")
		b.accounts(t, matomo.Read{})
		b.Fault(matomotest.Fault{Kind: matomotest.Gap, Latency: 3 * time.Millisecond})
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				role := []access.Role{access.View, access.Admin}[i%2]
				login := []string{"alice", "ALICE"}[i/2%2]
				r := b.c.Apply(context.Background(), []matomo.Plan{{Login: login, Steps: []matomo.Step{{Kind: matomo.SetAccess, Login: login, Role: role, Sites: ids(1)}}}})
				if r[0].Err != nil {
					t.Error(r[0].Err)
				}
			})
		}
		wg.Wait()
		if rows := b.Rows("alice"); len(rows) != 1 {
			t.Errorf("parallel writers left %v", rows)
		}
		b.ClearFaults()
		b.Grant("bob", "view", 1) // what another tool's race leaves
		b.Grant("bob", "admin", 1)
		a := b.account(t, "bob", matomo.Read{})
		if !slices.Equal(a.Doubled, ids(1)) || !a.Access.Equal(sites("1:admin")) {
			t.Errorf("doubled %v, access %s", a.Doubled, a.Access)
		}
		mustOK(t, b.bring(t, person("bob", "1:admin")))
		if rows := b.Rows("bob"); len(rows) != 1 {
			t.Errorf("rows of bob: %v", rows)
		}
	})
}

func TestTrap08_SuperuserIsZeroOrOne(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice")
		mustOK(t, b.bring(t, person("alice", "superuser")))
		wantAccess(t, b, "alice", "superuser")
		mustOK(t, b.bring(t, person("alice", "2:view")))
		wantAccess(t, b, "alice", "2:view")
		for _, c := range b.Calls() {
			if v := c.Params["hasSuperUserAccess"]; c.Method == "UsersManager.setSuperUserAccess" && v != "0" && v != "1" {
				t.Errorf("hasSuperUserAccess=%s", v)
			}
		}
	})
}

func TestTrap09_ErrorAfterTheWriteIsUncertain(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice")
		b.Fault(matomotest.Fault{Kind: matomotest.MailError})
		r := b.bring(t, person("alice", "", mail("new@example.test")))
		if r.Err == nil || !r.Uncertain() || !r.Changed() {
			t.Fatalf("result %+v, want an uncertain failure", r)
		}
		if a := b.account(t, "alice", matomo.Read{}); a.Email != "new@example.test" {
			t.Errorf("reading back shows %s", a.Email)
		}
		b.ClearFaults()
		r = b.bring(t, person("alice", "", mail("bridge@example.test")))
		if wantKind(t, r.Err, matomo.DuplicateEmail); r.Uncertain() {
			t.Error("a refusal is not uncertain")
		}
	})
}

func TestTrap10_SecretsAreUsedOnceWhenWrong(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		logins := make([]string, 25)
		for i := range logins {
			logins[i] = fmt.Sprintf("user%02d", i)
		}
		b.add(t, logins...)
		s := b.accounts(t, matomo.Read{}, logins...)
		b.password.set("wrong", nil)
		var plans []matomo.Plan
		for _, l := range logins {
			a, _ := s.Account(l)
			plans = append(plans, matomo.PlanPerson(person(l, "superuser"), a, b.policy(s)))
		}
		for _, r := range b.c.Apply(context.Background(), plans) {
			wantKind(t, r.Err, matomo.WrongPassword)
		}
		if n := b.FailedLogins("127.0.0.1"); n != 1 {
			t.Errorf("%d failed logins with a wrong password and 25 superusers, want 1", n)
		}
		if h := b.c.Health(); !h.PasswordBad || b.c.HasPassword() || h.Advice == "" {
			t.Errorf("health %+v", h)
		}
		wantKind(t, b.c.ProvePassword(context.Background()), matomo.WrongPassword)
		if n := b.FailedLogins("127.0.0.1"); n != 1 {
			t.Errorf("the refused password was used again: %d failed logins", n)
		}
		mustOK(t, b.bring(t, person("user01", "1:view"))) // what needs no password goes on
		b.password.set(b.Password(), nil)
		mustOK(t, b.bring(t, person("user02", "superuser")))
		if b.c.Health().PasswordBad {
			t.Error("a new password is taken for the old one")
		}

		b.token.set("0123456789abcdef0123456789abcdef", nil)
		failed := b.FailedLogins("127.0.0.1")
		for range 5 {
			_, err := b.c.ReadInstance(context.Background())
			wantKind(t, err, matomo.BadToken)
		}
		if n := b.FailedLogins("127.0.0.1") - failed; n > 1 {
			t.Errorf("%d failed logins with a wrong token, want 1", n)
		}
		if h := b.c.Health(); !h.TokenBad || h.Up {
			t.Errorf("health %+v", h)
		}
		b.token.set(b.Token(), nil)
		b.accounts(t, matomo.Read{}, "user01")
	})
}

func TestTrap11_OnlySecretsTravelInTheBody(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice")
		mustOK(t, b.bring(t, person("alice", "superuser")))
		for _, r := range b.wire.seen {
			u, err := url.Parse(r.url)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if q.Get("module") != "API" || q.Get("method") == "" || q.Get("format") != "JSON" || q.Get("filter_limit") != "-1" {
				t.Errorf("query %s", u.RawQuery)
			}
			if len(q) != 5 || strings.Contains(r.url, b.Token()) || strings.Contains(r.url, b.Password()) {
				t.Errorf("more than needed in the URL: %s", r.url)
			}
		}
		for kind, fault := range map[matomo.ErrorKind]matomotest.Fault{
			matomo.LockedOut:     {Kind: matomotest.Locked},
			matomo.Maintenance:   {Kind: matomotest.Maintenance},
			matomo.ServerFailure: {Kind: matomotest.DatabaseDown},
		} {
			undo := b.Fault(fault)
			_, err := b.c.ReadInstance(context.Background())
			if e := wantKind(t, err, kind); !e.Target() || !e.Transient() {
				t.Errorf("%s: target %v, transient %v", kind, e.Target(), e.Transient())
			}
			undo()
		}
	})
}

func TestTrap12_NoAuthorizationHeader(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.accounts(t, matomo.Read{}, "bridge")
	if r := b.wire.last(); r.auth != "" || !strings.Contains(r.body, "token_auth="+b.Token()) {
		t.Errorf("authorization %q, body starts %.40q", r.auth, r.body)
	}
}

func TestTrap13_SpecialCharactersBefore5TravelAlone(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		const odd = "a%26b=c@example.test"
		logins := []string{"plus+one", "dot.two", "percent", "last"}
		var plans []matomo.Plan
		s := b.accounts(t, matomo.Read{}, logins...)
		for _, l := range logins {
			a, _ := s.Account(l)
			w := person(l, "1:view")
			if l == "percent" {
				w.Email = odd
			}
			plans = append(plans, matomo.PlanPerson(w, a, b.policy(s)))
		}
		for _, r := range b.c.Apply(context.Background(), plans) {
			mustOK(t, r)
		}
		for _, l := range logins {
			wantAccess(t, b, l, "1:view")
		}
		if u, _ := b.User("percent"); u.Email != odd {
			t.Errorf("e-mail %q, want %q", u.Email, odd)
		}
		for _, c := range b.Calls() {
			if c.Method == "UsersManager.addUser" && c.Params["userLogin"] == "percent" && c.Member == (b.Version() == matomotest.Version4) {
				t.Errorf("on %s the odd address was a bulk member: %v", b.Version(), c.Member)
			}
		}
	})
}

func TestTrap14_PasswordOnTheOuterRequestOnly(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		const odd = `p&a=%41+ "<>' ü`
		b.SetPassword("bridge", odd)
		b.password.set(odd+"\n", nil)
		b.add(t, "alice")
		mustOK(t, b.bring(t, person("alice", "superuser")))
		form, err := url.ParseQuery(b.wire.last().body)
		if err != nil {
			t.Fatal(err)
		}
		if form.Get("passwordConfirmation") != odd || strings.Contains(form.Get("urls[0]"), "passwordConfirmation") {
			t.Errorf("form %v", form)
		}
		mustOK(t, b.bring(t, person("bob", "1:view")))
		if strings.Contains(b.wire.last().body, "passwordConfirmation") {
			t.Error("the password travels with what does not need it")
		}
	})
}

func TestTrap15_DeletedSiteTakesItsRowsAlong(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice")
		b.Grant("alice", "view", 1, 2)
		b.DeleteSite(2)
		s, err := b.c.ReadInstance(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := s.Account("alice"); !a.Access.Equal(sites("1:view")) || len(a.Orphans) != 0 {
			t.Errorf("access %s, orphans %v", a.Access, a.Orphans)
		}
		p := matomo.PlanPerson(person("alice", "1:view 2:view"), b.account(t, "alice", matomo.Read{}), b.policy(s))
		if !p.Empty() || len(p.Blocks) != 1 || p.Blocks[0].Reason != matomo.UnknownSite {
			t.Errorf("plan %v, blocks %v", p.Steps, p.Blocks)
		}
	})
}

var _ http.RoundTripper = (*wire)(nil)
