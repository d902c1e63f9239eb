package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// What a holder has waited is no part of what the call has taken.
func TestWaitedIsTakenOff(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		use  func(p *core.Permit)
		want time.Duration
	}{
		"nothing":            {func(*core.Permit) { time.Sleep(3 * s) }, 3 * s},
		"once":               {func(p *core.Permit) { time.Sleep(3 * s); p.Waited(s) }, 2 * s},
		"twice":              {func(p *core.Permit) { time.Sleep(3 * s); p.Waited(s); p.Waited(s / 2) }, 3 * s / 2},
		"before it has":      {func(p *core.Permit) { p.Waited(s); time.Sleep(3 * s) }, 2 * s},
		"too much":           {func(p *core.Permit) { time.Sleep(3 * s); p.Waited(5 * s) }, 0},
		"negative":           {func(p *core.Permit) { time.Sleep(3 * s); p.Waited(-s); p.Waited(0) }, 3 * s},
		"before the answer":  {func(p *core.Permit) { time.Sleep(3 * s); p.Waited(s); p.ResponseStarted(); time.Sleep(s) }, 2 * s},
		"after the answer":   {func(p *core.Permit) { time.Sleep(3 * s); p.ResponseStarted(); time.Sleep(s); p.Waited(s) }, 2 * s},
		"more, and answered": {func(p *core.Permit) { time.Sleep(s); p.Waited(2 * s); p.ResponseStarted() }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got []time.Duration
			b := core.MustNew("b", core.Config{SlowAfter: time.Minute, Hooks: core.Hooks{
				Settled: func(_ context.Context, s core.Settlement) { got = append(got, s.Duration) },
			}})
			for _, gate := range []core.Gate{b, core.All(core.MustNew("untimed", core.Config{}), b)} {
				p, err := gate.Allow(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				c.use(&p)
				p.Settle(t.Context(), core.Success)
				p.Waited(s) // too late
			}
			if len(got) != 2 || got[0] != c.want || got[1] != c.want {
				t.Errorf("%s: the calls are said to have taken %v, want %v each", name, got, c.want)
			}
		})
	}
}
