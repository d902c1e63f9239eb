package failsafe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v3/mem"
)

var errNoMemory = errors.New("the host tells no size of its memory")

// hostMemory goes by what is available, not by what is used: the kernel counts as
// available what it can take back (Documentation/filesystems/proc.rst,
// MemAvailable), file cache among it, but not shared memory and tmpfs. Two things
// are wrong in that number, and are put right:
//
//   - huge pages that were set aside are not available to anything else, whether
//     they are used or not. They are no part of the memory that can run short.
//   - what ZFS caches can be taken back, but the kernel does not know that.
func hostMemory(files fs.FS) sense {
	return func(ctx context.Context) (measured, error) {
		m, err := mem.VirtualMemoryWithContext(ctx)
		if err != nil {
			return unknown, err
		}
		if m.Total == 0 {
			return unknown, errNoMemory
		}
		total, available := float64(m.Total), float64(m.Available)
		if huge := float64(m.HugePagesTotal) * float64(m.HugePageSize); huge < total {
			total -= huge
		}
		if cache := zfsCache(files); cache < total { // else it is that of another machine, outside of a container
			available += cache
		}
		available = min(available, total)
		return measured{
			percent: 100 * (1 - available/total), source: host,
			detail: fmt.Sprintf("%s available of %s, cache that can be taken back included", size(available), size(total)),
			remedy: "stop what needs the memory, or add some",
		}, nil
	}
}

// zfsCache is how much of its cache ZFS on Linux would give back, as it tells the
// kernel when memory is short: what is clean, and what is above the least size of
// the cache. It is zero without ZFS.
func zfsCache(files fs.FS) float64 {
	data, err := fs.ReadFile(files, "proc/spl/kstat/zfs/arcstats")
	if err != nil {
		return 0
	}
	of := func(key string) float64 {
		for line := range strings.Lines(string(data)) { // a name, its type and a number
			if parts := strings.Fields(line); len(parts) == 3 && parts[0] == key {
				n, _ := strconv.ParseUint(parts[2], 10, 64)
				return float64(n)
			}
		}
		return 0
	}
	clean := of("mru_evictable_data") + of("mru_evictable_metadata") + of("mfu_evictable_data") + of("mfu_evictable_metadata")
	return max(min(clean, of("size")-of("c_min")), 0)
}
