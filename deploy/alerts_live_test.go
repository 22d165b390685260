//go:build !race

// The bridge under the race detector is the business of internal/app; here it would only
// make a slow test slower, with a Prometheus that waits for it.

package deploy

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/matomo-scim/bridge/internal/app"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/matomo/matomotest"
)

// promtool shows that a rule fires for series that somebody wrote down. That a fault leads to
// such series, and its end to their end, only the fault can show. So here everything that an
// alert speaks of happens to a bridge: its Matomo is cut off, its token is wrong, its files are
// broken, its database is held by another program.

// TestAlerts_Live makes every fault happen that a rule is for, and mends it. Faults that do not
// meet are there together, because time is what most of this waits for.
func TestAlerts_Live(t *testing.T) {
	w := newLive(t)
	stop := w.everyday()
	w.quiet()
	back := w.everythingBreaks()

	w.fires("ScimBridgeMatomoDown target=down", "ScimBridgeLeaverNotRevoked target=down", "ScimBridgeSecretRejected target=locked",
		"ScimBridgeUnmanagedSuperuser target=main", "ScimBridgeGuardBlocking guard=superuser_cap", "ScimBridgeAuditWriteFailing",
		"ScimBridgeConfigReloadFailed")

	// What does not take long is mended at once.
	w.write("token-locked", w.locked.Token())
	w.sim.SetSuperuser("mallory", false)
	w.patch("/Groups/"+w.groups["Admins"], "remove", `members[value eq "`+w.people[1]+`"]`, nil)
	w.compareMain()
	w.write("rules.ini", liveRules)
	w.ends("ScimBridgeConfigReloadFailed", "ScimBridgeSecretRejected", "ScimBridgeUnmanagedSuperuser", "ScimBridgeGuardBlocking")

	// Somebody activates other rules beside the bridge; then its rule file hangs, as one on a
	// lost network share does.
	others := liveRules + "group@okta[Ghosts] = \"*/site:3:view\"\n"
	w.activate(others)
	w.fires("ScimBridgeRuleFilesDiffer")
	w.write("rules.ini", others)
	w.ends("ScimBridgeRuleFilesDiffer")
	release := w.hang("rules.ini")

	w.fires("ScimBridgeQueueBacklog target=down", "ScimBridgeReconcileStale target=down")
	back()
	w.fires("ScimBridgeLeaversSlow window=1h")
	w.ends("ScimBridgeMatomoDown", "ScimBridgeLeaverNotRevoked", "ScimBridgeQueueBacklog", "ScimBridgeReconcileStale")
	w.fires("ScimBridgeIdpSilent idp=entra", "ScimBridgeAuthFailures", "ScimBridgeTokenExpiring token=okta", "ScimBridgeBackupOld",
		"ScimBridgeUnmappedGroups idp=okta", "ScimBridgeAuditUnsealed", "ScimBridgeCertificateExpiring listener=scim",
		"ScimBridgeWorkerSilent worker=reload")

	// The rest is mended, and another program holds the database for a while.
	stop()
	w.entra = w.credential("entra-2", "entra")
	stop = w.everyday()
	w.exec(`UPDATE credentials SET expires_at = NULL`)
	for _, group := range w.strangers() {
		if _, status := w.do("", http.MethodDelete, "/Groups/"+w.groups[group], nil); status != http.StatusNoContent {
			t.Errorf("delete %s: %d", group, status)
		}
	}
	w.show(w.good)
	w.exec(`DROP TRIGGER no_seal`)
	release()
	letGo := w.hold()
	w.fires("ScimBridgeStoreErrors", "ScimBridgeScimErrors idp=okta")
	letGo()
	w.quiet()
	stop()

	w.theDiskIsLost()
	defer w.everyday()()
	w.quiet()
	w.everyAlertFired()
	w.runbooksAsk()
}

// everythingBreaks makes faults that can be there together. back lets the Matomo that is down
// answer again.
func (w *live) everythingBreaks() (back func()) {
	w.t.Helper()
	back = w.down.Fault(matomotest.Fault{Kind: matomotest.CutBefore})
	w.patch("/Users/"+w.people[4], "Replace", "active", "False") // a leaver whom down does not let go
	w.write("token-locked", strings.Repeat("0", 32))
	if err := w.sim.AddUser("mallory", "mallory@example.org", "a password that nobody types"); err != nil {
		w.t.Fatal(err)
	}
	w.sim.SetSuperuser("mallory", true)
	w.member("Admins", w.people[1]) // one more than the guard allows
	w.compareMain()
	w.beside(func(s *app.Services) error { return s.Directory.RevokeCredential(w.t.Context(), "entra") })
	w.exec(`UPDATE credentials SET expires_at = $1 WHERE name = 'okta'`, database.Micros(time.Now().AddDate(0, 0, 10)))
	for _, group := range w.strangers() {
		w.member(group)
	}
	w.show(w.ending)
	w.exec(`CREATE TRIGGER no_seal BEFORE UPDATE ON audit BEGIN SELECT RAISE(FAIL, 'nobody may seal'); END`)
	w.write("rules.ini", "[RoleMapping]\ngroup@okta[Analysts] = \"site:none\"\n")
	return back
}

