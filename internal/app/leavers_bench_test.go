package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/directory"
)

// leaversAtOnce is how many people leave together.
const leaversAtOnce = 50

// BenchmarkLeavers lets fifty people with a token each leave at once, every request
// to Matomo taking 20 ms, and measures from the accepted event to a read-back that
// shows no access and no live token (revoked), and to the end of the second phase
// (done).
//
//	go test ./internal/app -run - -bench Leavers -benchtime 3x
func BenchmarkLeavers(b *testing.B) {
	for _, perMinute := range []int{0, 100} {
		b.Run(fmt.Sprintf("per_minute=%d", perMinute), func(b *testing.B) {
			var revoked, done []float64
			for b.Loop() {
				r, d := leaveTogether(b, perMinute)
				revoked, done = append(revoked, r...), append(done, d...)
			}
			slices.Sort(revoked)
			slices.Sort(done)
			b.ReportMetric(revoked[len(revoked)/2], "revoked-p50-s")
			b.ReportMetric(revoked[len(revoked)*99/100], "revoked-p99-s")
			b.ReportMetric(done[len(done)*99/100], "done-p99-s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// leaveTogether prepares people with access and a token on a bridge of their own,
// then lets all of them leave, and returns the seconds to revoked and to done.
func leaveTogether(tb testing.TB, perMinute int) (revoked, done []float64) {
	tb.Helper()
	a, sim, people := crowd(tb, perMinute)
	ctx := context.Background()
	SlowDown(sim, 20*time.Millisecond)
	var wg sync.WaitGroup
	for _, u := range people {
		wg.Go(func() {
			_, _, err := a.Directory.UpdateUser(ctx, tokenActor, u.ID, nil, func(_ directory.User, doc map[string]any) (map[string]any, error) {
				doc["active"] = false
				return doc, nil
			})
			if err != nil {
				tb.Error(err)
			}
		})
	}
	wg.Wait()
	open := slices.Clone(people)
	for end := time.Now().Add(time.Minute); len(open) > 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%d people have not left", len(open))
		}
		open = slices.DeleteFunc(open, func(u directory.User) bool {
			list, err := a.Bindings.BySubject(ctx, u.Subject)
			if err != nil || len(list) != 1 {
				tb.Fatalf("%d bindings, %v", len(list), err)
			}
			b := list[0]
			if b.State != bindings.Done {
				return false
			}
			if len(sim.Tokens(b.Login)) > 0 || !sim.Access(b.Login).Empty() {
				tb.Errorf("%s is done and has something left", b.Login)
			}
			revoked = append(revoked, b.RevokedAt.Sub(*b.LeftAt).Seconds())
			done = append(done, time.Since(*b.LeftAt).Seconds())
			return true
		})
	}
	return revoked, done
}

// crowd is a running bridge and people who have access and a token. Nothing limits
// the requests before they leave: their place is taken when they do.
func crowd(tb testing.TB, perMinute int) (*App, *Simulator, []directory.User) {
	tb.Helper()
	a, sim, _ := startApp(tb, "[RoleMapping]\ngroup[Analysts] = \"site:1:write, site:2:view\"\n", targetKeys(fmt.Sprintf("requests_per_minute: %d", perMinute)))
	ctx := context.Background()
	var people []directory.User
	var ids []string
	for i := range leaversAtOnce {
		u, err := a.Directory.CreateUser(ctx, tokenActor, map[string]any{"userName": fmt.Sprintf("leaver%d@example.org", i), "active": true})
		if err != nil {
			tb.Fatal(err)
		}
		people, ids = append(people, u), append(ids, u.ID)
	}
	if _, err := a.Directory.CreateGroup(ctx, tokenActor, map[string]any{"displayName": "Analysts"}, ids); err != nil {
		tb.Fatal(err)
	}
	for _, u := range people {
		for range 20_000 {
			list, err := a.Bindings.BySubject(ctx, u.Subject)
			if err != nil {
				tb.Fatal(err)
			}
			if len(list) == 1 && list[0].State == bindings.Converged && list[0].DueAt == nil && list[0].Login != "" {
				break
			}
			<-time.After(5 * time.Millisecond)
		}
		sim.SetPassword(u.UserName, "a-known-password")
		if _, err := sim.MintToken(u.UserName, "a-known-password"); err != nil {
			tb.Fatal(err)
		}
	}
	return a, sim, people
}
