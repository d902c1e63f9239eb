package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph"
)

// What is at the path is cut short, or overwritten, while a supervisor has it open. The
// database then panics, and panics again when it takes back what it had begun, with a
// lock held that its Close waits for: neither Close nor the writer may.
func TestStoreDamagedWhileOpen(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut to nothing": func(path string) error { return os.Truncate(path, 0) },
		"cut to a page":  func(path string) error { return os.Truncate(path, 4096) },
		"overwritten": func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.Write([]byte(strings.Repeat("x", int(info.Size()))))
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := stored(t)
			s := reopen(t, cfg)
			for i := range 20 {
				observe(t, monitor(t, s, fmt.Sprint("a", i), ralph.Options{}), fresh(i))
			}
			written(s)
			if err := damage(cfg.Path); err != nil {
				t.Fatal(err)
			}
			for round := range 3 {
				observe(t, monitor(t, s, fmt.Sprint("b", round), ralph.Options{}), fresh(round)) // agents go on
				for s.Stats().StoreError == "" {
					time.Sleep(time.Millisecond)
				}
			}
			if st := s.Stats(); st.Unsaved == 0 || !strings.Contains(st.StoreError, cfg.Path) {
				t.Errorf("%+v", st)
			}
			err := s.Close(context.Background()) // it must return; the test's own time-out ends it
			if _, ok := errors.AsType[*ralph.StoreError](err); !ok {
				t.Errorf("closed with %v, want what could not be written", err)
			}
			if err := os.Remove(cfg.Path); err != nil {
				t.Fatal(err)
			}
			closeNow(t, reopen(t, cfg)) // and the path is free
		})
	}
}