// strangers are groups that no rule knows.
func (w *live) strangers() []string {
	out := make([]string, 21)
	for i := range out {
		out[i] = fmt.Sprintf("Stranger %d", i)
	}
	return out
}

// theDiskIsLost puts a backup back, in which somebody changes the record before the bridge is
// started, with a folder missing in which it wrote. Then it mends that.
func (w *live) theDiskIsLost() {
	w.t.Helper()
	from := w.backup()
	w.stop()
	w.fires("ScimBridgeDown")
	if _, err := app.Restore(w.t.Context(), w.config(), from, false, w.options()); err != nil {
		w.t.Fatal(err)
	}
	w.exec(`UPDATE audit SET entry = entry || ' ' WHERE seq = (SELECT MAX(seq) FROM audit)`)
	notes := filepath.Join(w.dir, "notes")
	if err := os.Rename(notes, notes+".lost"); err != nil {
		w.t.Fatal(err)
	}
	w.serve()
	w.fires("ScimBridgeRestoreUnconfirmed", "ScimBridgeAuditChainBroken", "ScimBridgeAuditCheckpointOld")
	w.stop()
	if err := os.Rename(notes+".lost", notes); err != nil {
		w.t.Fatal(err)
	}
	w.exec(`UPDATE audit SET entry = rtrim(entry) WHERE entry LIKE '% '`)
	if err := app.ConfirmRestore(w.config()); err != nil {
		w.t.Fatal(err)
	}
	w.serve()
}

// everyAlertFired holds the rules to the faults: a new alert needs one.
func (w *live) everyAlertFired() {
	w.t.Helper()
	var rules rulesFile
	load(w.t, "prometheus/rules.yaml", &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && !w.seen[r.Alert] {
				w.t.Errorf("no fault made %s fire", r.Alert)
			}
		}
	}
}

// runbooksAsk runs every query that a page of the runbooks tells people to make.
func (w *live) runbooksAsk() {
	w.t.Helper()
	pages, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		w.t.Fatal(err)
	}
	asked := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, code := range regexp.MustCompile("`[^`]*scim_bridge_[^`]*`").FindAllString(string(text), -1) {
			asked++
			w.query(strings.Trim(code, "`")) // fails the test when it is refused
		}
	}
	if asked < 12 {
		w.t.Errorf("only %d queries were found", asked)
	}
}

// compareMain has the Matomo that is well compared as a whole.
func (w *live) compareMain() {
	w.t.Helper()
	_ = w.app.Engine.MarkDifferences(w.t.Context()) // the others may be away
}

// activate makes rules active that are not those of the bridge's files, as another replica
// does that has others.
func (w *live) activate(rules string) {
	w.t.Helper()
	w.write("others.ini", rules)
	cfg := w.config()
	cfg.Mapping.Files = []string{"others.ini"}
	s, err := app.Open(w.t.Context(), cfg, w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prepare(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// hang makes whoever opens a file wait, until release.
func (w *live) hang(name string) (release func()) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	content, err := os.ReadFile(path)
	if err == nil {
		err = syscall.Mkfifo(path+".pipe", 0o600)
	}
	if err == nil {
		err = os.Rename(path+".pipe", path)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	released := false
	release = func() {
		if released {
			return
		}
		released = true
		pipe, err := os.OpenFile(path, os.O_RDWR, 0) // does not wait for a reader
		if err != nil {
			w.t.Error(err)
			return
		}
		w.write(name+".new", string(content))
		if err := os.Rename(path+".new", path); err != nil {
			w.t.Error(err)
		}
		_, _ = pipe.Write(content)
		_ = pipe.Close()
	}
	w.t.Cleanup(release) // the bridge could not stop
	return release
}

// hold keeps the bridge from writing to its database until release, as another program does that
// has the file open and does not finish.
func (w *live) hold() (release func()) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "bridge.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := db.Conn(w.t.Context())
	if err == nil {
		_, err = conn.ExecContext(w.t.Context(), "PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(w.t.Context(), "ROLLBACK"); err != nil {
			w.t.Error(err)
		}
		_ = conn.Close()
		_ = db.Close()
	}
}
