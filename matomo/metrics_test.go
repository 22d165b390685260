package matomo_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/matomo-scim/bridge/matomo"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

func TestClient_Metrics(t *testing.T) {
	b := newBench(t, matomotest.Options{})
	other, err := matomo.New(matomo.Options{Name: "eu", URL: "https://eu.example.test", Login: "bridge", Token: b.token.read, Registerer: b.reg, Transport: b.wire})
	if err != nil {
		t.Fatalf("a second target with the same registry: %v", err)
	}
	b.add(t, "alice")
	mustOK(t, b.bring(t, person("alice", "1:view")))
	if _, err := other.ReadInstance(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.token.set("wrong-token", nil)
	if _, err := b.c.ReadInstance(context.Background()); err == nil {
		t.Fatal("a wrong token reads")
	}
	const expected = `
# HELP scim_bridge_matomo_info Always 1; the label tells the version Matomo reported last.
# TYPE scim_bridge_matomo_info gauge
scim_bridge_matomo_info{target="eu",version="5.1.2"} 1
scim_bridge_matomo_info{target="main",version="5.1.2"} 1
# HELP scim_bridge_matomo_retries_total Reads that were sent once more at once, by reason.
# TYPE scim_bridge_matomo_retries_total counter
scim_bridge_matomo_retries_total{reason="maintenance",target="eu"} 0
scim_bridge_matomo_retries_total{reason="maintenance",target="main"} 0
scim_bridge_matomo_retries_total{reason="rate_limited",target="eu"} 0
scim_bridge_matomo_retries_total{reason="rate_limited",target="main"} 0
# HELP scim_bridge_matomo_secret_rejected 1 when Matomo refused the token or password and it is not used again until it changes.
# TYPE scim_bridge_matomo_secret_rejected gauge
scim_bridge_matomo_secret_rejected{secret="password",target="eu"} 0
scim_bridge_matomo_secret_rejected{secret="password",target="main"} 0
scim_bridge_matomo_secret_rejected{secret="token",target="eu"} 0
scim_bridge_matomo_secret_rejected{secret="token",target="main"} 1
# HELP scim_bridge_matomo_up 1 when the last request was answered as it should be, 0 when the instance failed it.
# TYPE scim_bridge_matomo_up gauge
scim_bridge_matomo_up{target="eu"} 1
scim_bridge_matomo_up{target="main"} 0
`
	err = testutil.GatherAndCompare(b.reg, strings.NewReader(expected), "scim_bridge_matomo_info",
		"scim_bridge_matomo_retries_total", "scim_bridge_matomo_secret_rejected", "scim_bridge_matomo_up")
	if err != nil {
		t.Error(err)
	}
	// Every way in which an exchange can end starts at zero; these three happened.
	requests := map[string]float64{}
	all, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == "scim_bridge_matomo_requests_total" {
				key := ""
				for _, l := range m.GetLabel() {
					key += l.GetValue() + " "
				}
				requests[key] = m.GetCounter().GetValue()
			}
		}
	}
	if len(requests) != 2*14 {
		t.Errorf("%d series of requests, want 14 for each of two targets: %v", len(requests), requests)
	}
	maps.DeleteFunc(requests, func(_ string, v float64) bool { return v == 0 })
	want := map[string]float64{
		"API.getBulkRequest bad_token main ": 1, "API.getBulkRequest ok eu ": 2, "API.getBulkRequest ok main ": 3,
	}
	if !maps.Equal(requests, want) {
		t.Errorf("requests = %v, want %v", requests, want)
	}
	problems, err := testutil.GatherAndLint(b.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(b.reg, "scim_bridge_matomo_request_duration_seconds"); err != nil || n != 2 {
		t.Errorf("%d histograms, %v", n, err)
	}
}

// gather returns one collector that holds the only series of a gauge.
func gather(t *testing.T, reg *prometheus.Registry, name string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "copy"})
	for _, f := range families {
		if f.GetName() == name {
			g.Set(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return g
}
