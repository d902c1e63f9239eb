package presets

import (
	"context"
	"errors"
)

var errNilFallback = errors.New("presets: a fallback of a nil function")

// Fallback returns fn with something in its stead: when fn returns an error,
// instead is called with it, and what that returns is returned. It sees every
// error, refusals ([core.ErrOpen]) and an ended context included, and returns
// what it cannot mend. Panics pass through. A nil instead returns fn's error; a nil
// fn is an error of every call.
//
//	quote := presets.Fallback(presets.MustProtect("quotes", presets.ExternalAPI(), fetch), cached)
func Fallback[In, Out any](fn func(context.Context, In) (Out, error), instead func(ctx context.Context, in In, err error) (Out, error)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		if fn == nil {
			var zero Out
			return zero, errNilFallback
		}
		out, err := fn(ctx, in)
		if err == nil || instead == nil {
			return out, err
		}
		return instead(ctx, in, err)
	}
}
