package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// A fixed limit is a bulkhead: a slow dependency takes so many goroutines and no more.
func ExampleLimit() {
	ctx := context.Background()
	limit := core.MustNewLimit("reports", core.LimitConfig{Min: 2, Max: 2})
	for i := range 3 {
		permit, err := limit.Allow(ctx)
		if errors.Is(err, core.ErrLimited) {
			fmt.Println(i, err)
			continue
		}
		defer permit.Settle(ctx, core.Success) // here at the end, so that the calls overlap
	}
	fmt.Println(limit.Explain())
	// Output:
	// 2 concurrency limit "reports" refused the call: no place is free for it; try again soon, a place is free when a call ends
	// limit 2, all in use; it is fixed
}

// An adaptive limit finds out by itself how many calls the dependency serves well.
// Beside a breaker it allocates nothing.
func ExampleLimit_adaptive() {
	limit := core.MustNewLimit("search", core.LimitConfig{})
	breaker := core.MustNew("search", core.Config{})
	search := core.Wrap(core.All(limit, breaker), func(_ context.Context, q string) (string, error) {
		return "results for " + q, nil
	})
	fmt.Println(search(context.Background(), "gophers"))
	fmt.Println(limit.Explain())
	// Output:
	// results for gophers <nil>
	// limit 20, none in use; latency not known yet
}

// Calls of low priority leave a fifth of the limit to the others.
func ExampleWithPriority() {
	limit := core.MustNewLimit("search", core.LimitConfig{Min: 5, Max: 5})
	ctx := context.Background()
	background := core.WithPriority(ctx, core.LowPriority)
	for range 5 {
		if _, err := limit.Allow(background); err != nil {
			fmt.Println("a background call was refused")
		}
	}
	_, err := limit.Allow(ctx)
	fmt.Println("a user's call:", err)
	// Output:
	// a background call was refused
	// a user's call: <nil>
}

// tokens stands for the Limiter of golang.org/x/time/rate.
type tokens struct {
	mu   sync.Mutex
	left int
}

func (t *tokens) Allow() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left--
	return t.left >= 0
}

// rateGate makes a Gate of a *rate.Limiter.
type rateGate struct{ limiter interface{ Allow() bool } }

func (g rateGate) Allow(context.Context) (core.Permit, error) {
	if !g.limiter.Allow() {
		return core.Permit{}, &core.OpenError{Name: "rate", Cause: core.CauseLimitReached, RetryAt: time.Now()}
	}
	return core.NewPermit(nil), nil
}

// A limit of calls a second is a Gate in a few lines. With golang.org/x/time/rate the
// limiter is rate.NewLimiter(100, 10); this example counts two tokens instead.
func ExampleGate_rate() {
	gate := core.All(rateGate{&tokens{left: 2}}, core.MustNew("db", core.Config{}))
	for range 3 {
		permit, err := gate.Allow(context.Background())
		fmt.Println(errors.Is(err, core.ErrLimited))
		permit.Settle(context.Background(), core.Success)
	}
	// Output:
	// false
	// false
	// true
}
