package reconcile_test

import (
	"fmt"
	"testing"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/directory"
)

// requests counts those that do takes, once the instance is known.
func (w *world) requests(do func()) int {
	w.tb.Helper()
	w.matomo.ResetCalls()
	do()
	return w.matomo.Requests()
}

// A change costs at most three requests: read, write, read back.
func TestRequests_OfOneChange(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join("first@example.org", "Analysts")
		w.drain()
		change := func(what string, most int, do func()) {
			t.Helper()
			do()
			if n := w.requests(w.drain); n > most {
				t.Errorf("%s: %d requests, want at most %d", what, n, most)
			}
		}
		change("joiner", 3, func() { w.join(ada, "Analysts") })
		change("mover", 3, func() {
			w.add("Editors", ada)
			w.remove("Analysts", ada)
		})
		change("superuser", 3, func() { w.add("Admins", ada) })
		change("demotion", 3, func() { w.remove("Admins", ada) })
		change("nothing to do", 1, func() { w.due(w.subject(ada)) })
		change("unmapped person", 0, func() { w.join("nobody@example.org") })
		change("leaver, both phases", 6, func() { w.leave(ada) })
	})
}

func TestRequests_OfALeaversFirstPhase(t *testing.T) {
	withAndWithoutPlugin(t, func(t *testing.T, db *database.DB, plugin setting) {
		w := newWorld(t, db, plugin)
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		n, done := 0, false
		w.matomo.ResetCalls()
		w.hook = func(string) {
			if n++; !done && w.binding(ada).RevokedAt != nil {
				done = true
				if n-1 > 3 { // this request belongs to the second phase
					t.Errorf("%d requests for the first phase, want at most 3", n-1)
				}
			}
		}
		w.drain()
		if !done {
			t.Error("no second phase was seen")
		}
	})
}

// A thousand people who join at once: as SCIM clients send them, a POST each and one
// PATCH of the group.
func TestRequests_OfAThousandJoiners(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join("first@example.org", "Analysts")
		w.drain()
		ids := make([]string, 1000)
		for i := range ids {
			name := fmt.Sprintf("p%04d@example.org", i)
			w.create(name, "ext-"+name)
			ids[i] = w.users[name]
		}
		w.members("Analysts", directory.MemberOp{Kind: directory.Add, Values: ids})
		n := w.requests(w.drain)
		if n > 120 {
			t.Errorf("%d requests for 1,000 joiners, want at most 120", n)
		}
		t.Logf("%d requests", n)
		w.wantAccess("p0999@example.org", "1:write, 2:view")

		if n := w.requests(w.compare); n != 1 {
			t.Errorf("%d requests for a full compare, want 1", n)
		}
		for i := range 300 { // and they leave, leavers first and together
			w.leave(fmt.Sprintf("p%04d@example.org", i))
		}
		n = w.requests(w.drain)
		t.Logf("%d requests for 300 leavers", n)
		if n > 120 {
			t.Errorf("%d requests for 300 leavers", n)
		}
		w.wantAccess("p0299@example.org", "")
	})
}
