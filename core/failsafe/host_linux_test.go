package failsafe

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/common"
)

// procOf is a context in which the library reads another /proc.
func procOf(t *testing.T, files tree) (ctx context.Context, root string) {
	t.Helper()
	root = t.TempDir()
	files.write(t, root)
	return context.WithValue(bg, common.EnvKey, common.EnvMap{common.HostProcEnvKey: root}), root
}

// What this machine says is plausible, with no fault.
func TestThisHost(t *testing.T) {
	dir := t.TempDir()
	v, err := New(Config{DiskPaths: []string{"/", dir, "."}})
	if err != nil {
		t.Fatal(err)
	}
	v.read(bg)
	for deadline := time.Now().Add(10 * time.Second); v.Readings()[0].At.IsZero(); { // the kernel counts in ticks
		if time.Now().After(deadline) {
			t.Fatalf("no use of the CPU is known: %v", v)
		}
		v.read(bg)
	}
	t.Log(v)
	readings := v.Readings()
	if len(readings) != 5 {
		t.Fatalf("%d readings, want cpu, memory and 3 disks", len(readings))
	}
	for i, r := range readings {
		if r.Err != nil || r.Value < 0 || r.Value > 100 || r.Source == "" || time.Since(r.At) > time.Minute {
			t.Errorf("%+v", r)
		}
		if r.Detail == "" || i > 0 && r.Value == 0 && !strings.Contains(r.Detail, "read-only") {
			t.Errorf("nothing of %s is in use: %s", r.name(), r.Explain())
		}
	}
	if cwd, _ := os.Getwd(); readings[4].Path != cwd {
		t.Errorf("the path %q, want the working directory", readings[4].Path)
	}
	for _, c := range v.Conditions() {
		if c.Type == Sensor {
			t.Errorf("%+v", c)
		}
	}
}

const statTail = "\nintr 1\nctxt 2\n"

