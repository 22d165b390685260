package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
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
