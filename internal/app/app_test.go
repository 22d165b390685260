package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/monitor"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// downFault is a Matomo that does not answer.
var downFault = matomotest.Fault{Kind: matomotest.CutBefore}

const testRules = "[RoleMapping]\ngroup[Analysts] = \"site:1:view\"\n"

// get returns status and body of a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	return send(t, http.MethodGet, url, "", "")
}

// send sends a request, with a credential's secret unless that is empty, and returns status
// and body of the answer.
func send(t *testing.T, method, url, secret, text string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestApp_Probes(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	for _, tc := range []struct {
		url    string
		status int
		body   string
	}{
		{"http://" + a.SCIMAddr() + "/healthz", http.StatusOK, "ok\n"},
		{"http://" + a.SCIMAddr() + "/readyz", http.StatusOK, "ready\n"},
		{"http://" + a.MetricsAddr() + "/healthz", http.StatusOK, "ok\n"},
	} {
		if status, body := get(t, tc.url); status != tc.status || body != tc.body {
			t.Errorf("GET %s = %d %q, want %d %q", tc.url, status, body, tc.status, tc.body)
		}
	}
}

func TestApp_NothingButProbesWithoutACredential(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	for _, path := range []string{"/", "/scim/v2/Users", "//scim/v2/Users", "/healthz/", "/readyz/x", "/metrics", "/health"} {
		status, body := get(t, "http://"+a.SCIMAddr()+path)
		if status != http.StatusUnauthorized {
			t.Errorf("GET %s = %d, want 401", path, status)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("GET %s: the error is not JSON: %q", path, body)
		}
	}
}

func TestApp_ReadinessIsAboutTheDatabaseNeverMatomo(t *testing.T) {
	a, sim, _ := startApp(t, testRules)
	sim.Fault(downFault)
	if status, body := get(t, "http://"+a.SCIMAddr()+"/readyz"); status != http.StatusOK {
		t.Errorf("with Matomo down: %d %q, want 200", status, body)
	}
	if err := a.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, "http://"+a.SCIMAddr()+"/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("with the database gone: %d, want 503", status)
	}
}

func TestApp_Metrics(t *testing.T) {
	a, _, secret := startApp(t, testRules)
	problems, err := testutil.GatherAndLint(a.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	status, text := get(t, "http://"+a.MetricsAddr()+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for _, name := range []string{
		"scim_bridge_build_info", "scim_bridge_http_requests_total", "scim_bridge_reconcile_runs_total",
		"scim_bridge_propagation_duration_seconds_bucket", "scim_bridge_bindings", "scim_bridge_matomo_requests_total",
		"scim_bridge_leavers_unverified", "scim_bridge_audit_chain_valid", "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %s", name)
		}
	}
	if strings.Contains(text, secret) || strings.Contains(text, "@") {
		t.Error("a secret or a person is in the metrics")
	}
}

func TestApp_TwoInProcess(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	b, _, _ := startApp(t, testRules)
	if a.SCIMAddr() == b.SCIMAddr() {
		t.Error("both listen at the same address")
	}
}

func TestNew_RefusesWithoutCredential(t *testing.T) {
	sim := NewSimulator(SimulatorOptions{})
	srv := httptest.NewServer(sim)
	defer srv.Close()
	cfg := writeConfig(t, sim, srv.URL+"/", testRules)
	_, err := New(t.Context(), cfg, Options{Logger: zap.NewNop()})
	if !errors.Is(err, ErrNoCredential) {
		t.Errorf("error = %v, want ErrNoCredential", err)
	}
}

// In a pod the command that makes the first credential runs beside the bridge.
func TestNew_AwaitsACredential(t *testing.T) {
	sim := NewSimulator(SimulatorOptions{})
	srv := httptest.NewServer(sim)
	defer srv.Close()
	cfg := writeConfig(t, sim, srv.URL+"/", testRules)
	opt := Options{Logger: zap.NewNop(), AwaitCredential: true}
	a, err := New(t.Context(), cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	a.Start(t.Context())
	defer a.Stop(context.Background())
	if status, body := get(t, "http://"+a.SCIMAddr()+"/readyz"); status != http.StatusOK {
		t.Errorf("without a credential it is not ready: %d %q", status, body)
	}
	if status, _ := get(t, a.SCIMURL()+"/Users"); status != http.StatusUnauthorized {
		t.Errorf("without a credential: %d, want 401", status)
	}
	secret := credentialFor(t, cfg, Options{Logger: zap.NewNop()})
	if status, body := send(t, http.MethodGet, a.SCIMURL()+"/Users", secret, ""); status != http.StatusOK {
		t.Errorf("with the credential that was made: %d %s, want 200", status, body)
	}
}

func TestNew_RefusesASecondProcessOnOneSQLiteFile(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	_, err := New(t.Context(), a.Config, Options{Logger: zap.NewNop()})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("error = %v, want that another process works on the file", err)
	}
}

func TestApp_StopIsIdempotent(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	a.Stop(context.Background())
	a.Stop(context.Background())
}

func TestApp_LogHoldsNoSecret(t *testing.T) {
	sim := NewSimulator(SimulatorOptions{Plugin: true})
	srv := httptest.NewServer(sim)
	defer srv.Close()
	cfg := writeConfig(t, sim, srv.URL+"/", testRules)
	var log bytes.Buffer
	opt := Options{Logger: NewLogger(&log, false, "debug"), Version: "test"}
	secret := credentialFor(t, cfg, opt)
	a, err := New(t.Context(), cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	a.Start(t.Context())
	status, body := send(t, http.MethodPost, a.SCIMURL()+"/Users", secret, `{"userName":"ada@example.org","password":"hunter22-of-ada"}`)
	if status != http.StatusCreated {
		t.Fatalf("status %d: %s", status, body)
	}
	a.Stop(context.Background())
	if !strings.Contains(log.String(), `"route":"/Users"`) {
		t.Fatalf("the request is not in the log:\n%s", log.String())
	}
	for _, s := range []string{secret, sim.Token(), sim.Password(), "hunter22-of-ada"} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log holds the secret %q", s)
		}
	}
}

// A database that can be read and takes no change is not well: nothing is accepted.
func TestApp_ADatabaseThatTakesNoChangeShows(t *testing.T) {
	a, _, _ := startApp(t, testRules)
	err := a.DB.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
		return err
	})
	if err == nil {
		t.Fatal("there is such a table")
	}
	a.lookAtStore(t.Context())
	i := slices.IndexFunc(a.Health.Components(), func(c monitor.Component) bool { return c.Name == "database" })
	if c := a.Health.Components()[i]; c.State != StateDegraded || !strings.Contains(c.Detail, "nowhere") || c.Action == "" {
		t.Errorf("component = %+v", c)
	}
}
