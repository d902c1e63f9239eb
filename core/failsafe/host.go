package failsafe

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
)

const host = "host"

// The library leaves out what it cannot read, without an error.
var errNoTimes = errors.New("the host tells no processor times")

// hostCPU measures from one call to the next, if they are no more than longest
// apart. The library's own Percent either waits, or compares with the last call
// that any code in the program made.
func hostCPU(longest time.Duration) sense {
	var busy, total float64
	var at time.Time
	return func(ctx context.Context) (measured, error) {
		all, err := cpu.TimesWithContext(ctx, false)
		if err != nil {
			return unknown, err
		}
		if len(all) == 0 {
			return unknown, errNoTimes
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
		return measured{
			percent: percent, source: host, detail: "of the time of all processors of the machine",
			remedy: "let less run at once on this machine, or add processors",
		}, nil
	}
}
