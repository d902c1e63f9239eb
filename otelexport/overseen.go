package otelexport

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/blackbox4/switchgear/otelexport/internal/contract"
)

// overseen are agents that are registered, and what they were the last time.
type overseen struct {
	agents Agents
	users  int

	states             map[string]int64
	steps, escalations map[[2]string]uint64
	handoffs           map[[3]string]uint64
	confidence         map[string]float64
}

// read reads anew. Of what panics, counts stay as they were.
func (o *overseen) read() (panics []error) {
	o.states, o.confidence = nil, nil
	for _, part := range []func(){
		func() { o.states = o.agents.AgentStates() },
		func() { o.steps = o.agents.AgentSteps() },
		func() { o.escalations = o.agents.AgentEscalations() },
		func() { o.handoffs = o.agents.AgentHandoffs() },
		func() { o.confidence = o.agents.AgentConfidence() },
	} {
		if err := survived(part); err != nil {
			panics = append(panics, err)
		}
	}
	return panics
}

// survived calls f, whose panic the SDK would not survive.
func survived(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	f()
	return nil
}

// sum is a number for each word of a metric, and one for all words that it has
// not.
type sum struct {
	words        []string
	values, kept []int64 // kept of those that are registered no longer
	attributes   [][]metric.ObserveOption
}

func newSum(m contract.AgentMetric, by ...attribute.KeyValue) *sum {
	s := &sum{words: m.Words, values: make([]int64, len(m.Words)+1), kept: make([]int64, len(m.Words)+1)}
	for _, word := range append(slices.Clip(m.Words), contract.Other) {
		set := attribute.NewSet(append(slices.Clip(by), m.By.String(word))...)
		s.attributes = append(s.attributes, []metric.ObserveOption{metric.WithAttributeSet(set)})
	}
	return s
}

func (s *sum) add(word string, n int64) {
	i := slices.Index(s.words, word)
	if i < 0 {
		i = len(s.words)
	}
	s.values[i] += n
}

// observe leaves out other words as long as there are none.
func (s *sum) observe(o metric.Observer, to metric.Int64Observable) {
	for i, v := range s.values {
		if i < len(s.words) || v != 0 {
			o.ObserveInt64(to, v, s.attributes[i]...)
		}
	}
}
