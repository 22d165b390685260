package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/testserver"
)

// world is a bridge, its stand-in Matomo, and a real Prometheus that scrapes it once a
// second with the rules that are shipped.
type world struct {
	t      *testing.T
	dir    string
	sim    *app.Simulator
	app    *app.App
	secret string
	groups map[string]string
	client *http.Client
	prom   string // base URL
	began  time.Time
}

const worldRules = `[RoleMapping]
group[Analysts] = "site:1:write, site:2:view"
group[Editors] = "site:2:admin"
group[Admins] = "superuser"
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t)
	sim, url := w.matomo()
	w.sim = sim
	w.write("rules.ini", worldRules)
	w.write("token", w.sim.Token())
	w.write("password", w.sim.Password())
	w.write("bridge.yaml", fmt.Sprintf(`listen: {scim: "127.0.0.1:0", metrics: "127.0.0.1:0"}
sources: [{name: okta}]
targets:
  - {name: main, url: %q, login: bridge, token_file: token, password_file: password, mode: enforce, requests_per_minute: 0}
mapping: {files: [rules.ini]}
guards: {max_superusers: 1}
reconcile: {settle: 0s}
`, url))
	w.secret = w.credential("okta", "okta")
	w.exec(`UPDATE credentials SET expires_at = $1`, database.Micros(time.Now().AddDate(0, 6, 0)))
	w.serve()
	w.startPrometheus(func(rules string) string {
		return strings.Replace(rules, "scim_bridge_leavers_unverified > 0) > 300", "scim_bridge_leavers_unverified > 0) > 2", 1)
	})
	return w
}

// emptyWorld is a folder in which nothing runs yet; what is served from it ends with the test.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), groups: map[string]string{}, client: &http.Client{Timeout: time.Minute}, began: time.Now()}
	t.Cleanup(w.stop)
	return w
}

// matomo starts a stand-in Matomo and returns its URL too.
func (w *world) matomo() (sim *app.Simulator, url string) {
	w.t.Helper()
	sim = app.NewSimulator(app.SimulatorOptions{Plugin: true, ForgetCalls: true})
	srv := httptest.NewServer(sim)
	w.t.Cleanup(srv.Close)
	return sim, srv.URL + "/"
}

// options are those of everything that is opened here.
func (w *world) options() app.Options { return app.Options{Logger: zap.NewNop(), Version: "test"} }

// config is the configuration as it is on disk.
func (w *world) config() *config.Config {
	w.t.Helper()
	cfg, err := config.Load(filepath.Join(w.dir, "bridge.yaml"), os.Getenv)
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// beside opens the bridge's rooms as a command does, whether it runs or not.
func (w *world) beside(fn func(s *app.Services) error) {
	w.t.Helper()
	s, err := app.Open(w.t.Context(), w.config(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	if err := fn(s); err != nil {
		w.t.Fatal(err)
	}
}

// credential makes a credential and returns its secret.
func (w *world) credential(name, source string) (secret string) {
	w.t.Helper()
	w.beside(func(s *app.Services) (err error) {
		secret, err = s.Directory.CreateCredential(w.t.Context(), name, source)
		return err
	})
	return secret
}

// exec runs a statement on the database, past the bridge.
func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.beside(func(s *app.Services) error {
		return s.DB.InTx(w.t.Context(), func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	})
}

// serve runs the bridge until stop.
func (w *world) serve() {
	w.t.Helper()
	var err error
	if w.app, err = app.New(w.t.Context(), w.config(), w.options()); err != nil {
		w.t.Fatal(err)
	}
	w.app.Start(w.t.Context())
	w.announce()
}

// stop ends the bridge, if it runs.
func (w *world) stop() {
	if w.app != nil {
		w.app.Stop(context.Background())
		w.app = nil
	}
}

// announce tells Prometheus where the bridge is now; it has another port after each start.
func (w *world) announce() {
	w.t.Helper()
	w.write("targets.new", fmt.Sprintf(`[{"targets": [%q]}]`, w.app.MetricsAddr()))
	// Renamed, so that nobody reads half of it.
	if err := os.Rename(filepath.Join(w.dir, "targets.new"), filepath.Join(w.dir, "targets.json")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// startPrometheus runs the real program until the end of the test, with the rules as hurry
// makes them. Waiting times of alerts are left out, because a test has no minutes to wait;
// promtool tries those.
func (w *world) startPrometheus(hurry func(rules string) string) {
	w.t.Helper()
	program := program(w.t, "prometheus")
	rules, err := os.ReadFile("prometheus/rules.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("rules.yaml", hurry(regexp.MustCompile(`(?m)^ +for: .*\n`).ReplaceAllString(string(rules), "")))
	w.write("prometheus.yml", `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs: [{job_name: scim-bridge, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]
`)
	address := testserver.FreeAddress(w.t)
	var log bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), program, "--config.file="+filepath.Join(w.dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(w.dir, "tsdb"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("prometheus: %s", log.String())
		}
	})
	w.prom = "http://" + address
	w.await("Prometheus to scrape", func() bool { return len(w.query(`up{job="scim-bridge"} == 1`)) == 1 })
}

// await waits for something that happens by itself.
func (w *world) await(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		if done() {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	w.t.Fatalf("waited in vain for %s", what)
}

// point is a value at a time.
type point struct{ at, value float64 }

// line is one series of an answer.
type line struct {
	labels map[string]string
	points []point // one for an instant query
}

// query asks Prometheus for now; without an answer it returns nothing.
func (w *world) query(expr string) []line {
	w.t.Helper()
	return w.ask("/api/v1/query", url.Values{"query": {expr}})
}

// queryRange asks for all the time since the start.
func (w *world) queryRange(expr string) []line {
	w.t.Helper()
	return w.ask("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {fmt.Sprint(w.began.Unix())}, "end": {fmt.Sprint(time.Now().Unix())}, "step": {"1"},
	})
}

// ask sends a query; one that Prometheus refuses fails the test.
func (w *world) ask(path string, form url.Values) []line {
	w.t.Helper()
	resp, err := w.client.PostForm(w.prom+path, form)
	if err != nil {
		return nil // not up yet
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusServiceUnavailable {
		return nil // starting
	}
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  []any
				Values [][]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Error != "" {
		w.t.Errorf("%s: %v %s", form.Get("query"), err, answer.Error)
		return nil
	}
	var out []line
	for _, r := range answer.Data.Result {
		l := line{labels: r.Metric}
		if r.Value != nil {
			r.Values = append(r.Values, r.Value)
		}
		for _, v := range r.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err == nil && !math.IsNaN(value) { // what is no number is no data
				l.points = append(l.points, point{at, value})
			}
		}
		if len(l.points) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// firing waits until an alert fires, or no longer does.
func (w *world) firing(alert string, want bool) {
	w.t.Helper()
	w.await(fmt.Sprintf("%s to be firing: %v", alert, want), func() bool {
		return len(w.query(fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing"}`, alert))) > 0 == want
	})
}

