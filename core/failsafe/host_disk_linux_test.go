package failsafe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/shirou/gopsutil/v3/disk"
)

// A file needs room and an inode, on a file system on which files can be made.
func TestDisk(t *testing.T) {
	const gib = 1 << 30
	for _, row := range []struct {
		name     string
		usage    disk.UsageStat
		readOnly bool
		fault    error
		want     float64
		says     string
		err      string
	}{
		{"room", disk.UsageStat{Total: 20 * gib, Used: 12 * gib, Free: 4 * gib}, false, nil, 75, "4 GiB left of 20 GiB", ""},
		{"room and inodes", disk.UsageStat{Total: 20 * gib, Used: 12 * gib, Free: 4 * gib, InodesTotal: 100, InodesFree: 50}, false, nil, 75, "4 GiB left", ""},
		{"no inodes left", disk.UsageStat{Total: 20 * gib, Used: 1 * gib, Free: 19 * gib, InodesTotal: 65536, InodesFree: 0}, false, nil, 100, "of its inodes, 0 left of 65536", ""},
		{"few inodes left", disk.UsageStat{Total: 20 * gib, Used: 1 * gib, Free: 19 * gib, InodesTotal: 1000, InodesFree: 40}, false, nil, 96, "40 left of 1000", ""},
		{"a file system that does not count inodes", disk.UsageStat{Total: 20 * gib, Used: 1 * gib, Free: 19 * gib}, false, nil, 5, "19 GiB left", ""},
		{"one that says so by more free ones than there are", disk.UsageStat{Total: 20 * gib, Used: 1 * gib, Free: 19 * gib, InodesTotal: 1000, InodesFree: math.MaxUint64}, false, nil, 5, "19 GiB left", ""},
		{"one that says so by numbers without end", disk.UsageStat{Total: 20 * gib, Used: 1 * gib, Free: 19 * gib, InodesTotal: math.MaxUint64, InodesFree: math.MaxUint64}, false, nil, 5, "19 GiB left", ""},
		{"an image, full and read-only", disk.UsageStat{Total: 20 * gib, Used: 20 * gib, InodesTotal: 1000}, true, nil, 0, "read-only", ""},
		{"one without a size, read-only", disk.UsageStat{}, true, nil, 0, "read-only", ""},
		{"full", disk.UsageStat{Total: 20 * gib, Used: 20 * gib}, false, nil, 100, "0 B left", ""},
		{"the reserve is in use as well", disk.UsageStat{Total: 20 * gib, Used: 20 * gib, Free: math.MaxUint64 - 5}, false, nil, 100, "0 B left", ""},
		{"all is reserved", disk.UsageStat{Total: 20 * gib}, false, nil, 0, "0 B left", ""},
		{"no size", disk.UsageStat{}, false, nil, nan, "", "tells no size"},
		{"cannot be told whether it is read-only", disk.UsageStat{Total: gib}, false, errEIO, nan, "", "input/output"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := fileSystem{
				func(context.Context, string) (*disk.UsageStat, error) { return &row.usage, nil },
				func(string) (bool, error) { return row.readOnly, row.fault },
			}.sense("/data")(bg)
			if math.Abs(m.percent-row.want) > 1e-9 || math.IsNaN(m.percent) != math.IsNaN(row.want) || !strings.Contains(m.detail, row.says) {
				t.Errorf("%v %%: %q, want %v %%: %q", m.percent, m.detail, row.want, row.says)
			}
			if (m.percent > 0) != (m.remedy != "") && row.want != 0 {
				t.Errorf("%v %%, and the remedy is %q", m.percent, m.remedy)
			}
			wantFault(t, err, row.err)
		})
	}
	t.Run("cannot be asked", func(t *testing.T) {
		_, err := fileSystem{func(context.Context, string) (*disk.UsageStat, error) { return nil, errEIO }, nil}.sense("/data")(bg)
		if !errors.Is(err, errEIO) {
			t.Errorf("%v", err)
		}
	})
}

// Whether this machine's file systems are read-only is what the kernel says in
// another place.
func TestReadOnlyIsAsMounted(t *testing.T) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(data)) {
		before, after, _ := strings.Cut(line, " - ")
		own, sup := strings.Fields(before), strings.Fields(after)
		point := unescape(own[4])
		var st syscall.Stat_t
		if err := syscall.Stat(point, &st); err != nil || fmt.Sprintf("%d:%d", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00) != own[2] {
			continue // hidden by another mount, or by its kind
		}
		want := slices.Contains(strings.Split(own[5], ","), "ro") || slices.Contains(strings.Split(sup[2], ","), "ro")
		if got, err := readOnly(point); got != want || err != nil {
			t.Errorf("%s: %t, %v; want %t: %s", point, got, err, want, line)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no mount was checked")
	}
	if _, err := readOnly("/no/such/place"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a path that is not there: %v", err)
	}
}
