package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	entries  prometheus.Counter
	failures prometheus.Counter
	valid    prometheus.Gauge
}

// newMetrics registers with reg, which may be nil: then nothing is exported.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		entries: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "scim_bridge_audit_entries_total",
			Help: "Audit entries that this process has sealed into the chain.",
		}),
		failures: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "scim_bridge_audit_write_failures_total",
			Help: "Audit entries that could not be written (their change was refused) and seals that failed.",
		}),
		valid: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "scim_bridge_audit_chain_valid",
			Help: "1 if the last check of the audit chain found nothing wrong, else 0.",
		}),
	}
	m.valid.Set(1)
	return m
}
