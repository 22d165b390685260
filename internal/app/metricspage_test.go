package app

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// updateDocs writes docs/metrics.md instead of comparing it: make metrics-page.
var updateDocs = flag.Bool("update-docs", false, "write docs/metrics.md from the code")

// openLabels have values that only the configuration, or what Matomo and the provider say,
// can tell. All others come from sets that are closed in the code.
var openLabels = map[string]string{
	"target":    "names of the configuration",
	"idp":       "names of the configuration",
	"token":     "names of credentials",
	"worker":    "parts of the service",
	"code":      "HTTP status",
	"status":    "HTTP status",
	"method":    "HTTP method, or method of Matomo's API",
	"version":   "what runs, or the beginning of a hash",
	"revision":  "what runs",
	"goversion": "what runs",
	"fips":      "true or false",
	"hash":      "beginning of a hash",
	"listener":  "scim or metrics",
	"le":        "upper bound of a bucket",
}

// family is what the page says of one metric.
type family struct {
	name, kind, help string
	labels           map[string]map[string]bool // label -> values
}

// families gathers what the bridge itself exports.
func families(t *testing.T, a *App) map[string]*family {
	t.Helper()
	gathered, err := a.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*family{}
	for _, g := range gathered {
		if !strings.HasPrefix(g.GetName(), "scim_bridge_") {
			continue
		}
		f := &family{name: g.GetName(), kind: strings.ToLower(g.GetType().String()), help: g.GetHelp(), labels: map[string]map[string]bool{}}
		for _, m := range g.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.labels[l.GetName()] == nil {
					f.labels[l.GetName()] = map[string]bool{}
				}
				f.labels[l.GetName()][l.GetValue()] = true
			}
		}
		out[f.name] = f
	}
	return out
}

// TestMetricsPage holds docs/metrics.md to the code, and the code to its promise: every
// value of a closed label is there from the first scrape.
func TestMetricsPage(t *testing.T) {
	w := newSoakWorld(t)
	w.limitCredentials()
	first := families(t, w.app)
	w.session()
	later := families(t, w.app)
	for name, f := range later {
		for label, values := range f.labels {
			if openLabels[label] != "" || first[name] == nil {
				continue
			}
			for v := range values {
				if !first[name].labels[label][v] {
					t.Errorf("%s{%s=%q} was not there at the start: initialise it to zero", name, label, v)
				}
			}
		}
	}
	overTLS, _, _ := startTLS(t)
	if err := overTLS.DB.Backup(t.Context(), filepath.Join(t.TempDir(), "b.db")); err != nil {
		t.Fatal(err)
	}
	key, _, err := NewAuditKey()
	if err != nil {
		t.Fatal(err)
	}
	withNotes, _, _ := startApp(t, testRules, file(t, "key.pem", key), section("audit: {checkpoint_file: notes, signing_key_file: key.pem}"))
	for _, a := range []*App{overTLS, withNotes} { // what is there only when it is configured
		for name, f := range families(t, a) {
			if later[name] == nil {
				later[name] = f
			}
		}
	}
	maps.Copy(later, first) // closed labels as the code has them, families that appear later from there
	page := metricsPage(later)
	path := filepath.Join("..", "..", "docs", "metrics.md")
	if *updateDocs {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), page); diff != "" {
		t.Errorf("docs/metrics.md is not what the code exports; run make metrics-page (-page +code):\n%s", diff)
	}
}

