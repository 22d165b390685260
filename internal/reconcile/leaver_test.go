package reconcile_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestLeaver_LosesAccessTokensAndPassword(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		browser, err := w.matomo.SignIn(ada, "a-known-password")
		if err != nil {
			t.Fatal(err)
		}
		left := time.Now()
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
		w.wantDead(token)
		if w.matomo.CheckPassword(ada, "a-known-password") || browser.Alive() {
			t.Error("the old password or session works after leaving")
		}
		b := w.binding(ada)
		if b.LeftAt == nil || b.RevokedAt == nil || b.DeleteAt == nil || b.DueAt == nil {
			t.Fatalf("binding %+v, want the times of a leaver", b)
		}
		if !b.DeleteAt.Equal(b.LeftAt.Add(720*time.Hour)) || !b.DueAt.Equal(*b.DeleteAt) || b.LeftAt.Before(left.Add(-time.Minute)) {
			t.Errorf("left %v, deleted %v, due %v", b.LeftAt, b.DeleteAt, b.DueAt)
		}
		if b.Tokens != bindings.TokensDead || string(b.Grants) != "[]" || b.Superuser {
			t.Errorf("tokens %s, grants %s", b.Tokens, b.Grants)
		}
		if w.removals(bindings.ByLeaver) != 1 || w.removals(bindings.ByGroup) != 0 {
			t.Error("the ledger does not say that one person left")
		}
		if n := w.metric("propagation_duration_seconds", "event=leaver"); n != 1 {
			t.Errorf("propagation observed %v times, want once", n)
		}
	})
}

// The two phases are two passes; the clock stops with the first.
func TestLeaver_PhasesOneAfterTheOther(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.Fault(matomotest.Fault{Kind: matomotest.ServerError, Method: "UsersManager.updateUser"})
		w.leave(ada)
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Fatal("no error")
		}
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Revoked, "")
		b := w.binding(ada)
		if b.RevokedAt == nil || b.Priority != bindings.PriorityLeaver || b.DueAt == nil {
			t.Errorf("binding %+v, want the second phase due before everything else", b)
		}
		if n := w.metric("propagation_duration_seconds", "event=leaver"); n != 1 {
			t.Errorf("propagation observed %v times, want once", n)
		}
		if n := w.metric("leavers_unverified"); n != 0 {
			t.Errorf("%v unverified leavers", n)
		}
		w.matomo.ClearFaults()
		w.drain()
		w.wantState(ada, bindings.Done, "")
	})
}

func TestLeaver_WhileMatomoIsDownIsLeavingAndUnverified(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.Fault(matomotest.Fault{Kind: matomotest.CutBefore, Method: "UsersManager.setUserAccess"})
		w.leave(ada)
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Fatal("no error")
		}
		w.wantState(ada, bindings.Leaving, "")
		if b := w.binding(ada); b.Attempts != 0 || b.DueAt == nil {
			t.Errorf("attempts %d, due %v: the target's failure is not the person's", b.Attempts, b.DueAt)
		}
		if n := w.metric("leavers_unverified"); n != 1 {
			t.Errorf("%v unverified leavers, want 1", n)
		}
	})
}

func TestLeaver_EvidenceAndAudit(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Analysts")
		w.drain()
		w.matomo.AddReport(matomotest.Report{Site: 1, Login: ada, Description: "weekly numbers"})
		w.matomo.AddReport(matomotest.Report{Site: 1, Login: "bob@example.org", Description: "also to ada", AdditionalEmails: []string{ada}})
		w.leave(ada)
		w.drain()
		saved := w.evidence(ada)
		if len(saved) != 1 || saved[0].Kind != "revoke" {
			t.Fatalf("evidence %+v, want that of the revocation", saved)
		}
		for _, text := range []string{"weekly numbers", "also to ada", "write"} {
			if !strings.Contains(string(saved[0].Data), text) {
				t.Errorf("evidence lacks %q: %s", text, saved[0].Data)
			}
		}
		if n := w.metric("leaver_still_mailed_total"); n != 1 {
			t.Errorf("%v reports of others still mail to the leaver, want 1", n)
		}
		for _, r := range w.matomo.Reports() {
			if r.Login == ada {
				t.Error("Matomo still mails the leaver's own report")
			}
		}
		subject := w.subject(ada)
		intents, outcomes := w.entries(subject, "intent."), w.entries(subject, "outcome.")
		if len(intents) != len(outcomes) || len(intents) != 3 { // access, revoke, seal
			t.Fatalf("%d intents, %d outcomes", len(intents), len(outcomes))
		}
		joined, _ := json.Marshal(intents[0].After)
		for _, text := range []string{`group \"Analysts\" of scim`, "mapping.ini:3", "add_user", "set_access"} {
			if !strings.Contains(string(joined), text) {
				t.Errorf("the joiner's intent lacks %q: %s", text, joined)
			}
		}
		if intents[0].Rule != "mapping.ini:3" || intents[0].Login != ada || intents[0].Target != "main" {
			t.Errorf("intent %+v", intents[0].Entry)
		}
		answers, _ := json.Marshal(outcomes[1].Answer)
		if !strings.Contains(string(answers), `"answer":"ok"`) || !strings.Contains(outcomes[1].Detail, "revoked") {
			t.Errorf("outcome %s: %s", outcomes[1].Detail, answers)
		}
		after, _ := json.Marshal(outcomes[1].After)
		if !strings.Contains(string(after), "no access") {
			t.Errorf("what was read back is not on record: %s", after)
		}
	})
}

