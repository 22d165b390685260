package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/matomo"
)

const ten = 10 * time.Second

func TestMover_EndsWithTheNewAccess(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		w.add("Editors", ada)
		w.remove("Analysts", ada)
		w.drain()
		w.wantAccess(ada, "2:admin, 3:view")
		if b := w.binding(ada); strings.Contains(string(b.Grants), `"site":1`) {
			t.Errorf("recorded grants still name site 1: %s", b.Grants)
		}
	})
}

func TestMover_SuperuserAndBackInOneRequest(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		w.add("Admins", ada)
		w.drain()
		w.wantAccess(ada, "superuser")
		if b := w.binding(ada); !b.Superuser {
			t.Error("superuser from us is not recorded")
		}
		w.matomo.ResetCalls()
		w.remove("Admins", ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		requests := map[int]bool{}
		for _, c := range w.matomo.Calls() {
			if c.Method == "UsersManager.setSuperUserAccess" || c.Method == "UsersManager.setUserAccess" {
				requests[c.Request] = true
			}
		}
		if len(requests) != 1 {
			t.Errorf("demotion and grants took %d requests, want one: %v", len(requests), w.writes())
		}
		if b := w.binding(ada); b.Superuser {
			t.Error("superuser is still recorded")
		}
	})
}

func TestMover_EmailChanges(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join("ada", "Analysts")
		w.drain()
		w.update("ada", func(doc map[string]any) {
			doc["emails"] = []any{map[string]any{"value": "countess@example.org", "primary": true}}
		})
		w.drain()
		if u, _ := w.matomo.User("ada"); u.Email != "countess@example.org" {
			t.Errorf("e-mail %q", u.Email)
		}
		w.wantState("ada", bindings.Converged, "")
		// An address Matomo would refuse leaves the one that is there, and the access.
		w.update("ada", func(doc map[string]any) { doc["emails"] = []any{map[string]any{"value": "o'brien@example.org"}} })
		w.add("Editors", "ada")
		w.drain()
		w.wantAccess("ada", "1:write, 2:admin, 3:view")
		w.wantState("ada", bindings.Blocked, "email_invalid")
	})
}

// Matomo answers updateUser with an error after it has written when its mail fails.
func TestMover_MailErrorAfterTheWriteIsNoFailure(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join("ada", "Analysts")
		w.drain()
		w.matomo.Fault(mailError())
		w.update("ada", func(doc map[string]any) {
			doc["emails"] = []any{map[string]any{"value": "countess@example.org", "primary": true}}
		})
		w.drain()
		w.wantState("ada", bindings.Converged, "")
	})
}

func TestMover_UserNameChangeKeepsTheLogin(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join("ada", "Analysts")
		w.drain()
		w.update("ada", func(doc map[string]any) { doc["userName"] = "countess" })
		w.add("Editors", "ada")
		w.drain()
		w.wantAccess("ada", "1:write, 2:admin, 3:view")
		w.wantAccess("countess", "no account")
		if b := w.binding("countess"); b.Login != "ada" {
			t.Errorf("login %q, want ada", b.Login)
		}
		found, err := w.engine.Explain(w.ctx, w.subject("countess"))
		if err != nil || len(found) != 1 || found[0].Login != "ada" || found[0].Person.UserName != "countess" {
			t.Errorf("explain %+v, %v", found, err)
		}
	})
}

func TestMover_UnmappedKeepsAccountAndPassword(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.SetPassword(ada, "a-known-password")
		w.remove("Analysts", ada)
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Converged, "")
		if !w.matomo.CheckPassword(ada, "a-known-password") {
			t.Error("the password of somebody who did not leave was changed")
		}
		if w.removals(bindings.ByGroup) != 1 || w.removals(bindings.ByLeaver) != 0 {
			t.Error("the ledger does not say that one person lost everything through groups")
		}
		if b := w.binding(ada); b.LeftAt != nil || b.DeleteAt != nil {
			t.Errorf("binding %+v, want no leaver", b)
		}
		w.add("Analysts", ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
	})
}

