package core

import (
	"context"
	"errors"
	"time"
)

// Gate admits a call or refuses it. A [*Breaker] is one; adapters take any.
//
// Allow does not block. It returns either a [Permit] that must be settled once,
// or an error and no permit: a refusal that matches [ErrOpen], or the error of
// a ctx that is already done. It is safe for concurrent use.
type Gate interface {
	Allow(ctx context.Context) (Permit, error)
}

// All returns a gate that admits a call when every one of gates does, asked in
// order. When one refuses, the permits already taken go back as [Ignored] and
// its error is returned. Settling the permit settles all of them; each breaker
// classifies by its own Classify. With no gates it admits everything; a nil
// gate refuses with an error that says so.
func All(gates ...Gate) Gate {
	if len(gates) == 1 && gates[0] != nil {
		return gates[0]
	}
	return allOf(append([]Gate(nil), gates...))
}

var errNilGate = errors.New("core: nil Gate")

type allOf []Gate

func (gates allOf) Allow(ctx context.Context) (Permit, error) {
	parts := make([]Permit, len(gates))
	taken, admitted := 0, false
	defer func() { // also when a gate panics
		if !admitted {
			for i := range parts[:taken] {
				parts[i].Settle(ctx, Ignored)
			}
		}
	}()
	var timeout time.Duration
	for i, g := range gates {
		if g == nil {
			return Permit{}, errNilGate
		}
		var err error
		if parts[i], err = g.Allow(ctx); err != nil {
			return Permit{}, err
		}
		taken++
		if d := parts[i].timeout; d > 0 && (timeout == 0 || d < timeout) {
			timeout = d
		}
	}
	admitted = true
	return Permit{parts: parts, timeout: timeout}, nil
}
