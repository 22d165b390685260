package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// dashboard is what these tests read of a dashboard.
type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Annotations struct {
		List []struct{ Name, Expr string }
	}
}

// panel is one panel; rows are panels too.
type panel struct {
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		Expr, LegendFormat string
		Instant            bool
		Datasource         struct{ UID string }
	}
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
			Mappings []struct {
				Options map[string]struct{ Text string }
			}
		}
	}
}

// eventDriven panels may be empty, and say in their description when.
func (p panel) eventDriven() bool { return strings.Contains(p.Description, "Event-driven:") }

// dashboards reads every dashboard that is shipped.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("dashboards: %q, %v", files, err)
	}
	out := map[string]dashboard{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[filepath.Base(name)] = d
	}
	return out
}

// A dashboard is loaded as it is: what Grafana would ask about on import is fixed, panels
// do not overlap, and every query goes to the data source that is chosen.
func TestDashboards_Form(t *testing.T) {
	exported := documented(t)
	uids := map[string]bool{}
	for name, d := range dashboards(t) {
		if d.UID == "" || uids[d.UID] {
			t.Errorf("%s: uid %q is empty or taken", name, d.UID)
		}
		uids[d.UID] = true
		var vars []string
		for _, v := range d.Templating.List {
			vars = append(vars, v.Name)
		}
		for _, want := range []string{"datasource", "job", "target"} {
			if !slices.Contains(vars, want) {
				t.Errorf("%s has no variable %s", name, want)
			}
		}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: %q lies over %q", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: %q asks nothing", name, p.Title)
			}
			for _, q := range p.Targets {
				if q.Datasource.UID != "${datasource}" {
					t.Errorf("%s: %q asks %q, not the chosen data source", name, p.Title, q.Datasource.UID)
				}
				for _, metric := range series.FindAllString(q.Expr, -1) {
					if !exported[metric] && !strings.Contains(q.Expr, "job:"+metric) {
						t.Errorf("%s: %q asks for %s, which nothing exports", name, p.Title, metric)
					}
				}
			}
		}
	}
	if first := dashboards(t)["bridge.json"].Panels[0]; first.Title != "Is access right now correct?" {
		t.Errorf("the first row is %q", first.Title)
	}
}

// session plays what an operator would see in a bad week: people come, move and leave,
// Matomo fails, a token is refused, somebody makes a superuser by hand, a rule file is
// broken. Each fault must fire its alert, and stop firing it when it is mended.
func (w *world) session() {
	w.t.Helper()
	var people []string
	for i := range 12 {
		people = append(people, w.person(fmt.Sprintf("p%d@example.org", i)))
	}
	w.member("Analysts", people...)
	w.member("Editors", people[:4]...)
	w.member("Lunch", people[:2]...)
	w.member("Admins", people[0])
	w.await("access", func() bool { return !w.sim.Access("p11@example.org").Empty() })
	w.do("scimb_wrong", http.MethodGet, "/Users", nil)
	w.do("", http.MethodGet, "/Users/nobody", nil)

	// Somebody leaves while Matomo is down.
	down := w.sim.Fault(matomotest.Fault{Kind: matomotest.CutBefore})
	w.patch("/Users/"+people[11], "Replace", "active", "False")
	w.firing("ScimBridgeMatomoDown", true)
	w.firing("ScimBridgeLeaverNotRevoked", true)
	down()
	w.firing("ScimBridgeMatomoDown", false)
	w.firing("ScimBridgeLeaverNotRevoked", false)

	w.write("rules.ini", "[RoleMapping]\ngroup[Analysts] = \"site:none\"\n")
	w.firing("ScimBridgeConfigReloadFailed", true)
	w.write("rules.ini", worldRules+"group[Ghosts] = \"site:3:view\"\n")
	w.firing("ScimBridgeConfigReloadFailed", false)

	w.write("token", strings.Repeat("0", 32))
	w.member("Editors", people[5])
	w.firing("ScimBridgeSecretRejected", true)
	w.write("token", w.sim.Token())
	w.firing("ScimBridgeSecretRejected", false)

	if err := w.sim.AddUser("mallory", "mallory@example.org", "a password that nobody types"); err != nil {
		w.t.Fatal(err)
	}
	w.sim.SetSuperuser("mallory", true)
	w.member("Admins", people[1]) // one more than the guard allows
	w.compare()
	w.firing("ScimBridgeUnmanagedSuperuser", true)
	w.firing("ScimBridgeGuardBlocking", true)
	w.sim.SetSuperuser("mallory", false)
	w.patch("/Groups/"+w.groups["Admins"], "remove", `members[value eq "`+people[1]+`"]`, nil)
	w.compare()
	w.firing("ScimBridgeUnmanagedSuperuser", false)
	w.firing("ScimBridgeGuardBlocking", false)
	w.patch("/Users/"+people[10], "Replace", "active", "False")
	w.await("the leaver to show", func() bool {
		return len(w.query(`scim_bridge_propagation_duration_seconds_count{event="leaver"} >= 2`)) > 0
	})
	<-time.After(3 * time.Second) // for rates two scrapes must see it
}

// compare has Matomo compared as a whole now.
func (w *world) compare() {
	w.t.Helper()
	if err := w.app.Engine.MarkDifferences(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// resolve puts the values of the variables into a query, with windows that fit a test.
func resolve(expr string) string {
	return strings.NewReplacer(
		"$__rate_interval", "15s", "$__interval", "1s", "$__range", "5m", "$job", "scim-bridge", "$target", ".*", "$idp", ".*",
	).Replace(expr)
}

// TestDashboards_Live runs every query of every panel, variable and annotation against a
// real Prometheus that has watched a bridge in trouble.
func TestDashboards_Live(t *testing.T) {
	w := newWorld(t)
	w.session()
	for name, d := range dashboards(t) {
		queries := 0
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				queries++
				var got []line
				if q.Instant {
					got = w.query(resolve(q.Expr))
				} else {
					got = w.queryRange(resolve(q.Expr))
				}
				if len(got) == 0 && !p.eventDriven() {
					t.Errorf("%s: %q is empty: %s", name, p.Title, resolve(q.Expr))
				}
			}
		}
		for _, a := range d.Annotations.List {
			if a.Expr != "" && len(w.queryRange(resolve(a.Expr))) == 0 && a.Name != "Version" {
				t.Errorf("%s: annotation %q is empty", name, a.Name)
			}
		}
		if queries < 10 {
			t.Errorf("%s: only %d queries were tried", name, queries)
		}
	}
	if *picture {
		w.draw(dashboards(t)["bridge.json"], filepath.Join("..", "docs", "dashboard.svg"))
	}
}
