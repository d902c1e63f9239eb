package failsafe

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Neither an admission nor a refusal allocates.
func TestAllocs(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	well, sick := newBench(t, Config{}), starved(t)
	well.read(ctx)
	strict, blind := newBench(t, Config{Refuse: Low}), newBench(t, Config{Refuse: Low})
	strict.read(ctx)
	old := newBench(t, Config{Refuse: Low, Interval: 100 * time.Millisecond, MaxAge: 200 * time.Millisecond})
	old.read(ctx)
	time.Sleep(210 * time.Millisecond)
	for name, f := range map[string]func(){
		"admitted":         func() { admitted(t, well) },
		"admitted, strict": func() { admitted(t, strict) },
		"refused":          func() { mustRefuse(t, sick, ctx) },
		"not read yet":     func() { mustRefuse(t, blind, ctx) },
		"too old":          func() { mustRefuse(t, old, ctx) },
		"errors.Is": func() {
			if _, err := sick.Allow(ctx); !errors.Is(err, ErrFailsafe) || !errors.Is(err, core.ErrOpen) {
				t.Error(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func mustRefuse(t *testing.T, g core.Gate, ctx context.Context) { //nolint:revive // t comes first
	if _, err := g.Allow(ctx); err == nil {
		t.Error("admitted")
	}
}

// All methods may be called while Run reads: the race detector looks on.
func TestRace(t *testing.T) {
	v, err := New(Config{Interval: 100 * time.Millisecond, Samples: 1, CPU: 1, Memory: 1, Disk: 1, Margin: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { v.Run(ctx) })
	}
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				p, err := v.Allow(bg)
				p.Settle(bg, core.Success)
				if err != nil && (!errors.Is(err, ErrFailsafe) || err.Error() == "") {
					t.Error(err)
				}
				for _, c := range v.Conditions() {
					if c.Metadata != nil {
						c.Metadata["mine"] = "yes"
					}
				}
				_, _ = v.Readings(), v.String()
			}
		})
	}
	all.Wait()
}

func BenchmarkAllow(b *testing.B) {
	for name, memory := range map[string]float64{"admitted": 10, "refused": 99} {
		b.Run(name, func(b *testing.B) {
			v := newVitals(Config{CPU: -1, Disk: -1, Samples: 1, MaxAge: time.Hour}.withDefaults(), nil,
				func(context.Context) (measured, error) { return measured{percent: memory, source: host}, nil }, hostDisk)
			v.read(bg)
			if _, err := v.Allow(bg); (err != nil) != (name == "refused") {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				p, _ := v.Allow(bg)
				p.Settle(bg, core.Success)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	v, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.read(bg)
	}
}
