package core

import (
	"context"
	"errors"
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
// gate refuses with an error that says so. All of a [*Limit] and a [*Breaker], in
// either order, allocates nothing for a call.
func All(gates ...Gate) Gate {
	if len(gates) == 1 && gates[0] != nil {
		return gates[0]
	}
	if pair := pairOf(gates); pair != nil {
		return pair
	}
	return allOf(append([]Gate(nil), gates...))
}

var errNilGate = errors.New("core: nil Gate")

type allOf []Gate

func (gates allOf) Allow(ctx context.Context) (Permit, error) {
	all := &foreign{parts: make([]Permit, len(gates))}
	taken := 0
	defer func() { // also when a gate panics
		if taken < len(gates) {
			(&foreign{parts: all.parts[:taken]}).settle(ctx, verdict{outcome: Ignored})
		}
	}()
	for i, g := range gates {
		if g == nil {
			return Permit{}, errNilGate
		}
		p := &all.parts[i]
		var err error
		if *p, err = g.Allow(ctx); err != nil {
			return Permit{}, err
		}
		taken++
		if d := p.timeout(); d > 0 && (all.timeout == 0 || d < all.timeout) {
			all.timeout = d
		}
	}
	return foreignPermit(all), nil
}
