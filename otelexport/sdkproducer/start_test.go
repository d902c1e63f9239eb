package sdkproducer_test

import (
	"iter"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/sdkproducer"
)

// changing is a source whose breakers a test changes.
type changing map[string]*core.Breaker

func (c changing) All() iter.Seq2[string, *core.Breaker] { return maps.All(c) }

// point is what a series was the last time.
type point struct {
	value       float64
	start, time time.Time
}

// follow checks every counter and histogram of a collection against the last one: it
// is not lower, or has a start time after the last point. It returns what there is.
func follow(t *testing.T, p *sdkproducer.Producer, last map[string]point) map[string]point {
	t.Helper()
	now := map[string]point{}
	note := func(k string, value float64, start, at time.Time) {
		before, known := last[k]
		if known && (value < before.value || !start.Equal(before.start)) && start.Before(before.time) {
			t.Errorf("%s was %v from %v at %v, and is %v from %v", k, before.value, before.start, before.time, value, start)
		}
		if at.Before(start) {
			t.Errorf("%s is from %v, at %v", k, start, at)
		}
		now[k] = point{value, start, at}
	}
	for name, m := range produce(t, p) {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, d := range data.DataPoints {
				if data.IsMonotonic {
					note(name+attributesOf(d.Attributes), float64(d.Value), d.StartTime, d.Time)
				}
			}
		case metricdata.Sum[float64]:
			for _, d := range data.DataPoints {
				if data.IsMonotonic {
					note(name+attributesOf(d.Attributes), d.Value, d.StartTime, d.Time)
				}
			}
		case metricdata.Histogram[float64]:
			for _, d := range data.DataPoints {
				note(name+attributesOf(d.Attributes), float64(d.Count), d.StartTime, d.Time)
			}
		}
	}
	maps.Copy(last, now)
	return now
}

const calls = "circuit_breaker.calls"

// A breaker that is made anew, Durations that are switched off and on, and a source
// that lists a breaker no more for a while make nothing go down without a new start.
func TestNothingGoesDownWithoutANewStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, last := changing{}, map[string]point{}
		p := newProducer(t, source, &sdkproducer.Options{Everything: true})
		timed := core.Config{Durations: true}
		total := 0.0
		for _, n := range []int{9, 1, 30, 2} {
			source["orders"] = core.MustNew("orders", timed)
			for range n {
				call(source["orders"], t.Context(), time.Millisecond, nil)
			}
			total += float64(n)
			now := follow(t, p, last)
			if got := now[calls+successes]; got.value != total {
				t.Errorf("%v calls, want %v", got.value, total)
			}
			if got := now[duration+successes]; got.value != float64(n) {
				t.Errorf("%v durations, want %d", got.value, n)
			}
			time.Sleep(time.Second)
		}
		b := source["orders"]
		for range 2 {
			delete(source, "orders")
			if now := follow(t, p, last); now[calls+successes].value != total || now[duration+successes].value != 0 {
				t.Errorf("of one that is listed no more: %v", now)
			}
			time.Sleep(time.Second)
			source["orders"] = b
			follow(t, p, last)
			time.Sleep(time.Second)
		}
		for range 2 {
			if err := b.Update(core.Config{}); err != nil {
				t.Fatal(err)
			}
			follow(t, p, last)
			time.Sleep(time.Second)
			if err := b.Update(timed); err != nil {
				t.Fatal(err)
			}
			follow(t, p, last)
			time.Sleep(time.Second)
		}
	})
}

// The start of a series of a breaker whose clock is wrong is one time, not later than
// its points.
func TestTheStartOfAWrongClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := core.MustNew("orders", core.Config{Durations: true, Now: func() time.Time { return time.Now().Add(ahead) }})
				p, last := newProducer(t, changing{"orders": b}, &sdkproducer.Options{Everything: true}), map[string]point{}
				first := follow(t, p, last)
				for range 3 {
					time.Sleep(time.Minute)
					call(b, t.Context(), time.Millisecond, nil)
					for k, now := range follow(t, p, last) {
						if !now.start.Equal(first[k].start) {
							t.Errorf("%s began at %v, and now at %v", k, first[k].start, now.start)
						}
					}
				}
			})
		})
	}
}
