package deploy

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rulesFile is what these tests read of a file of rules.
type rulesFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr string
			Labels, Annotations map[string]string
		}
	}
}

// casesFile is what they read of a file of unit tests.
type casesFile struct {
	Tests []struct {
		Cases []struct {
			Alert    string `yaml:"alertname"`
			Expected []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

// load reads a YAML file into v.
func load(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// program finds a program that the test needs. Without it the test is skipped, unless CI is
// set: then it fails.
func program(t *testing.T, name string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	switch {
	case err == nil:
		return found
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing: run scripts/test-deps", name)
	}
	t.Skipf("%s is missing: run scripts/test-deps", name)
	return ""
}

// The rules load, and every case of rules_test.yaml comes out as it says.
func TestRules_Promtool(t *testing.T) {
	promtool := program(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "rules.yaml"},
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "rules_test.yaml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// An alert that was never seen to fire may be unable to; one that was never seen to be
// quiet may never be.
func TestRules_EveryAlertFiresAndIsQuiet(t *testing.T) {
	var rules rulesFile
	var cases casesFile
	load(t, "prometheus/rules.yaml", &rules)
	load(t, "prometheus/rules_test.yaml", &cases)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range cases.Tests {
		for _, c := range test.Cases {
			fires[c.Alert] = fires[c.Alert] || len(c.Expected) > 0
			quiet[c.Alert] = quiet[c.Alert] || len(c.Expected) == 0
		}
	}
	alerts := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts++
			if !fires[r.Alert] || !quiet[r.Alert] {
				t.Errorf("%s: fires in a case: %v, is quiet in a case: %v", r.Alert, fires[r.Alert], quiet[r.Alert])
			}
		}
	}
	if alerts < 20 {
		t.Errorf("only %d alerts were looked at", alerts)
	}
}

// Every alert says what it means to somebody who was woken up, and every page belongs to
// an alert.
func TestRules_Runbooks(t *testing.T) {
	const pages = "https://github.com/matomo-scim/bridge/blob/main/"
	var rules rulesFile
	load(t, "prometheus/rules.yaml", &rules)
	named := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: summary or description is missing", r.Alert)
			}
			file, ours := strings.CutPrefix(r.Annotations["runbook_url"], pages)
			if !ours || path.Base(file) != r.Alert+".md" {
				t.Errorf("%s: runbook_url %q is not its page", r.Alert, r.Annotations["runbook_url"])
				continue
			}
			named[path.Base(file)] = true
			text, err := os.ReadFile(filepath.Join("..", file))
			if err != nil {
				t.Errorf("%s: %v", r.Alert, err)
				continue
			}
			for _, heading := range []string{"# " + r.Alert + "\n", "\n## Check\n", "\n## Mend\n"} {
				if !strings.Contains(string(text), heading) {
					t.Errorf("%s has no %q", file, strings.TrimSpace(heading))
				}
			}
		}
	}
	all, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil || len(all) == 0 {
		t.Fatalf("runbooks: %q, %v", all, err)
	}
	for _, page := range all {
		if !named[filepath.Base(page)] {
			t.Errorf("%s belongs to no alert", page)
		}
	}
}

// series is a metric of ours in a query or a text.
var series = regexp.MustCompile(`\bscim_bridge_[a-z0-9_]+`)

// documented are the metrics that the code exports, as docs/metrics.md has them; another
// test holds that page to the code.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (scim_bridge_\S+)\n\n(\w+),`).FindAllStringSubmatch(string(text), -1) {
		out[m[1]] = true
		if m[2] == "histogram" {
			out[m[1]+"_bucket"], out[m[1]+"_sum"], out[m[1]+"_count"] = true, true, true
		}
	}
	return out
}

// Rules and pages name metrics that exist: a misspelt one is an alert that never fires.
func TestRules_MetricsExist(t *testing.T) {
	exported := documented(t)
	files, err := filepath.Glob("../docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "prometheus/rules.yaml", "prometheus/rules_test.yaml")
	looked := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		recorded := regexp.MustCompile(`job:\S+`).ReplaceAll(text, nil)
		for _, metric := range series.FindAllString(string(recorded), -1) {
			looked++
			if !exported[metric] {
				t.Errorf("%s names %s, which nothing exports", name, metric)
			}
		}
	}
	if looked < 50 {
		t.Errorf("only %d names were looked at", looked)
	}
}
