package app

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// soakFor is how long TestSoak runs: make soak SOAK=30m.
var soakFor = flag.Duration("soak", 2*time.Second, "how long TestSoak runs")

// soakPerson is one person and what was acknowledged about them.
type soakPerson struct {
	name, id string
	active   bool
	groups   map[string]bool
}

// TestSoak lives with a whole bridge for a while: several clients of one
// provider change people and groups, Matomo fails in every way it can, accounts
// are changed by hand. When the faults end, Matomo must hold what was
// acknowledged, nothing may be due, and the audit chain must be whole.
func TestSoak(t *testing.T) {
	w := newSoakWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor)
	defer cancel()
	var crowds [4][]*soakPerson
	for i := range crowds {
		crowds[i] = w.newPeople(i, 8)
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.misbehave(ctx) })
	for i, people := range crowds {
		wg.Go(func() { w.live(ctx, rand.New(rand.NewPCG(1, uint64(i))), people) })
	}
	wg.Wait()
	w.sim.ClearFaults()
	w.sim.ClearFailedLogins()
	w.awaitAgreement()
	report, err := w.app.Audit.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("audit: %s", p)
	}
}

// soakWorld is a running bridge, its Matomo and its people.
type soakWorld struct {
	t      *testing.T
	app    *App
	sim    *Simulator
	secret string
	groups map[string]string
	people []*soakPerson
	client *http.Client
}

func newSoakWorld(t *testing.T) *soakWorld {
	t.Helper()
	w := &soakWorld{t: t, groups: map[string]string{}, client: &http.Client{Timeout: 30 * time.Second}}
	w.app, w.sim, w.secret = startApp(t, `[RoleMapping]
group[Analysts] = "site:1:write, site:2:view"
group[Editors] = "site:2:admin, site:3:view"
`)
	for _, name := range []string{"Analysts", "Editors"} {
		out, status := w.do(http.MethodPost, "/Groups", map[string]any{"displayName": name})
		if status != http.StatusCreated {
			t.Fatalf("create group: %d %v", status, out)
		}
		w.groups[name], _ = out["id"].(string)
	}
	return w
}

// newPeople adds people that one client works on.
func (w *soakWorld) newPeople(client, n int) []*soakPerson {
	var out []*soakPerson
	for i := range n {
		out = append(out, &soakPerson{name: fmt.Sprintf("p%d-%d@example.org", client, i), groups: map[string]bool{}})
	}
	w.people = append(w.people, out...)
	return out
}

// do sends one request.
func (w *soakWorld) do(method, path string, body any) (map[string]any, int) {
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Error(err)
		return nil, 0
	}
	req, err := http.NewRequest(method, "http://"+w.app.SCIMAddr()+"/scim/v2"+path, bytes.NewReader(data))
	if err != nil {
		w.t.Error(err)
		return nil, 0
	}
	req.Header.Set("Authorization", "Bearer "+w.secret)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
		return nil, 0
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Error(err)
	}
	var out map[string]any
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &out); err != nil {
			w.t.Errorf("%s %s: %d: %v", method, path, resp.StatusCode, err)
		}
	}
	return out, resp.StatusCode
}

// live changes its people until ctx is done. Whatever Matomo does, every
// request must be accepted.
func (w *soakWorld) live(ctx context.Context, rnd *rand.Rand, people []*soakPerson) {
	for ctx.Err() == nil && !w.t.Failed() {
		p := people[rnd.IntN(len(people))]
		var status int
		switch {
		case p.id == "":
			var out map[string]any
			out, status = w.do(http.MethodPost, "/Users", map[string]any{"userName": p.name, "externalId": p.name, "active": true})
			p.id, _ = out["id"].(string)
			p.active = true
		case rnd.IntN(5) == 0:
			p.active = !p.active
			status = w.patch("/Users/"+p.id, map[string]any{"op": "Replace", "path": "active", "value": p.active})
		default:
			name := [...]string{"Analysts", "Editors"}[rnd.IntN(2)]
			p.groups[name] = !p.groups[name]
			op := map[string]any{"op": "Add", "path": "members", "value": []any{map[string]any{"value": p.id}}}
			if !p.groups[name] {
				op["op"] = "Remove"
			}
			status = w.patch("/Groups/"+w.groups[name], op)
		}
		if status < 200 || status > 299 {
			w.t.Errorf("%s: status %d", p.name, status)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rnd.IntN(20)) * time.Millisecond):
		}
	}
}

func (w *soakWorld) patch(path string, op map[string]any) int {
	_, status := w.do(http.MethodPatch, path, map[string]any{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{op},
	})
	return status
}

// misbehave makes Matomo fail in one way after another, and changes accounts
// by hand.
func (w *soakWorld) misbehave(ctx context.Context) {
	rnd := rand.New(rand.NewPCG(2, 3))
	kinds := []matomotest.FaultKind{
		matomotest.Slow, matomotest.ServerError, matomotest.TooManyRequests, matomotest.CutBefore, matomotest.CutAfter,
		matomotest.Truncated, matomotest.MailError, matomotest.DatabaseDown,
	}
	for ctx.Err() == nil {
		w.sim.Fault(matomotest.Fault{Kind: kinds[rnd.IntN(len(kinds))], Count: 1 + rnd.IntN(3), Latency: 50 * time.Millisecond})
		if p := w.people[rnd.IntN(len(w.people))]; rnd.IntN(3) == 0 {
			w.sim.Grant(p.name, "view", 4) // does nothing for somebody without an account
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(100+rnd.IntN(400)) * time.Millisecond):
		}
	}
}

// awaitAgreement waits until Matomo holds what was acknowledged.
func (w *soakWorld) awaitAgreement() {
	w.t.Helper()
	var wrong []string
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		if wrong = w.differences(); len(wrong) == 0 {
			return
		}
		if err := w.app.Engine.MarkDifferences(w.t.Context()); err != nil {
			w.t.Logf("full compare: %v", err)
		}
		<-time.After(200 * time.Millisecond)
	}
	for _, text := range wrong {
		w.t.Error(text)
	}
}

// differences compares every person with Matomo.
func (w *soakWorld) differences() []string {
	var out []string
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
		if a := w.sim.Access(p.name); !a.Empty() {
			got = a.String()
		}
		if got != want {
			out = append(out, fmt.Sprintf("%s (active %v, groups %v) has %q in Matomo, want %q", p.name, p.active, p.groups, got, want))
		}
	}
	return out
}
