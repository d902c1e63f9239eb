package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/blackbox4/switchgear/core"
)

// FuzzModel decodes its input into a Config and a script, one number a byte,
// and compares the breaker with the model. Run it with
//
//	go test -run xxx -fuzz FuzzModel -fuzztime 1m -fuzzminimizetime 20x ./core
//
// Without the last flag it stands still for a minute at a time: coverage differs
// from run to run, for jitter is random, and the minimizer looks for a shorter
// input in vain.
func FuzzModel(f *testing.F) {
	for _, seed := range []string{
		"",
		"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01\x02\x00\x00\x06\x00\x01\x02",                 // one failure opens
		"\x02\x00\x03\x00\x01\x01\x01\x00\x00\x00\x01\x01\x00\x00\x00\x06\x00\x01\x02\x06\x00\x01\x02\x0b\x01\x00\x00",     // two do; a probe
		"\x00\x03\x02\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x0b\x04\x06\x00\x00\x02\x0f\x01\x02\x03\x01\x00",     // rates and an update
		"\x01\x00\x00\x00\x01\x02\x01\x00\x00\x00\x02\x01\x00\x06\x00\x01\x02\x0b\x06\x00\x0b\x05\x00\x0e\x00\x06\x00",     // a lost probe
		"\x03\x01\x05\x02\x02\x01\x02\x02\x01\x02\x01\x01\x02\x00\x00\x0b\x05\x06\x01\x00\x02\x0e\x00\x06\x00\x01\x01\x00", // slow, late
		strings.Repeat("\x00\x06\x01\x0b", 40),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = data[:min(len(data), 1<<10)]
		draw := func(n int) int {
			if len(data) == 0 || n <= 1 {
				return 0
			}
			b := int(data[0])
			data = data[1:]
			return b % n
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRunner(t, draw)
			for len(data) > 0 {
				r.step(draw)
			}
		})
	})
}

