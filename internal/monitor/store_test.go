package monitor

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A backup shows once there is one, and a restore until it is confirmed.
func TestStore(t *testing.T) {
	var at time.Time
	reg := registry(t, NewStore(func() time.Time { return at }, true))
	const restored = `# HELP scim_bridge_store_restore_unconfirmed 1 while nothing is written to Matomo because the database was restored and nobody has confirmed the plan, else 0.
# TYPE scim_bridge_store_restore_unconfirmed gauge
scim_bridge_store_restore_unconfirmed 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(restored)); err != nil {
		t.Error(err)
	}
	at = time.Unix(1_700_000_000, 0)
	const saved = `# HELP scim_bridge_store_last_backup_timestamp_seconds When the backup command last saved this database; absent when it never did.
# TYPE scim_bridge_store_last_backup_timestamp_seconds gauge
scim_bridge_store_last_backup_timestamp_seconds 1.7e+09
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(saved+restored)); err != nil {
		t.Error(err)
	}
}
