package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// command is the program with arguments in a text: in a block, in `code`, or in a unit.
var command = regexp.MustCompile("(?m)(?:^|[ `'(]|/usr/local/bin/|\\./)matomo-scim-bridge((?: +[^`\n|#;&)]+)?)(?:[`\n|#;&)]|$)")

// Every command of the guides exists, with the flags that it is shown with.
func TestDocs_CommandsExist(t *testing.T) {
	files := []string{"README.md", "SECURITY.md", "CONTRIBUTING.md"}
	for _, dir := range []string{"docs", "deploy"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, _ fs.DirEntry, err error) error {
			switch filepath.Ext(path) {
			case ".md", ".yaml", ".service", ".timer":
				files = append(files, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tried := 0
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllStringSubmatch(string(data), -1) {
			args := words(m[1])
			if len(args) == 0 || strings.HasPrefix(args[0], "/") {
				continue // the name alone, or a file that is copied
			}
			if args[0] == "-c" || args[0] == "--config" {
				args = args[2:]
			}
			tried++
			root := (&cli{getenv: os.Getenv, stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}).root()
			cmd, rest, err := root.Find(args)
			if err != nil || cmd == root {
				t.Errorf("%s: matomo-scim-bridge%s: there is no such command", name, m[1])
				continue
			}
			if err := cmd.ParseFlags(rest); err != nil {
				t.Errorf("%s: matomo-scim-bridge%s: %v", name, m[1], err)
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d commands were found", tried)
	}
}

// words are the arguments of a line, without quotes, redirections and alternatives.
func words(line string) []string {
	line, _, _ = strings.Cut(line, ">")
	var out []string
	for w := range strings.FieldsSeq(line) {
		out = append(out, strings.Trim(w, `"'[],.:`))
	}
	return out
}
