package failsafe

import (
	"fmt"
	"strings"
	"time"
)

// Reading is what is known of one of the [Vitals].
type Reading struct {
	Type      Type
	Path      string    // of a [Disk], the path that stands for it
	Threshold float64   // percent
	Value     float64   // percent, of the last time that it could be read
	Source    string    // where Value is from: "host" or the directory of a control group
	Detail    string    // in words: how much of what, by which limit; empty if it never was read
	At        time.Time // when Value was read; zero if it never was
	Err       error     // why it could not be read the last time, in full or in part; nil if it could
}

// name is how the reading is called in a sentence.
func (r Reading) name() string {
	if r.Path != "" {
		return string(r.Type) + " " + r.Path
	}
	return string(r.Type)
}

// Explain tells a person what was read, and where: "memory is at 97 % by
// /sys/fs/cgroup: 993 MiB in use of the 1 GiB that memory.max of the control group
// allows".
func (r Reading) Explain() string {
	if r.At.IsZero() {
		return r.name() + " is not known"
	}
	s := fmt.Sprintf("%s is at %.3g %%", r.name(), r.Value)
	if r.Source != "" {
		s += " by " + r.Source
	}
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	return s
}

// texts are those of all readings, each with its threshold.
func texts(readings []Reading) string {
	var all []string
	for i := range readings {
		s := readings[i].Explain()
		if !readings[i].At.IsZero() {
			s += fmt.Sprintf(" (of %.4g %%)", readings[i].Threshold)
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ")
}
