package matomo_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// withTokenDB is a bench with a token database behind it.
func withTokenDB(t *testing.T, o matomotest.Options) (*bench, *tokenDB) {
	t.Helper()
	db := &tokenDB{}
	b := newBench(t, o, func(o *matomo.Options) { o.TokenDB = db })
	db.b = b
	return b, db
}

// leaverPlan is the first phase of alice's way out, as the client sees the instance.
func (b *bench) leaverPlan(t *testing.T, login string) matomo.Plan {
	t.Helper()
	s := b.accounts(t, matomo.Read{Tokens: true, Orphans: true}, login)
	a, _ := s.Account(login)
	return matomo.PlanLeaver(a, b.c.Complete(matomo.Policy{Tokens: matomo.Auto}, s), matomo.PhaseRevoke)
}

// minted is a token of a new person.
func (b *bench) minted(t *testing.T, login string) string {
	t.Helper()
	b.add(t, login)
	b.Grant(login, "write", 1)
	token, err := b.MintToken(login, "secret-"+login)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// metric is the value of the one series that has the labels, each as name=value.
func (b *bench) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			has := 0
			for _, l := range m.GetLabel() {
				if slices.Contains(labels, l.GetName()+"="+l.GetValue()) {
					has++
				}
			}
			if f.GetName() == name && has == len(labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no series %s%v", name, labels)
	return 0
}

func TestStrategies_OrderAndFallback(t *testing.T) {
	for _, v := range versions {
		b, db := withTokenDB(t, matomotest.Options{Version: v, Plugin: true})
		token := b.minted(t, "alice")
		p := b.leaverPlan(t, "alice")
		last := p.Steps[len(p.Steps)-1]
		if last.Kind != matomo.RevokeTokens || last.Strategy != matomo.Plugin || !slices.Equal(last.Fallback, []matomo.Strategy{matomo.Database}) {
			t.Fatalf("step %+v", last)
		}
		b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScimBridge.revokeTokens", Message: "Call to undefined method"})
		if !b.TrackingAccepted(token, 1) {
			t.Fatal("the token does not track")
		}
		r := b.c.Apply(context.Background(), []matomo.Plan{p})[0]
		mustOK(t, r)
		got := r.Steps[len(r.Steps)-1]
		if got.Step.Strategy != matomo.Database || len(got.FellBack) != 1 || !strings.HasPrefix(got.FellBack[0], "plugin: ") || len(db.calls) != 1 {
			t.Errorf("result %+v, %d calls of the database", got, len(db.calls))
		}
		if b.TokenAlive(token) || b.TrackingAccepted(token, 1) {
			t.Error("the token lives")
		}
		for labels, want := range map[string]float64{"strategy=plugin result=error": 1, "strategy=plugin result=ok": 0, "strategy=database result=ok": 1} {
			if n := b.metric(t, "scim_bridge_token_revocations_total", strings.Fields(labels)...); n != want {
				t.Errorf("%s: %v, want %v", labels, n, want)
			}
		}
		if b.log.FilterMessageSnippet("the next one is tried").Len() != 1 {
			t.Error("nothing in the log")
		}
	}
}

// A plugin whose answer is a server's error is a plugin that breaks: the others in
// the request are served, and the instance is not taken for down.
func TestStrategies_ABrokenPluginIsNotABrokenMatomo(t *testing.T) {
	b := newBench(t, matomotest.Options{Plugin: true})
	b.minted(t, "alice")
	b.minted(t, "bob")
	plans := []matomo.Plan{b.leaverPlan(t, "alice"), b.leaverPlan(t, "bob")}
	b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScimBridge.revokeTokens", Message: "SQLSTATE[42S02]: Base table or view not found"})
	for _, r := range b.c.Apply(context.Background(), plans) {
		if e, ok := r.Err.(*matomo.Error); !ok || e.Target() { //nolint:errorlint // results hold the error itself
			t.Errorf("%s: %v", r.Login, r.Err)
		}
		wantAccess(t, b, r.Login, "")
	}
}

// Where nothing else in the request makes the tracker forget, the call that the
// database brings along does; and it comes after the tokens ended.
func TestStrategies_TheTrackerForgets(t *testing.T) {
	for _, v := range versions {
		b, db := withTokenDB(t, matomotest.Options{Version: v})
		token := b.minted(t, "alice")
		if !b.TrackingAccepted(token, 1) {
			t.Fatal("the token does not track")
		}
		s := b.accounts(t, matomo.Read{Tokens: true, Orphans: true}, "alice")
		a, _ := s.Account("alice")
		p := matomo.PlanLeaver(a, b.c.Complete(matomo.Policy{Tokens: matomo.Auto}, s), matomo.PhaseSeal)
		if len(p.Steps) != 1 || p.Steps[0].Kind != matomo.RevokeTokens {
			t.Fatalf("steps %v", p.Steps)
		}
		b.ResetCalls()
		mustOK(t, b.c.Apply(context.Background(), []matomo.Plan{p})[0])
		if len(db.calls) != 1 || b.Count("UsersManager.setUserAccess") != 1 || b.TrackingAccepted(token, 1) {
			t.Errorf("%s: %d calls of the database, %d of setUserAccess, tracks %t", v, len(db.calls), b.Count("UsersManager.setUserAccess"), b.TrackingAccepted(token, 1))
		}
		// A call that fails is a warning, not a token that lives.
		b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "UsersManager.setUserAccess", Message: "An unexpected error occurred."})
		mustOK(t, b.c.Apply(context.Background(), []matomo.Plan{p})[0])
		if b.log.FilterMessageSnippet("tracker may accept").Len() != 1 {
			t.Error("nothing in the log")
		}
	}
}

