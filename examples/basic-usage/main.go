// Basic-usage is one file about one breaker: a call behind it, a function that is
// protected for good, what to return instead, and what was counted. It needs nothing
// but Go and ends at once:
//
//	go run ./examples/basic-usage
//
// The weather service that it asks is a function of this file. It answers twice,
// is down after that, and is well again in the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "basic-usage:", err)
		os.Exit(1)
	}
}

var errDown = errors.New("weather service is down")

// service is the dependency: it answers while it is up.
type service struct {
	up    bool
	calls int
}

func (s *service) forecast(context.Context) (string, error) {
	s.calls++
	if !s.up {
		return "", errDown
	}
	return "sunny", nil
}

func run(ctx context.Context, out io.Writer) error {
	weather := &service{up: true}

	// 1. A breaker, and a call behind it. Three consecutive failures open it, or half of
	// the last 100 calls; it stays open for a moment, and one success closes it again.
	breaker, err := core.New("weather", core.Config{
		FailureThreshold: 3, SuccessThreshold: 1, Timeout: 50 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "1. A breaker")
	for i := range 7 {
		weather.up = i < 2
		forecast, err := core.Do(ctx, breaker, weather.forecast)
		switch {
		case errors.Is(err, core.ErrOpen):
			fmt.Fprintln(out, "   refused, the service was not asked")
		case err != nil:
			fmt.Fprintln(out, "   failed:", err)
		default:
			fmt.Fprintln(out, "   it is", forecast)
		}
	}
	fmt.Fprintf(out, "   %d of 7 calls reached the service. The breaker is %v.\n", weather.calls, breaker.State())

	// 2. When the break is over, the next call is a probe; if it succeeds, the breaker
	// closes.
	weather.up = true
	time.Sleep(60 * time.Millisecond)
	if _, err := core.Do(ctx, breaker, weather.forecast); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n2. A probe\n   The service is well again, and the breaker %v.\n", breaker.State())

	// 3. A protected function takes the place of the one that it protects. The preset
	// says when its breaker opens and how long a call may take; it is kept in a registry
	// by its name.
	registry := &presets.Registry{}
	policy := presets.Moderate().With(func(p *presets.Policy) { p.Registry = registry })
	forecast := presets.MustProtectCall("forecast", policy, weather.forecast)

	// A fallback answers when the call fails or is refused.
	safe := func(ctx context.Context) string {
		text, err := forecast(ctx)
		if err != nil {
			return "unknown (" + cause(err) + ")"
		}
		return text
	}
	fmt.Fprintln(out, "\n3. A protected function, with a fallback")
	weather.up = false
	for range 6 {
		fmt.Fprintln(out, "   it is", safe(ctx))
	}

	// 4. The counts.
	protected, err := registry.Breakers().Get("forecast")
	if err != nil {
		return err
	}
	s := protected.Snapshot()
	fmt.Fprintln(out, "\n4. Statistics")
	fmt.Fprintf(out, "   calls %d, failures %d, refused %d\n", s.Totals.Calls, s.Totals.Failures, s.Totals.Refused)
	fmt.Fprintln(out, "   the last error:", s.RecentCalls[len(s.RecentCalls)-1].Err)
	for _, t := range s.Transitions {
		fmt.Fprintf(out, "   %v to %v: %s\n", t.From, t.To, t.Reason())
	}
	health := protected.Health()
	fmt.Fprintln(out, "   healthy:", health.Healthy)
	for _, reason := range health.Reasons {
		fmt.Fprintln(out, "   -", reason)
	}
	return nil
}

// cause is why there is no forecast.
func cause(err error) string {
	if errors.Is(err, core.ErrOpen) {
		return "not asked"
	}
	return err.Error()
}
