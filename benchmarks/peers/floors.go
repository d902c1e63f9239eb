package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/blackbox4/switchgear/core"
)

const (
	floorBare   = "bare call"
	floorOne    = "one clock read"
	floorTwo    = "two clock reads"
	floorRecord = "OpenTelemetry histogram record"
)

// floor is what a breaker cannot be cheaper than, or what its measurement
// replaces.
type floor struct {
	name string
	call call
}

var errClock = errors.New("the clock went back")

func floors() []floor {
	base := time.Now()
	plain := succeeding.plain
	// The options are made once and passed as a slice: it then allocates nothing.
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("benchmarks")
	histogram, err := meter.Float64Histogram("duration", metric.WithUnit("s"))
	if err != nil {
		panic(err) // the name and the unit are ours
	}
	options := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("name", "benchmark")))}
	ctx := context.Background()

	return []floor{
		{floorBare, func() error { return plain() }},
		{floorOne, func() error {
			if time.Since(base) < 0 {
				return errClock
			}
			return nil
		}},
		{floorTwo, func() error {
			begun := time.Since(base)
			if time.Since(base) < begun {
				return errClock
			}
			return nil
		}},
		{floorRecord, func() error {
			histogram.Record(ctx, 0.012, options...)
			return nil
		}},
	}
}

const (
	names         = 10_000
	lookupSubject = "switchgear registry"
)

// lookups measures finding one of 10,000 names, each goroutine all of them in
// turn, in a [core.Registry] and, as a floor, in a [sync.Map].
func lookups() []bench {
	keys := make([]string, names)
	for i := range keys {
		keys[i] = "host-" + strconv.Itoa(i) + ".example"
	}
	registry := sync.OnceValue(func() *core.Registry {
		r := new(core.Registry)
		for _, key := range keys {
			if _, err := r.Get(key); err != nil {
				panic(err) // the names are ours
			}
		}
		return r
	})
	plain := sync.OnceValue(func() *sync.Map {
		m := new(sync.Map)
		for _, key := range keys {
			m.Store(key, &key)
		}
		return m
	})
	return []bench{
		{scenario: lookupParallel, subject: lookupSubject, run: func(b *testing.B) error {
			r := registry()
			err := eachParallel(b, keys, func(key string) bool {
				breaker, err := r.Get(key)
				return err == nil && breaker != nil
			})
			if err == nil && r.Len() != names {
				err = fmt.Errorf("the registry holds %d breakers, not %d", r.Len(), names)
			}
			return err
		}},
		{scenario: lookupParallel, subject: "sync.Map", run: func(b *testing.B) error {
			m := plain()
			return eachParallel(b, keys, func(key string) bool {
				_, ok := m.Load(key)
				return ok
			})
		}},
	}
}

func eachParallel(b *testing.B, keys []string, found func(string) bool) error {
	var started, missing atomic.Int64
	var broken atomic.Pointer[error]
	b.SetParallelism(perCore)
	b.ResetTimer()
	watched(b, runtime.GOMAXPROCS(0), func() {
		b.RunParallel(func(pb *testing.PB) {
			fault := recovered(func() error {
				i, lost := int(started.Add(1))*len(keys)/64%len(keys), 0
				for pb.Next() {
					if !found(keys[i]) {
						lost++
					}
					if i++; i == len(keys) {
						i = 0
					}
				}
				missing.Add(int64(lost))
				return nil
			})
			if fault != nil {
				broken.Store(&fault)
			}
		})
		b.StopTimer()
	})
	if fault := broken.Load(); fault != nil {
		return *fault
	}
	if n := missing.Load(); n > 0 {
		return fmt.Errorf("%d of %d lookups failed", n, b.N)
	}
	return nil
}
