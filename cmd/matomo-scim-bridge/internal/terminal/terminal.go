// Package terminal is how commands look: lines, fields, colours and progress.
//
// Rules of this package:
//
//   - Results go to stdout, everything else to stderr.
//   - Colour and marks only on a terminal, and never when NO_COLOR is set;
//     piped output is plain and greppable.
//   - Meaning never depends on colour: each mark has a word or a sign.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Style paints text when the output is a terminal. The zero Style paints nothing.
type Style struct{ on bool }

// styleOf returns the style of w in the environment of getenv.
func styleOf(w io.Writer, getenv func(string) string) Style {
	return Style{on: Is(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

func (s Style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold returns text in that style.
func (s Style) Bold(text string) string { return s.paint("1", text) }

// Dim returns text in that style.
func (s Style) Dim(text string) string { return s.paint("2", text) }

// Red returns text in that style.
func (s Style) Red(text string) string { return s.paint("31", text) }

// Green returns text in that style.
func (s Style) Green(text string) string { return s.paint("32", text) }

// Yellow returns text in that style.
func (s Style) Yellow(text string) string { return s.paint("33", text) }

// Cyan returns text in that style.
func (s Style) Cyan(text string) string { return s.paint("36", text) }

// Printer writes lines to one stream and remembers the first failure, so that
// callers check once, with Err, at the end.
type Printer struct {
	Style

	w   io.Writer
	err error
}

// NewPrinter returns a printer on w, in the environment of getenv.
func NewPrinter(w io.Writer, getenv func(string) string) *Printer {
	return &Printer{w: w, Style: styleOf(w, getenv)}
}

// Err is the first error of writing.
func (p *Printer) Err() error { return p.err }

// Line writes one line.
func (p *Printer) Line(format string, args ...any) {
	if p.err != nil {
		return
	}
	_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
}

// Field writes an indented name and value; further lines of the value are
// aligned below the first.
func (p *Printer) Field(name string, values ...string) {
	for i, v := range values {
		label := name
		if i > 0 {
			label = ""
		}
		p.Line("  %s %s", p.Dim(fmt.Sprintf("%-10s", label)), v)
	}
}

// Plural is "1 user" or "3 users".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if noun == "person" {
		return fmt.Sprintf("%d people", n)
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Day is a time as lists show it, in UTC and to the minute; "never" when there is none.
func Day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
