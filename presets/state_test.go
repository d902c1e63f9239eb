package presets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// keeping returns a registry that keeps its state in a file.
func keeping(t *testing.T, path string, f *presets.Fleet) *presets.Registry {
	t.Helper()
	r := registryFor(t, f)
	if err := r.KeepState(path); err != nil {
		t.Fatalf("KeepState = %v", err)
	}
	return r
}

// fleetBy is a fleet of one policy for all.
func fleetBy(c core.Config) *presets.Fleet {
	return &presets.Fleet{Defaults: presets.Policy{Config: c}}
}

// slogged returns what is logged to slog.Default while f runs.
func slogged(t *testing.T, f func()) string {
	t.Helper()
	var log notebook
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(old)
	f()
	return log.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// S25: the original claimed to keep its state, and did not.
func TestAnOpenBreakerSurvivesARestart(t *testing.T) {
	inBubble(t, "for what is left of its break", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		fleet := fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Minute, TimeoutFactor: 2, SuccessThreshold: 1})
		r := keeping(t, path, fleet)
		b := breakerOf(t, r, "x")
		failing(t, b, 1)
		time.Sleep(time.Minute)
		failing(t, b, 1) // the probe: it opens for 2 min
		synctest.Wait()
		time.Sleep(30 * time.Second)

		r = keeping(t, path, fleet)
		b = breakerOf(t, r, "x")
		_, err := b.Allow(t.Context())
		if e := openError(t, err); time.Until(e.RetryAt) != 90*time.Second || e.Reason != errDown.Error() || e.Cause != core.CauseRestored {
			t.Errorf("the refusal is %v, with %v left, want 90s and its reason", e, time.Until(e.RetryAt))
		}
		if got := b.Snapshot().Opens; got != 2 {
			t.Errorf("%d openings, want 2", got)
		}
		time.Sleep(90*time.Second - 1)
		stateIs(t, b, core.Open)
		time.Sleep(time.Nanosecond)
		stateIs(t, b, core.HalfOpen)
		if err := b.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		stateIs(t, b, core.Closed)
		synctest.Wait()
		stateIs(t, breakerOf(t, keeping(t, path, fleet), "x"), core.Closed)
	})
	inBubble(t, "twice", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		fleet := fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Minute})
		failing(t, breakerOf(t, keeping(t, path, fleet), "x"), 1)
		for range 2 { // the second one only restores, and that is enough for the third
			synctest.Wait()
			time.Sleep(20 * time.Second)
			stateIs(t, breakerOf(t, keeping(t, path, fleet), "x"), core.Open)
		}
		_, err := breakerOf(t, keeping(t, path, fleet), "x").Allow(t.Context())
		if e := openError(t, err); time.Until(e.RetryAt) != 20*time.Second || e.Reason != errDown.Error() {
			t.Errorf("the refusal is %v, with %v left, want 20s", e, time.Until(e.RetryAt))
		}
	})
	inBubble(t, "half-open if its break is over", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		fleet := fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Minute})
		failing(t, breakerOf(t, keeping(t, path, fleet), "x"), 1)
		synctest.Wait()
		time.Sleep(time.Hour)
		stateIs(t, breakerOf(t, keeping(t, path, fleet), "x"), core.HalfOpen)
		synctest.Wait()
		time.Sleep(25 * time.Hour) // after so long nothing is known
		keeping(t, path, fleet)    // which writes it anew
		stateIs(t, breakerOf(t, keeping(t, path, fleet), "x"), core.Closed)
	})
	inBubble(t, "half-open if a health check had ended it", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		fleet := fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Minute})
		b := breakerOf(t, keeping(t, path, fleet), "x")
		failing(t, b, 1)
		if err := b.CheckHealth(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		stateIs(t, breakerOf(t, keeping(t, path, fleet), "x"), core.HalfOpen)
	})
	inBubble(t, "of a protected function", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		start := func() (*presets.Registry, func(context.Context) error) {
			r := new(presets.Registry)
			call := presets.MustProtectFunc("x", in(r, presets.Conservative()), func(context.Context) error { return errDown })
			if err := r.KeepState(path); err != nil {
				t.Fatal(err)
			}
			return r, call
		}
		r, call := start()
		for range 3 {
			_ = call(t.Context())
		}
		if err := r.FlushState(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, call = start()
		if e := openError(t, call(t.Context())); time.Until(e.RetryAt) != time.Minute {
			t.Errorf("%v left, want 1m", time.Until(e.RetryAt))
		}
	})
	inBubble(t, "not for longer than MaxTimeout", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		write(t, path, `{"format":"switchgear state 1","breakers":[{"name":"x","retry_at":"2100-01-01T00:00:00Z","opens":1}]}`)
		r := keeping(t, path, fleetBy(core.Config{MaxTimeout: time.Hour}))
		_, err := breakerOf(t, r, "x").Allow(t.Context())
		if e := openError(t, err); time.Until(e.RetryAt) != time.Hour {
			t.Errorf("%v left, want 1h", time.Until(e.RetryAt))
		}
	})
	inBubble(t, "by one word of the file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		start := func() *presets.Registry {
			fleet, err := decode(fmt.Sprintf("state_file: %q\ndefaults: {preset: none, failure_threshold: 1}\n", path))
			if err != nil {
				t.Fatal(err)
			}
			r := registryFor(t, fleet)
			told := 0
			r.Attach = func(_ string, p *presets.Policy) { // which comes after NewRegistry, and counts
				p.Hooks.Transition = func(context.Context, core.Transition) {
					r.Breakers() // a hook may come back while breakers are restored
					told++
				}
			}
			return r
		}
		failing(t, breakerOf(t, start(), "x"), 1)
		time.Sleep(time.Second)
		synctest.Wait()
		r := start()
		stateIs(t, breakerOf(t, r, "x"), core.Open)
		if err := r.KeepState(path); err == nil {
			t.Error("KeepState of a registry whose file says it: no error")
		}
	})
	inBubble(t, "and what was open before KeepState is kept", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		r := registryFor(t, fleetBy(core.Config{FailureThreshold: 1}))
		b, c := breakerOf(t, r, "x"), breakerOf(t, r, "y")
		failing(t, b, 1)
		if err := r.KeepState(path); err != nil {
			t.Fatal(err)
		}
		failing(t, c, 1)
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if text := read(t, path); !strings.Contains(text, `"name":"x"`) || !strings.Contains(text, `"name":"y"`) {
			t.Errorf("the file holds %s, want x and y", text)
		}
	})
}

