package app

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/directory"
)

// BenchmarkPropagation measures accepted to verified on an idle bridge: one
// joiner at a time, every call to Matomo taking 20 ms.
//
//	go test ./internal/app -run - -bench Propagation -benchtime 300x
func BenchmarkPropagation(b *testing.B) {
	a, sim, _ := startApp(b, "[RoleMapping]\ngroup[Analysts] = \"site:1:write, site:2:view\"\n")
	SlowDown(sim, 20*time.Millisecond)
	ctx := b.Context()
	actor := directory.Actor{Credential: "bench", Source: "scim"}
	group, err := a.Directory.CreateGroup(ctx, actor, map[string]any{"displayName": "Analysts"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	var times []float64
	for i := 0; b.Loop(); i++ {
		u, err := a.Directory.CreateUser(ctx, actor, map[string]any{"userName": fmt.Sprintf("u%d@example.org", i), "active": true})
		if err != nil {
			b.Fatal(err)
		}
		awaitVerified(b, a, u.Subject)
		started := time.Now()
		op := directory.MemberOp{Kind: directory.Add, Values: []string{u.ID}}
		if _, _, err := a.Directory.UpdateGroup(ctx, actor, group.ID, nil, nil, []directory.MemberOp{op}); err != nil {
			b.Fatal(err)
		}
		awaitVerified(b, a, u.Subject)
		times = append(times, float64(time.Since(started).Microseconds())/1000)
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2], "p50-ms")
	b.ReportMetric(times[len(times)*99/100], "p99-ms")
}

// awaitVerified waits until Matomo was read back for a person.
func awaitVerified(b *testing.B, a *App, subject string) {
	b.Helper()
	for range 20_000 {
		list, err := a.Bindings.BySubject(context.Background(), subject)
		if err != nil {
			b.Fatal(err)
		}
		if len(list) == 1 && list[0].Observed == list[0].Generation && list[0].DueAt == nil {
			return
		}
		<-time.After(500 * time.Microsecond)
	}
	b.Fatal("never verified")
}