// A strategy that fails for good is out of use until a look finds it mended; one
// that is merely down stays in use.
func TestStrategies_OutOfUse(t *testing.T) {
	choice := func(b *bench) matomo.Strategy {
		return b.c.Complete(matomo.Policy{Tokens: matomo.Auto}, b.accounts(t, matomo.Read{}, "bridge")).Tokens
	}
	b, db := withTokenDB(t, matomotest.Options{})
	b.minted(t, "alice")
	db.err = &matomo.Error{Kind: matomo.StoreDown, Method: "token database"}
	for range 10 {
		wantKind(t, b.c.Apply(context.Background(), []matomo.Plan{b.leaverPlan(t, "alice")})[0].Err, matomo.StoreDown)
	}
	if got := choice(b); got != matomo.Database {
		t.Errorf("a database that is down is given up: %q", got)
	}
	db.err = &matomo.Error{Kind: matomo.StoreRefused, Method: "token database"}
	b.account(t, "alice", matomo.Read{Tokens: true}) // a read is enough to see it
	if got := choice(b); got != matomo.NoStrategy {
		t.Errorf("a database that refuses is used: %q", got)
	}
	way, err := b.c.ReviewTokens(context.Background(), matomo.Auto)
	if err != nil || way.Strategy != matomo.NoStrategy || way.Broken[matomo.Database] == nil || way.Store != nil {
		t.Errorf("way %+v, %v", way, err)
	}
	db.err = nil
	way, err = b.c.ReviewTokens(context.Background(), matomo.Auto)
	if err != nil || way.Strategy != matomo.Database || !way.Changed || len(way.Broken) > 0 || way.Store == nil {
		t.Errorf("way %+v, %v", way, err)
	}
	if got := choice(b); got != matomo.Database {
		t.Errorf("mended and not used: %q", got)
	}
	if way, _ = b.c.ReviewTokens(context.Background(), matomo.Auto); way.Changed {
		t.Error("changed again")
	}
	for s, want := range map[string]float64{"database": 1, "plugin": 0, "regenerate": 0, "none": 0} {
		if n := b.metric(t, "scim_bridge_token_strategy", "strategy="+s); n != want {
			t.Errorf("strategy %s shows %v, want %v", s, n, want)
		}
	}
}

// The plugin fails a few times in a row before it is given up, and is used again
// when it can list tokens.
func TestStrategies_APluginThatKeepsFailing(t *testing.T) {
	b := newBench(t, matomotest.Options{Plugin: true})
	b.minted(t, "alice")
	heal := b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScimBridge.getTokens", Message: "An unexpected error occurred."})
	policy := func() matomo.Policy {
		return b.c.Complete(matomo.Policy{Tokens: matomo.Auto}, b.accounts(t, matomo.Read{}, "alice"))
	}
	read := func() matomo.Account { return b.account(t, "alice", matomo.Read{Tokens: true, Orphans: true}) }
	for i := range 6 {
		if a := read(); a.TokensKnown {
			t.Fatal("known without an answer")
		}
		if got := policy().Tokens; (got == matomo.Plugin) != (i < 3) {
			t.Errorf("after %d failures: %q", i+1, got)
		}
	}
	if way, err := b.c.ReviewTokens(context.Background(), matomo.Auto); err != nil || way.Strategy != matomo.NoStrategy || way.Broken[matomo.Plugin] == nil {
		t.Errorf("way %+v, %v", way, err)
	}
	heal()
	if way, err := b.c.ReviewTokens(context.Background(), matomo.Auto); err != nil || way.Strategy != matomo.Plugin {
		t.Errorf("way %+v, %v", way, err)
	}
	if a := read(); !a.TokensKnown || len(a.Tokens) != 1 {
		t.Errorf("tokens %+v", a.Tokens)
	}
}