// The use of the CPU is that between two readings, not since the machine began.
func TestHostCPU(t *testing.T) {
	stat := func(line string) tree { return tree{"stat": "cpu  " + line + statTail} }
	for _, row := range []struct {
		name          string
		first, second string // user nice system idle iowait irq softirq steal guest guest_nice
		percent       float64
	}{
		{"a quarter", "1000 0 0 9000 0 0 0 0 0 0", "1100 0 0 9300 0 0 0 0 0 0", 25},
		{"of all kinds", "0 0 0 0 0 0 0 0 0 0", "10 20 30 70 30 10 10 20 0 0", 50},
		{"guests are users", "0 0 0 0 0 0 0 0 0 0", "50 0 0 50 0 0 0 0 50 0", 50},
		{"waiting for a disk is no use of the CPU", "0 0 0 0 0 0 0 0 0 0", "10 0 0 10 80 0 0 0 0 0", 10},
		{"all", "5 0 0 7 0 0 0 0 0 0", "105 0 0 7 0 0 0 0 0 0", 100},
		{"nothing", "5 0 0 7 0 0 0 0 0 0", "5 0 0 107 0 0 0 0 0 0", 0},
		{"no time has passed", "5 0 0 7 0 0 0 0 0 0", "5 0 0 7 0 0 0 0 0 0", nan},
		{"a processor was taken away", "1000 0 0 9000 0 0 0 0 0 0", "500 0 0 4500 0 0 0 0 0 0", nan},
	} {
		bubble(t, row.name, func(t *testing.T) {
			ctx, root := procOf(t, stat(row.first))
			read := hostCPU(15 * time.Second)
			if percent, _, err := parts(read(ctx)); !math.IsNaN(percent) || err != nil {
				t.Errorf("the first reading: %v, %v", percent, err)
			}
			time.Sleep(5 * time.Second)
			stat(row.second).write(t, root)
			percent, source, err := parts(read(ctx))
			if math.Abs(percent-row.percent) > 1e-9 || math.IsNaN(percent) != math.IsNaN(row.percent) || source != host || err != nil {
				t.Errorf("%v of %q, %v; want %v", percent, source, err, row.percent)
			}
		})
	}
	bubble(t, "readings too far apart are not compared", func(t *testing.T) {
		ctx, root := procOf(t, stat("0 0 0 0 0 0 0 0 0 0"))
		read := hostCPU(15 * time.Second)
		for i, row := range []struct {
			pass time.Duration
			line string
			want float64
		}{
			{0, "0 0 0 0 0 0 0 0 0 0", nan}, {16 * time.Second, "100 0 0 0 0 0 0 0 0 0", nan}, {15 * time.Second, "130 0 0 70 0 0 0 0 0 0", 30},
		} {
			time.Sleep(row.pass)
			stat(row.line).write(t, root)
			if percent, _, _ := parts(read(ctx)); math.Abs(percent-row.want) > 1e-9 || math.IsNaN(percent) != math.IsNaN(row.want) {
				t.Errorf("reading %d: %v, want %v", i, percent, row.want)
			}
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		ctx, root := procOf(t, tree{"stat": "nothing\n"})
		read := hostCPU(time.Minute)
		if percent, _, err := parts(read(ctx)); !math.IsNaN(percent) || err == nil {
			t.Errorf("of nonsense: %v, %v", percent, err)
		}
		if err := os.Remove(filepath.Join(root, "stat")); err != nil {
			t.Fatal(err)
		}
		if percent, _, err := parts(read(ctx)); !math.IsNaN(percent) || err == nil {
			t.Errorf("of no file: %v, %v", percent, err)
		}
	})
}

// An idle machine in which the limits of a container are all but reached.
func TestContainer(t *testing.T) {
	proc := func(stat string) tree {
		return tree{"stat": "cpu  " + stat + statTail, "meminfo": "MemTotal: 1000 kB\nMemAvailable: 900 kB\n"}
	}
	bubble(t, "its limits count", func(t *testing.T) {
		ctx, host := procOf(t, proc("0 0 0 0 0 0 0 0 0 0"))
		root := t.TempDir()
		v2("0::/box\n").with(cpu2("50000 100000", "0").in(box)).with(memory2("1000", "970", "0").in(box)).write(t, root)
		v := newOn(Config{Disk: -1, Samples: 1}.withDefaults(), os.DirFS(root))
		v.read(ctx)
		time.Sleep(5 * time.Second)
		proc("100 0 0 900 0 0 0 0 0 0").write(t, host)
		cpu2("50000 100000", "2400000").in(box).write(t, root)
		v.read(ctx)
		if got, want := severities(refused(t, v).Conditions), "cpu:high memory:high"; got != want {
			t.Errorf("refused for %q, want %q", got, want)
		}
		want := "cpu is at 96 % by /" + box + ": of the time of 0.5 processors, which cpu.max of the control group allows (of 90 %); " +
			"memory is at 97 % by /" + box + ": 970 B in use of the 1000 B that memory.max of the control group allows (of 90 %)"
		if got := texts(v.Readings()); got != want {
			t.Errorf("%q, want %q", got, want)
		}

		time.Sleep(5 * time.Second) // now it is the machine that is short of all
		proc("1100 0 0 900 0 0 0 0 0 0").with(tree{"meminfo": "MemTotal: 1000 kB\nMemAvailable: 10 kB\n"}).write(t, host)
		v.read(ctx)
		if got, want := texts(v.Readings()), "cpu is at 100 % by host: of the time of all processors of the machine (of 90 %); "+
			"memory is at 99 % by host: 10 KiB available of 1000 KiB, cache that can be taken back included (of 90 %)"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestHostDisk(t *testing.T) {
	for path, readable := range map[string]bool{"/": true, t.TempDir(): true, "/proc": false, "/no/such/place": false} {
		percent, source, err := parts(hostDisk(path)(bg))
		if readable != (err == nil) || readable != (percent >= 0 && percent <= 100 && source == host) {
			t.Errorf("%s: %v of %q, %v", path, percent, source, err)
		}
	}
}

func TestNoWorkingDirectory(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if v, err := New(Config{}); err == nil {
		t.Errorf("New = %v, want an error", v)
	}
	if _, err := New(Config{DiskPaths: []string{"/"}}); err != nil {
		t.Errorf("with a path of its own: %v", err)
	}
}
