package core

import "github.com/blackbox4/switchgear/internal/enum"

// Cause says why a breaker changed its state or refused a call. The zero Cause
// is that of a breaker that has never changed.
type Cause uint8

// What opens and closes a breaker, and what refuses.
const (
	NoCause                  Cause = iota
	CauseConsecutiveFailures       // FailureThreshold consecutive failures: closed to open
	CauseFailureRate               // FailureRateThreshold reached in the window: closed to open
	CauseSlowRate                  // SlowRateThreshold reached in the window: closed to open
	CauseProbeFailed               // a probe failed: half-open to open
	CauseProbeSlow                 // a probe was slow while the slow-call rule is on: half-open to open
	CauseProbeLost                 // refused: a probe was not settled within ProbeTimeout, and the next goes out later
	CauseTimeoutElapsed            // the break is over: open to half-open
	CauseProbesPassed              // SuccessThreshold probes succeeded: half-open to closed
	CauseManualReset               // Reset was called
	CauseProbesOut                 // refused: all probes are out
	CauseRampingUp                 // refused: the breaker has just closed and admits a growing share
	CauseForcedOpen                // refused: an operator forced the breaker open
	CauseCheckPassed               // a health check succeeded while the break lasted: open to half-open
	CauseRestored                  // Restore was called: closed to open
	CauseLimitReached              // refused: a Limit has no place left for the call
)

var causeNames = enum.Names[Cause]{Type: "Cause", Of: []string{ //nolint:gochecknoglobals // a table
	NoCause:                  "none",
	CauseConsecutiveFailures: "consecutive failures",
	CauseFailureRate:         "failure rate",
	CauseSlowRate:            "slow-call rate",
	CauseProbeFailed:         "a probe failed",
	CauseProbeSlow:           "a probe was slow",
	CauseProbeLost:           "a probe was lost",
	CauseTimeoutElapsed:      "timeout elapsed",
	CauseProbesPassed:        "the probes passed",
	CauseManualReset:         "reset by hand",
	CauseProbesOut:           "all probes are out",
	CauseRampingUp:           "ramping up",
	CauseForcedOpen:          "forced open by hand",
	CauseCheckPassed:         "a health check passed",
	CauseRestored:            "restored from a snapshot",
	CauseLimitReached:        "the limit is reached",
}}

// String returns the cause in words.
func (c Cause) String() string { return causeNames.String(c) }

// MarshalText makes a Cause readable in JSON and YAML. It never fails.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote. The error is a [*ConfigError].
func (c *Cause) UnmarshalText(text []byte) error { return readEnum(causeNames, text, c) }
