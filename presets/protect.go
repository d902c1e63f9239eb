package presets

import (
	"context"
	"errors"
	"fmt"
)

var errNilFunc = errors.New("nil function")

// Protect returns fn behind the breaker of a name, with the CallTimeout of its policy
// and, if they are enabled, its retries: the same function, ready to be used in fn's
// place. The breaker is at hand by its name, in [Registry.Breakers].
//
// Retry is outside, the breaker inside: every attempt is admitted, limited by
// CallTimeout and counted by itself. A refusal ends the retries at once; it is
// returned, and matches [core.ErrOpen]. If an attempt had failed before, its
// error is in the chain too, for errors.Is and errors.As, as it is when the
// caller's context ends the retries. Otherwise the result of the last attempt is
// returned as it is. A panic passes through.
//
// Without a Classify of the policy an attempt counts as [core.DefaultClassify]
// says.
//
// The breaker lives in policy.Registry, or in [Default], under the name. A second
// Protect of the name shares it, and must be given a policy that does not differ
// but in Retry, which is each function's own (funcs are not compared; for the
// breaker those of the first hold). What a file that was given to the registry
// says of the name comes before policy, retries included. Call Protect once and
// keep the function: each new name takes memory for good, up to the cap of the
// registry; past that, the breaker has the policy of a name that nothing describes.
// Where the registry is full of breakers that cannot be evicted, calls are made
// without a breaker, and so without a CallTimeout; [core.RegistryStats] counts them.
//
// The error tells of a nil fn, a name or a policy that is not valid, and a policy that
// differs from the name's: it names the fields, and where both were given. It matches
// [*core.ConfigError] but for a nil fn. Without retry, Protect adds a lookup to
// [core.Do] and no allocation.
func Protect[In, Out any](name string, policy Policy, fn func(context.Context, In) (Out, error)) (func(context.Context, In) (Out, error), error) {
	if fn == nil {
		return nil, fmt.Errorf("presets: protecting %q: %w", name, errNilFunc)
	}
	g, err := guardOf(name, policy)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, in In) (Out, error) {
		gate, retry, err := g.now()
		if err != nil {
			var zero Out
			return zero, err
		}
		out, first, err := call(ctx, gate, fn, in)
		if err == nil || !first.ran || !retry.Enabled {
			return out, err
		}
		return retryCall(ctx, gate, retry, fn, in, first, out, err)
	}, nil
}

// MustProtect is [Protect] for names and policies that stand in the code. It panics
// with the error.
func MustProtect[In, Out any](name string, policy Policy, fn func(context.Context, In) (Out, error)) func(context.Context, In) (Out, error) {
	return must(Protect(name, policy, fn))
}

// ProtectCall is [Protect] for a function that takes nothing but its context.
func ProtectCall[Out any](name string, policy Policy, fn func(context.Context) (Out, error)) (func(context.Context) (Out, error), error) {
	var inner func(context.Context, struct{}) (Out, error)
	if fn != nil {
		inner = func(ctx context.Context, _ struct{}) (Out, error) { return fn(ctx) }
	}
	protected, err := Protect(name, policy, inner)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (Out, error) { return protected(ctx, struct{}{}) }, nil
}

// MustProtectCall is [ProtectCall], and panics with its error.
func MustProtectCall[Out any](name string, policy Policy, fn func(context.Context) (Out, error)) func(context.Context) (Out, error) {
	return must(ProtectCall(name, policy, fn))
}

// ProtectFunc is [Protect] for a function that takes nothing and returns an error.
func ProtectFunc(name string, policy Policy, fn func(context.Context) error) (func(context.Context) error, error) {
	var inner func(context.Context) (struct{}, error)
	if fn != nil {
		inner = func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }
	}
	protected, err := ProtectCall(name, policy, inner)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := protected(ctx)
		return err
	}, nil
}

// MustProtectFunc is [ProtectFunc], and panics with its error.
func MustProtectFunc(name string, policy Policy, fn func(context.Context) error) func(context.Context) error {
	return must(ProtectFunc(name, policy, fn))
}

func must[F any](protected F, err error) F {
	if err != nil {
		panic(err)
	}
	return protected
}
