package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fenced is a block of YAML on a page: how far it is indented, and its text.
var fenced = regexp.MustCompile("(?m)^( *)```yaml\n((?s:.*?))^ *```$")

// Every piece of configuration on a page is read without a complaint: whole, or with the keys
// of the smallest configuration that it leaves out. One that is indented by two is part of
// listen, by four of a target.
func TestDocs_Snippets(t *testing.T) {
	pages := []string{"../README.md"}
	for _, pattern := range []string{"../docs/*.md", "../docs/runbooks/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	read := 0
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fenced.FindAllStringSubmatch(string(data), -1) {
			text := strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n")
			if strings.HasPrefix(text, "\nrules:") {
				continue // a file of rules; mapping's tests read it
			}
			read++
			if _, err := Parse(page, []byte(completed(t, text))); err != nil {
				t.Errorf("%s: this is refused:\n%s\n%v", page, text, err)
			}
		}
	}
	if read < 15 {
		t.Errorf("only %d pieces of configuration were read", read)
	}
}

// completed is a piece of configuration with what it leaves out.
func completed(t *testing.T, text string) string {
	t.Helper()
	target, mapping, _ := strings.Cut(minimal, "mapping:")
	switch {
	case strings.HasPrefix(text, "\n    "):
		text = target + text
	case strings.HasPrefix(text, "\n  "):
		text = "listen:" + text
	}
	var keys map[string]any
	if err := yaml.Unmarshal([]byte(text), &keys); err != nil {
		return text // Parse says what is wrong with it
	}
	if keys["targets"] == nil {
		text += target
	}
	if keys["mapping"] == nil {
		text += "mapping:" + mapping
	}
	return text
}
