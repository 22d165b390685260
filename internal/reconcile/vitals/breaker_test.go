package vitals_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/internal/reconcile/vitals"
	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/access"
)

// newBreaker returns a breaker whose metrics nobody reads.
func newBreaker(t *testing.T) *vitals.Breaker {
	t.Helper()
	m, err := vitals.New(nil, nil, []string{"main"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return vitals.NewBreaker("main", m)
}

// probes counts how often a target that always answers with failure is asked.
func probes(b *vitals.Breaker, failure error, within time.Duration) int {
	n := 0
	for end := time.Now().Add(within); time.Now().Before(end); {
		done, wait, err := b.Allow(time.Now())
		if err != nil {
			time.Sleep(max(wait, time.Millisecond))
			continue
		}
		n++
		done(failure)
		time.Sleep(time.Second)
	}
	return n
}

func TestBreaker_ProbesRarely(t *testing.T) {
	tests := map[string]struct {
		failure     *matomo.Error
		least, most int // in ten minutes
	}{
		"no answer":    {&matomo.Error{Kind: matomo.Unreachable}, 15, 25},
		"server":       {&matomo.Error{Kind: matomo.ServerFailure}, 15, 25},
		"wrong token":  {&matomo.Error{Kind: matomo.BadToken}, 60, 130}, // costs no request
		"locked":       {&matomo.Error{Kind: matomo.LockedOut}, 2, 3},
		"rate limit":   {&matomo.Error{Kind: matomo.RateLimited, RetryAfter: 5 * time.Minute}, 2, 3},
		"endless hint": {&matomo.Error{Kind: matomo.RateLimited, RetryAfter: 24 * time.Hour}, 1, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if n := probes(newBreaker(t), fmt.Errorf("read: %w", test.failure), 10*time.Minute); n < test.least || n > test.most {
					t.Errorf("%d probes in ten minutes, want %d to %d", n, test.least, test.most)
				}
			})
		})
	}
}

// An endless Retry-After does not keep leavers waiting for a day.
func TestBreaker_PausesAtMostAQuarterOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t)
		done, _, err := b.Allow(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		done(&matomo.Error{Kind: matomo.RateLimited, RetryAfter: 24 * time.Hour})
		if _, wait, err := b.Allow(time.Now()); !errors.Is(err, vitals.ErrPaused) || wait > 15*time.Minute {
			t.Errorf("wait %v, %v", wait, err)
		}
	})
}

func TestBreaker_SuccessClosesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t)
		probes(b, &matomo.Error{Kind: matomo.Unreachable}, 10*time.Minute)
		time.Sleep(time.Minute)
		done, _, err := b.Allow(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Allow(time.Now()); err == nil {
			t.Error("two probes at once")
		}
		done(nil)
		for range 3 {
			if done, _, err := b.Allow(time.Now()); err != nil {
				t.Errorf("closed, and %v", err)
			} else {
				done(nil)
			}
		}
	})
}

// A pass that did not ask the target, or was stopped, says nothing about it.
func TestBreaker_NothingAskedSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t)
		done, _, _ := b.Allow(time.Now())
		done(&matomo.Error{Kind: matomo.Unreachable})
		time.Sleep(6 * time.Second)
		idle, _, err := b.Allow(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		idle(vitals.ErrNotAsked)
		probe, _, err := b.Allow(time.Now())
		if err != nil {
			t.Fatalf("an idle look used up the probe: %v", err)
		}
		if _, _, err := b.Allow(time.Now()); err == nil {
			t.Error("an idle look closed the circuit")
		}
		probe(nil)
	})
}

