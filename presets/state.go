package presets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

const (
	stateFormat = "switchgear state 1"
	// maxSaved is how many breaks a state file holds at most.
	maxSaved = 10_000
	// maxStateFile is how long a state file may be: each break has a name and a
	// reason of 256 bytes at most, which JSON may write as six times as many.
	maxStateFile = maxSaved * 4 << 10
	// saveEvery is the least time between two writes, so that breakers which flap
	// do not keep the disk busy.
	saveEvery = 100 * time.Millisecond
	// keepOver is how long a break is kept in the file after it is over. A breaker
	// that no call has met since then is started closed.
	keepOver = 24 * time.Hour
	badState = ".bad"
)

// saved is what a state file says of a breaker that is not closed.
type saved struct {
	Name    string    `json:"name"`
	RetryAt time.Time `json:"retry_at"`         // when its break is over, or was
	Opens   int       `json:"opens"`            // openings without a close between
	Reason  string    `json:"reason,omitempty"` // the text of the error that opened it
}

// snapshot is what a breaker is restored from.
func (s *saved) snapshot() core.Snapshot {
	snap := core.Snapshot{Name: s.Name, State: core.Open, RetryAt: s.RetryAt, Opens: s.Opens}
	if s.Reason != "" {
		snap.Transitions = []core.Transition{{To: core.Open, Err: errors.New(s.Reason)}}
	}
	return snap
}

// stateFile holds the breakers of a registry that are not closed, and writes them
// to a file when one of them changes. Transitions fill it; a timer does the writing, so
// no call waits for a disk.
type stateFile struct {
	path string
	max  int

	file sync.Mutex // held while the file is written; taken before mu

	mu      sync.Mutex
	breaks  map[string]saved
	changed bool      // since it was last written
	writing bool      // a timer runs, or what it calls
	rest    time.Time // until then the file is not written again
	told    string    // the failure that was logged last
}

// note takes over what a transition says.
func (s *stateFile) note(t core.Transition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.breaks[t.Name]
	switch t.To {
	case core.Closed:
		if !ok {
			return
		}
		delete(s.breaks, t.Name)
	case core.Open:
		s.putLocked(saved{Name: t.Name, RetryAt: t.RetryAt, Opens: t.Opens, Reason: reasonText(t.Err)})
	case core.HalfOpen:
		if ok && !known.RetryAt.After(t.At) {
			return // it is over, as the file says
		}
		known.Name, known.RetryAt, known.Opens = t.Name, t.At, max(known.Opens, t.Opens)
		s.putLocked(known)
	}
	s.changed = true
	if !s.writing {
		s.writeLocked()
	}
}

// putLocked enters a break, in place of the one that ends first if there are too
// many.
func (s *stateFile) putLocked(b saved) {
	if _, known := s.breaks[b.Name]; !known && len(s.breaks) >= s.max {
		var first saved
		for _, other := range s.breaks {
			if first.Name == "" || other.RetryAt.Before(first.RetryAt) {
				first = other
			}
		}
		delete(s.breaks, first.Name)
	}
	b.RetryAt = b.RetryAt.Round(0).UTC()
	s.breaks[b.Name] = b
}

// writeLocked has the file written as soon as it may be.
func (s *stateFile) writeLocked() {
	s.writing = true
	time.AfterFunc(time.Until(s.rest), func() {
		err := s.save()
		s.tell(err)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.writing = false; s.changed && err == nil { // else the next change tries again, or FlushState
			s.writeLocked()
		}
	})
}

// tell logs a failure to write, once until it is another one.
func (s *stateFile) tell(err error) {
	s.mu.Lock()
	text := ""
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		text = path.Op + path.Err.Error() // the name of the temporary file is another each time
	} else if err != nil {
		text = err.Error()
	}
	news := text != "" && text != s.told
	s.told = text
	s.mu.Unlock()
	if news {
		defer func() { _ = recover() }() // of the log's handler
		slog.Default().LogAttrs(context.Background(), slog.LevelError, "open breakers are not saved", slog.Any("error", err))
	}
}

// save writes the file if anything has changed.
func (s *stateFile) save() error {
	s.file.Lock()
	defer s.file.Unlock()
	began := time.Now()
	s.mu.Lock()
	if !s.changed {
		s.mu.Unlock()
		return nil
	}
	s.changed = false
	maps.DeleteFunc(s.breaks, func(_ string, b saved) bool { return began.Sub(b.RetryAt) > keepOver })
	all := make([]saved, 0, len(s.breaks))
	for _, b := range s.breaks {
		all = append(all, b)
	}
	s.mu.Unlock()
	err := replaceFile(s.path, func(w io.Writer) error { return writeState(w, all) })
	s.mu.Lock()
	// A tenth of the time at most, however many they are and however slow the disk.
	s.rest = time.Now().Add(max(saveEvery, 9*time.Since(began)))
	s.changed = s.changed || err != nil
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("presets: writing the state file: %w", err)
	}
	return nil
}

// stateText is the text of a state file.
type stateText struct {
	Format   string  `json:"format"`
	Breakers []saved `json:"breakers"`
}

func writeState(w io.Writer, all []saved) error {
	return json.NewEncoder(w).Encode(stateText{stateFormat, all})
}

// replaceFile puts what write writes in place of a file, so that at every moment,
// also of a crash, there is the old one or the new one, whole.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err = write(&text); err == nil {
		_, err = f.Write(text.Bytes())
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // which not every system can
		_ = dir.Close()
	}
	return nil
}

// readState reads a state file. A file that is not there holds nothing; the error of
// one that is damaged or another program's is an errBadState.
func readState(path string) ([]saved, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxStateFile:
		return nil, &badStateError{fmt.Errorf("it is longer than %d bytes", maxStateFile)}
	}
	data, err := os.ReadFile(path) //nolint:gosec // the caller's file is what is asked for
	if err != nil {
		return nil, err
	}
	var text stateText
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&text); err != nil {
		return nil, &badStateError{err}
	}
	if text.Format != stateFormat {
		return nil, &badStateError{fmt.Errorf("its format is %.40q, not %q", text.Format, stateFormat)}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, &badStateError{errors.New("it goes on after its end")}
	}
	if len(text.Breakers) > maxSaved {
		return nil, &badStateError{fmt.Errorf("it has more than %d breakers", maxSaved)}
	}
	return text.Breakers, nil
}

// badStateError is what is wrong with a file that is no state file.
type badStateError struct{ error }

func (e *badStateError) Unwrap() error { return e.error }

// reasonText is the text of an error, as much as a refusal gives of it.
func reasonText(err error) (reason string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			reason = fmt.Sprintf("%T, whose Error panicked", err)
		}
	}()
	const most = 256
	reason = err.Error()
	if len(reason) > most {
		reason = reason[:most]
	}
	return strings.ToValidUTF8(reason, "")
}
