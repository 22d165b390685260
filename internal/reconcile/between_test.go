package reconcile_test

// What happens between two steps of a pass: requests of an admin, new rules, an
// answer of Matomo that is half a success.

import (
	"context"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// deleteNow asks for the deletion of a leaver's account, as the command does.
func (w *world) deleteNow(userName string) {
	w.tb.Helper()
	id := w.binding(userName).ID
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		return w.bindings.DeleteNow(ctx, tx, id, bindings.Cause{Actor: "cli:root", Source: "cli"})
	})
}

// A superuser whose address Matomo refuses is a superuser all the same, and has a
// place under the cap.
func TestBetween_AHalfSuccessTakesThePlaceOfASuperuser(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(1, 0))
		if err := w.matomo.AddUser("somebody", "taken@example.org", "some-password"); err != nil {
			t.Fatal(err)
		}
		w.join("ada", "Analysts")
		w.drain()
		w.update("ada", func(doc map[string]any) {
			doc["emails"] = []any{map[string]any{"value": "taken@example.org", "type": "work", "primary": true}}
		})
		w.add("Admins", "ada")
		w.drain()
		w.wantAccess("ada", "superuser")
		w.wantState("ada", bindings.Blocked, "email_taken")
		if !w.binding("ada").Superuser {
			t.Error("a superuser of ours is not counted")
		}
		w.join("bob@example.org", "Admins")
		w.drain()
		w.wantState("bob@example.org", bindings.Held, "superuser_cap")
		if n := w.superusers(); n != 1 {
			t.Errorf("%d superusers, want 1", n)
		}
	})
}

// The place that a promotion reserved is free again when Matomo refused it.
func TestBetween_ARefusedPromotionGivesThePlaceBack(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(1, 0))
		w.join(ada, "Analysts")
		w.drain()
		heal := w.matomo.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "UsersManager.setSuperUserAccess", Message: "not today"})
		w.add("Admins", ada)
		w.drain()
		heal()
		if b := w.binding(ada); b.State != bindings.Failed || b.Superuser {
			t.Fatalf("binding %+v", b)
		}
		w.join("bob@example.org", "Admins")
		w.drain()
		w.wantAccess("bob@example.org", "superuser")
	})
}

// An account whose deletion was asked for while a pass worked on it is deleted: the
// pass knew nothing of it.
func TestBetween_ADeletionAskedForDuringAPass(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.onRequest("updateUser", func() { w.deleteNow(ada) })
		w.drain()
		w.wantAccess(ada, "no account")
		w.wantState(ada, bindings.Gone, "")
	})
}

// An account that was kept while a pass worked on it is not deleted, although its
// time is over by then.
func TestBetween_AnAccountKeptDuringAPass(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin(), func(o *worldOptions) { o.target.DeleteAfter = time.Nanosecond })
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.onRequest("noaccess", func() { w.keep(ada) })
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
	})
}

// Whoever left loses everything at once also when the account is to be deleted and
// what that would delete cannot be read: only the deletion waits.
func TestBetween_ADeletionThatWaitsLeavesNobodyTheirAccess(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		heal := w.matomo.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScheduledReports.getReports", Message: "a plugin is broken"})
		w.leave(ada)
		w.deleteNow(ada) // before any pass has seen the leave
		w.drain()
		w.wantAccess(ada, "")
		w.wantDead(token)
		if b := w.binding(ada); b.RevokedAt == nil || b.Reason != "evidence_missing" {
			t.Errorf("binding %+v", b)
		}
		heal()
		w.due(w.subject(ada))
		w.drain()
		w.wantAccess(ada, "no account")
	})
}

// Rules that become active while a pass brings somebody back are the rules that count.
func TestBetween_NewRulesDuringAComeBack(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		w.back(ada)
		w.onRequest("getUsers", func() { w.activate("[RoleMapping]\ngroup[Analysts] = \"site:3:view\"\n") })
		w.drain()
		w.wantAccess(ada, "3:view")
	})
}

// An account that a crash kept us from noting down is ours although the person has another
// address by then: it has what was about to be given.
func TestBetween_ACrashAfterAddingAndAnotherAddress(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		for _, name := range []string{"ada", "bob"} {
			w.join(name, "Analysts")
			heal := w.matomo.Fault(matomotest.Fault{Kind: matomotest.CutAfter, Method: "UsersManager.setUserAccess"})
			if _, err := w.engine.Drain(w.ctx); err == nil {
				t.Fatal("the answer was cut off")
			}
			heal()
			w.wantAccess(name, "1:write") // as far as it came
			w.update(name, func(doc map[string]any) {
				doc["emails"] = []any{map[string]any{"value": "new-" + name + "@example.org", "type": "work", "primary": true}}
			})
			w.restart()
			if name == "ada" {
				w.leave(name)
			}
			w.drain()
		}
		w.wantAccess("ada", "")
		w.wantState("ada", bindings.Done, "")
		w.wantState("bob", bindings.Converged, "")
		w.wantAccess("bob", "1:write, 2:view")
		// One that somebody else made in the meantime, with access of its own, is not ours.
		w.join("eve", "Analysts")
		w.onRequest("addUser", func() {
			if err := w.matomo.AddUser("eve", "eve@elsewhere.org", "some-password"); err != nil {
				t.Error(err)
			}
			w.matomo.Grant("eve", "admin", 1)
		})
		heal := w.matomo.Fault(matomotest.Fault{Kind: matomotest.CutBefore, Method: "UsersManager.addUser"})
		if _, err := w.engine.Drain(w.ctx); err == nil {
			t.Fatal("the request was cut off")
		}
		heal()
		w.restart()
		w.drain()
		w.wantAccess("eve", "1:admin")
		w.wantState("eve", bindings.Conflict, "login_exists")
	})
}
