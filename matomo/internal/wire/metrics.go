package wire

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are shared by the clients of all targets: the vectors are registered
// once, each client fills its own label.
type metrics struct {
	target   string
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	retries  *prometheus.CounterVec
	up       *prometheus.GaugeVec
	info     *prometheus.GaugeVec
	rejected *prometheus.GaugeVec

	mu      sync.Mutex // guards version
	version string     // the one info shows now
}

// newMetrics registers with reg, or finds what the client of another target
// registered there; nil means nowhere.
func newMetrics(reg prometheus.Registerer, target string) (*metrics, error) {
	m := &metrics{
		target: target,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_matomo_requests_total",
			Help: "HTTP requests to Matomo by API method and result; result is ok or the kind of error.",
		}, []string{"target", "method", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "scim_bridge_matomo_request_duration_seconds",
			Help:    "Time from sending a request to having read its answer, without waiting for the request limit.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60}, NativeHistogramBucketFactor: 1.1,
		}, []string{"target", "method"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_matomo_retries_total", Help: "Reads that were sent once more at once, by reason.",
		}, []string{"target", "reason"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "scim_bridge_matomo_up", Help: "1 when the last request was answered as it should be, 0 when the instance failed it.",
		}, []string{"target"}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "scim_bridge_matomo_info", Help: "Always 1; the label tells the version Matomo reported last.",
		}, []string{"target", "version"}),
		rejected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "scim_bridge_matomo_secret_rejected",
			Help: "1 when Matomo refused the token or password and it is not used again until it changes.",
		}, []string{"target", "secret"}),
	}
	if reg != nil {
		err := errors.Join(Register(reg, &m.requests), Register(reg, &m.duration), Register(reg, &m.retries),
			Register(reg, &m.up), Register(reg, &m.info), Register(reg, &m.rejected))
		if err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for _, kind := range []ErrorKind{RateLimited, Maintenance} {
		m.retries.WithLabelValues(target, string(kind))
	}
	m.up.WithLabelValues(target)
	m.rejected.WithLabelValues(target, "token")
	m.rejected.WithLabelValues(target, "password")
	for _, result := range append([]ErrorKind{"ok"}, exchangeKinds...) {
		m.requests.WithLabelValues(target, BulkMethod, string(result))
	}
	return m, nil
}

// exchangeKinds are the errors that a whole exchange can end with, apart from those of
// its parts: what starts at zero.
var exchangeKinds = []ErrorKind{
	BadToken, NoPermission, LockedOut, Maintenance, RateLimited, Unreachable, ServerFailure, Malformed, Redirected,
	IPRefused, UsersDisabled, UnknownMethod, Refused,
}

// Register registers *c, or puts there what is registered already under the
// same description.
func Register[T prometheus.Collector](reg prometheus.Registerer, c *T) error {
	err := reg.Register(*c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := already.ExistingCollector.(T); ok {
			*c = same
			return nil
		}
	}
	return err
}

// observe counts one HTTP exchange. The kinds of errors are a closed set and
// methods are those this client calls, so both may be labels.
func (m *metrics) observe(method string, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = string(KindOf(err))
	}
	m.requests.WithLabelValues(m.target, method, result).Inc()
	m.duration.WithLabelValues(m.target, method).Observe(took.Seconds())
}

// seenVersion shows v as the only version.
func (m *metrics) seenVersion(v string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v == m.version {
		return
	}
	if m.version != "" {
		m.info.DeleteLabelValues(m.target, m.version)
	}
	m.version = v
	m.info.WithLabelValues(m.target, v).Set(1)
}

// setRejected shows whether a secret is out of use.
func (m *metrics) setRejected(secret string, bad bool) {
	v := 0.0
	if bad {
		v = 1
	}
	m.rejected.WithLabelValues(m.target, secret).Set(v)
}
