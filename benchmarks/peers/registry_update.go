package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// updates says how to measure [core.Registry.Update].
type updates struct {
	breakers int           // how many there are when it begins
	times    int           // how often it is measured, each time with a registry of its own
	patience time.Duration // after which new names stop coming
}

// updated is one Update of a registry to which new names come meanwhile.
type updated struct {
	took time.Duration
	// slowest is the longest lookup of a known name while Update ran; undisturbed
	// is the longest in as long a time without one, which is what the machine's
	// other work and its scheduler do to a lookup.
	slowest, undisturbed time.Duration
	names                int   // that came meanwhile
	err                  error // it ended only because names stopped coming, or failed
}

// measureUpdates measures once more for each of u.times. A failure is in the
// result: it is a number to compare with a target.
func measureUpdates(u updates, progress io.Writer) []updated {
	fmt.Fprintf(progress, "registry update, %d breakers, %d times\n", u.breakers, u.times)
	all := make([]updated, u.times)
	for i := range all {
		if err := recovered(func() error { all[i] = u.measure(); return nil }); err != nil {
			all[i].err = err
		}
	}
	return all
}

// measure updates a registry while a new name arrives each millisecond, and one
// goroutine looks up a name that is known.
func (u updates) measure() (r updated) {
	registry := &core.Registry{Max: 2*u.breakers + int(u.patience/time.Millisecond)}
	for i := range u.breakers {
		if _, err := registry.Get("host-" + strconv.Itoa(i)); err != nil {
			return updated{err: err}
		}
	}
	runtime.GC() // that of what was made here is no part of Update

	known := watchLookups(registry)
	ctx, cancel := context.WithTimeout(context.Background(), u.patience)
	defer cancel()
	var names atomic.Int64
	var arriving sync.WaitGroup
	arriving.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := registry.Get("new-" + strconv.FormatInt(names.Add(1), 10)); err != nil {
					return // the registry is large enough; Update tells
				}
			}
		}
	})
	began := time.Now()
	err := registry.Update(func(string) core.Config { return core.Config{FailureThreshold: 7} })
	r = updated{took: time.Since(began), names: int(names.Load()), err: err}
	r.slowest = known()
	if ctx.Err() != nil {
		r.err = errors.Join(r.err, fmt.Errorf("it had not ended when, after %v, names stopped coming", u.patience))
	}
	cancel()
	arriving.Wait()
	if b, err := registry.Get("new-1"); err == nil && r.err == nil && b.Config().FailureThreshold != 7 {
		r.err = errors.New("a breaker that came meanwhile has the old Config")
	}

	undisturbed := watchLookups(registry)
	time.Sleep(r.took)
	r.undisturbed = undisturbed()
	return r
}

// watchLookups looks a known name up, time and again, until the func it returns
// is called, which gives the longest time that one took.
func watchLookups(registry *core.Registry) (slowest func() time.Duration) {
	var stop atomic.Bool
	result := make(chan time.Duration)
	go func() {
		var worst time.Duration
		for first := true; first || !stop.Load(); first = false {
			for range 100 {
				began := time.Now()
				if _, err := registry.Get("host-0"); err != nil {
					break
				}
				worst = max(worst, time.Since(began))
			}
			time.Sleep(50 * time.Microsecond) // a goroutine that never sleeps is preempted in a lookup
		}
		result <- worst
	}()
	return func() time.Duration {
		stop.Store(true)
		return <-result
	}
}

// updateTargets are those of the design for [core.Registry.Update].
func updateTargets(all []updated) []target {
	const path = "registry Update while names arrive"
	of := func(what string, limit float64, pick func(updated) time.Duration) target {
		return target{path, what, limit, "ms", func(measurements, map[string]weight) []float64 {
			var v []float64
			for _, r := range all {
				v = append(v, milliseconds(pick(r)))
			}
			return v
		}}
	}
	return []target{
		of("time of the Update", 2000, func(r updated) time.Duration { return r.took }),
		of("slowest lookup meanwhile", 5, func(r updated) time.Duration { return r.slowest }),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
