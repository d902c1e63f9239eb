package core

import (
	"context"
	"time"
)

// limitedBreaker is All of a limit and a breaker. One permit carries both, so that
// a call allocates nothing.
type limitedBreaker struct {
	limit        *Limit
	breaker      *Breaker
	breakerFirst bool
}

// pairOf returns the gate for a limit and a breaker, in either order, or nil.
func pairOf(gates []Gate) Gate {
	if len(gates) != 2 {
		return nil
	}
	switch first := gates[0].(type) {
	case *Limit:
		if b, ok := gates[1].(*Breaker); ok && first.made() && b.made() {
			return &limitedBreaker{limit: first, breaker: b}
		}
	case *Breaker:
		if l, ok := gates[1].(*Limit); ok && l.made() && first.made() {
			return &limitedBreaker{limit: l, breaker: first, breakerFirst: true}
		}
	}
	return nil
}

// Allow implements [Gate].
func (g *limitedBreaker) Allow(ctx context.Context) (Permit, error) {
	if g.breakerFirst {
		return g.allowBreakerFirst(ctx)
	}
	if ctx != nil { // as the limit does before it counts
		if err := ctx.Err(); err != nil {
			return Permit{}, err
		}
	}
	bits, err := g.limit.enter(ctx)
	if err != nil {
		return Permit{}, err
	}
	admitted := false
	defer func() {
		if !admitted { // refused, or a hook of the breaker did not return
			g.limit.places.leave()
		}
	}()
	p, err := g.breaker.Allow(ctx)
	if err != nil {
		return Permit{}, err
	}
	admitted = true
	return g.join(&p, bits), nil
}

func (g *limitedBreaker) allowBreakerFirst(ctx context.Context) (Permit, error) {
	p, err := g.breaker.Allow(ctx)
	if err != nil {
		return Permit{}, err
	}
	bits, err := g.limit.enter(ctx)
	if err != nil {
		p.Settle(ctx, Ignored)
		return Permit{}, err
	}
	return g.join(&p, bits), nil
}

// join returns a permit of both: p, the breaker's, with the flags of the limit's.
func (g *limitedBreaker) join(p *Permit, bits flags) Permit {
	l := g.limit
	if p.phase == nil { // the breaker is disabled: at most its CallTimeout is left
		other := &l.self
		if d := p.timeout(); d > 0 {
			other, bits = &composite{limit: l, timeout: d}, bits|limited
		}
		return Permit{other: other, start: l.startOf(bits), meta: permitMeta{bits: bits}}
	}
	start := p.start
	if bits&sampled != 0 && !p.has(timed) {
		start = p.now()
	}
	bits |= p.meta.bits
	return Permit{phase: p.phase, other: &l.self, start: start, meta: permitMeta{bits: bits, probe: p.meta.probe}}
}

// deliverLimited settles a permit of a limit, and of a breaker if there is one. A
// limitOutcome of 0 is that of v.
func (p *Permit) deliverLimited(ctx context.Context, v result, limitOutcome Outcome) {
	l := p.other.limit
	l.places.leave() // before code of the user's, which may not return
	switch {
	case p.phase == nil: // no breaker, or a disabled one
	case v.outcome == Success && p.changesNoWord():
		p.count().successes.Add(1)
	default:
		p.phase.breaker.settle(ctx, p, &v)
	}
	if p.has(sampled) {
		if limitOutcome != 0 {
			v.outcome = limitOutcome
		}
		l.sample(ctx, p, &v)
	}
}

// doneLimited is Done for a permit of a limit. The limit and the breaker classify
// each for itself.
func (p *Permit) doneLimited(ctx context.Context, err error) {
	l, v := p.other.limit, result{err: err}
	var outcome Outcome
	if p.phase != nil {
		v = p.phase.breaker.classify(ctx, err) // may panic: then the permit is not settled yet
		if p.has(sampled) {
			outcome = l.classify(ctx, err)
		}
	}
	if p.claim() {
		p.deliverLimited(ctx, v, outcome)
	}
}

// now reads the clock that the permit's start is on.
func (p *Permit) now() time.Duration {
	if p.phase != nil {
		return p.phase.breaker.now()
	}
	return p.other.limit.now()
}
