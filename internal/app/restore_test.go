package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/database"
	"github.com/matomo-scim/bridge/internal/monitor"
)

// restoreWorld is a bridge that is stopped, restored and started again, and a Matomo that
// stays.
type restoreWorld struct {
	*soakWorld

	cfg *config.Config
	ids map[string]string
}

func newRestoreWorld(t *testing.T) *restoreWorld {
	t.Helper()
	sim := NewSimulator(SimulatorOptions{Plugin: true, ForgetCalls: true})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	w := &restoreWorld{
		soakWorld: &soakWorld{t: t, sim: sim, groups: map[string]string{}, client: &http.Client{}}, ids: map[string]string{},
		cfg: writeConfig(t, sim, srv.URL+"/", "[RoleMapping]\ngroup[Analysts] = \"site:1:view\"\ngroup[Editors] = \"site:2:admin\"\n"),
	}
	w.secret = credentialFor(t, w.cfg, Options{Logger: zap.NewNop()})
	w.start()
	for _, name := range []string{"Analysts", "Editors"} {
		out, _ := w.do(http.MethodPost, "/Groups", map[string]any{"displayName": name})
		w.groups[name], _ = out["id"].(string)
	}
	return w
}

// start runs the service until the returned function stops it.
func (w *restoreWorld) start() {
	w.t.Helper()
	a, err := New(w.t.Context(), w.cfg, Options{Logger: zap.NewNop(), Version: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	a.Start(w.t.Context())
	w.t.Cleanup(func() { a.Stop(context.Background()) })
	w.app = a
}

func (w *restoreWorld) stop() { w.app.Stop(context.Background()) }

func (w *restoreWorld) create(name string) {
	w.t.Helper()
	out, status := w.do(http.MethodPost, "/Users", map[string]any{"userName": name, "externalId": name, "active": true})
	if status != http.StatusCreated {
		w.t.Fatalf("create %s: %d %v", name, status, out)
	}
	w.ids[name], _ = out["id"].(string)
}

// move changes a membership.
func (w *restoreWorld) move(name, op, group string) {
	w.t.Helper()
	value := []any{map[string]any{"value": w.ids[name]}}
	if status := w.patch("/Groups/"+w.groups[group], map[string]any{"op": op, "path": "members", "value": value}); status > 299 {
		w.t.Fatalf("%s %s %s: %d", op, name, group, status)
	}
}

func (w *restoreWorld) leave(name string) {
	w.t.Helper()
	if status := w.patch("/Users/"+w.ids[name], map[string]any{"op": "replace", "path": "active", "value": false}); status > 299 {
		w.t.Fatalf("leave %s: %d", name, status)
	}
}

// has waits until somebody has this access in Matomo; empty for none.
func (w *restoreWorld) has(name, want string) {
	w.t.Helper()
	w.await(name+" to have "+want, func() bool { return w.access(name) == want })
}

// access is what somebody has in Matomo; empty for nothing.
func (w *restoreWorld) access(name string) string {
	if a := w.sim.Access(name); !a.Empty() {
		return a.String()
	}
	return ""
}

// What happened after the backup is not undone: nobody gets access back, nobody loses any,
// until the provider has sent everything again and somebody has looked. Then all is as the
// provider says.
func TestRestore_DoesNoHarm(t *testing.T) {
	w := newRestoreWorld(t)
	for _, name := range []string{"stays", "leaves", "moves"} {
		w.create(name + "@example.org")
		w.move(name+"@example.org", "add", "Analysts")
		w.has(name+"@example.org", "1:view")
	}
	file := filepath.Join(t.TempDir(), "bridge-backup.db")
	if err := w.app.DB.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	w.leave("leaves@example.org")
	w.move("moves@example.org", "remove", "Analysts")
	w.move("moves@example.org", "add", "Editors")
	w.create("new@example.org")
	w.move("new@example.org", "add", "Editors")
	w.has("leaves@example.org", "")
	w.has("moves@example.org", "2:admin")
	w.has("new@example.org", "2:admin")
	w.stop()

	out, err := Restore(t.Context(), w.cfg, file, false, Options{Logger: zap.NewNop()})
	if err != nil || out.Entries == 0 || out.Head == "" || out.Kept == "" {
		t.Fatalf("restore: %+v, %v", out, err)
	}
	unharmed := func(when string) {
		t.Helper()
		for name, want := range map[string]string{"stays": "1:view", "leaves": "", "moves": "2:admin", "new": "2:admin"} {
			if got := w.access(name + "@example.org"); got != want {
				t.Errorf("%s: %s has %q, want %q", when, name, got, want)
			}
		}
	}
	w.start()
	if err := w.app.Engine.MarkDifferences(t.Context()); err != nil { // it re-reads Matomo
		t.Fatal(err)
	}
	w.await("every binding to be looked at", func() bool {
		due, err := w.app.Bindings.Due(t.Context(), "main")
		return err == nil && due.N == 0
	})
	unharmed("after the restore")
	for _, c := range w.app.Health.Components() {
		if c.Name == "restore" && (c.State != monitor.StateDegraded || !strings.Contains(c.Action, "restore --confirm")) {
			t.Errorf("health: %+v", c)
		}
	}
	if !strings.Contains(gathered(t, w.app), "scim_bridge_store_restore_unconfirmed 1\n") {
		t.Error("no metric says that the restore waits")
	}

	// The provider sends what it knows once more.
	w.leave("leaves@example.org")
	w.move("moves@example.org", "remove", "Analysts")
	w.move("moves@example.org", "add", "Editors")
	w.stop()
	unharmed("while nobody has confirmed")
	if err := ConfirmRestore(w.cfg); err != nil {
		t.Fatal(err)
	}
	w.start()
	if err := w.app.Engine.MarkDifferences(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.await("every binding to be looked at", func() bool {
		due, err := w.app.Bindings.Due(t.Context(), "main")
		return err == nil && due.N == 0
	})
	unharmed("after the confirmation")
	// The bridge works as before: it can still take access away.
	w.leave("stays@example.org")
	w.has("stays@example.org", "")
	report, err := w.app.Audit.Verify(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("the record after the restore: %v, %v", report.Problems, err)
	}
	if err := ConfirmRestore(w.cfg); err == nil {
		t.Error("a restore was confirmed twice")
	}
}

func TestRestore_Refuses(t *testing.T) {
	w := newRestoreWorld(t)
	w.create("ada@example.org")
	if _, err := w.app.Audit.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "good.db")
	if err := w.app.DB.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	opt := Options{Logger: zap.NewNop()}
	if _, err := Restore(t.Context(), w.cfg, file, false, opt); !errors.Is(err, ErrServed) {
		t.Errorf("while served: %v", err)
	}
	w.stop()
	before := fileHash(strings.TrimPrefix(w.cfg.Database.URL, "sqlite:"))
	broken := filepath.Join(dir, "broken.db")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := database.Open(t.Context(), "sqlite:"+broken, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.InTx(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE audit SET entry = '{}' WHERE seq = 1`)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := Restore(t.Context(), w.cfg, broken, false, opt)
	if !errors.Is(err, ErrBroken) || len(out.Problems) == 0 {
		t.Errorf("a broken record: %+v, %v", out, err)
	}
	noise := filepath.Join(dir, "noise.db")
	if err := os.WriteFile(noise, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{noise, filepath.Join(dir, "missing.db")} {
		if _, err := Restore(t.Context(), w.cfg, name, true, opt); err == nil {
			t.Errorf("%s was restored", name)
		}
	}
	path := strings.TrimPrefix(w.cfg.Database.URL, "sqlite:")
	if fileHash(path) != before || isRestored(w.cfg) {
		t.Error("a refused restore changed something")
	}
	if left, err := filepath.Glob(path + ".restoring*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	// Whoever has nothing else takes the broken one.
	if out, err = Restore(t.Context(), w.cfg, broken, true, opt); err != nil || len(out.Problems) == 0 || !isRestored(w.cfg) {
		t.Errorf("by force: %+v, %v", out, err)
	}
	if out, err = CheckBackup(t.Context(), file, opt); err != nil || len(out.Problems) > 0 || out.Entries == 0 {
		t.Errorf("check of the good one: %+v, %v", out, err)
	}
}

func TestRestore_PostgreSQLHasItsOwn(t *testing.T) {
	cfg := &config.Config{Database: config.Database{URL: "postgres://bridge@db/bridge"}}
	_, err := Restore(t.Context(), cfg, "x", false, Options{Logger: zap.NewNop()})
	if err := errors.Join(err, ConfirmRestore(cfg)); !errors.Is(err, database.ErrNoFile) || isRestored(cfg) {
		t.Errorf("error = %v", err)
	}
}

// Root restores, and the service can write what was restored.
func TestRestore_BelongsToTheOwnerOfTheFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	w := newRestoreWorld(t)
	file := filepath.Join(t.TempDir(), "b.db")
	if err := w.app.DB.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	w.stop()
	path := strings.TrimPrefix(w.cfg.Database.URL, "sqlite:")
	if err := os.Chown(filepath.Dir(path), 65532, 65532); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), w.cfg, file, false, Options{Logger: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".restored", path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != 65532 {
			t.Errorf("%s belongs to %+v, want to the owner of its folder", name, info.Sys())
		}
	}
}
