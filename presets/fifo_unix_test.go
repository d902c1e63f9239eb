//go:build unix

package presets_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/presets"
)

// Opening a pipe to read waits until somebody opens it to write, perhaps for
// ever.
func TestLoadDoesNotWaitForAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := presets.Load(path)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), path+": the file is not a regular one") {
			t.Errorf("Load of a pipe: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Load waits for a pipe")
		if w, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil { // let it go
			w.Close()
		}
		<-done
	}
}
