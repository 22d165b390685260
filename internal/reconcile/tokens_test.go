package reconcile_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// tokenStore is a token database over the stand-in's tokens. A real one is tested in
// packages tokendb and app; here it is about what the loop makes of it.
type tokenStore struct {
	matomo *matomotest.Server

	mu    sync.Mutex // guards what follows
	err   error      // what everything answers, when set
	ended int        // calls of Revoke that succeeded
}

func (s *tokenStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *tokenStore) Revoke(_ context.Context, login string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.ended++
	return s.matomo.DeleteTokens(login), nil
}

func (s *tokenStore) Tokens(_ context.Context, login string) ([]matomo.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []matomo.Token
	for _, t := range s.matomo.Tokens(login) {
		out = append(out, matomo.Token{ID: t.ID, Description: t.Description})
	}
	return out, s.err
}

func (s *tokenStore) Check(context.Context) (matomo.StoreReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return matomo.StoreReport{}, s.err
}

// The two ways in which a token database fails.
var (
	storeDown   = &matomo.Error{Kind: matomo.StoreDown, Method: "token database revoke", Message: "connection refused"}
	storeBroken = &matomo.Error{Kind: matomo.StoreRefused, Method: "token database revoke", Message: "DELETE command denied"}
)

func withStore() setting { return func(o *worldOptions) { o.store = true } }

func together(settings ...setting) setting {
	return func(o *worldOptions) {
		for _, set := range settings {
			set(o)
		}
	}
}

func withVersion(v string) setting { return withServer(func(o *matomotest.Options) { o.Version = v }) }

func withLeaverTokens(l matomo.LeaverTokens) setting {
	return withPolicy(func(p *matomo.Policy) { p.LeaverTokens = l })
}

// tokenWays are all the ways in which tokens end, by what is there.
var tokenWays = map[string]setting{
	"plugin":            withPlugin(),
	"plugin on 4":       together(withPlugin(), withVersion(matomotest.Version4)),
	"database":          withStore(),
	"database on 4":     together(withStore(), withVersion(matomotest.Version4)),
	"regenerate":        withVersion("3.14.1"),
	"inert, recreate":   withLeaverTokens(matomo.RevokeOrInert),
	"recreate at once":  withLeaverTokens(matomo.RevokeOrRecreate),
	"delete at once":    withLeaverTokens(matomo.RevokeOrDelete),
	"kept, then killed": together(withPlugin(), withPolicy(func(p *matomo.Policy) { p.KeepAtLeaving = true })),
}

// Whatever ends them, a leaver's tokens are dead, or labelled as inert, when the
// leaver is done; and no old one lives after a come-back.
func TestTokens_EveryWay(t *testing.T) {
	for name, way := range tokenWays {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t), way)
			w.join(ada, "Analysts")
			w.drain()
			before := w.mint(ada)
			w.leave(ada)
			w.drain()
			b := w.binding(ada)
			if b.State != bindings.Done && b.State != bindings.Gone {
				t.Fatalf("%s: %s", b.State, b.Detail)
			}
			w.wantAccess(ada, map[bool]string{true: "", false: "no account"}[b.State == bindings.Done])
			if alive := w.matomo.TokenAlive(before); alive != (b.Tokens == bindings.TokensInert) {
				t.Errorf("alive %t, labelled %s", alive, b.Tokens)
			}
			if w.matomo.TokenWorks(before) {
				t.Error("the token of a leaver shows something")
			}
			if n := w.metric("propagation_duration_seconds", "event=leaver"); n != 1 {
				t.Errorf("propagation observed %v times, want once", n)
			}
			var suspended string
			if b.State == bindings.Done {
				suspended = w.mint(ada)
			}
			w.back(ada)
			w.drain()
			w.wantAccess(ada, "1:write, 2:view")
			w.wantDead(before)
			if suspended != "" {
				w.wantDead(suspended)
			}
		})
	}
}

// A strategy that fails takes neither the removal of access nor the others with it.
func TestTokens_TheNextStrategyTakesOver(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin(), withStore())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		for _, method := range []string{"ScimBridge.revokeTokens", "ScimBridge.getTokens"} {
			w.matomo.Fault(refusal(method))
		}
		w.leave(ada)
		w.drain()
		w.wantState(ada, bindings.Done, "")
		w.wantDead(token)
		if b := w.binding(ada); b.Tokens != bindings.TokensDead {
			t.Errorf("tokens are %s", b.Tokens)
		}
		if w.store.ended != 2 { // both phases
			t.Errorf("the database was used %d times", w.store.ended)
		}
		outcomes := w.entries(w.subject(ada), "outcome.revoke")
		if len(outcomes) != 1 {
			t.Fatalf("%d outcomes", len(outcomes))
		}
		answers, _ := json.Marshal(outcomes[0].Answer)
		for _, text := range []string{`"strategy":"database"`, `"fell_back":["plugin: ScimBridge.revokeTokens: refused`} {
			if !strings.Contains(string(answers), text) {
				t.Errorf("the audit trail lacks %s: %s", text, answers)
			}
		}
		for _, want := range []struct {
			n      float64
			labels []string
		}{
			{2, []string{"strategy=plugin", "result=error"}},
			{2, []string{"strategy=database", "result=ok"}},
		} {
			if n := w.metric("token_revocations_total", want.labels...); n != want.n {
				t.Errorf("%v: counted %v times, want %v", want.labels, n, want.n)
			}
		}
	})
}

