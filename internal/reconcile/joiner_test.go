package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
)

const ada = "ada@example.org"

func TestJoiner_GetsAccountAndAccess(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Converged, "")
		b := w.binding(ada)
		if !b.CreatedByUs || b.Adopted || b.Login != ada || b.LeftAt != nil || b.DueAt != nil || b.Attempts != 0 {
			t.Errorf("binding %+v", b)
		}
		if !strings.Contains(string(b.Grants), `"site":1`) {
			t.Errorf("recorded grants %s", b.Grants)
		}
		// Created first, and put into a group afterwards: still somebody who joins.
		if n, moves := w.metric("propagation_duration_seconds", "event=joiner"), w.metric("propagation_duration_seconds", "event=mover"); n != 1 || moves != 0 {
			t.Errorf("propagation observed %v times for a joiner and %v for a mover, want once and never", n, moves)
		}
	})
}

func TestJoiner_WithoutRuleGetsNoAccountAndCostsNoRequest(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Unknown")
		w.drain()
		w.wantAccess(ada, "no account")
		w.wantState(ada, bindings.Converged, "")
		if n := w.matomo.Requests(); n != 0 {
			t.Errorf("%d requests to Matomo, want none", n)
		}
		b := w.binding(ada)
		if b.LeftAt != nil || !b.AcceptedAt.IsZero() {
			t.Errorf("an unmapped person has left at %v, clock from %v; want neither", b.LeftAt, b.AcceptedAt)
		}
	})
}

func TestJoiner_WithoutRuleGetsAnAccountWhenConfigured(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withEngine(func(o *reconcile.Options) { o.CreateUnmapped = true }))
		w.join(ada, "Unknown")
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Converged, "")
	})
}

func TestJoiner_InactiveFromTheStartIsNobody(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "no account")
		w.wantState(ada, bindings.Gone, "")
		if open, err := w.bindings.UnverifiedLeavers(w.ctx, "main"); err != nil || open.N != 0 {
			t.Errorf("unverified leavers %+v, %v; there is nothing to verify", open, err)
		}
		if n := w.matomo.Requests(); n != 0 {
			t.Errorf("%d requests, want none", n)
		}
	})
}

func TestJoiner_IsInvited(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPolicy(func(p *matomo.Policy) { p.SignIn = matomo.SignInInvite }))
		w.join(ada, "Analysts")
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		if u, _ := w.matomo.User(ada); u.Invite != "pending" {
			t.Errorf("invite %q, want pending", u.Invite)
		}
		if b := w.binding(ada); !b.CreatedByUs {
			t.Error("an invited account is not noted as ours")
		}
		w.leave(ada) // before answering: nothing to keep
		w.drain()
		w.wantAccess(ada, "no account")
		w.wantState(ada, bindings.Gone, "")
	})
}

func TestJoiner_ExistingUnmanagedLoginIsNotTouched(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if err := w.matomo.AddUser("ADA@example.org", "ada@elsewhere.org", "some-password"); err != nil {
			t.Fatal(err)
		}
		w.matomo.Grant(ada, "admin", 5)
		before := w.matomo.Snapshot()
		w.join(ada, "Analysts")
		w.drain()
		w.wantState(ada, bindings.Conflict, "login_exists")
		w.leave(ada)
		for range 2 { // a leaver whose account is not ours, and who goes on being one
			w.due(w.subject(ada))
			w.drain()
			w.compare()
			w.wantState(ada, bindings.Gone, "login_exists")
		}
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) > 0 {
			t.Errorf("changes in Matomo: %v", changes)
		}
		w.back(ada)
		w.matomo.DeleteUser(ada) // the other account goes: the login is free
		w.compare()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Converged, "")
	})
}

func TestJoiner_ProtectedLogins(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withClient(func(o *matomo.Options) { o.Protected = []string{"Admin"} }))
		if err := w.matomo.AddUser("admin", "admin@elsewhere.org", "some-password"); err != nil {
			t.Fatal(err)
		}
		before := w.matomo.Snapshot()
		for _, login := range []string{"ADMIN", "anonymous", "Bridge"} {
			w.join(login, "Analysts")
		}
		w.drain()
		for _, login := range []string{"ADMIN", "anonymous", "Bridge"} {
			w.wantState(login, bindings.Conflict, "protected")
			w.leave(login)
		}
		if w.metric("guard_active", "guard=protected") != 1 || w.metric("guard_trips_total", "guard=protected") != 3 {
			t.Error("the guard is not shown")
		}
		w.drain()
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) > 0 {
			t.Errorf("changes in Matomo: %v", changes)
		}
	})
}

