package failsafe

import (
	"os"
	"testing"
)

// A container of 1 GiB whose memory is full of file cache goes on working, and says
// why; when it is full of its own memory it refuses, and says what to do.
func TestContainerFullOfCache(t *testing.T) {
	group := func(used, active int) tree {
		return tree{"memory.max": bytesOf(1024), "memory.high": "max\n", "memory.current": bytesOf(used), "memory.stat": stat("anon", used-active, "inactive_file", 0, "active_file", active)}.in(box)
	}
	ctx, _ := procOf(t, tree{"stat": "cpu  1 1 1 1 1 1 1 1 1 1" + statTail, "meminfo": "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n"})
	root := t.TempDir()
	v2("0::/box\n").with(group(980, 860)).write(t, root)
	v := newOn(Config{CPU: -1, Disk: -1, Samples: 1}.withDefaults(), os.DirFS(root))
	v.read(ctx)
	admitted(t, v)
	group(1000, 20).write(t, root)
	v.read(ctx)
	refusal := refused(t, v)
	want := "memory is at 95.7 % by /sys/fs/cgroup/box: 980 MiB in use of the 1 GiB that memory.max of the control group allows, " +
		"not counting 20 MiB of cache that the kernel takes back when it is needed, and from 90 % on that is too much; it is over below 85 %; " +
		"to mend it, let less run at once here, or raise memory.max, which is the limit of the container"
	if got := refusal.Conditions[0].Message; got != want {
		t.Errorf("it says\n%s, want\n%s", got, want)
	}
}
