package vitals

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
)

// collectEvery is how long counts read from the database are shown before they
// are read again, however often the bridge is scraped.
const collectEvery = 5 * time.Second

// collector shows what the rows say: bindings by state, the queue, leavers
// that are not verified yet, and guards that hold something back. It reads the database when it is scraped.
type collector struct {
	store    *bindings.Store
	targets  []string
	log      *zap.Logger
	bindings *prometheus.Desc
	depth    *prometheus.Desc
	oldest   *prometheus.Desc
	open     *prometheus.Desc
	openFrom *prometheus.Desc
	guard    *prometheus.Desc

	mu   sync.Mutex // guards the fields below
	at   time.Time
	last []prometheus.Metric
}

// newCollector returns the collector of what store has on targets.
func newCollector(store *bindings.Store, targets []string, log *zap.Logger) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, labels, nil)
	}
	return &collector{
		store:    store,
		targets:  targets,
		log:      log,
		bindings: desc("bindings", "People on a target, by how far their access has come.", "target", "state"),
		depth:    desc("queue_depth", "Bindings that are due.", "target"),
		oldest:   desc("queue_oldest_timestamp_seconds", "When the binding that waits longest became due; 0 when none waits.", "target"),
		open:     desc("leavers_unverified", "Leavers whose access has not been read back as gone.", "target"),
		openFrom: desc("leaver_oldest_unverified_timestamp_seconds", "When the oldest of them left; 0 when there is none.", "target"),
		guard:    desc("guard_active", "1 while a guard holds something back.", "target", "guard"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.bindings, c.depth, c.oldest, c.open, c.openFrom, c.guard} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A database that cannot be read
// leaves the last values out rather than showing old ones as new.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	// Two scrapes at once share one read.
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) >= collectEvery {
		ctx, cancel := context.WithTimeout(context.Background(), collectEvery)
		defer cancel()
		fresh, err := c.read(ctx)
		if err != nil {
			c.log.Warn("read counts for metrics", zap.Error(err))
			return
		}
		c.last, c.at = fresh, time.Now()
	}
	for _, m := range c.last {
		ch <- m
	}
}

// read turns the rows into metrics.
func (c *collector) read(ctx context.Context) ([]prometheus.Metric, error) {
	counts, err := c.store.Counts(ctx)
	if err != nil {
		return nil, err
	}
	// States and guards that nobody is in are shown as zero, which a query that
	// groups leaves out.
	byState := map[string]map[bindings.State]int{}
	for _, n := range counts {
		if byState[n.Target] == nil {
			byState[n.Target] = map[bindings.State]int{}
		}
		byState[n.Target][n.State] = n.N
	}
	held, err := c.store.Reasons(ctx)
	if err != nil {
		return nil, err
	}
	var out []prometheus.Metric
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out = append(out, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
	}
	for _, t := range c.targets {
		for _, state := range bindings.States() {
			gauge(c.bindings, float64(byState[t][state]), t, string(state))
		}
		due, err := c.store.Due(ctx, t)
		if err != nil {
			return nil, err
		}
		gauge(c.depth, float64(due.N), t)
		gauge(c.oldest, seconds(due.Oldest), t)
		open, err := c.store.UnverifiedLeavers(ctx, t)
		if err != nil {
			return nil, err
		}
		gauge(c.open, float64(open.N), t)
		gauge(c.openFrom, seconds(open.Oldest), t)
		for _, g := range allGuards {
			gauge(c.guard, float64(min(1, held[bindings.WaitReason{Target: t, Reason: g}])), t, g)
		}
	}
	return out, nil
}

// seconds is a time as Prometheus has it; 0 for none.
func seconds(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return float64(t.UnixMicro()) / 1e6
}
