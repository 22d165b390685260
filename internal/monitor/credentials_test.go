package monitor

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/database/databasetest"
)

// Credentials show while they live, and for a day after they ran out; an address in a
// name never becomes a label.
func TestCredentials(t *testing.T) {
	databasetest.Run(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, noRules)
		for _, name := range []string{"okta", "ada@example.org", "revoked", "over", "long-over"} {
			if _, err := w.opt.Directory.CreateCredential(t.Context(), name, "okta"); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.opt.Directory.RevokeCredential(t.Context(), "revoked"); err != nil {
			t.Fatal(err)
		}
		expire := func(name string, at time.Time) {
			w.exec(`UPDATE credentials SET expires_at = $1 WHERE name = $2`, database.Micros(at), name)
		}
		expire("okta", time.Unix(4_000_000_000, 0))
		expire("over", time.Now().Add(-time.Hour).Truncate(time.Second))
		expire("long-over", time.Now().Add(-48*time.Hour))
		w.exec(`UPDATE credentials SET last_used_at = $1 WHERE name = 'okta'`, database.Micros(time.Unix(1_700_000_000, 0)))
		reg := registry(t, NewCredentials(w.opt.Directory, zap.NewNop()))
		err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP scim_bridge_token_last_used_timestamp_seconds When a live credential was last used, right to about a minute; 0 before the first time.
# TYPE scim_bridge_token_last_used_timestamp_seconds gauge
scim_bridge_token_last_used_timestamp_seconds{token="ada_example.org"} 0
scim_bridge_token_last_used_timestamp_seconds{token="okta"} 1.7e+09
scim_bridge_token_last_used_timestamp_seconds{token="over"} 0
`), "scim_bridge_token_last_used_timestamp_seconds")
		if err != nil {
			t.Error(err)
		}
		if n, err := testutil.GatherAndCount(reg, "scim_bridge_token_expiry_timestamp_seconds"); err != nil || n != 2 {
			t.Errorf("%d expiries (%v), want those of okta and over", n, err)
		}
	})
}
