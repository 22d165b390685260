package scim

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/matomo-scim/bridge/scim/schema"
	"github.com/matomo-scim/bridge/scim/search"
)

// metrics are the figures of the SCIM front beside those of its requests.
type metrics struct {
	scimErrors  *prometheus.CounterVec
	fixups      *prometheus.CounterVec
	lastRequest map[string]prometheus.Gauge // by source
}

// newMetrics registers the metrics and starts what can be known at zero.
func newMetrics(reg prometheus.Registerer, sources []string) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		scimErrors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_scim_errors_total",
			Help: "SCIM error answers, by identity provider, scimType and status.",
		}, []string{"idp", "scim_type", "status"}),
		fixups: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_compat_fixups_total",
			Help: "Requests that needed a tolerance which the RFC does not grant, by identity provider and kind.",
		}, []string{"idp", "kind"}),
		lastRequest: map[string]prometheus.Gauge{},
	}
	last := f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "scim_bridge_idp_last_request_timestamp_seconds",
		Help: "When the identity provider last made an authenticated request; 0 before the first.",
	}, []string{"idp"})
	// Everything known starts at zero, so that the first event is a step that
	// rate() sees, and an alert can tell "none" from "not counted".
	for _, source := range sources {
		m.lastRequest[source] = last.WithLabelValues(source)
		for _, kind := range schema.FixupKinds() {
			m.fixups.WithLabelValues(source, string(kind))
		}
		for _, p := range commonProblems() {
			m.scimErrors.WithLabelValues(source, p.scimType, strconv.Itoa(p.status))
		}
	}
	return m
}

// commonProblems are the error answers that are started at zero.
func commonProblems() []problem {
	out := []problem{
		{status: http.StatusForbidden},
		{status: http.StatusNotFound},
		{status: http.StatusMethodNotAllowed},
		{status: http.StatusPreconditionFailed},
		{status: http.StatusTooManyRequests},
		{status: http.StatusInternalServerError},
		{status: http.StatusRequestEntityTooLarge, scimType: schema.TooMany},
		{status: http.StatusConflict, scimType: schema.Uniqueness},
	}
	for _, t := range [...]string{
		schema.InvalidFilter, schema.InvalidSyntax, schema.InvalidPath, schema.InvalidValue, schema.NoTarget,
		schema.Mutability, schema.TooMany, search.InvalidCursor, search.ExpiredCursor, search.InvalidCount,
	} {
		out = append(out, problem{status: http.StatusBadRequest, scimType: t})
	}
	return out
}

// seen notes a request of a source.
func (m *metrics) seen(source string) {
	if g, ok := m.lastRequest[source]; ok {
		g.SetToCurrentTime()
	}
}

// errors counts an error answer.
func (m *metrics) errors(source string, p problem) {
	m.scimErrors.WithLabelValues(source, p.scimType, strconv.Itoa(p.status)).Inc()
}

// fixed counts the tolerances that a request needed.
func (m *metrics) fixed(source string, kinds ...schema.Fixup) {
	for _, kind := range kinds {
		m.fixups.WithLabelValues(source, string(kind)).Inc()
	}
}
