package terminal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func noEnv(string) string { return "" }

// TestPrinter_PlainWhenPiped: what is piped must be greppable, without colour.
func TestPrinter_PlainWhenPiped(t *testing.T) {
	var out bytes.Buffer
	p := NewPrinter(&out, noEnv)
	p.Line("%s", p.Bold("title"))
	p.Field("why", "first", p.Green("second"))
	want := "title\n  why        first\n             second\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if p.Err() != nil {
		t.Errorf("error %v", p.Err())
	}
}

func TestStyle_PaintsOnlyWhenOn(t *testing.T) {
	if got := (Style{on: true}).Red("x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("on: %q", got)
	}
	if got := (Style{}).Red("x"); got != "x" {
		t.Errorf("off: %q", got)
	}
	if got := (Style{on: true}).Red(""); got != "" {
		t.Errorf("nothing to paint: %q", got)
	}
}

// brokenWriter fails like a closed pipe.
type brokenWriter struct{ writes int }

var errPipe = errors.New("broken pipe")

func (w *brokenWriter) Write([]byte) (int, error) {
	w.writes++
	return 0, errPipe
}

func TestPrinter_RemembersTheFirstErrorAndStops(t *testing.T) {
	w := &brokenWriter{}
	p := NewPrinter(w, noEnv)
	p.Line("one")
	p.Line("two")
	p.Field("three", "3")
	if !errors.Is(p.Err(), errPipe) {
		t.Errorf("error = %v, want the pipe's", p.Err())
	}
	if w.writes != 1 {
		t.Errorf("%d writes after the first failed, want none", w.writes-1)
	}
}

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{
		"1 user": Plural(1, "user"), "0 users": Plural(0, "user"), "2 entries": Plural(2, "entry"), "1 entry": Plural(1, "entry"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestProgress_WithoutATerminalSpeaksNowAndThen: a log gets a line every ten
// seconds, not one for every look.
func TestProgress_WithoutATerminalSpeaksNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&out, "people to go")
		for left := 25; left > 0; left-- {
			p.Left(left)
			time.Sleep(time.Second)
		}
		p.Finish()
		if got, want := out.String(), "15 people to go\n5 people to go\n"; got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Error("control characters without a terminal")
		}
	})
}
