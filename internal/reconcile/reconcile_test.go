package reconcile_test

import (
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

func TestJoiner_GetsAccountAndAccess(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join("ada@example.org", "Analysts")
		w.drain()
		w.wantAccess("ada@example.org", "1:write, 2:view")
		w.wantState("ada@example.org", bindings.Converged, "")
	})
}

func TestJoiner_WithoutRuleGetsNoAccountAndCostsNoRequest(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join("ada@example.org", "Unknown")
		w.drain()
		w.wantAccess("ada@example.org", "no account")
		w.wantState("ada@example.org", bindings.Converged, "")
		if n := w.matomo.Requests(); n != 0 {
			t.Errorf("%d requests to Matomo, want none", n)
		}
	})
}

func TestMover_EndsWithTheNewAccess(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join("ada@example.org", "Analysts")
		w.drain()
		w.add("Editors", "ada@example.org")
		w.remove("Analysts", "ada@example.org")
		w.drain()
		w.wantAccess("ada@example.org", "2:admin, 3:view")
	})
}

func TestLeaver_LosesAccessTokensAndPassword(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join("ada@example.org", "Analysts")
		w.drain()
		token := w.mint("ada@example.org")
		w.leave("ada@example.org")
		w.drain()
		w.wantAccess("ada@example.org", "")
		w.wantState("ada@example.org", bindings.Done, "")
		if w.matomo.TokenAlive(token) {
			t.Error("the token is alive after leaving")
		}
		if w.matomo.CheckPassword("ada@example.org", "a-known-password") {
			t.Error("the old password works after leaving")
		}
	})
}
