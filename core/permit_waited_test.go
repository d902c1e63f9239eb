package core_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Time in which the dependency waited for the caller makes no call slow.
func TestWaited(t *testing.T) {
	for _, row := range []struct {
		name   string
		waited []time.Duration
		settle func(p *core.Permit)
		slow   uint64
	}{
		{"none", nil, nil, 1},
		{"negative", []time.Duration{-time.Hour}, nil, 1},
		{"too little", []time.Duration{time.Second}, nil, 1},
		{"enough", []time.Duration{2500 * time.Millisecond}, nil, 0},
		{"enough, in two parts", []time.Duration{time.Second, 1500 * time.Millisecond}, nil, 0},
		{"more than all of it", []time.Duration{time.Hour}, nil, 0},
		{"after the answer", []time.Duration{time.Hour}, (*core.Permit).Answered, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := core.MustNew("b", core.Config{SlowAfter: time.Second, FailureThreshold: -1})
				other := core.MustNew("other", core.Config{SlowAfter: time.Second})
				for _, gate := range []core.Gate{b, core.All(b, other)} {
					p, err := gate.Allow(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(3 * time.Second)
					if row.settle != nil {
						row.settle(&p)
					}
					for _, d := range row.waited {
						p.Waited(d)
					}
					p.Settle(t.Context(), core.Success)
					p.Waited(time.Hour) // no effect any more
				}
				if got := b.Snapshot().Totals.Slow; got != 2*row.slow {
					t.Errorf("%d slow calls of 2, want %d", got, 2*row.slow)
				}
			})
		})
	}
	var zero core.Permit
	zero.Waited(time.Second) // does nothing
}