// Tokens that could not be ended at a change are not seen in the account later, so
// they are remembered and ended.
func TestMover_RoleChangeTokensAreTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		heal := w.matomo.Fault(refusal("ScimBridge.revokeTokens"))
		w.add("Editors", ada)
		w.drain()
		heal()
		w.wantState(ada, bindings.Failed, "tokens_not_revoked")
		w.wantAccess(ada, "1:write, 2:admin, 3:view")
		if w.metric("drift", "kind=stale_token_risk") != 0 {
			t.Error("drift before the first compare")
		}
		w.due(w.subject(ada))
		w.drain()
		w.wantDead(token)
		w.wantState(ada, bindings.Converged, "")
		w.wantAccess(ada, "1:write, 2:admin, 3:view")
	})
}

func TestMover_DenyAndUnknownSites(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		rules := `
[RoleMapping]
group[Analysts] = "site:1:write, site:2:view"
group[Brand] = "site:name='Brand X':view"
group[Deny] = "site:name='Brand X':noaccess"
group[Blocked] = "site:2:noaccess"
`
		w := newWorld(t, db, withRules(rules))
		brand := w.matomo.AddSite("Brand X", "")
		w.join(ada, "Analysts", "Brand", "Blocked")
		w.drain()
		w.wantAccess(ada, "1:write, 6:view")
		if brand != 6 {
			t.Fatalf("site %d", brand)
		}

		// Two sites of one name: unknown. Nothing new is given, nothing is taken.
		twin := w.matomo.AddSite("Brand X", "")
		w.join("bob@example.org", "Brand")
		w.remove("Blocked", ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view, 6:view")
		w.wantAccess("bob@example.org", "no account")
		for range 2 { // it is not forgotten after one pass either
			w.compare()
			w.due(w.subject(ada))
			w.drain()
		}
		w.wantAccess(ada, "1:write, 2:view, 6:view")
		if w.metric("mapping_unresolved_grants") != 2 {
			t.Errorf("%v unresolved grants, want those of two people", w.metric("mapping_unresolved_grants"))
		}

		// A deny that cannot be resolved holds what would be added.
		w.join("eve@example.org", "Deny")
		w.add("Analysts", "eve@example.org")
		w.drain()
		w.wantAccess("eve@example.org", "no account")
		if b := w.binding("eve@example.org"); b.State != bindings.Held || b.Reason != "additions_held" {
			t.Errorf("%s (%s), want held", b.State, b.Reason)
		}

		w.matomo.DeleteSite(twin)
		w.compare()
		w.wantAccess("bob@example.org", "6:view")
		w.wantAccess("eve@example.org", "1:write, 2:view")
		// The rule changes: now it counts what the rule gives.
		w.activate(strings.ReplaceAll(rules, "group[Brand] = \"site:name='Brand X':view\"\n", ""))
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
	})
}

func TestMover_UnknownSiteIDBlocks(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withRules("[RoleMapping]\ngroup[Analysts] = \"site:1:view, site:77:view\"\n"))
		w.join(ada, "Analysts")
		w.drain()
		w.wantAccess(ada, "1:view")
		b := w.binding(ada)
		if !slices.Contains([]bindings.State{bindings.Converged, bindings.Blocked}, b.State) {
			t.Errorf("state %s", b.State)
		}
	})
}

func TestMover_AllSitesGrantsCoverNewSites(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withServer(sites(2)))
		w.join(ada, "Everywhere")
		w.drain()
		w.wantAccess(ada, "1:view, 2:view")
		w.matomo.AddSite("New", "")
		w.compare()
		w.wantAccess(ada, "1:view, 2:view, 3:view")
		w.matomo.DeleteSite(1)
		w.compare()
		w.wantAccess(ada, "2:view, 3:view")
	})
}

