package core

// Cause says why a breaker changed its state or refused a call. The zero Cause
// is that of a breaker that has never changed.
type Cause uint8

// What opens and closes a breaker, and what refuses.
const (
	NoCause       Cause = iota
	FailuresInRow       // FailureThreshold failures in a row: closed to open
	FailureRate         // FailureRateThreshold reached in the window: closed to open
	SlowRate            // SlowRateThreshold reached in the window: closed to open
	ProbeFailed         // a probe failed: half-open to open
	ProbeSlow           // a probe was slow while the slow-call rule is on: half-open to open
	ProbeLost           // refused: a probe was not settled within ProbeTimeout, and the next goes out later
	BreakOver           // the break is over: open to half-open
	ProbesPassed        // SuccessThreshold probes succeeded: half-open to closed
	ManualReset         // Reset was called
	ProbesOut           // refused: all probes are out
	RampingUp           // refused: the breaker has just closed and admits a growing share
	HeldOpen            // refused: an operator forced the breaker open
	CheckPassed         // a health check succeeded while the break lasted: open to half-open
	Restored            // Restore was called: closed to open
	LimitReached        // refused: a Limit has no place left for the call
)

var causeNames = [...]string{ //nolint:gochecknoglobals // a table
	NoCause:       "none",
	FailuresInRow: "failures in a row",
	FailureRate:   "failure rate",
	SlowRate:      "slow-call rate",
	ProbeFailed:   "a probe failed",
	ProbeSlow:     "a probe was slow",
	ProbeLost:     "a probe was lost",
	BreakOver:     "the break is over",
	ProbesPassed:  "the probes passed",
	ManualReset:   "reset by hand",
	ProbesOut:     "all probes are out",
	RampingUp:     "ramping up",
	HeldOpen:      "forced open by hand",
	CheckPassed:   "a health check passed",
	Restored:      "restored from a snapshot",
	LimitReached:  "the limit is reached",
}

// String returns the cause in words.
func (c Cause) String() string { return enumName(causeNames[:], c) }

// MarshalText makes a Cause readable in JSON and YAML. It never fails.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (c *Cause) UnmarshalText(text []byte) error { return enumRead(causeNames[:], "Cause", text, c) }