// What Matomo could not hold blocks that person alone, says why, and goes away
// with its cause.
func TestJoiner_BlockedReasons(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		if err := w.matomo.AddUser("other", "taken@example.org", "some-password"); err != nil {
			t.Fatal(err)
		}
		with := func(userName, email string) {
			w.create(userName, "ext-"+userName)
			w.update(userName, func(doc map[string]any) {
				delete(doc, "emails")
				if email != "" {
					doc["emails"] = []any{map[string]any{"value": email}}
				}
			})
			w.add("Analysts", userName)
		}
		with("o'brien", "brien@example.org")
		with("nomail", "")
		with("badmail", "not an address")
		with("sharer", "taken@example.org")
		w.join(ada, "Analysts")
		w.drain()
		w.wantState("o'brien", bindings.Blocked, "login_invalid")
		w.wantState("nomail", bindings.Blocked, "email_missing")
		w.wantState("badmail", bindings.Blocked, "email_invalid")
		w.wantState("sharer", bindings.Blocked, "email_taken")
		w.wantAccess(ada, "1:write, 2:view")
		if b := w.binding("sharer"); b.Login != "" || b.DueAt == nil {
			t.Errorf("login %q bound though the account was refused; due %v", b.Login, b.DueAt)
		}
		if w.metric("changes_total", "action=user_create", "result=blocked") == 0 {
			t.Error("blocked people are not counted")
		}

		for _, name := range []string{"nomail", "badmail", "sharer"} {
			w.update(name, func(doc map[string]any) {
				doc["emails"] = []any{map[string]any{"value": name + "@example.org"}}
			})
		}
		w.drain()
		for _, name := range []string{"nomail", "badmail", "sharer"} {
			w.wantState(name, bindings.Converged, "")
			w.wantAccess(name, "1:write, 2:view")
		}
	})
}

func TestJoiner_LoginComesFromWhereTheConfigurationSays(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withEngine(func(o *reconcile.Options) {
			o.Identity = reconcile.Identity{LoginFrom: "email_local_part", LoginReplace: map[string]string{"'": ""}}
		}))
		w.create("u1", "e1")
		w.update("u1", func(doc map[string]any) {
			doc["emails"] = []any{map[string]any{"value": "pat.smith@example.org", "primary": true}}
		})
		w.add("Analysts", "u1")
		w.drain()
		w.wantAccess("pat.smith", "1:write, 2:view")
	})
}

func TestJoiner_TwoLivePeopleWithOneLogin(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withEngine(func(o *reconcile.Options) {
			o.Identity = reconcile.Identity{LoginFrom: "email_local_part"}
		}))
		w.join("sam@one.example", "Analysts")
		w.drain()
		w.join("sam@two.example", "Editors")
		w.drain()
		w.wantAccess("sam", "1:write, 2:view")
		w.wantState("sam@one.example", bindings.Converged, "")
		w.wantState("sam@two.example", bindings.Conflict, "login_taken")

		w.delete("sam@one.example") // the first goes: their account is deleted before the other gets the login
		w.due(w.subject("sam@two.example"))
		w.drain()
		w.wantAccess("sam", "2:admin, 3:view")
		w.wantState("sam@two.example", bindings.Converged, "")
	})
}

func TestJoiner_AnAccountThatFailedIsNeverTakenFromSomebodyElse(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		heal := w.matomo.Fault(refusal("UsersManager.addUser"))
		w.drain()
		heal()
		if b := w.binding(ada); b.Login != "" || b.CreatedByUs || b.State != bindings.Failed || b.Attempts != 1 {
			t.Errorf("binding %+v, want no login, failed once", b)
		}
		// Somebody adds that account by hand, with the very address.
		if err := w.matomo.AddUser(ada, ada, "some-password"); err != nil {
			t.Fatal(err)
		}
		before := w.matomo.Snapshot()
		w.due(w.subject(ada))
		w.drain()
		w.wantState(ada, bindings.Conflict, "login_exists")
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) > 0 {
			t.Errorf("changes in Matomo: %v", changes)
		}
	})
}

