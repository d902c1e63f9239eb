package main

import (
	"strconv"
	"time"

	"github.com/afex/hystrix-go/hystrix"
	bytedance "github.com/bytedance/gopkg/cloud/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/zeromicro/go-zero/core/breaker"
	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/core/stat"
)

// bytedances are used through the panel, which finds the breaker by a key: the
// package offers no other way. A window has 100 buckets, as its ticker demands.
func bytedances() []*subject {
	panel := func(bucket time.Duration, perP bool) bytedance.Panel {
		p, err := bytedance.NewPanel(nil, bytedance.Options{
			BucketTime:     bucket,
			BucketNums:     100,
			CoolingTimeout: openFor,
			ShouldTrip:     bytedance.RateTripFunc(rate, minimum),
			EnableShardP:   perP,
		})
		if err != nil {
			panic(err) // our own options
		}
		return p
	}
	bind := func(p bytedance.Panel, key string, w work) call {
		return func() error {
			if !p.IsAllowed(key) {
				return errRefused
			}
			err := w.plain()
			if err != nil {
				p.Fail(key)
			} else {
				p.Succeed(key)
			}
			return err
		}
	}
	keyed := func(name string, length time.Duration, perP bool) *subject {
		// A thousand breakers share a panel, whose own weight then is nothing.
		// Its ticker drops keys without samples, so it must not tick.
		const shared = 1000
		var current bytedance.Panel
		made := 0
		return &subject{
			name: name,
			fresh: func() instance {
				p := panel(length/100, perP)
				return instance{bind: func(w work) call { return bind(p, "benchmark", w) }, done: p.Close}
			},
			create: func(calls int) any {
				if made%shared == 0 {
					if current != nil {
						current.Close()
					}
					current = panel(time.Hour, perP)
				}
				made++
				key := strconv.Itoa(made)
				current.IsAllowed(key) // makes the breaker
				c := bind(current, key, succeeding)
				for range calls {
					_ = c() // closed: the closed scenarios check that it admits
				}
				return current
			},
		}
	}
	return []*subject{
		keyed("bytedance 10s (panel)", window, false),
		keyed("bytedance 10s, per P (panel)", window, true),
		keyed("bytedance 600s (panel)", longWindow, false).with(sizeOnly),
	}
}

// adaptives have no open state: they drop a share of the calls, near all after
// enough failures. Go-zero's window and factor are fixed; aegis starts at 100
// requests and is told of refusals, as kratos' middleware does.
func adaptives() []*subject {
	logx.Disable()
	stat.SetReporter(nil)

	aegis := func(name string, length time.Duration) *subject {
		return of(name, func() circuitbreaker.CircuitBreaker {
			return sre.NewBreaker(sre.WithSuccess(0.6), sre.WithRequest(100), sre.WithBucket(parts), sre.WithWindow(length))
		}, func(b circuitbreaker.CircuitBreaker, w work) call {
			return func() error {
				if err := b.Allow(); err != nil {
					b.MarkFailed()
					return err
				}
				err := w.plain()
				if err != nil {
					b.MarkFailed()
				} else {
					b.MarkSuccess()
				}
				return err
			}
		}).with(func(s *subject) { s.adaptive = 5000 })
	}
	zero := of("go-zero (do)", func() breaker.Breaker { return breaker.NewBreaker() },
		func(b breaker.Breaker, w work) call {
			return func() error { return b.Do(w.plain) }
		}).with(func(s *subject) { s.adaptive = 5000 })
	return []*subject{
		aegis("aegis sre 10s", window),
		aegis("aegis sre 600s", longWindow).with(sizeOnly),
		zero,
	}
}

// hystrixGo is fixed at 10 s of one-second buckets. It runs the call in a
// goroutine of its own, with a timeout and at most 1,000 at once. A call is done
// before its place is free again, so on a busy machine a call may find none.
// Circuits live in a map of the package and keep two goroutines for good.
func hystrixGo() *subject {
	made := 0
	fresh := func() string {
		made++
		name := strconv.Itoa(made)
		hystrix.ConfigureCommand(name, hystrix.CommandConfig{
			Timeout:                60_000,
			MaxConcurrentRequests:  1000,
			RequestVolumeThreshold: minimum,
			SleepWindow:            int(openFor / time.Millisecond),
			ErrorPercentThreshold:  100 * rate,
		})
		return name
	}
	return of("hystrix-go (do)", fresh, func(name string, w work) call {
		return func() error { return hystrix.Do(name, w.plain, nil) }
	}).with(func(s *subject) {
		s.noCreate, s.overruns = true, true
		s.create = func(calls int) any {
			name := fresh()
			circuit, _, err := hystrix.GetCircuit(name)
			if err != nil {
				panic(err) // it has no reason to fail
			}
			for range calls {
				_ = hystrix.Do(name, succeed, nil)
			}
			return circuit
		}
	})
}
