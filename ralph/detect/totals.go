package detect

// Totals are what a [Run] has been told since it began.
type Totals struct {
	Steps      uint64  `json:"steps"`      // all of them
	Calls      uint64  `json:"calls"`      // of tools, that were made
	Errors     uint64  `json:"errors"`     // steps that failed
	Iterations uint64  `json:"iterations"` // all of them
	Failures   uint64  `json:"failures"`   // iterations that failed
	Refused    uint64  `json:"refused"`    // calls that were not made
	Tokens     int64   `json:"tokens"`     //
	Cost       float64 `json:"cost"`       //
	Progress   uint64  `json:"progress"`   // new fingerprints
	Nudges     uint64  `json:"nudges"`     // findings
	Trips      uint64  `json:"trips"`      // findings
}
