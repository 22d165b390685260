package deploy

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// pod is what these tests read of a deployment.
type pod struct {
	Replicas *int
	Strategy struct{ Type string }
	Template struct {
		Metadata struct{ Annotations map[string]string }
		Spec     struct {
			Containers []struct {
				Args         []string
				VolumeMounts []struct {
					Name string
					Path string `yaml:"mountPath"`
				} `yaml:"volumeMounts"`
			}
			Volumes []volume
		}
	}
}

// volume is one of its volumes.
type volume struct {
	Name      string
	Projected struct {
		Sources []struct {
			ConfigMap files `yaml:"configMap"`
			Secret    files
		}
	}
	Claim struct {
		Name string `yaml:"claimName"`
	} `yaml:"persistentVolumeClaim"`
}

// files are the files that come from one ConfigMap or Secret.
type files struct {
	Name  string
	Items []struct{ Key, Path string }
}

// deployment reads the deployment that was rendered.
func deployment(t *testing.T, rendered string) pod {
	t.Helper()
	var p pod
	decode(t, objects(t, rendered)["Deployment"].Spec, &p)
	return p
}

// keyPair is some certificate and its key, in PEM.
func keyPair(t *testing.T) (cert, key []byte) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	c := srv.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// mount puts what the pod would find under /etc/matomo-scim-bridge and /run/secrets into a
// folder, and returns the configuration's path there.
func mount(t *testing.T, rendered string) string {
	t.Helper()
	dir := t.TempDir()
	maps := objects(t, rendered)
	cert, key := keyPair(t)
	known := map[string]string{"tls/tls.crt": string(cert), "tls/tls.key": string(key)}
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range deployment(t, rendered).Template.Spec.Volumes {
		for _, source := range v.Projected.Sources {
			for _, item := range append(source.ConfigMap.Items, source.Secret.Items...) {
				data := maps["ConfigMap"+strings.TrimPrefix(source.ConfigMap.Name, "okta-matomo-scim-bridge")].Data
				text, ours := data[item.Key]
				switch {
				case ours:
					text = strings.ReplaceAll(text, "/run/secrets/", dir+"/secrets/")
				case known[item.Path] != "":
					text = known[item.Path]
				default: // a Secret's, or a ConfigMap's that is not the chart's
					text = "; theirs\n"
				}
				write(filepath.Join(v.Name, item.Path), text)
			}
		}
	}
	return filepath.Join(dir, "config", "bridge.yaml")
}

// The bridge takes the configuration that the chart writes, finds every secret where it
// looks, and its rules; nothing is enforced that nobody asked for.
func TestChart_Configuration(t *testing.T) {
	for _, values := range []string{sqlite, postgres, all} {
		cfg, err := config.Load(mount(t, render(t, values)), func(string) string { return "" })
		if err != nil {
			t.Errorf("%s: %v", values, err)
			continue
		}
		if cfg.Listen.SCIM != ":8080" || cfg.Listen.Metrics != ":9464" {
			t.Errorf("%s: listens at %s and %s", values, cfg.Listen.SCIM, cfg.Listen.Metrics)
		}
		// Beside the configuration, where it would be by itself, nothing can be written.
		if got := cfg.Audit.JournalFile; got != "/var/lib/matomo-scim-bridge/audit-journal.jsonl" {
			t.Errorf("%s: the journal is %s", values, got)
		}
		enforce := config.ModeObserve
		if values == all {
			enforce = config.ModeEnforce
		}
		if got := cfg.Targets[0].Mode; got != enforce {
			t.Errorf("%s: mode %s, want %s", values, got, enforce)
		}
		if values == all {
			checkEverything(t, cfg)
			continue
		}
		rules, _, err := app.LoadRules(cfg)
		if err != nil || rules.Hash() == "" {
			t.Errorf("%s: rules: %v", values, err)
		}
	}
}

