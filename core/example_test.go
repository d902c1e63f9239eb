package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var errDown = errors.New("connection refused")

// exampleClock lets an example decide what time it is.
type exampleClock struct{ at time.Time }

func (c *exampleClock) now() time.Time { return c.at }

func newExampleClock() *exampleClock {
	return &exampleClock{time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
}

// A call behind a breaker: after enough failures it is not made any more.
func ExampleBreaker_Do() {
	b := core.MustNew("billing", core.Config{FailureThreshold: 3})
	for range 4 {
		err := b.Do(context.Background(), func(ctx context.Context) error {
			fmt.Println("calling")
			return errDown
		})
		if errors.Is(err, core.ErrOpen) {
			fmt.Println("not called: the breaker is", b.State())
		}
	}
	// Output:
	// calling
	// calling
	// calling
	// not called: the breaker is open
}

// Do returns what the function returned, whatever its type.
func ExampleDo() {
	b := core.MustNew("users", core.Config{})
	name, err := core.Do(context.Background(), b, func(ctx context.Context) (string, error) {
		return "Ada", nil
	})
	fmt.Println(name, err)
	// Output: Ada <nil>
}

// Wrap puts a function behind a breaker once, where it is made.
func ExampleWrap() {
	b := core.MustNew("geocoder", core.Config{FailureThreshold: 1})
	length := core.Wrap(b, func(ctx context.Context, place string) (int, error) {
		if place == "" {
			return 0, errors.New("no place")
		}
		return len(place), nil
	})

	fmt.Println(length(context.Background(), "Oslo"))
	fmt.Println(length(context.Background(), ""))
	_, err := length(context.Background(), "Oslo")
	fmt.Println(errors.Is(err, core.ErrOpen))
	// Output:
	// 4 <nil>
	// 0 no place
	// true
}

// Where a function does not fit, ask for a permit and settle it. The deferred
// Settle covers every way out, a panic included, and does nothing after Done.
func ExampleBreaker_Allow() {
	b := core.MustNew("queue", core.Config{})

	send := func(ctx context.Context, message string) error {
		p, err := b.Allow(ctx)
		if err != nil {
			return err
		}
		defer p.Settle(ctx, core.Failure) // no effect once Done was called
		if message == "" {
			err = errors.New("nothing to send")
		}
		p.Done(ctx, err)
		return err
	}

	fmt.Println(send(context.Background(), "hello"))
	fmt.Println(send(context.Background(), ""))
	totals := b.Snapshot().Totals
	fmt.Println(totals.Successes, totals.Failures, totals.InFlight)
	// Output:
	// <nil>
	// nothing to send
	// 1 1 0
}

// A call that needs two breakers' consent: what the first one gave goes back
// when the second one refuses.
func ExampleAll() {
	host := core.MustNew("host", core.Config{})
	method := core.MustNew("method", core.Config{})
	if err := method.Force(core.ForcedOpen); err != nil {
		fmt.Println(err)
	}
	_, err := core.Do(context.Background(), core.All(host, method), func(ctx context.Context) (int, error) {
		return 42, nil
	})
	fmt.Println(err)
	fmt.Println(host.Snapshot().Totals.Ignored, "permit given back")
	// Output:
	// circuit breaker "method" refused the call: forced open by hand; only Release lets calls through again
	// 1 permit given back
}

// A dependency that says when to come back is believed, within MaxTimeout.
func ExampleRetryAfter() {
	clock := newExampleClock()
	b := core.MustNew("api", core.Config{FailureThreshold: 1, Timeout: time.Second, Now: clock.now})
	_ = b.Do(context.Background(), func(ctx context.Context) error {
		return core.RetryAfter(errors.New("429 Too Many Requests"), 30*time.Second)
	})
	fmt.Println(b.Explain())
	clock.at = clock.at.Add(30 * time.Second)
	fmt.Println(b.State())
	// Output:
	// open: consecutive failures (1); probes are let through in 30s, 2 successes then close it
	// half-open
}

// A breaker for each host, and no more than a thousand of them.
func ExampleRegistry() {
	hosts := core.Registry{
		Max: 1000,
		Config: func(host string) core.Config {
			if host == "slow.example" {
				return core.Config{CallTimeout: time.Minute}
			}
			return core.Config{FailureThreshold: 2, CallTimeout: time.Second}
		},
	}
	for range 2 {
		b, err := hosts.Get("api.example")
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = b.Do(context.Background(), func(ctx context.Context) error { return errDown })
	}
	_, _ = hosts.Get("slow.example")
	stats := hosts.Stats()
	fmt.Printf("%d breakers, %d open, %d of %d calls failed\n", stats.Breakers, stats.Open, stats.Totals.Failures, stats.Totals.Calls)
	// Output: 2 breakers, 1 open, 2 of 2 calls failed
}

// Hooks are told of each change, in order.
func ExampleHooks() {
	clock := newExampleClock()
	b := core.MustNew("db", core.Config{
		FailureThreshold: 2, SuccessThreshold: 1, Now: clock.now,
		Hooks: core.Hooks{Transition: func(ctx context.Context, t core.Transition) {
			fmt.Printf("%d %s: %v to %v, %v\n", t.Seq, t.At.Format(time.TimeOnly), t.From, t.To, t.Cause)
		}},
	})
	call := func(err error) { _ = b.Do(context.Background(), func(context.Context) error { return err }) }
	call(errDown)
	call(errDown)
	clock.at = clock.at.Add(90 * time.Second)
	call(nil)
	// Output:
	// 1 12:00:00: closed to open, consecutive failures
	// 2 12:01:00: open to half-open, timeout elapsed
	// 3 12:01:30: half-open to closed, the probes passed
}

// Explain says why a breaker does what it does, or why it does not yet.
func ExampleBreaker_Explain() {
	b := core.MustNew("search", core.Config{FailureThreshold: 5, FailureRateThreshold: 0.5, MinimumCalls: 20})
	for _, err := range []error{nil, nil, nil, nil, errDown, nil, errDown, errDown, errDown, nil} {
		_ = b.Do(context.Background(), func(context.Context) error { return err })
	}
	fmt.Println(b.Explain())
	// Output: closed: 0 of 5 consecutive failures; failure rate 40 % of 50 %, but only 10 of 20 calls
}

// Update changes the rules of a breaker that runs; what it has seen is kept.
func ExampleBreaker_Update() {
	b := core.MustNew("cache", core.Config{FailureThreshold: 100})
	for range 3 {
		_ = b.Do(context.Background(), func(context.Context) error { return errDown })
	}
	if err := b.Update(core.Config{FailureThreshold: 4}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(b.Explain())
	fmt.Println(b.Update(core.Config{FailureThreshold: 4, Jitter: 2}))
	// Output:
	// closed: 3 of 4 consecutive failures; failure rate 100 % of 50 %, but only 3 of 20 calls
	// switchgear: Jitter is 2, allowed: in (0, 1); 0 or negative for none
}

// The facts of a refusal, for a fallback or an answer to the caller.
func ExampleOpenError() {
	clock := newExampleClock()
	b := core.MustNew("payments", core.Config{FailureThreshold: 1, Timeout: 20 * time.Second, Now: clock.now})
	_ = b.Do(context.Background(), func(context.Context) error { return errDown })

	err := b.Do(context.Background(), func(context.Context) error { return nil })
	if refused, ok := errors.AsType[*core.OpenError](err); ok {
		fmt.Println(refused.Name, "is", refused.State, "because of", refused.Cause)
		fmt.Println("Retry-After:", refused.RetryAt.Sub(clock.at).Seconds())
	}
	// Output:
	// payments is open because of consecutive failures
	// Retry-After: 20
}

// A call that was made elsewhere is recorded when its outcome is known.
func ExampleBreaker_Record() {
	b := core.MustNew("billing", core.Config{FailureThreshold: 2})
	b.Record(context.Background(), core.Success, nil, 120*time.Millisecond)
	b.Record(context.Background(), core.Failure, errDown, 3*time.Second)
	b.Record(context.Background(), core.Failure, errDown, 3*time.Second)
	fmt.Println(b.State(), b.Snapshot().Totals.Failures)
	// Output: open 2
}

// A break survives a restart: the old process keeps a snapshot, as JSON say, and the
// new one restores it.
func ExampleBreaker_Restore() {
	old := core.MustNew("billing", core.Config{FailureThreshold: 1})
	old.Record(context.Background(), core.Failure, errDown, 0)
	kept, err := json.Marshal(old.Snapshot())
	if err != nil {
		fmt.Println(err)
	}

	var left core.Snapshot
	if err := json.Unmarshal(kept, &left); err != nil {
		fmt.Println(err)
	}
	b := core.MustNew("billing", core.Config{FailureThreshold: 1})
	if err := b.Restore(left); err != nil {
		fmt.Println(err)
	}
	fmt.Println(b.State(), "because it was", b.Snapshot().Cause)
	// Output: open because it was restored from a snapshot
}

// One call writes every breaker of a registry, with its last calls.
func ExampleRegistry_WriteJSON() {
	r := core.Registry{Config: func(string) core.Config { return core.Config{RecentCalls: 100} }}
	b, err := r.Get("billing")
	if err != nil {
		fmt.Println(err)
	}
	b.Record(context.Background(), core.Failure, errDown, 0)
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		fmt.Println(err)
	}
	var read struct {
		Breakers []core.Snapshot `json:"breakers"`
	}
	if err := json.Unmarshal(text.Bytes(), &read); err != nil {
		fmt.Println(err)
	}
	last := read.Breakers[0].RecentCalls[0]
	fmt.Println(last.Outcome, last.Err)
	// Output: failure connection refused
}
