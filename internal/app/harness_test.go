package app

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/matomo-scim/bridge/config"
)

// writeConfig writes a configuration for a stand-in at url, with its secrets
// and rules, and loads it. more may hold texts with further keys of the target,
// and a func(dir) string that gives further sections.
func writeConfig(tb testing.TB, sim *Simulator, url, rules string, more ...any) *config.Config {
	tb.Helper()
	dir := tb.TempDir()
	sections, keys := "", ""
	for _, m := range more {
		switch m := m.(type) {
		case func(string) string:
			sections = m(dir)
		case string:
			keys += ", " + m
		}
	}
	if !strings.Contains(keys, "requests_per_minute") {
		keys += ", requests_per_minute: 0"
	}
	for name, text := range map[string]string{
		"rules.ini": rules,
		"token":     sim.Token(),
		"password":  sim.Password(),
		"bridge.yaml": fmt.Sprintf(`listen: {scim: "127.0.0.1:0", metrics: "127.0.0.1:0"}
targets:
  - {name: main, url: %q, login: bridge, token_file: token, password_file: password, mode: enforce%s}
mapping: {files: [rules.ini]}
reconcile: {settle: 0s}
%s`, url, keys, sections),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "bridge.yaml"), os.Getenv)
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// credentialFor makes a credential before the service starts.
func credentialFor(tb testing.TB, cfg *config.Config, opt Options) (secret string) {
	tb.Helper()
	s, err := Open(tb.Context(), cfg, opt)
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	if secret, err = s.Directory.CreateCredential(tb.Context(), "test", cfg.Sources[0].Name); err != nil {
		tb.Fatal(err)
	}
	return secret
}

// startApp is a running bridge on SQLite, its stand-in Matomo and the secret of
// its one provider. more is what writeConfig adds.
func startApp(tb testing.TB, rules string, more ...any) (*App, *Simulator, string) {
	tb.Helper()
	sim := NewSimulator(SimulatorOptions{Plugin: true, ForgetCalls: true})
	srv := httptest.NewServer(sim)
	tb.Cleanup(srv.Close)
	a, secret := startFrom(tb, writeConfig(tb, sim, srv.URL+"/", rules, more...))
	return a, sim, secret
}

// startFrom runs a bridge with this configuration and returns the secret of a credential
// for its first source.
func startFrom(tb testing.TB, cfg *config.Config) (*App, string) {
	tb.Helper()
	opt := Options{Logger: zap.NewNop(), Version: "test"}
	secret := credentialFor(tb, cfg, opt)
	a, err := New(tb.Context(), cfg, opt)
	if err != nil {
		tb.Fatal(err)
	}
	a.Start(tb.Context())
	tb.Cleanup(func() { a.Stop(context.Background()) })
	return a, secret
}