// checkEverything compares what the chart wrote with what the values say.
func checkEverything(t *testing.T, cfg *config.Config) {
	t.Helper()
	eu, us := cfg.Targets[0], cfg.Targets[1]
	got := []any{
		eu.Name, eu.Protected, eu.RequestsPerMinute, eu.Leavers.DeleteAfter, us.Name, us.Password.IsZero(), us.URL,
		cfg.Guards.MaxSuperusers, cfg.SCIM.MaxBody, cfg.SCIM.Cursors, cfg.Listen.TrustedProxies, cfg.Listen.TLS.Enabled(),
		cfg.Mapping.Files, cfg.Mapping.LoginReplace, len(cfg.Schemas[0].Attributes), cfg.Sources[1].Name,
	}
	want := []any{
		"eu",
		[]string{"emergency"},
		1000, eu.Leavers.DeleteAfter * 0, "us", true, "https://matomo.example.org:8443/analytics/",
		5, 4194304, false,
		[]string{"10.0.0.0/8"},
		true,
		[]string{"eu.ini", "us.yaml"},
		map[string]string{"'": ""},
		2, "entra",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if on := eu.Tokens.On; len(on) != 2 {
		t.Errorf("tokens.on = %v", on)
	}
}

// What a running bridge takes over by itself restarts nothing; everything else does. The keys
// are the bridge's own: those that say that they are live.
func TestChart_Restart(t *testing.T) {
	sum := func(args ...string) string {
		t.Helper()
		s := deployment(t, render(t, sqlite, args...)).Template.Metadata.Annotations["checksum/config"]
		if len(s) != 64 {
			t.Fatalf("checksum/config is %q", s)
		}
		return s
	}
	before := sum()
	live := liveKeys("", reflect.TypeFor[config.Config]())
	set := map[string]string{
		"mapping.files":            `rules.files.more\.ini=x`,
		"mapping.default_target":   "config.mapping.default_target=main",
		"targets[].protected":      "targets[0].config.protected={emergency}",
		"guards.max_superusers":    "config.guards.max_superusers=7",
		"guards.min_superusers":    "config.guards.min_superusers=2",
		"guards.superuser_sources": "config.guards.superuser_sources={scim}",
	}
	for _, key := range live {
		if set[key] == "" {
			t.Errorf("%s is live, and this test does not know it", key)
		} else if sum("--set", set[key]) != before {
			t.Errorf("%s is live, and a change of it restarts the bridge", key)
		}
	}
	if len(live) != len(set) {
		t.Errorf("live keys are %q", live)
	}
	if sum("--set", `rules.files.mapping\.ini=x`) != before {
		t.Error("rules are live, and a change of them restarts the bridge")
	}
	for _, change := range []string{
		"targets[0].config.mode=enforce", "config.log.level=debug", "config.mapping.login_from=email", "tls.secretName=x", "targets[0].login=x",
	} {
		if sum("--set", change) == before {
			t.Errorf("%s needs a restart, and does not lead to one", change)
		}
	}
}

// liveKeys are the keys of a struct that are marked live.
func liveKeys(path string, s reflect.Type) []string {
	var out []string
	eachKey(path, s, func(key string, f reflect.StructField) {
		if _, live := f.Tag.Lookup("live"); live {
			out = append(out, key)
		}
	})
	return out
}

// eachKey calls fn with every key of the configuration below a struct, as in targets[].name.
func eachKey(path string, s reflect.Type, fn func(key string, f reflect.StructField)) {
	for f := range s.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		key, kind := strings.TrimPrefix(path+"."+name, "."), f.Type
		if kind.Kind() == reflect.Slice {
			if kind = kind.Elem(); kind.Kind() == reflect.Struct {
				key += "[]"
			}
		}
		if kind.Kind() == reflect.Struct {
			eachKey(key, kind, fn)
			continue
		}
		fn(key, f)
	}
}

// schema is what these tests read of a JSON schema.
type schema struct {
	Properties map[string]*schema
	Items      *schema
}

