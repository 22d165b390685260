package auth

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/matomo-scim/bridge/internal/directory"
)

// Labels are names from the configuration, names that an administrator gave to
// credentials, and the reasons of error.go. Nothing that a stranger sends becomes one.

// metrics are the figures of who may come in.
type metrics struct {
	failures *prometheus.CounterVec
	rates    *prometheus.CounterVec
}

// newMetrics registers the metrics and starts what can be known at zero.
func newMetrics(reg prometheus.Registerer, sources []string, dir *directory.Store) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_auth_failures_total",
			Help: "SCIM requests refused for want of a valid credential, by reason.",
		}, []string{"reason"}),
		rates: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_rate_limited_total",
			Help: "SCIM requests answered 429 because their credential made too many, by identity provider.",
		}, []string{"idp"}),
	}
	for _, reason := range failures() {
		m.failures.WithLabelValues(string(reason))
	}
	for _, source := range sources {
		m.rates.WithLabelValues(source)
	}
	reg.MustRegister(newTokens(dir))
	return m
}

// failed counts a refusal.
func (m *metrics) failed(reason Reason) { m.failures.WithLabelValues(string(reason)).Inc() }

// limited counts a request beyond its credential's allowance.
func (m *metrics) limited(source string) { m.rates.WithLabelValues(source).Inc() }

// collectEvery is how long what was read is shown, however often the bridge is
// scraped.
const collectEvery = 15 * time.Second

// tokens shows when credentials end and when they were last used. It reads the
// database when it is scraped: a command beside the server makes and revokes them.
type tokens struct {
	dir          *directory.Store
	expiry, used *prometheus.Desc

	mu   sync.Mutex // guards the fields below
	at   time.Time
	last []prometheus.Metric
}

// newTokens returns the collector.
func newTokens(dir *directory.Store) *tokens {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("scim_bridge_token_"+name, help, []string{"token"}, nil)
	}
	return &tokens{
		dir:    dir,
		expiry: desc("expiry_timestamp_seconds", "When the credential ends; none for one that does not."),
		used:   desc("last_used_timestamp_seconds", "When the credential was last used, right to a minute; 0 before the first time."),
	}
}

// Describe implements prometheus.Collector.
func (t *tokens) Describe(ch chan<- *prometheus.Desc) {
	ch <- t.expiry
	ch <- t.used
}

// Collect implements prometheus.Collector. A database that cannot be read leaves the
// values out rather than showing old ones as new; it has a metric of its own.
func (t *tokens) Collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.at) >= collectEvery {
		ctx, cancel := context.WithTimeout(context.Background(), collectEvery)
		defer cancel()
		all, err := t.dir.ListCredentials(ctx)
		if err != nil {
			return
		}
		t.last, t.at = t.metrics(all), time.Now()
	}
	for _, m := range t.last {
		ch <- m
	}
}

// metrics are the values of the live credentials, whose names are unique.
func (t *tokens) metrics(all []directory.Credential) []prometheus.Metric {
	var out []prometheus.Metric
	gauge := func(d *prometheus.Desc, value float64, name string) {
		out = append(out, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, name))
	}
	for _, c := range all {
		if c.Revoked != nil {
			continue
		}
		if c.Expires != nil {
			gauge(t.expiry, float64(c.Expires.Unix()), c.Name)
		}
		// Zero, not absent: an alert can tell a credential that nobody ever used.
		used := 0.0
		if c.LastUsed != nil {
			used = float64(c.LastUsed.Unix())
		}
		gauge(t.used, used, c.Name)
	}
	return out
}
