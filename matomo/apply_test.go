package matomo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// requestsOf lists, per HTTP request since the last reset, the writes in it.
func requestsOf(b *bench) [][]string {
	var out [][]string
	last := 0
	for _, c := range b.Calls() {
		name := c.Method[strings.IndexByte(c.Method, '.')+1:]
		if strings.HasPrefix(name, "get") || strings.HasPrefix(name, "is") || strings.HasPrefix(name, "has") {
			continue
		}
		if c.Request != last {
			out, last = append(out, nil), c.Request
		}
		out[len(out)-1] = append(out[len(out)-1], name)
	}
	return out
}

func TestApply_AtMostThreeRequestsForAMove(t *testing.T) {
	eachVersion(t, matomotest.Options{Plugin: true}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "bob")
		b.Grant("alice", "view", 1, 2)
		b.SetSuperuser("bob", true)
		b.accounts(t, matomo.Read{})
		if err := b.c.ProvePassword(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, w := range []matomo.Want{person("alice", "2:view 3:admin"), person("bob", "1:view"), person("alice", "superuser")} {
			b.ResetCalls()
			s := b.accounts(t, matomo.Read{Evidence: matomo.EvidenceReports}, w.Login)
			a, _ := s.Account(w.Login)
			pol := b.policy(s, roleChange)
			mustOK(t, b.c.Apply(context.Background(), []matomo.Plan{matomo.PlanPerson(w, a, pol)})[0])
			back := b.account(t, w.Login, matomo.Read{})
			if left := matomo.VerifyPerson(w, back, pol); len(left) > 0 || b.Requests() != 3 {
				t.Errorf("%s: %d requests, want 3; left %v", w.Login, b.Requests(), left)
			}
		}
	})
}

func TestApply_DemotionAndGrantsShareARequest(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	b.SetSuperuser("alice", true)
	b.ResetCalls()
	r := b.bring(t, person("alice", "1:view 2:admin"))
	mustOK(t, r)
	wantAccess(t, b, "alice", "1:view 2:admin")
	if got := fmt.Sprint(requestsOf(b)); got != "[[setSuperUserAccess setUserAccess setUserAccess setUserAccess]]" {
		t.Errorf("requests %s", got)
	}
	for _, s := range r.Steps {
		if !s.Sent || s.Answer != `{"result":"success","message":"ok"}` {
			t.Errorf("step %+v", s)
		}
	}
}

func TestApply_NothingIsGrantedToAnAccountWeDidNotAdd(t *testing.T) {
	eachVersion(t, matomotest.Options{}, func(t *testing.T, b *bench) {
		s := b.accounts(t, matomo.Read{}, "alice", "bob", "carol")
		var plans []matomo.Plan
		for _, l := range []string{"alice", "bob", "carol"} {
			a, _ := s.Account(l)
			plans = append(plans, matomo.PlanPerson(person(l, "1:admin"), a, b.policy(s)))
		}
		b.add(t, "bob") // somebody was faster
		b.Grant("bob", "view", 3)
		results := b.c.Apply(context.Background(), plans)
		mustOK(t, results[0])
		mustOK(t, results[2])
		wantKind(t, results[1].Err, matomo.DuplicateLogin)
		if r := matomo.BlockedReason(results[1].Err); r != matomo.LoginTaken {
			t.Errorf("reason %q", r)
		}
		wantAccess(t, b, "alice", "1:admin")
		wantAccess(t, b, "bob", "3:view")
		if wantKind(t, results[1].Steps[1].Err, matomo.Skipped); results[1].Uncertain() {
			t.Errorf("result %+v", results[1])
		}
		if b.log.FilterMessageSnippet("somebody else added").Len() != 1 {
			t.Error("nothing in the log")
		}
	})
}