// do sends a SCIM request with a secret, the provider's when it is empty.
func (w *world) do(secret, method, path string, body any) (map[string]any, int) {
	w.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.app.SCIMURL()+path, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	if secret == "" {
		secret = w.secret
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(answer, &out) // no content is no object
	return out, resp.StatusCode
}

// person creates somebody; active as Entra writes it.
func (w *world) person(name string) string {
	w.t.Helper()
	out, status := w.do("", http.MethodPost, "/Users", map[string]any{"userName": name, "active": "True"})
	if status != http.StatusCreated {
		w.t.Fatalf("create %s: %d %v", name, status, out)
	}
	id, _ := out["id"].(string)
	return id
}

// patch sends one operation.
func (w *world) patch(path, op, attr string, value any) {
	w.t.Helper()
	_, status := w.do("", http.MethodPatch, path, map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []any{map[string]any{"op": op, "path": attr, "value": value}},
	})
	if status != http.StatusOK && status != http.StatusNoContent {
		w.t.Fatalf("PATCH %s: %d", path, status)
	}
}

// member puts somebody into a group, which is made when it is new.
func (w *world) member(group string, ids ...string) {
	w.t.Helper()
	members := make([]any, len(ids))
	for i, id := range ids {
		members[i] = map[string]any{"value": id}
	}
	if w.groups[group] != "" {
		w.patch("/Groups/"+w.groups[group], "add", "members", members)
		return
	}
	out, status := w.do("", http.MethodPost, "/Groups", map[string]any{"displayName": group, "members": members})
	if status != http.StatusCreated {
		w.t.Fatalf("group %s: %d %v", group, status, out)
	}
	w.groups[group], _ = out["id"].(string)
}
