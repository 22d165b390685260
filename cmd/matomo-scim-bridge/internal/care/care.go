// Package care is the commands with which an operator looks after a bridge: how it is, saving
// its database, and putting that back.
package care

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/terminal"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// The exit codes that these commands give to Exit; those of the whole program agree.
const (
	Down     = 1 // a part is down or silent
	Tampered = 3 // the record in a backup is broken
)

// Care is what the commands need of the program around them. Every field is required.
type Care struct {
	// Load reads the configuration; Options are what the rooms are opened with.
	Load    func() (*config.Config, error)
	Options func() app.Options
	// Printer writes to stdout; what is not the answer goes to Stderr.
	Printer func() *terminal.Printer
	Stderr  io.Writer
	// Exit returns the error that ends the program with a code, when the answer is printed.
	Exit func(code int) error
}

// Commands are health, backup and restore.
func (c *Care) Commands() []*cobra.Command {
	return []*cobra.Command{c.healthCommand(), c.backupCommand(), c.restoreCommand()}
}