// A failure of our own, or of one person, never opens it.
func TestTargetFailure_IsOfTheInstanceOnly(t *testing.T) {
	for _, err := range []error{
		nil, errors.New("database"), &matomo.Error{Kind: matomo.DuplicateEmail}, &matomo.Error{Kind: matomo.WrongPassword},
		&matomo.Error{Kind: matomo.NeedsPassword}, &matomo.Error{Kind: matomo.Skipped},
	} {
		if f := vitals.TargetFailure(err); f != nil {
			t.Errorf("%v is a failure of the instance", err)
		}
	}
	if f := vitals.TargetFailure(fmt.Errorf("read: %w", &matomo.Error{Kind: matomo.BadToken})); f == nil || f.Kind != matomo.BadToken {
		t.Errorf("a refused token is %v", f)
	}
}

func TestRemedy_IsThereForEveryFailureOfATarget(t *testing.T) {
	for _, kind := range []matomo.ErrorKind{
		matomo.BadToken, matomo.NoPermission, matomo.WrongPassword, matomo.SecretMissing, matomo.LockedOut, matomo.Maintenance,
		matomo.RateLimited, matomo.Redirected, matomo.IPRefused, matomo.UsersDisabled, matomo.Unreachable, matomo.ServerFailure, matomo.Malformed,
	} {
		if vitals.Remedy(kind) == "" {
			t.Errorf("%s: nobody is told what to do", kind)
		}
	}
}

func TestActionOf_KnowsEveryStep(t *testing.T) {
	want := map[matomo.StepKind]string{
		matomo.AddUser: "user_create", matomo.InviteUser: "user_create", matomo.SetLdapUser: "user_update", matomo.DeleteUser: "user_delete",
		matomo.RevokeTokens: "token_revoke", matomo.Demote: "superuser_revoke", matomo.SetAccess: "grant", matomo.RemoveAccess: "revoke",
		matomo.SetEmail: "user_update", matomo.Promote: "superuser_grant", matomo.RandomPassword: "user_suspend", matomo.Logout: "session_logout",
	}
	for kind, action := range want {
		if got := vitals.ActionOf(matomo.Step{Kind: kind}); got != action {
			t.Errorf("%s is counted as %s, want %s", kind, got, action)
		}
	}
}

func TestBlockedAction(t *testing.T) {
	there := &matomo.Account{Exists: true}
	admin := &matomo.Account{Exists: true, Access: access.Access{Superuser: true}}
	wants := matomo.Want{Access: access.Access{Superuser: true}}
	tests := []struct {
		c    course.Case
		want string
	}{
		{course.Case{Outcome: course.Outcome{Reason: "unknown_site"}}, "grant"},
		{course.Case{Outcome: course.Outcome{Reason: "tokens_live"}}, "token_revoke"},
		{course.Case{Outcome: course.Outcome{Reason: "login_invalid"}}, "user_create"},
		{course.Case{Outcome: course.Outcome{Reason: "email_invalid"}, Account: there}, "user_update"},
		{course.Case{Outcome: course.Outcome{Reason: "needs_password"}, Account: there}, "user_update"},
		{course.Case{Outcome: course.Outcome{Reason: "needs_password"}, Account: there, Want: wants}, "superuser_grant"},
		{course.Case{Outcome: course.Outcome{Reason: "needs_password"}, Account: admin}, "superuser_revoke"},
	}
	for _, test := range tests {
		if got := vitals.BlockedAction(&test.c); got != test.want {
			t.Errorf("%s is counted as %s, want %s", test.c.Reason, got, test.want)
		}
	}
}

// What the rows say is there from the first scrape, and registered once.
func TestNew_ShowsTheRows(t *testing.T) {
	db := databasetest.SQLite(t)
	reg := prometheus.NewRegistry()
	if _, err := vitals.New(reg, bindings.New(db), []string{"main"}, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	has := func() bool {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "scim_bridge_queue_depth" {
				return true
			}
		}
		return false
	}
	if !has() {
		t.Error("no queue depth")
	}
	if _, err := vitals.New(reg, bindings.New(db), nil, zap.NewNop()); err == nil {
		t.Error("the same metrics twice")
	}
}
