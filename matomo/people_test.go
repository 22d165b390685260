package matomo_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestI7_LeaverKeepsNothing(t *testing.T) {
	for _, plugin := range []bool{true, false} {
		eachVersion(t, matomotest.Options{Plugin: plugin}, func(t *testing.T, b *bench) {
			b.add(t, "alice")
			b.Grant("alice", "write", 1, 2)
			b.Grant("alice", "view", 999) // a row for a site that may exist one day
			b.AddReport(matomotest.Report{Site: 1, Login: "alice", Period: "day", EmailMe: true})
			session, err := b.SignIn("alice", "secret-alice")
			if err != nil {
				t.Fatal(err)
			}
			token, err := b.MintToken("alice", "secret-alice")
			if err != nil {
				t.Fatal(err)
			}

			b.ResetCalls()
			mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
			back := b.account(t, "alice", matomo.Read{Orphans: true, Tokens: true})
			g := matomo.VerifyGone(back, b.policy(b.accounts(t, matomo.Read{})))
			if !g.Revoked || b.TokenWorks(token) || len(b.Rows("alice")) != 0 || len(b.Reports()) != 0 {
				t.Errorf("after phase 1: %+v, token works %v, rows %v", g, b.TokenWorks(token), b.Rows("alice"))
			}
			if inert := g.Tokens == matomo.TokensInert; inert == plugin || b.TokenAlive(token) == plugin {
				t.Errorf("tokens are %s, alive %v, with plugin %v", g.Tokens, b.TokenAlive(token), plugin)
			}

			minted, err := b.MintToken("alice", "secret-alice") // suspended people can do that
			if err != nil {
				t.Fatal(err)
			}
			if plugin {
				again := b.account(t, "alice", matomo.Read{Orphans: true, Tokens: true})
				if matomo.VerifyGone(again, b.policy(b.accounts(t, matomo.Read{}))).Revoked {
					t.Error("a token made meanwhile is not seen")
				}
			}
			mustOK(t, b.leave(t, "alice", matomo.PhaseSeal))
			if b.CheckPassword("alice", "secret-alice") || plugin && b.TokenAlive(minted) {
				t.Error("password or token outlive phase 2")
			}
			if plugin && session.Alive() {
				t.Error("the session outlives phase 2")
			}
			mustOK(t, b.leave(t, "alice", matomo.PhaseDelete))
			if _, there := b.User("alice"); there {
				t.Error("still there after the last phase")
			}
			mustOK(t, b.leave(t, "alice", matomo.PhaseDelete))
		})
	}
}

func TestI10_ComeBackNeverRevivesATokens(t *testing.T) {
	for _, plugin := range []bool{true, false} {
		eachVersion(t, matomotest.Options{Plugin: plugin}, func(t *testing.T, b *bench) {
			b.add(t, "alice")
			b.Grant("alice", "write", 1)
			old, err := b.MintToken("alice", "secret-alice")
			if err != nil {
				t.Fatal(err)
			}
			mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
			meanwhile, err := b.MintToken("alice", "secret-alice")
			if err != nil {
				t.Fatal(err)
			}
			b.ResetCalls()
			mustOK(t, b.bring(t, person("alice", "1:write", comeBack)))
			wantAccess(t, b, "alice", "1:write")
			for _, token := range []string{old, meanwhile} {
				if b.TokenAlive(token) {
					t.Error("a token from before the come-back lives")
				}
			}
			if got := len(requestsOf(b)); got != 2 {
				t.Errorf("%d requests write, want the tokens and the grants apart: %v", got, requestsOf(b))
			}
		})
	}
}

func TestPlan_PrefixOnTheStandIn(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		// Whichever call of the plan breaks the connection, nobody has more than before or after, and the next pass mends it.
		for n := range 5 {
			login := fmt.Sprintf("user%d", n)
			b.add(t, login)
			b.SetSuperuser(login, true)
			undo := b.Fault(matomotest.Fault{Kind: matomotest.CutAfter, Method: "UsersManager.setUserAccess", Skip: n, Count: 1})
			r := b.bring(t, person(login, "1:view 2:write 3:admin"))
			undo()
			if n < 4 && (r.Err == nil || !r.Uncertain()) {
				t.Fatalf("cut after %d: %+v", n, r)
			}
			if got := b.Access(login); got.Superuser || len(got.Sites) > 3 {
				t.Errorf("cut after %d: %s", n, got)
			}
			mustOK(t, b.bring(t, person(login, "1:view 2:write 3:admin")))
			wantAccess(t, b, login, "1:view 2:write 3:admin")
		}
	})
}

