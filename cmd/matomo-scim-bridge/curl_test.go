package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs_Curl runs what the guides have people type against a bridge, as it stands there:
// what is sent is JSON that is accepted, or refused for the reason that the page gives.
func TestDocs_Curl(t *testing.T) {
	for _, name := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") == "" {
			t.Skipf("%s is missing", name)
		}
	}
	w := newCrashWorld(t)
	stop := w.start()
	defer stop()
	block := regexp.MustCompile("(?m)^```[a-z]*\n((?s:.*?))^```$")
	for page, want := range map[string]struct {
		refused int
		prints  []string
	}{
		"okta.md":  {0, []string{`"totalResults":0`}},
		"entra.md": {0, []string{`"totalResults":0`}},
		"scim.md": {1, []string{
			`"userName":"try@example.org"`, `"displayName":"Tried by hand"`, `"totalResults":1`, `"active":false`,
			`"scimType":"invalidValue"`, `perhaps`,
		}},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Fatal(err)
		}
		script := "set -u\n" // the blocks of a page, one after the other, as in one terminal
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "curl") || strings.Contains(m[1], "scim $") {
				script += strings.ReplaceAll(m[1], "https://YOUR-BRIDGE", "http://"+w.scim)
			}
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Stdin = strings.NewReader(w.secret + "\n")
		var errs strings.Builder
		cmd.Stderr = &errs
		out, _ := cmd.Output() // the status of the last command, which is refused on purpose
		for _, part := range want.prints {
			if !strings.Contains(string(out), part) {
				t.Errorf("docs/%s: its commands do not print %s:\n%s\n%s", page, part, out, errs.String())
			}
		}
		for line := range strings.Lines(string(out)) {
			if answer := strings.TrimSpace(line); answer != "" && !json.Valid([]byte(answer)) {
				t.Errorf("docs/%s: this answer is no JSON: %s", page, answer)
			}
		}
		if n := strings.Count(string(out), `"status":"`); n != want.refused {
			t.Errorf("docs/%s: %d of its commands are refused, want %d:\n%s\n%s", page, n, want.refused, out, errs.String())
		}
	}
}
