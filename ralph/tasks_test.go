package ralph_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/ralph"
)

// TestAnyTextIsATask: what is kept of it is an id like any other, and the file is read
// again, whatever the text is.
func TestAnyTextIsATask(t *testing.T) {
	for name, task := range map[string]string{
		"cut within a letter": strings.Repeat("x", 255) + "é",
		"not UTF-8":           strings.Repeat("\xff", 300),
		"in part":             strings.Repeat("a\xff", 300),
		"control characters":  strings.Repeat("\x00", 300),
		"wide ones":           strings.Repeat("\u0085", 300),
		"letters":             strings.Repeat("é", 300),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := stored(t)
				s := reopen(t, cfg)
				monitor(t, s, "a", ralph.Options{}).NewTask(task)
				kept := status(t, s, "a").Task
				if len(kept) > 256 {
					t.Errorf("%d bytes are kept", len(kept))
				}
				if err := s.Update("a", ralph.Options{Task: kept}); err != nil {
					t.Errorf("it is no id: %v", err)
				}
				closeNow(t, s)
				s = reopen(t, cfg)
				defer closeNow(t, s)
				if got := status(t, s, "a").Task; got != kept {
					t.Errorf("%q was kept, and is %q now", kept, got)
				}
			})
		})
	}
}
