package reconcile_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// askTokens asks for tokens to be ended, as the command does.
func (w *world) askTokens(userName string, r bindings.TokenRequest) {
	w.tb.Helper()
	id := w.binding(userName).ID
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		return w.bindings.RequestTokens(ctx, tx, id, r, bindings.Cause{Actor: "cli:root", Source: "cli"})
	})
}

func TestRequest_TokensEndAndAccessStays(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		first, second, third := w.mint(ada), w.mint(ada), w.mint(ada)
		w.askTokens(ada, bindings.TokenRequest{IDs: []int{w.matomo.Tokens(ada)[1].ID, 999}})
		w.drain()
		w.wantDead(second)
		if !w.matomo.TokenAlive(first) || !w.matomo.TokenAlive(third) {
			t.Error("a token that nobody asked about is dead")
		}
		if b := w.binding(ada); !b.RevokeTokens.IsZero() {
			t.Errorf("the request %v is still there", b.RevokeTokens)
		}
		w.askTokens(ada, bindings.TokenRequest{All: true})
		w.drain()
		w.wantDead(first, third)
		w.wantAccess(ada, "1:write, 2:view")
		w.wantState(ada, bindings.Converged, "")
		if e := w.entries(w.subject(ada), "intent.access"); e[len(e)-1].Actor != "cli:root" {
			t.Errorf("the entry names %s", e[len(e)-1].Actor)
		}
		w.matomo.ResetCalls()
		w.due(w.subject(ada))
		w.drain()
		if writes := w.writes(); len(writes) != 0 {
			t.Errorf("writes %v after the request was done (I4)", writes)
		}
	})
}

func TestRequest_TokensWhereNothingCanEndThem(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.askTokens(ada, bindings.TokenRequest{All: true})
		w.drain()
		w.wantState(ada, bindings.Blocked, "tokens_live")
		if !w.matomo.TokenAlive(token) || w.binding(ada).RevokeTokens.IsZero() {
			t.Error("a request that was not done is forgotten")
		}
		w.wantAccess(ada, "1:write, 2:view")
	})
}

// A request that a leave overtakes is done with it.
func TestRequest_TokensOfALeaver(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.askTokens(ada, bindings.TokenRequest{All: true})
		w.leave(ada)
		w.drain()
		w.wantDead(token)
		w.wantState(ada, bindings.Done, "")
		if b := w.binding(ada); !b.RevokeTokens.IsZero() {
			t.Errorf("the request %v is still there", b.RevokeTokens)
		}
	})
}

func (w *world) keep(userName string) {
	w.tb.Helper()
	id := w.binding(userName).ID
	w.inTx(func(ctx context.Context, tx *database.Tx) error { return w.bindings.KeepAccount(ctx, tx, id) })
}

// A kept account outlives its time; a later leave counts anew.
func TestRequest_KeptUntilTheNextLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin(), func(o *worldOptions) { o.target.DeleteAfter = 2 * time.Hour })
		w.join(ada, "Analysts")
		stop := w.run()
		defer stop()
		time.Sleep(time.Minute)
		w.leave(ada)
		time.Sleep(time.Minute)
		w.keep(ada)
		time.Sleep(48 * time.Hour)
		w.wantAccess(ada, "")
		w.due(w.subject(ada)) // whatever looks at it again does not plan the deletion
		time.Sleep(3 * time.Hour)
		w.wantAccess(ada, "")
		w.back(ada)
		time.Sleep(time.Minute)
		w.wantAccess(ada, "1:write, 2:view")
		w.leave(ada)
		time.Sleep(2*time.Hour + time.Minute)
		w.wantAccess(ada, "no account")
	})
}

// Somebody who needs the login of a kept account does not end it.
func TestRequest_AKeptAccountIsNotDeletedForItsLogin(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		subject := w.subject(ada)
		w.delete(ada)
		w.drain()
		id := w.bindingOf(subject).ID
		w.inTx(func(ctx context.Context, tx *database.Tx) error { return w.bindings.KeepAccount(ctx, tx, id) })
		w.create(ada, "somebody-else")
		w.add("Analysts", ada)
		w.drain()
		w.wantState(ada, bindings.Conflict, course.ReasonLoginTaken)
		if w.bindingOf(subject).Login != ada {
			t.Error("the account was taken away")
		}
	})
}

// An account is not deleted while what would be lost cannot be read; it is as soon as it can.
func TestEvidence_ADeletionWaitsForIt(t *testing.T) {
	for _, method := range []string{"ScheduledReports.getReports", "SegmentEditor.getAll", "Dashboard.getDashboards", "UsersManager.getUserPreference"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, databasetest.SQLite(t), withPlugin(), func(o *worldOptions) { o.target.DeleteAfter = time.Hour })
				w.join(ada, "Analysts")
				stop := w.run()
				defer stop()
				time.Sleep(time.Minute)
				heal := w.matomo.Fault(refusal(method))
				w.leave(ada)
				time.Sleep(time.Minute)
				w.wantAccess(ada, "") // a leaver does not wait
				time.Sleep(3 * time.Hour)
				w.wantAccess(ada, "")
				w.wantState(ada, bindings.Done, course.ReasonEvidence)
				heal()
				time.Sleep(time.Hour)
				w.wantAccess(ada, "no account")
				saved := w.evidence(ada)
				if len(saved) < 2 {
					t.Errorf("%d pieces of evidence", len(saved))
				}
			})
		})
	}
}

// Who only loses a site waits for a few tries, and then their access is right all the same.
func TestEvidence_AMoverWaitsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin())
		w.join(ada, "Analysts", "Editors")
		stop := w.run()
		defer stop()
		time.Sleep(time.Minute)
		w.matomo.Fault(refusal("ScheduledReports.getReports"))
		w.remove("Editors", ada)
		time.Sleep(time.Second)
		w.wantAccess(ada, "1:write, 2:admin, 3:view")
		w.wantState(ada, bindings.Failed, course.ReasonEvidence)
		time.Sleep(time.Hour)
		w.wantAccess(ada, "1:write, 2:view")
	})
}

// Dashboards, preferences and language are saved before the account goes.
func TestEvidence_BeforeADeletionIsWhole(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.matomo.AddReport(matomotest.Report{Site: 1, Login: ada, Description: "mine"})
		w.leave(ada)
		w.drain()
		id := w.binding(ada).ID
		w.inTx(func(ctx context.Context, tx *database.Tx) error {
			return w.bindings.DeleteNow(ctx, tx, id, bindings.Cause{Actor: "cli:root"})
		})
		w.drain()
		w.wantAccess(ada, "no account")
		var last struct {
			Login    string
			Evidence struct {
				Whole       bool
				Preferences map[string]string
			}
		}
		saved := w.evidence(ada)
		remarshal(t, saved[len(saved)-1].Data, &last)
		if last.Login != ada || !last.Evidence.Whole || last.Evidence.Preferences["defaultReportDate"] != "yesterday" {
			t.Errorf("evidence %s", saved[len(saved)-1].Data)
		}
		if e := w.entries(w.subject(ada), "intent.delete"); len(e) != 1 || e[0].Actor != "cli:root" {
			t.Errorf("entries %+v, want one that names who asked", e)
		}
	})
}