// keys are the leaves of a schema, written as eachKey does.
func (s *schema) keys(path string) []string {
	switch {
	case s.Items != nil && s.Items.Properties != nil:
		return s.Items.keys(path + "[]")
	case s.Properties == nil:
		return []string{path}
	}
	var out []string
	for name, p := range s.Properties {
		out = append(out, p.keys(strings.TrimPrefix(path+"."+name, "."))...)
	}
	return out
}

// Helm refuses a key that the bridge does not know, and knows every one that the bridge has:
// each is in config, or in a target's config, or decided by the chart.
func TestChart_KeysOfTheBridge(t *testing.T) {
	data, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	got := s.Properties["config"].keys("")
	for _, key := range s.Properties["targets"].Items.Properties["config"].keys("") {
		got = append(got, "targets[]."+key)
	}
	// A pod has no place for secrets in variables, ACME needs port 443 under one address, and
	// preStop is what a drain is elsewhere.
	own := regexp.MustCompile(`^(listen\.(scim|metrics|drain|tls\..*|monitor_token_file)|database\..*|targets\[\]\.(name|url|login|token_file|password_file)|mapping\.files|audit\.journal_file|.*_env)$`)
	var want []string
	eachKey("", reflect.TypeFor[config.Config](), func(key string, _ reflect.StructField) {
		if !own.MatchString(key) {
			want = append(want, key)
		}
	})
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 50 {
		t.Errorf("keys in values.schema.json (-bridge +chart):\n%s", diff)
	}
}

// One process owns SQLite's file; PostgreSQL's clients come and go. A claim keeps what must last.
func TestChart_Pods(t *testing.T) {
	for name, tc := range map[string]struct {
		values, strategy, claim string
		replicas                *int
	}{
		"SQLite":     {sqlite, "Recreate", "okta-matomo-scim-bridge", new(1)},
		"PostgreSQL": {postgres, "RollingUpdate", "", new(1)},
		// The autoscaler's number would be undone by each upgrade.
		"everything": {all, "RollingUpdate", "bridge-journal", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := deployment(t, render(t, tc.values))
			if p.Strategy.Type != tc.strategy || !reflect.DeepEqual(p.Replicas, tc.replicas) {
				t.Errorf("strategy %s, replicas %v", p.Strategy.Type, p.Replicas)
			}
			// Otherwise there would never be a running pod to make the first credential in.
			if args := p.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"serve", "--await-credential"}) {
				t.Errorf("args %q", args)
			}
			claims := map[string]string{}
			for _, v := range p.Template.Spec.Volumes {
				claims[v.Name] = v.Claim.Name
			}
			for _, m := range p.Template.Spec.Containers[0].VolumeMounts {
				if _, there := claims[m.Name]; !there {
					t.Errorf("volume %s is mounted and not there", m.Name)
				}
				delete(claims, m.Name)
				if m.Name == "state" && m.Path != "/var/lib/matomo-scim-bridge" {
					t.Errorf("state is at %s", m.Path)
				}
			}
			if len(claims) != 0 {
				t.Errorf("volumes that nothing mounts: %v", claims)
			}
			for _, v := range p.Template.Spec.Volumes {
				if v.Name == "state" && v.Claim.Name != tc.claim {
					t.Errorf("state is in claim %q, want %q", v.Claim.Name, tc.claim)
				}
			}
		})
	}
}

