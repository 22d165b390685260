package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// pages are the documents that people follow, without the generated list of metrics.
func pages(t *testing.T) []string {
	t.Helper()
	out := []string{"../README.md", "../SECURITY.md", "../CONTRIBUTING.md", "../CHANGELOG.md"}
	for _, pattern := range []string{"../docs/*.md", "../docs/runbooks/*.md", "*/README.md", "*/*/README.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %q, %v", pattern, found, err)
		}
		out = append(out, found...)
	}
	return slices.DeleteFunc(out, func(name string) bool { return name == "../docs/metrics.md" })
}

// code is what stands between backquotes, in a line or as a block.
var code = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```|`([^`\n]+)`")

// labelled is a metric with the names of its labels, as pages write it.
var labelled = regexp.MustCompile(`^(scim_bridge_[a-z0-9_]+)\{([a-z_]+(?:,[a-z_]+)*)\}$`)

// Every metric, label and query that a page names exists and can be asked as it stands there:
// somebody who was woken up copies it.
func TestDocs_Queries(t *testing.T) {
	promtool := program(t, "promtool")
	exported, labels := documented(t), documentedLabels(t)
	var groups []any // one a query, with the page in its name
	for _, name := range pages(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			query := strings.TrimSpace(m[1] + m[2])
			if !strings.Contains(query, "scim_bridge_") {
				continue
			}
			for _, metric := range series.FindAllString(query, -1) {
				if !exported[metric] {
					t.Errorf("%s names %s, which nothing exports", name, metric)
				}
			}
			if l := labelled.FindStringSubmatch(query); l != nil {
				for label := range strings.SplitSeq(l[2], ",") {
					if !slices.Contains(labels[l[1]], label) {
						t.Errorf("%s: %s has no label %s", name, l[1], label)
					}
				}
				query = l[1]
			}
			groups = append(groups, map[string]any{
				"name":  fmt.Sprintf("%s: %d", name, len(groups)),
				"rules": []any{map[string]string{"record": fmt.Sprintf("docs:%d", len(groups)), "expr": query}},
			})
		}
	}
	if len(groups) < 30 {
		t.Errorf("only %d queries were looked at", len(groups))
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	data, err := yaml.Marshal(map[string]any{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("queries of the pages: %v\n%s", err, out)
	}
}

// documentedLabels are the labels of each metric, as docs/metrics.md has them.
func documentedLabels(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		name, rest, _ := strings.Cut(section, "\n")
		for _, m := range regexp.MustCompile("(?m)^\\* `([a-z_]+)`").FindAllStringSubmatch(rest, -1) {
			out[name] = append(out[name], m[1])
		}
	}
	return out
}
