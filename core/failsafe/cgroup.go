package failsafe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"
)

// cgroups reads what the control groups of this process allow and use, by the
// kernel's documents cgroup-v2, cgroup-v1/memory and scheduler/sched-bwc. Every
// group on the way up to the top that is visible may have a limit; the one that is
// nearest to it counts.
type cgroups struct {
	files   fs.FS // the root of the file system
	longest time.Duration

	self        []byte // what /proc/self/cgroup said when these were found
	memory, cpu groups
	used        map[string]cpuUsed // by directory, at the last reading
}

// groups are the group of the process and those that it is in, for one resource.
type groups struct {
	v1   bool
	dirs []string // of files, from the innermost on
	acct []string // of version 1, where the processor time of each is counted
	err  error
}

type cpuUsed struct {
	seconds float64
	at      time.Time
}

// unlimited is above every limit that means something: version 1 says no limit
// by the largest number of whole pages.
const unlimited = 1 << 60

func (c *cgroups) cpuUse(context.Context) (measured, error) {
	most := unknown
	err := c.find()
	if err == nil {
		err = c.cpu.err
	}
	last := c.used
	c.used = make(map[string]cpuUsed)
	for i, dir := range c.cpu.dirs {
		cores, fault := c.cores(dir)
		if fault == nil && cores < unlimited {
			var now cpuUsed
			if now, fault = c.cpuOf(i); fault == nil {
				c.used[dir] = now
				most = higher(measured{
					percent: now.since(last[dir], cores, c.longest), source: "/" + dir,
					detail: fmt.Sprintf("of the time of %.3g processors, which %s of the control group allows", cores, c.quotaFile()),
					remedy: "let less run at once here, or raise " + c.quotaFile() + ", which is the limit of the container",
				}, most)
			}
		}
		err = errors.Join(err, fault)
	}
	return most, err
}

// since is the percentage of so many cores used from before to now; NaN if there
// is nothing to compare with.
func (now cpuUsed) since(before cpuUsed, cores float64, longest time.Duration) float64 {
	passed := now.at.Sub(before.at)
	if before.at.IsZero() || passed > longest {
		return math.NaN()
	}
	return share(now.seconds-before.seconds, cores*passed.Seconds())
}

// quotaFile is the file with the limit.
func (c *cgroups) quotaFile() string {
	if c.cpu.v1 {
		return "cpu.cfs_quota_us"
	}
	return "cpu.max"
}

// cores is how many processors' time a group may use.
func (c *cgroups) cores(dir string) (float64, error) {
	if c.cpu.v1 {
		quota, err := c.limit(dir, c.quotaFile())
		if err != nil || quota >= unlimited {
			return quota, err
		}
		period, err := c.count(dir, "cpu.cfs_period_us")
		return quota / period, err
	}
	return c.quota(dir, c.quotaFile())
}

// cpuOf is the processor time that the group number i has used.
func (c *cgroups) cpuOf(i int) (used cpuUsed, err error) {
	if c.cpu.v1 {
		if c.cpu.acct == nil {
			return used, &fileError{c.cpu.dirs[i], c.quotaFile(), "is a quota, but the process is not in the same group of cpuacct"}
		}
		used.seconds, err = c.count(c.cpu.acct[i], "cpuacct.usage")
		used.seconds /= 1e9
	} else {
		used.seconds, err = c.field(c.cpu.dirs[i], "cpu.stat", "usage_usec")
		used.seconds /= 1e6
	}
	used.at = time.Now()
	return used, err
}
