package failsafe

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

const mib = 1 << 20

// stat writes a memory.stat of keys and MiB.
func stat(keysAndMiB ...any) string {
	var s strings.Builder
	for i := 0; i < len(keysAndMiB); i += 2 {
		fmt.Fprintf(&s, "%v %d\n", keysAndMiB[i], keysAndMiB[i+1].(int)*mib)
	}
	return s.String()
}

func bytesOf(n int) string { return fmt.Sprintf("%d\n", n*mib) }

// What the kernel takes back before it kills a process is no shortage; what it
// cannot take back, or has to write first, is one.
func TestReclaimableMemory(t *testing.T) {
	const box1 = "sys/fs/cgroup/memory/box"
	for _, row := range []struct {
		name          string
		used          int // MiB, of a limit of 1 GiB
		stat2, stat1  string
		want2, want1  float64 // MiB that are not to be had
		fault2, fault string
	}{
		{
			name: "the cache of a file that was read twice", used: 980,
			stat2: stat("anon", 100, "file", 870, "inactive_file", 10, "active_file", 860),
			stat1: stat("cache", 870, "total_cache", 870, "total_inactive_file", 10, "total_active_file", 860, "inactive_file", 1, "active_file", 1),
			want2: 110, want1: 110,
		},
		{
			name: "shared memory and locked pages, which are cache too", used: 1000,
			stat2: stat("anon", 50, "file", 940, "shmem", 900, "unevictable", 30, "inactive_anon", 900, "active_anon", 50, "inactive_file", 5, "active_file", 5),
			stat1: stat("total_cache", 940, "total_shmem", 900, "total_unevictable", 30, "total_inactive_anon", 900, "total_inactive_file", 5, "total_active_file", 5),
			want2: 990, want1: 990,
		},
		{
			name: "what was written and has not reached the disk", used: 1000,
			stat2: stat("inactive_file", 500, "active_file", 400, "file_dirty", 600, "file_writeback", 200),
			stat1: stat("total_inactive_file", 500, "total_active_file", 400, "total_dirty", 600, "total_writeback", 200),
			want2: 900, want1: 900,
		},
		{
			name: "more dirty than there is cache, for the numbers are read one after the other", used: 1000,
			stat2: stat("inactive_file", 50, "active_file", 40, "file_dirty", 600),
			stat1: stat("total_inactive_file", 50, "total_active_file", 40, "total_dirty", 600),
			want2: 1000, want1: 1000,
		},
		{
			name: "names and inodes that the kernel keeps", used: 1000,
			stat2: stat("inactive_file", 0, "active_file", 0, "slab", 990, "slab_reclaimable", 900, "slab_unreclaimable", 90),
			stat1: stat("total_inactive_file", 0, "total_active_file", 900),
			want2: 100, want1: 100,
		},
		{
			name: "more cache than use", used: 300,
			stat2: stat("inactive_file", 200, "active_file", 200), stat1: stat("total_inactive_file", 200, "total_active_file", 200),
		},
		{
			name: "no word of the active pages", used: 1000, stat2: stat("inactive_file", 200), stat1: stat("total_inactive_file", 200),
			want2: nan, want1: nan, fault2: "memory.stat says nothing of active_file", fault: "memory.stat says nothing of total_active_file",
		},
		{
			name: "a number that is none", used: 1000,
			stat2: "inactive_file 1\nactive_file 1\nfile_dirty x\n", stat1: "total_inactive_file 1\ntotal_active_file 1\ntotal_dirty x\n",
			want2: nan, want1: nan, fault2: `memory.stat says "x"`, fault: `memory.stat says "x"`,
		},
	} {
		of2 := tree{"memory.max": bytesOf(1024), "memory.current": bytesOf(row.used), "memory.stat": row.stat2}
		of1 := tree{"memory.limit_in_bytes": bytesOf(1024), "memory.usage_in_bytes": bytesOf(row.used), "memory.stat": row.stat1}
		for version, c := range map[string]struct {
			files tree
			want  float64
			fault string
		}{
			"v2":                      {v2("0::/box\n").with(of2.in(box)), row.want2, row.fault2},
			"v1":                      {v1(selfV1).with(of1.in(box1)), row.want1, row.fault},
			"v1 beside an empty v2":   {v1(selfV1 + "0::/box\n").with(of1.in(box1)).with(tree{"sys/fs/cgroup/unified/box/cgroup.procs": ""}), row.want1, row.fault},
			"v2 beside v1 of the cpu": {hybrid.with(of2.in("sys/fs/cgroup/unified/box")), row.want2, row.fault2},
		} {
			t.Run(version+", "+row.name, func(t *testing.T) {
				groups, _ := newCgroups(t, c.files)
				m, err := groups.memoryUse(bg)
				if want := 100 * c.want / 1024; math.Abs(m.percent-want) > 1e-9 || math.IsNaN(m.percent) != math.IsNaN(want) {
					t.Errorf("%v %% (%s), want %v %%", m.percent, m.detail, want)
				}
				wantFault(t, err, c.fault)
			})
		}
	}
}

// hybrid is a system with both versions, of which the second has the memory.
var hybrid = tree{
	"proc/self/cgroup": "3:cpu,cpuacct:/box\n1:name=systemd:/box\n0::/box\n",
	"proc/self/mountinfo": "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:3 - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
}

