package failsafe

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// One check tells what is wrong by one reading, in less than a second.
func TestCheckReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Samples: 1, CPU: 80})
		b.cpu.set(99.5, nil)
		b.memory.set(96, nil)
		b.disk.set(10, errEIO)
		begun := time.Now()
		got, err := b.once(bg)
		if err != nil || severities(got) != "cpu:critical memory:high sensor:low" {
			t.Errorf("%v, %v", got, err)
		}
		if took := time.Since(begun); took >= time.Second || took < cpuTime {
			t.Errorf("took %v", took)
		}
		b.cpu.set(1, nil)
		b.memory.set(1, nil)
		b.disk.set(1, nil)
		if got, err := b.once(bg); err != nil || len(got) != 0 {
			t.Errorf("all is well: %v, %v", got, err)
		}
	})
}

// A file system that hangs costs less than a second, however often it is asked.
func TestCheckOfWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := make(chan struct{})
		var benches [maxHanging + 2]*bench
		for i := range benches {
			benches[i] = newBench(t, Config{Samples: 1, CPU: -1})
			benches[i].disk.hangs = hangs
			begun := time.Now()
			got, err := benches[i].once(bg)
			if c := only(t, got); err != nil || c.Type != Sensor || time.Since(begun) >= time.Second {
				t.Errorf("check %d: %+v, %v after %v", i, c, err, time.Since(begun))
			}
		}
		synctest.Wait()
		if n := len(hanging); n != maxHanging {
			t.Errorf("%d readings are under way, at most %d", n, maxHanging)
		}
		close(hangs)
		synctest.Wait()
		if n := len(hanging); n != 0 {
			t.Errorf("%d readings are left", n)
		}
		if got, err := benches[0].once(bg); err != nil || len(got) != 0 {
			t.Errorf("afterwards: %v, %v", got, err)
		}
	})
}

func TestCheckEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Samples: 1})
		ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
		defer cancel()
		if got, err := b.once(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := (Detector{}).CheckResources(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// The machine that the test runs on is read for real.
func TestCheckOfThisMachine(t *testing.T) {
	d := Detector{Config: Config{Memory: 1, Disk: 1, Interval: time.Minute, Samples: 50}} // more than these is always in use
	got, err := d.CheckAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[Type]bool{}
	for _, c := range got {
		found[c.Type] = true
	}
	if !found[Memory] || !found[Disk] || found[Sensor] {
		t.Errorf("%+v", got)
	}
}

func TestCheckErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := core.Registry{Config: func(string) core.Config { return core.Config{History: time.Minute, FailureThreshold: 10} }}
		for _, name := range []string{"well", "sick"} {
			b, err := r.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				o := core.Success
				if name == "sick" {
					o = core.Failure
				}
				b.Record(bg, o, nil, 0)
			}
		}
		d := Detector{Breakers: r.All(), Config: Config{CPU: -1, Memory: -1, Disk: -1}}
		got, err := d.CheckErrors()
		if c := only(t, got); err != nil || c.Type != ConsecutiveErrors || c.Metadata["breaker"] != "sick" {
			t.Errorf("%+v, %v", c, err)
		}
		d.Errors = ErrorLimits{Consecutive: -1, MinimumCalls: -1}
		all, err := d.CheckAll(bg)
		if c := only(t, all); err != nil || c.Type != ErrorRate || c.Severity != Critical {
			t.Errorf("%+v, %v", c, err)
		}
		if got, err := (Detector{}).CheckErrors(); got != nil || err != nil {
			t.Errorf("without breakers: %v, %v", got, err)
		}
	})
}

func TestCheckConfidence(t *testing.T) {
	for _, row := range []struct {
		threshold, confidence float64
		want                  Severity
	}{
		{0, 0.3, 0},
		{0, 0.29, Medium},
		{0, 0.11, Medium},
		{0, 0.1, High},
		{0, 0, High},
		{0, 1, 0},
		{0.8, 0.79, Medium},
		{0.8, 0.8, 0},
		{0.05, 0.07, 0},
		{0.05, 0.04, High},
		{-1, 0, 0},
	} {
		got, err := Detector{Confidence: row.threshold}.CheckConfidence(row.confidence)
		if err != nil {
			t.Error(err)
		}
		var severity Severity
		if len(got) > 0 {
			severity = only(t, got).Severity
		}
		if severity != row.want {
			t.Errorf("%v of %v: %v, want %v", row.confidence, row.threshold, got, row.want)
		}
	}
	for _, confidence := range []float64{-0.1, 1.1, 30, math.NaN()} {
		var fault *core.ConfigError
		if got, err := (Detector{}).CheckConfidence(confidence); !errors.As(err, &fault) {
			t.Errorf("%v: %v, %v", confidence, got, err)
		}
	}
}

func TestDetectorIsChecked(t *testing.T) {
	d := Detector{Config: Config{CPU: 0.9}, Errors: ErrorLimits{Rate: 200}, Confidence: 30}
	for what, check := range map[string]func() error{
		"all":        func() error { _, err := d.CheckAll(bg); return err },
		"resources":  func() error { _, err := d.CheckResources(bg); return err },
		"errors":     func() error { _, err := d.CheckErrors(); return err },
		"confidence": func() error { _, err := d.CheckConfidence(0.5); return err },
	} {
		err := check()
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) != 3 {
			t.Errorf("%s: %v, want three faults", what, err)
		}
	}
	d = Detector{Breakers: func(yield func(string, *core.Breaker) bool) { yield("", nil) }}
	if _, err := d.CheckErrors(); err != nil {
		t.Errorf("a nil breaker: %v", err)
	}
}
