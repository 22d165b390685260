package main

import (
	"context"
	"errors"

	"github.com/matomo-scim/bridge/cmd/matomo-scim-bridge/internal/door"
	"github.com/matomo-scim/bridge/config"
	"github.com/matomo-scim/bridge/internal/app"
)

// How commands get at the rooms: opened for the command, closed after it.

// withServices runs fn on the wired rooms, open for writing.
func (c *cli) withServices(ctx context.Context, fn func(context.Context, *app.Services) error) error {
	return c.with(ctx, c.load, false, fn)
}

// withReadOnly runs fn on the wired rooms, open for reading.
func (c *cli) withReadOnly(ctx context.Context, fn func(context.Context, *app.Services) error) error {
	return c.with(ctx, c.load, true, fn)
}

// with runs fn on the rooms of the configuration that load reads.
func (c *cli) with(
	ctx context.Context, load func() (*config.Config, error), readOnly bool, fn func(context.Context, *app.Services) error,
) (err error) {
	cfg, err := load()
	if err != nil {
		return err
	}
	opt := c.options()
	opt.ReadOnly = readOnly
	s, err := app.Open(ctx, cfg, opt)
	if err != nil {
		return err
	}
	defer s.Close()
	return errors.Join(fn(ctx, s), ctx.Err())
}

// door is what the commands about the door need.
func (c *cli) door() door.Host {
	return door.Host{
		Stdout: c.stdout, Stderr: c.stderr, Printer: c.printer,
		Open: func(ctx context.Context, readOnly bool, fn func(context.Context, *app.Services) error) error {
			return c.with(ctx, c.loadForDatabase, readOnly, fn)
		},
	}
}
