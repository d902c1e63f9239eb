package failsafe

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// The memory of a machine that can be taken back is no shortage, whichever process has it.
func TestHostMemory(t *testing.T) {
	const arcstats = "proc/spl/kstat/zfs/arcstats"
	zfs := func(size, least, data, metadata int) tree {
		return tree{arcstats: fmt.Sprintf("13 1 0x01 147 39984 1 2\nname                            type data\n"+
			"size                            4    %d\nc_min                           4    %d\nc_max                           4    99999999\n"+
			"mru_size                        4    1\nmru_evictable_data              4    %d\nmru_evictable_metadata          4    %d\n"+
			"mfu_evictable_data              4    %d\nmfu_evictable_metadata          4    %d\n", size*1024, least*1024, data*512, metadata*512, data*512, metadata*512)}
	}
	for _, row := range []struct {
		name, meminfo string
		zfs           tree
		percent       float64
		fault         bool
	}{
		{"what is available is not used", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 50 kB\nCached: 300 kB\n", nil, 60, false},
		{"the cache of files, read once or often", "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 880 kB\nCached: 900 kB\nActive(file): 860 kB\n", nil, 12, false},
		// Free + Buffers + Cached are 95 %, yet nearly all of the cache is tmpfs.
		{"a full tmpfs is used", "MemTotal: 1000 kB\nMemFree: 50 kB\nMemAvailable: 60 kB\nBuffers: 0 kB\nCached: 900 kB\nShmem: 890 kB\n", nil, 94, false},
		{"huge pages are set aside, and the rest is half used", "MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: 50000 kB\nHugePages_Total: 450\nHugePages_Free: 10\nHugepagesize: 2000 kB\n", nil, 50, false},
		{"huge pages that are more than all", "MemTotal: 1000 kB\nMemAvailable: 250 kB\nHugePages_Total: 450\nHugepagesize: 2048 kB\n", nil, 75, false},
		{"the cache of ZFS", "MemTotal: 1000 kB\nMemAvailable: 50 kB\n", zfs(800, 100, 500, 300), 25, false},
		{"the cache of ZFS, nearly all of it in use", "MemTotal: 1000 kB\nMemAvailable: 50 kB\n", zfs(800, 100, 60, 40), 85, false},
		{"the cache of ZFS, at its least size", "MemTotal: 1000 kB\nMemAvailable: 50 kB\n", zfs(100, 200, 60, 40), 95, false},
		{"the cache of another machine's ZFS", "MemTotal: 1000 kB\nMemAvailable: 50 kB\n", zfs(80000, 100, 70000, 1000), 95, false},
		{"more cache than memory that is in use", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n", zfs(800, 100, 500, 0), 0, false},
		{"nonsense of ZFS", "MemTotal: 1000 kB\nMemAvailable: 50 kB\n", tree{arcstats: "size 4\nsize 4 many\n\n"}, 95, false},
		{"nonsense", "MemTotal: lots\n", nil, nan, true},
		{"empty", "", nil, nan, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, _ := procOf(t, tree{"meminfo": row.meminfo})
			root := t.TempDir()
			row.zfs.write(t, root)
			m, err := hostMemory(os.DirFS(root))(ctx)
			if math.Abs(m.percent-row.percent) > 1e-9 || math.IsNaN(m.percent) != math.IsNaN(row.percent) || (err != nil) != row.fault {
				t.Errorf("%v %% (%s), %v; want %v", m.percent, m.detail, err, row.percent)
			}
			if err == nil && (m.source != host || m.remedy == "" || !strings.Contains(m.detail, "available of")) {
				t.Errorf("%+v", m)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		ctx, _ := procOf(t, tree{})
		if m, err := hostMemory(os.DirFS(t.TempDir()))(ctx); !math.IsNaN(m.percent) || err == nil {
			t.Errorf("%v, %v", m.percent, err)
		}
	})
}