// A token database that is down passes: access goes, the leaver is not done, and
// nothing is destroyed for it.
func TestTokens_ADatabaseThatIsDownKeepsTheLeaverOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withStore(), withLeaverTokens(matomo.RevokeOrDelete))
		w.join(ada, "Analysts")
		w.join("bob@example.org", "Analysts")
		w.drain()
		token := w.mint(ada)
		w.store.fail(storeDown)
		w.leave(ada)
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Leaving, "refused")
		if n := w.metric("leavers_unverified"); n != 1 {
			t.Errorf("%v leavers unverified, want 1", n)
		}
		if _, exists := w.matomo.User(ada); !exists {
			t.Error("the account was deleted because a database did not answer")
		}
		// Nobody else waits for it: the target is well.
		w.add("Editors", "bob@example.org")
		w.drain()
		w.wantAccess("bob@example.org", "1:write, 2:admin, 3:view")
		w.store.fail(nil)
		time.Sleep(time.Minute)
		w.drain()
		w.wantState(ada, bindings.Done, "")
		w.wantDead(token)
	})
}

// One that refuses is out of use until somebody mends it: leavers are dealt with as
// leavers.tokens says, and their tokens end once it works again.
func TestTokens_ABrokenDatabaseIsOutOfUseUntilItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withStore())
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.store.fail(storeBroken)
		w.leave(ada)
		w.drain()
		time.Sleep(time.Minute)
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
		if b := w.binding(ada); b.Tokens != bindings.TokensInert || !w.matomo.TokenAlive(token) || w.matomo.TokenWorks(token) {
			t.Errorf("tokens are %s", b.Tokens)
		}
		if n := w.metric("tokens_not_revoked_total"); n != 1 {
			t.Errorf("counted %v times", n)
		}
		w.compare()
		w.drain()
		w.wantState(ada, bindings.Done, "")
		mails := len(w.matomo.Mails())
		w.store.fail(nil)
		w.compare() // finds that it works, and whose tokens can be ended now
		w.wantState(ada, bindings.Done, "")
		w.wantDead(token)
		if b := w.binding(ada); b.Tokens != bindings.TokensDead || b.DeleteAt == nil {
			t.Errorf("tokens are %s, deleted at %v", b.Tokens, b.DeleteAt)
		}
		if n := len(w.matomo.Mails()); n != mails {
			t.Error("the person got another mail about a password")
		}
	})
}

// With recreate asked for, a database that refuses leads there, and no token lives.
func TestTokens_ABrokenDatabaseLeadsToWhatIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withStore(), withLeaverTokens(matomo.RevokeOrRecreate))
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.store.fail(storeBroken)
		w.leave(ada)
		w.drain()
		time.Sleep(time.Minute)
		w.drain()
		w.wantState(ada, bindings.Done, "")
		w.wantDead(token)
		w.wantAccess(ada, "")
		if b := w.binding(ada); b.Tokens != bindings.TokensDead {
			t.Errorf("tokens are %s", b.Tokens)
		}
	})
}

// I7 whatever the token strategies do: a leaver who counts as revoked has no access
// and no live token, or tokens that are labelled as inert; and once something can end
// them, they are dead.
func TestI7_WhateverTheTokenStrategiesDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		property(t, func(r *rapid.T, w *world) {
			w.join(ada, "Analysts")
			w.drain()
			token := w.mint(ada)
			fail := func(when string) {
				w.store.fail(rapid.SampledFrom([]error{nil, storeDown, storeBroken}).Draw(r, "database "+when))
				w.matomo.ClearFaults()
				for _, method := range []string{"ScimBridge.revokeTokens", "ScimBridge.getTokens"} {
					if rapid.Bool().Draw(r, method+" "+when) {
						w.matomo.Fault(refusal(method))
					}
				}
			}
			fail("at first")
			w.leave(ada)
			for range rapid.IntRange(1, 6).Draw(r, "passes") {
				_, _ = w.engine.Drain(w.ctx)
				b := w.binding(ada)
				if b.State == bindings.Revoked || b.State == bindings.Done {
					if alive := w.matomo.TokenAlive(token); alive && b.Tokens != bindings.TokensInert || !w.matomo.Access(ada).Empty() {
						w.tb.Errorf("%s, alive %t, labelled %s, access %s", b.State, alive, b.Tokens, w.matomo.Access(ada))
					}
				}
				time.Sleep(time.Minute)
				fail("later")
			}
			w.matomo.ClearFaults()
			w.store.fail(nil)
			time.Sleep(20 * time.Minute)
			w.compare()
			w.drain()
			w.wantState(ada, bindings.Done, "")
			w.wantDead(token)
		}, withPlugin(), withStore())
	})
}