func TestJoiner_AnAccountAddedBeforeTheAnswerWasLostIsOurs(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.matomo.Fault(cutAfter("UsersManager.addUser"))
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Fatal("the connection was cut and nobody noticed")
		}
		w.restart() // a crash on top
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Converged, "")
		if b := w.binding(ada); !b.CreatedByUs || b.Attempts != 0 {
			t.Errorf("binding %+v, want ours and no attempt", b)
		}
	})
}

// A rule may look at attributes of one source only.
func TestJoiner_UserRulesKnowTheSource(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withRules("[RoleMapping]\nuser@scim[(department=Sales)] = \"site:4:view\"\n"))
		w.create(ada, "e1")
		w.update(ada, func(doc map[string]any) {
			doc["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = map[string]any{"department": "Sales"}
		})
		w.drain()
		w.wantAccess(ada, "4:view")
	})
}

func TestObserve_WritesNothingShowsThePlanAndStartsWhenEnforced(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withMode(reconcile.Observe), withSettle(ten))
		before := w.matomo.Snapshot()
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Admins")
		w.drain()
		w.wantState(ada, bindings.Observed, "")
		if b := w.binding(ada); !strings.Contains(b.Detail, "add_user") || !strings.Contains(b.Detail, "write on 1") || b.Login != "" {
			t.Errorf("binding %+v, want the plan in its detail and no login", b)
		}
		w.leave("bob@example.org")
		w.drain()
		if found := w.differences(); len(found) != 1 || !found[0].Plan.Has(matomo.AddUser) {
			t.Errorf("what would be done is not shown: %+v", found)
		}
		w.compare()
		if n := w.metric("reconcile_runs_total", "trigger=manual", "result=noop"); n != 2 {
			t.Errorf("%v passes, want no third for what is shown already", n)
		}
		if changes := before.Changes(w.matomo.Snapshot()); len(changes) > 0 || len(w.writes()) > 0 {
			t.Errorf("writes %v, changes %v", w.writes(), changes)
		}
		if w.metric("changes_total", "action=user_create", "result=dry_run") == 0 {
			t.Error("dry runs are not counted")
		}

		w.restart(func(o *reconcile.Options) { o.Targets[0].Mode = reconcile.Enforce })
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantAccess("bob@example.org", "no account")
		w.wantState(ada, bindings.Converged, "")
	})
}

func TestTargets_EachInItsOwnMode(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withRules("[RoleMapping]\ngroup[Analysts] = \"*/site:1:view\"\n"))
		second := newStandIn("second")
		w.restart(func(o *reconcile.Options) {
			o.Targets = append(slices.Clone(o.Targets), second.target(t, o.Targets[0], reconcile.Observe))
		})
		w.options.RuleOptions.Targets = []string{"main", "second"}
		w.join(ada, "Analysts")
		w.drain()
		w.wantAccess(ada, "1:view")
		if _, ok := second.server.User(ada); ok {
			t.Error("the watched target was written")
		}
		list, err := w.bindings.BySubject(w.ctx, w.subject(ada))
		if err != nil || len(list) != 2 || list[0].State != bindings.Converged || list[1].State != bindings.Observed {
			t.Errorf("bindings %+v, %v", list, err)
		}
		// One target that does not answer keeps nobody else waiting.
		second.server.Fault(cutBefore(""))
		w.join("bob@example.org", "Analysts")
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Error("the dead target was not reported")
		}
		w.wantAccess("bob@example.org", "1:view")
	})
}

func TestNoRules_NothingIsDecided(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		w.exec("DELETE FROM rule_sets")
		w.remove("Analysts", ada)
		w.restart()
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Error("a pass without rules succeeded")
		}
		w.wantAccess(ada, "1:write, 2:view")
	})
}

func TestUnknownPerson_IsNotALeaver(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		// A directory that forgot the person says nothing about them (I1). The
		// schema forbids it; a restored backup might not.
		w.options.Directory = directory.New(w.emptyDB(), w.bindings, directory.Options{})
		w.restart()
		w.due(w.subject(ada))
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Failed, "incomplete_source")
	})
}