func TestApply_SuperuserNeverReachesAnAccountWeDidNotAdd(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	p := matomo.PlanPerson(person("bob", "superuser"), matomo.Account{Login: "bob"}, policy())
	b.add(t, "bob")
	b.accounts(t, matomo.Read{})
	r := b.c.Apply(context.Background(), []matomo.Plan{p})[0]
	if wantKind(t, r.Err, matomo.DuplicateLogin); r.Steps[1].Sent || b.Count("UsersManager.setSuperUserAccess") != 0 {
		t.Errorf("result %+v", r)
	}
}

func TestApply_TakingBackMayFail(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	p := matomo.PlanPerson(person("bob", "1:admin"), matomo.Account{Login: "bob"}, policy())
	b.add(t, "bob")
	b.accounts(t, matomo.Read{})
	b.Fault(matomotest.Fault{Kind: matomotest.CutBefore, Method: "UsersManager.setUserAccess", Skip: 1})
	r := b.c.Apply(context.Background(), []matomo.Plan{p})[0]
	if wantKind(t, r.Err, matomo.DuplicateLogin); !r.Uncertain() || !r.Changed() {
		t.Errorf("what could not be taken back is not said: %+v", r)
	}
}

func TestI10_NothingIsGrantedWhenTokensCouldNotBeEnded(t *testing.T) {
	eachVersion(t, matomotest.Options{Plugin: true}, func(t *testing.T, b *bench) {
		b.add(t, "alice", "bob")
		for _, pol := range []func(*matomo.Policy){
			func(p *matomo.Policy) { p.Tokens = matomo.Plugin },
			func(p *matomo.Policy) { p.Tokens = matomo.Recreate },
		} {
			token, err := b.MintToken("alice", "secret-alice")
			if err != nil {
				t.Fatal(err)
			}
			b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "ScimBridge.revokeTokens", Message: "disk full"})
			b.Fault(matomotest.Fault{Kind: matomotest.Refused, Method: "UsersManager.deleteUser", Message: "disk full"})
			r := b.bring(t, person("alice", "1:view", comeBack), pol)
			if r.Err == nil || b.TokenWorks(token) {
				t.Fatalf("result %+v, old token works: %v", r, b.TokenWorks(token))
			}
			wantAccess(t, b, "alice", "")
			b.ClearFaults()
			mustOK(t, b.bring(t, person("alice", "1:view", comeBack), pol))
			wantAccess(t, b, "alice", "1:view")
			if b.TokenAlive(token) {
				t.Error("the old token lives again")
			}
			b.Revoke("alice")
			b.SetPassword("alice", "secret-alice")
		}
	})
}

func TestApply_TwentySlowCallsARequest(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	var plans []matomo.Plan
	for i := range 45 {
		l := fmt.Sprintf("user%02d", i)
		plans = append(plans, matomo.PlanPerson(person(l, "1:view 2:admin"), matomo.Account{Login: l}, policy()))
	}
	b.accounts(t, matomo.Read{})
	b.ResetCalls()
	for _, r := range b.c.Apply(context.Background(), plans) {
		mustOK(t, r)
	}
	var sizes []int
	for _, r := range requestsOf(b) {
		sizes = append(sizes, len(r))
	}
	if !slices.Equal(sizes, []int{60, 60, 15}) {
		t.Errorf("requests of %v calls, want 60, 60 and 15: 20 of them slow", sizes)
	}
}

func TestApply_PlansStayWhole(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	var plans []matomo.Plan
	for i := range 40 {
		l := fmt.Sprintf("user%02d", i)
		b.add(t, l)
		b.SetSuperuser(l, true)
		plans = append(plans, matomo.PlanPerson(person(l, "1:view 2:admin 3:write"), matomo.Account{Login: l, Email: l + "@example.test", Exists: true, Access: sites("superuser")}, policy()))
	}
	b.ResetCalls()
	for _, r := range b.c.Apply(context.Background(), plans) {
		mustOK(t, r)
	}
	home := map[string]int{}
	for _, c := range b.Calls() {
		l := c.Params["userLogin"]
		if !strings.HasPrefix(l, "user") {
			continue
		}
		if home[l] == 0 {
			home[l] = c.Request
		}
		if home[l] != c.Request {
			t.Fatalf("the plan of %s is torn over requests %d and %d", l, home[l], c.Request)
		}
	}
	if n := b.Count("UsersManager.setUserAccess"); n != 160 {
		t.Errorf("%d setUserAccess, want 160", n)
	}
}