// FuzzConfig: whatever the numbers are, Validate tells without a panic, New
// agrees with it, and a Config that both accept works.
func FuzzConfig(f *testing.F) {
	f.Add(0, 0.0, 0.0, int64(0), 0, 0, int64(0), int64(0), int64(0), 0.0, 0.0, 0, 0, int64(0), int64(0), int64(0), byte(0))
	f.Add(1, 0.5, 0.5, int64(time.Second), 1, 1, int64(0), int64(1), int64(1<<62), 100.0, 0.999, 1, 1, int64(1), int64(time.Second), int64(time.Hour), byte(7))
	f.Add(-1, -1.0, -1.0, int64(-1), -1, 0, int64(time.Second), int64(1<<63-1), int64(0), -1.0, -1.0, 10_000, 10_000, int64(1<<63-1), int64(1<<63-1), int64(24*time.Hour), byte(255))
	f.Add(1000, 1.0, 1e-300, int64(1), 10_000, 10_000, int64(0), int64(1<<62), int64(1<<62), 1.5, 0.5, 3, 2, int64(1<<62), int64(1), int64(time.Minute), byte(3))
	f.Add(1001, 1.01, 2.0, int64(0), 101, -5, int64(9e6), int64(-1), int64(5), 0.5, 1.0, -1, 10_001, int64(-1), int64(-1), int64(1), byte(1))
	f.Fuzz(func(t *testing.T, streak int, rate, slowRate float64, slowAfter int64, minimum, calls int, window, timeout, maxTimeout int64,
		factor, jitter float64, probes, passes int, probeTimeout, rampUp, history int64, flags byte,
	) {
		cfg := core.Config{
			FailureThreshold: streak, FailureRateThreshold: rate, SlowRateThreshold: slowRate, SlowAfter: time.Duration(slowAfter),
			MinimumCalls: minimum, Window: core.Window{Calls: calls, For: time.Duration(window)},
			Timeout: time.Duration(timeout), MaxTimeout: time.Duration(maxTimeout), TimeoutFactor: factor, Jitter: jitter,
			HalfOpenMaxCalls: probes, SuccessThreshold: passes, ProbeTimeout: time.Duration(probeTimeout),
			RampUp: time.Duration(rampUp), Durations: flags&1 != 0, History: time.Duration(history),
		}
		if flags&2 != 0 {
			cfg.Health = &core.HealthLimits{SuccessRate: rate, ErrorRate: slowRate, Over: cfg.Timeout, Mean: cfg.MaxTimeout}
		}
		invalid := cfg.Validate()
		now := time.Unix(1<<33, 0)
		cfg.Now = func() time.Time { return now }
		b, err := core.New("fuzz", cfg)
		if (err == nil) != (invalid == nil) {
			t.Fatalf("Validate says %v, New says %v", invalid, err)
		}
		if invalid != nil {
			if _, ok := errors.AsType[*core.ConfigError](invalid); !ok {
				t.Fatalf("not a ConfigError: %v", invalid)
			}
			return
		}
		ctx := context.Background()
		admitted, opened := uint64(0), false
		for i := range 40 {
			p, err := b.Allow(ctx)
			if err == nil {
				admitted++
				p.Settle(ctx, core.Outcome(1+(i+int(flags>>2))%3))
			} else if refusal, ok := errors.AsType[*core.OpenError](err); !ok || refusal.Cause == core.NoCause {
				t.Fatalf("refused by %T %v", err, err)
			}
			opened = opened || b.State() == core.Open
			now = now.Add(time.Duration(i) * time.Second)
			_ = b.Explain()
		}
		snap := b.Snapshot()
		if snap.Totals.Calls != admitted || snap.Totals.InFlight != 0 {
			t.Fatalf("admitted %d, all settled; totals %+v", admitted, snap.Totals)
		}
		if opened && len(snap.Transitions) == 0 {
			t.Fatal("opened without a transition")
		}
		for _, tr := range snap.Transitions {
			if tr.To != core.Open {
				continue
			}
			length, most := tr.RetryAt.Sub(tr.At), max(cfg.MaxTimeout, 10*time.Minute, cfg.Timeout)
			if cfg.MaxTimeout > 0 {
				most = cfg.MaxTimeout
			}
			if length < 0 || length > most {
				t.Fatalf("open for %v, at most %v", length, most)
			}
		}
		b.Health()
		if err := b.Update(cfg); err != nil {
			t.Fatalf("Update: %v", err)
		}
	})
}

// FuzzName: New and Registry.Get accept the documented names and no others, and
// say so in few words.
func FuzzName(f *testing.F) {
	for _, seed := range []string{"", "a", "api.example.com:443", "ä/ö ü", "a\nb", "\x7f", "\u0085", "\xff", "(a name)", strings.Repeat("x", 256), strings.Repeat("x", 257), strings.Repeat("é", 128)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		valid := name != "" && len(name) <= 256 && utf8.ValidString(name)
		for _, r := range name {
			valid = valid && !unicode.Is(unicode.Cc, r)
		}
		b, err := core.New(name, core.Config{})
		if (err == nil) != valid {
			t.Fatalf("New(%q): %v; want valid %t", name, err, valid)
		}
		var reg core.Registry
		got, regErr := reg.Get(name)
		if (regErr == nil) != valid {
			t.Fatalf("Get(%q): %v; want valid %t", name, regErr, valid)
		}
		if valid {
			if b.Name() != name || got.Name() != name {
				t.Fatalf("Name %q, %q; want %q", b.Name(), got.Name(), name)
			}
			return
		}
		fault, ok := errors.AsType[*core.ConfigError](err)
		if !ok || fault.Field != "name" {
			t.Fatalf("not a fault of the name: %T %v", err, err)
		}
		if text := err.Error(); len(text) > 512 || strings.ContainsAny(text, "\n\r\x1b") || !utf8.ValidString(text) {
			t.Fatalf("text of %d bytes: %q", len(text), text)
		}
		if reg.Len() != 0 {
			t.Fatalf("a name that is refused was kept")
		}
	})
}
