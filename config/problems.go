package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/matomo-scim/bridge/config/secret"
)

// Problem is one thing wrong with the file. Its texts are fit for a terminal, a
// log and a ticket: one line each, no control characters, no secret that stands
// in the file by mistake.
type Problem struct {
	File    string
	Line    int // from 1; 0 when it is about the file as a whole
	Col     int // from 1, in characters
	Key     string
	Msg     string // what is wrong
	Hint    string // what to do; may be empty
	Excerpt string // the line, secrets redacted; empty when Line is 0
}

// String is the problem on one to four lines:
//
//	bridge.yaml:4:5: targets[0].ulr: unknown key
//	   4 |     ulr: https://matomo.example.com/
//	     |     ^
//	  did you mean url?
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Col)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Msg)
	if p.Excerpt != "" {
		margin := fmt.Sprintf("%4d | ", p.Line)
		fmt.Fprintf(&b, "\n%s%s", margin, p.Excerpt)
		if p.Col <= utf8.RuneCountInString(p.Excerpt) {
			fmt.Fprintf(&b, "\n%*s| %*s^", len(margin)-2, "", p.Col-1, "")
		}
	}
	if p.Hint != "" {
		b.WriteString("\n  " + p.Hint)
	}
	return b.String()
}

// Problems is everything wrong with the file, in the order of its lines. It is
// the error of Parse and Load; use errors.As to list what is in it.
type Problems []Problem

// Error is all problems, one below the other.
func (ps Problems) Error() string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return strings.Join(out, "\n")
}

// mark is a place in the file.
type mark struct{ line, col int }

// report collects problems while one file is decoded and checked. It remembers
// where each value stands, so that a check of several keys can point at one.
type report struct {
	file  string
	lines []string
	list  Problems
	at    map[string]mark // key path to its value
	// spoilt holds key paths that already have a problem: what follows from it
	// is not reported again.
	spoilt map[string]bool
	// hide holds literal secrets found in the file; no excerpt shows them.
	hide []string
}

// lineEnds makes one of all that YAML counts as the end of a line.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// newReport starts an empty report on data.
func newReport(file string, data []byte) *report {
	return &report{
		file:   file,
		lines:  strings.Split(lineEnds.Replace(string(data)), "\n"),
		at:     map[string]mark{"": {1, 1}},
		spoilt: map[string]bool{},
	}
}

// add reports a problem with the value at a key path like targets[0].url; for
// an absent key the place is the nearest one above it. A path that is spoilt
// already, or lies in one, is left out.
func (r *report) add(path, msg, hint string) {
	if r.isSpoilt(path) {
		return
	}
	r.addAt(r.find(path), path, msg, hint)
}

// addAt reports a problem at a place and marks the path as spoilt.
func (r *report) addAt(at mark, path, msg, hint string) {
	r.spoilt[path] = true
	r.list = append(r.list, Problem{File: r.file, Line: at.line, Col: at.col, Key: printable(path), Msg: printable(msg), Hint: printable(hint)})
}

// between reports a number outside lo to hi.
func (r *report) between(path string, v, lo, hi int) {
	if v < lo || v > hi {
		r.add(path, fmt.Sprintf("%d is out of range", v), fmt.Sprintf("use a number from %d to %d", lo, hi))
	}
}

// find is the place of a path, or of the nearest path above it.
func (r *report) find(path string) mark {
	for {
		if at, ok := r.at[path]; ok {
			return at
		}
		path = parent(path)
	}
}

// isSpoilt reports whether a path or one above it has a problem.
func (r *report) isSpoilt(path string) bool {
	for path != "" {
		if r.spoilt[path] {
			return true
		}
		path = parent(path)
	}
	return false
}

// parent cuts the last step off a path: a.b[1] -> a.b -> a -> "".
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// err is the list as an error, sorted and with excerpts; nil when it is empty.
func (r *report) err() error {
	if len(r.list) == 0 {
		return nil
	}
	slices.SortStableFunc(r.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	for i := range r.list {
		r.list[i].Excerpt = r.excerpt(r.list[i].Line)
	}
	return r.list
}

// maxText is how many characters of a line, or of a message that quotes from
// one, are shown.
const maxText = 200

var (
	// A key that sounds like a secret and has a value on its line. Keys that
	// end in _file or _env name a place, not a secret.
	secretKey = regexp.MustCompile(`(?i)(token|token_auth|pass|passwd|password|secret|api_key|apikey)["']?\s*[:=]\s*`)
	// A password in a URL, with or without a user.
	urlPassword = regexp.MustCompile(`(://[^:/?#\s]*:)[^\s]*@`)
)

// excerpt is a line of the file fit to be shown: no secrets, no control
// characters, not endless. An error message ends up in logs and chat windows.
func (r *report) excerpt(line int) string {
	if line < 1 || line > len(r.lines) {
		return ""
	}
	text := strings.TrimRight(r.lines[line-1], " \r\t")
	for _, s := range r.hide {
		text = strings.ReplaceAll(text, s, secret.Redacted)
	}
	text = urlPassword.ReplaceAllString(text, "${1}"+secret.Redacted+"@")
	if at := secretKey.FindStringIndex(text); at != nil && at[1] < len(text) {
		text = text[:at[1]] + secret.Redacted
	}
	// A value may stand on the line below its key.
	if line > 1 {
		above := strings.TrimRight(r.lines[line-2], " \r\t|>-+")
		if at := secretKey.FindStringIndex(above + " "); at != nil && at[1] >= len(above) {
			text = secret.Redacted
		}
	}
	return printable(text)
}

// printable is text that cannot disturb a terminal or fill a screen.
func printable(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, text)
	if utf8.RuneCountInString(text) > maxText {
		text = string([]rune(text)[:maxText]) + "..."
	}
	return text
}
