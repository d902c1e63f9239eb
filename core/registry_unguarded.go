package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// ErrRegistryFull is what [Registry.Get] returns, wrapped, for a name that finds no
// place: there are Max breakers, and none of them can be evicted. The remedy is a
// larger Max, a shorter Idle or fewer names.
var ErrRegistryFull = errors.New("core: the registry is full")

// errInvalidName stands for the ConfigError of a name.
var errInvalidName = errors.New("core: the name is not valid")

const fullRemedy = "raise Max, shorten Idle, or use fewer names"

func (r *Registry) fullError(name string) error {
	return fmt.Errorf("%w: there is no breaker for %.*q, and none of %d can be evicted; %s", ErrRegistryFull, maxName, name, r.limit, fullRemedy)
}

// Gate is [Registry.Get] for names that come from outside, as adapters need it.
// Where a name is not valid or finds no place, the gate admits every call without a
// breaker; [RegistryStats] counts them, and the Logger is told once of each of the
// two, but not of the empty name, for which adapters tell their reason. No limit of a Config holds for such calls, CallTimeout neither. Where the
// Config is not valid the gate refuses every call with what Get says of it.
func (r *Registry) Gate(name string) Gate {
	if r == nil {
		return broken{errNilRegistry()}
	}
	b, err := r.get(name)
	switch err {
	case nil:
		return b
	case ErrRegistryFull: //nolint:errorlint // get does not wrap it
		r.open.tell(r, &r.open.toldFull, "circuit breaker registry is full, calls are admitted without a breaker", name, fullRemedy)
	case errInvalidName:
		if name == "" { // an adapter that knows no name says so itself
			break
		}
		r.open.tell(r, &r.open.toldName, "circuit breaker name is not valid, calls are admitted without a breaker", name, "use names of "+allowedName)
	default:
		return broken{err}
	}
	return &r.open
}

// unguarded is the gate of names without a breaker: it admits and counts.
type unguarded struct {
	calls              atomic.Uint64
	toldFull, toldName atomic.Bool
}

// Allow implements [Gate].
func (u *unguarded) Allow(ctx context.Context) (Permit, error) {
	if ctx != nil {
		if err := ctx.Err(); err != nil {
			return Permit{}, err
		}
	}
	u.calls.Add(1)
	return Permit{}, nil
}

// tell logs one line, the first time. A logger that panics is left alone, as that of
// a breaker.
func (u *unguarded) tell(r *Registry, told *atomic.Bool, text, name, remedy string) {
	if told.Load() || told.Swap(true) {
		return
	}
	defer func() { _ = recover() }()
	logger := r.Logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), slog.LevelWarn, text,
		slog.String("first_name", fmt.Sprintf("%.*s", maxName, name)), slog.Int("max", r.limit), slog.String("remedy", remedy))
}
