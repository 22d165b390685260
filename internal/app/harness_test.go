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

// instance is a Matomo and what the bridge has to know to use it.
type instance struct{ url, login, token, password string }

// setting adds to the configuration that tests write. dir is the folder of the file.
type setting func(dir string, text *settings)

// settings are further keys of the target, and further sections of the file.
type settings struct{ target, sections string }

// targetKeys adds keys of the target, as they stand between braces.
func targetKeys(keys string) setting {
	return func(_ string, s *settings) { s.target += ", " + keys }
}

// section adds a section of the file.
func section(text string) setting {
	return func(_ string, s *settings) { s.sections += text + "\n" }
}

// file writes a file beside the configuration.
func file(tb testing.TB, name string, data []byte) setting {
	tb.Helper()
	return func(dir string, _ *settings) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// writeConfig writes a configuration for a stand-in at url, with its secrets and
// rules, and loads it.
func writeConfig(tb testing.TB, sim *Simulator, url, rules string, more ...setting) *config.Config {
	tb.Helper()
	return writeConfigFor(tb, instance{url, sim.Login(), sim.Token(), sim.Password()}, rules, more...)
}

// writeConfigFor does so for any Matomo.
func writeConfigFor(tb testing.TB, m instance, rules string, more ...setting) *config.Config {
	tb.Helper()
	dir := tb.TempDir()
	var extra settings
	for _, set := range more {
		set(dir, &extra)
	}
	if !strings.Contains(extra.target, "requests_per_minute") {
		extra.target += ", requests_per_minute: 0"
	}
	for name, text := range map[string]string{
		"rules.ini": rules,
		"token":     m.token,
		"password":  m.password,
		"bridge.yaml": fmt.Sprintf(`listen: {scim: "127.0.0.1:0", metrics: "127.0.0.1:0"}
targets:
  - {name: main, url: %q, login: %s, token_file: token, password_file: password, mode: enforce%s}
mapping: {files: [rules.ini]}
reconcile: {settle: 0s}
%s`, m.url, m.login, extra.target, extra.sections),
	} {
		file(tb, name, []byte(text))(dir, nil)
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
func startApp(tb testing.TB, rules string, more ...setting) (*App, *Simulator, string) {
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
