package main

import (
	"context"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// The names that targets refer to.
const (
	engineDefault   = "switchgear default"
	engineCount     = "switchgear count 100, rates"
	engineTime      = "switchgear time 10s, rates"
	engineDurations = "switchgear time 10s, rates, durations"

	permitAPI = " (permit)"
	doAPI     = " (do)"
)

// engine returns our breaker in each configuration. The zero Config is five
// consecutive failures beside an exact window of the last 100 calls; rates add the
// rule that the peers have, and keep the one in a row.
func engine() []*subject {
	rates := func(w core.Window) core.Config {
		return core.Config{FailureRateThreshold: rate, MinimumCalls: minimum, Window: w, Timeout: openFor}
	}
	timed := rates(core.Window{For: window})
	durations := timed
	durations.Durations = true
	slow := timed
	slow.SlowRateThreshold, slow.SlowAfter = rate, time.Second

	full := func(s *subject) { s.warm = 12_000 }
	return []*subject{
		permit(engineDefault, core.Config{}),
		do(engineDefault, core.Config{}),
		permit(engineCount, rates(core.Window{Calls: calls})),
		do(engineCount, rates(core.Window{Calls: calls})),
		permit("switchgear count 10000, rates", rates(core.Window{Calls: 10_000})).with(full),
		permit(engineTime, timed),
		do(engineTime, timed),
		permit("switchgear time 600s, rates", rates(core.Window{For: longWindow})),
		permit("switchgear time 10s, rates, slow", slow),
		permit(engineDurations, durations),
		do(engineDurations, durations),
	}
}

func maker(cfg core.Config) func() *core.Breaker {
	return func() *core.Breaker { return core.MustNew("benchmark", cfg) }
}

// permit is Allow and Settle, without the deferred settlement that a panic needs.
func permit(name string, cfg core.Config) *subject {
	return of(name+permitAPI, maker(cfg), func(b *core.Breaker, w work) call {
		ctx := context.Background()
		return func() error {
			p, err := b.Allow(ctx)
			if err != nil {
				return err
			}
			if err = w.plain(); err != nil {
				p.Settle(ctx, core.Failure)
			} else {
				p.Settle(ctx, core.Success)
			}
			return err
		}
	})
}

// do is [core.Do].
func do(name string, cfg core.Config) *subject {
	return of(name+doAPI, maker(cfg), func(b *core.Breaker, w work) call {
		ctx := context.Background()
		return func() error {
			_, err := core.Do(ctx, b, w.ctx)
			return err
		}
	})
}