func TestApply_MissingPasswordStopsOnlyWhatNeedsIt(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice", "bob")
	b.SetSuperuser("alice", true)
	s := b.accounts(t, matomo.Read{}, "alice", "bob")
	alice, _ := s.Account("alice")
	bob, _ := s.Account("bob")
	plans := []matomo.Plan{
		matomo.PlanPerson(person("alice", "1:view"), alice, b.policy(s)),
		matomo.PlanPerson(person("bob", "1:view", mail("new@example.test")), bob, b.policy(s)),
	}
	b.password.set("", errors.New("no such file"))
	results := b.c.Apply(context.Background(), plans)
	wantKind(t, results[0].Err, matomo.SecretMissing)
	wantKind(t, results[1].Err, matomo.SecretMissing)
	wantAccess(t, b, "alice", "superuser")
	wantAccess(t, b, "bob", "1:view")
	if n := b.FailedLogins("127.0.0.1"); n != 0 {
		t.Errorf("%d failed logins", n)
	}
}

func TestApply_FailureOfTheInstanceStopsTheRest(t *testing.T) {
	for _, f := range []matomotest.Fault{
		{Kind: matomotest.Locked}, {Kind: matomotest.Maintenance}, {Kind: matomotest.UsersAdminDisabled}, {Kind: matomotest.DatabaseDown},
	} {
		b := newBench(t, matomotest.Options{})
		var plans []matomo.Plan
		for i := range 250 {
			l := fmt.Sprintf("user%03d", i)
			b.add(t, l)
			plans = append(plans, matomo.Plan{Login: l, Steps: []matomo.Step{{Kind: matomo.SetAccess, Login: l, Role: access.View, Sites: ids(1)}}})
		}
		b.accounts(t, matomo.Read{})
		b.Fault(f)
		b.ResetCalls()
		results := b.c.Apply(context.Background(), plans)
		if b.Requests() != 1 {
			t.Errorf("%s: %d requests after the instance failed, want 1", f.Kind, b.Requests())
		}
		for i, r := range results {
			var e *matomo.Error
			if !errors.As(r.Err, &e) || !e.Target() || r.Steps[0].Sent != (i < 100) {
				t.Fatalf("%s: result %d: %+v", f.Kind, i, r)
			}
		}
	}
}

func TestApply_OneFailureLeavesTheOthers(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice", "carol")
	step := func(l string) matomo.Plan {
		return matomo.Plan{Login: l, Steps: []matomo.Step{{Kind: matomo.SetAccess, Login: l, Role: access.View, Sites: ids(1)}}}
	}
	r := b.c.Apply(context.Background(), []matomo.Plan{step("alice"), step("bob"), {}, step("carol")})
	mustOK(t, r[0])
	wantKind(t, r[1].Err, matomo.UserMissing)
	mustOK(t, r[2])
	mustOK(t, r[3])
}

