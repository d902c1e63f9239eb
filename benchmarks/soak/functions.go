package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// goodFile is one of a few files, told apart by the first breaker's threshold.
func goodFile(n int) string {
	window := []string{"{for: 1s}", "{calls: 50}", "{for: 500ms}", "{calls: 20}"}[n%4]
	return fmt.Sprintf(`registry: {max: 1000, idle: 1h}
defaults: {preset: none, timeout: 30ms, max_timeout: 60ms, probe_timeout: 1h}
policies:
  "work-*":
    preset: none
    failure_threshold: %d
    failure_rate_threshold: 0.6
    minimum_calls: 10
    window: %s
    timeout: 30ms
    max_timeout: 60ms
    probe_timeout: 1h
    retry: {enabled: true, strategy: fixed, attempts: %d, initial_delay: 1ms, max_delay: 1ms}
  "late-*": {preset: none, failure_threshold: %[1]d, timeout: 30ms, probe_timeout: 1h, call_timeout: 5ms}
`, 5+n%5, window, 1+n%3)
}

// badFiles must change nothing.
func badFiles() []string {
	return []string{
		"", "\x00\x01", "policies: [", "policies: {work-1: {failure_treshold: 3}}",
		"policies: {work-1: {timeout: soon}}", "policies: {work-1: {failure_rate_threshold: 7}}",
		"a: &a [*a]", strings.Repeat("x", 2<<20), "policies: {work-1: {}}\n---\npolicies: {}",
	}
}

// functions are protected by what a file says, which changes.
type functions struct {
	tally    *tally
	file     string
	registry *presets.Registry
	protect  []func(context.Context, string) (string, error)
	late     func(context.Context, string) (string, error)
	told     atomic.Int64 // faults of bad files
	last     int          // number of the last good file
	missed   []string     // what the watcher did not do
}

func (w *world) addFunctions() error {
	f := &functions{tally: new(tally), file: filepath.Join(w.dir, "breakers.yaml")}
	if err := f.replace(goodFile(0)); err != nil {
		return err
	}
	fleet, err := presets.Load(f.file)
	if err != nil {
		return err
	}
	if f.registry, err = presets.NewRegistry(fleet); err != nil {
		return err
	}
	policy := presets.Policy{Registry: f.registry}
	for i := range 4 {
		f.protect = append(f.protect, presets.MustProtect(fmt.Sprintf("work-%d", i), policy, f.work))
	}
	f.late = presets.MustProtect("late-0", policy, f.work)
	w.add(&layer{
		name: "functions (presets)", tally: f.tally, source: f.registry.Breakers(), workers: 4, between: time.Millisecond,
		call: f.call, extra: func() []string { return append(f.missed, f.inForce()...) },
	})
	w.begin = append(w.begin, func(ctx context.Context, wg *sync.WaitGroup) {
		watching, stop := context.WithCancel(context.WithoutCancel(ctx))
		wg.Go(func() { presets.Watch(watching, f.file, f.registry, func(error) { f.told.Add(1) }) })
		wg.Go(func() {
			defer stop()
			f.spoil(ctx)
		})
	})
	return nil
}

// replace exchanges the file, as an editor does.
func (f *functions) replace(text string) error {
	const mode = 0o600
	if err := os.WriteFile(f.file+"~", []byte(text), mode); err != nil {
		return err
	}
	return os.Rename(f.file+"~", f.file)
}

// spoil changes the file until ctx is done. Each time it waits until a good file
// is in force, or until the faults of a bad one, which must change nothing, were
// told.
func (f *functions) spoil(ctx context.Context) {
	bad := badFiles()
	for n := 1; pause(ctx, 20*time.Millisecond); n++ {
		told := f.told.Load()
		f.write(fmt.Sprintf("# %d\n%s", n, bad[n%len(bad)]))
		f.await(fmt.Sprintf("the faults of bad file %d were never told", n%len(bad)), func() bool { return f.told.Load() > told })
		f.last = n
		f.write(goodFile(n))
		f.await("a good file did not come into force", func() bool { return f.inForce() == nil })
	}
}

func (f *functions) write(text string) {
	if err := f.replace(text); err != nil {
		panic(err) // the folder is ours
	}
}

// await waits for what the watcher does, and notes if it never does.
func (f *functions) await(otherwise string, done func() bool) {
	const (
		patience = 30 * time.Second
		often    = 5 * time.Millisecond
	)
	for range patience / often {
		if done() {
			return
		}
		time.Sleep(often)
	}
	if len(f.missed) < most {
		f.missed = append(f.missed, otherwise)
	}
}

// inForce says what is not as the last good file has it.
func (f *functions) inForce() (wrong []string) {
	want := 5 + f.last%5
	for name, b := range f.registry.Breakers().All() {
		if got := b.Config().FailureThreshold; got != want {
			wrong = append(wrong, fmt.Sprintf("%s has failure_threshold %d, the last file %d", name, got, want))
		}
	}
	return wrong
}

var errWork = errors.New("the work failed")

// call asks for one protected call, which is one or more attempts.
func (f *functions) call(ctx context.Context, rng *rand.Rand) {
	kinds := [...]string{kindFail, kindFail, kindPanic, kindCancel, kindLate, kindOK, kindOK, kindOK, kindOK, kindOK, kindOK, kindOK}
	kind := kinds[rng.IntN(len(kinds))]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = recover() }() // a panic of the work passes through
	if kind == kindCancel {
		ctx = context.WithValue(ctx, cancelKey{}, cancel)
	}
	do := f.protect[rng.IntN(len(f.protect))]
	if kind == kindLate {
		do = f.late // the others have no time limit: the machine may be busy
	}
	if _, err := do(ctx, kind); errors.Is(err, core.ErrOpen) {
		f.tally.refused.Add(1)
	}
}

type cancelKey struct{}

// work is what is protected. It counts the attempts.
func (f *functions) work(ctx context.Context, kind string) (string, error) {
	switch kind {
	case kindFail:
		f.tally.failures.Add(1)
		return "", errWork
	case kindPanic:
		f.tally.failures.Add(1)
		panic("in the work")
	case kindLate:
		f.tally.failures.Add(1)
		<-ctx.Done() // the call_timeout
		return "", ctx.Err()
	case kindCancel:
		f.tally.ignored.Add(1)
		if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
			cancel()
		}
		return "", ctx.Err()
	}
	f.tally.successes.Add(1)
	return kind, nil
}
