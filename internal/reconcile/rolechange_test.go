package reconcile_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/matomo"
)

// What a change of access does to tokens, by setting.
func TestTokens_RoleChange(t *testing.T) {
	changes := map[string]struct {
		do       func(w *world)
		decrease bool
	}{
		"more":  {func(w *world) { w.add("Editors", ada) }, false},
		"less":  {func(w *world) { w.add("Editors", ada); w.drain(); w.remove("Editors", ada) }, true},
		"other": {func(w *world) { w.remove("Analysts", ada); w.add("Editors", ada) }, true},
		"none":  {func(w *world) { w.remove("Analysts", ada) }, true},
		"super": {func(w *world) { w.add("Admins", ada) }, false},
	}
	on := map[string]struct {
		policy func(*matomo.Policy)
		ends   func(decrease bool) bool
	}{
		"role_change":        {func(*matomo.Policy) {}, func(bool) bool { return true }},
		"privilege_decrease": {func(p *matomo.Policy) { p.RevokeOnRoleChange, p.RevokeOnDecrease = false, true }, func(d bool) bool { return d }},
		"neither":            {func(p *matomo.Policy) { p.RevokeOnRoleChange = false }, func(bool) bool { return false }},
	}
	for setting, o := range on {
		for change, c := range changes {
			t.Run(setting+" "+change, func(t *testing.T) {
				w := newWorld(t, databasetest.SQLite(t), withStore(), withPolicy(o.policy))
				w.join(ada, "Analysts")
				w.drain()
				var token string
				if change == "less" {
					w.add("Editors", ada)
					w.drain()
					token = w.mint(ada)
					w.remove("Editors", ada)
				} else {
					token = w.mint(ada)
					c.do(w)
				}
				w.drain()
				w.wantState(ada, bindings.Converged, "")
				if alive := w.matomo.TokenAlive(token); alive == o.ends(c.decrease) {
					t.Errorf("the token is alive: %t", alive)
				}
				if w.metric("tokens_not_revoked_total") != 0 {
					t.Error("counted as not done")
				}
			})
		}
	}
}

// Where nothing ends tokens without harm, a change of access is told and counted as
// not done, and never in silence.
func TestTokens_RoleChangeThatIsNotDoneIsTold(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		if n := w.metric("tokens_not_revoked_total"); n != 0 {
			t.Errorf("a new account counted %v times", n)
		}
		token := w.mint(ada)
		w.add("Editors", ada)
		w.drain()
		if !w.matomo.TokenAlive(token) {
			t.Fatal("ended by what?")
		}
		if n := w.metric("tokens_not_revoked_total"); n != 1 {
			t.Errorf("counted %v times", n)
		}
		intents := w.entries(w.subject(ada), "intent.access")
		after, _ := json.Marshal(intents[len(intents)-1])
		if !strings.Contains(string(after), "tokens_stay") || !strings.Contains(string(after), "go on working") {
			t.Errorf("the audit trail says nothing: %s", after)
		}
		first, _ := json.Marshal(intents[0])
		if strings.Contains(string(first), "go on working") {
			t.Errorf("a new account has no old tokens: %s", first)
		}
	})
}

// A person taken over keeps the tokens at the first enforcement, and loses them with
// the next change.
func TestTokens_AdoptionKeepsThem(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		if err := w.matomo.AddUser(ada, ada, "a-known-password"); err != nil {
			t.Fatal(err)
		}
		w.matomo.Grant(ada, "admin", 1)
		token := w.mint(ada)
		w.join(ada, "Analysts")
		w.drain()
		w.wantState(ada, bindings.Conflict, "login_exists")
		w.inTx(func(ctx context.Context, tx *database.Tx) error {
			b := w.binding(ada)
			_, err := tx.Exec(ctx, "UPDATE bindings SET login = $1, login_key = $1, adopted = $2 WHERE id = $3", ada, true, b.ID)
			return err
		})
		w.due(w.subject(ada))
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		if !w.matomo.TokenAlive(token) {
			t.Error("the token ended with the first enforcement")
		}
		w.add("Editors", ada)
		w.drain()
		w.wantDead(token)
	})
}

// Drift that only adds leaves tokens, drift that takes away ends them.
func TestTokens_DriftRepair(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.matomo.Revoke(ada, 2)
		w.compare()
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		if !w.matomo.TokenAlive(token) {
			t.Error("a repair that adds ended a token")
		}
		w.matomo.Grant(ada, "admin", 4)
		w.compare()
		w.drain()
		w.wantAccess(ada, "1:write, 2:view")
		w.wantDead(token)
	})
}

// Under a stream of leavers the first phase of each comes before the second of any,
// whether the next one leaves during the first phase of the one before, or when the
// second has been read for and is about to begin.
func TestLeaver_TheFirstPhaseComesFirst(t *testing.T) {
	for when, request := range map[string]int{"first phase": 2, "second phase": 4} {
		t.Run(when, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t), withPlugin())
			names := []string{"a@example.org", "b@example.org"}
			for _, name := range names {
				w.join(name, "Analysts")
			}
			w.drain()
			w.leave(names[0])
			n := 0
			w.hook = func(string) {
				if n++; n == request {
					w.leave(names[1])
				}
			}
			w.matomo.ResetCalls()
			w.drain()
			for _, name := range names {
				w.wantState(name, bindings.Done, "")
				w.wantAccess(name, "")
			}
			var order []string
			for _, c := range w.matomo.Calls() {
				if c.Method == "UsersManager.setUserAccess" || c.Method == "UsersManager.updateUser" {
					order = append(order, c.Method[len("UsersManager."):])
				}
			}
			if want := []string{"setUserAccess", "setUserAccess", "updateUser", "updateUser"}; !slices.Equal(order, want) {
				t.Errorf("calls %v, want both first phases before any second one", order)
			}
		})
	}
}
