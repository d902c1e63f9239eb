package failsafe

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// measured is what a sensor says.
type measured struct {
	percent float64 // NaN where there is none: no limit, nothing yet to compare with, or a fault
	source  string  // "host" or the directory of a control group
	detail  string  // in words: of what it is a share, and by which limit
	remedy  string  // what a person can do about it
}

//nolint:gochecknoglobals // a constant but for NaN
var unknown = measured{percent: math.NaN()}

// sense takes a measurement. An err beside a number says that something else was
// not readable. It does not wait.
type sense func(ctx context.Context) (measured, error)

// safely makes an error of a panic, which would take the program with it: none of
// the program's own code is above it.
func (s sense) safely(ctx context.Context) (m measured, err error) {
	defer func() {
		if p := recover(); p != nil {
			m, err = unknown, fmt.Errorf("panic: %v", p)
		}
	}()
	return s(ctx)
}

// tighter is the highest of what the senses say.
func tighter(senses ...sense) sense {
	return func(ctx context.Context) (measured, error) {
		most := unknown
		var faults []error
		for _, s := range senses {
			m, err := s.safely(ctx)
			faults = append(faults, err)
			most = higher(m, most)
		}
		return most, errors.Join(faults...)
	}
}

// higher is a if its percentage is above that of b or the only one, else b.
func higher(a, b measured) measured {
	if a.percent > b.percent || math.IsNaN(b.percent) {
		return a
	}
	return b
}

// share is the percentage that used is of had; NaN for counters that went back or
// stood still.
func share(used, had float64) float64 {
	if used < 0 || had <= 0 {
		return math.NaN()
	}
	return 100 * used / had
}

// size is a number of bytes for a person.
func size(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for bytes >= 1024 && i < len(units)-1 {
		bytes /= 1024
		i++
	}
	return fmt.Sprintf("%.4g %s", bytes, units[i])
}
