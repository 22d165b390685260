package terminal

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A bar redraws itself and is made for eyes; a log wants few lines. So without a
// terminal there is one line every ten seconds, and nothing at all for what is done
// sooner.

// progressEvery is how often a line tells how far a long command is when there
// is no terminal to draw on.
const progressEvery = 10 * time.Second

// Progress shows on stderr how much of a long command is left: a bar on a
// terminal, a line now and then otherwise.
type Progress struct {
	w     io.Writer
	what  string
	bar   *progressbar.ProgressBar // nil without a terminal
	most  int
	spoke time.Time
}

// NewProgress returns the progress, on w, of a command that has some of what to
// do.
func NewProgress(w io.Writer, what string) *Progress {
	p := &Progress{w: w, what: what, spoke: time.Now()}
	if Is(w) {
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	}
	return p
}

// Left tells how much is left. What is shown never fails a command.
func (p *Progress) Left(n int) {
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

// Finish takes the bar away.
func (p *Progress) Finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