// Installing the plugin is enough: what was inert ends with the next full compare.
func TestTokens_InertOnesEndOnceThePluginIsThere(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		w.join(ada, "Analysts")
		w.drain()
		token := w.mint(ada)
		w.leave(ada)
		w.drain()
		with := newWorldOn(w, matomotest.Options{Plugin: true})
		w.transport = with.RoundTripper()
		with.AddUser(ada, ada, "random")
		secret, err := with.MintToken(ada, "random")
		if err != nil {
			t.Fatal(err)
		}
		w.compare()
		w.drain()
		if with.TokenAlive(secret) || !w.matomo.TokenAlive(token) {
			t.Error("the inert token did not end")
		}
		if b := w.binding(ada); b.State != bindings.Done || b.Tokens != bindings.TokensDead {
			t.Errorf("%s, tokens %s", b.State, b.Tokens)
		}
	})
}

// newWorldOn is a Matomo that takes the place of w's.
func newWorldOn(w *world, o matomotest.Options) *matomotest.Server {
	o.Token, o.Password = w.matomo.Token(), w.matomo.Password()
	return matomotest.New(o)
}

// The full compare ends tokens that appear on suspended logins, where it sees them.
func TestTokens_CompareEndsWhatSuspendedPeopleMint(t *testing.T) {
	for name, way := range map[string]setting{"plugin": withPlugin(), "database": withStore()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, databasetest.SQLite(t), way)
			w.join(ada, "Analysts")
			w.drain()
			w.leave(ada)
			w.drain()
			token := w.mint(ada)
			w.compare()
			w.drain()
			w.wantDead(token)
			w.wantState(ada, bindings.Done, "")
		})
	}
}

// What is used is said at the start, and again when it changes.
func TestTokens_TheStrategyIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withStore(), withEngine(func(o *reconcile.Options) { o.FullCompare = 15 * time.Minute }))
		stop := w.run()
		defer stop()
		time.Sleep(time.Second)
		if n := w.metric("token_strategy", "strategy=database"); n != 1 || w.logged("how tokens are ended") != 1 {
			t.Errorf("database shown as %v, said %d times", n, w.logged("how tokens are ended"))
		}
		if got := w.health.of("tokens/main"); !strings.HasPrefix(got, "ok") {
			t.Errorf("health %q", got)
		}
		time.Sleep(time.Hour)
		if n := w.logged("how tokens are ended"); n != 1 {
			t.Errorf("said %d times without a change", n)
		}
		w.store.fail(storeBroken)
		time.Sleep(16 * time.Minute)
		if n := w.metric("token_strategy", "strategy=none"); n != 1 || w.logged("nothing ends tokens") != 1 {
			t.Errorf("none shown as %v, said %d times", n, w.logged("nothing ends tokens"))
		}
		if got := w.health.of("tokens/main"); !strings.HasPrefix(got, "degraded: database: ") {
			t.Errorf("health %q", got)
		}
		w.store.fail(nil)
		time.Sleep(16 * time.Minute)
		if n := w.metric("token_strategy", "strategy=database"); n != 1 || w.logged("how tokens are ended") != 2 {
			t.Errorf("database shown as %v, said %d times", n, w.logged("how tokens are ended"))
		}
	})
}

// With the token database a leaver costs no request more than with the plugin.
func TestTokens_TheDatabaseCostsNoRequest(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), withStore())
	w.join(ada, "Analysts")
	w.drain()
	token := w.mint(ada)
	if !w.matomo.TrackingAccepted(token, 1) {
		t.Fatal("the token does not track")
	}
	w.leave(ada)
	if n := w.requests(func() { _, _ = w.engine.Drain(w.ctx) }); n > 6 { // two phases
		t.Errorf("%d requests", n)
	}
	if w.matomo.TrackingAccepted(token, 1) {
		t.Error("the tracker still accepts the token")
	}
	if slices.Contains(w.writes(), "revokeTokens") {
		t.Error("the plugin was asked")
	}
}
