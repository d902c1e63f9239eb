package presets

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// WatchTold is [Watch] without looking at the file every 10 s, so that a change
// takes effect because the system tells of it or not at all.
func WatchTold(ctx context.Context, path string, registry *Registry, onError func(error)) {
	w := &watcher{path: path, registry: registry, onError: onError, anyway: 24 * time.Hour}
	w.run(ctx, fsnotify.NewWatcher)
}
