package presets_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

// settles is after how long without a change Watch looks at a file.
const settles = 100 * time.Millisecond

// watched is a Watch that runs, and what it has reported.
type watched struct {
	registry *presets.Registry
	stop     func()

	mu     sync.Mutex
	errors []error
}

// watch starts to watch a file, in a registry of its own unless r is given.
func watch(t *testing.T, path string, r *presets.Registry) *watched {
	t.Helper()
	if r == nil {
		r = new(presets.Registry)
	}
	w := &watched{registry: r}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		presets.WatchTold(ctx, path, r, func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.errors = append(w.errors, err)
		})
	}()
	w.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(w.stop)
	return w
}

func (w *watched) reported() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]error(nil), w.errors...)
}

// eventually waits until something holds. How long that takes is up to the
// machine; if it never does, the test fails shortly before the time of all tests is
// over, or after five minutes.
func eventually(t *testing.T, holds func() bool, otherwise func() string) {
	t.Helper()
	const most = 5 * time.Minute
	deadline, limited := t.Deadline()
	if deadline = deadline.Add(-5 * time.Second); !limited || time.Until(deadline) > most {
		deadline = time.Now().Add(most)
	}
	for ; !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes: %s", otherwise())
		}
	}
}

// holds waits until the file that says so many failures is applied.
func (w *watched) holds(t *testing.T, failures int) {
	t.Helper()
	got := func() int { return w.registry.Policy("x").FailureThreshold }
	eventually(t, func() bool { return got() == failures }, func() string {
		return fmt.Sprintf("the policy has failure_threshold %d, want %d of the file; reported: %v", got(), failures, w.reported())
	})
}

// reports waits for so many errors in all and returns the last.
func (w *watched) reports(t *testing.T, n int) error {
	t.Helper()
	eventually(t, func() bool { return len(w.reported()) >= n }, func() string {
		return fmt.Sprintf("reported %v, want %d errors", w.reported(), n)
	})
	all := w.reported()
	if len(all) != n {
		t.Fatalf("reported %v, want %d errors", all, n)
	}
	return all[n-1]
}

// quiet checks that nothing was reported.
func (w *watched) quiet(t *testing.T) {
	t.Helper()
	if all := w.reported(); len(all) != 0 {
		t.Errorf("reported %v, want nothing", all)
	}
}

// file is one that is known by its failure_threshold.
func file(failures int) string {
	return fmt.Sprintf("defaults: {failure_threshold: %d}\n", failures)
}

// replace writes a file so that no reader meets half of it.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".tmp", text)
	must(t, os.Rename(path+".tmp", path))
}

// write writes a file in place.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// must is for the steps of a test on files.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatchChanges(t *testing.T) {
	t.Run("written in place", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		for i := 12; i < 16; i++ {
			write(t, path, file(i))
			w.holds(t, i)
		}
		for _, err := range w.reported() { // on a slow machine it may be met between two steps
			if !strings.Contains(err.Error(), "empty") {
				t.Errorf("reported %v, want nothing else than an empty file", err)
			}
		}
	})
	t.Run("written in several steps", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		f, err := os.Create(path)
		must(t, err)
		for _, part := range []string{"defaults: {failure", "_threshold: ", "12}\n"} {
			_, err = f.WriteString(part)
			must(t, err)
		}
		must(t, f.Close())
		w.holds(t, 12)
	})
	t.Run("replaced by a rename, as editors do", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		for i := 12; i < 16; i++ { // again and again: it is another file each time
			write(t, filepath.Join(dir, "breakers.yaml.tmp"), file(i))
			must(t, os.Rename(filepath.Join(dir, "breakers.yaml.tmp"), path))
			w.holds(t, i)
		}
		w.quiet(t)
	})
	t.Run("moved away and written anew, as other editors do", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		for i := 12; i < 15; i++ {
			must(t, os.Rename(path, path+"~"))
			write(t, path, file(i))
			w.holds(t, i)
		}
	})
	t.Run("removed and made again", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		must(t, os.Remove(path))
		if err := w.reports(t, 1); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("reported %v, want that the file is not there", err)
		}
		w.holds(t, 11) // what it said goes on
		write(t, filepath.Join(filepath.Dir(path), "other"), "")
		time.Sleep(3 * settles) // so that it is looked at again, and still not there
		write(t, path, file(12))
		w.holds(t, 12)
		for _, err := range w.reported()[1:] {
			if errors.Is(err, os.ErrNotExist) {
				t.Errorf("reported %v again, want it once", err)
			}
		}
	})
	t.Run("two writes, one right after the other", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		write(t, path, file(12))
		write(t, path, file(13))
		w.holds(t, 13)
	})
	t.Run("by a relative path", func(t *testing.T) {
		t.Chdir(t.TempDir())
		write(t, "breakers.yaml", file(11))
		w := watch(t, "breakers.yaml", nil)
		w.holds(t, 11)
		replace(t, "breakers.yaml", file(12))
		w.holds(t, 12)
		w.quiet(t)
	})
	t.Run("in a directory that is never quiet", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "breakers.yaml")
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		var busy sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		busy.Go(func() {
			for ctx.Err() == nil {
				_ = os.WriteFile(filepath.Join(dir, "busy.log"), []byte("busy"), 0o600)
				time.Sleep(5 * time.Millisecond)
			}
		})
		replace(t, path, file(12))
		w.holds(t, 12)
		cancel()
		busy.Wait()
		w.quiet(t)
	})
}

