package failsafe

import (
	"context"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree is a root file system: the texts of files by their names.
type tree map[string]string

const (
	mountV2 = "31 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n"
	mountV1 = "22 27 0:21 / /proc rw - proc proc rw\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:3 - cgroup cgroup rw,cpu,cpuacct\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	selfV1 = "5:memory:/box\n3:cpu,cpuacct:/box\n1:name=systemd:/\n"
)

// write puts the files below root.
func (f tree) write(t *testing.T, root string) {
	t.Helper()
	for name, text := range f {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// with is f and other, which comes first.
func (f tree) with(other tree) tree {
	both := make(tree)
	for _, from := range []tree{f, other} {
		maps.Copy(both, from)
	}
	return both
}

func v2(self string) tree {
	return tree{"proc/self/cgroup": self, "proc/self/mountinfo": mountV2}
}

func v1(self string) tree {
	return tree{"proc/self/cgroup": self, "proc/self/mountinfo": mountV1}
}

// in puts files into a directory.
func (f tree) in(dir string) tree {
	moved := make(tree)
	for name, text := range f {
		moved[dir+"/"+name] = text
	}
	return moved
}

func newCgroups(t *testing.T, files tree) (c *cgroups, root string) {
	t.Helper()
	root = t.TempDir()
	files.write(t, root)
	return &cgroups{files: os.DirFS(root), longest: 15 * time.Second}, root
}

const top, box = "sys/fs/cgroup", "sys/fs/cgroup/box"

func memory2(limit, current, inactive string) tree {
	return tree{"memory.max": limit + "\n", "memory.current": current + "\n", "memory.stat": "anon 5\nfile 7\ninactive_file " + inactive + "\nactive_file 0\n"}
}

func memory1(limit, usage, inactive string) tree {
	return tree{
		"memory.limit_in_bytes": limit + "\n", "memory.usage_in_bytes": usage + "\n",
		"memory.stat": "inactive_file 1\ntotal_inactive_file " + inactive + "\ntotal_active_file 0\n",
	}
}

func TestCgroupMemory(t *testing.T) {
	const dir1, noLimit1 = "sys/fs/cgroup/memory/box", "9223372036854771712"
	for _, row := range []struct {
		name    string
		files   tree
		percent float64 // NaN for no limit
		source  string
		fault   string // part of the error
	}{
		{"no such system", tree{}, nan, "", ""},
		{"v2, of the limit, without cache that was not used", v2("0::/box\n").with(memory2("1000", "900", "150").in(box)), 75, "/" + box, ""},
		{"v2, in a namespace of its own", v2("0::/\n").with(memory2("1000", "900", "150").in(top)), 75, "/" + top, ""},
		{"v2, no limit", v2("0::/box\n").with(memory2("max", "900", "150").in(box)), nan, "", ""},
		{"v2, the top, which has no such files", v2("0::/\n").with(tree{"sys/fs/cgroup/cgroup.procs": ""}), nan, "", ""},
		{"v2, more cache than use", v2("0::/box\n").with(memory2("1000", "900", "950").in(box)), 0, "/" + box, ""},
		{"v2, a limit of nothing", v2("0::/box\n").with(memory2("0", "900", "0").in(box)), 100, "/" + box, ""},
		{"v2, the tightest on the way up is the outer one", v2("0::/box/in/in\n").with(memory2("1000", "400", "0").in(box + "/in/in")).with(memory2("max", "400", "0").in(box + "/in")).with(memory2("2000", "1800", "0").in(box)), 90, "/" + box, ""},
		{"v2, the tightest on the way up is the inner one", v2("0::/box/in\n").with(memory2("1000", "950", "0").in(box + "/in")).with(memory2("2000", "1800", "0").in(box)), 95, "/" + box + "/in", ""},
		{"v2, a directory with a colon", v2("0::/a:b\n").with(memory2("1000", "500", "0").in(top + "/a:b")), 50, "/" + top + "/a:b", ""},
		{
			"v2, a part is mounted, at a path with a space",
			tree{"proc/self/cgroup": "0::/docker/abc/in\n", "proc/self/mountinfo": `1 2 0:27 /docker/abc /my\040groups rw - cgroup2 cgroup2 rw` + "\n"}.with(memory2("1000", "500", "0").in("my groups/in")).with(memory2("1000", "600", "0").in("my groups")), 60, "/my groups", "",
		},
		{
			"v2, by a name that is not seen here",
			tree{"proc/self/cgroup": "0::/host/name\n", "proc/self/mountinfo": "1 2 0:27 /other /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"}.with(memory2("1000", "500", "0").in(top)), 50, "/" + top, "",
		},
		{"v2, outside of the namespace", v2("0::/../../secret\n").with(memory2("1000", "500", "0").in(top)), 50, "/" + top, ""},
		{"v2, a prefix that is no directory", tree{"proc/self/cgroup": "0::/ab\n", "proc/self/mountinfo": "1 2 0:27 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"}.with(memory2("1000", "500", "0").in(top)).with(memory2("1000", "900", "0").in(top + "/b")), 50, "/" + top, ""},
		{"v2, mounted nowhere", tree{"proc/self/cgroup": "0::/box\n", "proc/self/mountinfo": ""}, nan, "", `memory control group "/box", which is mounted nowhere`},
		{"v2, mounted nowhere, at the top", tree{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": ""}, nan, "", ""},
		{"v2, not a number", v2("0::/box\n").with(memory2("a lot", "900", "150").in(box)), nan, "", `/sys/fs/cgroup/box/memory.max says "a lot", which is not a number`},
		{"v2, a long one", v2("0::/box\n").with(memory2(strings.Repeat("9", 99999), "900", "150").in(box)), nan, "", `says "` + strings.Repeat("9", 32) + `", which`},
		{"v2, a negative one", v2("0::/box\n").with(memory2("1000", "-5", "150").in(box)), nan, "", `memory.current says "-5"`},
		{"v2, an empty file", v2("0::/box\n").with(tree{"memory.max": ""}.in(box)), nan, "", `memory.max says ""`},
		{"v2, use is not told", v2("0::/box\n").with(tree{"memory.max": "1000"}.in(box)), nan, "", "/sys/fs/cgroup/box/memory.current is not there"},
		{"v2, cache is not told", v2("0::/box\n").with(tree{"memory.max": "1000", "memory.current": "1", "memory.stat": "anon 1\n"}.in(box)), nan, "", "memory.stat says nothing of inactive_file"},
		{"v2, use cannot be read", v2("0::/box\n").with(tree{"memory.max": "1000", "memory.current/x": ""}.in(box)), nan, "", "is a directory"},
		{"v2, cache cannot be read", v2("0::/box\n").with(tree{"memory.max": "1000", "memory.current": "1", "memory.stat/x": ""}.in(box)), nan, "", "is a directory"},
		{"v2, the limit cannot be read", v2("0::/box\n").with(tree{"memory.max/x": ""}.in(box)), nan, "", "is a directory"},
		{"the groups cannot be read", tree{"proc/self/cgroup/x": ""}, nan, "", "is a directory"},
		{"v2, one that cannot be read does not hide another", v2("0::/box/in\n").with(memory2("x", "950", "0").in(box + "/in")).with(memory2("2000", "1800", "0").in(box)), 90, "/" + box, "memory.max says"},
		{"no mountinfo", tree{"proc/self/cgroup": "0::/box\n"}, nan, "", "mountinfo"},
		{"nonsense", tree{"proc/self/cgroup": "what\n\n::\n0:\n", "proc/self/mountinfo": "x - \n - cgroup2 c rw\n1 2 3 - cgroup2\n"}, nan, "", `control group "", which is mounted nowhere`},
		{"v1, of the limit", v1(selfV1).with(memory1("1000", "900", "150").in(dir1)), 75, "/" + dir1, ""},
		{"v1, no limit", v1(selfV1).with(memory1(noLimit1, "900", "150").in(dir1)), nan, "", ""},
		{"v1, an outer limit", v1(selfV1).with(memory1(noLimit1, "900", "150").in(dir1)).with(memory1("2000", "1950", "0").in("sys/fs/cgroup/memory")), 97.5, "/sys/fs/cgroup/memory", ""},
		{"v1 beside v2, which has no such controller", v1(selfV1 + "0::/box\n").with(memory1("1000", "900", "150").in(dir1)).with(memory2("1000", "1", "0").in(box)), 75, "/" + dir1, ""},
		{
			"v1, docker without namespaces",
			tree{"proc/self/cgroup": "4:memory:/docker/abc\n", "proc/self/mountinfo": "1 2 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"}.with(memory1("1000", "450", "0").in("sys/fs/cgroup/memory")), 45, "/sys/fs/cgroup/memory", "",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, _ := newCgroups(t, row.files)
			for range 2 { // the second time it is known where they are
				percent, source, err := parts(c.memoryUse(bg))
				if percent != row.percent && !(math.IsNaN(percent) && math.IsNaN(row.percent)) {
					t.Errorf("percent = %v, want %v", percent, row.percent)
				}
				if !math.IsNaN(percent) && source != row.source {
					t.Errorf("source = %q, want %q", source, row.source)
				}
				wantFault(t, err, row.fault)
			}
		})
	}
}

func wantFault(t *testing.T, err error, part string) {
	t.Helper()
	if (err != nil) != (part != "") || err != nil && !strings.Contains(err.Error(), part) {
		t.Errorf("err = %v, want one of %q", err, part)
	}
}

func cpu2(quota, usec string) tree {
	return tree{"cpu.max": quota + "\n", "cpu.stat": "usage_usec " + usec + "\nuser_usec 1\nsystem_usec 2\n"}
}

func cpu1(quota, period, nsec string) tree {
	return tree{"cpu.cfs_quota_us": quota + "\n", "cpu.cfs_period_us": period + "\n", "cpuacct.usage": nsec + "\n"}
}

// Between two readings 5 s pass, of which a group may use its quota.
func TestCgroupCPU(t *testing.T) {
	const dir1 = "sys/fs/cgroup/cpu,cpuacct/box"
	apart := tree{
		"proc/self/cgroup":    "2:cpuacct:/box\n1:cpu:/box\n",
		"proc/self/mountinfo": "32 31 0:29 / /c/cpu rw - cgroup cgroup rw,cpu\n33 31 0:30 / /c/acct rw - cgroup cgroup rw,cpuacct\n",
	}
	for _, row := range []struct {
		name          string
		files, change tree // before the first reading, before the second
		percent       float64
		source        string
		fault         string
	}{
		{"no such system", tree{}, nil, nan, "", ""},
		{"v2, half of one processor, of which 80 % are used", v2("0::/box\n").with(cpu2("50000 100000", "7000000").in(box)), cpu2("50000 100000", "9000000").in(box), 80, "/" + box, ""},
		{"v2, two and a half processors", v2("0::/box\n").with(cpu2("250000 100000", "0").in(box)), cpu2("250000 100000", "2500000").in(box), 20, "/" + box, ""},
		{"v2, another period", v2("0::/box\n").with(cpu2("5000 10000", "0").in(box)), cpu2("5000 10000", "2500000").in(box), 100, "/" + box, ""},
		{"v2, a quota that has just been cut", v2("0::/box\n").with(cpu2("max 100000", "0").in(box)), cpu2("50000 100000", "2500000").in(box), nan, "", ""},
		{"v2, a quota that was changed", v2("0::/box\n").with(cpu2("100000 100000", "0").in(box)), cpu2("50000 100000", "1000000").in(box), 40, "/" + box, ""},
		{"v2, no quota", v2("0::/box\n").with(cpu2("max 100000", "0").in(box)), cpu2("max 100000", "9000000").in(box), nan, "", ""},
		{"v2, the tightest on the way up", v2("0::/box/in\n").with(cpu2("200000 100000", "0").in(box + "/in")).with(cpu2("400000 100000", "0").in(box)), cpu2("200000 100000", "1000000").in(box + "/in").with(cpu2("400000 100000", "18000000").in(box)), 90, "/" + box, ""},
		{"v2, a counter that went back", v2("0::/box\n").with(cpu2("50000 100000", "7000000").in(box)), cpu2("50000 100000", "1").in(box), nan, "", ""},
		{"v2, a period of nothing", v2("0::/box\n").with(cpu2("50000 0", "0").in(box)), tree{}, nan, "", ""},
		{"v2, no period", v2("0::/box\n").with(cpu2("50000", "0").in(box)), tree{}, nan, "", `cpu.max says ""`},
		{"v2, not a number", v2("0::/box\n").with(cpu2("half 100000", "0").in(box)), tree{}, nan, "", `cpu.max says "half"`},
		{"v2, use is not told", v2("0::/box\n").with(tree{"cpu.max": "50000 100000", "cpu.stat": "nr_periods 1\n"}.in(box)), tree{}, nan, "", "cpu.stat says nothing of usage_usec"},
		{"v1, half of one processor", v1(selfV1).with(cpu1("50000", "100000", "7000000000").in(dir1)), cpu1("50000", "100000", "9000000000").in(dir1), 80, "/" + dir1, ""},
		{"v1, no quota", v1(selfV1).with(cpu1("-1", "100000", "0").in(dir1)), cpu1("-1", "100000", "9000000000").in(dir1), nan, "", ""},
		{
			"v1, quota and use in hierarchies apart",
			apart.with(tree{"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}.in("c/cpu/box")).with(tree{"c/acct/box/cpuacct.usage": "0"}),
			tree{"c/acct/box/cpuacct.usage": "2000000000"},
			80, "/c/cpu/box", "",
		},
		{
			"v1, use is counted elsewhere",
			apart.with(tree{"proc/self/cgroup": "2:cpuacct:/\n1:cpu:/box\n"}).with(tree{"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}.in("c/cpu/box")).with(tree{"c/acct/cpuacct.usage": "0"}),
			tree{},
			nan, "", "not in the same group of cpuacct",
		},
		{
			"v1, use is counted in a group beside it",
			apart.with(tree{"proc/self/cgroup": "2:cpuacct:/other\n1:cpu:/box\n"}).with(tree{"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}.in("c/cpu/box")).with(tree{"c/acct/other/cpuacct.usage": "0"}),
			tree{},
			nan, "", "not in the same group of cpuacct",
		},
		{"v1, no use", v1(selfV1).with(tree{"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}.in(dir1)), tree{}, nan, "", "cpuacct.usage is not there"},
		{"v1, no period", v1(selfV1).with(tree{"cpu.cfs_quota_us": "50000"}.in(dir1)), tree{}, nan, "", "cpu.cfs_period_us is not there"},
	} {
		bubble(t, row.name, func(t *testing.T) {
			c, root := newCgroups(t, row.files)
			percent, _, err := parts(c.cpuUse(bg))
			if !math.IsNaN(percent) {
				t.Errorf("the first reading is %v, with nothing to compare it with", percent)
			}
			wantFault(t, err, row.fault)
			time.Sleep(5 * time.Second)
			row.change.write(t, root)
			percent, source, err := parts(c.cpuUse(bg))
			if math.Abs(percent-row.percent) > 1e-9 || math.IsNaN(percent) != math.IsNaN(row.percent) {
				t.Errorf("percent = %v, want %v", percent, row.percent)
			}
			if !math.IsNaN(percent) && source != row.source {
				t.Errorf("source = %q, want %q", source, row.source)
			}
			wantFault(t, err, row.fault)
		})
	}
	bubble(t, "readings too far apart are not compared", func(t *testing.T) {
		c, root := newCgroups(t, v2("0::/box\n").with(cpu2("50000 100000", "0").in(box)))
		_, _, _ = parts(c.cpuUse(bg))
		time.Sleep(time.Hour)
		cpu2("50000 100000", "1000000").in(box).write(t, root)
		if percent, _, _ := parts(c.cpuUse(bg)); !math.IsNaN(percent) {
			t.Errorf("percent over an hour = %v", percent)
		}
		time.Sleep(4 * time.Second)
		cpu2("50000 100000", "2000000").in(box).write(t, root)
		if percent, _, _ := parts(c.cpuUse(bg)); percent != 50 {
			t.Errorf("percent over the 4 s after it = %v, want 50", percent)
		}
		cpu2("50000 100000", "3000000").in(box).write(t, root)
		if percent, _, err := parts(c.cpuUse(bg)); !math.IsNaN(percent) || err != nil {
			t.Errorf("percent over no time = %v, %v", percent, err)
		}
	})
}

// A process may be moved to another group while it runs.
func TestCgroupMoved(t *testing.T) {
	c, root := newCgroups(t, v2("0::/box\n").with(memory2("1000", "500", "0").in(box)).with(memory2("1000", "700", "0").in(top+"/other")))
	for place, want := range map[string]float64{"/box": 50, "/other": 70} {
		tree{"proc/self/cgroup": "0::" + place + "\n"}.write(t, root)
		if percent, _, err := parts(c.memoryUse(bg)); percent != want || err != nil {
			t.Errorf("in %s: %v, %v, want %v", place, percent, err, want)
		}
	}
	if err := os.Remove(filepath.Join(root, "proc/self/cgroup")); err != nil {
		t.Fatal(err)
	}
	if percent, _, err := parts(c.memoryUse(bg)); !math.IsNaN(percent) || err != nil {
		t.Errorf("without groups: %v, %v", percent, err)
	}
}

// A path that goes down for ever costs no more than another.
func TestCgroupDeep(t *testing.T) {
	c, _ := newCgroups(t, v2("0::"+strings.Repeat("/d", 2000)+"\n"))
	if _, _, err := parts(c.memoryUse(bg)); err != nil {
		t.Fatal(err)
	}
	if n := len(c.memory.dirs); n != maxLevels {
		t.Errorf("%d levels are read, want %d", n, maxLevels)
	}
}

// The vitals take the highest of the host's and the groups' readings.
func TestTighter(t *testing.T) {
	says := func(percent float64, source string, err error) sense {
		return func(context.Context) (measured, error) { return measured{percent: percent, source: source}, err }
	}
	for _, row := range []struct {
		name    string
		senses  []sense
		percent float64
		source  string
		fault   string
	}{
		{"the group", []sense{says(20, "host", nil), says(95, "/box", nil)}, 95, "/box", ""},
		{"the host", []sense{says(97, "host", nil), says(95, "/box", nil)}, 97, "host", ""},
		{"no limit", []sense{says(97, "host", nil), says(nan, "", nil)}, 97, "host", ""},
		{"nothing", []sense{says(nan, "", nil), says(nan, "", nil)}, nan, "", ""},
		{"only the group", []sense{says(nan, "", errEIO), says(40, "/box", nil)}, 40, "/box", "input/output"},
		{"only the host", []sense{says(40, "host", nil), says(nan, "", errEIO)}, 40, "host", "input/output"},
		{"one panics", []sense{says(40, "host", nil), func(context.Context) (measured, error) { panic("index out of range") }}, 40, "host", "panic: index"},
	} {
		t.Run(row.name, func(t *testing.T) {
			percent, source, err := parts(tighter(row.senses...)(bg))
			if percent != row.percent && !(math.IsNaN(percent) && math.IsNaN(row.percent)) || source != row.source {
				t.Errorf("%v of %q, want %v of %q", percent, source, row.percent, row.source)
			}
			wantFault(t, err, row.fault)
		})
	}
}
