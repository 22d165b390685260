package monitor

import (
	"encoding/json"
	"net/http"
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Health is told by those who know: each worker and each target reports its own
// state, with what a person can do about it. A report that is expected again has an
// end, because a worker that hangs or died cannot say so. Nothing here asks anybody,
// so a page of health costs nothing and cannot hang.

// Health states, from best to worst. A report that is older than its validity
// counts as stale: a worker that died cannot report its own death.
const (
	StateOK       = "ok"
	StateDegraded = "degraded"
	StateDown     = "down"
	StateStale    = "stale"
)

// Component is the last report of one part of the service.
type Component struct {
	// Name is the part: database, rules, reconcile/<target>, matomo/<target>, audit.
	Name string `json:"name"`
	// State is one of the State constants.
	State string `json:"state"`
	// Since is when the part entered this state.
	Since time.Time `json:"since"`
	// Expires is when the report counts as stale; nil for reports that hold
	// until they are replaced.
	Expires *time.Time `json:"expires,omitempty"`
	// Seen is when the part last reported.
	Seen time.Time `json:"seen"`
	// Detail says what was seen.
	Detail string `json:"detail,omitempty"`
	// Action says what a person can do about it.
	Action string `json:"what_to_do,omitempty"`
}

// Health collects the reports of all parts. It is safe for concurrent use, and a
// collector of when each part that reports again and again last did.
type Health struct {
	now       func() time.Time
	heartbeat *prometheus.Desc
	expires   *prometheus.Desc

	mu    sync.Mutex // guards parts
	parts map[string]Component
}

// NewHealth returns an empty collection.
func NewHealth() *Health {
	return &Health{
		now: time.Now, parts: map[string]Component{},
		heartbeat: prometheus.NewDesc(prefix+"worker_heartbeat_timestamp_seconds",
			"When a part that reports again and again last did.", []string{"worker"}, nil),
		expires: prometheus.NewDesc(prefix+"worker_expires_timestamp_seconds",
			"When a part that has not reported again counts as silent.", []string{"worker"}, nil),
	}
}

// Expect makes a part known before its first report, which is awaited for as long as
// validFor: a worker that never starts must be missed too.
//
// The time it is given should be that of its later reports, so that one threshold serves
// both the worker that never came up and the one that fell silent.
func (h *Health) Expect(name string, validFor time.Duration) {
	h.Report(name, StateOK, "starting", "", validFor)
}

// Repeated returns how a part reports that does the same thing every so often: ok, or degraded with
// the error and what a person can do. One that has missed three times in a row is silent.
func (h *Health) Repeated(name, action string, every time.Duration) func(error) {
	return func(err error) {
		if err != nil {
			h.Report(name, StateDegraded, err.Error(), action, 3*every)
			return
		}
		h.Report(name, StateOK, "", "", 3*every)
	}
}

// Describe implements prometheus.Collector.
func (h *Health) Describe(ch chan<- *prometheus.Desc) {
	ch <- h.heartbeat
	ch <- h.expires
}

// Collect implements prometheus.Collector. Parts are named after targets and workers, so
// their number is that of the configuration.
func (h *Health) Collect(ch chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.parts {
		if c.Expires != nil {
			ch <- prometheus.MustNewConstMetric(h.heartbeat, prometheus.GaugeValue, seconds(&c.Seen), c.Name)
			ch <- prometheus.MustNewConstMetric(h.expires, prometheus.GaugeValue, seconds(c.Expires), c.Name)
		}
	}
}

// Report replaces the report of one part. The state's start is kept while the
// state stays the same. A validity of zero never expires.
func (h *Health) Report(name, state, detail, action string, validFor time.Duration) {
	now := h.now()
	c := Component{Name: name, State: state, Since: now, Seen: now, Detail: detail, Action: action}
	if validFor > 0 {
		until := now.Add(validFor)
		c.Expires = &until
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.parts[name]; ok && old.State == state {
		c.Since = old.Since
	}
	h.parts[name] = c
}

// Components returns all reports in the order of their names; expired ones are
// stale.
func (h *Health) Components() []Component {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Component, 0, len(h.parts))
	for _, c := range h.parts {
		if c.Expires != nil && c.Expires.Before(now) {
			c.State, c.Since = StateStale, *c.Expires
			c.Action = "this part has stopped reporting: look at the log and restart the service"
		}
		out = append(out, c)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Status returns the worst state of all parts: ok, degraded, or down (stale
// counts as down).
func (h *Health) Status() string {
	status := StateOK
	for _, c := range h.Components() {
		switch c.State {
		case StateDown, StateStale:
			return StateDown
		case StateDegraded:
			status = StateDegraded
		}
	}
	return status
}

// Page is the answer of /health.
type Page struct {
	// Status is the worst state of all parts: ok, degraded or down.
	Status string `json:"status"`
	// Components are the parts in the order of their names.
	Components []Component `json:"components"`
}

// ServeHTTP answers with {"status", "components"} as JSON: 200 when everything
// is ok or degraded, 503 when a part is down or silent.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	status := h.Status()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == StateDown {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	// The client may have gone away; there is nobody left to tell.
	_ = enc.Encode(Page{Status: status, Components: h.Components()}) //nolint:errchkjson // plain texts and times
}
