package wire

import "context"

type beforeKey struct{}

// WithBefore returns a context under which fn is called before every request that is no read, when
// nothing stands between it and the network any more: waiting for the request limit may take longer
// than what fn asks about lasts. An error of fn keeps the request back. Nil asks nobody.
func WithBefore(ctx context.Context, fn func() error) context.Context {
	return context.WithValue(ctx, beforeKey{}, fn)
}

// Before asks whether a write may be sent now; an error is of kind Skipped.
func Before(ctx context.Context, method string) error {
	fn, _ := ctx.Value(beforeKey{}).(func() error)
	if fn == nil {
		return nil
	}
	if err := fn(); err != nil {
		return &Error{Kind: Skipped, Method: method, Message: "not sent", Err: err}
	}
	return nil
}
