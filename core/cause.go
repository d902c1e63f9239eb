package core

import "strconv"

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
)

// String returns the cause in words.
func (c Cause) String() string {
	switch c {
	case NoCause:
		return "none"
	case FailuresInRow:
		return "failures in a row"
	case FailureRate:
		return "failure rate"
	case SlowRate:
		return "slow-call rate"
	case ProbeFailed:
		return "a probe failed"
	case ProbeSlow:
		return "a probe was slow"
	case ProbeLost:
		return "a probe was lost"
	case BreakOver:
		return "the break is over"
	case ProbesPassed:
		return "the probes passed"
	case ManualReset:
		return "reset by hand"
	case ProbesOut:
		return "all probes are out"
	case RampingUp:
		return "ramping up"
	case HeldOpen:
		return "forced open by hand"
	case CheckPassed:
		return "a health check passed"
	}
	return "Cause(" + strconv.Itoa(int(c)) + ")"
}

// MarshalText makes a Cause readable in JSON and YAML. It never fails.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
