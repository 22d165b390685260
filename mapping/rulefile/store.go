package rulefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/mapping/match"
)

// What is stored has to be enough for another replica to come to the same rules
// with the same references, and must not be more: a config.ini.php beside its rule
// sections holds the passwords of the database, of LDAP and of mail.

// storedFile is a File in the text of a stored rule set. Data is used instead of
// Text when the file is no UTF-8.
type storedFile struct {
	Name string `json:"name"`
	Text string `json:"text,omitempty"`
	Data []byte `json:"data,omitempty"`
}

// Marshal writes files as one JSON text for storing, sorted by name. Line endings
// become LF, and what an INI file holds in sections without rules (passwords, in
// a config.ini.php) is left out; both keep every line in its place, so the
// text parses to the same rules.
func Marshal(files []File) (string, error) {
	stored := make([]storedFile, len(files))
	for i, f := range files {
		stored[i] = storedFile{Name: f.Name}
		if data := normalize(f); utf8.Valid(data) {
			stored[i].Text = string(data)
		} else {
			stored[i].Data = data
		}
	}
	slices.SortStableFunc(stored, func(a, b storedFile) int { return strings.Compare(a.Name, b.Name) })
	out, err := json.Marshal(stored)
	if err != nil {
		return "", fmt.Errorf("marshal rules: %w", err)
	}
	return string(out), nil
}

// Unmarshal reads what Marshal wrote. Fields that it does not know are an error: a
// newer version may have stored something that changes what the rules mean.
func Unmarshal(text string) ([]File, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var stored []storedFile
	if err := dec.Decode(&stored); err != nil {
		return nil, fmt.Errorf("unmarshal rules: %w", err)
	}
	files := make([]File, len(stored))
	for i, s := range stored {
		files[i] = File{Name: s.Name, Data: s.Data}
		if s.Data == nil {
			files[i].Data = []byte(s.Text)
		}
	}
	return files, nil
}

// normalize returns the content of a file as far as it matters.
func normalize(f File) []byte {
	if isYAML(f.Name) {
		data := bytes.TrimPrefix(f.Data, []byte(byteOrderMark))
		return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	}
	return withoutOthers(f.Data)
}

// Hash identifies the content of files that are sorted by name: their names and
// what Marshal keeps of them. Line endings and other sections do not matter.
func Hash(files []File) string {
	h := sha256.New()
	for _, f := range files {
		data := sha256.Sum256(normalize(f))
		name := sha256.Sum256([]byte(f.Name))
		h.Write(name[:])
		h.Write(data[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// withoutOthers returns an INI file in which the lines of sections that hold no
// rules are empty. A config.ini.php has passwords there, and nothing of it is
// ours to keep; line numbers stay what they are.
func withoutOthers(data []byte) []byte {
	var b strings.Builder
	keep := false
	for i, line := range strings.Split(strings.ReplaceAll(strings.TrimPrefix(string(data), byteOrderMark), "\r\n", "\n"), "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		text := strings.TrimLeft(line, " \t")
		if name, _, ok := strings.Cut(text, "]"); ok && strings.HasPrefix(name, "[") {
			keep = isRuleSection(match.Fold(strings.TrimSpace(name[1:])))
			b.WriteString(name + "]")
			if !keep {
				continue
			}
			line = text[len(name)+1:]
		}
		if keep {
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}
