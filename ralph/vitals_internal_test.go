package ralph

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/core/failsafe"
)

// TestTheHostIsReadByItsThresholds: one that is given has all three read; none, nothing.
func TestTheHostIsReadByItsThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			cfg               Config
			cpu, memory, disk float64 // 0 is not read
		}{
			{Config{CPUThreshold: 80}, 80, 90, 90},
			{Config{MemoryThreshold: 3, DiskThreshold: -1}, 90, 3, 0},
			{Config{CPUThreshold: -1, MemoryThreshold: -1, DiskThreshold: 95.5}, 0, 0, 95.5},
			{Config{}, 0, 0, 0},
		} {
			s, err := New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[failsafe.Type]float64)
			if s.vitals != nil {
				for _, r := range s.vitals.Readings() {
					got[r.Type] = r.Threshold
				}
			}
			if got[failsafe.CPU] != c.cpu || got[failsafe.Memory] != c.memory || got[failsafe.Disk] != c.disk {
				t.Errorf("%+v is read", got)
			}
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		// What could not be made reads nothing on; the bubble waits for its goroutines.
		if _, err := New(Config{MemoryThreshold: 90, Path: filepath.Join(t.TempDir(), "none", "ralph.db")}); err == nil {
			t.Error("a supervisor without a directory for its file")
		}
		// Close waits no longer than it may.
		s, err := New(Config{MemoryThreshold: 90})
		if err != nil {
			t.Fatal(err)
		}
		done, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Close(done)
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