// Matomo 3 replaces a person's one token; nobody is told the new one, and nothing of
// the answer is kept.
func TestStrategies_Regenerate(t *testing.T) {
	b := newBench(t, matomotest.Options{Version: "3.14.1"})
	token := b.minted(t, "alice")
	p := b.leaverPlan(t, "alice")
	if last := p.Steps[len(p.Steps)-1]; last.Strategy != matomo.Regenerate || len(last.Fallback) > 0 {
		t.Fatalf("step %+v", last)
	}
	r := b.c.Apply(context.Background(), []matomo.Plan{p})[0]
	mustOK(t, r)
	if b.TokenAlive(token) || b.TrackingAccepted(token, 1) {
		t.Error("the old token lives")
	}
	if answer := r.Steps[len(r.Steps)-1].Answer; answer != "" {
		t.Errorf("answer %q", answer)
	}
	last := b.wire.last()
	if !strings.Contains(last.body, "UsersManager.regenerateTokenAuth") || strings.Contains(last.url, "alice") {
		t.Errorf("sent %s to %s", last.body, last.url)
	}
	// Later versions lack the method: the strategy is not chosen, and not sent.
	b = newBench(t, matomotest.Options{})
	b.minted(t, "alice")
	if p := b.leaverPlan(t, "alice"); p.Has(matomo.RevokeTokens) {
		t.Errorf("plan %v", p.Steps)
	}
}

func TestCheck_TokenStrategies(t *testing.T) {
	refused := &matomo.Error{Kind: matomo.StoreRefused, Method: "token database check", Message: "DELETE command denied"}
	for name, tt := range map[string]struct {
		plugin bool
		fault  string
		err    error
		excess []string
		pol    matomo.Policy
		levels map[string]matomo.Level
		says   string
	}{
		"both":              {plugin: true, pol: matomo.Policy{Tokens: matomo.Auto}, levels: map[string]matomo.Level{"tokens": matomo.LevelOK, "token database": matomo.LevelOK}, says: "should it fail: database"},
		"database":          {pol: matomo.Policy{Tokens: matomo.Auto}, levels: map[string]matomo.Level{"tokens": matomo.LevelOK, "token database": matomo.LevelOK}, says: "strategy database"},
		"too many rights":   {pol: matomo.Policy{Tokens: matomo.Database}, excess: []string{"ALL PRIVILEGES on *.*"}, levels: map[string]matomo.Level{"tokens": matomo.LevelOK, "token database": matomo.LevelWarn}, says: "GRANT less"},
		"asked for, broken": {err: refused, pol: matomo.Policy{Tokens: matomo.Database}, levels: map[string]matomo.Level{"tokens": matomo.LevelWarn, "token database": matomo.LevelFail}, says: "the configured strategy database does not work here"},
		"broken, another":   {plugin: true, err: refused, pol: matomo.Policy{Tokens: matomo.Auto}, levels: map[string]matomo.Level{"tokens": matomo.LevelOK, "token database": matomo.LevelWarn}, says: "DELETE command denied"},
		"broken plugin":     {plugin: true, fault: "ScimBridge.getTokens", pol: matomo.Policy{Tokens: matomo.Auto}, levels: map[string]matomo.Level{"tokens": matomo.LevelOK, "token plugin": matomo.LevelWarn, "token database": matomo.LevelOK}, says: "unexpected"},
		"none, as asked":    {pol: matomo.Policy{Tokens: "none"}, levels: map[string]matomo.Level{"tokens": matomo.LevelWarn}, says: "as configured"},
		"kept at leaving":   {pol: matomo.Policy{Tokens: matomo.Auto, KeepAtLeaving: true}, levels: map[string]matomo.Level{"tokens": matomo.LevelWarn, "token database": matomo.LevelOK}, says: "lacks deprovision"},
	} {
		t.Run(name, func(t *testing.T) {
			b, db := withTokenDB(t, matomotest.Options{Plugin: tt.plugin})
			db.err, db.excess = tt.err, tt.excess
			if tt.fault != "" {
				b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: tt.fault, Message: "An unexpected error occurred."})
			}
			all := ""
			got := map[string]matomo.Level{}
			for _, f := range b.c.Check(context.Background(), tt.pol) {
				if strings.HasPrefix(f.Name, "token") {
					got[f.Name] = f.Level
					all += f.Text + " -> " + f.Advice + "\n"
				}
			}
			for name, level := range tt.levels {
				if got[name] != level {
					t.Errorf("%s is %s, want %s\n%s", name, got[name], level, all)
				}
			}
			if len(got) != len(tt.levels) || !strings.Contains(all, tt.says) {
				t.Errorf("%v says\n%s", got, all)
			}
			if len(db.calls) > 0 {
				t.Error("check ended tokens")
			}
		})
	}
}
