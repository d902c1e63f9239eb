package presets_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// everyPolicy returns every preset and the zero Policy, by name, without retries.
func everyPolicy() map[string]presets.Policy {
	all := map[string]presets.Policy{"zero": {}}
	for _, g := range presetRows() {
		all[g.name] = g.policy()
	}
	for name, p := range all {
		p.Retry = presets.Retry{}
		all[name] = p
	}
	return all
}

// opened protects fn by a policy and opens its breaker.
func opened(t *testing.T, p presets.Policy, fn func(context.Context) error) (call func(context.Context) error, b *core.Breaker) {
	t.Helper()
	p.Registry = new(presets.Registry)
	down := true
	call = presets.MustProtectFunc("x", p, func(ctx context.Context) error {
		if down {
			return errDown
		}
		return fn(ctx)
	})
	b = breakerOf(t, p.Registry, "x")
	for i := 0; b.State() == core.Closed; i++ {
		if i == 1000 {
			t.Fatal("1000 failures do not open it")
		}
		_ = call(t.Context())
	}
	down = false
	return call, b
}

// asking calls all the time, from many goroutines, until the breaker is closed or
// a time is over, and returns how long that took.
func asking(t *testing.T, call func(context.Context) error, b *core.Breaker, most time.Duration) time.Duration {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := time.Now()
	for time.Since(began) < most && b.State() != core.Closed {
		for range 5 {
			go func() { _ = call(ctx) }()
		}
		time.Sleep(time.Second)
	}
	return time.Since(began)
}

// A dependency that is well but slow is let back, by every preset whose
// CallTimeout lets it answer, and by adapters that keep their own deadlines and
// only take the breaker.
func TestSlowButWellIsClosedAgain(t *testing.T) {
	for name, p := range everyPolicy() {
		for _, takes := range []time.Duration{time.Second, 45 * time.Second, 5 * time.Minute} {
			slowly := func(context.Context) error { time.Sleep(takes); return nil }
			if limit := p.CallTimeout; limit == 0 || takes < limit {
				inBubble(t, fmt.Sprintf("%s, calls of %v", name, takes), func(t *testing.T) {
					call, b := opened(t, p, slowly)
					most := p.Timeout + 4*takes + 2*time.Minute
					if took := asking(t, call, b, 24*time.Hour); took > most {
						t.Errorf("it was closed after %v, want at most %v; %s", took, most, b.Explain())
					}
					time.Sleep(time.Hour) // all have returned
				})
			}
			inBubble(t, fmt.Sprintf("%s, calls of %v by permits", name, takes), func(t *testing.T) {
				_, b := opened(t, p, slowly)
				permits := func(ctx context.Context) error {
					permit, err := b.Allow(ctx)
					if err == nil {
						time.Sleep(takes)
						permit.Done(t.Context(), nil)
					}
					return err
				}
				most := b.Config().Timeout*2 + 4*takes + 2*time.Minute
				if took := asking(t, permits, b, 24*time.Hour); took > most {
					t.Errorf("it was closed after %v, want at most %v; %s", took, most, b.Explain())
				}
				time.Sleep(time.Hour)
			})
		}
	}
}

// A breaker that waits for slow probes says so, and until when.
func TestSlowProbesAreExplained(t *testing.T) {
	for name, p := range everyPolicy() {
		inBubble(t, name, func(t *testing.T) {
			_, b := opened(t, p, func(context.Context) error { return nil })
			time.Sleep(b.Config().Timeout)
			var permits []*core.Permit
			for {
				permit := new(core.Permit)
				var err error
				if *permit, err = b.Allow(t.Context()); err != nil {
					break
				}
				permits = append(permits, permit)
			}
			if text := b.Explain(); len(permits) == 0 || !strings.Contains(text, "half-open") || !strings.Contains(text, fmt.Sprintf("%d", len(permits))) {
				t.Errorf("with %d probes out it says %q, want how many it waits for", len(permits), text)
			}
			time.Sleep(10 * time.Minute) // all are lost
			if text := b.Explain(); !strings.Contains(text, "half-open") || !strings.Contains(text, "took longer than") {
				t.Errorf("with all probes lost it says %q, want that they took longer than they may", text)
			}
			for _, permit := range permits {
				permit.Done(t.Context(), nil)
			}
			if b.State() != core.Closed {
				t.Errorf("after the probes have succeeded after all it is %v, want closed; %s", b.State(), b.Explain())
			}
		})
	}
}

// A dependency that hung for a while and is well again is let back about as soon
// as after a probe that failed, and one that hangs for ever holds a bounded number
// of calls.
func TestHungIsLetBackOnceWell(t *testing.T) {
	for name, p := range everyPolicy() {
		inBubble(t, name, func(t *testing.T) {
			var hangs atomic.Bool
			var hung atomic.Int64
			hangs.Store(true)
			_, b := opened(t, p, func(context.Context) error { return nil })
			forever := make(chan struct{})
			permits := func(ctx context.Context) error {
				permit, err := b.Allow(ctx)
				if err != nil {
					return err
				}
				if hangs.Load() {
					hung.Add(1)
					<-forever
					return nil
				}
				permit.Done(ctx, nil)
				return nil
			}
			asking(t, permits, b, 3*time.Hour)
			if n, most := hung.Load(), int64(2*b.Config().HalfOpenMaxCalls*(3*60/10+1)); n > most || n < 4 {
				t.Errorf("%d calls hang after 3 h, want 4 to %d", n, most)
			}
			if out := b.Snapshot(); out.ProbesOut+out.ProbesLost > 2*b.Config().HalfOpenMaxCalls {
				t.Errorf("%d probes are out and %d lost, want at most %d", out.ProbesOut, out.ProbesLost, 2*b.Config().HalfOpenMaxCalls)
			}
			hangs.Store(false)
			cfg := b.Config()
			if took, most := asking(t, permits, b, 24*time.Hour), cfg.ProbeTimeout+max(cfg.Timeout, 10*time.Minute)+2*time.Second; took > most {
				t.Errorf("it was closed %v after it was well, want at most %v; %s", took, most, b.Explain())
			}
			close(forever)
		})
		inBubble(t, name+", three hung probes", func(t *testing.T) {
			_, b := opened(t, p, func(context.Context) error { return nil })
			cfg := b.Config()
			time.Sleep(cfg.Timeout)
			for range min(3, cfg.HalfOpenMaxCalls) {
				if _, err := b.Allow(t.Context()); err != nil {
					t.Fatalf("a probe = %v, want it admitted", err)
				}
			}
			time.Sleep(cfg.ProbeTimeout) // they are lost, and from now on it is well
			well := func(ctx context.Context) error { return b.Do(ctx, func(context.Context) error { return nil }) }
			if took, most := asking(t, well, b, 24*time.Hour), cfg.Timeout+2*time.Second; took > most {
				t.Errorf("it was closed %v after three probes hung, want at most %v, as after one that failed; %s", took, most, b.Explain())
			}
		})
	}
}