// Ports of Matomo and PostgreSQL are those of their addresses.
func TestChart_NetworkPolicy(t *testing.T) {
	for set, want := range map[string][]int{
		"targets[0].name=main":                                {53, 53, 443, 5432},
		"targets[0].url=http://matomo":                        {53, 53, 80, 5432},
		"targets[0].url=https://matomo:8443/a:1/":             {53, 53, 5432, 8443},
		"database.url=postgres://bridge@db.example:6543/b:42": {53, 53, 443, 6543},
	} {
		var policy struct {
			Egress []struct{ Ports []struct{ Port int } }
		}
		// --set on one key of a list's entry would drop the others.
		args := []string{"--set", set, "--set", "targets[0].name=main,targets[0].login=b,targets[0].tokenSecret.name=x"}
		if !strings.HasPrefix(set, "targets[0].url") {
			args = append(args, "--set", "targets[0].url=https://matomo.example.com")
		}
		decode(t, objects(t, render(t, postgres, args...))["NetworkPolicy"].Spec, &policy)
		var got []int
		for _, rule := range policy.Egress {
			for _, p := range rule.Ports {
				got = append(got, p.Port)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: egress to ports %v, want %v", set, got, want)
		}
	}
}

// The rules come out of the templates as they went in, and the operator's Prometheus takes them.
func TestChart_Rules(t *testing.T) {
	spec := objects(t, render(t, all))["PrometheusRule"].Spec
	var want map[string]any
	load(t, "prometheus/rules.yaml", &want)
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	text, err := yaml.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program(t, "promtool"), "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for name, text := range objects(t, render(t, all))["ConfigMap-dashboards"].Data {
		if want, err := os.ReadFile("grafana/dashboards/" + name); err != nil || text != string(want) {
			t.Errorf("%s is not as it was, %v", name, err)
		}
	}
}

// The page of the chart has a row for every value, with its default.
func TestChart_Readme(t *testing.T) {
	page, err := os.ReadFile(chart + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	load(t, chart+"/values.yaml", &values)
	rows := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if m, ok := v.(map[string]any); ok && len(m) > 0 && !strings.HasSuffix(path, ".labels") && !strings.HasPrefix(path, "resources") {
			for name, inner := range m {
				walk(strings.TrimPrefix(path+"."+name, "."), inner)
			}
			return
		}
		rows++
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		row := fmt.Sprintf("| `%s` | `%s` |", path, text)
		if strings.Contains(path, "networkPolicy.") && strings.HasSuffix(path, "From") {
			row = fmt.Sprintf("| `%s` |", path) // the page has it in words
		}
		if !strings.Contains(string(page), row) {
			t.Errorf("no row %s", row)
		}
	}
	walk("", values)
	if rows < 50 {
		t.Errorf("only %d values were looked at", rows)
	}
}

// What helm prints after an installation says what is next, and what is amiss. Helm shows it
// only with a cluster, so it is rendered as a file of a copy of the chart.
func TestChart_Notes(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/templates/NOTES.txt", dir+"/notes"); err != nil {
		t.Fatal(err)
	}
	const wrapped = "kind: Notes\nmetadata: {name: notes}\ndata: {text: {{ tpl (.Files.Get \"notes\") . | toJson }}}\n"
	if err := os.WriteFile(dir+"/templates/notes.yaml", []byte(wrapped), 0o600); err != nil {
		t.Fatal(err)
	}
	warnings := []string{"has no passwordSecret", "no monitorTokenSecret", "no persistence.existingClaim", "is in mode enforce", "tlsSecretName is not set"}
	for values, want := range map[string][]string{
		sqlite:   {"main has no passwordSecret", "no monitorTokenSecret"},
		postgres: {"no monitorTokenSecret", "no persistence.existingClaim"},
		all:      {"eu is in mode enforce", "us has no passwordSecret", "give the provider https://scim.example.com/scim/v2"},
	} {
		out, err := helm(t, "template", "okta", dir, "--namespace", "scim", "--kube-version", "1.30.0", "--values", values)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text := objects(t, out)["Notesnotes"].Data["text"]
		for _, command := range []string{"check", "credential create NAME", "plan"} {
			want = append(want, "kubectl --namespace scim exec deploy/okta-matomo-scim-bridge -- /matomo-scim-bridge "+command+"\n")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not in:\n%s", values, w, text)
			}
		}
		for _, w := range warnings {
			expected := slices.ContainsFunc(want, func(s string) bool { return strings.Contains(s, w) })
			if strings.Contains(text, w) != expected {
				t.Errorf("%s: %q is there: %v", values, w, !expected)
			}
		}
	}
}
