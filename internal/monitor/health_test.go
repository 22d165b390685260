package monitor

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestHealth_StateStartIsKeptWhileTheStateStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth()
		start := time.Now()
		h.Report("matomo/main", StateDown, "connection refused", "start Matomo", 0)
		time.Sleep(time.Minute)
		h.Report("matomo/main", StateDown, "connection refused again", "start Matomo", 0)
		c := h.Components()[0]
		if !c.Since.Equal(start) {
			t.Errorf("since = %v, want the first report's time %v", c.Since, start)
		}
		if c.Detail != "connection refused again" {
			t.Errorf("detail = %q, want the newest", c.Detail)
		}
		h.Report("matomo/main", StateOK, "", "", 0)
		if c := h.Components()[0]; !c.Since.Equal(start.Add(time.Minute)) {
			t.Errorf("since after recovery = %v, want the time of the change", c.Since)
		}
	})
}

func TestHealth_SilentWorkerIsStaleAndDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth()
		h.Report("reconcile/main", StateOK, "", "", 30*time.Second)
		time.Sleep(29 * time.Second)
		if got := h.Status(); got != StateOK {
			t.Fatalf("status before expiry = %q, want ok", got)
		}
		time.Sleep(2 * time.Second)
		if got := h.Status(); got != StateDown {
			t.Errorf("status after expiry = %q, want down", got)
		}
		if got := h.Components()[0].State; got != StateStale {
			t.Errorf("component state = %q, want stale", got)
		}
	})
}

func TestHealth_ServeHTTP(t *testing.T) {
	for _, tc := range []struct {
		state  string
		status int
	}{{StateOK, http.StatusOK}, {StateDegraded, http.StatusOK}, {StateDown, http.StatusServiceUnavailable}} {
		h := NewHealth()
		h.Report("database", StateOK, "", "", 0)
		h.Report("matomo/main", tc.state, "seen", "do this", 0)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/health", nil))
		if rec.Code != tc.status {
			t.Errorf("%s: status code %d, want %d", tc.state, rec.Code, tc.status)
		}
		var body struct {
			Status     string
			Components []Component
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: body is not JSON: %v", tc.state, err)
		}
		if body.Status != tc.state || len(body.Components) != 2 {
			t.Errorf("%s: body = %+v", tc.state, body)
		}
	}
}

// A worker that never starts is missed as one that died is.
func TestHealth_ExpectedWorkerThatNeverReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth()
		h.Expect("sweep", time.Minute)
		if got := h.Status(); got != StateOK {
			t.Fatalf("status while starting = %q, want ok", got)
		}
		time.Sleep(61 * time.Second)
		c := h.Components()[0]
		if c.State != StateStale || c.Action == "" {
			t.Errorf("component = %+v, want stale and what to do", c)
		}
	})
}

// Heartbeats are of what reports again and again; a state that holds has none.
func TestHealth_Collect(t *testing.T) {
	h := NewHealth()
	h.now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	h.Report("matomo/main", StateOK, "", "", 0)
	h.Report("audit", StateDegraded, "", "", time.Minute)
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(h); err != nil {
		t.Fatal(err)
	}
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP scim_bridge_worker_expires_timestamp_seconds When a part that has not reported again counts as silent.
# TYPE scim_bridge_worker_expires_timestamp_seconds gauge
scim_bridge_worker_expires_timestamp_seconds{worker="audit"} 1.70000006e+09
# HELP scim_bridge_worker_heartbeat_timestamp_seconds When a part that reports again and again last did.
# TYPE scim_bridge_worker_heartbeat_timestamp_seconds gauge
scim_bridge_worker_heartbeat_timestamp_seconds{worker="audit"} 1.7e+09
`))
	if err != nil {
		t.Error(err)
	}
}

// What is done every so often is well, or not, or silent.
func TestHealth_Repeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth()
		told := h.Repeated("notes", "mend the folder", time.Hour)
		told(errors.New("no such folder"))
		if c := h.Components()[0]; c.State != StateDegraded || c.Detail != "no such folder" || c.Action != "mend the folder" {
			t.Errorf("component = %+v", c)
		}
		told(nil)
		if c := h.Components()[0]; c.State != StateOK || c.Detail != "" || c.Action != "" {
			t.Errorf("component = %+v", c)
		}
		time.Sleep(3*time.Hour + time.Second)
		if c := h.Components()[0]; c.State != StateStale {
			t.Errorf("component = %+v, want stale after three were missed", c)
		}
	})
}
