package database

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Values of the label op: where the engine let us down.
const (
	opRead        = "read"
	opTransaction = "transaction"
	opCommit      = "commit"
)

type metrics struct {
	errors *prometheus.CounterVec
}

// newMetrics registers with reg, which may be nil: then nothing is exported.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		errors: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_store_errors_total",
			Help: "Errors of the database engine, by what was being done; violated constraints are not errors.",
		}, []string{"op"}),
	}
	for _, op := range []string{opRead, opTransaction, opCommit} {
		m.errors.WithLabelValues(op)
	}
	return m
}
