package failsafe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Config says what [Vitals] read, and when that is a condition. The zero Config
// is the documented default: everything from 90 %, on the disk of the working
// directory, read every 5 s. In every field zero means the stated default; where a
// field says so, a negative number switches it off. A Config is plain data: it can
// be filled from JSON, with durations in nanoseconds, or from the section
// "failsafe" of a file of presets.
type Config struct {
	// CPU, Memory and Disk are the percentages from which on the use of each is
	// a condition. Zero means 90; negative means that it is not read. At least
	// 1, at most 100.
	CPU    float64 `json:"cpu,omitzero"`
	Memory float64 `json:"memory,omitzero"`
	Disk   float64 `json:"disk,omitzero"`
	// DiskPaths are files or directories, at most 32, each of which stands for
	// the file system it is on. None means the directory in which the program
	// runs when [New] is called, from which paths that are not absolute are
	// taken, too. One on a network file system that hangs keeps all vitals from
	// being read while it does.
	DiskPaths []string `json:"disk_paths,omitempty"`

	// Interval is the time from one reading to the next, over which the use of
	// the CPU is measured. Zero means 5 s; 100 ms to 10 min.
	Interval time.Duration `json:"interval,omitzero"`
	// Samples is how many readings in a row begin and end a condition. Zero
	// means 2; at most 100.
	Samples int `json:"samples,omitzero"`
	// Margin is how many percentage points below its threshold a condition
	// ends; the same holds for the severities. Zero means 5, negative none; it
	// must be less than each threshold.
	Margin float64 `json:"margin,omitzero"`
	// MaxAge is how old a reading may be; an older one counts for nothing, and
	// that is a condition of the type [Sensor]. Zero means 3 times Interval; at
	// least twice Interval.
	MaxAge time.Duration `json:"max_age,omitzero"`

	// Refuse is the least severity for which calls are refused. Zero means
	// [Medium]: a sensor that cannot be read refuses nothing. With [Low] it does,
	// and so do vitals that have not been read yet, or too long ago.
	Refuse Severity `json:"refuse,omitzero"`
}

const (
	defaultThreshold = 90.0
	defaultInterval  = 5 * time.Second
	defaultSamples   = 2
	defaultMargin    = 5.0
	defaultAges      = 3 // times Interval

	minInterval  = 100 * time.Millisecond
	maxInterval  = 10 * time.Minute
	maxSamples   = 100
	maxDiskPaths = 32
	maxPath      = 4096
)

// Validate reports every fault of c at once, joined; each is a
// [*core.ConfigError]. It returns nil for a Config that [New] accepts.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &core.ConfigError{Field: field, Value: value, Allowed: allowed})
		}
	}
	const percent = "1 to 100 percent; 0 for 90, negative for off"
	check(percentage(c.CPU), "CPU", c.CPU, percent)
	check(percentage(c.Memory), "Memory", c.Memory, percent)
	check(percentage(c.Disk), "Disk", c.Disk, percent)

	check(len(c.DiskPaths) <= maxDiskPaths, "DiskPaths", len(c.DiskPaths), "at most 32 paths")
	for i, path := range c.DiskPaths[:min(len(c.DiskPaths), maxDiskPaths)] {
		field := fmt.Sprintf("DiskPaths[%d]", i)
		check(path != "" && len(path) <= maxPath && !strings.ContainsRune(path, 0), field, path, "a path of 1 to 4096 bytes without NUL")
		check(!slices.Contains(c.DiskPaths[:i], path), field, path, "each path once")
	}

	check(c.Interval == 0 || c.Interval >= minInterval && c.Interval <= maxInterval, "Interval", c.Interval, "100ms to 10m; 0 for 5s")
	check(c.Samples >= 0 && c.Samples <= maxSamples, "Samples", c.Samples, "1 to 100; 0 for 2")
	check(c.MaxAge == 0 || c.MaxAge > 0 && c.MaxAge >= 2*or(c.Interval, defaultInterval), "MaxAge", c.MaxAge, "at least twice Interval; 0 for three times")
	check(c.Refuse <= Critical, "Refuse", c.Refuse, "low, medium, high or critical; 0 for medium")

	least := math.Inf(1)
	for _, threshold := range []float64{c.CPU, c.Memory, c.Disk} {
		if threshold >= 0 && percentage(threshold) {
			least = min(least, or(threshold, defaultThreshold))
		}
	}
	check(or(c.Margin, defaultMargin) < least, "Margin", c.Margin, "less than each threshold; 0 for 5, negative for none")
	return errors.Join(faults...)
}

// percentage reports whether v is allowed as a threshold; NaN is not. What lies
// between 0 and 1 is a share by mistake.
func percentage(v float64) bool { return v <= 0 || v >= 1 && v <= 100 }

// withDefaults returns c with every default filled in; it must be valid.
func (c Config) withDefaults() Config {
	c.CPU, c.Memory, c.Disk = or(c.CPU, defaultThreshold), or(c.Memory, defaultThreshold), or(c.Disk, defaultThreshold)
	c.DiskPaths = slices.Clone(c.DiskPaths)
	if len(c.DiskPaths) == 0 {
		c.DiskPaths = []string{"."}
	}
	c.Interval = or(c.Interval, defaultInterval)
	c.Samples = or(c.Samples, defaultSamples)
	c.Margin = max(or(c.Margin, defaultMargin), 0)
	c.MaxAge = or(c.MaxAge, defaultAges*c.Interval)
	c.Refuse = or(c.Refuse, Medium)
	return c
}

func or[T comparable](v, zero T) T {
	var z T
	if v == z {
		return zero
	}
	return v
}
