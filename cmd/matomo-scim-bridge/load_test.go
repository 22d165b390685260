package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/testserver"
)

// The load figures of docs/performance.md: the program as operators run it, in
// a process of its own, against a stand-in Matomo in another, with the load
// generator on the same machine.
//
//	go test ./cmd/matomo-scim-bridge -run - -bench Load -benchtime 1x -timeout 60m

// loadUsers is the size of the directory that BenchmarkLoad fills, loadAccounts
// how many of them get an account in Matomo.
const (
	loadUsers    = 100_000
	loadAccounts = 10_000
)

// loadWorld is a bridge and a Matomo, each in a process.
type loadWorld struct {
	crashWorld

	pid int
}

// BenchmarkLoad fills a bridge with 100,000 people, makes accounts for 10,000 of
// them, and reports creates and look-ups a second, the time of one membership change
// in small and large groups, and the peak memory of the bridge including a full
// compare.
func BenchmarkLoad(b *testing.B) {
	w := newLoadWorld(b)
	ids := w.createUsers(b, 0, 1000)
	b.ReportMetric(w.lookups(b, 1000, 20_000), "lookups-of-1000/s")
	started := time.Now()
	ids = append(ids, w.createUsers(b, 1000, loadUsers-1000)...)
	b.ReportMetric((loadUsers-1000)/time.Since(started).Seconds(), "creates/s")
	b.ReportMetric(w.lookups(b, loadUsers, 20_000), "lookups-of-100000/s")
	b.ReportMetric(w.peakMemory(b), "peak-MB-users")
	small, large := w.group(b, "Small"), w.group(b, "Large")
	w.addMembers(b, small, ids[:10])
	w.addMembers(b, large, ids[:10_000])
	for name, group := range map[string]string{"10": small, "10000": large} {
		p50, p99 := w.memberTimes(b, group, ids[20_000:21_000])
		b.ReportMetric(p50, "add-to-"+name+"-p50-ms")
		b.ReportMetric(p99, "add-to-"+name+"-p99-ms")
	}
	analysts := w.group(b, "Analysts")
	w.addMembers(b, analysts, ids[:loadAccounts])
	started = time.Now()
	w.awaitQuiet(b, 20*time.Minute)
	b.ReportMetric(loadAccounts/time.Since(started).Seconds(), "accounts/s")
	b.ReportMetric(w.peakMemory(b), "peak-MB-accounts")
	w.awaitCompare(b)
	b.ReportMetric(w.peakMemory(b), "peak-MB-compare")
	b.ReportMetric(0, "ns/op")
}

// newLoadWorld starts both processes.
func newLoadWorld(b *testing.B) *loadWorld {
	b.Helper()
	w := &loadWorld{}
	w.t, w.dir, w.scim, w.admin = b, b.TempDir(), testserver.FreeAddress(b), testserver.FreeAddress(b)
	w.groups = map[string]string{}
	w.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	matomo := testserver.FreeAddress(b)
	sim := exec.Command("matomo-scim-bridge", "simulate", "--listen", matomo, "--token", "0123456789abcdef0123456789abcdef",
		"--password", "correct-horse", "--plugin", "--forget")
	if err := sim.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = sim.Process.Kill(); _ = sim.Wait() })
	w.write("rules.ini", crashRules)
	w.write("token", "0123456789abcdef0123456789abcdef")
	w.write("password", "correct-horse")
	w.write("bridge.yaml", fmt.Sprintf(`listen: {scim: %q, metrics: %q}
database: {url: %q}
targets:
  - {name: main, url: "http://%s/", login: bridge, token_file: token, password_file: password, mode: enforce, requests_per_minute: 0}
mapping: {files: [rules.ini]}
reconcile: {settle: 0s, full_compare: 1m}
`, w.scim, w.admin, "sqlite:bridge.db", matomo))
	out, err := w.command("credential", "create", "test").Output()
	if err != nil {
		b.Fatalf("credential create: %v", err)
	}
	w.secret = strings.TrimSpace(string(out))
	kill := w.start()
	b.Cleanup(kill)
	w.pid = w.process.Process.Pid
	return w
}

// createUsers posts n users, numbered from first, from 32 clients and returns
// their ids.
func (w *loadWorld) createUsers(b *testing.B, first, n int) []string {
	b.Helper()
	ids := make([]string, n)
	w.parallel(n, func(i int) { ids[i] = w.createUser(fmt.Sprintf("user%d@example.org", first+i)) })
	return ids
}

func (w *loadWorld) createUser(name string) string {
	out := w.must(http.MethodPost, "/Users", map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name, "externalId": "ext-" + name, "active": true, "displayName": name,
		"name":   map[string]any{"givenName": "Some", "familyName": "Body"},
		"emails": []any{map[string]any{"value": name, "type": "work", "primary": true}},
	}, http.StatusCreated)
	id, _ := out["id"].(string)
	return id
}

// parallel runs fn for 0 to n-1 on 32 goroutines.
func (w *loadWorld) parallel(n int, fn func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// lookups returns how many look-ups by userName a second were answered.
func (w *loadWorld) lookups(b *testing.B, users, n int) float64 {
	b.Helper()
	started := time.Now()
	w.parallel(n, func(int) {
		name := fmt.Sprintf("user%d@example.org", rand.IntN(users))
		w.must(http.MethodGet, "/Users?filter="+url.QueryEscape(`userName eq "`+name+`"`), nil, http.StatusOK)
	})
	return float64(n) / time.Since(started).Seconds()
}

// group creates a group and returns its id.
func (w *loadWorld) group(b *testing.B, name string) string {
	b.Helper()
	id, _ := w.must(http.MethodPost, "/Groups", map[string]any{"displayName": name}, http.StatusCreated)["id"].(string)
	return id
}

// addMembers adds ids in requests of 1,000.
func (w *loadWorld) addMembers(b *testing.B, group string, ids []string) {
	b.Helper()
	for part := range slices.Chunk(ids, 1000) {
		values := make([]any, len(part))
		for i, id := range part {
			values[i] = map[string]any{"value": id}
		}
		err := w.patch("/Groups/"+group, map[string]any{"op": "add", "path": "members", "value": values})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// memberTimes adds ids one by one and returns median and 99th percentile in
// milliseconds.
func (w *loadWorld) memberTimes(b *testing.B, group string, ids []string) (p50, p99 float64) {
	b.Helper()
	times := make([]float64, 0, len(ids))
	for _, id := range ids {
		started := time.Now()
		w.addMembers(b, group, []string{id})
		times = append(times, float64(time.Since(started).Microseconds())/1000)
	}
	slices.Sort(times)
	return times[len(times)/2], times[len(times)*99/100]
}

// awaitQuiet waits until nothing is due.
func (w *loadWorld) awaitQuiet(b *testing.B, patience time.Duration) {
	b.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); pause() {
		if w.quiet() {
			return
		}
	}
	b.Fatal("the bridge did not come to rest")
}

// awaitCompare waits for a full compare that begins from now on.
func (w *loadWorld) awaitCompare(b *testing.B) {
	b.Helper()
	before := w.metric("scim_bridge_reconcile_runs_total{result=\"noop\",target=\"main\",trigger=\"interval\"}")
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); pause() {
		if w.metric("scim_bridge_reconcile_runs_total{result=\"noop\",target=\"main\",trigger=\"interval\"}") > before {
			return
		}
	}
	b.Fatal("no full compare")
}

// peakMemory is the largest resident size the bridge has had, in MB.
func (w *loadWorld) peakMemory(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(w.pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