func TestApply_RefusesProtectedLogins(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "admin", "alice")
	b.accounts(t, matomo.Read{})
	before := b.Requests()
	for _, l := range []string{"bridge", "BRIDGE", "Admin", "ádmin", "anonymous"} {
		for _, kind := range []matomo.StepKind{matomo.SetAccess, matomo.RemoveAccess, matomo.Demote, matomo.DeleteUser, matomo.SetEmail, matomo.RevokeTokens} {
			p := matomo.Plan{Login: "alice", Steps: []matomo.Step{{Kind: kind, Login: l, Role: access.View, Sites: ids(1), Strategy: matomo.Plugin}}}
			r := b.c.Apply(context.Background(), []matomo.Plan{p})[0]
			wantKind(t, r.Err, matomo.Protected)
		}
		if !b.c.IsProtected(l) {
			t.Errorf("%s is not protected", l)
		}
	}
	if b.Requests() != before {
		t.Error("something was sent about a protected login")
	}
	if b.c.IsProtected("alice") {
		t.Error("alice is protected")
	}
	// A reload replaces the list; the client's own login stays on it. A plan that was made
	// before is refused too.
	b.c.Protect([]string{"Alice"})
	r := b.c.Apply(context.Background(), []matomo.Plan{{Login: "alice", Steps: []matomo.Step{{Kind: matomo.RemoveAccess, Login: "alice"}}}})[0]
	wantKind(t, r.Err, matomo.Protected)
	if b.c.IsProtected("admin") || !b.c.IsProtected("bridge") {
		t.Errorf("protected = %q, want the new list and the client's own login", b.c.Protected())
	}
}

func TestApply_WaitsForAnotherWriterOnlyAsLongAsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, matomotest.Options{})
		b.add(t, "alice", "bob")
		b.accounts(t, matomo.Read{})
		b.Fault(matomotest.Fault{Kind: matomotest.Slow, Method: "UsersManager.setUserAccess", Latency: 10 * time.Second, Count: 1})
		step := func(l string) []matomo.Plan {
			return []matomo.Plan{{Login: l, Steps: []matomo.Step{{Kind: matomo.SetAccess, Login: l, Role: access.View, Sites: ids(1)}}}}
		}
		first := make(chan matomo.Result)
		go func() { first <- b.c.Apply(context.Background(), step("alice"))[0] }()
		synctest.Wait()
		mustOK(t, b.c.Apply(context.Background(), step("bob"))[0]) // somebody else's login does not wait
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r := b.c.Apply(ctx, step("ALICE"))[0]
		if wantKind(t, r.Err, matomo.Skipped); r.Changed() {
			t.Error("changed without having been sent")
		}
		mustOK(t, <-first)
		mustOK(t, b.c.Apply(context.Background(), step("alice"))[0])
	})
}

// tokenDB is a token database, for the strategy that goes past the API.
type tokenDB struct {
	b     *bench
	err   error
	calls []string

	excess []string
}

func (d *tokenDB) Revoke(_ context.Context, login string) (int, error) {
	d.calls = append(d.calls, login)
	if d.err != nil {
		return 0, d.err
	}
	return d.b.DeleteTokens(login), nil
}

func (d *tokenDB) Tokens(_ context.Context, login string) ([]matomo.Token, error) {
	out := make([]matomo.Token, 0)
	for _, t := range d.b.Tokens(login) {
		out = append(out, matomo.Token{ID: t.ID})
	}
	return out, d.err
}

func (d *tokenDB) Check(context.Context) (matomo.StoreReport, error) {
	return matomo.StoreReport{Table: "matomo.matomo_user_token_auth", Generation: "Matomo 5", Action: "delete", Excess: d.excess, Grant: "GRANT less"}, d.err
}

