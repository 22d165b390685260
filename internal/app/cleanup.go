package app

import (
	"slices"
	"sync"

	"go.uber.org/zap"
)

// Closing in reverse is what makes a failed start safe: what was opened last knows
// what was opened before it, never the other way round.

// cleanup is a stack of closers. Every opened thing registers its closer on
// the next line; run drains the stack in reverse, also after a failed setup.
type cleanup struct {
	mu    sync.Mutex // guards steps
	steps []step
}

// step is one thing to close.
type step struct {
	name  string
	close func() error
}

// add registers a closer.
func (c *cleanup) add(name string, fn func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, step{name: name, close: fn})
}

// run closes everything, last opened first. It may be called again.
func (c *cleanup) run(log *zap.Logger) {
	c.mu.Lock()
	steps := c.steps
	c.steps = nil
	c.mu.Unlock()
	for _, s := range slices.Backward(steps) {
		if err := s.close(); err != nil {
			log.Warn("close", zap.String("what", s.name), zap.Error(err))
		}
	}
}
