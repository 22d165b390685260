package reconcile_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/matomo"
)

// TestRun_FiftyLeaversUnderTheRequestLimit: a department leaves while Matomo takes 100 requests a minute and 20 ms
// for each. A change that costs leavers a request too many does not pass unseen; BenchmarkLeavers of
// internal/app measures the same on a real clock.
func TestRun_FiftyLeaversUnderTheRequestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t, withPlugin(), withClient(func(o *matomo.Options) { o.RequestsPerMinute = 100 }))
		w.slow(20 * time.Millisecond)
		names := make([]string, 50)
		for i := range names {
			names[i] = fmt.Sprintf("leaver%02d@example.org", i)
			w.join(names[i], "Analysts")
		}
		time.Sleep(10 * time.Minute)
		for _, name := range names {
			w.mint(name)
		}
		for _, name := range names {
			w.leave(name)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(30 * time.Second)
		for _, name := range names {
			b := w.binding(name)
			w.wantAccess(name, "")
			if n := len(w.matomo.Tokens(name)); n > 0 || b.RevokedAt == nil || b.State != bindings.Done {
				t.Fatalf("after 30 s %s is %s, with %d tokens", name, b.State, n)
			}
			if took := b.RevokedAt.Sub(*b.LeftAt); took > 5*time.Second {
				t.Errorf("%s was revoked after %s", name, took)
			}
		}
	})
}
