package matomo

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
)

// An attempt and its result are one counter, so that the share of failures is one
// query; which strategy is in use is a gauge, so that a change shows as one.

// tokenMetrics show by what tokens are ended and how that goes. The clients of all
// targets share the vectors; each fills its own label.
type tokenMetrics struct {
	target      string
	strategy    *prometheus.GaugeVec
	revocations *prometheus.CounterVec
}

// strategyLabels are the values of the label strategy.
func strategyLabels() []string {
	return []string{string(Plugin), string(Database), string(Regenerate), "none"}
}

// newTokenMetrics registers with reg; nil means nowhere.
func newTokenMetrics(reg prometheus.Registerer, target string) (*tokenMetrics, error) {
	m := &tokenMetrics{
		target: target,
		strategy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "scim_bridge_token_strategy",
			Help: "1 for the strategy that ends tokens now; none means that those of leavers stay inert, or as leavers.tokens says.",
		}, []string{"target", "strategy"}),
		revocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "scim_bridge_token_revocations_total",
			Help: "Times the tokens of a person were to be ended, by strategy and result; after an error the next strategy is tried.",
		}, []string{"target", "strategy", "result"}),
	}
	if reg != nil {
		if err := errors.Join(wire.Register(reg, &m.strategy), wire.Register(reg, &m.revocations)); err != nil {
			return nil, err
		}
	}
	for _, s := range strategyLabels() {
		m.strategy.WithLabelValues(target, s)
		for _, result := range []string{"ok", "error"} {
			if s != "none" {
				m.revocations.WithLabelValues(target, s, result)
			}
		}
	}
	return m, nil
}

// use shows s as the one in use.
func (m *tokenMetrics) use(s Strategy) {
	now := string(s)
	if s == NoStrategy {
		now = "none"
	}
	for _, label := range strategyLabels() {
		value := 0.0
		if label == now {
			value = 1
		}
		m.strategy.WithLabelValues(m.target, label).Set(value)
	}
}

// count counts one person whose tokens were to be ended. Strategies that are none
// of the labels cannot be applied.
func (m *tokenMetrics) count(s Strategy, err error) {
	switch s {
	case Plugin, Database, Regenerate:
		result := "ok"
		if err != nil {
			result = "error"
		}
		m.revocations.WithLabelValues(m.target, string(s), result).Inc()
	default:
	}
}
