package reconcile_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// withAndWithoutPlugin runs test on both, with and without the companion plugin.
func withAndWithoutPlugin(t *testing.T, test func(t *testing.T, db *database.DB, plugin setting)) {
	t.Helper()
	for _, plugin := range []bool{true, false} {
		name := map[bool]string{true: "plugin", false: "no plugin"}[plugin]
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db *database.DB) {
				test(t, db, withServer(func(o *matomotest.Options) { o.Plugin = plugin }))
			})
		})
	}
}

func TestComeBack_NoOldTokenIsAlive(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		before := w.mint(ada)
		w.leave(ada)
		w.drain()
		suspended := w.mint(ada) // the password was reset by mail
		w.back(ada)
		w.drain()
		w.wantDead(before, suspended)
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Converged, "")
		b := w.binding(ada)
		if b.LeftAt != nil || b.RevokedAt != nil || b.DeleteAt != nil || b.DueAt != nil {
			t.Errorf("binding %+v, want no trace of the leave", b)
		}
	})
}

func TestComeBack_BeforeTheLoopSawTheLeave(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.leave(ada)
		w.back(ada)
		w.drain()
		w.wantDead(token)
		w.wantAccess(ada, "1:write, 2:view")
	})
}

// The order of calls matters as much as the end: tokens end before anything is
// granted.
func TestComeBack_TokensEndBeforeAnythingIsGranted(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		w.mint(ada)
		w.leave(ada)
		w.drain()
		w.matomo.ResetCalls()
		w.back(ada)
		w.drain()
		writes := w.writes()
		ended := max(slices.Index(writes, "revokeTokens"), slices.Index(writes, "deleteUser"))
		if granted := slices.Index(writes, "setUserAccess"); ended < 0 || granted < ended {
			t.Errorf("writes %v", writes)
		}
	})
}

func TestComeBack_UnmappedKeepsTheGateForLater(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.leave(ada)
		w.drain()
		w.remove("Analysts", ada)
		w.back(ada)
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Converged, "")
		if b := w.binding(ada); b.DeleteAt != nil || b.DueAt != nil {
			t.Errorf("somebody who is back is still to be deleted at %v", b.DeleteAt)
		}
		w.add("Analysts", ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantDead(token)
	})
}

// Back without access and gone again: the grace period counts from the last leave.
func TestComeBack_TheNextLeaveStartsItsOwnGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		time.Sleep(10 * 24 * time.Hour)
		w.remove("Analysts", ada)
		w.back(ada)
		w.drain()
		time.Sleep(25 * 24 * time.Hour)
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "") // 35 days after the first leave, and not deleted
		w.wantState(ada, bindings.Done, "")
		if b := w.binding(ada); b.DeleteAt == nil || time.Until(*b.DeleteAt) < 719*time.Hour {
			t.Errorf("deleted at %v, want 30 days from now", b.DeleteAt)
		}
	})
}

// A gate that passed is not repeated: with nothing but recreate that would delete
// the account again and again.
func TestComeBack_TheGateIsNotRepeatedWhenALaterStepFails(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		w.back(ada)
		heal := w.matomo.Fault(refusal("UsersManager.setUserAccess"))
		w.drain()
		heal()
		w.wantState(ada, bindings.Failed, "refused")
		w.matomo.ResetCalls()
		w.due(w.subject(ada))
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		if writes := w.writes(); slices.Contains(writes, "deleteUser") || slices.Contains(writes, "revokeTokens") {
			t.Errorf("writes %v", writes)
		}
		if len(w.evidence(ada)) < 1 {
			t.Error("no evidence")
		}
	})
}

func TestComeBack_RecreateSavesEvidenceFirst(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		n := len(w.evidence(ada))
		w.back(ada)
		w.drain()
		if len(w.evidence(ada)) != n+1 {
			t.Error("the account was deleted and added again without evidence")
		}
	})
}

func TestComeBack_AfterDeleteIsTheSamePerson(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		subject := w.subject(ada)
		token := w.mint(ada)
		w.delete(ada)
		w.drain()
		w.wantAccess(ada, "")
		w.wantBinding(w.bindingOf(subject), bindings.Done, "")
		w.create(ada, "ext-"+ada)
		w.add("Editors", ada)
		w.drain()
		if w.subject(ada) != subject {
			t.Fatal("another subject")
		}
		w.wantAccess(ada, "2:admin, 3:view")
		w.wantState(ada, bindings.Converged, "")
		w.wantDead(token)
	})
}

func TestComeBack_AfterTheAccountWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.leave(ada)
		w.drain()
		time.Sleep(721 * time.Hour)
		w.drain()
		w.wantState(ada, bindings.Gone, "")
		w.back(ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantDead(token)
		if b := w.binding(ada); !b.CreatedByUs || b.LeftAt != nil {
			t.Errorf("binding %+v", b)
		}
	})
}

// Another person with the login of somebody who was deleted: the account goes first,
// and the new person gets a new one.
func TestComeBack_AnotherPersonWithTheLogin(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join("ada", "Analysts")
		w.drain()
		first := w.subject("ada")
		token := w.mint("ada")
		w.delete("ada")
		w.drain()
		w.create("ada", "another-external-id")
		w.add("Editors", "ada")
		w.drain()
		if w.subject("ada") == first {
			t.Fatal("the same subject")
		}
		w.wantAccess("ada", "2:admin, 3:view")
		w.wantState("ada", bindings.Converged, "")
		w.wantDead(token)
		w.wantBinding(w.bindingOf(first), bindings.Gone, "")
		if len(w.evidence("ada")) == 0 {
			t.Error("no evidence of the deleted account")
		}
	})
}

// Without the password the new person waits for nothing: deleting needs none.
func TestComeBack_ASuperuserWithoutAnyWayToEndTokensIsBlocked(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.drain()
		w.matomo.SetSuperuser(ada, true) // by hand, while suspended
		w.back(ada)
		w.drain()
		w.wantState(ada, bindings.Blocked, string(matomo.TokensLive))
	})
}
