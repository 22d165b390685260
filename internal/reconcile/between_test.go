package reconcile_test

// What happens between two steps of a pass: requests of an admin, new rules, an
// answer of Matomo that is half a success.

import (
	"context"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/bindings"
	"github.com/matomo-scim/bridge/internal/database"
)

// deleteNow asks for the deletion of a leaver's account, as the command does.
func (w *world) deleteNow(userName string) {
	w.tb.Helper()
	id := w.binding(userName).ID
	w.inTx(func(ctx context.Context, tx *database.Tx) error {
		return w.bindings.DeleteNow(ctx, tx, id, bindings.Cause{Actor: "cli:root", Source: "cli"})
	})
}

// An account whose deletion was asked for while a pass worked on it is deleted: the
// pass knew nothing of it.
func TestBetween_ADeletionAskedForDuringAPass(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin())
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.onRequest("updateUser", func() { w.deleteNow(ada) })
		w.drain()
		w.wantAccess(ada, "no account")
		w.wantState(ada, bindings.Gone, "")
	})
}

// An account that was kept while a pass worked on it is not deleted, although its
// time is over by then.
func TestBetween_AnAccountKeptDuringAPass(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db, withPlugin(), func(o *worldOptions) { o.target.DeleteAfter = time.Nanosecond })
		w.join(ada, "Analysts")
		w.drain()
		w.leave(ada)
		w.onRequest("noaccess", func() { w.keep(ada) })
		w.drain()
		w.wantAccess(ada, "")
		w.wantState(ada, bindings.Done, "")
	})
}
