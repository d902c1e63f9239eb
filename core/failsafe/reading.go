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
	At        time.Time // when Value was read; zero if it never was
	Err       error     // why it could not be read the last time, in full or in part; nil if it could
}

// name is how the reading is called in a sentence.
func (r *Reading) name() string {
	if r.Path != "" {
		return string(r.Type) + " " + r.Path
	}
	return string(r.Type)
}

// text is "cpu 12.5 % of 90 % (host)".
func (r *Reading) text() string {
	if r.At.IsZero() {
		return r.name() + " not known"
	}
	s := fmt.Sprintf("%s %.3g %% of %.4g %%", r.name(), r.Value, r.Threshold)
	if r.Source != "" {
		s += " (" + r.Source + ")"
	}
	return s
}

func texts(readings []Reading) string {
	var all []string
	for i := range readings {
		all = append(all, readings[i].text())
	}
	return strings.Join(all, ", ")
}
