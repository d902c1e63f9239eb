//go:build unix

package presets_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/blackbox4/switchgear/presets"
)

// Opening a pipe to read waits until another process opens it to write, perhaps for
// ever.
func TestLoadDoesNotWaitForAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := presets.Load(path); err == nil || !strings.Contains(err.Error(), path+": the file is not a regular one") { // or it waits for ever
		t.Errorf("Load of a pipe: %v", err)
	}
}
