package monitor

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/directory"
)

// credentials shows when each live credential ends and when it was last used. Commands
// beside the service make and revoke them, so the rows are asked and nothing is kept.
type credentials struct {
	dir          *directory.Store
	log          *zap.Logger
	expiry, used *prometheus.Desc

	mu   sync.Mutex // guards the fields below
	at   time.Time
	last series
}

// NewCredentials returns the collector of the credentials in dir.
func NewCredentials(dir *directory.Store, log *zap.Logger) prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, []string{"token"}, nil)
	}
	return &credentials{
		dir: dir, log: log,
		expiry: desc("token_expiry_timestamp_seconds", "When a live credential stops working; absent for one without an end."),
		used:   desc("token_last_used_timestamp_seconds", "When a live credential was last used, right to about a minute; 0 before the first time."),
	}
}

// Describe implements prometheus.Collector.
func (c *credentials) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.expiry
	ch <- c.used
}

// Collect implements prometheus.Collector. What cannot be read is left out rather than
// shown as it was.
func (c *credentials) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) >= rowsEvery {
		ctx, cancel := context.WithTimeout(context.Background(), rowsTimeout)
		defer cancel()
		all, err := c.dir.ListCredentials(ctx)
		if err != nil {
			c.log.Warn("read credentials for metrics", zap.Error(err))
			return
		}
		c.last, c.at = c.show(all, time.Now()), time.Now()
	}
	for _, m := range c.last.all {
		ch <- m
	}
}

// A credential that was replaced is revoked and gone from here at once; the new one has a
// name of its own. So an alert on an end stops with the rotation, and nobody has to remember
// to silence it.

// show turns credentials into gauges; names are unique among the live ones. One that ran
// out is shown for a day more, for the alert to be seen.
func (c *credentials) show(all []directory.Credential, now time.Time) series {
	var out series
	for _, cred := range all {
		if cred.Revoked != nil || cred.Expires != nil && cred.Expires.Before(now.AddDate(0, 0, -1)) {
			continue
		}
		// Some people name credentials after themselves; an address does not become a label.
		name := strings.ReplaceAll(cred.Name, "@", "_")
		out.add(c.used, seconds(cred.LastUsed), name)
		if cred.Expires != nil {
			out.add(c.expiry, seconds(cred.Expires), name)
		}
	}
	return out
}
