package listen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// Everything is answered until the drain is over; only the probe tells that it has begun, and
// every answer that its connection is not to be used again.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Drain
		h := d.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }), "/readyz")
		ask := func(path string, status int, connection string) {
			t.Helper()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
			if got := w.Header().Get("Connection"); w.Code != status || got != connection {
				t.Errorf("%s: %d, Connection %q; want %d, %q", path, w.Code, got, status, connection)
			}
		}
		d.Wait(t.Context(), 0)
		ask("/readyz", http.StatusCreated, "")
		ask("/scim/v2/Users", http.StatusCreated, "")

		start, over := time.Now(), make(chan time.Time, 1)
		go func() { d.Wait(t.Context(), 7*time.Second); over <- time.Now() }()
		synctest.Wait()
		ask("/readyz", http.StatusServiceUnavailable, "close")
		ask("/scim/v2/Users", http.StatusCreated, "close")
		if took := (<-over).Sub(start); took != 7*time.Second {
			t.Errorf("the drain took %s, want 7s", took)
		}
		ask("/readyz", http.StatusServiceUnavailable, "close")
	})
}

func TestDrain_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		new(Drain).Wait(ctx, time.Hour)
		if took := time.Since(start); took != 0 {
			t.Errorf("the drain took %s after its context was done", took)
		}
	})
}
