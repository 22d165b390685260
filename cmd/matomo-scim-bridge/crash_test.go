package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/testserver"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// pause is what polling loops of these tests wait between two looks at a
// process: it has no channel to wait on.
func pause() { <-time.After(5 * time.Millisecond) }

const crashRules = `[RoleMapping]
group[Analysts] = "site:1:write, site:2:view"
group[Editors] = "site:2:admin, site:3:view"
`

// crashWorld is a bridge in a process of its own, which is killed again and
// again, and a Matomo that stays.
type crashWorld struct {
	t       testing.TB
	process *exec.Cmd
	dir     string
	scim    string
	admin   string
	secret  string
	matomo  *matomotest.Server
	groups  map[string]string // name -> id
	people  []*crashPerson
	client  *http.Client

	mu   sync.Mutex          // guards hook
	hook func(answered bool) // called before and after Matomo's part of each request, when set
}

// ServeHTTP is the Matomo of this world.
func (w *crashWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	hook := w.hook
	w.mu.Unlock()
	if hook == nil {
		w.matomo.ServeHTTP(rw, r)
		return
	}
	hook(false)
	w.matomo.ServeHTTP(rw, r)
	hook(true)
}

// onRequest sets the hook; nil removes it.
func (w *crashWorld) onRequest(hook func(answered bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

// crashPerson is one person and what was acknowledged about them.
type crashPerson struct {
	name, id string
	active   bool
	groups   map[string]bool
}

// TestCrash kills the bridge with SIGKILL at random moments while requests
// stream in. After the last restart Matomo must hold exactly what was
// acknowledged (I8, level-triggered reconciliation).
func TestCrash(t *testing.T) {
	w := newCrashWorld(t)
	for round := range 4 {
		stop := w.start()
		if round == 0 {
			w.createGroups()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 4 {
			people := w.newPeople(round*4+i, 6)
			rnd := rand.New(rand.NewPCG(uint64(round), uint64(i)))
			wg.Go(func() { w.live(ctx, rnd, people) })
		}
		<-time.After(time.Duration(200+rand.IntN(600)) * time.Millisecond)
		stop() // SIGKILL
		cancel()
		wg.Wait()
	}
	stop := w.start()
	defer stop()
	w.settleDoubts()
	w.awaitIdle()
	w.compare()
}

// newCrashWorld writes a configuration and makes a credential.
func newCrashWorld(t *testing.T) *crashWorld {
	t.Helper()
	return newWorldOn(t, "sqlite:bridge.db")
}

// newWorldOn is newCrashWorld on a database.
func newWorldOn(t *testing.T, database string) *crashWorld {
	t.Helper()
	w := &crashWorld{
		t: t, dir: t.TempDir(), scim: testserver.FreeAddress(t), admin: testserver.FreeAddress(t), groups: map[string]string{},
		matomo: matomotest.New(matomotest.Options{Plugin: true}), client: &http.Client{Timeout: 10 * time.Second},
	}
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	w.write("rules.ini", crashRules)
	w.write("token", w.matomo.Token())
	w.write("password", w.matomo.Password())
	w.write("bridge.yaml", fmt.Sprintf(`listen: {scim: %q, metrics: %q}
log: {level: error}
database: {url: %q}
targets:
  - {name: main, url: %q, login: bridge, token_file: token, password_file: password, mode: enforce, requests_per_minute: 0}
mapping: {files: [rules.ini]}
reconcile: {settle: 0s}
`, w.scim, w.admin, database, srv.URL+"/"))
	out, err := w.command("credential", "create", "test").Output()
	if err != nil {
		t.Fatalf("credential create: %v", err)
	}
	w.secret = strings.TrimSpace(string(out))
	return w
}

func (w *crashWorld) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// command is the program with arguments.
func (w *crashWorld) command(args ...string) *exec.Cmd {
	return exec.Command("matomo-scim-bridge", append([]string{"-c", filepath.Join(w.dir, "bridge.yaml")}, args...)...)
}

// start runs serve until the returned function kills it.
func (w *crashWorld) start() (kill func()) {
	w.t.Helper()
	cmd := w.command("serve")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.process = cmd
	for range 4000 {
		resp, err := w.client.Get("http://" + w.scim + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return func() {
					_ = cmd.Process.Kill()
					_ = cmd.Wait()
				}
			}
		}
		pause()
	}
	_ = cmd.Process.Kill()
	w.t.Fatalf("the bridge did not start:\n%s", log.String())
	return nil
}

// do sends a request; an error means that nobody knows whether it counted.
func (w *crashWorld) do(method, path string, body any) (map[string]any, int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequest(method, "http://"+w.scim+"/scim/v2"+path, bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+w.secret)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, err
	}
	var out map[string]any
	if len(answer) > 0 {
		err = json.Unmarshal(answer, &out)
	}
	return out, resp.StatusCode, err
}

// must is do for a bridge that is up.
func (w *crashWorld) must(method, path string, body any, want ...int) map[string]any {
	w.t.Helper()
	out, status, err := w.do(method, path, body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	if slices.Contains(want, status) {
		return out
	}
	w.t.Fatalf("%s %s: status %d: %v", method, path, status, out)
	return nil
}

func (w *crashWorld) createGroups() {
	w.t.Helper()
	for _, name := range []string{"Analysts", "Editors"} {
		out := w.must(http.MethodPost, "/Groups", map[string]any{"displayName": name}, http.StatusCreated)
		w.groups[name], _ = out["id"].(string)
	}
}

// newPeople adds people that one client works on.
func (w *crashWorld) newPeople(client, n int) []*crashPerson {
	var out []*crashPerson
	for i := range n {
		out = append(out, &crashPerson{name: fmt.Sprintf("p%d-%d@example.org", client, i), groups: map[string]bool{}})
	}
	w.people = append(w.people, out...)
	return out
}

// live sends random changes until the bridge is gone.
func (w *crashWorld) live(ctx context.Context, rnd *rand.Rand, people []*crashPerson) {
	for ctx.Err() == nil {
		p := people[rnd.IntN(len(people))]
		if err := w.change(rnd, p); err != nil {
			return
		}
	}
}

// change sends one change and notes it when it was acknowledged.
func (w *crashWorld) change(rnd *rand.Rand, p *crashPerson) error {
	switch {
	case p.id == "":
		return w.ensure(p)
	case rnd.IntN(4) == 0:
		return w.setActive(p, !p.active)
	default:
		group := [...]string{"Analysts", "Editors"}[rnd.IntN(2)]
		return w.setMember(p, group, !p.groups[group])
	}
}

// ensure creates a person, or finds the one that an unanswered request made.
func (w *crashWorld) ensure(p *crashPerson) error {
	out, status, err := w.do(http.MethodPost, "/Users", map[string]any{"userName": p.name, "externalId": p.name, "active": true})
	if err != nil {
		return err
	}
	if status == http.StatusConflict {
		found, _, err := w.do(http.MethodGet, "/Users?filter="+url.QueryEscape(`userName eq "`+p.name+`"`), nil)
		if err != nil {
			return err
		}
		list, _ := found["Resources"].([]any)
		if len(list) != 1 {
			return fmt.Errorf("%s: 409 and %d found", p.name, len(list))
		}
		out, _ = list[0].(map[string]any)
	} else if status != http.StatusCreated {
		return fmt.Errorf("create %s: %d", p.name, status)
	}
	p.id, _ = out["id"].(string)
	p.active = true
	return nil
}

// errDoubt marks a change whose answer did not come.
var errDoubt = errors.New("no answer")

func (w *crashWorld) patch(path string, op map[string]any) error {
	_, status, err := w.do(http.MethodPatch, path, map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{op},
	})
	switch {
	case err != nil:
		return errors.Join(errDoubt, err)
	case status != http.StatusOK && status != http.StatusNoContent:
		return fmt.Errorf("PATCH %s: %d", path, status)
	}
	return nil
}

func (w *crashWorld) setActive(p *crashPerson, active bool) error {
	err := w.patch("/Users/"+p.id, map[string]any{"op": "replace", "path": "active", "value": active})
	if err == nil {
		p.active = active
	}
	return err
}

func (w *crashWorld) setMember(p *crashPerson, group string, member bool) error {
	op := map[string]any{"op": "add", "path": "members", "value": []any{map[string]any{"value": p.id}}}
	if !member {
		op["op"] = "remove"
	}
	err := w.patch("/Groups/"+w.groups[group], op)
	if err == nil {
		p.groups[group] = member
	}
	return err
}

// settleDoubts sends what was acknowledged once more, so that a request whose
// answer was lost does not count as a difference.
func (w *crashWorld) settleDoubts() {
	w.t.Helper()
	for _, p := range w.people {
		if p.id == "" {
			if err := w.ensure(p); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := w.setActive(p, p.active); err != nil {
			w.t.Fatal(err)
		}
		for _, group := range []string{"Analysts", "Editors"} {
			if err := w.setMember(p, group, p.groups[group]); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// awaitIdle waits until nothing is due.
func (w *crashWorld) awaitIdle() {
	w.t.Helper()
	for range 6000 {
		if w.quiet() {
			return
		}
		pause()
	}
	w.t.Fatal("the bridge did not come to rest")
}

// quiet reports whether nothing is due and nobody is on their way.
func (w *crashWorld) quiet() bool {
	w.t.Helper()
	text := w.metrics()
	for _, want := range []string{
		`scim_bridge_queue_depth{target="main"} 0`,
		`scim_bridge_bindings{state="pending",target="main"} 0`,
		`scim_bridge_bindings{state="revoked",target="main"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			return false
		}
	}
	return true
}

// metrics scrapes the bridge.
func (w *crashWorld) metrics() string {
	w.t.Helper()
	resp, err := w.client.Get("http://" + w.admin + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// metric is the value of one series; 0 when it is not there.
func (w *crashWorld) metric(series string) float64 {
	w.t.Helper()
	_, rest, ok := strings.Cut(w.metrics(), series+" ")
	if !ok {
		return 0
	}
	text, _, _ := strings.Cut(rest, "\n")
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return value
}

// compare looks at every person in Matomo.
func (w *crashWorld) compare() {
	w.t.Helper()
	for _, p := range w.people {
		want := "none"
		switch {
		case !p.active || !p.groups["Analysts"] && !p.groups["Editors"]:
		case p.groups["Analysts"] && p.groups["Editors"]:
			want = "1:write, 2:admin, 3:view"
		case p.groups["Analysts"]:
			want = "1:write, 2:view"
		default:
			want = "2:admin, 3:view"
		}
		got := "none"
		if a := w.matomo.Access(p.name); !a.Empty() {
			got = a.String()
		}
		if got != want {
			w.t.Errorf("%s (active %v, groups %v) has %q in Matomo, want %q", p.name, p.active, p.groups, got, want)
		}
	}
}
