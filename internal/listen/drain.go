package listen

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// A load balancer learns that a replica is about to go by asking it, and asks every few
// seconds. A listener that closes at once is a refused connection for whoever was sent there
// meanwhile, and an idle connection that is closed under a request is an answer that never
// comes: a POST is not sent again. So a replica says first that it goes, and answers
// everything that still comes until nobody comes any more.

// Drain is the time between being told to stop and closing the listener.
type Drain struct{ begun atomic.Bool }

// Handler answers as h does until the drain begins. From then on probe, the path of the
// readiness probe, is answered 503, and every answer asks for its connection to be closed: by
// the client, after the answer, where no request can cross it on its way.
func (d *Drain) Handler(h http.Handler, probe string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
			if r.URL.Path == probe {
				http.Error(w, "not ready: stopping", http.StatusServiceUnavailable)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// Wait begins the drain and returns when it has lasted so long, or when ctx is done. A drain of
// nothing does not begin.
func (d *Drain) Wait(ctx context.Context, lasts time.Duration) {
	if lasts <= 0 {
		return
	}
	d.begun.Store(true)
	timer := time.NewTimer(lasts)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
