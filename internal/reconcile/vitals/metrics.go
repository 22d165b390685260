package vitals

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/reconcile/course"
	"github.com/matomo-scim/bridge/matomo"
)

// prefix is that of every metric of the bridge.
const prefix = "scim_bridge_"

// propagationBuckets are the seconds of DESIGN section 10: from the fastest
// joiner to the leaver of a target that was down for a day.
var propagationBuckets = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 86400}

// phaseBuckets are few, because they count for each target and phase; native histograms have
// the detail.
var phaseBuckets = []float64{0.01, 0.05, 0.25, 1, 5, 30}

// Label values that are initialised to zero, so that rate() and absent() work
// from the first scrape.
var (
	allEvents   = []string{"joiner", "mover", "leaver"}
	allTriggers = []string{"event", "interval", "manual"}
	allResults  = []string{"applied", "noop", "partial", "blocked", "error"}
	allActions  = []string{
		"user_create", "user_update", "user_suspend", "user_delete", "grant", "revoke",
		"superuser_grant", "superuser_revoke", "token_revoke", "session_logout",
	}
	allPhases   = []string{"observe", "plan", "apply", "verify"}
	allOutcomes = []string{"ok", "error", "blocked", "dry_run"}
	allDrift    = []string{"missing_grant", "extra_grant", "wrong_role", "unmanaged_user", "unmanaged_superuser", "stale_token_risk"}
	allGuards   = []string{course.GuardProtected, course.GuardCap, course.GuardFloor, course.GuardIncomplete}
	allCircuits = []string{"closed", "half-open", "open"}
)

// The kinds of rules, as their references name them.
var allKinds = []string{"group", "user"}

// Drifts lists the kinds of drift, for a compare that shows each at what it found.
func Drifts() []string { return slices.Clone(allDrift) }

// Metrics are the reconcile, propagation and guard metrics of METRICS.md; each has
// its help text in New. Labels come from closed sets: targets of the configuration
// and constants, never anything of a person.
type Metrics struct {
	// Runs, Duration, LastRun, LastSuccess and Failures tell how passes go. An
	// attempt and a success are two timestamps, so that both silences show.
	Runs        *prometheus.CounterVec
	Duration    *prometheus.HistogramVec
	LastRun     *prometheus.GaugeVec
	LastSuccess *prometheus.GaugeVec
	Failures    *prometheus.GaugeVec
	// Changes and Propagation are what the bridge is for: what was done in Matomo,
	// and how long after the request it was verified.
	Changes     *prometheus.CounterVec
	Propagation *prometheus.HistogramVec
	// Drift, Planned, Unresolved and Superusers are what the last full compare found.
	Drift      *prometheus.GaugeVec
	Planned    *prometheus.GaugeVec
	Unresolved *prometheus.GaugeVec
	Superusers *prometheus.GaugeVec
	// GuardTrips counts; whether a guard holds something back now is read from the
	// rows.
	GuardTrips *prometheus.CounterVec
	Circuit    *prometheus.GaugeVec
	Rules      *prometheus.GaugeVec
	// TokensLeft and StillMailed are what a leaver or mover leaves behind.
	TokensLeft  *prometheus.CounterVec
	StillMailed *prometheus.CounterVec
}

