package failsafe

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// No call waits for a sensor, whatever the sensors do: the original measured for
// a second on every call.
func TestNoCallWaits(t *testing.T) {
	all := func(t *testing.T, v *Vitals) {
		t.Helper()
		before := time.Now()
		for range 100 {
			if p, err := v.Allow(bg); err == nil {
				p.Done(bg, nil)
			}
			_, _, _ = v.Conditions(), v.Readings(), v.String()
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("100 calls took %v of virtual time", took)
		}
	}
	bubble(t, "while sensors take a second", func(t *testing.T) {
		begun := time.Now()
		b := newBench(t, Config{})
		b.cpu.takes, b.memory.takes, b.disk.takes = time.Second, time.Second, time.Second
		b.cpu.value = 100
		stop := b.run(t)
		if took := time.Since(begun); took != 0 {
			t.Errorf("to make and run it took %v", took)
		}
		for range 100 {
			all(t, b.Vitals)
			time.Sleep(137 * time.Millisecond)
		}
		refused(t, b)
		stop()
	})
	bubble(t, "while a sensor hangs", func(t *testing.T) {
		b := newBench(t, Config{})
		b.disk.hangs = make(chan struct{})
		b.run(t)
		for range 10 {
			all(t, b.Vitals)
			time.Sleep(10 * time.Second)
		}
		close(b.disk.hangs)
	})
	// cpu.Percent(time.Second) would take a second of the bubble's time.
	bubble(t, "nor does a real sensor", func(t *testing.T) {
		v, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			before := time.Now()
			v.read(t.Context())
			if took := time.Since(before); took != 0 {
				t.Errorf("to read it took %v of virtual time", took)
			}
			all(t, v)
			time.Sleep(time.Second)
		}
	})
}

func TestNewStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which ends only when all goroutines have
		b := newBench(t, Config{})
		time.Sleep(time.Hour)
		if n := b.cpu.count() + b.memory.count() + b.disk.count(); n != 0 {
			t.Errorf("%d readings without Run", n)
		}
	})
	before := runtime.NumGoroutine()
	if _, err := New(Config{}); err != nil {
		t.Fatal(err)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

func TestRun(t *testing.T) {
	bubble(t, "reads at once and then every interval, until ctx is done", func(t *testing.T) {
		b := newBench(t, Config{Interval: 7 * time.Second})
		stop := b.run(t)
		for want := 1; want < 10; want++ {
			if got := b.cpu.count(); got != want {
				t.Fatalf("%d readings, want %d", got, want)
			}
			pass(7 * time.Second)
		}
		stop()
		pass(time.Hour)
		if got := b.cpu.count(); got != 10 {
			t.Errorf("%d readings after the end, want 10", got)
		}
	})
	bubble(t, "of several one reads, and the next takes over", func(t *testing.T) {
		b := newBench(t, Config{Interval: time.Second})
		stops := []func(){b.run(t), b.run(t), b.run(t)}
		pass(10 * time.Second)
		if got := b.cpu.count(); got != 11 {
			t.Errorf("%d readings in 10 s by three, want 11", got)
		}
		stops[0]()
		pass(10 * time.Second)
		if got := b.cpu.count(); got != 22 {
			t.Errorf("%d readings in 20 s, want 22", got)
		}
	})
	bubble(t, "with a ctx that is done it reads nothing", func(t *testing.T) {
		b := newBench(t, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 { // of two cases that are ready select takes any
			b.Run(ctx)
		}
		if got := b.cpu.count(); got != 0 {
			t.Errorf("%d readings", got)
		}
	})
	bubble(t, "what is read while ctx ends is not told", func(t *testing.T) {
		b := newBench(t, Config{Samples: 1})
		b.cpu.takes, b.cpu.err = time.Second, context.Canceled
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		b.Run(ctx)
		if got := only(t, b.Conditions()).Message; !strings.Contains(got, "not been read yet") {
			t.Errorf("conditions: %s", got)
		}
	})
	bubble(t, "sensors that take longer than the interval", func(t *testing.T) {
		b := newBench(t, Config{Interval: time.Second, MaxAge: 10 * time.Second})
		b.disk.takes = 3 * time.Second
		b.cpu.value = 95
		b.run(t)
		pass(time.Minute)
		refused(t, b)
		if got := b.cpu.count(); got < 15 || got > 21 {
			t.Errorf("%d readings in a minute", got)
		}
	})
}

// Readings that are too old count for nothing, and that is told.
func TestTooOld(t *testing.T) {
	const age, every = 15 * time.Second, 5 * time.Second
	bubble(t, "not run yet", func(t *testing.T) {
		b := newBench(t, Config{})
		time.Sleep(time.Hour)
		admitted(t, b)
		c := only(t, b.Conditions())
		if c.Type != Sensor || c.Severity != Low || !strings.Contains(c.Message, "not been read yet") {
			t.Errorf("condition = %+v", c)
		}
		b.run(t)
		if got := b.Conditions(); len(got) != 0 {
			t.Errorf("after the first reading: %+v", got)
		}
	})
	for name, end := range map[string]func(b *bench, stop func()) (again func(t *testing.T)){
		"Run has ended": func(b *bench, stop func()) func(t *testing.T) {
			stop()
			return func(t *testing.T) { b.run(t) }
		},
		"Run hangs": func(b *bench, _ func()) func(t *testing.T) {
			hangs := make(chan struct{})
			b.memory.mu.Lock()
			b.memory.hangs = hangs
			b.memory.mu.Unlock()
			return func(*testing.T) {
				close(hangs)
				pass(every)
			}
		},
	} {
		bubble(t, name, func(t *testing.T) {
			b := newBench(t, Config{})
			b.cpu.set(96, nil)
			stop := b.run(t)
			pass(every)
			if refusal := refused(t, b); len(refusal.Conditions) != 1 || refusal.Conditions[0].Severity != High {
				t.Fatalf("refused for %+v", refusal.Conditions)
			}
			read := time.Now()
			again := end(b, stop)
			time.Sleep(age - time.Millisecond)
			refused(t, b) // it holds for as long
			time.Sleep(time.Millisecond)
			admitted(t, b) // and not for ever
			c := only(t, b.Conditions())
			if c.Type != Sensor || c.Severity != Low || c.Value != 15 || c.Threshold != 15 || !c.At.Equal(time.Now()) || !strings.Contains(c.Message, "too long ago") {
				t.Errorf("condition = %+v", c)
			}
			time.Sleep(time.Minute)
			if c := only(t, b.Conditions()); c.Value != 75 {
				t.Errorf("a minute later the age is %v s, want 75", c.Value)
			}
			for _, r := range b.Readings() {
				if !r.At.Equal(read) {
					t.Errorf("%s was read at %v, want %v", r.Type, r.At, read)
				}
			}
			again(t)
			if got := severities(b.Conditions()); got != "cpu:high" {
				t.Errorf("when it is read again: %q", got)
			}
			refused(t, b)
		})
	}
	bubble(t, "nothing to read is never too old", func(t *testing.T) {
		b := newBench(t, Config{CPU: -1, Memory: -1, Disk: -1, Refuse: Low})
		for range 3 {
			admitted(t, b)
			if got := b.Conditions(); len(got) != 0 {
				t.Errorf("conditions = %+v", got)
			}
			if got := b.String(); got != "admits calls" {
				t.Errorf("String = %q", got)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			b.Run(ctx)
			cancel()
			time.Sleep(time.Hour)
		}
	})
}

// With Refuse Low what is not known refuses too.
func TestRefuseLow(t *testing.T) {
	bubble(t, "not read yet, well, not readable, too old", func(t *testing.T) {
		b := newBench(t, Config{Refuse: Low})
		if refusal := refused(t, b); !refusal.RetryAt.IsZero() || refusal.Conditions[0].Type != Sensor {
			t.Errorf("before the first reading: %+v", refusal)
		}
		stop := b.run(t)
		admitted(t, b)
		b.disk.set(nan, errEIO)
		pass(5 * time.Second)
		if refusal := refused(t, b); refusal.RetryAfter() != 5*time.Second || severities(refusal.Conditions) != "sensor:low" {
			t.Errorf("with a broken sensor: %+v", refusal)
		}
		b.disk.set(1, nil)
		pass(5 * time.Second)
		admitted(t, b)
		b.memory.set(92, nil)
		pass(10 * time.Second)
		if refusal := refused(t, b); refusal.RetryAfter() != 10*time.Second || severities(refusal.Conditions) != "memory:medium" {
			t.Errorf("short of memory: %+v", refusal)
		}
		b.memory.set(1, nil)
		pass(10 * time.Second)
		admitted(t, b)
		stop()
		time.Sleep(15 * time.Second)
		if refusal := refused(t, b); !strings.Contains(refusal.Error(), "too long ago") {
			t.Errorf("too old: %v", refusal)
		}
	})
	bubble(t, "Refuse Critical lets the others pass", func(t *testing.T) {
		b := newBench(t, Config{Refuse: Critical, Samples: 1})
		b.memory.set(97, nil)
		b.read(t.Context())
		admitted(t, b)
		if got := severities(b.Conditions()); got != "memory:high" {
			t.Errorf("conditions %q", got)
		}
		b.memory.set(98, nil)
		b.read(t.Context())
		refused(t, b)
	})
}

// A sensor that cannot be read is told; what it said last holds for a while.
func TestSensor(t *testing.T) {
	for name, broken := range map[string]func(d *dial){
		"fails":             func(d *dial) { d.value, d.err = nan, errEIO },
		"panics":            func(d *dial) { d.panic = errEIO.Error() },
		"says infinity":     func(d *dial) { d.value = -1 / zero },
		"gives no number":   func(d *dial) { d.value = nan },
		"fails with values": func(d *dial) { d.value, d.err = nan, errors.Join(errEIO, os.ErrPermission) },
	} {
		bubble(t, name, func(t *testing.T) {
			b := newBench(t, Config{})
			b.memory.set(97, nil)
			b.run(t)
			pass(5 * time.Second)
			refused(t, b)
			last := time.Now()
			b.memory.mu.Lock()
			broken(&b.memory)
			b.memory.mu.Unlock()

			pass(5 * time.Second)
			refused(t, b) // it may be as bad as before
			silent := name == "gives no number"
			if got := severities(b.Conditions()); !silent && got != "memory:high sensor:low" || silent && got != "memory:high" {
				t.Errorf("after a failed reading: %q", got)
			}
			pass(10 * time.Second)
			admitted(t, b) // there is no reading
			c := only(t, b.Conditions())
			if c.Type != Sensor || c.Severity != Low || c.Metadata["sensor"] != "memory" || c.Value != 15 || c.Threshold != 15 || !strings.HasPrefix(c.Message, "memory ") {
				t.Errorf("condition = %+v", c)
			}
			r := b.Readings()[1]
			if r.Type != Memory || r.Value != 97 || !r.At.Equal(last) || (r.Err == nil) != silent {
				t.Errorf("reading = %+v", r)
			}

			b.memory.mu.Lock()
			b.memory.panic = nil
			b.memory.mu.Unlock()
			b.memory.set(97, nil)
			pass(5 * time.Second)
			admitted(t, b) // a new row begins
			pass(5 * time.Second)
			refused(t, b)
			if got := severities(b.Conditions()); got != "memory:high" {
				t.Errorf("when it can be read again: %q", got)
			}
		})
	}
	bubble(t, "a fault beside a value", func(t *testing.T) {
		b := newBench(t, Config{Samples: 1})
		b.cpu.set(91, errEIO)
		b.read(t.Context())
		if got := severities(b.Conditions()); got != "cpu:medium sensor:low" {
			t.Errorf("conditions %q", got)
		}
		if r := b.Readings()[0]; r.Value != 91 || !errors.Is(r.Err, errEIO) {
			t.Errorf("reading = %+v", r)
		}
	})
	bubble(t, "one that never gives a number", func(t *testing.T) {
		b := newBench(t, Config{})
		b.cpu.set(nan, nil)
		b.run(t)
		pass(14 * time.Second)
		if got := b.Conditions(); len(got) != 0 { // the CPU needs two readings
			t.Errorf("conditions at first: %+v", got)
		}
		pass(time.Second)
		if c := only(t, b.Conditions()); c.Type != Sensor || c.Message != "cpu has not been known for 15s" {
			t.Errorf("condition = %+v", c)
		}
		if r := b.Readings()[0]; !r.At.IsZero() {
			t.Errorf("reading = %+v", r)
		}
	})
	t.Run("each disk for itself", func(t *testing.T) {
		dials := map[string]*dial{"/a": {value: 10}, "/b": {value: 99}, "/c": {value: nan, err: errEIO}}
		v := newVitals(Config{CPU: -1, Memory: -1, DiskPaths: []string{"/a", "/b", "/c"}, Samples: 1}.withDefaults(), nil, nil,
			func(path string) sense { return dials[path].read })
		v.read(t.Context())
		conditions := v.Conditions()
		if got := severities(conditions); got != "disk:critical sensor:low" || conditions[0].Metadata["path"] != "/b" || conditions[1].Metadata["path"] != "/c" || conditions[1].Metadata["sensor"] != "disk" {
			t.Errorf("conditions = %+v", conditions)
		}
		paths := make([]string, 0, 3)
		for _, r := range v.Readings() {
			paths = append(paths, r.Path)
		}
		if !slices.Equal(paths, []string{"/a", "/b", "/c"}) {
			t.Errorf("readings of %v", paths)
		}
	})
}

var zero float64
