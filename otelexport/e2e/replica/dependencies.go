package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/blackbox4/switchgear/core"
)

const (
	pace       = 5 * time.Millisecond // between two calls of a dependency
	shortBreak = 500 * time.Millisecond
	longBreak  = 10 * time.Minute // longer than the test
)

// dependency is something that is called, and how that goes.
type dependency struct {
	config core.Config
	// override is what an operator does in the outage.
	override core.Override
	// during and well make one call in and out of the outage; nil means that it
	// succeeds.
	during, well func(context.Context, *core.Breaker) error
}

// call makes one call. The breaker counts its outcome.
func (d dependency) call(ctx context.Context, b *core.Breaker, outage bool) {
	attempt := d.well
	if outage {
		attempt = d.during
	}
	_ = b.Do(sampled(ctx), func(ctx context.Context) error {
		if attempt == nil {
			return nil
		}
		return attempt(ctx, b)
	})
}

var errDown = errors.New("connection refused")

func fails(context.Context, *core.Breaker) error { return errDown }

// dependencies are one for each thing that the dashboard can show.
func dependencies(alone bool) map[string]dependency {
	search := dependency{config: core.Config{Timeout: longBreak}}
	if alone {
		search.during = fails
	}
	return map[string]dependency{
		// Down for all; it is probed twice a second, and stays down. While it is
		// well, a few callers go away before it has answered.
		"billing": {
			config: core.Config{FailureThreshold: -1, FailureRateThreshold: 0.5, Timeout: shortBreak, Durations: true},
			well:   leaves, during: fails,
		},
		"search": search,
		// Each break helps for a moment.
		"mail": {config: core.Config{FailureThreshold: 3, SuccessThreshold: 1, Timeout: 50 * time.Millisecond}, during: relapses},
		// No rule is on, whatever fails.
		"ledger": {config: core.Config{FailureThreshold: -1, FailureRateThreshold: -1}, during: fails},
		// It hangs, and the breaker's own deadline ends its calls.
		"quotes": {config: core.Config{CallTimeout: 20 * time.Millisecond, Timeout: longBreak, Durations: true}, during: hangs},
		// It is slow, and its probe takes until the end.
		"archive": {
			config: core.Config{
				FailureThreshold: -1, SlowRateThreshold: 0.5, SlowAfter: 20 * time.Millisecond,
				Window: core.Window{Calls: 20}, MinimumCalls: 10,
				Timeout: shortBreak, HalfOpenMaxCalls: 1, ProbeTimeout: longBreak,
			},
			during: drags,
		},
		"banned": {override: core.ForcedOpen},
		"exempt": {override: core.Disabled, during: fails},
		"trial":  {config: core.Config{Timeout: longBreak}, override: core.Shadow, during: fails},
	}
}

func leaves(ctx context.Context, _ *core.Breaker) error {
	if rand.IntN(10) > 0 {
		return nil
	}
	return core.ErrOpen // another gate's refusal is not this dependency's failure
}

func relapses(_ context.Context, b *core.Breaker) error {
	if b.State() == core.HalfOpen {
		return nil
	}
	return errDown
}

func hangs(ctx context.Context, _ *core.Breaker) error {
	<-ctx.Done()
	return ctx.Err()
}

func drags(ctx context.Context, b *core.Breaker) error {
	if b.State() == core.HalfOpen {
		<-ctx.Done() // when the calls are stopped
		return nil
	}
	pause(ctx, 25*time.Millisecond)
	return nil
}

// sampled gives a call a trace, as a tracer would.
func sampled(ctx context.Context) context.Context {
	var trc trace.TraceID
	var span trace.SpanID
	for i := range trc {
		trc[i] = byte(rand.Uint32())
	}
	for i := range span {
		span[i] = byte(rand.Uint32())
	}
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trc, SpanID: span, TraceFlags: trace.FlagsSampled,
	}))
}