func TestSignIn_LDAP(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		mustOK(t, b.bring(t, person("alice", "1:view"), func(p *matomo.Policy) { p.SignIn = matomo.SignInLDAP }))
		if v, _ := b.Preference("alice", "isLDAPUser"); v != "1" {
			t.Errorf("isLDAPUser = %q", v)
		}
	})
}

func TestSignIn_ResetAfterAComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{Plugin: true})
		reset := func(p *matomo.Policy) { p.SignIn = matomo.SignInReset }
		mustOK(t, b.bring(t, person("alice", "1:view"), reset))
		mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
		mustOK(t, b.leave(t, "alice", matomo.PhaseSeal))
		mustOK(t, b.bring(t, person("alice", "2:view", comeBack), reset))
		if err := b.ResetPassword("alice@example.test", "my own password"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // sessions of the second of the logout are over too
		if s, err := b.SignIn("alice", "my own password"); err != nil || !s.Alive() {
			t.Errorf("cannot sign in after resetting the password: %v", err)
		}
	})
}

func TestLeavers_MailOnlyWhenThePasswordChanges(t *testing.T) {
	b := newBench(t, matomotest.Options{Plugin: true})
	b.add(t, "alice", "bob")
	mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
	mustOK(t, b.leave(t, "alice", matomo.PhaseSeal, func(p *matomo.Policy) { p.RandomisePassword = false }))
	if n := len(b.Mails()); n != 0 {
		t.Errorf("%d mails although the password stays", n)
	}
	mustOK(t, b.leave(t, "bob", matomo.PhaseSeal))
	if !slices.ContainsFunc(b.Mails(), func(m matomotest.Mail) bool { return m.To == "bob@example.test" }) {
		t.Errorf("mails %v", b.Mails())
	}
}

func TestReadTokens(t *testing.T) {
	b := newBench(t, matomotest.Options{Plugin: true})
	b.add(t, "alice", "bob")
	if _, err := b.MintToken("alice", "secret-alice"); err != nil {
		t.Fatal(err)
	}
	s, err := b.c.ReadTokens(context.Background(), []string{"alice", "bob", "ghost"})
	if err != nil {
		t.Fatal(err)
	}
	for login, n := range map[string]int{"alice": 1, "bob": 0, "ghost": 0} {
		if a, known := s.Account(login); !known || !a.TokensKnown || len(a.Tokens) != n {
			t.Errorf("%s: %+v, known %v", login, a, known)
		}
	}
	if s, err = b.c.ReadTokens(context.Background(), nil); err != nil || s.Len() != 0 {
		t.Errorf("tokens of nobody: %v, %v", s, err)
	}
	db := &tokenDB{}
	past := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.TokenDB = db })
	db.b = past
	past.add(t, "alice")
	if s, err = past.c.ReadTokens(context.Background(), []string{"alice"}); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Account("alice"); !a.TokensKnown {
		t.Error("the database was not asked")
	}
	db.err = &matomo.Error{Kind: matomo.StoreDown}
	if s, err = past.c.ReadTokens(context.Background(), []string{"alice"}); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Account("alice"); a.TokensKnown || s.TokenTrouble[matomo.Database] == nil {
		t.Error("tokens unread, and yet known")
	}
}

func TestRead_SuperusersAreAlwaysAll(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "bob")
		b.SetSuperuser("alice", true)
		if got := b.accounts(t, matomo.Read{}, "bob").Superusers(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"alice", "bridge"}) {
			t.Errorf("superusers %v", got)
		}
	})
}

func TestApply_AsksBeforeEveryWrite(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	a := b.account(t, "alice", matomo.Read{})
	plan := []matomo.Plan{matomo.PlanPerson(person("alice", "1:view", comeBack), a, policy(func(p *matomo.Policy) { p.Tokens = matomo.NoStrategy }))}
	asked := 0
	ctx := matomo.WithBefore(context.Background(), func() error {
		if asked++; asked > 2 { // before the first request, and when it was ready to go
			return context.DeadlineExceeded
		}
		return nil
	})
	r := b.c.Apply(ctx, plan)[0]
	if r.Err == nil || asked != 3 || !r.Steps[0].Sent {
		t.Fatalf("asked %d times, %v, first step %+v", asked, r.Err, r.Steps[0])
	}
	wantAccess(t, b, "alice", "")
	if last := r.Steps[len(r.Steps)-1]; last.Sent || last.Uncertain {
		t.Errorf("behind the refusal: %+v", last)
	}
	if time.Since(b.c.Health().LastOK) > time.Minute {
		t.Error("a caller's refusal is no failure of Matomo")
	}
}
