package failsafe

import (
	"context"
	"errors"
	"fmt"
)

// memoryLimit is a limit on the memory of a group: the files with the limit and
// with what counts towards it.
type memoryLimit struct {
	limit, used string
	// inherited is the key in memory.stat for the lowest limit of the group and of
	// all that it is in, also of those that cannot be seen from here. Only version
	// 1 has it.
	inherited string
}

// memoryLimits are those of a version. At the last one of version 2, memory.high,
// the kernel throttles every process of the group instead of killing one, which
// leaves no more room for work. The second one of version 1 is on memory and swap
// together; where swap is not counted, its files are not there.
func memoryLimits(v1 bool) []memoryLimit {
	if v1 {
		return []memoryLimit{
			{"memory.limit_in_bytes", "memory.usage_in_bytes", "hierarchical_memory_limit"},
			{"memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", "hierarchical_memsw_limit"},
		}
	}
	return []memoryLimit{
		{limit: "memory.max", used: "memory.current"},
		{limit: "memory.high", used: "memory.current"},
	}
}

func (c *cgroups) memoryUse(context.Context) (measured, error) {
	most := unknown
	err := c.find()
	if err == nil {
		err = c.memory.err
	}
	for i, dir := range c.memory.dirs {
		group := memoryGroup{cgroups: c, dir: dir, outermost: i == len(c.memory.dirs)-1}
		group.stat, group.fault = c.keys(dir, "memory.stat")
		for _, l := range memoryLimits(c.memory.v1) {
			m, fault := group.use(l)
			err = errors.Join(err, fault)
			most = higher(m, most)
		}
	}
	return most, err
}

// memoryGroup is one of the groups that the process is in.
type memoryGroup struct {
	*cgroups

	dir       string
	outermost bool  // of those that can be seen
	stat      keyed // memory.stat
	fault     error // of reading it
}

// use is how much of one limit the group uses, without what the kernel takes back
// by itself when the limit is reached, before it kills a process.
func (g *memoryGroup) use(l memoryLimit) (measured, error) {
	limit, err := g.limit(g.dir, l.limit)
	if err != nil {
		return unknown, err
	}
	by := l.limit
	if inherited, ok, _ := g.stat.number(l.inherited); ok && g.outermost && inherited < limit {
		limit, by = inherited, l.inherited+" in memory.stat"
	}
	if limit >= unlimited {
		return unknown, nil
	}
	used, err := g.count(g.dir, l.used)
	if err != nil {
		return unknown, err
	}
	spare, err := g.reclaimable()
	if err != nil {
		return unknown, err
	}
	spare = min(spare, used)
	m := measured{
		percent: 100, source: "/" + g.dir,
		detail: fmt.Sprintf("%s in use of the %s that %s of the control group allows", size(used-spare), size(limit), by),
		remedy: "let less run at once here, or raise " + l.limit + ", which is the limit of the container",
	}
	if limit > 0 {
		m.percent = share(used-spare, limit)
	}
	if spare > 0 {
		m.detail += fmt.Sprintf(", not counting %s of cache that the kernel takes back when it is needed", size(spare))
	}
	return m, nil
}

// reclaimable is how much of the memory of the group the kernel can take back
// without writing anything to a disk. By the kernel's documents
// (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst, memory.stat)
// that is:
//
//   - inactive_file and active_file, the lists of pages that have a file behind
//     them. A page is on the active one because it was used more than once, as that
//     of any file is that is read twice; the kernel takes it as well, after the
//     inactive ones. Pages of shared memory and tmpfs are on the anonymous lists,
//     and locked ones on the unevictable list, so neither are in here, though both
//     are in "file" or "cache".
//   - without file_dirty and file_writeback, which have to reach the disk first: a
//     group that is full of them waits for the disk. Version 1 calls them dirty and
//     writeback.
//   - slab_reclaimable, the kernel's own caches of names and inodes, which are
//     charged to the group that looked them up. Version 1 does not tell it.
//
// Anonymous memory is not in here even if there is swap: work that waits for swap
// is no better off.
func (g *memoryGroup) reclaimable() (float64, error) {
	if g.fault != nil {
		return 0, g.fault
	}
	names := []string{"inactive_file", "active_file", "file_dirty", "file_writeback", "slab_reclaimable"}
	if g.memory.v1 {
		// Of the group and those in it, as its usage is.
		names = []string{"total_inactive_file", "total_active_file", "total_dirty", "total_writeback", ""}
	}
	var of [5]float64
	for i, name := range names {
		n, ok, err := g.stat.number(name)
		if err != nil {
			return 0, err
		}
		if required := i < 2; required && !ok {
			return 0, &fileError{g.dir, "memory.stat", "says nothing of " + name}
		}
		of[i] = n
	}
	inactive, active, dirty, writeback, slab := of[0], of[1], of[2], of[3], of[4]
	return max(inactive+active-dirty-writeback, 0) + slab, nil
}
