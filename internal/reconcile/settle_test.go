package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func TestSettle_AMoveWithinItIsOnePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withSettle(ten))
		w.join(ada, "Analysts")
		w.drain()
		time.Sleep(time.Minute)
		stop := w.run()
		defer stop()
		w.matomo.ResetCalls()
		w.remove("Analysts", ada)
		time.Sleep(5 * time.Second)
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Pending, "settling")
		if b := w.binding(ada); b.Attempts != 0 {
			t.Errorf("waiting counted as %d attempts", b.Attempts)
		}
		w.add("Editors", ada)
		time.Sleep(2 * time.Second)
		w.wantAccess(ada, "1:write, 2:admin, 3:view") // what is added never waits
		time.Sleep(9 * time.Second)                   // ten after the last change
		w.wantAccess(ada, "2:admin, 3:view")
		w.wantState(ada, bindings.Converged, "")
		if n := w.metric("propagation_duration_seconds", "event=mover"); n != 1 { // joining the group was no move
			t.Errorf("propagation observed %v times, want once", n)
		}
	})
}

func TestSettle_RestartedByEachChangeAtMostSixtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withSettle(ten))
		w.join(ada, "Analysts", "Editors")
		w.drain()
		time.Sleep(time.Minute)
		stop := w.run()
		defer stop()
		w.remove("Editors", ada)
		for range 6 {
			time.Sleep(9 * time.Second)
			w.wantAccess(ada, "1:write, 2:admin, 3:view")
			w.update(ada, func(doc map[string]any) { doc["title"] = time.Now().String() })
		}
		time.Sleep(8 * time.Second) // 62 s after the first change
		w.wantAccess(ada, "1:write, 2:view")
	})
}

func TestSettle_LeaversAndAdditionsNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withSettle(ten), withPlugin())
		stop := w.run()
		defer stop()
		w.join(ada, "Analysts")
		time.Sleep(time.Second)
		w.wantAccess(ada, "1:write, 2:view")
		w.remove("Analysts", ada)
		w.leave(ada)
		time.Sleep(time.Second)
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
	})
}

func TestSettle_RulesAndDriftDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withSettle(ten))
		w.join(ada, "Analysts")
		w.drain()
		time.Sleep(time.Minute)
		w.matomo.Grant(ada, "admin", 5)
		w.compare()
		w.wantAccess(ada, "1:write, 2:view")
		w.activate("[RoleMapping]\ngroup[Analysts] = \"site:1:view\"\n")
		w.drain()
		w.wantAccess(ada, "1:view")
	})
}
