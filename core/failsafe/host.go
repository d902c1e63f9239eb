package failsafe

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
)

const host = "host"

// The library leaves out what it cannot read, without an error.
var (
	errNoTimes  = errors.New("the host tells no processor times")
	errNoMemory = errors.New("the host tells no size of its memory")
	errNoDisk   = errors.New("the file system tells no size")
)

// hostCPU measures from one call to the next, if they are no more than longest
// apart. The library's own Percent either waits, or compares with the last call
// that anybody in the program made.
func hostCPU(longest time.Duration) sense {
	var busy, total float64
	var at time.Time
	return func(ctx context.Context) (float64, string, error) {
		all, err := cpu.TimesWithContext(ctx, false)
		if err != nil {
			return math.NaN(), "", err
		}
		if len(all) == 0 {
			return math.NaN(), "", errNoTimes
		}
		t, now := all[0], time.Now()
		// Guests' time is in User and Nice already. What the hypervisor gives to
		// others, Steal, is not ours to use.
		nowBusy := t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal
		nowTotal := nowBusy + t.Idle + t.Iowait
		percent := share(nowBusy-busy, nowTotal-total)
		if at.IsZero() || now.Sub(at) > longest {
			percent = math.NaN()
		}
		busy, total, at = nowBusy, nowTotal, now
		return percent, host, nil
	}
}

// hostMemory goes by what is available, not by what is used: what the cache holds
// in shared memory and tmpfs cannot be given back.
func hostMemory(ctx context.Context) (percent float64, source string, err error) {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return math.NaN(), "", err
	}
	if m.Total == 0 {
		return math.NaN(), "", errNoMemory
	}
	return 100 * (1 - float64(m.Available)/float64(m.Total)), host, nil
}

func hostDisk(path string) sense {
	return func(ctx context.Context) (float64, string, error) {
		d, err := disk.UsageWithContext(ctx, path)
		if err != nil {
			return math.NaN(), "", err
		}
		if d.Total == 0 {
			return math.NaN(), "", errNoDisk
		}
		return d.UsedPercent, host, nil
	}
}
