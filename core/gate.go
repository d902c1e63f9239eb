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
	all := &composite{parts: make([]Permit, len(gates))}
	taken := 0
	defer func() { // also when a gate panics
		if taken < len(gates) {
			(&composite{parts: all.parts[:taken]}).settle(ctx, result{outcome: Ignored})
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
	return compositePermit(all), nil
}

// composite is a permit of a gate that is not a breaker: one made by [NewPermit], or
// with parts by [All], or all permits of a limit.
type composite struct {
	limit   *Limit
	relay   func(context.Context, Outcome)
	parts   []Permit
	timeout time.Duration // the shortest CallTimeout of the parts, or 0
}

// NewPermit returns a permit of a gate that is not a breaker: settle is called
// with the outcome, at most once. A nil settle makes a permit that does nothing.
func NewPermit(settle func(ctx context.Context, o Outcome)) Permit {
	if settle == nil {
		return Permit{}
	}
	return Permit{other: &composite{relay: settle}}
}

func compositePermit(f *composite) Permit {
	if f.timeout > 0 {
		return Permit{other: f, meta: permitMeta{bits: limited}}
	}
	return Permit{other: f}
}

// settle reports the result to the relay or to every part, each of which
// classifies for itself; one that panics takes no other's settlement with it.
func (f *composite) settle(ctx context.Context, v result) {
	if f.relay != nil {
		if v.outcome == 0 {
			v.outcome = DefaultClassify(ctx, v.err)
		}
		f.relay(ctx, v.outcome)
	}
	for i := range f.parts {
		p := &f.parts[i]
		defer func() {
			defer p.Settle(ctx, Failure) // if its Classify panics
			if v.outcome == 0 {
				p.Done(ctx, v.err)
			} else {
				p.settle(ctx, v)
			}
		}()
	}
}
