package core

// Probes are counted over a breaker's life by what became of them; one that was
// lost has failed.
type Probes struct {
	Successes, Failures, Ignored uint64
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
