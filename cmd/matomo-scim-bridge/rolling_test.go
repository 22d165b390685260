package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/matomo-scim/bridge/internal/database/databasetest"
	"github.com/matomo-scim/bridge/internal/testserver"
)

// replica is one of several processes on one database.
type replica struct {
	config, address string
	process         *exec.Cmd
	proxy           *httputil.ReverseProxy
	sent            atomic.Int64 // requests that the balancer has sent here
}

// balancer sends each request to a replica that is ready at that moment, in turn.
type balancer struct {
	replicas []*replica
	next     atomic.Int64
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first := int(b.next.Add(1))
	for i := range b.replicas {
		to := b.replicas[(first+i)%len(b.replicas)]
		if to.ready() {
			to.sent.Add(1)
			to.proxy.ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "no replica is ready", http.StatusBadGateway)
}

// ready asks as load balancers do.
func (r *replica) ready() bool { return r.says(http.StatusOK) }

// says reports whether the readiness probe is answered with status.
func (r *replica) says(status int) bool {
	resp, err := http.Get("http://" + r.address + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == status
}

// start runs the replica until it is ready.
func (r *replica) start(w *crashWorld) {
	w.t.Helper()
	r.process = exec.Command("matomo-scim-bridge", "-c", r.config, "serve")
	r.process.Stderr = os.Stderr
	if err := r.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.until("a replica is ready", r.ready)
}

// until waits for something that a process does.
func (w *crashWorld) until(what string, is func() bool) {
	w.t.Helper()
	for range 24_000 {
		if is() {
			return
		}
		pause()
	}
	w.t.Fatalf("waited in vain: %s", what)
}

// TestServe_RollingRestart restarts two replicas in turn under clients that write all the
// time, behind a load balancer that asks /readyz. Nobody sees a failure, and Matomo holds what
// was acknowledged.
func TestServe_RollingRestart(t *testing.T) {
	var database string
	for _, e := range databasetest.Engines() {
		if e.Name == "postgres" {
			database = e.Address(t)
		}
	}
	if database == "" {
		t.Skip("several replicas need PostgreSQL, and TEST_ENGINES leaves it out")
	}
	w := newWorldOn(t, database)
	// What happens between two lines of the balancer must fit into the drain, on a busy machine too.
	b := &balancer{replicas: w.replicas(2, "drain: 4s, ")}
	for _, r := range b.replicas {
		r.start(w)
		defer func() { _ = r.process.Process.Kill() }()
	}
	front := httptest.NewServer(b)
	defer front.Close()
	w.scim = strings.TrimPrefix(front.URL, "http://")
	w.createGroups()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for i := range 3 {
		people, rnd := w.newPeople(i, 5), rand.New(rand.NewPCG(7, uint64(i)))
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := w.change(rnd, people[rnd.IntN(len(people))]); err != nil {
					t.Errorf("a client saw: %v", err)
					return
				}
			}
		})
	}
	for _, r := range b.replicas {
		before := r.sent.Load()
		w.until("requests reach each replica", func() bool { return r.sent.Load() > before+20 })
		if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		w.until("a replica says that it stops", func() bool { return r.says(http.StatusServiceUnavailable) })
		if err := r.process.Wait(); err != nil {
			t.Errorf("a replica that was told to stop: %v", err)
		}
		r.start(w)
	}
	cancel()
	wg.Wait()
	w.awaitIdle()
	w.compare()
}

// replicas are n configurations like the one of w, with keys of their own under listen. The
// first listens where w looks for metrics.
func (w *crashWorld) replicas(n int, listen string) []*replica {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "bridge.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	var out []*replica
	for i := range n {
		scim, metrics := testserver.FreeAddress(w.t), w.admin
		if i > 0 {
			metrics = testserver.FreeAddress(w.t)
		}
		name := fmt.Sprintf("replica%d.yaml", i)
		w.write(name, strings.NewReplacer("listen: {", "listen: {"+listen, w.scim, scim, w.admin, metrics).Replace(string(text)))
		out = append(out, &replica{
			config: filepath.Join(w.dir, name), address: scim,
			proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: scim}),
		})
	}
	return out
}
