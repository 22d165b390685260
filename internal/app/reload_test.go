package app

import (
	"context"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/matomo-scim/bridge/internal/monitor"
)

// reloadWorld is a running bridge whose files are changed under it.
type reloadWorld struct {
	*soakWorld

	logs *observer.ObservedLogs
}

func newReloadWorld(t *testing.T) *reloadWorld {
	t.Helper()
	sim := NewSimulator(SimulatorOptions{Plugin: true, ForgetCalls: true})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	cfg := writeConfig(t, sim, srv.URL+"/", testRules)
	core, logs := observer.New(zap.InfoLevel)
	opt := Options{Logger: zap.New(core), Version: "test"}
	secret := credentialFor(t, cfg, opt)
	a, err := New(t.Context(), cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	a.Start(t.Context())
	t.Cleanup(func() { a.Stop(context.Background()) })
	return &reloadWorld{soakWorld: &soakWorld{t: t, app: a, sim: sim, secret: secret, groups: map[string]string{}, client: srv.Client()}, logs: logs}
}

// edit replaces text in one of the files.
func (w *reloadWorld) edit(name, from, to string) {
	w.t.Helper()
	path := w.app.Config.Resolve(name)
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		w.t.Fatalf("%s has no %q:\n%s", name, from, data)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// gauge is the value of a gauge without labels.
func (w *reloadWorld) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.app.Registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "scim_bridge_"+name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.t.Fatalf("no metric %s", name)
	return 0
}

// said returns the log lines of a message, each with its fields.
func (w *reloadWorld) said(message string) []map[string]any {
	var out []map[string]any
	for _, e := range w.logs.FilterMessage(message).All() {
		out = append(out, e.ContextMap())
	}
	return out
}

func (w *reloadWorld) component(name string) monitor.Component {
	w.t.Helper()
	for _, c := range w.app.Health.Components() {
		if c.Name == name {
			return c
		}
	}
	w.t.Fatalf("health has no %s", name)
	return monitor.Component{}
}

// join puts somebody into Analysts, which the first rules know.
func (w *reloadWorld) join(name string) {
	w.t.Helper()
	out, _ := w.do("POST", "/Users", map[string]any{"userName": name, "active": true})
	group, status := w.do("POST", "/Groups", map[string]any{
		"displayName": "Analysts", "members": []any{map[string]any{"value": out["id"]}},
	})
	if status != 201 {
		w.t.Fatalf("group: %d %v", status, group)
	}
}

// access waits until somebody has exactly this access.
func (w *reloadWorld) access(name, want string) {
	w.t.Helper()
	w.await(name+" to have "+want, func() bool { return w.sim.Access(name).String() == want })
}

// A changed rule file is taken over by itself, everybody is looked at again, and the log
// says which rules came and went.
func TestReload_RulesByFileChange(t *testing.T) {
	w := newReloadWorld(t)
	w.join("ada@example.org")
	w.access("ada@example.org", "1:view")
	before := w.gauge("config_last_reload_success_timestamp_seconds")
	w.edit("rules.ini", `"site:1:view"`, `"site:2:write"`)
	w.access("ada@example.org", "2:write")
	lines := w.said("rules activated")
	if len(lines) != 2 {
		t.Fatalf("%d activations are logged, want that of the start and that of the change", len(lines))
	}
	added, removed := lines[1]["added"].([]any), lines[1]["removed"].([]any)
	if len(added) != 1 || added[0] != "rules.ini:2 group[Analysts] = site:2:write" || len(removed) != 1 || removed[0] != "rules.ini:2 group[Analysts] = site:1:view" {
		t.Errorf("diff: added %v, removed %v", added, removed)
	}
	if w.gauge("config_last_reload_successful") != 1 || w.gauge("config_last_reload_success_timestamp_seconds") < before {
		t.Error("the metrics do not show the reload")
	}
}

// A file that is broken changes nothing, shows in metric, log and health, and is over as
// soon as it is mended.
func TestReload_BrokenRulesKeepTheLastGoodOnes(t *testing.T) {
	w := newReloadWorld(t)
	w.join("ada@example.org")
	w.access("ada@example.org", "1:view")
	w.edit("rules.ini", `site:1:view`, `site:1:king`)
	w.await("the failure to show", func() bool { return w.gauge("config_last_reload_successful") == 0 })
	if c := w.component("config"); c.State != monitor.StateDegraded || !strings.Contains(c.Detail, "rules.ini:2") || c.Action == "" {
		t.Errorf("health = %+v, want the place of the fault and what to do", c)
	}
	if got := w.sim.Access("ada@example.org").String(); got != "1:view" {
		t.Errorf("access = %q, want what the last good rules give", got)
	}
	if n := w.logs.FilterMessage("reload refused; the last good state goes on").Len(); n != 1 {
		t.Errorf("the refusal is logged %d times, want once for one change", n)
	}
	w.edit("rules.ini", `site:1:king`, `site:1:admin`)
	w.access("ada@example.org", "1:admin")
	w.await("the failure to be over", func() bool { return w.gauge("config_last_reload_successful") == 1 })
	if c := w.component("config"); c.State != monitor.StateOK {
		t.Errorf("health = %+v, want ok", c)
	}
}

// An emptied rule file would take everything from everybody. It is an error.
func TestReload_EmptyRulesAreRefused(t *testing.T) {
	w := newReloadWorld(t)
	w.edit("rules.ini", testRules, "")
	if err := w.app.Reload(t.Context()); err == nil {
		t.Error("a bridge without a rule was taken over")
	}
}

// Protected logins and guards count at once, and what needs a restart is named.
func TestReload_ProtectedAndGuards(t *testing.T) {
	w := newReloadWorld(t)
	if w.app.Targets[0].Client.IsProtected("root") {
		t.Fatal("root is protected already")
	}
	w.edit("bridge.yaml", "login: bridge,", "login: bridge, protected: [root],")
	w.edit("bridge.yaml", "reconcile: {settle: 0s}", "reconcile: {settle: 5s}\nguards: {max_superusers: 0}")
	if err := w.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !w.app.Targets[0].Client.IsProtected("Root") {
		t.Error("root is not protected after the reload")
	}
	var live, restart []string
	for _, line := range w.said("configuration changed") {
		live = append(live, line["change"].(string))
	}
	for _, line := range w.said("configuration changed; this needs a restart") {
		restart = append(restart, line["change"].(string))
	}
	if got := strings.Join(live, "; "); got != `targets[main].protected: null -> ["root"]; guards.max_superusers: 3 -> 0` {
		t.Errorf("taken over: %s", got)
	}
	if got := strings.Join(restart, "; "); got != "reconcile.settle: 0s -> 5s" {
		t.Errorf("needs a restart: %s", got)
	}
	// The cap counts for the next superuser.
	w.edit("rules.ini", `"site:1:view"`, `"superuser"`)
	if err := w.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.join("ada@example.org")
	w.await("the guard to trip", func() bool { return w.guardTrips("superuser_cap") > 0 })
	if w.sim.Access("ada@example.org").Superuser {
		t.Error("a superuser was made over the new cap")
	}
}

// guardTrips is how often a guard held something back.
func (w *reloadWorld) guardTrips(guard string) (n float64) {
	w.t.Helper()
	families, err := w.app.Registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "scim_bridge_guard_trips_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == guard {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

// A replica whose files are not what decides says so.
func TestReload_OtherFilesThanTheActiveRules(t *testing.T) {
	w := newReloadWorld(t)
	w.await("the first look", func() bool { return w.gauge("mapping_files_differ") == 0 })
	other := *w.app.Config
	other.Mapping.Files = []string{"other.ini"}
	if err := os.WriteFile(other.Resolve("other.ini"), []byte("[RoleMapping]\ngroup[Editors] = \"site:3:view\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.app.activateRules(t.Context(), &other); err != nil { // as another replica would
		t.Fatal(err)
	}
	w.await("the difference to show", func() bool { return w.gauge("mapping_files_differ") == 1 })
	if c := w.component("rules"); c.State != monitor.StateDegraded || c.Action == "" {
		t.Errorf("health = %+v, want degraded and what to do", c)
	}
}