func TestApply_TokenDatabase(t *testing.T) {
	db := &tokenDB{}
	b := newBench(t, matomotest.Options{}, func(o *matomo.Options) { o.TokenDB = db })
	db.b = b
	b.add(t, "alice")
	b.Grant("alice", "write", 1, 2)
	token, err := b.MintToken("alice", "secret-alice")
	if err != nil {
		t.Fatal(err)
	}
	if !b.TrackingAccepted(token, 2) {
		t.Fatal("the token does not track")
	}
	mustOK(t, b.bring(t, person("alice", "2:write"), roleChange))
	if b.TokenAlive(token) || b.TrackingAccepted(token, 2) {
		t.Error("the token still authenticates or tracks")
	}
	wantAccess(t, b, "alice", "2:write") // the call that empties the tracker's cache changed nothing
	token, _ = b.MintToken("alice", "secret-alice")
	mustOK(t, b.leave(t, "alice", matomo.PhaseRevoke))
	if b.TokenAlive(token) {
		t.Error("the leaver's token lives")
	}
	g := matomo.VerifyGone(b.account(t, "alice", matomo.Read{Orphans: true, Tokens: true}), b.policy(b.accounts(t, matomo.Read{})))
	if !g.Revoked || g.Tokens != matomo.TokensDead {
		t.Errorf("gone: %+v", g)
	}
	db.err = &matomo.Error{Kind: matomo.StoreDown, Method: "database"}
	r := b.bring(t, person("alice", "1:view", comeBack))
	wantKind(t, r.Err, matomo.StoreDown)
	wantAccess(t, b, "alice", "")
	// What the database does not show is unknown, and everything else is there.
	s := b.accounts(t, matomo.Read{Tokens: true, Orphans: true}, "alice")
	if a, known := s.Account("alice"); !known || !a.Exists || a.TokensKnown || s.TokenTrouble[matomo.Database] == nil {
		t.Errorf("account %+v, trouble %v", a, s.TokenTrouble)
	}
}

func TestApply_RandomPasswords(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	session, err := b.SignIn("alice", "secret-alice")
	if err != nil {
		t.Fatal(err)
	}
	r := b.leave(t, "alice", matomo.PhaseSeal)
	mustOK(t, r)
	mustOK(t, b.bring(t, person("bob", "")))
	if b.CheckPassword("alice", "secret-alice") {
		t.Error("the leaver's password still works")
	}
	if fmt.Sprintf("%+v", r) == "" || session == nil {
		t.Fatal("nothing to look at")
	}
	var passwords []string
	for _, s := range b.wire.seen {
		for part := range strings.SplitSeq(s.body, "%26") {
			if v, ok := strings.CutPrefix(part, "password%3D"); ok {
				passwords = append(passwords, strings.SplitN(v, "&", 2)[0])
			}
		}
	}
	if len(passwords) != 2 || passwords[0] == passwords[1] {
		t.Fatalf("%d passwords", len(passwords))
	}
	for _, p := range passwords {
		if len(p) < 40 || len(p) > 200 || strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			t.Errorf("password of %d characters with others than letters and digits", len(p))
		}
		for _, l := range b.log.All() {
			if strings.Contains(fmt.Sprint(l.Message, l.ContextMap()), p) {
				t.Error("a password is in the log")
			}
		}
		if strings.Contains(fmt.Sprintf("%+v", r), p) {
			t.Error("a password is in the result")
		}
	}
}

func TestApply_UnknownStepIsRefused(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	for _, s := range []matomo.Step{
		{Kind: "nonsense", Login: "alice"},
		{Kind: matomo.RevokeTokens, Login: "alice", Strategy: "nonsense"},
		{Kind: matomo.RevokeTokens, Login: "alice", Strategy: matomo.Regenerate},
		{Kind: matomo.RevokeTokens, Login: "alice", Strategy: matomo.Plugin},
		{Kind: matomo.RevokeTokens, Login: "alice", Strategy: matomo.Database},
	} {
		if r := b.c.Apply(context.Background(), []matomo.Plan{{Login: "alice", Steps: []matomo.Step{s}}})[0]; r.Err == nil || r.Steps[0].Err == nil {
			t.Errorf("%s %s: no error", s.Kind, s.Strategy)
		}
	}
}

func TestApply_DeletedTwiceIsDeleted(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	b.add(t, "alice")
	p := matomo.PlanLeaver(b.account(t, "alice", matomo.Read{}), policy(), matomo.PhaseDelete)
	for range 2 {
		mustOK(t, b.c.Apply(context.Background(), []matomo.Plan{p})[0])
	}
}
