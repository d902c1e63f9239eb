package core

import (
	"fmt"
	"time"
)

// Explain tells a person, in one sentence, where the limit stands and why.
func (l *Limit) Explain() string {
	if !l.made() {
		return errNoLimit.Error()
	}
	s, judged := l.snapshot()
	out := fmt.Sprintf("limit %d, %d in use", s.Limit, s.InFlight)
	switch {
	case s.InFlight == 0:
		out = fmt.Sprintf("limit %d, none in use", s.Limit)
	case s.InFlight >= s.Limit:
		out = fmt.Sprintf("limit %d, all in use", s.Limit)
	}
	switch {
	case s.Min == s.Max:
		return out + "; it is fixed"
	case s.Base == 0:
		return out + "; latency not known yet"
	}
	out += fmt.Sprintf("; latency %v, base %v", threeDigits(s.Latency), threeDigits(s.Base))
	if s.Cuts == 0 {
		return out + "; never cut"
	}
	return out + fmt.Sprintf("; last cut %v ago, %s", about(s.At.Sub(s.LastCut)), judged)
}

// threeDigits rounds a latency to three digits.
func threeDigits(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

func (j judgment) String() string {
	switch j {
	case helped:
		return "it helped"
	case didNotHelp:
		return "it did not help and was undone"
	case saysNothing:
		return "it has shown nothing"
	case notJudged:
	}
	return "it is not judged yet"
}