// limitCredentials gives every credential an end.
func (w *soakWorld) limitCredentials() {
	w.t.Helper()
	err := w.app.DB.InTx(w.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE credentials SET expires_at = $1`, database.Micros(time.Now().AddDate(1, 0, 0)))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// session makes every metric appear: somebody comes, moves and leaves, and Matomo fails.
func (w *soakWorld) session() {
	w.t.Helper()
	out, _ := w.do(http.MethodPost, "/Users", map[string]any{"userName": "ada@example.org", "active": true})
	id, _ := out["id"].(string)
	member := []any{map[string]any{"value": id}}
	w.patch("/Groups/"+w.groups["Analysts"], map[string]any{"op": "add", "path": "members", "value": member})
	w.await("access", func() bool { return !w.sim.Access("ada@example.org").Empty() })
	w.sim.Fault(matomotest.Fault{Kind: matomotest.ServerError, Count: 1})
	w.patch("/Groups/"+w.groups["Editors"], map[string]any{"op": "add", "path": "members", "value": member})
	w.patch("/Users/"+id, map[string]any{"op": "replace", "path": "active", "value": false})
	w.await("the leaver to be done", func() bool {
		counts, err := w.app.Bindings.Counts(w.t.Context())
		return err == nil && slices.ContainsFunc(counts, func(c bindings.Count) bool { return c.State == Done })
	})
}

// await waits for something that happens in the service by itself.
func (w *soakWorld) await(what string, done func() bool) {
	w.t.Helper()
	for range 3000 {
		if done() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.t.Fatalf("waited in vain for %s; health: %+v", what, w.app.Health.Components())
}

// metricsPage is docs/metrics.md.
func metricsPage(all map[string]*family) string {
	var b strings.Builder
	b.WriteString(`# Metrics

This page is generated from the code (` + "`make metrics-page`" + `) and a test compares the two. It lists what
` + "`/metrics`" + ` on ` + "`listen.metrics`" + ` exports beside Go's own ` + "`go_*` and `process_*`" + `.

* Names, types and labels are an interface: one that is to go is named in CHANGELOG.md a release before.
* Units are seconds, ratios and counts. Times are exported as timestamps; the age is ` + "`time() - x`" + `.
* Every value of a closed label is there, at zero, from the first scrape.
* No label holds anything of a person. Who it was is in the log and in the audit trail.
* Histograms are classic and native at once.

Alerts over these metrics are in ` + "`deploy/prometheus`" + `, the dashboard in ` + "`deploy/grafana`" + `.

`)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		fmt.Fprintf(&b, "## %s\n\n%s, %s\n", f.name, f.kind, f.help)
		for _, label := range slices.Sorted(maps.Keys(f.labels)) {
			if words, open := openLabels[label]; open {
				fmt.Fprintf(&b, "* `%s`: %s\n", label, words)
				continue
			}
			values := slices.Sorted(maps.Keys(f.labels[label]))
			if i := slices.Index(values, ""); i >= 0 {
				values[i] = "(none)"
			}
			fmt.Fprintf(&b, "* `%s`: %s\n", label, strings.Join(values, ", "))
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// TestMetrics_Budget holds the number of series for five providers and five Matomos, and
// that nobody is in a label.
func TestMetrics_Budget(t *testing.T) {
	const budget = 3000
	sim := NewSimulator(SimulatorOptions{Plugin: true, ForgetCalls: true})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	cfg := writeConfig(t, sim, srv.URL+"/", testRules)
	cfg.Sources, cfg.Targets = slices.Clone(cfg.Sources[:0]), slices.Repeat(cfg.Targets, 5)
	for i := range cfg.Targets {
		cfg.Targets[i].Name = fmt.Sprintf("target%d", i)
		cfg.Sources = append(cfg.Sources, config.Source{Name: fmt.Sprintf("source%d", i), Type: config.SourceSCIM, Profile: config.ProfileGeneric})
	}
	cfg.Mapping.DefaultTarget = "target0"
	a, _ := startFrom(t, cfg)
	problems, err := testutil.GatherAndLint(a.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	gathered, err := a.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, g := range gathered {
		for _, m := range g.GetMetric() {
			total++
			if h := m.GetHistogram(); h != nil {
				total += len(h.GetBucket()) + 2 // with +Inf, and sum beside count
			}
			for _, l := range m.GetLabel() {
				if strings.Contains(l.GetValue(), "@") {
					t.Errorf("%s has a person in %v", g.GetName(), l)
				}
			}
		}
	}
	t.Logf("%d series for five providers and five Matomos", total)
	if total > budget {
		t.Errorf("%d series, the budget is %d", total, budget)
	}
}
