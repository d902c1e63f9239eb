package core

// Probes are counted over a breaker's life by how they were settled. One that is
// lost ([Totals]) is in none of these until it is settled after all.
type Probes struct {
	Successes uint64 `json:"successes"`
	Failures  uint64 `json:"failures"`
	Ignored   uint64 `json:"ignored"`
}

func (p *Probes) add(o Outcome) {
	switch o {
	case Success:
		p.Successes++
	case Failure:
		p.Failures++
	case Ignored:
		p.Ignored++
	}
}