func TestDrift_IsRepaired(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Editors")
		w.drain()
		w.matomo.Revoke(ada, 1)
		w.matomo.Grant(ada, "admin", 5)
		w.matomo.DeleteUser("bob@example.org")
		if found := w.differences(); len(found) != 2 {
			t.Errorf("%d differences, want 2: %+v", len(found), found)
		}
		w.compare()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantAccess("bob@example.org", "2:admin, 3:view")
		if found := w.differences(); len(found) != 0 {
			t.Errorf("differences after the repair: %+v", found)
		}
		for _, kind := range []string{"missing_grant", "extra_grant"} {
			if w.metric("drift", "kind="+kind) == 0 {
				t.Errorf("drift %s is not shown", kind)
			}
		}
		w.compare()
		if n := w.metric("drift", "kind=missing_grant"); n != 0 {
			t.Errorf("drift after the repair: %v", n)
		}
	})
}

func TestAdditive_RemovesOnlyWhatWasGranted(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPolicy(func(p *matomo.Policy) { p.Manage = matomo.Additive }))
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.Grant(ada, "view", 5) // by hand, and it stays
		w.add("Editors", ada)
		w.remove("Analysts", ada)
		w.drain()
		w.wantAccess(ada, "2:admin, 3:view, 5:view")
		w.remove("Editors", ada)
		w.drain()
		w.wantAccess(ada, "5:view")
		w.leave(ada) // a leaver loses what others gave too
		w.drain()
		w.wantAccess(ada, "")
	})
}

// What was given while a reduction settled, and taken back before it was observed,
// is ours all the same.
func TestAdditive_WhatWasGrantedWhileSettlingIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withSettle(ten),
			withPolicy(func(p *matomo.Policy) { p.Manage = matomo.Additive }))
		w.join(ada, "Analysts")
		w.drain()
		w.add("Editors", ada)
		w.remove("Analysts", ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:admin, 3:view")
		w.remove("Editors", ada)
		time.Sleep(ten)
		w.drain()
		w.wantAccess(ada, "")
	})
}

func TestRules_AChangeReachesEverybodyAtLowPriority(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Analysts")
		w.drain()
		w.leave("bob@example.org")
		w.drain()
		w.activate("[RoleMapping]\ngroup[Analysts] = \"site:4:view\"\n")
		if b := w.binding(ada); b.Priority != bindings.PriorityLow || b.DueAt == nil {
			t.Errorf("priority %d, due %v; want low and due", b.Priority, b.DueAt)
		}
		if b := w.binding("bob@example.org"); b.State != bindings.Done {
			t.Errorf("a leaver is %s after a change of rules", b.State)
		}
		w.drain()
		w.wantAccess(ada, "4:view")
		w.wantAccess("bob@example.org", "")
	})
}

func TestExpiry_ByTimeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(3 * time.Hour).UTC().Format("2006-01-02T15:04:05Z")
		w := newWorld(t, databasetest.SQLite(t), withRules("[RoleMapping]\ngroup[Analysts] = \"site:1:view, site:2:admin until "+end+"\"\n"))
		w.join(ada, "Analysts")
		stop := w.run()
		defer stop()
		time.Sleep(2 * time.Hour)
		w.wantAccess(ada, "1:view, 2:admin")
		if b := w.binding(ada); b.DueAt == nil || b.ValidUntil == nil || !b.DueAt.Equal(*b.ValidUntil) {
			t.Errorf("due %v, valid until %v", b.DueAt, b.ValidUntil)
		}
		time.Sleep(time.Hour - time.Second)
		w.wantAccess(ada, "1:view, 2:admin")
		time.Sleep(3 * time.Second)
		w.wantAccess(ada, "1:view")
		if b := w.binding(ada); b.DueAt != nil {
			t.Errorf("due again at %v", b.DueAt)
		}
	})
}