// New registers the metrics with reg and sets every known label combination of
// the given targets to zero. What the rows say is read from store when it is
// scraped. A nil reg keeps them to themselves.
func New(reg prometheus.Registerer, store *bindings.Store, targets []string, log *zap.Logger) (*Metrics, error) {
	// Registered one by one below: a name that is taken is an error to report, not a
	// panic.
	var all []prometheus.Collector
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
		all = append(all, v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: 1.1,
			NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, labels)
		all = append(all, v)
		return v
	}
	m := &Metrics{
		Runs:        counter("reconcile_runs_total", "Passes over a target, by what caused them and how they ended.", "target", "trigger", "result"),
		Duration:    histogram("reconcile_duration_seconds", "Time of one phase of a pass.", phaseBuckets, "target", "phase"),
		LastRun:     gauge("reconcile_last_run_timestamp_seconds", "When a pass was last attempted.", "target"),
		LastSuccess: gauge("reconcile_last_success_timestamp_seconds", "When Matomo was last read completely and everything due was applied.", "target"),
		Failures:    gauge("reconcile_consecutive_failures", "Passes in a row that the target failed.", "target"),
		Changes:     counter("changes_total", "Changes in Matomo, by action and result.", "target", "action", "result"),
		Propagation: histogram("propagation_duration_seconds", "From the accepted request to the verified state in Matomo.", propagationBuckets, "event", "target"),
		Drift:       gauge("drift", "Differences between what the rules want and what the last full compare found, by kind.", "target", "kind"),
		GuardTrips:  counter("guard_trips_total", "Times a guard held something back.", "target", "guard"),
		Circuit:     gauge("matomo_circuit_state", "State of the target's circuit breaker: 1 for the current one.", "target", "state"),
		Unresolved:  gauge("mapping_unresolved_grants", "Grants of active rules whose site could not be resolved in the last full compare.", "target"),
		Planned:     gauge("plan_actions", "Steps that the last full compare found to be due, by action.", "target", "action"),
		Rules:       gauge("mapping_rules", "Rules of the active rule set, by what they match.", "kind"),
		Superusers:  gauge("superusers", "Superusers found in the last full compare, by class.", "target", "class"),
		TokensLeft:  counter("tokens_not_revoked_total", "Role changes and leavers after which tokens could not be revoked without harm.", "target"),
		StillMailed: counter("leaver_still_mailed_total", "Scheduled reports of others that still mail to a leaver's address.", "target"),
	}
	m.zero(targets)
	if reg == nil {
		return m, nil
	}
	for _, c := range append(all, newCollector(store, targets, log)) {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// zero creates every series that the configuration makes possible.
func (m *Metrics) zero(targets []string) {
	for _, kind := range allKinds {
		m.Rules.WithLabelValues(kind)
	}
	for _, t := range targets {
		for _, result := range allResults {
			for _, trigger := range allTriggers {
				m.Runs.WithLabelValues(t, trigger, result)
			}
		}
		for _, e := range allEvents {
			m.Propagation.WithLabelValues(e, t)
		}
		for _, a := range allActions {
			for _, o := range allOutcomes {
				m.Changes.WithLabelValues(t, a, o)
			}
			m.Planned.WithLabelValues(t, a)
		}
		for _, kind := range allDrift {
			m.Drift.WithLabelValues(t, kind)
		}
		for _, g := range allGuards {
			m.GuardTrips.WithLabelValues(t, g)
		}
		m.SetCircuit(t, "closed")
		for _, v := range []*prometheus.GaugeVec{m.LastRun, m.LastSuccess, m.Failures, m.Unresolved} {
			v.WithLabelValues(t)
		}
		for _, phase := range allPhases {
			m.Duration.WithLabelValues(t, phase)
		}
		for _, class := range []string{"managed", "protected", "unmanaged"} {
			m.Superusers.WithLabelValues(t, class)
		}
		m.TokensLeft.WithLabelValues(t)
		m.StillMailed.WithLabelValues(t)
	}
}

// Gauges of closed sets are always set as a whole: a value that is no longer current must not
// go on being shown beside the one that is.

// SetRules shows how many rules of each kind are active.
func (m *Metrics) SetRules(byKind map[string]int) {
	for _, kind := range allKinds {
		m.Rules.WithLabelValues(kind).Set(float64(byKind[kind]))
	}
}

// CountActions adds the steps of a plan to what a compare found to be due.
func CountActions(found map[string]int, p matomo.Plan) {
	for _, s := range p.Steps {
		found[ActionOf(s)]++
	}
}

// SetPlanned shows what a compare of a target found to be due.
func (m *Metrics) SetPlanned(target string, found map[string]int) {
	for _, a := range allActions {
		m.Planned.WithLabelValues(target, a).Set(float64(found[a]))
	}
}

// SetCircuit shows state as the one current state of target's breaker.
func (m *Metrics) SetCircuit(target, state string) {
	for _, s := range allCircuits {
		value := 0.0
		if s == state {
			value = 1
		}
		m.Circuit.WithLabelValues(target, s).Set(value)
	}
}

// ActionOf is the label under which a step is counted.
func ActionOf(s matomo.Step) string {
	switch s.Kind {
	case matomo.AddUser, matomo.InviteUser:
		return "user_create"
	case matomo.DeleteUser:
		return "user_delete"
	case matomo.RevokeTokens:
		return "token_revoke"
	case matomo.Demote:
		return "superuser_revoke"
	case matomo.Promote:
		return "superuser_grant"
	case matomo.RemoveAccess:
		return "revoke"
	case matomo.SetAccess:
		return "grant"
	case matomo.Logout:
		return "session_logout"
	case matomo.RandomPassword:
		return "user_suspend"
	default:
		return "user_update"
	}
}

// BlockedAction is the label of what a blocked person does not get.
func BlockedAction(c *course.Case) string {
	switch matomo.Reason(c.Reason) {
	case matomo.UnknownSite, matomo.UnknownCap, matomo.AdditionsHeld:
		return "grant"
	case matomo.TokensLive:
		return "token_revoke"
	case matomo.PasswordNeeded, matomo.SuperuserByUs:
		superuser := c.Account != nil && c.Account.Access.Superuser
		switch {
		case superuser && !c.Want.Access.Superuser:
			return "superuser_revoke"
		case c.Want.Access.Superuser && !superuser:
			return "superuser_grant"
		}
		return "user_update"
	default:
		if c.Account != nil && c.Account.Exists {
			return "user_update"
		}
		return "user_create"
	}
}