// The file is reached through symbolic links, of which one is exchanged.
func TestWatchLinks(t *testing.T) {
	mkdir := func(t *testing.T, path string) string {
		t.Helper()
		must(t, os.MkdirAll(path, 0o700))
		return path
	}
	// exchange makes a link point elsewhere, at once, as by rename.
	exchange := func(t *testing.T, target, link string) {
		t.Helper()
		must(t, os.Symlink(target, link+".new"))
		must(t, os.Rename(link+".new", link))
	}
	t.Run("as Kubernetes mounts a ConfigMap", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(mkdir(t, filepath.Join(dir, "..2024_11")), "breakers.yaml"), file(11))
		must(t, os.Symlink("..2024_11", filepath.Join(dir, "..data")))
		must(t, os.Symlink(filepath.Join("..data", "breakers.yaml"), filepath.Join(dir, "breakers.yaml")))
		w := watch(t, filepath.Join(dir, "breakers.yaml"), nil)
		w.holds(t, 11)
		for i := 12; i < 16; i++ {
			next := fmt.Sprint("..2024_", i)
			write(t, filepath.Join(mkdir(t, filepath.Join(dir, next)), "breakers.yaml"), file(i))
			exchange(t, next, filepath.Join(dir, "..data"))
			must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprint("..2024_", i-1))))
			w.holds(t, i)
		}
		w.quiet(t)
	})
	t.Run("the file itself is a link to elsewhere", func(t *testing.T) {
		dir, elsewhere := t.TempDir(), t.TempDir()
		write(t, filepath.Join(elsewhere, "a.yaml"), file(11))
		write(t, filepath.Join(elsewhere, "b.yaml"), file(12))
		link := filepath.Join(dir, "breakers.yaml")
		must(t, os.Symlink(filepath.Join(elsewhere, "a.yaml"), link))
		w := watch(t, link, nil)
		w.holds(t, 11)
		exchange(t, filepath.Join(elsewhere, "b.yaml"), link)
		w.holds(t, 12)
		write(t, filepath.Join(elsewhere, "b.yaml"), file(13)) // what it points to is written
		w.holds(t, 13)
	})
	t.Run("a directory above it is a link", func(t *testing.T) {
		dir := t.TempDir()
		for i, release := range []string{"one", "two"} {
			write(t, filepath.Join(mkdir(t, filepath.Join(dir, "releases", release, "etc")), "breakers.yaml"), file(11+i))
		}
		must(t, os.Symlink(filepath.Join("releases", "one"), filepath.Join(dir, "current")))
		w := watch(t, filepath.Join(dir, "current", "etc", "breakers.yaml"), nil)
		w.holds(t, 11)
		exchange(t, filepath.Join("releases", "two"), filepath.Join(dir, "current"))
		w.holds(t, 12)
		replace(t, filepath.Join(dir, "releases", "two", "etc", "breakers.yaml"), file(13))
		w.holds(t, 13)
		exchange(t, filepath.Join("releases", "one"), filepath.Join(dir, "current")) // and back
		w.holds(t, 11)
		w.quiet(t)
	})
	t.Run("links that go in circles", func(t *testing.T) {
		dir := t.TempDir()
		link := filepath.Join(dir, "breakers.yaml")
		must(t, os.Symlink("other.yaml", link))
		must(t, os.Symlink("breakers.yaml", filepath.Join(dir, "other.yaml")))
		w := watch(t, link, nil)
		w.reports(t, 1)
		must(t, os.Remove(filepath.Join(dir, "other.yaml")))
		write(t, filepath.Join(dir, "other.yaml"), file(12))
		w.holds(t, 12)
	})
}