// The tightest of all limits that hold for the process counts, whichever file it
// is in.
func TestMemoryLimits(t *testing.T) {
	const box1 = "sys/fs/cgroup/memory/box"
	none := stat("inactive_file", 0, "active_file", 0)
	none1 := stat("total_inactive_file", 0, "total_active_file", 0)
	for _, row := range []struct {
		name  string
		files tree
		want  float64
		by    string
		fault string
	}{
		{
			"v2, memory.high, where the kernel throttles", v2("0::/box\n").with(tree{
				"memory.max": bytesOf(1000), "memory.high": bytesOf(500), "memory.current": bytesOf(450), "memory.stat": none,
			}.in(box)), 90, "memory.high", "",
		},
		{
			"v2, memory.high alone", v2("0::/box\n").with(tree{
				"memory.max": "max\n", "memory.high": bytesOf(500), "memory.current": bytesOf(450), "memory.stat": none,
			}.in(box)), 90, "memory.high", "",
		},
		{
			"v2, memory.max alone", v2("0::/box\n").with(tree{
				"memory.max": bytesOf(1000), "memory.high": "max\n", "memory.current": bytesOf(450), "memory.stat": none,
			}.in(box)), 45, "memory.max", "",
		},
		{
			"v2, memory.high cannot be read", v2("0::/box\n").with(tree{
				"memory.max": bytesOf(1000), "memory.high": "x\n", "memory.current": bytesOf(450), "memory.stat": none,
			}.in(box)), 45, "memory.max", "memory.high says",
		},
		{
			"v2, no limit and nothing else to read", v2("0::/box\n").with(tree{
				"memory.max": "max\n", "memory.high": "max\n", "memory.stat/x": "",
			}.in(box)), nan, "", "",
		},
		{
			"v2, memory.high of an outer group", v2("0::/box/in\n").with(tree{
				"memory.max": bytesOf(1000), "memory.high": "max\n", "memory.current": bytesOf(450), "memory.stat": none,
			}.in(box + "/in")).with(tree{
				"memory.max": "max\n", "memory.high": bytesOf(2000), "memory.current": bytesOf(1900), "memory.stat": none,
			}.in(box)), 95, "memory.high", "",
		},
		{
			"v2, a group without the controller in between", v2("0::/box/thread/in\n").with(tree{
				"memory.max": bytesOf(2000), "memory.high": "max\n", "memory.current": bytesOf(1900), "memory.stat": none,
			}.in(box)).with(tree{"cgroup.type": "threaded\n"}.in(box + "/thread")), 95, "memory.max", "",
		},
		{
			"v2, swap in use is no use of memory", v2("0::/box\n").with(tree{
				"memory.max": bytesOf(1000), "memory.current": bytesOf(450), "memory.stat": none, "memory.swap.max": bytesOf(500), "memory.swap.current": bytesOf(500),
			}.in(box)), 45, "memory.max", "",
		},
		{
			"v1, memory and swap together are all but used up", v1(selfV1).with(tree{
				"memory.limit_in_bytes": bytesOf(1000), "memory.usage_in_bytes": bytesOf(500), "memory.stat": none1,
				"memory.memsw.limit_in_bytes": bytesOf(1200), "memory.memsw.usage_in_bytes": bytesOf(1140),
			}.in(box1)), 95, "memory.memsw.limit_in_bytes", "",
		},
		{
			"v1, there is swap left", v1(selfV1).with(tree{
				"memory.limit_in_bytes": bytesOf(1000), "memory.usage_in_bytes": bytesOf(500), "memory.stat": none1,
				"memory.memsw.limit_in_bytes": bytesOf(2000), "memory.memsw.usage_in_bytes": bytesOf(600),
			}.in(box1)), 50, "memory.limit_in_bytes", "",
		},
		{
			"v1, a limit of a group that cannot be seen", v1(selfV1).with(tree{
				"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": bytesOf(450),
				"memory.stat": none1 + stat("hierarchical_memory_limit", 500),
			}.in("sys/fs/cgroup/memory")), 90, "hierarchical_memory_limit", "",
		},
		{
			"v1, that of a group that can be seen is in its own files", v1(selfV1).with(tree{
				"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": bytesOf(450),
				"memory.stat": none1 + stat("hierarchical_memory_limit", 500),
			}.in(box1)).with(tree{
				"memory.limit_in_bytes": bytesOf(500), "memory.usage_in_bytes": bytesOf(450),
				"memory.stat": none1 + stat("hierarchical_memory_limit", 500),
			}.in("sys/fs/cgroup/memory")), 90, "memory.limit_in_bytes", "",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			groups, _ := newCgroups(t, row.files)
			m, err := groups.memoryUse(bg)
			if math.Abs(m.percent-row.want) > 1e-9 || math.IsNaN(m.percent) != math.IsNaN(row.want) {
				t.Errorf("%v %% (%s), want %v %%", m.percent, m.detail, row.want)
			}
			if row.by != "" && !strings.Contains(m.detail, "that "+row.by+" ") {
				t.Errorf("%q does not name %s", m.detail, row.by)
			}
			wantFault(t, err, row.fault)
		})
	}
}
