package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressEvery is how often a line tells how far a long command is when there
// is no terminal to draw on.
const progressEvery = 10 * time.Second

// progress shows on stderr how much of a long command is left: a bar on a
// terminal, a line now and then otherwise.
type progress struct {
	w     io.Writer
	what  string
	bar   *progressbar.ProgressBar // nil without a terminal
	most  int
	spoke time.Time
}

// progress returns the progress of a command that has some of what to do.
func (c *cli) progress(what string) *progress {
	p := &progress{w: c.stderr, what: what, spoke: time.Now()}
	if isTerminal(c.stderr) {
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(c.stderr), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	}
	return p
}

// left tells how much is left. What is shown never fails a command.
func (p *progress) left(n int) {
	p.most = max(p.most, n)
	if p.bar != nil {
		p.bar.ChangeMax(max(p.most, 1))
		_ = p.bar.Set(p.most - n)
		return
	}
	if time.Since(p.spoke) >= progressEvery {
		p.spoke = time.Now()
		_, _ = fmt.Fprintf(p.w, "%d %s\n", n, p.what)
	}
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