func TestLeaver_WithoutPluginTokensAreInertAndLabelled(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.leave(ada)
		w.drain()
		w.wantState(ada, bindings.Done, "")
		if b := w.binding(ada); b.Tokens != bindings.TokensInert || !strings.Contains(b.Detail, "inert") {
			t.Errorf("tokens %s: %s", b.Tokens, b.Detail)
		}
		if !w.matomo.TokenAlive(token) || w.matomo.TokenWorks(token) {
			t.Error("the token should authenticate and show nothing")
		}
		if w.metric("tokens_not_revoked_total") != 1 {
			t.Error("not counted")
		}
		w.compare()
		if w.metric("drift", "kind=stale_token_risk") != 1 {
			t.Error("not shown as a risk")
		}
	})
}

func TestLeaver_RecreateAndDelete(t *testing.T) {
	for policy, want := range map[matomo.LeaverTokens]string{matomo.RevokeOrRecreate: "", matomo.RevokeOrDelete: "no account"} {
		t.Run(string(policy), func(t *testing.T) {
			each(t, func(t *testing.T, db *database.DB) {
				w := newWorld(t, db, withPolicy(func(p *matomo.Policy) { p.LeaverTokens = policy }))
				w.join(ada, "Analysts")
				w.drain()
				token := w.mint(ada)
				w.leave(ada)
				w.drain()
				w.wantAccess(ada, want)
				w.wantDead(token)
				b := w.binding(ada)
				if b.Tokens != bindings.TokensDead || b.State != bindings.Done && b.State != bindings.Gone {
					t.Errorf("%s, tokens %s", b.State, b.Tokens)
				}
				if len(w.evidence(ada)) == 0 {
					t.Error("an account was deleted without evidence")
				}
				w.back(ada)
				w.drain()
				w.wantAccess(ada, "1:write, 2:view")
			})
		})
	}
}

func TestLeaver_Superuser(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Admins")
		w.drain()
		w.wantAccess(ada, "superuser")
		token := w.mint(ada)
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "")
		w.wantDead(token)
		if b := w.binding(ada); b.Superuser {
			t.Error("the place of a superuser is still taken")
		}
	})
}

// Without the password Matomo refuses to demote: the leaver is blocked, somebody is
// told, and it goes on by itself when the password is there.
func TestLeaver_SuperuserWithoutPassword(t *testing.T) {
	for _, plugin := range []bool{true, false} {
		each(t, func(t *testing.T, db *database.DB) {
			password, missing := "", errFile
			w := newWorld(t, db, withServer(func(o *matomotest.Options) { o.Plugin = plugin }), withClient(func(o *matomo.Options) {
				o.Password = func() (string, error) { return password, missing }
			}))
			w.join(ada, "Analysts")
			w.drain()
			w.matomo.SetSuperuser(ada, true) // by hand
			w.leave(ada)
			w.drain()
			w.wantAccess(ada, "superuser")
			w.wantState(ada, bindings.Blocked, "needs_password")
			if w.logged("a leaver may still have access") == 0 {
				t.Error("nobody was told")
			}
			if w.metric("leavers_unverified") != 1 {
				t.Error("the leaver is not shown as unverified")
			}
			password, missing = w.matomo.Password(), nil
			w.drain()
			w.wantAccess(ada, "")
			w.wantState(ada, bindings.Done, "")
		})
	}
}

func TestLeaver_SuperuserWithoutPasswordIsDeletedWhenConfigured(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withoutPassword(), withPolicy(func(p *matomo.Policy) { p.DeleteSuperusersWithoutPassword = true }))
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.SetSuperuser(ada, true)
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "no account")
		w.wantState(ada, bindings.Gone, "")
		if len(w.evidence(ada)) != 1 || w.removals(bindings.ByLeaver) != 1 {
			t.Error("no evidence, or not in the ledger")
		}
	})
}

