package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Route is one resource and method that a door serves, with the statuses it
// answers on a good day. It serves to start every counter at zero.
type Route struct {
	Resource, Method string
	Statuses         []int
}

// Metrics counts the requests of a door.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// NewMetrics registers the request metrics with reg and starts those of every
// source and route at zero. Sources are the configured names; the empty name
// counts requests that no credential belongs to.
func NewMetrics(reg prometheus.Registerer, sources []string, routes []Route) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_http_requests_total",
			Help: "Requests answered, by identity provider, resource, method and status code.",
		}, []string{"idp", "resource", "method", "code"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "scim_bridge_http_request_duration_seconds",
			Help:                        "Time from the request's head to the end of the answer.",
			Buckets:                     []float64{.005, .025, .1, .5, 1, 5, 30},
			NativeHistogramBucketFactor: 1.1,
		}, []string{"idp", "resource", "method"}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{
			Name: "scim_bridge_http_requests_in_flight",
			Help: "Requests being answered now.",
		}),
	}
	for _, source := range sources {
		for _, rt := range routes {
			for _, status := range rt.Statuses {
				m.requests.WithLabelValues(source, rt.Resource, rt.Method, statusLabel(status))
			}
			m.duration.WithLabelValues(source, rt.Resource, rt.Method)
		}
	}
	m.requests.WithLabelValues("", "other", http.MethodGet, statusLabel(http.StatusUnauthorized))
	return m
}

// observe counts one answered request.
func (m *Metrics) observe(in *Info, method string, status int, took time.Duration) {
	resource := in.Resource
	if resource == "" {
		resource = "other"
	}
	method = methodLabel(method)
	m.requests.WithLabelValues(in.Source, resource, method, statusLabel(status)).Inc()
	m.duration.WithLabelValues(in.Source, resource, method).Observe(took.Seconds())
}

// methodLabel bounds what a client may put into a label or the log.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// statusLabel is the status as a label; 0 stands for a connection that was cut
// before an answer began.
func statusLabel(status int) string {
	if status == 0 {
		return "cut"
	}
	return strconv.Itoa(status)
}
