package presets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var errStateKept = errors.New("presets: the state of this registry is kept already, in one file")

// KeepState lets breaks survive a restart: it opens the breakers that were open when
// the program that wrote the file ended, also by a crash, for what is left of their
// breaks by the wall clock, each at most for the MaxTimeout of its policy. One whose
// break is over meanwhile starts half-open. From then on the file holds the breakers
// that are not closed; it is written when one changes, by a goroutine that ends
// afterwards, at most ten times a second. Windows, totals and overrides are not kept.
//
// Call it once, before calls are made, and after [Protect] where a policy of the code
// has a MaxTimeout above that of the registry's defaults: breakers are opened at once,
// by the policies that are known by then.
//
// The file is replaced as a whole, so a crash leaves the old one or the new one; what
// opened in the last tenth of a second may not be in it: see [Registry.FlushState].
// It holds 10,000 breakers at most, those with the latest ends, and texts of errors,
// so only its owner can read it. A file that is damaged, or is none of this package, is
// renamed to end in .bad, which is logged to [slog.Default], and nothing is restored.
// Each process needs a file of its own: of two that share one, the last writer wins.
//
// The error says that the file cannot be read or written, or that it is not the first
// of the registry; then nothing is kept. Later failures to write are logged, once until
// another comes.
func (r *Registry) KeepState(path string) error {
	switch {
	case r == nil:
		return errNilRegistry
	case path == "":
		return &core.ConfigError{Field: "path", Value: path, Allowed: "the name of a file"}
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // or the link would be replaced
	}
	breakers := r.Breakers()
	s := &stateFile{path: path, max: min(r.size().Max, maxSaved), breaks: make(map[string]saved)}
	if r.state.Load() != nil {
		return errStateKept
	}
	all, err := readState(path)
	if fault, ok := errors.AsType[*badStateError](err); ok {
		err = setAside(path, fault)
	}
	if err != nil {
		return fmt.Errorf("presets: the state file: %w", err)
	}
	removeLeftovers(path)
	all = slices.DeleteFunc(all, func(b saved) bool { return time.Since(b.RetryAt) > keepOver })
	for _, b := range all {
		s.putLocked(b) // nothing else knows of s yet
	}
	s.changed = true
	if err := s.save(); err != nil { // before anything changes: can it be written?
		return err
	}
	if !r.state.CompareAndSwap(nil, s) {
		return errStateKept
	}
	if err := breakers.Update(r.breakerConfig); err != nil { // so that those there are tell
		r.state.Store(nil)
		return err
	}
	r.restore(s, all)
	s.tell(s.save())
	return nil
}

// restore opens what was open, and takes note of what is.
func (r *Registry) restore(s *stateFile, all []saved) {
	lost, why := 0, error(nil)
	for i := range all {
		b, err := r.breakers.Get(all[i].Name)
		if err == nil {
			err = b.Restore(all[i].snapshot())
		}
		if err != nil {
			lost, why = lost+1, err
		}
	}
	if lost > 0 {
		slog.Default().LogAttrs(context.Background(), slog.LevelWarn, "breakers of the state file were not restored",
			slog.String("file", s.path), slog.Int("breakers", lost), slog.Any("last_error", why))
	}
	for _, b := range r.breakers.All() { // hooks told of none that was open before
		if b.State() == core.Closed {
			continue
		}
		for _, t := range b.Snapshot().Transitions {
			s.note(t)
		}
	}
}

// FlushState writes what [Registry.KeepState] has not yet written. A program that ends
// in order calls it last, so that nothing of its last moment is lost. Without KeepState,
// and of a nil Registry, it does nothing. The error is that of writing.
func (r *Registry) FlushState() error {
	if r == nil {
		return nil
	}
	s := r.state.Load()
	if s == nil {
		return nil
	}
	return s.save()
}

// setAside renames a file that is no state file, so that nothing is lost.
func setAside(path string, fault error) error {
	if err := os.Rename(path, path+badState); err != nil {
		return fmt.Errorf("it is none (%w), and cannot be renamed: %w", fault, err)
	}
	slog.Default().LogAttrs(context.Background(), slog.LevelError, "the state file is damaged or another program's, no breaker is restored",
		slog.String("file", path), slog.String("kept_as", path+badState), slog.Any("error", fault))
	return nil
}

// removeLeftovers removes what a crash left of writing the file.
func removeLeftovers(path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range entries {
		name, base := e.Name(), filepath.Base(path)
		info, err := e.Info()
		if err == nil && strings.HasPrefix(name, base+".") && strings.HasSuffix(name, ".tmp") && time.Since(info.ModTime()) > time.Minute {
			_ = os.Remove(filepath.Join(filepath.Dir(path), name))
		}
	}
}
