package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// LimitConfig says how many calls a [Limit] lets be in flight at once.
//
// The zero LimitConfig is an adaptive limit: it begins at 20 and moves between 1
// and 1000. With Min == Max the limit is fixed, a bulkhead, and reads no clock.
// In every field zero means the stated default. A LimitConfig is plain data: it
// can be copied, compared field by field and filled from JSON; the func fields
// and the logger are not part of that.
type LimitConfig struct {
	// Min is the smallest limit. Zero means 1; at most Max.
	Min int `json:"min,omitzero"`
	// Max is the largest limit. Zero means 1000, or Min if that is more; at most
	// 1048576.
	Max int `json:"max,omitzero"`
	// Initial is the limit to begin with, from Min to Max. A limit that is not
	// used up comes back to it, or to twice what is used if that is more. Zero
	// means 20, or the nearest number that Min and Max allow. [Limit.Update] does
	// not move the limit to it.
	Initial int `json:"initial,omitzero"`
	// Tolerance is how many times the base latency the mean latency may be before
	// the limit is cut. Zero means 1.5; from 1.1 to 10. One that is set needs a
	// limit that is not fixed.
	Tolerance float64 `json:"tolerance,omitzero"`
	// Reserve is the share of the limit that calls of [LowPriority] may not use,
	// below 1. Zero means 0.2, negative means none. However large it is, a call of
	// low priority is admitted when no call is in flight.
	Reserve float64 `json:"reserve,omitzero"`

	// Classify decides what became of a call that returned err; ctx is the
	// caller's. Nil means [DefaultClassify]. It runs with no lock held, and only
	// for the calls that are timed. A panic of it passes through; the call has
	// given its place back by then.
	Classify func(ctx context.Context, err error) Outcome `json:"-" yaml:"-"`
	// Hooks are told what happened.
	Hooks LimitHooks `json:"-" yaml:"-"`
	// Logger gets a line whenever the limit has doubled or halved since the last
	// line, and one for each panic of a hook. Nil means no logging.
	Logger *slog.Logger `json:"-" yaml:"-"`
	// Now is the clock. Nil means the time package's monotonic one. It is taken by
	// [NewLimit]; [Limit.Update] does not change it. While it stands still or has
	// been set back, the limit stays as it is. It is called by many goroutines at
	// once and must not panic.
	Now func() time.Time `json:"-" yaml:"-"`
}

// LimitHooks are told what happened to a [Limit]; each func may be nil. They run
// as [Hooks] do: one at a time and in order, with no lock held.
type LimitHooks struct {
	// LimitChanged is told of each change of the limit, which are at most ten a
	// second. Its ctx is that of the call that caused the change, or
	// [context.Background] for an Update.
	LimitChanged func(ctx context.Context, c LimitChange)
}

// LimitChange is one change of a [Limit].
type LimitChange struct {
	Name    string        `json:"name"`
	At      time.Time     `json:"at"`
	From    int           `json:"from"` // calls in flight
	To      int           `json:"to"`
	Base    time.Duration `json:"base"`    // the latency without a queue, as far as is known; 0 at first
	Latency time.Duration `json:"latency"` // the mean of the last window; 0 at first
}

const (
	defaultLimitMax     = 1000
	defaultLimitInitial = 20
	defaultTolerance    = 1.5
	defaultReserve      = 0.2

	maxLimit     = 1 << 20 // the count of calls in flight has 21 bits
	minTolerance = 1.1
	maxTolerance = 10
)

// Validate reports every fault of c at once, joined; each is a [*ConfigError].
// It returns nil for a LimitConfig that [NewLimit] accepts.
func (c LimitConfig) Validate() error {
	var faults []error
	check := func(ok bool, field string, value any, allowed string) {
		if !ok {
			faults = append(faults, &ConfigError{Field: field, Value: value, Allowed: allowed})
		}
	}
	least, most := cmp.Or(c.Min, 1), c.limitMax()
	check(c.Min >= 0 && c.Min <= maxLimit, "Min", c.Min, "1 to 1048576; 0 for 1")
	check(c.Max >= 0 && c.Max <= maxLimit, "Max", c.Max, "1 to 1048576; 0 for 1000")
	check(c.Max <= 0 || c.Min <= c.Max, "Min", c.Min, fmt.Sprintf("at most Max (%d)", c.Max))
	check(c.Initial == 0 || c.Initial >= least && c.Initial <= most, "Initial", c.Initial, fmt.Sprintf("from Min (%d) to Max (%d); 0 for 20", least, most))
	check(c.Tolerance == 0 || c.Tolerance >= minTolerance && c.Tolerance <= maxTolerance, "Tolerance", c.Tolerance, "1.1 to 10; 0 for 1.5")
	check(c.Tolerance == 0 || least != most, "Tolerance", c.Tolerance, "0 when Min and Max are equal, which makes a fixed limit")
	check(c.Reserve < 1, "Reserve", c.Reserve, "in (0, 1); 0 for 0.2, negative for none")
	return errors.Join(faults...)
}

func (c LimitConfig) limitMax() int {
	return cmp.Or(c.Max, max(defaultLimitMax, c.Min))
}

// withDefaults returns c with every default filled in. c must be valid.
func (c LimitConfig) withDefaults() LimitConfig {
	c.Max = c.limitMax()
	c.Min = cmp.Or(c.Min, 1)
	c.Initial = cmp.Or(c.Initial, min(max(defaultLimitInitial, c.Min), c.Max))
	if c.Min != c.Max { // Validate refuses it for a fixed limit
		c.Tolerance = cmp.Or(c.Tolerance, defaultTolerance)
	}
	c.Reserve = max(cmp.Or(c.Reserve, defaultReserve), -1)
	return c
}

// room returns how many calls of normal and of low priority may be in flight at
// a limit, which is at least 1.
func (c LimitConfig) room(limit float64) (normal, low int) {
	const slack = 1e-9 // or a reserve of 0.7 would leave 4 of 10, by binary fractions
	normal = int(limit)
	low = int(math.Ceil((1-max(c.Reserve, 0))*limit - slack))
	return normal, min(max(low, 1), normal)
}
