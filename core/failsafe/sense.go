package failsafe

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// sense reads a percentage and says where it is from. It is NaN where there is
// none: no limit, nothing yet to compare with, or a fault. An err beside a number
// says that something else was not readable. It does not wait.
type sense func(ctx context.Context) (percent float64, source string, err error)

// safely makes an error of a panic, which would take the program with it: none of
// the program's own code is above it.
func (s sense) safely(ctx context.Context) (percent float64, source string, err error) {
	defer func() {
		if p := recover(); p != nil {
			percent, source, err = math.NaN(), "", fmt.Errorf("panic: %v", p)
		}
	}()
	return s(ctx)
}

// tighter is the highest of what the senses say.
func tighter(senses ...sense) sense {
	return func(ctx context.Context) (float64, string, error) {
		most, from := math.NaN(), ""
		var faults []error
		for _, s := range senses {
			percent, source, err := s.safely(ctx)
			faults = append(faults, err)
			if higher(percent, most) {
				most, from = percent, source
			}
		}
		return most, from, errors.Join(faults...)
	}
}

// higher reports whether a percentage is above another, or the only one.
func higher(percent, than float64) bool {
	return percent > than || math.IsNaN(than)
}

// share is the percentage that used is of had; NaN for counters that went back or
// stood still.
func share(used, had float64) float64 {
	if used < 0 || had <= 0 {
		return math.NaN()
	}
	return 100 * used / had
}
