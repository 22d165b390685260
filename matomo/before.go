package matomo

import (
	"context"

	"github.com/matomo-scim/bridge/matomo/internal/wire"
)

// WithBefore returns a context under which Apply calls fn before every request
// that writes, and once more when the request has waited for the request limit. An
// error of fn stops everything that is left, and is the cause of the results'
// errors: the caller's lease may be running out.
func WithBefore(ctx context.Context, fn func() error) context.Context {
	return wire.WithBefore(ctx, fn)
}
