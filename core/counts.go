package core

// Counts is what one phase has counted: of a closed breaker its window, of a
// half-open one its probes.
type Counts struct {
	Calls       int `json:"calls"`       // in the window; of a half-open breaker, probes settled
	Failures    int `json:"failures"`    // of these
	Slow        int `json:"slow"`        // of these, whatever else they were
	Consecutive int `json:"consecutive"` // consecutive failures now; of a half-open breaker, successes
}

// FailureRate is Failures of Calls; 0 without calls.
func (c Counts) FailureRate() float64 { return share(c.Failures, c.Calls) }

// SlowRate is Slow of Calls; 0 without calls.
func (c Counts) SlowRate() float64 { return share(c.Slow, c.Calls) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
