// Package gatefault tells of a gate that neither admits nor refuses: a nil or zero
// Breaker, a Config that is not valid, or a Gate of the user's whose error does not
// match core.ErrOpen. That is a fault of the program and no break, so adapters do not
// answer as if there were one.
package gatefault

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/blackbox4/switchgear/core"
)

// Is reports whether err, which a gate has returned for ctx, is a fault of the
// program: neither a refusal nor the end of ctx.
func Is(ctx context.Context, err error) bool {
	if err == nil || errors.Is(err, core.ErrOpen) {
		return false
	}
	gone := ctx.Err()
	return gone == nil || !errors.Is(err, gone)
}

// Log tells of the first fault that an adapter meets. The zero value is ready for use,
// by several goroutines.
type Log struct{ told atomic.Bool }

// Tell logs one line, the first time, to logger, or to [slog.Default] if that is nil:
// what is done of it, the key of the breaker, the reason and what helps. A logger that
// panics is left alone, as that of a breaker.
func (l *Log) Tell(logger *slog.Logger, what, key string, err error) {
	if l.told.Load() || l.told.Swap(true) {
		return
	}
	defer func() { _ = recover() }()
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), slog.LevelError, "circuit breaker cannot be asked, "+what,
		slog.String("first_key", key), slog.String("error", err.Error()),
		slog.String("remedy", "use a Breaker that core.New made and a Config that is valid; let a Gate refuse with an error that matches core.ErrOpen"))
}