// A file that is not there when Watch starts, and comes later.
func TestWatchWaits(t *testing.T) {
	for name, parts := range map[string][]string{
		"for the file":                     {},
		"for its directory":                {"etc"},
		"for directories, one after other": {"etc", "app", "conf"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(append(append([]string{dir}, parts...), "breakers.yaml")...)
			w := watch(t, path, nil)
			if err := w.reports(t, 1); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
				t.Errorf("reported %v, want that %s is not there", err, path)
			}
			if got := w.registry.Policy("x").FailureThreshold; got != 5 {
				t.Errorf("failure_threshold is %d meanwhile, want that of moderate, 5", got)
			}
			for _, part := range parts {
				dir = filepath.Join(dir, part)
				must(t, os.Mkdir(dir, 0o700))
			}
			replace(t, path, file(11))
			w.holds(t, 11)
			replace(t, path, file(12))
			w.holds(t, 12)
			w.reports(t, 1)
		})
	}
	t.Run("for a directory that is removed with it and made again", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "etc")
		path := filepath.Join(dir, "breakers.yaml")
		must(t, os.Mkdir(dir, 0o700))
		write(t, path, file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		must(t, os.RemoveAll(dir))
		w.reports(t, 1)
		must(t, os.Mkdir(dir, 0o700))
		write(t, path, file(12))
		w.holds(t, 12)
		write(t, path, file(13)) // the directory of the same name is another one
		w.holds(t, 13)
		must(t, os.RemoveAll(dir)) // and another again, too quickly for Watch to see that there was none
		must(t, os.Mkdir(dir, 0o700))
		write(t, path, file(14))
		w.holds(t, 14)
		write(t, path, file(15))
		w.holds(t, 15)
	})
}

func TestWatchBadFiles(t *testing.T) {
	t.Run("changes nothing, is told once, and the next good one is applied", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		replace(t, path, file(11))
		w := watch(t, path, nil)
		call := presets.MustProtectFunc("y", in(w.registry, presets.Moderate()), func(context.Context) error { return nil })
		w.holds(t, 11)
		replace(t, path, "defaults:\n  failure_threshold: 12\n  timeot: 5s\n")
		err := w.reports(t, 1)
		fault, ok := errors.AsType[*presets.FileError](err)
		if !ok || fault.File != path || fault.Line != 3 || fault.Field != "defaults.timeot" || !strings.Contains(err.Error(), path+":3:") {
			t.Errorf("reported %v, want a *FileError about line 3 of %s", err, path)
		}
		w.holds(t, 11)
		must(t, os.Chtimes(path, time.Time{}, time.Now())) // an event without a change
		write(t, filepath.Join(filepath.Dir(path), "other"), "")
		replace(t, path, "defaults:\n  failure_threshold: 12\n  timeot: 5s\n")
		time.Sleep(3 * settles) // so that it is looked at again, and no better
		replace(t, path, file(13))
		w.holds(t, 13)
		w.reports(t, 1)
		if err := call(t.Context()); err != nil {
			t.Errorf("a call = %v, want none", err)
		}
	})
	t.Run("another fault is told again", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		replace(t, path, file(-1000000000))
		w := watch(t, path, nil)
		w.holds(t, -1000000000)
		for i, text := range []string{"", "defaults: {", "defaults: {preset: modrate}", "[]"} {
			replace(t, path, text)
			if err := w.reports(t, i+1); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%q: reported %v, want a fault of %s", text, err, path)
			}
		}
	})
	t.Run("what Attach spoils", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		replace(t, path, file(11))
		r := new(presets.Registry)
		r.Attach = func(_ string, p *presets.Policy) {
			if p.FailureThreshold == 12 {
				p.Timeout = -1
			}
		}
		breakerOf(t, r, "x")
		w := watch(t, path, r)
		w.holds(t, 11)
		replace(t, path, file(12))
		err := w.reports(t, 1)
		if fault, ok := errors.AsType[*core.ConfigError](err); !ok || fault.Field != "Timeout" || !strings.Contains(err.Error(), path) {
			t.Errorf("reported %v, want the fault of Timeout, with the file", err)
		}
		w.holds(t, 11)
		replace(t, path, file(13))
		w.holds(t, 13)
	})
	t.Run("another size of the registry is told, and all else applied", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		replace(t, path, "registry: {max: 50, idle: 30m}\n"+file(11))
		f, err := presets.Load(path)
		must(t, err)
		w := watch(t, path, registryFor(t, f))
		w.holds(t, 11)
		w.quiet(t)
		replace(t, path, "registry: {max: 60, idle: 30m}\n"+file(12))
		err = w.reports(t, 1)
		if fault, ok := errors.AsType[*presets.FileError](err); !ok || fault.Field != "registry" || !strings.Contains(err.Error(), "60") || !strings.Contains(err.Error(), "50") {
			t.Errorf("reported %v, want that the registry stays at 50 though the file says 60", err)
		}
		w.holds(t, 12)
		replace(t, path, "registry: {max: 50, idle: 30m}\n"+file(13))
		w.holds(t, 13)
		w.reports(t, 1)
	})
	t.Run("a file that says the defaults has the size of a registry that says nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "breakers.yaml")
		replace(t, path, "registry: {max: 10000, idle: 1h}\n"+file(11))
		w := watch(t, path, nil)
		w.holds(t, 11)
		w.quiet(t)
	})
	t.Run("not a file", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "breakers.yaml")
		must(t, os.Mkdir(dir, 0o700))
		w := watch(t, dir, nil)
		if err := w.reports(t, 1); !strings.Contains(err.Error(), "not a regular") {
			t.Errorf("reported %v, want that it is no regular file", err)
		}
		must(t, os.Remove(dir))
		write(t, dir, file(11))
		w.holds(t, 11)
	})
}

