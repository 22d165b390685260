package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

func TestMetrics_AreThereFromTheFirstScrape(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	w.lint()
	for _, m := range [][]string{
		{"changes_total", "action=user_create", "result=ok"},
		{"changes_total", "action=token_revoke", "result=error"},
		{"changes_total", "action=grant", "result=blocked"},
		{"reconcile_runs_total", "trigger=interval", "result=error"},
		{"propagation_duration_seconds", "event=leaver"},
		{"guard_active", "guard=superuser_cap"},
		{"guard_trips_total", "guard=min_superusers"},
		{"drift", "kind=unmanaged_superuser"},
		{"bindings", "state=blocked"},
		{"queue_depth", "target=main"},
		{"queue_oldest_timestamp_seconds", "target=main"},
		{"leavers_unverified", "target=main"},
		{"leaver_oldest_unverified_timestamp_seconds", "target=main"},
		{"superusers", "class=managed"},
		{"tokens_not_revoked_total", "target=main"},
		{"leaver_still_mailed_total", "target=main"},
		{"reconcile_consecutive_failures", "target=main"},
		{"reconcile_last_run_timestamp_seconds", "target=main"},
		{"reconcile_last_success_timestamp_seconds", "target=main"},
		{"mapping_unresolved_grants", "target=main"},
		{"mapping_rules", "kind=user"},
		{"plan_actions", "action=superuser_revoke"},
		{"reconcile_duration_seconds", "phase=verify"},
	} {
		if n := w.metric(m[0], m[1:]...); n != 0 {
			t.Errorf("%v is %v before anything happened", m, n)
		}
	}
	if w.metric("matomo_circuit_state", "state=closed") != 1 || w.metric("matomo_circuit_state", "state=open") != 0 {
		t.Error("the circuit is not shown as closed")
	}
}

// Labels come from closed sets: nothing of a person ever becomes one.
func TestMetrics_LabelsNameNobody(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), withPlugin())
	w.join(ada, "Analysts")
	w.join("o'brien", "Admins")
	w.drain()
	w.leave(ada)
	w.drain()
	w.compare()
	w.lint()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series++
			for _, l := range m.GetLabel() {
				if strings.ContainsAny(l.GetValue(), "@'") {
					t.Errorf("%s has label %s=%s", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
	if series > 500 {
		t.Errorf("%d series for one target", series)
	}
	if w.metric("mapping_rules") != 5 {
		t.Errorf("%v rules", w.metric("mapping_rules"))
	}
}

// The clock runs from the accepted request to the read back, once for each change.
func TestMetrics_PropagationIsMeasuredOncePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t), withPlugin())
		observed := func() [3]float64 {
			return [3]float64{
				w.metric("propagation_duration_seconds", "event=joiner"), w.metric("propagation_duration_seconds", "event=mover"),
				w.metric("propagation_duration_seconds", "event=leaver"),
			}
		}
		expect := func(what string, want [3]float64) {
			t.Helper()
			if got := observed(); got != want {
				t.Errorf("after %s: joiner, mover, leaver observed %v, want %v", what, got, want)
			}
		}
		w.join(ada, "Analysts")
		w.drain()
		expect("joining a group", [3]float64{1, 0, 0})
		w.compare()
		w.due(w.subject(ada))
		w.drain()
		expect("passes without a change", [3]float64{1, 0, 0})
		w.leave(ada)
		w.drain()
		expect("leaving, two phases", [3]float64{1, 0, 1})
		w.back(ada)
		w.drain()
		expect("coming back", [3]float64{2, 0, 1})
		w.matomo.Fault(refusal("UsersManager.setUserAccess"))
		w.add("Editors", ada)
		w.drain()
		expect("a change that failed", [3]float64{2, 0, 1})
		w.matomo.ClearFaults()
		time.Sleep(time.Minute)
		w.drain()
		expect("its retry", [3]float64{2, 1, 1})
	})
}

func TestMetrics_QueueAndStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, databasetest.SQLite(t))
		w.join(ada, "Analysts")
		due := time.Now()
		time.Sleep(time.Minute)
		if w.metric("queue_depth") != 1 || w.metric("queue_oldest_timestamp_seconds") != float64(due.Unix()) {
			t.Errorf("depth %v, oldest %v", w.metric("queue_depth"), w.metric("queue_oldest_timestamp_seconds"))
		}
		w.drain()
		time.Sleep(time.Minute) // counts are kept for some seconds
		if w.metric("queue_depth") != 0 || w.metric("bindings", "state="+string(bindings.Converged)) != 1 {
			t.Error("the queue is not shown as empty")
		}
		if w.metric("reconcile_last_success_timestamp_seconds") == 0 || w.metric("reconcile_last_run_timestamp_seconds") == 0 {
			t.Error("no success is shown")
		}
	})
}

// The size of what a compare found to be due goes up with the difference and back to
// zero with the next compare after it was mended.
func TestMetrics_PlanActions(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t), withPlugin())
	w.join(ada, "Analysts")
	w.drain()
	w.matomo.Grant(ada, "admin", 4)
	w.compare()
	if n := w.metric("plan_actions", "action=revoke") + w.metric("plan_actions", "action=grant"); n == 0 {
		t.Error("access given by hand does not show in the plan")
	}
	w.drain()
	w.compare()
	if n := w.metric("plan_actions", "action=revoke") + w.metric("plan_actions", "action=grant"); n != 0 {
		t.Errorf("%v steps are due after it was mended", n)
	}
}
