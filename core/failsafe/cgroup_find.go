package failsafe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const maxLevels = 32 // of groups that are in one another

// find looks up where the groups of this process are, if it is new or was moved.
func (c *cgroups) find() error {
	self, err := fs.ReadFile(c.files, "proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) { // no such system
		c.self, c.memory, c.cpu = nil, groups{}, groups{}
		return nil
	}
	if err != nil || bytes.Equal(self, c.self) {
		return err
	}
	c.memory, c.cpu = groups{}, groups{}
	data, err := fs.ReadFile(c.files, "proc/self/mountinfo")
	if err != nil {
		return err
	}
	mounts, places := parseMounts(string(data)), parsePlaces(string(self))
	c.memory = locate(mounts, places, "memory")
	c.cpu = locate(mounts, places, "cpu")
	if acct := locate(mounts, places, "cpuacct"); acct.v1 && places["cpu"] == places["cpuacct"] && len(acct.dirs) == len(c.cpu.dirs) {
		c.cpu.acct = acct.dirs
	}
	c.self = self
	return nil
}

// parsePlaces reads /proc/self/cgroup: the path of the group by controller, of
// version 2 by "".
func parsePlaces(text string) map[string]string {
	places := make(map[string]string)
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			places[controller] = parts[2]
		}
	}
	return places
}

// mount is where a hierarchy, or a part of it, can be seen.
type mount struct {
	v1          bool
	root, point string
	options     []string // of version 1, the controllers are among them
}

// parseMounts reads /proc/self/mountinfo, see proc_pid_mountinfo(5).
func parseMounts(text string) []mount {
	const root, point, kind, options = 3, 4, 0, 2
	var mounts []mount
	for line := range strings.Lines(text) {
		before, after, _ := strings.Cut(line, " - ")
		own, sup := strings.Fields(before), strings.Fields(after)
		if len(own) <= point || len(sup) <= options || sup[kind] != "cgroup" && sup[kind] != "cgroup2" {
			continue
		}
		mounts = append(mounts, mount{
			v1: sup[kind] == "cgroup", root: unescape(own[root]), point: unescape(own[point]),
			options: strings.Split(sup[options], ","),
		})
	}
	return mounts
}

// unescape undoes the octal escapes of mountinfo: \040 is a space.
func unescape(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// locate finds the directories of a controller. One that version 1 does not have
// is with version 2.
func locate(mounts []mount, places map[string]string, controller string) groups {
	place, v1 := places[controller]
	if !v1 {
		var v2 bool
		if place, v2 = places[""]; !v2 {
			return groups{}
		}
	}
	seen := -1
	for i, m := range mounts {
		if m.v1 != v1 || v1 && !slices.Contains(m.options, controller) {
			continue
		}
		if below, ok := under(place, m.root); ok {
			return groups{v1: v1, dirs: levels(m.point, below)}
		}
		seen = i
	}
	if seen >= 0 { // by another name, as in a namespace: what can be seen is what we are in
		return groups{v1: v1, dirs: levels(mounts[seen].point, "")}
	}
	if place == "/" { // at the top nothing is limited
		return groups{v1: v1}
	}
	return groups{v1: v1, err: fmt.Errorf("the process is in the %s control group %q, which is mounted nowhere", controller, place)}
}

// under is what comes after root in place; ok is false if it is not in there.
func under(place, root string) (below string, ok bool) {
	if slices.Contains(strings.Split(place, "/"), "..") {
		return "", false
	}
	below, ok = strings.CutPrefix(place, strings.TrimSuffix(root, "/"))
	return below, ok && (below == "" || below[0] == '/')
}

// levels are the directories from the group up to the top that is visible, by
// their names in an [fs.FS].
func levels(point, below string) []string {
	point = path.Clean("/" + point)
	var dirs []string
	for dir := path.Join(point, below); len(dirs) < maxLevels; dir = path.Dir(dir) {
		dirs = append(dirs, strings.TrimPrefix(dir, "/"))
		if dir == point || dir == "/" {
			break
		}
	}
	return dirs
}
