package demo

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
)

// TestRun plays the whole demo and looks at what it claims: each scene, and the
// proof at its end. Nothing may be left behind.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var out bytes.Buffer
	p := terminal.NewPrinter(&out, func(string) string { return "" })
	if err := Run(t.Context(), Options{Out: p, Logger: zap.NewNop(), Version: "test", Once: true}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"1  Joiner: Entra", "request 2: addUser, setUserAccess x2", "2  Mover: ", "3  Leaver: Entra", "4  Come-back: ",
		"5  Joiner: Okta", "verified: converged: superuser", "6  Mover: Kim", "7  Leaver: Okta",
		"verified: done: no access, tokens dead", "one unbroken chain of hashes",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
	if n := strings.Count(out.String(), "is dead: Matomo refuses it"); n != 5 {
		t.Errorf("%d proofs of dead tokens, want 5", n)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRun_StaysUpUntilTold: without Once it waits, and ends with its context.
func TestRun_StaysUpUntilTold(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	out := &watcher{text: "It stays up", found: cancel}
	p := terminal.NewPrinter(out, func(string) string { return "" })
	if err := Run(ctx, Options{Out: p, Logger: zap.NewNop(), Version: "test"}); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() == nil {
		t.Error("it ended without having said that it stays up")
	}
}

// watcher calls found once text was written.
type watcher struct {
	text  string
	found func()
}

func (w *watcher) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.found()
	}
	return len(p), nil
}

// TestProvider_RefusesAnUnexpectedStatus: the demo must not go on over an
// error and show something that is not so.
func TestProvider_RefusesAnUnexpectedStatus(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s" || r.Header.Get("X-Own") != "1" {
			t.Errorf("headers %v", r.Header)
		}
		http.Error(w, `{"detail":"no"}`, http.StatusConflict)
	}))
	defer srv.Close()
	p := NewProvider("test", srv.URL, "s", map[string]string{"X-Own": "1"})
	_, err := p.Create(t.Context(), "note", "/Users", map[string]any{})
	if err == nil || !strings.Contains(err.Error(), "status 409") {
		t.Errorf("error = %v, want the status", err)
	}
	if got := p.take(); len(got) != 1 || got[0].status != http.StatusConflict || got[0].note != "note" {
		t.Errorf("told %+v", got)
	}
	if len(p.take()) != 0 {
		t.Error("told twice")
	}
}

func TestCounted(t *testing.T) {
	got := counted([]string{"addUser", "setUserAccess", "setUserAccess", "logout"})
	if diff := cmp.Diff([]string{"addUser", "setUserAccess x2", "logout"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestIsRead(t *testing.T) {
	for method, want := range map[string]bool{
		"UsersManager.getUsers": true, "UsersManager.hasSuperUserAccess": true, "API.isPluginActivated": true,
		"API.getBulkRequest": true, "UsersManager.addUser": false, "ScimBridge.revokeTokens": false,
	} {
		if isRead(method) != want {
			t.Errorf("isRead(%s) = %v", method, !want)
		}
	}
}

func TestShortPath(t *testing.T) {
	long := "/Users?filter=" + strings.Repeat("x", 80)
	if got := shortPath(long); len(got) != 44 || !strings.HasSuffix(got, "...") {
		t.Errorf("shortPath = %q", got)
	}
	if got := shortPath("/Users"); got != "/Users" {
		t.Errorf("shortPath = %q", got)
	}
}
