package reconcile_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/reconcile"
)

// superusers counts those the stand-in has besides the bridge's.
func (w *world) superusers() int {
	n := 0
	for _, u := range w.matomo.Users() {
		if u.Superuser && u.Login != "bridge" {
			n++
		}
	}
	return n
}

func TestGuard_SuperuserCap(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(2, 0))
		for i := range 4 {
			w.join(fmt.Sprintf("a%d@example.org", i), "Admins", "Analysts")
			w.drain()
		}
		if n := w.superusers(); n != 2 {
			t.Fatalf("%d superusers, want 2", n)
		}
		w.wantAccess("a2@example.org", "1:write, 2:view") // the site access is given instead
		w.wantState("a2@example.org", bindings.Held, "superuser_cap")
		if b := w.binding("a2@example.org"); !strings.Contains(b.Detail, "max_superusers is 2") || b.Superuser || b.AcceptedAt.IsZero() {
			t.Errorf("binding %+v", b)
		}
		if w.metric("guard_active", "guard=superuser_cap") != 1 || w.metric("guard_trips_total", "guard=superuser_cap") != 2 {
			t.Error("the guard is not shown")
		}
		w.compare()
		if n := w.superusers(); n != 2 {
			t.Errorf("%d superusers after a compare, want 2", n)
		}

		// One goes: one of those who wait has the place at once.
		w.leave("a0@example.org")
		w.drain()
		if n := w.superusers(); n != 2 {
			t.Errorf("%d superusers, want 2 again", n)
		}
		w.remove("Admins", "a1@example.org")
		w.drain()
		if n := w.superusers(); n != 2 {
			t.Errorf("%d superusers, want 2 again", n)
		}
		w.restart() // the metric says what is, also after a restart
		if w.metric("guard_active", "guard=superuser_cap") != 0 {
			t.Error("the guard is shown as active and holds nothing")
		}
	})
}

func TestGuard_WhoHasSuperuserKeepsItWhenTheCapIsLowered(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(3, 0))
		for i := range 3 {
			w.join(fmt.Sprintf("a%d@example.org", i), "Admins")
		}
		w.drain()
		w.restart(func(o *reconcile.Options) { o.Guards.MaxSuperusers = 1 })
		w.compare()
		w.activate(defaultRules + "group[Other] = \"site:1:view\"\n")
		w.drain()
		if n := w.superusers(); n != 3 {
			t.Errorf("%d superusers, want the 3 who have it", n)
		}
	})
}

func TestGuard_Floor(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(5, 1), withPlugin())
		w.join(ada, "Admins", "Analysts")
		w.join("bob@example.org", "Admins")
		w.drain()
		w.remove("Admins", ada)
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.remove("Admins", "bob@example.org")
		w.drain()
		w.wantAccess("bob@example.org", "superuser")
		w.wantState("bob@example.org", bindings.Held, "min_superusers")
		if b := w.binding("bob@example.org"); !b.Superuser {
			t.Error("the place of who stays superuser is not counted")
		}
		if w.metric("guard_active", "guard=min_superusers") != 1 {
			t.Error("the guard is not shown")
		}
		// An explicit leaver is never kept, and somebody is told.
		w.leave("bob@example.org")
		w.drain()
		w.wantAccess("bob@example.org", "")
		if w.logged("leavers are never kept") == 0 {
			t.Error("nobody was told that the floor is broken")
		}
	})
}

// Both at once: only one may go.
func TestGuard_FloorCountsThePlansOfOnePass(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(5, 1))
		w.join(ada, "Admins")
		w.join("bob@example.org", "Admins")
		w.drain()
		w.activate("[RoleMapping]\ngroup[Admins] = \"site:1:view\"\n")
		w.drain()
		if n := w.superusers(); n != 1 {
			t.Errorf("%d superusers, want 1", n)
		}
	})
}

func TestGuard_SuperuserSources(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.options.RuleOptions.Sources = []string{"scim", "ldap"}
		w.options.RuleOptions.SuperuserSources = []string{"ldap"}
		w.restart()
		w.activate("[RoleMapping]\ngroup@ldap[Admins] = \"superuser\"\ngroup@scim[Admins] = \"site:1:admin\"\n")
		w.join(ada, "Admins")
		w.drain()
		w.wantAccess(ada, "1:admin")
	})
}

func TestGuard_DenyWithholdsSuperuser(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Admins", "Analysts", "Blocked")
		w.drain()
		w.wantAccess(ada, "1:write")
		if b := w.binding(ada); b.Superuser {
			t.Error("superuser is recorded and was not given")
		}
	})
}

// Two replicas on one database never give more superusers than the cap allows,
// whoever is faster.
func TestGuard_CapIsExactForTwoEngines(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(3, 0))
		other := w.options
		other.Registerer = prometheus.NewRegistry()
		second, err := reconcile.New(other)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			w.join(fmt.Sprintf("a%02d@example.org", i), "Admins")
			if i%3 != 2 {
				continue
			}
			var both sync.WaitGroup
			for _, e := range []*reconcile.Engine{w.engine, second} {
				both.Go(func() {
					if _, err := e.Drain(w.ctx); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			if n := w.superusers(); n > 3 {
				t.Fatalf("%d superusers, want at most 3", n)
			}
		}
		if n := w.superusers(); n != 3 {
			t.Errorf("%d superusers, want 3", n)
		}
	})
}

// Two replicas that each demote one of the last two superusers do not leave none: what the
// second one has read of the first is old by then.
func TestGuard_FloorIsExactForTwoEngines(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withGuards(5, 1))
		w.join(ada, "Admins")
		w.join("bob@example.org", "Admins")
		w.drain()
		second := w.second()
		w.remove("Admins", ada)
		w.onRequest("setSuperUserAccess", func() {
			w.remove("Admins", "bob@example.org")
			if _, err := second.Drain(w.ctx); err != nil {
				t.Error(err)
			}
		})
		w.drain()
		if n := w.superusers(); n != 1 {
			t.Errorf("%d superusers, want 1", n)
		}
		w.wantState("bob@example.org", bindings.Held, "min_superusers")
	})
}
