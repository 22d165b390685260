package monitor

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Two metrics tell of a reload, as everywhere in Prometheus's family: whether the last one
// went well, and when one last did. A file that is broken shows in the first; one that was
// never picked up, because nobody can read it, in the second.

// A third says whether this replica's files are what decides at all: rules are a row that
// replicas share, so files can be in perfect order and still be ignored.

// Reloads shows what became of the configuration on disk. It is safe for concurrent use.
type Reloads struct {
	ok      prometheus.Gauge
	at      prometheus.Gauge
	differs prometheus.Gauge
	info    *prometheus.GaugeVec

	mu     sync.Mutex // guards labels
	labels []string   // of the one series of info
}

// NewReloads registers the metrics. Until the first report nothing was loaded.
func NewReloads(reg prometheus.Registerer) (*Reloads, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	}
	r := &Reloads{
		ok:      gauge("config_last_reload_successful", "1 when the files on disk could be taken over the last time they were looked at, else 0."),
		at:      gauge("config_last_reload_success_timestamp_seconds", "When files on disk were last taken over."),
		differs: gauge("mapping_files_differ", "1 while this replica's rule files are not the rules that decide, else 0."),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "config_info",
			Help: "Always 1; hash is the beginning of the active rules' hash, version that of the configuration file's.",
		}, []string{"hash", "version"}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{r.ok, r.at, r.differs, r.info} {
		errs = append(errs, reg.Register(c))
	}
	return r, errors.Join(errs...)
}

// Succeeded notes that the files with these hashes decide now.
func (r *Reloads) Succeeded(rules, config string) {
	r.ok.Set(1)
	r.at.SetToCurrentTime()
	r.show(rules, config)
}

// Failed notes that what is on disk cannot be used; the last good state goes on.
func (r *Reloads) Failed() { r.ok.Set(0) }

// Differ notes whether this replica's rule files are other than the active rules.
func (r *Reloads) Differ(yes bool) {
	v := 0.0
	if yes {
		v = 1
	}
	r.differs.Set(v)
}

// show makes these hashes the only series of config_info.
func (r *Reloads) show(rules, config string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.labels != nil {
		r.info.DeleteLabelValues(r.labels...)
	}
	r.labels = []string{short(rules), short(config)}
	r.info.WithLabelValues(r.labels...).Set(1)
}
