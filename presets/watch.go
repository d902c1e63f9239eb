package presets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a file must be left alone before it is read: an editor
	// or a copy changes it in several steps.
	settle = 100 * time.Millisecond
	// patience is how long that is waited for: its directory may never be quiet.
	patience = time.Second
	// lookAnyway is how often the file is looked at without being told: network
	// file systems tell nothing, and events can be lost.
	lookAnyway = 10 * time.Second
	// maxLinks is how many symbolic links are followed.
	maxLinks = 40
)

// Watch keeps a registry up to date with a file until ctx is done: it reads it
// at once and whenever it has changed, and applies it by [Registry.Apply]. It
// understands a file that is written in place, replaced by a rename, or reached
// through symbolic links of which one is exchanged, as Kubernetes does; a change
// is noticed within a fraction of a second, and on file systems that tell
// nothing within 10 s.
//
// A file that cannot be read or is not valid changes nothing; onError is told,
// once for each content, with the [*FileError]s. It is also told when the size or the
// state file in the file is not that of the registry, which takes effect at
// the next start; the rest is applied then. It is called by one goroutine; nil
// logs to [slog.Default]. A nil registry is [Default], a nil ctx
// [context.Background].
//
//	go presets.Watch(ctx, "breakers.yaml", registry, nil)
func Watch(ctx context.Context, path string, registry *Registry, onError func(error)) {
	if ctx == nil {
		ctx = context.Background()
	}
	if registry == nil {
		registry = Default()
	}
	if onError == nil {
		onError = func(err error) {
			slog.Default().LogAttrs(ctx, slog.LevelError, "configuration not applied", slog.Any("error", err))
		}
	}
	w := &watcher{path: path, registry: registry, onError: onError, anyway: lookAnyway}
	w.run(ctx, fsnotify.NewWatcher)
}

type watcher struct {
	path     string
	registry *Registry
	onError  func(error)
	anyway   time.Duration // lookAnyway

	events  *fsnotify.Watcher // nil if there is none
	watched map[string]bool   // directories
	read    bool              // data or failure is what was found last
	data    []byte
	failure string
}

// run watches until ctx is done, with what notify makes to be told of changes.
func (w *watcher) run(ctx context.Context, notify func() (*fsnotify.Watcher, error)) {
	events, err := notify()
	if err != nil {
		w.onError(fmt.Errorf("presets: changes of %s are noticed only every %v: %w", w.path, w.anyway, err))
		w.loop(ctx, nil, nil)
		return
	}
	defer events.Close()
	w.events = events
	w.loop(ctx, events.Events, events.Errors)
}

// loop looks at the file at once, once changes and faults have been quiet, and now
// and then anyway.
func (w *watcher) loop(ctx context.Context, changes <-chan fsnotify.Event, faults <-chan error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var since time.Time // the first change that was not looked at
	changed := func() {
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < patience { // else the timer fires soon as it is
			timer.Reset(settle)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			changed()
		case err := <-faults:
			if !errors.Is(err, fsnotify.ErrEventOverflow) { // else some change is among what was lost
				w.onError(fmt.Errorf("presets: watching %s: %w", w.path, err))
			}
			changed()
		case <-timer.C:
			since = time.Time{}
			w.look()
			timer.Reset(w.anyway)
		}
	}
}

// look applies the file if it is not as it was.
func (w *watcher) look() {
	w.follow() // first, so that no change after reading is missed
	data, err := readFile(w.path)
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	if w.read && failure == w.failure && bytes.Equal(data, w.data) {
		return
	}
	w.read, w.data, w.failure = true, data, failure
	if err == nil {
		err = w.apply(data)
	}
	if err != nil {
		w.onError(err)
	}
}

func (w *watcher) apply(data []byte) error {
	f, err := parse(data, w.path)
	if err != nil {
		return err
	}
	if err := w.registry.Apply(f); err != nil {
		return &FileError{File: w.path, Problem: "the file cannot be applied: " + err.Error(), Err: err}
	}
	if f.StateFile != w.registry.stateFile {
		return &FileError{File: w.path, Field: "state_file", Problem: fmt.Sprintf("is %q, and stays %q until the next start; all else was applied", f.StateFile, w.registry.stateFile)}
	}
	if size := w.registry.size(); f.Registry.withDefaults() != size {
		return &FileError{File: w.path, Field: "registry", Problem: fmt.Sprintf("is %+v, and stays %+v until the next start; all else was applied", f.Registry.withDefaults(), size)}
	}
	return nil
}

// follow watches the directories in which a change could change the file: its
// own, and that of every symbolic link on the way to it.
func (w *watcher) follow() {
	if w.events == nil {
		return
	}
	dirs := make(map[string]bool)
	for range maxLinks { // until no more have come up while they were added
		known := len(dirs)
		for _, dir := range directories(w.path) {
			if !dirs[dir] {
				dirs[dir] = true
				// Each time anew: a directory that was made again has the same name.
				// One that is there already costs nothing; one that is gone comes
				// back, or is looked at anyway.
				_ = w.events.Add(dir)
			}
		}
		if len(dirs) == known {
			break
		}
	}
	for dir := range w.watched {
		if !dirs[dir] {
			_ = w.events.Remove(dir)
		}
	}
	w.watched = dirs
}

// directories returns the directory of path and of every symbolic link that
// leads there. For a path that does not exist, it is those up to where it ends.
func directories(path string) []string {
	rest, err := filepath.Abs(path)
	if err != nil {
		return []string{filepath.Dir(path)}
	}
	var dirs []string
	for range maxLinks {
		link, target, after := firstLink(rest)
		if link == "" {
			break
		}
		dirs = append(dirs, filepath.Dir(link))
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		rest = filepath.Join(target, after)
	}
	dir := filepath.Dir(rest)
	for dir != filepath.Dir(dir) { // of a directory that is not there, the one it will be in
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return append(dirs, dir)
}

// firstLink returns the first part of an absolute path that is a symbolic link,
// where it points, and what comes after it.
func firstLink(path string) (link, target, after string) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		if target, err := os.Readlink(path[:i]); err == nil {
			return path[:i], target, strings.TrimLeft(path[i:], string(filepath.Separator))
		}
	}
	return "", "", ""
}
