package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// How commands look. Rules of this file:
//
//   - Results go to stdout, everything else to stderr.
//   - Colour and marks only on a terminal, and never when NO_COLOR is set;
//     piped output is plain and greppable.
//   - Meaning never depends on colour: each mark has a word or a sign.

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// style paints text when the output is a terminal.
type style struct{ on bool }

// styleFor returns the style of w.
func (c *cli) styleFor(w io.Writer) style {
	return style{on: isTerminal(w) && c.getenv("NO_COLOR") == "" && c.getenv("TERM") != "dumb"}
}

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string   { return s.paint("1", text) }
func (s style) dim(text string) string    { return s.paint("2", text) }
func (s style) red(text string) string    { return s.paint("31", text) }
func (s style) green(text string) string  { return s.paint("32", text) }
func (s style) yellow(text string) string { return s.paint("33", text) }
func (s style) cyan(text string) string   { return s.paint("36", text) }

// printer writes lines to one stream and remembers the first failure, so that
// callers check once at the end.
type printer struct {
	w io.Writer
	style
	err error
}

// printer returns a printer on stdout.
func (c *cli) printer() *printer { return &printer{w: c.stdout, style: c.styleFor(c.stdout)} }

// line writes one line.
func (p *printer) line(format string, args ...any) {
	if p.err != nil {
		return
	}
	_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
}

// field writes an indented name and value; further lines of the value are
// aligned below the first.
func (p *printer) field(name string, values ...string) {
	for i, v := range values {
		label := name
		if i > 0 {
			label = ""
		}
		p.line("  %s %s", p.dim(fmt.Sprintf("%-10s", label)), v)
	}
}

// plural is "1 user" or "3 users".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