// The password phase waits for the password; access and tokens are gone before.
func TestLeaver_SealWaitsForThePassword(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		password, missing := "", errFile
		w := newWorld(t, db, withPlugin(), withClient(func(o *matomo.Options) {
			o.Password = func() (string, error) { return password, missing }
		}))
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		w.wantState(ada, bindings.Revoked, "needs_password")
		if health := w.health.of("matomo/main"); !strings.HasPrefix(health, "degraded") || !strings.Contains(health, "readable") {
			t.Errorf("health %q", health)
		}
		if w.metric("leavers_unverified") != 0 || w.metric("propagation_duration_seconds", "event=leaver") != 1 {
			t.Error("the clock of a leaver without access and tokens runs on")
		}
		password, missing = w.matomo.Password(), nil
		w.drain()
		w.wantState(ada, bindings.Done, "")
	})
}

// A password cannot be read back. Matomo answers with an error after it has written
// when its mail fails: after some tries the password counts as set.
func TestLeaver_MailErrorDoesNotKeepTheLeaverOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.Fault(mailError())
		w.leave(ada)
		w.drain()
		w.wantState(ada, bindings.Revoked, "refused")
		for range 4 {
			time.Sleep(20 * time.Minute)
			w.drain()
		}
		w.wantState(ada, bindings.Done, "")
	})
}

func TestLeaver_DeletedAfterTheGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin(), func(o *worldOptions) { o.target.DeleteAfter = 2 * time.Hour })
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Analysts")
		stop := w.run()
		defer stop()
		time.Sleep(time.Minute)
		w.leave(ada)
		time.Sleep(time.Hour)
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
		time.Sleep(time.Hour + 2*time.Second)
		w.wantAccess(ada, "no account")
		b := w.binding(ada)
		w.wantBinding(b, bindings.Gone, "")
		if b.Login != "" || b.DeleteAt != nil || b.DueAt != nil || b.CreatedByUs {
			t.Errorf("binding %+v, want nothing left of it", b)
		}
		saved := w.evidence(ada)
		if len(saved) != 2 || saved[1].Kind != "delete" {
			t.Errorf("%d pieces of evidence, want one before the deletion too", len(saved))
		}
		w.wantAccess("bob@example.org", "1:write, 2:view")
	})
}

func TestLeaver_AccountDeletedByHandIsGone(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		w.matomo.DeleteUser(ada)
		w.compare()
		w.wantState(ada, bindings.Gone, "")
	})
}

// A full compare leaves suspended people alone, unless they got something back.
func TestLeaver_FullCompareKeepsThemSuspended(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		w.matomo.ResetCalls()
		w.compare()
		if got := w.writes(); len(got) > 0 {
			t.Errorf("a compare wrote %v for somebody who is suspended", got)
		}
		w.matomo.Grant(ada, "view", 3) // by hand
		w.compare()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
		token := w.mint(ada) // with a password that was set by mail
		w.compare()
		w.wantDead(token)
		w.wantState(ada, bindings.Done, "")
		if w.matomo.CheckPassword(ada, "a-known-password") {
			t.Error("the password by which the token was minted still works")
		}
	})
}

func TestLeaver_KeptForGoodWithoutAGracePeriod(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin(), func(o *worldOptions) { o.target.DeleteAfter = 0 })
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		if b := w.binding(ada); b.DeleteAt != nil || b.DueAt != nil || b.State != bindings.Done {
			t.Errorf("binding %+v", b)
		}
	})
}

func TestLeaver_ObserveModeShowsAndDoesNothing(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.restart(func(o *reconcile.Options) { o.Targets[0].Mode = reconcile.Observe })
		w.drain()
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		if b := w.binding(ada); b.State != bindings.Observed || !strings.Contains(b.Detail, "remove_access") {
			t.Errorf("%s: %s", b.State, b.Detail)
		}
		w.restart(func(o *reconcile.Options) { o.Targets[0].Mode = reconcile.Enforce })
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
	})
}

// Access that somebody gives between the phases sends the leaver back to the first.
func TestLeaver_AccessBetweenThePhasesIsTakenToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.onRequest("updateUser", func() { w.matomo.Grant(ada, "view", 3) })
		w.drain()
		w.wantState(ada, bindings.Leaving, "not_revoked")
		time.Sleep(time.Minute)
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
	})
}
