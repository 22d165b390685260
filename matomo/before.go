package matomo

import (
	"context"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
)

type beforeKey struct{}

// WithBefore returns a context under which Apply calls fn before every request
// that writes. An error of fn stops everything that is left, and is the cause
// of the results' errors: the caller's lease may be running out.
func WithBefore(ctx context.Context, fn func() error) context.Context {
	return context.WithValue(ctx, beforeKey{}, fn)
}

// before asks the caller of Apply whether a write may still be sent.
func before(ctx context.Context) error {
	fn, ok := ctx.Value(beforeKey{}).(func() error)
	if !ok {
		return nil
	}
	if err := fn(); err != nil {
		return &Error{Kind: Skipped, Method: wire.BulkMethod, Message: "not sent", Err: err}
	}
	return nil
}