// A bad file is no reason not to start, and is not lost either.
func TestStateFilesThatAreBad(t *testing.T) {
	good := `{"format":"switchgear state 1","breakers":[{"name":"x","retry_at":"2100-01-01T00:00:00Z","opens":1}]}`
	for name, text := range map[string]string{
		"empty":               "",
		"cut off":             good[:len(good)-5],
		"zeros":               strings.Repeat("\x00", 512),
		"another program's":   `{"breakers": 5}`,
		"a later version's":   strings.Replace(good, "state 1", "state 2", 1),
		"fields of others":    strings.Replace(good, `"opens"`, `"closes"`, 1),
		"a time that is none": strings.Replace(good, "2100", "x", 1),
		"two in one":          good + good,
		"a list":              "[]",
		"null":                "null",
		"too many":            `{"format":"switchgear state 1","breakers":[` + strings.Repeat(`{"name":"x"},`, 10_000) + `{"name":"y"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			write(t, path, text)
			var r *presets.Registry
			log := slogged(t, func() { r = keeping(t, path, fleetBy(core.Config{FailureThreshold: 1})) })
			if got := r.Breakers().Len(); got != 0 {
				t.Errorf("%d breakers were made of it", got)
			}
			if kept := read(t, path+".bad"); kept != text {
				t.Errorf("%.100q was kept, want what was there", kept)
			}
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, path+".bad") {
				t.Errorf("logged:\n%s", log)
			}
			failing(t, breakerOf(t, r, "x"), 1)
			must(t, r.FlushState())
			stateIs(t, breakerOf(t, keeping(t, path, nil), "x"), core.Open)
		})
	}
	t.Run("names that no breaker can have", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		write(t, path, `{"format":"switchgear state 1","breakers":[{"name":"","retry_at":"2100-01-01T00:00:00Z","opens":1},{"name":"a\nb","retry_at":"2100-01-01T00:00:00Z","opens":-5},{"name":"x","retry_at":"2100-01-01T00:00:00Z","opens":1}]}`)
		var r *presets.Registry
		log := slogged(t, func() { r = keeping(t, path, nil) })
		if stateIs(t, breakerOf(t, r, "x"), core.Open); r.Breakers().Len() != 1 || !strings.Contains(log, "breakers=2") {
			t.Errorf("%d breakers, logged:\n%s", r.Breakers().Len(), log)
		}
	})
	t.Run("a directory", func(t *testing.T) {
		r := new(presets.Registry)
		if err := r.KeepState(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("KeepState = %v", err)
		}
		must(t, r.KeepState(filepath.Join(t.TempDir(), "state"))) // after a failure it may be tried again
	})
	t.Run("a directory that is not there", func(t *testing.T) {
		if err := new(presets.Registry).KeepState(filepath.Join(t.TempDir(), "no", "state")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("KeepState = %v", err)
		}
	})
	t.Run("no name, no registry, a second file", func(t *testing.T) {
		var none *presets.Registry
		if none.KeepState("x") == nil || none.FlushState() != nil || new(presets.Registry).KeepState("") == nil {
			t.Error("want an error, none and an error")
		}
		r := keeping(t, filepath.Join(t.TempDir(), "a"), nil)
		if err := r.KeepState(filepath.Join(t.TempDir(), "b")); err == nil {
			t.Error("a second file: no error")
		}
		if err := new(presets.Registry).FlushState(); err != nil {
			t.Errorf("FlushState without a file = %v", err)
		}
	})
	t.Run("what a crash left of writing is removed, what is being written is not", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		old, young, other := path+".1.tmp", path+".2.tmp", filepath.Join(filepath.Dir(path), "state2.1.tmp")
		for _, leftover := range []string{old, young, other} {
			write(t, leftover, "x")
		}
		for _, leftover := range []string{old, other} {
			must(t, os.Chtimes(leftover, time.Time{}, time.Now().Add(-time.Hour)))
		}
		keeping(t, path, nil)
		left, err := filepath.Glob(path + "*")
		if err != nil || fmt.Sprint(left) != fmt.Sprint([]string{path, young, other}) {
			t.Errorf("left are %v, %v", left, err)
		}
	})
}

// The disk is not the calls' business: a failure is logged once, and what could not
// be written goes with the next change.
func TestStateFileThatCannotBeWritten(t *testing.T) {
	inBubble(t, "for a while", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "dir")
		must(t, os.Mkdir(dir, 0o700))
		path := filepath.Join(dir, "state")
		r := keeping(t, path, fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Hour}))
		must(t, os.RemoveAll(dir))
		log := slogged(t, func() {
			for i := range 5 {
				failing(t, breakerOf(t, r, fmt.Sprint("x", i)), 1)
				time.Sleep(time.Second)
				synctest.Wait()
			}
		})
		if strings.Count(log, "open breakers are not saved") != 1 {
			t.Errorf("logged:\n%s", log)
		}
		must(t, os.Mkdir(dir, 0o700))
		if err := r.FlushState(); err != nil {
			t.Fatal(err)
		}
		if text := read(t, path); strings.Count(text, `"name"`) != 5 {
			t.Errorf("the file holds %s, want all 5", text)
		}
	})
}

// Breakers that flap do not keep the disk busy, and the file holds the end of it.
func TestStateIsWrittenTenTimesASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		r := keeping(t, path, fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Millisecond, SuccessThreshold: 1}))
		writes, last := 0, ""
		look := func() {
			if text := read(t, path); text != last {
				writes, last = writes+1, text
			}
		}
		look()
		names := 0
		for range 1000 { // two transitions each millisecond
			b := breakerOf(t, r, fmt.Sprint(names%7))
			names++
			failing(t, b, 1)
			time.Sleep(time.Millisecond)
			if err := b.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			look()
		}
		if writes > 12 || writes < 3 {
			t.Errorf("the file changed %d times within a second, want about 10", writes)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if text := read(t, path); !strings.Contains(text, `"breakers":[]`) {
			t.Errorf("at last the file holds %s, want nothing", text)
		}
	})
}

// The file is bounded, and keeps what lasts longest.
func TestStateFileIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		f := fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Hour})
		f.Registry.Max = 5
		f.Registry.Idle = time.Minute
		r := keeping(t, path, f)
		for i := range 20 {
			if b, err := r.Breakers().Get(fmt.Sprint("name-", i)); err == nil {
				_ = b.Do(t.Context(), func(context.Context) error { return errors.New(strings.Repeat("x", 1000) + "\xff") })
			}
			time.Sleep(2 * time.Hour) // it is evicted, and the file holds it for a day
		}
		synctest.Wait()
		must(t, r.FlushState())
		text := read(t, path)
		if strings.Count(text, `"name"`) != 5 || !strings.Contains(text, "name-19") || strings.Contains(text, "name-3\"") || len(text) > 5*1000 {
			t.Errorf("the file holds %s, want the last 5", text)
		}
	})
}

// Calls, transitions, reloads and flushes at once; at last the file tells the truth.
func TestStateConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := fleetBy(core.Config{FailureThreshold: 1, Timeout: time.Millisecond, SuccessThreshold: 1})
	r := keeping(t, path, f)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			b := breakerOf(t, r, fmt.Sprint("b", i))
			for n := range 300 {
				_ = b.Do(context.Background(), func(context.Context) error {
					if n%2 == 0 {
						return errDown
					}
					return nil
				})
				if n%50 == 0 {
					_ = r.Apply(f)
					_ = r.FlushState()
				}
			}
		})
	}
	wg.Wait()
	for i := range 4 {
		breakerOf(t, r, fmt.Sprint("b", i)).Reset()
	}
	eventually(t, func() bool {
		_ = r.FlushState()
		return bytes.Contains([]byte(read(t, path)), []byte(`"breakers":[]`))
	}, func() string { return read(t, path) })
}
