package ralph_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph"
)

func init() { //nolint:gochecknoinits // see TestMain
	jobs["full"] = func() int {
		signal.Ignore(syscall.SIGXFSZ)
		if err := diskIsFull(); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
}

// diskIsFull runs in a process of its own, whose files may not grow for a while.
func diskIsFull() error {
	cfg := plain()
	cfg.Path = os.Getenv("RALPH_TEST_PATH")
	var told atomic.Value
	cfg.OnEvent = func(e ralph.Event) {
		if e.Kind == ralph.EventStore {
			told.Store(e.Note)
			runtime.Goexit() // must not end the one who writes
		}
	}
	s, err := ralph.New(cfg)
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	info, err := os.Stat(cfg.Path)
	if err != nil {
		return err
	}
	small := limit
	small.Cur = uint64(info.Size()) + 100
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	until := func(ok func() bool) { // as long as it takes: the test's own time-out ends it
		for !ok() {
			time.Sleep(10 * time.Millisecond)
		}
	}
	for i := range 200 {
		a, err := s.Monitor(fmt.Sprint("a", i), ralph.Options{})
		if err != nil {
			return err
		}
		if _, err := a.Observe(fresh(i)); err != nil { // agents go on
			return err
		}
	}
	until(func() bool {
		note, _ := told.Load().(string)
		st := s.Stats()
		return strings.Contains(note, "cannot be written") && strings.Contains(note, cfg.Path) && strings.Contains(st.StoreError, "too large") && st.Unsaved == 200
	})
	a, err := s.Agent("a7")
	if err != nil {
		return err
	}
	if err := iterate(a, nil); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	until(func() bool {
		note, _ := told.Load().(string)
		st := s.Stats()
		return strings.Contains(note, "can be written again") && st.StoreError == "" && st.Unsaved == 0
	})
	return s.Close(nil) //nolint:staticcheck // nil is allowed
}

// TestStoreDiskFull: an error is told, agents go on, and all is written when there is
// room again.
func TestStoreDiskFull(t *testing.T) {
	cfg := plain()
	cfg.Path = filepath.Join(t.TempDir(), "ralph.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "RALPH_TEST_JOB=full", "RALPH_TEST_PATH="+cfg.Path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := reopen(t, cfg)
	defer closeNow(t, s)
	if n := len(s.Statuses()); n != 200 {
		t.Errorf("%d agents", n)
	}
}
