package otelexport

import (
	"iter"

	"github.com/blackbox4/switchgear/core"
)

// Source lists the breakers to export and the names to export them under. A
// [core.Registry] is one, [Breakers] makes one of single breakers, and [Join] one of
// several. All is called for each collection, twice at most, perhaps by several
// goroutines at once, and must neither register nor unregister anything with
// OpenTelemetry. The counters of a breaker that is no longer listed stay as they were
// while there is room for them, and all else is no longer exported. A source that has
// a method Stats as a [core.Registry] has tells by it what all its breakers have
// counted.
type Source interface {
	All() iter.Seq2[string, *core.Breaker]
}

// Breakers returns a [Source] of single breakers under their own names. A nil one
// is left out.
func Breakers(breakers ...*core.Breaker) Source { return single(breakers) }

type single []*core.Breaker

func (s single) All() iter.Seq2[string, *core.Breaker] {
	return func(yield func(string, *core.Breaker) bool) {
		for _, b := range s {
			if b != nil && !yield(b.Name(), b) {
				return
			}
		}
	}
}

// Join returns a [Source] of what several list, one after the other. A nil one is
// left out.
func Join(sources ...Source) Source { return joined(sources) }

type joined []Source

// Parts yields the sources, for those that ask what kind each is.
func (j joined) Parts(yield func(part any) bool) {
	for _, s := range j {
		if s != nil && !yield(s) {
			return
		}
	}
}

func (j joined) All() iter.Seq2[string, *core.Breaker] {
	return func(yield func(string, *core.Breaker) bool) {
		for _, s := range j {
			if s == nil {
				continue
			}
			for name, b := range s.All() {
				if !yield(name, b) {
					return
				}
			}
		}
	}
}
