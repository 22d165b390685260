package app

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/directory"
)

// BenchmarkPropagation measures accepted to verified on an idle bridge: one
// joiner at a time, every call to Matomo taking 20 ms.
//
//	go test ./internal/app -run - -bench Propagation -benchtime 300x
func BenchmarkPropagation(b *testing.B) {
	a := benchApp(b, 20*time.Millisecond)
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

// benchApp is a running bridge on SQLite and a stand-in whose calls take
// latency.
func benchApp(b *testing.B, latency time.Duration) *App {
	b.Helper()
	sim := NewSimulator(SimulatorOptions{Plugin: true, ForgetCalls: true})
	SlowDown(sim, latency)
	srv := httptest.NewServer(sim)
	b.Cleanup(srv.Close)
	dir := b.TempDir()
	for name, text := range map[string]string{
		"rules.ini": "[RoleMapping]\ngroup[Analysts] = \"site:1:write, site:2:view\"\n",
		"token":     sim.Token(),
		"password":  sim.Password(),
		"bridge.yaml": fmt.Sprintf(`listen: {scim: "127.0.0.1:0", metrics: "127.0.0.1:0"}
targets:
  - {name: main, url: %q, login: bridge, token_file: token, password_file: password, mode: enforce, requests_per_minute: 0}
mapping: {files: [rules.ini]}
`, srv.URL+"/"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "bridge.yaml"), os.Getenv)
	if err != nil {
		b.Fatal(err)
	}
	opt := Options{Logger: zap.NewNop(), Version: "bench"}
	services, err := Open(b.Context(), cfg, opt)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := services.Directory.CreateCredential(b.Context(), "bench", "scim"); err != nil {
		b.Fatal(err)
	}
	services.Close()
	a, err := New(b.Context(), cfg, opt)
	if err != nil {
		b.Fatal(err)
	}
	a.Start(b.Context())
	b.Cleanup(func() { a.Stop(context.Background()) })
	return a
}
