package main

import (
	"time"

	"github.com/cenk/backoff"
	"github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	rubyist "github.com/rubyist/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// What all breakers are set to, as far as they can be. They stay open for longer
// than a sample lasts.
const (
	rate       = 0.5
	minimum    = 20
	calls      = 100
	window     = 10 * time.Second
	longWindow = 600 * time.Second
	parts      = 10
	openFor    = time.Hour
)

// The names that targets refer to.
const (
	gobreakerExecute = "gobreaker in a row (execute)"
	gobreakerTwoStep = "gobreaker in a row (two-step)"
	failsafeTime     = "failsafe-go time 10s (permit)"
)

func gobreakers() []*subject {
	inARow := gobreaker.Settings{Timeout: openFor}
	rolling := func(interval time.Duration) gobreaker.Settings {
		return gobreaker.Settings{
			Timeout:      openFor,
			Interval:     interval,
			BucketPeriod: interval / parts,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.Requests >= minimum && float64(c.TotalFailures) >= rate*float64(c.Requests)
			},
		}
	}
	execute := func(name string, s gobreaker.Settings) *subject {
		return of(name, func() *gobreaker.CircuitBreaker[int] { return gobreaker.NewCircuitBreaker[int](s) },
			func(b *gobreaker.CircuitBreaker[int], w work) call {
				return func() error {
					_, err := b.Execute(w.value)
					return err
				}
			})
	}
	twoStep := of(gobreakerTwoStep,
		func() *gobreaker.TwoStepCircuitBreaker[int] { return gobreaker.NewTwoStepCircuitBreaker[int](inARow) },
		func(b *gobreaker.TwoStepCircuitBreaker[int], w work) call {
			return func() error {
				done, err := b.Allow()
				if err != nil {
					return err
				}
				err = w.plain()
				done(err)
				return err
			}
		})
	return []*subject{
		execute(gobreakerExecute, inARow),
		twoStep,
		execute("gobreaker rolling 10s (execute)", rolling(window)),
		execute("gobreaker rolling 600s (execute)", rolling(longWindow)).with(sizeOnly),
	}
}

func failsafes() []*subject {
	type policy = circuitbreaker.CircuitBreaker[any]
	count := func(n uint) func() policy {
		return func() policy {
			return circuitbreaker.NewBuilder[any]().WithFailureThresholdRatio(uint(rate*float64(n)), n).WithDelay(openFor).Build()
		}
	}
	timed := func(period time.Duration) func() policy {
		return func() policy {
			return circuitbreaker.NewBuilder[any]().WithFailureRateThreshold(rate, minimum, period).WithDelay(openFor).Build()
		}
	}
	// permit leaves panics to the caller.
	permit := func(name string, build func() policy) *subject {
		return of(name, build, func(b policy, w work) call {
			return func() error {
				if !b.TryAcquirePermit() {
					return errRefused
				}
				err := w.plain()
				if err != nil {
					b.RecordFailure()
				} else {
					b.RecordSuccess()
				}
				return err
			}
		})
	}
	run := func(name string, build func() policy) *subject {
		return of(name, func() failsafe.Executor[any] { return failsafe.With[any](build()) },
			func(e failsafe.Executor[any], w work) call {
				return func() error { return e.Run(w.plain) }
			})
	}
	return []*subject{
		permit("failsafe-go count 100 (permit)", count(calls)),
		run("failsafe-go count 100 (run)", count(calls)),
		permit("failsafe-go count 10000 (permit)", count(10_000)).with(sizeOnly).with(func(s *subject) { s.warm = 12_000 }),
		permit(failsafeTime, timed(window)),
		run("failsafe-go time 10s (run)", timed(window)),
		permit("failsafe-go time 600s (permit)", timed(longWindow)).with(sizeOnly),
	}
}

// classics are the two older ones. Rubyist's has its constant back-off: the
// default one is slower. Eapache's keeps no window, only errors: ten of them
// within its timeout open it, so it cannot stay closed with 1 % of failures.
func classics() []*subject {
	byRate := func(name string, length time.Duration) *subject {
		return of(name, func() *rubyist.Breaker {
			return rubyist.NewBreakerWithOptions(&rubyist.Options{
				BackOff:       backoff.NewConstantBackOff(openFor),
				ShouldTrip:    rubyist.RateTripFunc(rate, minimum),
				WindowTime:    length,
				WindowBuckets: parts,
			})
		}, func(b *rubyist.Breaker, w work) call {
			return func() error { return b.Call(w.plain, 0) }
		})
	}
	eapache := of("eapache 10 errors (run)", func() *breaker.Breaker { return breaker.New(10, 1, openFor) },
		func(b *breaker.Breaker, w work) call {
			return func() error { return b.Run(w.plain) }
		})
	return []*subject{
		byRate("rubyist 10s (call)", window),
		byRate("rubyist 600s (call)", longWindow).with(sizeOnly),
		eapache.with(func(s *subject) { s.noMix = true }),
	}
}
