package presets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// told is a watcher of a file that is told of changes by the test, on the clock of
// the bubble that the test runs in.
type told struct {
	path     string
	registry Registry
	changes  chan fsnotify.Event
	faults   chan error
	reported []error
}

func (w *told) write(t *testing.T, failures int) {
	t.Helper()
	if err := os.WriteFile(w.path, fmt.Appendf(nil, "defaults: {failure_threshold: %d}\n", failures), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change tells of a change.
func (w *told) change() { w.changes <- fsnotify.Event{Name: w.path, Op: fsnotify.Write} }

// holds checks which file is applied now.
func (w *told) holds(t *testing.T, failures int) {
	t.Helper()
	synctest.Wait()
	if got := w.registry.Policy("x").FailureThreshold; got != failures {
		t.Fatalf("failure_threshold is %d, want %d; reported: %v", got, failures, w.reported)
	}
}

// toldTest runs test in a bubble, with a watcher that has applied a file of 11 failures
// at the bubble's beginning. Without notice the system has no way to tell of changes.
func toldTest(t *testing.T, notice bool, test func(t *testing.T, w *told)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "breakers.yaml")
	synctest.Test(t, func(t *testing.T) {
		w := &told{path: path, changes: make(chan fsnotify.Event), faults: make(chan error)}
		w.write(t, 11)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		inner := &watcher{path: path, registry: &w.registry, onError: func(err error) { w.reported = append(w.reported, err) }, anyway: lookAnyway}
		if notice {
			go inner.loop(ctx, w.changes, w.faults)
		} else {
			go inner.run(ctx, func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") })
		}
		w.holds(t, 11)
		test(t, w)
	})
}

func TestWatchWithoutNotifications(t *testing.T) {
	toldTest(t, false, func(t *testing.T, w *told) {
		if len(w.reported) != 1 || !strings.Contains(w.reported[0].Error(), "too many open files") || !strings.Contains(w.reported[0].Error(), w.path) || !strings.Contains(w.reported[0].Error(), "every 10s") {
			t.Errorf("reported %v, want once that %s is looked at every 10 s, and why", w.reported, w.path)
		}
		for i := 12; i < 15; i++ {
			w.write(t, i)
			time.Sleep(10*time.Second - 1)
			w.holds(t, i-1)
			time.Sleep(time.Nanosecond)
			w.holds(t, i)
		}
	})
}

// Events are lost now and then, and some file systems tell nothing.
func TestWatchLooksAnyway(t *testing.T) {
	toldTest(t, true, func(t *testing.T, w *told) {
		w.write(t, 12)
		time.Sleep(10*time.Second - 1)
		w.holds(t, 11)
		time.Sleep(time.Nanosecond)
		w.holds(t, 12)
	})
}

func TestWatchReadsAFileThatIsLeftAlone(t *testing.T) {
	const ms = time.Millisecond
	t.Run("100 ms after the last change", func(t *testing.T) {
		toldTest(t, true, func(t *testing.T, w *told) {
			for i := range 4 { // each time as the first
				w.write(t, 20+i)
				w.change()
				time.Sleep(60 * ms)
				w.write(t, 12+i)
				w.change()
				time.Sleep(100*ms - 1)
				w.holds(t, 11+i)
				time.Sleep(time.Nanosecond)
				w.holds(t, 12+i)
				time.Sleep(time.Duration(i) * time.Second)
			}
		})
	})
	t.Run("or a second after the first, if it is never left alone", func(t *testing.T) {
		toldTest(t, true, func(t *testing.T, w *told) {
			time.Sleep(5 * time.Second)
			for range 2 {
				w.write(t, 12)
				w.change()
				for range 20 { // up to 1 s; what is changed then does not put it off any more
					time.Sleep(50 * ms)
					w.change()
				}
				w.holds(t, 11)
				time.Sleep(50*ms - 1)
				w.holds(t, 11)
				time.Sleep(time.Nanosecond)
				w.holds(t, 12)
				time.Sleep(time.Second)
				w.write(t, 11)
				w.change()
				time.Sleep(100 * ms)
				w.holds(t, 11)
			}
		})
	})
}

func TestWatchFaultsOfNotification(t *testing.T) {
	t.Run("are reported, and the file is looked at", func(t *testing.T) {
		toldTest(t, true, func(t *testing.T, w *told) {
			w.write(t, 12)
			broken := errors.New("the watch is broken")
			w.faults <- broken
			time.Sleep(100 * time.Millisecond)
			w.holds(t, 12)
			if len(w.reported) != 1 || !errors.Is(w.reported[0], broken) || !strings.Contains(w.reported[0].Error(), w.path) {
				t.Errorf("reported %v, want %v once, with the file", w.reported, broken)
			}
		})
	})
	t.Run("but not events that were lost, of which looking is the remedy", func(t *testing.T) {
		toldTest(t, true, func(t *testing.T, w *told) {
			w.write(t, 12)
			w.faults <- fmt.Errorf("queue: %w", fsnotify.ErrEventOverflow)
			time.Sleep(100 * time.Millisecond)
			w.holds(t, 12)
			if len(w.reported) != 0 {
				t.Errorf("reported %v, want nothing", w.reported)
			}
		})
	})
}

// As many links as a system follows are followed, and the directory of each, and of
// the file, is watched.
func TestDirectoriesOfManyLinks(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return filepath.Join(root, fmt.Sprint(i), "f") }
	var want []string
	for i := range 41 {
		want = append(want, filepath.Dir(at(i)))
		if err := os.MkdirAll(filepath.Dir(at(i)), 0o700); err != nil {
			t.Fatal(err)
		}
		if i == 40 {
			err = os.WriteFile(at(i), []byte("{}"), 0o600)
		} else {
			err = os.Symlink(filepath.Join("..", fmt.Sprint(i+1), "f"), at(i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := directories(at(0)); !slices.Equal(got, want) {
		t.Errorf("directories are %q, want %q", got, want)
	}
}