// A reload keeps what breakers have seen.
func TestWatchKeepsState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "breakers.yaml")
	replace(t, path, file(3))
	w := watch(t, path, nil)
	w.holds(t, 3)
	open, streak := breakerOf(t, w.registry, "open"), breakerOf(t, w.registry, "streak")
	failing(t, open, 3)
	failing(t, streak, 2)
	replace(t, path, file(4))
	w.holds(t, 4)
	stateIs(t, open, core.Open)
	failing(t, streak, 1)
	stateIs(t, streak, core.Closed)
	failing(t, streak, 1)
	stateIs(t, streak, core.Open)
}

// Watch ends with its context and leaves nothing behind.
func TestWatchEnds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "breakers.yaml")
	replace(t, path, file(11))
	settled := func() int { // goroutines of tests before may still be on their way out
		n := runtime.NumGoroutine()
		for range 50 {
			time.Sleep(time.Millisecond)
			n = min(n, runtime.NumGoroutine())
		}
		return n
	}
	before := settled()
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0 // not on this system
		}
		return len(all)
	}
	files := descriptors()
	for range 5 {
		w := watch(t, path, nil)
		w.holds(t, 11)
		w.stop()
		replace(t, path, file(12))
		replace(t, path, file(11))
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= before }, func() string {
		return fmt.Sprintf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	})
	eventually(t, func() bool { return descriptors() <= files }, func() string {
		return fmt.Sprintf("%d open files, %d before", descriptors(), files)
	})
	t.Run("a context that is done already", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		presets.Watch(ctx, path, new(presets.Registry), nil) // returns
	})
}

// Without a registry it is the default one, and without onError the log.
func TestWatchDefaults(t *testing.T) {
	var log notebook
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(old)
	path := filepath.Join(t.TempDir(), "breakers.yaml")
	replace(t, path, "policies: {the watch test: {failure_threshold: 17}}\n")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); presets.Watch(ctx, path, nil, nil) }()
	defer func() {
		cancel()
		<-done
		if err := presets.Default().Apply(nil); err != nil { // it is every test's
			t.Error(err)
		}
	}()
	got := func() int { return presets.Default().Policy("the watch test").FailureThreshold }
	eventually(t, func() bool { return got() == 17 }, func() string { return "the default registry has not the file; the log: " + log.String() })
	replace(t, path, "policies: 5\n")
	eventually(t, func() bool { return strings.Contains(log.String(), path) }, func() string { return "the log says nothing of a bad file" })
	if text := log.String(); !strings.Contains(text, "level=ERROR") || strings.Count(text, "\n") != 1 {
		t.Errorf("the log is %q, want one error", text)
	}
	if got() != 17 {
		t.Errorf("failure_threshold is %d after a bad file, want 17", got())
	}
}
