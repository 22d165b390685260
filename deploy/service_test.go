package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/matomo-scim/bridge/config"
)

// The unit files are what systemd understands, and the unit of the service is as closed as
// its comment says.
func TestSystemd_Security(t *testing.T) {
	analyze := program(t, "systemd-analyze")
	const unit = "systemd/matomo-scim-bridge.service"
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	stated := regexp.MustCompile(`rates this unit (\d\.\d) \(OK\)`).FindStringSubmatch(strings.ReplaceAll(string(text), "\n# ", " "))
	if stated == nil {
		t.Fatalf("%s does not state its score", unit)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	measured := regexp.MustCompile(`Overall exposure level for \S+: (\d\.\d)`).FindStringSubmatch(string(out))
	if measured == nil || measured[1] > stated[1] {
		t.Errorf("measured %v, stated %s", measured, stated[1])
	}
}

// systemd warns of keys that it does not know and goes on without them, which would leave
// the service open where its unit says closed.
func TestSystemd_Verify(t *testing.T) {
	analyze := program(t, "systemd-analyze")
	units, err := filepath.Glob("systemd/*.*")
	if err != nil || len(units) != 3 {
		t.Fatalf("units: %q, %v", units, err)
	}
	out, _ := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	for line := range strings.SplitSeq(string(out), "\n") {
		// The program is not installed where this runs; that is all that may be said.
		if strings.Contains(line, "matomo-scim-bridge") && !strings.Contains(line, "is not executable") {
			t.Error(line)
		}
	}
}

// The first credential is made beside the running service: without it the secrets that systemd hands over
// are not there, and a service that refused to start would never get one.
func TestServices_AwaitTheFirstCredential(t *testing.T) {
	for _, file := range []string{"systemd/matomo-scim-bridge.service", "compose/compose.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^ *(ExecStart|command)[:=].*serve"?,? "?--await-credential`).Match(text) {
			t.Errorf("%s: the service does not await its first credential", file)
		}
	}
}

// composeFile is what these tests read of compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Image    string
		Volumes  []string
		Secrets  []string
		Networks []string
		Ports    []string
	}
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
	Networks map[string]any
}

// Everything that a container mounts is there, every secret is declared, and nothing but
// SCIM is reached from outside the host.
func TestCompose_Mounts(t *testing.T) {
	var c composeFile
	load(t, "compose/compose.yaml", &c)
	if len(c.Services) != 4 {
		t.Fatalf("%d services", len(c.Services))
	}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(from, ".") {
				if _, declared := c.Volumes[from]; !declared {
					t.Errorf("%s: volume %s is not declared", name, from)
				}
				continue
			}
			info, err := os.Stat(filepath.Join("compose", from))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if name == "bridge" && !info.IsDir() {
				// A mounted file is the one that an editor has replaced: no change is ever taken over.
				t.Errorf("%s: %s is a file", name, from)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s: secret %s is not declared", name, secret)
			}
		}
		for _, n := range s.Networks {
			if _, declared := c.Networks[n]; !declared {
				t.Errorf("%s: network %s is not declared", name, n)
			}
		}
		for _, p := range s.Ports {
			if name != "bridge" && !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, p)
			}
		}
		if s.Image != "matomo-scim-bridge" && !regexp.MustCompile(`:v?\d+`).MatchString(s.Image) {
			t.Errorf("%s: image %q has no version", name, s.Image)
		}
	}
}

// prepare makes each secret that compose.yaml names, for its owner only, and keeps what is
// there.
func TestCompose_Prepare(t *testing.T) {
	var c composeFile
	load(t, "compose/compose.yaml", &c)
	dir := t.TempDir()
	script, err := os.ReadFile("compose/prepare")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "prepare"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(input string) map[string]string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "prepare"))
		cmd.Stdin = strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got := map[string]string{}
		for name, s := range c.Secrets {
			data, err := os.ReadFile(filepath.Join(dir, s.File))
			if err != nil || len(data) == 0 {
				t.Errorf("%s: %d bytes, %v", name, len(data), err)
			}
			got[name] = string(data)
		}
		return got
	}
	first := run("\nthe token\nthe password\n") // asked again after nothing
	if first["matomo_token"] != "the token" || first["matomo_password"] != "the password" || len(first["database_password"]) < 30 {
		t.Errorf("secrets = %q", first)
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	second := run("")
	for name := range first {
		if first[name] != second[name] {
			t.Errorf("%s was made anew", name)
		}
	}
}

// The configuration of the containers is one that the bridge takes, asks for the secrets
// that they get, and watches before it writes.
func TestCompose_Configuration(t *testing.T) {
	var c composeFile
	load(t, "compose/compose.yaml", &c)
	data, err := os.ReadFile("compose/config/bridge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("bridge.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Targets[0].Mode != config.ModeObserve {
		t.Errorf("mode %s: somebody who starts it would be surprised", cfg.Targets[0].Mode)
	}
	// The container's own files are read-only: what the bridge writes needs a volume.
	written := false
	for _, v := range c.Services["bridge"].Volumes {
		from, to, _ := strings.Cut(v, ":")
		written = written || !strings.HasPrefix(from, ".") && filepath.Dir(cfg.Audit.JournalFile) == to
	}
	if !written {
		t.Errorf("%s is in no volume", cfg.Audit.JournalFile)
	}
	for _, file := range []string{cfg.Targets[0].TokenFile, cfg.Targets[0].PasswordFile, cfg.Database.PasswordFile, cfg.Listen.MonitorTokenFile} {
		name, mounted := strings.CutPrefix(file, "/run/secrets/")
		found := false
		for _, s := range c.Services["bridge"].Secrets {
			found = found || s == name
		}
		if !mounted || !found {
			t.Errorf("%s is not mounted into the bridge", file)
		}
	}
	dir := t.TempDir()
	for from, to := range map[string]string{"compose/prometheus.yml": "prometheus.yml", "prometheus/rules.yaml": "rules.yaml"} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "/run/secrets/monitor_token", filepath.Join(dir, "monitor_token"))
		if err := os.WriteFile(filepath.Join(dir, to), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "monitor_token"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program(t, "promtool"), "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
